//! What is known about a custody key: its fingerprint, its attributes on the token, and why it may not be used.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// SHA-256 of the DER SubjectPublicKeyInfo (RFC 5280, section 4.1.2.7) of a key.
///
/// Names a key everywhere: it does not depend on the token, a label or a handle. Text form: 64 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyFingerprint([u8; 32]);

impl KeyFingerprint {
    /// A fingerprint that was computed elsewhere.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The fingerprint of a DER SubjectPublicKeyInfo. The encoding is hashed as it is, not checked.
    #[must_use]
    pub fn of_spki(spki_der: &[u8]) -> Self {
        let digest = fips::digest::digest(fips::digest::Hash::Sha256, spki_der);
        let mut bytes = [0; 32];
        for (to, from) in bytes.iter_mut().zip(digest.as_ref()) {
            *to = *from;
        }
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for KeyFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyFingerprint({self})")
    }
}

/// The text is not a fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key fingerprint is 64 lower-case hex digits")]
pub struct InvalidFingerprint;

impl FromStr for KeyFingerprint {
    type Err = InvalidFingerprint;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; 32];
        let decoded = base16ct::lower::decode(text, &mut bytes).map_err(|_| InvalidFingerprint)?;
        if decoded.len() == 32 {
            Ok(Self(bytes))
        } else {
            Err(InvalidFingerprint)
        }
    }
}

impl Serialize for KeyFingerprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for KeyFingerprint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// Attributes of a private key as its token reports them (PKCS#11, section 4.8 and 4.9). `None`: the token does not say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyAttributes {
    /// CKA_SENSITIVE: the key cannot be read in the clear.
    pub sensitive: Option<bool>,
    /// CKA_ALWAYS_SENSITIVE: it never could.
    pub always_sensitive: Option<bool>,
    /// CKA_EXTRACTABLE: the key can be wrapped and so leave the token.
    pub extractable: Option<bool>,
    /// CKA_NEVER_EXTRACTABLE: it never could.
    pub never_extractable: Option<bool>,
    /// CKA_LOCAL: the key was generated on this token.
    pub local: Option<bool>,
    /// CKA_DECRYPT.
    pub decrypt: Option<bool>,
    /// CKA_SIGN.
    pub sign: Option<bool>,
    /// CKA_UNWRAP.
    pub unwrap: Option<bool>,
    /// CKA_DERIVE.
    pub derive: Option<bool>,
    /// CKA_TOKEN: the key outlives the session.
    pub token: Option<bool>,
    /// CKA_PRIVATE: a login is needed to see it.
    pub private: Option<bool>,
    /// CKA_ALWAYS_AUTHENTICATE: the token wants the PIN for every use. Custody reads it from its source each time.
    pub always_authenticate: Option<bool>,
}

/// Why a key is refused for what it is to do: decryption (custody keys), signatures (signing keys) or key agreement. An attribute that the token does not report counts against the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, thiserror::Error)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum KeyProblem {
    /// CKA_SENSITIVE is not true.
    #[error("not sensitive (CKA_SENSITIVE)")]
    NotSensitive,
    /// CKA_EXTRACTABLE is not false.
    #[error("extractable (CKA_EXTRACTABLE)")]
    Extractable,
    /// CKA_DECRYPT is not true.
    #[error("not for decryption (CKA_DECRYPT)")]
    NotForDecryption,
    /// CKA_SIGN or CKA_UNWRAP is true: whoever reaches the token could use the key for something else than passwords.
    #[error("not for decryption alone (CKA_SIGN, CKA_UNWRAP)")]
    OtherUses,
    /// CKA_SIGN is not true, of a key that is to sign.
    #[error("not for signing (CKA_SIGN)")]
    NotForSigning,
    /// CKA_DECRYPT, CKA_UNWRAP or CKA_DERIVE is true, of a key that is to sign.
    #[error("not for signing alone (CKA_DECRYPT, CKA_UNWRAP, CKA_DERIVE)")]
    NotForSigningAlone,
    /// CKA_DERIVE is not true, of a key that is to agree on secrets.
    #[error("not for key agreement (CKA_DERIVE)")]
    NotForAgreement,
    /// CKA_SIGN, CKA_DECRYPT or CKA_UNWRAP is true, of a key that is to agree on secrets.
    #[error("not for key agreement alone (CKA_SIGN, CKA_DECRYPT, CKA_UNWRAP)")]
    NotForAgreementAlone,
    /// The modulus is shorter than 2048 bits (SP 800-131A).
    #[error("modulus shorter than 2048 bits")]
    ModulusTooShort,
    /// The modulus is longer than 4096 bits.
    #[error("modulus longer than 4096 bits")]
    ModulusTooLong,
}

/// One private RSA key on a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyInfo {
    /// Names the key.
    pub fingerprint: KeyFingerprint,
    /// CKA_LABEL, with what is not UTF-8 replaced.
    pub label: String,
    /// CKA_ID.
    pub id: Vec<u8>,
    /// Length of the modulus.
    pub modulus_bits: u32,
    /// The public key: DER SubjectPublicKeyInfo with the algorithm rsaEncryption.
    pub spki_der: Vec<u8>,
    /// What the token says about the key.
    pub attributes: KeyAttributes,
    /// Why the key is refused. Empty: it can be used.
    pub problems: Vec<KeyProblem>,
    /// What would be a problem, but is allowed by the development switch
    /// [`allow_extractable_keys`](crate::pkcs11::TokenConfig::allow_extractable_keys). To be shown wherever the key is shown.
    pub waived: Vec<KeyProblem>,
}

impl KeyInfo {
    /// True if the key is not refused.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.problems.is_empty()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;

    #[test]
    fn a_fingerprint_is_lower_case_hex_in_text_and_json() {
        let fingerprint = KeyFingerprint::from_bytes([0xab; 32]);
        let text = "ab".repeat(32);
        assert_eq!(fingerprint.to_string(), text);
        assert_eq!(text.parse::<KeyFingerprint>().unwrap(), fingerprint);
        let json = serde_json::to_string(&fingerprint).unwrap();
        assert_eq!(json, format!("\"{text}\""));
        assert_eq!(
            serde_json::from_str::<KeyFingerprint>(&json).unwrap(),
            fingerprint
        );
    }

    #[test]
    fn other_texts_are_no_fingerprints() {
        for text in [
            "",
            "ab",
            &"AB".repeat(32),
            &"ab".repeat(33),
            &"zz".repeat(32),
        ] {
            assert!(text.parse::<KeyFingerprint>().is_err(), "{text}");
        }
    }
}
