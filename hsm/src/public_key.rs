//! Public RSA keys in the forms that import tools read: SubjectPublicKeyInfo in DER and PEM, and CNG's RSAPUBLICBLOB.

use der::asn1::{AnyRef, BitStringRef, UintRef};
use der::{Decode, Encode, EncodePem, Sequence, pem::LineEnding};
use spki::{
    AlgorithmIdentifierRef, ObjectIdentifier, SubjectPublicKeyInfo, SubjectPublicKeyInfoRef,
};

use crate::{Error, KeyFingerprint};

/// rsaEncryption (RFC 8017, appendix A.1).
const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

/// BCRYPT_RSAPUBLIC_MAGIC, "RSA1" in little-endian order.
const BLOB_MAGIC: u32 = 0x3141_5352;

/// Longest modulus that is read: 16384 bits.
const MAX_MODULUS_BYTES: usize = 2048;

/// Shortest modulus that is read: 1024 bits. Whether a key is long enough for a use is decided where it is used.
const MIN_MODULUS_BITS: u32 = 1024;

/// ```text
/// RSAPublicKey ::= SEQUENCE {
///     modulus           INTEGER,  -- n
///     publicExponent    INTEGER   -- e
/// }
/// ```
/// RFC 8017, appendix A.1.1.
#[derive(Sequence)]
struct RsaPublicKey<'a> {
    modulus: UintRef<'a>,
    public_exponent: UintRef<'a>,
}

/// A public RSA key: an odd modulus of 1024 to 16384 bits and an odd exponent of 3 to 2^64 - 1.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    /// Big-endian, without leading zeros.
    modulus: Vec<u8>,
    exponent: Vec<u8>,
}

impl std::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PublicKey({} bits)", self.modulus_bits())
    }
}

fn without_leading_zeros(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    bytes.get(zeros..).unwrap_or_default()
}

impl PublicKey {
    /// From the numbers, big-endian, leading zeros allowed.
    ///
    /// # Errors
    /// [`Error::InvalidPublicKey`].
    pub fn from_components(modulus: &[u8], exponent: &[u8]) -> Result<Self, Error> {
        let modulus = without_leading_zeros(modulus);
        let exponent = without_leading_zeros(exponent);
        if modulus.len() > MAX_MODULUS_BYTES {
            return Err(Error::InvalidPublicKey("the modulus is too long"));
        }
        if modulus.last().is_none_or(|byte| byte & 1 == 0) {
            return Err(Error::InvalidPublicKey("the modulus is even"));
        }
        if exponent.len() > 8 {
            return Err(Error::InvalidPublicKey("the exponent is too long"));
        }
        if exponent.last().is_none_or(|byte| byte & 1 == 0) || exponent == [1] {
            return Err(Error::InvalidPublicKey("the exponent is even or 1"));
        }
        let key = Self {
            modulus: modulus.to_vec(),
            exponent: exponent.to_vec(),
        };
        if key.modulus_bits() < MIN_MODULUS_BITS {
            return Err(Error::InvalidPublicKey("the modulus is too short"));
        }
        Ok(key)
    }

    /// From a DER SubjectPublicKeyInfo with the algorithm rsaEncryption and NULL parameters (RFC 3279, section 2.3.1).
    ///
    /// # Errors
    /// [`Error::InvalidPublicKey`].
    pub fn from_spki_der(der: &[u8]) -> Result<Self, Error> {
        let spki = SubjectPublicKeyInfoRef::from_der(der)
            .map_err(|_| Error::InvalidPublicKey("not a DER SubjectPublicKeyInfo"))?;
        if spki.algorithm.oid != RSA_ENCRYPTION {
            return Err(Error::InvalidPublicKey(
                "the algorithm is not rsaEncryption",
            ));
        }
        if spki.algorithm.parameters != Some(AnyRef::NULL) {
            return Err(Error::InvalidPublicKey("the parameters are not NULL"));
        }
        let bits = spki
            .subject_public_key
            .as_bytes()
            .ok_or(Error::InvalidPublicKey(
                "the key is no whole number of bytes",
            ))?;
        let key = RsaPublicKey::from_der(bits)
            .map_err(|_| Error::InvalidPublicKey("not a DER RSAPublicKey"))?;
        Self::from_components(key.modulus.as_bytes(), key.public_exponent.as_bytes())
    }

    /// From a PEM SubjectPublicKeyInfo (`BEGIN PUBLIC KEY`; RFC 7468, section 13).
    ///
    /// # Errors
    /// [`Error::InvalidPublicKey`].
    pub fn from_spki_pem(pem: &str) -> Result<Self, Error> {
        let (label, der) =
            der::pem::decode_vec(pem.as_bytes()).map_err(|_| Error::InvalidPublicKey("not PEM"))?;
        if label != "PUBLIC KEY" {
            return Err(Error::InvalidPublicKey("the PEM label is not PUBLIC KEY"));
        }
        Self::from_spki_der(&der)
    }

    /// From a BCRYPT_RSAKEY_BLOB of the type RSAPUBLICBLOB: six little-endian 32-bit words (magic, bits, length of the
    /// exponent, length of the modulus, 0, 0), then exponent and modulus, big-endian.
    ///
    /// # Errors
    /// [`Error::InvalidPublicKey`], also if anything follows.
    pub fn from_rsa_public_blob(blob: &[u8]) -> Result<Self, Error> {
        let bad = || Error::InvalidPublicKey("not an RSAPUBLICBLOB");
        let mut words = [0_u32; 6];
        let mut rest = blob;
        for word in &mut words {
            let (bytes, tail) = rest.split_first_chunk().ok_or_else(bad)?;
            *word = u32::from_le_bytes(*bytes);
            rest = tail;
        }
        let [magic, bits, exponent_len, modulus_len, 0, 0] = words else {
            return Err(bad());
        };
        let exponent_len = usize::try_from(exponent_len).map_err(|_| bad())?;
        let modulus_len = usize::try_from(modulus_len).map_err(|_| bad())?;
        let (exponent, modulus) = rest.split_at_checked(exponent_len).ok_or_else(bad)?;
        if magic != BLOB_MAGIC || modulus.len() != modulus_len {
            return Err(bad());
        }
        let key = Self::from_components(modulus, exponent)?;
        if key.modulus_bits() == bits {
            Ok(key)
        } else {
            Err(bad())
        }
    }

    /// The modulus, big-endian, without leading zeros.
    #[must_use]
    pub fn modulus(&self) -> &[u8] {
        &self.modulus
    }

    /// The public exponent, big-endian, without leading zeros.
    #[must_use]
    pub fn exponent(&self) -> &[u8] {
        &self.exponent
    }

    /// Length of the modulus in bits.
    #[must_use]
    pub fn modulus_bits(&self) -> u32 {
        let spare = self.modulus.first().map_or(0, |byte| byte.leading_zeros());
        u32::try_from(self.modulus.len() * 8)
            .unwrap_or(u32::MAX)
            .saturating_sub(spare)
    }

    /// DER SubjectPublicKeyInfo.
    ///
    /// # Errors
    /// [`Error::Internal`] if the encoder refuses, which it does not for a key of these bounds.
    pub fn to_spki_der(&self) -> Result<Vec<u8>, Error> {
        let encode = || -> der::Result<Vec<u8>> {
            let key = RsaPublicKey {
                modulus: UintRef::new(&self.modulus)?,
                public_exponent: UintRef::new(&self.exponent)?,
            }
            .to_der()?;
            SubjectPublicKeyInfo {
                algorithm: AlgorithmIdentifierRef {
                    oid: RSA_ENCRYPTION,
                    parameters: Some(AnyRef::NULL),
                },
                subject_public_key: BitStringRef::from_bytes(&key)?,
            }
            .to_der()
        };
        encode().map_err(|_| Error::Internal("a public key could not be encoded"))
    }

    /// PEM SubjectPublicKeyInfo: `BEGIN PUBLIC KEY` at offset 0, lines of 64 characters, LF.
    ///
    /// # Errors
    /// As [`to_spki_der`](Self::to_spki_der).
    pub fn to_spki_pem(&self) -> Result<String, Error> {
        let der = self.to_spki_der()?;
        SubjectPublicKeyInfoRef::from_der(&der)
            .and_then(|spki| spki.to_pem(LineEnding::LF))
            .map_err(|_| Error::Internal("a public key could not be encoded"))
    }

    /// BCRYPT_RSAKEY_BLOB of the type RSAPUBLICBLOB, as Intune's import tool reads it.
    #[must_use]
    pub fn to_rsa_public_blob(&self) -> Vec<u8> {
        let len = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let words = [
            BLOB_MAGIC,
            self.modulus_bits(),
            len(&self.exponent),
            len(&self.modulus),
            0,
            0,
        ];
        let mut blob: Vec<u8> = words.into_iter().flat_map(u32::to_le_bytes).collect();
        blob.extend_from_slice(&self.exponent);
        blob.extend_from_slice(&self.modulus);
        blob
    }

    /// The fingerprint: SHA-256 of [`to_spki_der`](Self::to_spki_der).
    ///
    /// # Errors
    /// As [`to_spki_der`](Self::to_spki_der).
    pub fn fingerprint(&self) -> Result<KeyFingerprint, Error> {
        Ok(KeyFingerprint::of_spki(&self.to_spki_der()?))
    }

    /// True if `number` (big-endian) is at least the modulus, so that it is no ciphertext (RFC 8017, section 5.1.2, step 1).
    /// Both are public.
    pub(crate) fn is_out_of_range(&self, number: &[u8]) -> bool {
        let number = without_leading_zeros(number);
        (number.len(), number) >= (self.modulus.len(), &self.modulus[..])
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]
    use super::*;

    fn key(bits: usize) -> PublicKey {
        let mut modulus: Vec<u8> = (0..bits / 8)
            .map(|i| u8::try_from(i % 251).unwrap())
            .collect();
        modulus[0] = 0xc1;
        *modulus.last_mut().unwrap() |= 1;
        PublicKey::from_components(&modulus, &[0, 1, 0, 1]).unwrap()
    }

    #[test]
    fn every_form_comes_back_to_the_same_key() {
        for bits in [1024, 2048, 3072, 4096] {
            let key = key(bits);
            assert_eq!(key.modulus_bits(), u32::try_from(bits).unwrap());
            let der = key.to_spki_der().unwrap();
            assert_eq!(PublicKey::from_spki_der(&der).unwrap(), key);
            let pem = key.to_spki_pem().unwrap();
            assert!(pem.starts_with("-----BEGIN PUBLIC KEY-----\n"));
            assert!(pem.lines().all(|line| line.len() <= 64));
            assert_eq!(PublicKey::from_spki_pem(&pem).unwrap(), key);
            assert_eq!(
                PublicKey::from_spki_pem(&pem.replace('\n', "\r\n")).unwrap(),
                key
            );
            let blob = key.to_rsa_public_blob();
            assert_eq!(PublicKey::from_rsa_public_blob(&blob).unwrap(), key);
        }
    }

    #[test]
    fn the_blob_has_the_layout_of_cng() {
        let blob = key(2048).to_rsa_public_blob();
        assert_eq!(blob.len(), 283);
        assert_eq!(&blob[..4], b"RSA1");
        assert_eq!(
            blob[4..24],
            [0, 8, 0, 0, 3, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        );
        assert_eq!(blob[24..27], [1, 0, 1]);
    }

    #[test]
    fn a_blob_that_is_cut_or_too_long_is_refused() {
        let blob = key(2048).to_rsa_public_blob();
        for len in 0..blob.len() {
            assert!(PublicKey::from_rsa_public_blob(&blob[..len]).is_err());
        }
        let mut long = blob.clone();
        long.push(1);
        assert!(PublicKey::from_rsa_public_blob(&long).is_err());
        for at in [0, 4, 8, 12, 16, 20] {
            let mut bad = blob.clone();
            bad[at] ^= 0x55;
            assert!(PublicKey::from_rsa_public_blob(&bad).is_err(), "byte {at}");
        }
    }

    #[test]
    fn der_that_is_cut_or_too_long_is_refused() {
        let der = key(2048).to_spki_der().unwrap();
        for len in 0..der.len() {
            assert!(PublicKey::from_spki_der(&der[..len]).is_err());
        }
        let mut long = der.clone();
        long.push(0);
        assert!(PublicKey::from_spki_der(&long).is_err());
    }

    #[test]
    fn numbers_that_are_no_key_are_refused() {
        let good = key(2048);
        for exponent in [&[][..], &[0], &[1], &[2], &[1, 0], &[1; 9]] {
            assert!(PublicKey::from_components(good.modulus(), exponent).is_err());
        }
        let mut even = good.modulus().to_vec();
        *even.last_mut().unwrap() &= 0xfe;
        assert!(PublicKey::from_components(&even, &[3]).is_err());
        assert!(PublicKey::from_components(&[0xff; 64], &[3]).is_err());
        assert!(PublicKey::from_components(&[0xff; 2049], &[3]).is_err());
        assert!(PublicKey::from_components(&[], &[3]).is_err());
    }

    #[test]
    fn numbers_from_the_modulus_on_are_out_of_range() {
        let key = key(2048);
        let mut number = key.modulus().to_vec();
        assert!(key.is_out_of_range(&number));
        *number.last_mut().unwrap() -= 1;
        assert!(!key.is_out_of_range(&number));
        assert!(key.is_out_of_range(&[0xff; 256]));
        assert!(!key.is_out_of_range(&[0; 256]));
    }
}
