//! The imported record: what an importer encrypted and signed, and what the engine checks before it uses the key.
//!
//! The gateway stores records and is not trusted. The importer therefore signs everything that decides what a decrypted password
//! is used for, so that a record with another user, PFX, ciphertext, padding or key is no longer the importer's record.

use crate::encoding::Base64Bytes;
use hsm::Padding;
use serde::{Deserialize, Serialize};

/// An importer's signature over [`Record::signed_bytes`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ImporterSignature {
    /// SHA-256 of the importer's SubjectPublicKeyInfo (DER), lower-case hexadecimal: which configured importer signed.
    pub importer: String,
    /// ECDSA-Sig-Value or RSASSA-PSS signature; the algorithm follows from the importer's configured key, never from the record.
    pub signature: Base64Bytes,
}

/// One imported PFX password with what it belongs to. The PFX itself travels beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Record {
    /// The user's principal name, as imported.
    pub user_principal_name: String,
    /// SHA-1 of the certificate's DER, 40 lower-case hexadecimal digits (the name that Graph gives a certificate).
    pub thumbprint: String,
    /// Provider of the custody key as the importer named it (Graph `providerName`).
    pub provider_name: String,
    /// Name (label) of the custody key as the importer named it (Graph `keyName`).
    pub key_name: String,
    /// SHA-256 of the custody key's SubjectPublicKeyInfo, lower-case hexadecimal; records that come from Intune have none.
    pub custody_key: Option<String>,
    /// How the password was encrypted.
    pub padding: Padding,
    /// Ciphertext of the password's bytes (RSAES-OAEP; RSAES-PKCS1-v1_5 of old imports), big-endian as in RFC 8017.
    pub encrypted_password: Base64Bytes,
    /// The importer's signature; records that come from Intune have none, which is a named exception of the engine.
    pub importer_signature: Option<ImporterSignature>,
}

/// Separates this signature from every other use of the same key; ends in the format's version.
const CONTEXT: &[u8] = b"pfx-connector record v1";

impl Record {
    /// The bytes that an importer signs: the context, then user, thumbprint, SHA-256 of the PFX, provider name, key name, custody
    /// key, padding and ciphertext, each with its length as a 32-bit big-endian number before it, so that no two records share an encoding.
    #[must_use]
    pub fn signed_bytes(&self, pfx: &[u8]) -> Vec<u8> {
        let pfx_digest = fips::digest::digest(fips::digest::Hash::Sha256, pfx);
        let padding = self.padding.to_string();
        let fields: [&[u8]; 9] = [
            CONTEXT,
            self.user_principal_name.as_bytes(),
            self.thumbprint.as_bytes(),
            pfx_digest.as_ref(),
            self.provider_name.as_bytes(),
            self.key_name.as_bytes(),
            self.custody_key.as_deref().unwrap_or("").as_bytes(),
            padding.as_bytes(),
            self.encrypted_password.as_slice(),
        ];
        let mut bytes = Vec::with_capacity(fields.iter().map(|field| field.len() + 4).sum());
        for field in fields {
            // Fields come out of frames and bodies of a few MiB at most.
            let length = u32::try_from(field.len()).unwrap_or(u32::MAX);
            bytes.extend_from_slice(&length.to_be_bytes());
            bytes.extend_from_slice(field);
        }
        bytes
    }
}
