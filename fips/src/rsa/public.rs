//! The public half of an RSA key.

use super::{check_kind, check_size, oaep, shared::Shared};
use crate::digest::{self, Hash};
use crate::pkey::Pkey;
use crate::policy::{Service, perform};
use crate::{Error, Result};
use aws_lc_rs::{encoding, encoding::AsDer, rsa as lc};

/// An RSA public key of 2048 to 8192 bits.
#[derive(Clone)]
pub struct PublicKey {
    key: Shared<lc::PublicEncryptingKey>,
    spki: Vec<u8>,
    modulus: Vec<u8>,
    exponent: Vec<u8>,
}

/// Shows the size and the first bytes of the fingerprint.
impl std::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [a, b, c, d, ..] = self.fingerprint();
        write!(
            f,
            "rsa::PublicKey({} bits, {a:02x}{b:02x}{c:02x}{d:02x}..)",
            self.modulus_bits()
        )
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.spki == other.spki
    }
}

impl Eq for PublicKey {}

impl PublicKey {
    /// Reads a DER `SubjectPublicKeyInfo` (RFC 5280 section 4.1, RFC 8017 appendix A.1) with nothing behind it.
    ///
    /// # Errors
    /// [`Error::MalformedKey`]; [`Error::UnsupportedKey`] if it is not RSA; [`Error::KeySize`].
    pub fn from_spki(der: &[u8]) -> Result<Self> {
        let pkey = Pkey::from_spki(der)?;
        check_kind(pkey.kind())?;
        let key = lc::PublicEncryptingKey::from_der(der).map_err(|_| malformed())?;
        Self::build(key, &pkey)
    }

    /// Makes a key from its numbers, big-endian; leading zeros do not matter.
    ///
    /// # Errors
    /// [`Error::KeySize`]; [`Error::MalformedKey`] if the numbers cannot be an RSA key, e.g. an even exponent.
    pub fn from_components(modulus: &[u8], exponent: &[u8]) -> Result<Self> {
        let (n, e) = (without_zeros(modulus), without_zeros(exponent));
        check_size(bit_len(n))?;
        let key: lc::PublicEncryptingKey = lc::PublicKeyComponents { n, e }
            .try_into()
            .map_err(|_| malformed())?;
        let spki = spki_of(&key)?;
        // Read back, so that numbers that are not a valid key are found here and not by the receiver.
        Self::build(key, &Pkey::from_spki(&spki)?)
    }

    pub(super) fn build(key: lc::PublicEncryptingKey, pkey: &Pkey) -> Result<Self> {
        let (modulus, exponent) = pkey.rsa_components().ok_or_else(malformed)?;
        Ok(Self {
            key: Shared::new(key),
            spki: pkey.spki_der()?,
            modulus,
            exponent,
        })
    }

    /// The key as DER `SubjectPublicKeyInfo`, always in the canonical encoding.
    #[must_use]
    pub fn spki_der(&self) -> &[u8] {
        &self.spki
    }

    /// The size of the modulus, in bits.
    #[must_use]
    pub fn modulus_bits(&self) -> usize {
        bit_len(&self.modulus)
    }

    /// The modulus, big-endian without leading zeros.
    #[must_use]
    pub fn modulus_be(&self) -> &[u8] {
        &self.modulus
    }

    /// The public exponent, big-endian without leading zeros.
    #[must_use]
    pub fn exponent_be(&self) -> &[u8] {
        &self.exponent
    }

    /// The SHA-256 digest of [`Self::spki_der`]: the same for the same key, whatever it was read from.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 32] {
        let mut out = [0; 32];
        let digest = digest::digest(Hash::Sha256, &self.spki);
        for (to, from) in out.iter_mut().zip(digest.as_ref()) {
            *to = *from;
        }
        out
    }

    /// The longest plaintext of [`Self::encrypt_oaep`], in bytes: k - 2 hLen - 2 (RFC 8017 section 7.1.1).
    #[must_use]
    pub fn max_oaep_plaintext(&self, hash: Hash) -> usize {
        self.modulus.len().saturating_sub(2 * hash.output_len() + 2)
    }

    /// RSAES-OAEP (RFC 8017 section 7.1): `hash` also in MGF1, empty label.
    ///
    /// **Not approved**: the security policy does not allow RSA encryption in this module.
    ///
    /// # Errors
    /// [`Error::MessageTooLong`] above [`Self::max_oaep_plaintext`]; [`Error::NotApproved`] in strict mode without
    /// `rsa-key-transport-in-module`.
    pub fn encrypt_oaep(&self, hash: Hash, plaintext: &[u8]) -> Result<Vec<u8>> {
        self.encrypt_oaep_with_label(hash, b"", plaintext)
    }

    /// As [`Self::encrypt_oaep`], with this label (RFC 8017 section 7.1, L).
    ///
    /// **Not approved**, as that.
    ///
    /// # Errors
    /// As told there.
    pub fn encrypt_oaep_with_label(
        &self,
        hash: Hash,
        label: &[u8],
        plaintext: &[u8],
    ) -> Result<Vec<u8>> {
        const OPERATION: &str = "RSAES-OAEP encryption";
        check_len(OPERATION, plaintext, self.max_oaep_plaintext(hash))?;
        let mut out = vec![0; self.modulus.len()];
        let label = (!label.is_empty()).then_some(label);
        perform(Service::RsaOaepEncrypt, |_| {
            let len = lc::OaepPublicEncryptingKey::new((*self.key).clone())
                .and_then(|key| Ok(key.encrypt(oaep(hash), plaintext, &mut out, label)?.len()))
                .map_err(|_| refused(OPERATION))?;
            out.truncate(len);
            Ok(out)
        })
    }

    /// RSAES-PKCS1-v1_5 (RFC 8017 section 7.2).
    ///
    /// **Not approved**: the security policy does not allow RSA encryption in this module. For devices that know
    /// nothing else.
    ///
    /// # Errors
    /// [`Error::MessageTooLong`] above the size of the modulus less 11 bytes; [`Error::NotApproved`] in strict mode without
    /// `cms-rsa-pkcs1v15`.
    pub fn encrypt_pkcs1v15(&self, plaintext: &[u8]) -> Result<Vec<u8>> {
        const OPERATION: &str = "RSAES-PKCS1-v1_5 encryption";
        check_len(OPERATION, plaintext, self.modulus.len().saturating_sub(11))?;
        let mut out = vec![0; self.modulus.len()];
        perform(Service::RsaPkcs1v15Encrypt, |_| {
            let len = lc::Pkcs1PublicEncryptingKey::new((*self.key).clone())
                .and_then(|key| Ok(key.encrypt(plaintext, &mut out)?.len()))
                .map_err(|_| refused(OPERATION))?;
            out.truncate(len);
            Ok(out)
        })
    }
}

fn spki_of(key: &lc::PublicEncryptingKey) -> Result<Vec<u8>> {
    let der: encoding::PublicKeyX509Der<'_> = key
        .as_der()
        .map_err(|_| refused("encoding of a public key"))?;
    Ok(der.as_ref().to_vec())
}

fn malformed() -> Error {
    Error::MalformedKey {
        what: "RSA public key",
    }
}

fn refused(operation: &'static str) -> Error {
    Error::Module { operation }
}

fn check_len(operation: &'static str, plaintext: &[u8], limit: usize) -> Result<()> {
    if plaintext.len() > limit {
        return Err(Error::MessageTooLong {
            operation,
            bytes: plaintext.len(),
            limit,
        });
    }
    Ok(())
}

fn without_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or(&[])
}

/// The number of bits of a big-endian number without leading zeros.
fn bit_len(number: &[u8]) -> usize {
    number
        .first()
        .map_or(0, |first| number.len() * 8 - first.leading_zeros() as usize)
}
