//! The kinds of key that requests are made with, and what a public key is.

use crate::algorithm::KeyKind as PublicKind;
use fips::sign::{KeyKind, SignatureAlgorithm, SigningKey};
use serde::Serialize;
use std::str::FromStr;

/// A kind of key that can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeySpec {
    /// RSA of 2048 bits.
    #[serde(rename = "rsa-2048")]
    Rsa2048,
    /// RSA of 3072 bits.
    #[serde(rename = "rsa-3072")]
    Rsa3072,
    /// RSA of 4096 bits.
    #[serde(rename = "rsa-4096")]
    Rsa4096,
    /// EC on P-256.
    #[serde(rename = "ec-p256")]
    EcP256,
    /// EC on P-384.
    #[serde(rename = "ec-p384")]
    EcP384,
    /// EC on P-521.
    #[serde(rename = "ec-p521")]
    EcP521,
}

/// A kind of key that does not exist here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no kind of key {0:?} here: rsa-2048, rsa-3072, rsa-4096, ec-p256, ec-p384 or ec-p521"
)]
pub struct UnknownKey(String);

impl KeySpec {
    /// Every kind.
    pub const ALL: [Self; 6] = [
        Self::Rsa2048,
        Self::Rsa3072,
        Self::Rsa4096,
        Self::EcP256,
        Self::EcP384,
        Self::EcP521,
    ];

    /// Its stable name, in configurations and reports: `rsa-2048`, `ec-p256`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rsa2048 => "rsa-2048",
            Self::Rsa3072 => "rsa-3072",
            Self::Rsa4096 => "rsa-4096",
            Self::EcP256 => "ec-p256",
            Self::EcP384 => "ec-p384",
            Self::EcP521 => "ec-p521",
        }
    }

    /// The same for whoever generates it: the module, or a token.
    #[must_use]
    pub const fn kind(self) -> KeyKind {
        match self {
            Self::Rsa2048 => KeyKind::Rsa(2048),
            Self::Rsa3072 => KeyKind::Rsa(3072),
            Self::Rsa4096 => KeyKind::Rsa(4096),
            Self::EcP256 => KeyKind::EcP256,
            Self::EcP384 => KeyKind::EcP384,
            Self::EcP521 => KeyKind::EcP521,
        }
    }

    /// Generates one in the module. Approved service (FIPS 186-5).
    ///
    /// # Errors
    /// [`fips::Error`] when the module does not.
    pub fn generate(self) -> Result<SigningKey, fips::Error> {
        SigningKey::generate(self.kind())
    }

    /// The algorithms that such a key signs with, the usual one first.
    #[must_use]
    pub const fn algorithms(self) -> &'static [SignatureAlgorithm] {
        use SignatureAlgorithm as A;
        match self {
            Self::Rsa2048 | Self::Rsa3072 | Self::Rsa4096 => &[
                A::RsaPkcs1Sha256,
                A::RsaPkcs1Sha384,
                A::RsaPkcs1Sha512,
                A::RsaPssSha256,
                A::RsaPssSha384,
                A::RsaPssSha512,
            ],
            Self::EcP256 => &[A::EcdsaP256Sha256],
            Self::EcP384 => &[A::EcdsaP384Sha384],
            Self::EcP521 => &[A::EcdsaP521Sha512],
        }
    }

    /// The kind of a public key (DER SubjectPublicKeyInfo); `None` for others, such as RSA of 8192 bits.
    #[must_use]
    pub fn of_spki(spki_der: &[u8]) -> Option<Self> {
        match (PublicKind::of(spki_der)?, rsa_bits(spki_der)) {
            (PublicKind::Rsa, Some(2048)) => Some(Self::Rsa2048),
            (PublicKind::Rsa, Some(3072)) => Some(Self::Rsa3072),
            (PublicKind::Rsa, Some(4096)) => Some(Self::Rsa4096),
            (PublicKind::P256, _) => Some(Self::EcP256),
            (PublicKind::P384, _) => Some(Self::EcP384),
            (PublicKind::P521, _) => Some(Self::EcP521),
            _ => None,
        }
    }
}

impl FromStr for KeySpec {
    type Err = UnknownKey;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.name() == name)
            .ok_or_else(|| UnknownKey(name.chars().take(40).collect()))
    }
}

/// What a public key is (DER SubjectPublicKeyInfo), in words: `RSA 3072`, `EC P-256`.
#[must_use]
pub fn words(spki_der: &[u8]) -> String {
    match PublicKind::of(spki_der) {
        Some(PublicKind::Rsa) => match rsa_bits(spki_der) {
            Some(bits) => format!("RSA {bits}"),
            None => "RSA of a size that is not usable here".to_owned(),
        },
        Some(PublicKind::RsaPss) => "RSA for PSS signatures only".to_owned(),
        Some(PublicKind::P256) => "EC P-256".to_owned(),
        Some(PublicKind::P384) => "EC P-384".to_owned(),
        Some(PublicKind::P521) => "EC P-521".to_owned(),
        None => "a kind of key that is not supported here".to_owned(),
    }
}

fn rsa_bits(spki_der: &[u8]) -> Option<usize> {
    fips::rsa::PublicKey::from_spki(spki_der)
        .ok()
        .map(|key| key.modulus_bits())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use fips::policy::Policy;

    #[test]
    fn every_kind_is_generated_found_again_and_signs_with_each_of_its_algorithms() {
        fips::start(Policy::STRICT).unwrap();
        for kind in KeySpec::ALL {
            assert_eq!(kind.name().parse(), Ok(kind));
            let key = kind.generate().unwrap();
            assert_eq!(KeySpec::of_spki(key.spki_der()), Some(kind));
            assert_eq!(kind.algorithms().first(), Some(&key.algorithm()));
            for algorithm in kind.algorithms() {
                let signature = key.sign_with(*algorithm, b"message").unwrap();
                let identifier = crate::algorithm::identifier_der(*algorithm);
                crate::algorithm::verify(&identifier, key.spki_der(), b"message", &signature)
                    .unwrap();
            }
        }
        assert!("rsa-1024".parse::<KeySpec>().is_err());
    }
}
