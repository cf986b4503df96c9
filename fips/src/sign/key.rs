//! A private key that signs.

use super::SignatureAlgorithm;
use crate::ec::Curve;
use crate::pkey::{Kind, Pkey};
use crate::policy::{Service, perform};
use crate::{Error, Result, rsa, secret::SecretBytes};
use aws_lc_rs::{encoding, encoding::AsDer, rand::SystemRandom, rsa as lc_rsa, signature as lc};

/// The kinds of key that can be generated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// An ECDSA key on P-256.
    EcP256,
    /// An ECDSA key on P-384.
    EcP384,
    /// An ECDSA key on P-521.
    EcP521,
    /// An RSA key of 2048, 3072 or 4096 bits.
    Rsa(usize),
}

enum Inner {
    Ec(Curve, lc::EcdsaKeyPair),
    Rsa(lc_rsa::KeyPair),
}

/// A private key that signs: ECDSA on P-256, P-384 or P-521, or RSA of 2048 to 8192 bits, an even number of them.
pub struct SigningKey {
    inner: Inner,
    spki: Vec<u8>,
}

fn ecdsa(curve: Curve) -> &'static lc::EcdsaSigningAlgorithm {
    match curve {
        Curve::P256 => &lc::ECDSA_P256_SHA256_ASN1_SIGNING,
        Curve::P384 => &lc::ECDSA_P384_SHA384_ASN1_SIGNING,
        Curve::P521 => &lc::ECDSA_P521_SHA512_ASN1_SIGNING,
    }
}

fn malformed() -> Error {
    Error::MalformedKey {
        what: "PKCS#8 private key",
    }
}

impl SigningKey {
    /// Generates a key. Approved service (FIPS 186-5).
    ///
    /// # Errors
    /// [`Error::KeySize`] for an RSA size other than 2048, 3072 or 4096 bits.
    pub fn generate(kind: KeyKind) -> Result<Self> {
        let inner = match kind {
            KeyKind::EcP256 => Self::generate_ec(Curve::P256)?,
            KeyKind::EcP384 => Self::generate_ec(Curve::P384)?,
            KeyKind::EcP521 => Self::generate_ec(Curve::P521)?,
            KeyKind::Rsa(bits) => {
                let size = rsa::generated_size(bits)?;
                Inner::Rsa(perform(Service::RsaKeyGeneration, |_| {
                    lc_rsa::KeyPair::generate(size).map_err(|_| Error::Module {
                        operation: "RSA key generation",
                    })
                })?)
            }
        };
        let spki = crate::pkcs8_public(pkcs8_of(&inner)?.expose())?;
        Ok(Self { inner, spki })
    }

    fn generate_ec(curve: Curve) -> Result<Inner> {
        let key = perform(Service::EcKeyGeneration, |_| {
            lc::EcdsaKeyPair::generate(ecdsa(curve)).map_err(|_| Error::Module {
                operation: "EC key generation",
            })
        })?;
        Ok(Inner::Ec(curve, key))
    }

    /// Reads a DER `PrivateKeyInfo` (RFC 5208) with nothing behind it.
    ///
    /// # Errors
    /// [`Error::MalformedKey`]; [`Error::UnsupportedKey`] for other algorithms and curves; [`Error::KeySize`].
    pub fn from_pkcs8(der: &[u8]) -> Result<Self> {
        let pkey = Pkey::from_pkcs8(der)?;
        let inner = match pkey.kind() {
            Kind::Ec(curve) => {
                let key = lc::EcdsaKeyPair::from_pkcs8(ecdsa(curve), der);
                Inner::Ec(curve, key.map_err(|_| malformed())?)
            }
            Kind::Rsa { bits } => {
                rsa::check_signing_size(bits)?;
                Inner::Rsa(lc_rsa::KeyPair::from_pkcs8(der).map_err(|_| malformed())?)
            }
            Kind::Other => {
                return Err(Error::UnsupportedKey {
                    expected: "RSA, or EC on P-256, P-384 or P-521",
                });
            }
        };
        Ok(Self {
            inner,
            spki: pkey.spki_der()?,
        })
    }

    /// The key as DER `PrivateKeyInfo`.
    ///
    /// # Errors
    /// [`Error::Module`] if there is no memory left.
    pub fn pkcs8_der(&self) -> Result<SecretBytes> {
        pkcs8_of(&self.inner)
    }

    /// The public key as DER `SubjectPublicKeyInfo`.
    #[must_use]
    pub fn spki_der(&self) -> &[u8] {
        &self.spki
    }

    /// The algorithm of [`Self::sign`]: the hash that fits the curve, and PKCS#1 v1.5 with SHA-256 for RSA.
    #[must_use]
    pub const fn algorithm(&self) -> SignatureAlgorithm {
        match &self.inner {
            Inner::Ec(Curve::P256, _) => SignatureAlgorithm::EcdsaP256Sha256,
            Inner::Ec(Curve::P384, _) => SignatureAlgorithm::EcdsaP384Sha384,
            Inner::Ec(Curve::P521, _) => SignatureAlgorithm::EcdsaP521Sha512,
            Inner::Rsa(_) => SignatureAlgorithm::RsaPkcs1Sha256,
        }
    }

    /// Signs `message` (which is hashed here) with [`Self::algorithm`]. Approved service.
    ///
    /// # Errors
    /// [`Error::Module`] if there is no memory left.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>> {
        self.sign_with(self.algorithm(), message)
    }

    /// Signs with another algorithm of the same key: RSA keys know six, EC keys one. Approved service.
    ///
    /// # Errors
    /// [`Error::KeyMismatch`] if this key cannot sign with `algorithm`.
    pub fn sign_with(&self, algorithm: SignatureAlgorithm, message: &[u8]) -> Result<Vec<u8>> {
        let refused = |_| Error::Module {
            operation: "signing",
        };
        match (&self.inner, algorithm.rsa_encoding()) {
            (Inner::Rsa(key), Some(encoding)) => {
                let mut out = vec![0; key.public_modulus_len()];
                perform(Service::SignatureGeneration, |_| {
                    key.sign(encoding, &SystemRandom::new(), message, &mut out)
                        .map_err(refused)?;
                    Ok(out)
                })
            }
            (Inner::Ec(_, key), None) if algorithm == self.algorithm() => {
                perform(Service::SignatureGeneration, |_| {
                    let signature = key.sign(&SystemRandom::new(), message).map_err(refused)?;
                    Ok(signature.as_ref().to_vec())
                })
            }
            _ => Err(Error::KeyMismatch {
                algorithm: algorithm.name(),
            }),
        }
    }
}

fn pkcs8_of(inner: &Inner) -> Result<SecretBytes> {
    let refused = |_| Error::Module {
        operation: "encoding of a private key",
    };
    match inner {
        Inner::Ec(_, key) => {
            let document = key.to_pkcs8v1().map_err(refused)?;
            Ok(SecretBytes::from_slice(document.as_ref()))
        }
        Inner::Rsa(key) => {
            let der: encoding::Pkcs8V1Der<'_> = key.as_der().map_err(refused)?;
            Ok(SecretBytes::from_slice(der.as_ref()))
        }
    }
}
