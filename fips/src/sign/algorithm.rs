//! The signature algorithms.

use crate::digest::Hash;
use crate::ec::Curve;
use aws_lc_rs::signature as lc;

/// A signature algorithm: the key, the hash and the padding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SignatureAlgorithm {
    /// ECDSA on P-256 with SHA-256.
    EcdsaP256Sha256,
    /// ECDSA on P-384 with SHA-384.
    EcdsaP384Sha384,
    /// ECDSA on P-521 with SHA-512.
    EcdsaP521Sha512,
    /// ECDSA on P-256 with SHA-384: verified only.
    EcdsaP256Sha384,
    /// ECDSA on P-256 with SHA-512: verified only.
    EcdsaP256Sha512,
    /// ECDSA on P-384 with SHA-256: verified only.
    EcdsaP384Sha256,
    /// ECDSA on P-384 with SHA-512: verified only.
    EcdsaP384Sha512,
    /// ECDSA on P-521 with SHA-256: verified only. What `openssl req` makes with a P-521 key unless it is told otherwise.
    EcdsaP521Sha256,
    /// ECDSA on P-521 with SHA-384: verified only.
    EcdsaP521Sha384,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RsaPkcs1Sha256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    RsaPkcs1Sha384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    RsaPkcs1Sha512,
    /// RSASSA-PSS with SHA-256, MGF1 with SHA-256, 32 bytes of salt.
    RsaPssSha256,
    /// RSASSA-PSS with SHA-384, MGF1 with SHA-384, 48 bytes of salt.
    RsaPssSha384,
    /// RSASSA-PSS with SHA-512, MGF1 with SHA-512, 64 bytes of salt.
    RsaPssSha512,
}

impl SignatureAlgorithm {
    /// Every algorithm.
    pub const ALL: [Self; 15] = [
        Self::EcdsaP256Sha256,
        Self::EcdsaP384Sha384,
        Self::EcdsaP521Sha512,
        Self::EcdsaP256Sha384,
        Self::EcdsaP256Sha512,
        Self::EcdsaP384Sha256,
        Self::EcdsaP384Sha512,
        Self::EcdsaP521Sha256,
        Self::EcdsaP521Sha384,
        Self::RsaPkcs1Sha256,
        Self::RsaPkcs1Sha384,
        Self::RsaPkcs1Sha512,
        Self::RsaPssSha256,
        Self::RsaPssSha384,
        Self::RsaPssSha512,
    ];

    /// A stable name, for logs and JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::EcdsaP256Sha256 => "ecdsa-p256-sha256",
            Self::EcdsaP384Sha384 => "ecdsa-p384-sha384",
            Self::EcdsaP521Sha512 => "ecdsa-p521-sha512",
            Self::EcdsaP256Sha384 => "ecdsa-p256-sha384",
            Self::EcdsaP256Sha512 => "ecdsa-p256-sha512",
            Self::EcdsaP384Sha256 => "ecdsa-p384-sha256",
            Self::EcdsaP384Sha512 => "ecdsa-p384-sha512",
            Self::EcdsaP521Sha256 => "ecdsa-p521-sha256",
            Self::EcdsaP521Sha384 => "ecdsa-p521-sha384",
            Self::RsaPkcs1Sha256 => "rsa-pkcs1-sha256",
            Self::RsaPkcs1Sha384 => "rsa-pkcs1-sha384",
            Self::RsaPkcs1Sha512 => "rsa-pkcs1-sha512",
            Self::RsaPssSha256 => "rsa-pss-sha256",
            Self::RsaPssSha384 => "rsa-pss-sha384",
            Self::RsaPssSha512 => "rsa-pss-sha512",
        }
    }

    /// The hash of the message.
    #[must_use]
    pub const fn hash(self) -> Hash {
        match self {
            Self::EcdsaP256Sha256
            | Self::EcdsaP384Sha256
            | Self::EcdsaP521Sha256
            | Self::RsaPkcs1Sha256
            | Self::RsaPssSha256 => Hash::Sha256,
            Self::EcdsaP384Sha384
            | Self::EcdsaP256Sha384
            | Self::EcdsaP521Sha384
            | Self::RsaPkcs1Sha384
            | Self::RsaPssSha384 => Hash::Sha384,
            Self::EcdsaP521Sha512
            | Self::EcdsaP256Sha512
            | Self::EcdsaP384Sha512
            | Self::RsaPkcs1Sha512
            | Self::RsaPssSha512 => Hash::Sha512,
        }
    }

    /// The curve of the key, or `None` for RSA.
    #[must_use]
    pub const fn curve(self) -> Option<Curve> {
        match self {
            Self::EcdsaP256Sha256 | Self::EcdsaP256Sha384 | Self::EcdsaP256Sha512 => {
                Some(Curve::P256)
            }
            Self::EcdsaP384Sha384 | Self::EcdsaP384Sha256 | Self::EcdsaP384Sha512 => {
                Some(Curve::P384)
            }
            Self::EcdsaP521Sha512 | Self::EcdsaP521Sha256 | Self::EcdsaP521Sha384 => {
                Some(Curve::P521)
            }
            Self::RsaPkcs1Sha256
            | Self::RsaPkcs1Sha384
            | Self::RsaPkcs1Sha512
            | Self::RsaPssSha256
            | Self::RsaPssSha384
            | Self::RsaPssSha512 => None,
        }
    }

    pub(super) fn verification(self) -> &'static dyn lc::VerificationAlgorithm {
        match self {
            Self::EcdsaP256Sha256 => &lc::ECDSA_P256_SHA256_ASN1,
            Self::EcdsaP384Sha384 => &lc::ECDSA_P384_SHA384_ASN1,
            Self::EcdsaP521Sha512 => &lc::ECDSA_P521_SHA512_ASN1,
            Self::EcdsaP256Sha384 => &lc::ECDSA_P256_SHA384_ASN1,
            Self::EcdsaP256Sha512 => &lc::ECDSA_P256_SHA512_ASN1,
            Self::EcdsaP384Sha256 => &lc::ECDSA_P384_SHA256_ASN1,
            Self::EcdsaP384Sha512 => &lc::ECDSA_P384_SHA512_ASN1,
            Self::EcdsaP521Sha256 => &lc::ECDSA_P521_SHA256_ASN1,
            Self::EcdsaP521Sha384 => &lc::ECDSA_P521_SHA384_ASN1,
            Self::RsaPkcs1Sha256 => &lc::RSA_PKCS1_2048_8192_SHA256,
            Self::RsaPkcs1Sha384 => &lc::RSA_PKCS1_2048_8192_SHA384,
            Self::RsaPkcs1Sha512 => &lc::RSA_PKCS1_2048_8192_SHA512,
            Self::RsaPssSha256 => &lc::RSA_PSS_2048_8192_SHA256,
            Self::RsaPssSha384 => &lc::RSA_PSS_2048_8192_SHA384,
            Self::RsaPssSha512 => &lc::RSA_PSS_2048_8192_SHA512,
        }
    }

    pub(super) fn rsa_encoding(self) -> Option<&'static dyn lc::RsaEncoding> {
        match self {
            Self::RsaPkcs1Sha256 => Some(&lc::RSA_PKCS1_SHA256),
            Self::RsaPkcs1Sha384 => Some(&lc::RSA_PKCS1_SHA384),
            Self::RsaPkcs1Sha512 => Some(&lc::RSA_PKCS1_SHA512),
            Self::RsaPssSha256 => Some(&lc::RSA_PSS_SHA256),
            Self::RsaPssSha384 => Some(&lc::RSA_PSS_SHA384),
            Self::RsaPssSha512 => Some(&lc::RSA_PSS_SHA512),
            Self::EcdsaP256Sha256
            | Self::EcdsaP384Sha384
            | Self::EcdsaP521Sha512
            | Self::EcdsaP256Sha384
            | Self::EcdsaP256Sha512
            | Self::EcdsaP384Sha256
            | Self::EcdsaP384Sha512
            | Self::EcdsaP521Sha256
            | Self::EcdsaP521Sha384 => None,
        }
    }
}
