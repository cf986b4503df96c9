//! What an opened PFX holds, and the one identity that is imported from it.

use super::PfxError;
use super::bags::Contents;
use super::facts::{self, CertificateFacts};
use crate::words;
use const_oid::ObjectIdentifier;
use const_oid::db::rfc5912::{
    ID_EC_PUBLIC_KEY, RSA_ENCRYPTION, SECP_256_R_1, SECP_384_R_1, SECP_521_R_1,
};
use der::Decode;
use fips::secret::SecretBytes;
use pkcs8::PrivateKeyInfoRef;
use spki::SubjectPublicKeyInfoOwned;
use x509_cert::Certificate;

/// Everything that was in a PFX.
pub struct OpenedPfx {
    keys: Vec<OpenedKey>,
    certificates: Vec<Vec<u8>>,
}

/// A private key of a PFX.
pub struct OpenedKey {
    pkcs8: SecretBytes,
    certificate: Option<usize>,
    friendly_name: Option<String>,
}

/// The one private key with its certificate.
pub struct Identity<'a> {
    pfx: &'a OpenedPfx,
    key: &'a OpenedKey,
    certificate: usize,
}

impl OpenedPfx {
    /// Its private keys.
    #[must_use]
    pub fn keys(&self) -> &[OpenedKey] {
        &self.keys
    }

    /// Its certificates (DER), in the order of the file.
    #[must_use]
    pub fn certificates(&self) -> &[Vec<u8>] {
        &self.certificates
    }

    /// The one private key with the certificate that has its public half.
    ///
    /// # Errors
    /// When there is no key, more than one, or no certificate for it.
    pub fn identity(&self) -> Result<Identity<'_>, PfxError> {
        let key = match self.keys.as_slice() {
            [] => return Err(PfxError::NoPrivateKey),
            [key] => key,
            several => {
                return Err(PfxError::SeveralPrivateKeys {
                    count: several.len(),
                });
            }
        };
        Ok(Identity {
            pfx: self,
            key,
            certificate: key.certificate.ok_or(PfxError::NoCertificateForKey)?,
        })
    }
}

impl OpenedKey {
    /// The key (DER PrivateKeyInfo, RFC 5958).
    #[must_use]
    pub fn pkcs8(&self) -> &SecretBytes {
        &self.pkcs8
    }

    /// Place of the certificate with its public half in [`OpenedPfx::certificates`].
    #[must_use]
    pub fn certificate(&self) -> Option<usize> {
        self.certificate
    }

    /// The name that the file gives it.
    #[must_use]
    pub fn friendly_name(&self) -> Option<&str> {
        self.friendly_name.as_deref()
    }
}

impl<'a> Identity<'a> {
    /// The private key (DER PrivateKeyInfo, RFC 5958).
    #[must_use]
    pub fn pkcs8(&self) -> &'a SecretBytes {
        &self.key.pkcs8
    }

    /// The certificate with the key's public half (DER).
    #[must_use]
    pub fn certificate(&self) -> &'a [u8] {
        self.pfx
            .certificates
            .get(self.certificate)
            .map_or(&[], Vec::as_slice)
    }

    /// The other certificates (DER), in the order of the file.
    #[must_use]
    pub fn chain(&self) -> Vec<&'a [u8]> {
        self.pfx
            .certificates
            .iter()
            .enumerate()
            .filter(|(index, _)| *index != self.certificate)
            .map(|(_, der)| der.as_slice())
            .collect()
    }

    /// The name that the file gives the key, or its certificate.
    #[must_use]
    pub fn friendly_name(&self) -> Option<&'a str> {
        self.key.friendly_name()
    }

    /// What an import needs to know of the certificate.
    ///
    /// # Errors
    /// [`PfxError::Malformed`] when its dates have no calendar form.
    pub fn facts(&self) -> Result<CertificateFacts, PfxError> {
        facts::of(self.certificate(), &self.key.pkcs8)
    }
}

/// Joins keys and certificates by their public keys.
pub(super) fn assemble(contents: Contents) -> Result<OpenedPfx, PfxError> {
    // A certificate that does not parse may be one of the chain: it matters only if it could be the key's.
    let publics: Vec<Option<Vec<u8>>> = contents
        .certificates
        .iter()
        .map(|(der, _)| facts::public_bits(Certificate::from_der(der).ok()?.tbs_certificate()))
        .collect();
    let mut keys = Vec::with_capacity(contents.keys.len());
    for (pkcs8, name) in contents.keys {
        let public = Some(public_key_bits(&pkcs8)?);
        let certificate = publics.iter().position(|candidate| *candidate == public);
        if certificate.is_none() && publics.contains(&None) {
            return Err(PfxError::Malformed {
                what: "a certificate does not parse",
            });
        }
        let friendly_name = name.or_else(|| {
            let (_, name) = contents.certificates.get(certificate?)?;
            name.clone()
        });
        keys.push(OpenedKey {
            pkcs8,
            certificate,
            friendly_name,
        });
    }
    Ok(OpenedPfx {
        keys,
        certificates: contents
            .certificates
            .into_iter()
            .map(|(der, _)| der)
            .collect(),
    })
}

/// The public half of a private key (subjectPublicKey), or what kind of key it is that is not supported.
pub(super) fn public_key_bits(pkcs8: &SecretBytes) -> Result<Vec<u8>, PfxError> {
    const BROKEN: PfxError = PfxError::Malformed {
        what: "a private key does not parse",
    };
    let info = PrivateKeyInfoRef::from_der(pkcs8.expose()).map_err(|_| BROKEN)?;
    let oid = info.algorithm.oid;
    if oid == ID_EC_PUBLIC_KEY {
        let parameters = info.algorithm.parameters.ok_or(BROKEN)?;
        let curve: ObjectIdentifier = parameters
            .decode_as()
            .map_err(|_| PfxError::unsupported_key("an EC key with parameters of its own"))?;
        if ![SECP_256_R_1, SECP_384_R_1, SECP_521_R_1].contains(&curve) {
            return Err(PfxError::unsupported_key(format!(
                "an EC key on {}",
                words::oid(&curve)
            )));
        }
    } else if oid != RSA_ENCRYPTION {
        return Err(PfxError::unsupported_key(format!(
            "a private key of {}",
            words::oid(&oid)
        )));
    }
    let spki = fips::pkcs8_public(pkcs8.expose()).map_err(|error| match error {
        fips::Error::MalformedKey { .. } => BROKEN,
        other => PfxError::unsupported_key(format!("a private key that is refused ({other})")),
    })?;
    SubjectPublicKeyInfoOwned::from_der(&spki)
        .ok()
        .and_then(|spki| Some(spki.subject_public_key.as_bytes()?.to_vec()))
        .ok_or(BROKEN)
}
