//! Which functions of this crate are approved services of the module: our own table, from its security policy.
//!
//! | function | approved |
//! |---|---|
//! | [`crate::random`] | yes |
//! | [`crate::digest`] | yes (SHA-1 too, but nothing here signs with it) |
//! | [`crate::hmac`] | with 14 bytes of key or more |
//! | [`crate::kdf::hkdf`] | with a salt and an info that are not empty |
//! | [`crate::kdf::pbkdf2`] | password 14 bytes, salt 16 bytes, 1000 iterations or more |
//! | [`crate::kdf::x963`], [`crate::kdf::pkcs12`] | no |
//! | [`crate::aes`]: CBC, GCM, key wrap | yes |
//! | [`crate::legacy`]: 3DES, RC2 | no |
//! | [`crate::rsa`]: key generation | yes |
//! | [`crate::rsa`]: OAEP and PKCS#1 v1.5, both directions | no |
//! | [`crate::ec`]: key generation | yes |
//! | [`crate::ec`]: agreement outside of TLS | no |
//! | [`crate::sign`] | yes |
//! | [`crate::tls`] | as one composite service |
//!
//! The policy of the program is decided by this table. The [indicator](crate::indicator) only checks it.

/// A service, with the parameters its approval depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Service {
    /// [`crate::random`].
    Random,
    /// [`crate::digest`].
    Digest,
    /// [`crate::hmac`].
    Hmac {
        /// The length of the key, in bytes.
        key_bytes: usize,
    },
    /// [`crate::kdf::hkdf`] with a salt and an info that are not empty.
    Hkdf,
    /// [`crate::kdf::pbkdf2`].
    Pbkdf2 {
        /// The length of the password, in bytes.
        password_bytes: usize,
        /// The length of the salt, in bytes.
        salt_bytes: usize,
        /// The number of iterations.
        iterations: u32,
    },
    /// [`crate::kdf::x963`].
    X963Kdf,
    /// [`crate::kdf::pkcs12`].
    Pkcs12Kdf,
    /// [`crate::aes::cbc_encrypt`] and [`crate::aes::cbc_decrypt`].
    AesCbc,
    /// [`crate::aes::gcm_seal`] and [`crate::aes::gcm_open`].
    AesGcm,
    /// [`crate::aes::key_wrap`] and [`crate::aes::key_unwrap`].
    AesKeyWrap,
    /// [`crate::legacy::des_ede3_cbc_encrypt`] and [`crate::legacy::des_ede3_cbc_decrypt`].
    TripleDesCbc,
    /// [`crate::legacy::rc2_cbc_decrypt`].
    Rc2Cbc,
    /// Key generation for RSA and the NIST curves.
    KeyGeneration,
    /// RSAES-OAEP, both directions.
    RsaOaep,
    /// RSAES-PKCS1-v1_5, both directions.
    RsaPkcs1Encryption,
    /// [`crate::ec`]: agreement outside of TLS.
    EcdhOutsideTls,
    /// [`crate::sign`]: signing and verifying.
    Signature,
    /// [`crate::tls`].
    Tls,
}

/// Whether the security policy of the module approves a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Approval {
    /// It does.
    Approved,
    /// It does not, and why.
    NotApproved {
        /// For people: what the policy says.
        reason: &'static str,
    },
}

impl Approval {
    /// Whether this is [`Approval::Approved`].
    #[must_use]
    pub const fn is_approved(self) -> bool {
        matches!(self, Self::Approved)
    }
}

impl Service {
    /// What the security policy of AWS-LC FIPS 3.1.0 says.
    #[must_use]
    pub const fn approval(self) -> Approval {
        let reason = match self {
            Self::Random
            | Self::Digest
            | Self::Hkdf
            | Self::AesCbc
            | Self::AesGcm
            | Self::AesKeyWrap
            | Self::KeyGeneration
            | Self::Signature
            | Self::Tls => return Approval::Approved,
            Self::Hmac { key_bytes } => {
                if key_bytes >= 14 {
                    return Approval::Approved;
                }
                "HMAC keys of less than 112 bits are not approved"
            }
            Self::Pbkdf2 {
                password_bytes,
                salt_bytes,
                iterations,
            } => {
                if password_bytes >= 14 && salt_bytes >= 16 && iterations >= 1000 {
                    return Approval::Approved;
                }
                "PBKDF2 needs a password of 14 bytes, a salt of 16 bytes and 1000 iterations"
            }
            Self::X963Kdf => "the ANSI X9.63 KDF is not a service of the module",
            Self::Pkcs12Kdf => "the PKCS#12 key derivation is not a service of the module",
            Self::TripleDesCbc => "3DES is not approved",
            Self::Rc2Cbc => "RC2 is not approved",
            Self::RsaOaep | Self::RsaPkcs1Encryption => {
                "RSA encryption is non-approved and not allowed in this module"
            }
            Self::EcdhOutsideTls => {
                "key agreement is approved for ephemeral keys inside of TLS only"
            }
        };
        Approval::NotApproved { reason }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_bounds_of_hmac_and_pbkdf2_are_inclusive() {
        assert!(Service::Hmac { key_bytes: 14 }.approval().is_approved());
        assert!(!Service::Hmac { key_bytes: 13 }.approval().is_approved());
        let approved = |password_bytes, salt_bytes, iterations| {
            Service::Pbkdf2 {
                password_bytes,
                salt_bytes,
                iterations,
            }
            .approval()
            .is_approved()
        };
        assert!(approved(14, 16, 1000));
        assert!(!approved(13, 16, 1000));
        assert!(!approved(14, 15, 1000));
        assert!(!approved(14, 16, 999));
    }
}
