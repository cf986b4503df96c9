//! The signature over an attestation.

use super::TpmError;
use super::public::Scheme;
use super::reader::{Reader, algorithm, hash};
use crate::algorithm::KeyKind;
use der::asn1::UintRef;
use der::{Encode, Sequence};
use fips::digest::Hash;
use fips::sign::SignatureAlgorithm;

const STRUCTURE: &str = "TPMT_SIGNATURE";

/// A signature that was read: RSASSA, RSAPSS or ECDSA, with SHA-2.
///
/// TPMT_SIGNATURE (part 2, clause 11.3.4):
/// ```text
/// sigAlg     TPMI_ALG_SIG_SCHEME
/// signature  TPMU_SIGNATURE       TPMS_SIGNATURE_RSA (11.3.1): hash, sig
///                                 TPMS_SIGNATURE_ECC (11.3.2): hash, signatureR, signatureS
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    scheme: u16,
    hash: Hash,
    /// As the module verifies it: RSA's number, or the DER of ECDSA-Sig-Value.
    bytes: Vec<u8>,
}

/// ```text
/// ECDSA-Sig-Value ::= SEQUENCE {
///     r  INTEGER,
///     s  INTEGER  }
/// ```
/// RFC 3279, section 2.2.3.
#[derive(Sequence)]
struct EcdsaSigValue<'a> {
    r: UintRef<'a>,
    s: UintRef<'a>,
}

impl Signature {
    /// Reads a TPMT_SIGNATURE with nothing behind it.
    ///
    /// # Errors
    /// [`TpmError`].
    pub fn read(bytes: &[u8]) -> Result<Self, TpmError> {
        /// 8192 bits.
        const MAX_RSA_BYTES: usize = 1024;
        /// A number of P-521.
        const MAX_ECC_BYTES: usize = 66;
        let mut reader = Reader::new(STRUCTURE, bytes);
        let scheme = reader.u16("sigAlg")?;
        if ![algorithm::RSASSA, algorithm::RSAPSS, algorithm::ECDSA].contains(&scheme) {
            return Err(TpmError::Algorithm {
                structure: STRUCTURE,
                what: "the scheme",
                algorithm: scheme,
                accepted: "RSASSA, RSAPSS and ECDSA; the file has to be as the TPM gave it: the format `tss` of the TPM's tools",
            });
        }
        let hash = hash(STRUCTURE, reader.u16("hash")?)?;
        let bytes = if scheme == algorithm::ECDSA {
            let mut number = |field| {
                let bytes = reader.sized(field, MAX_ECC_BYTES)?;
                UintRef::new(bytes).map_err(|_| TpmError::at(STRUCTURE, field))
            };
            let value = EcdsaSigValue {
                r: number("signatureR")?,
                s: number("signatureS")?,
            };
            value
                .to_der()
                .map_err(|_| TpmError::at(STRUCTURE, "signatureR"))?
        } else {
            reader.sized("sig", MAX_RSA_BYTES)?.to_vec()
        };
        reader.finish()?;
        Ok(Self {
            scheme,
            hash,
            bytes,
        })
    }

    /// What it is in words: `RSA PKCS#1 v1.5 with SHA-256`; `None` when the key is of another kind.
    #[must_use]
    pub fn words(&self, spki_der: &[u8]) -> Option<String> {
        self.algorithm(spki_der).ok().map(crate::algorithm::words)
    }

    fn algorithm(&self, spki_der: &[u8]) -> Result<SignatureAlgorithm, TpmError> {
        use SignatureAlgorithm as A;
        let of_key = KeyKind::of(spki_der);
        let found = match (self.scheme, of_key, self.hash) {
            (algorithm::RSASSA, Some(KeyKind::Rsa), Hash::Sha256) => A::RsaPkcs1Sha256,
            (algorithm::RSASSA, Some(KeyKind::Rsa), Hash::Sha384) => A::RsaPkcs1Sha384,
            (algorithm::RSASSA, Some(KeyKind::Rsa), Hash::Sha512) => A::RsaPkcs1Sha512,
            (algorithm::RSAPSS, Some(KeyKind::Rsa), Hash::Sha256) => A::RsaPssSha256,
            (algorithm::RSAPSS, Some(KeyKind::Rsa), Hash::Sha384) => A::RsaPssSha384,
            (algorithm::RSAPSS, Some(KeyKind::Rsa), Hash::Sha512) => A::RsaPssSha512,
            (algorithm::ECDSA, Some(KeyKind::P256), Hash::Sha256) => A::EcdsaP256Sha256,
            (algorithm::ECDSA, Some(KeyKind::P256), Hash::Sha384) => A::EcdsaP256Sha384,
            (algorithm::ECDSA, Some(KeyKind::P256), Hash::Sha512) => A::EcdsaP256Sha512,
            (algorithm::ECDSA, Some(KeyKind::P384), Hash::Sha256) => A::EcdsaP384Sha256,
            (algorithm::ECDSA, Some(KeyKind::P384), Hash::Sha384) => A::EcdsaP384Sha384,
            (algorithm::ECDSA, Some(KeyKind::P384), Hash::Sha512) => A::EcdsaP384Sha512,
            (algorithm::ECDSA, Some(KeyKind::P521), Hash::Sha256) => A::EcdsaP521Sha256,
            (algorithm::ECDSA, Some(KeyKind::P521), Hash::Sha384) => A::EcdsaP521Sha384,
            (algorithm::ECDSA, Some(KeyKind::P521), Hash::Sha512) => A::EcdsaP521Sha512,
            _ => return Err(TpmError::Scheme("the key is of another kind")),
        };
        Ok(found)
    }

    /// Whether the key signed `message`. RSAPSS: with a salt as long as the digest (FIPS 186-5 allows no longer one).
    pub(super) fn verify(
        &self,
        spki_der: &[u8],
        bound: Option<Scheme>,
        message: &[u8],
    ) -> Result<(), TpmError> {
        if bound.is_some_and(|scheme| !scheme.allows(self.scheme, self.hash)) {
            return Err(TpmError::Scheme(
                "its public area binds the key to another one",
            ));
        }
        let algorithm = self.algorithm(spki_der)?;
        fips::sign::verify(algorithm, spki_der, message, &self.bytes).map_err(TpmError::Signature)
    }
}
