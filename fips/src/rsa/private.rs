//! A private RSA key in memory: for tests, for reading what others encrypted, and for devices that are ourselves.
//! The custody key is never one of these.

use super::{PublicKey, check_kind, generated_size, oaep, shared::Shared};
use crate::digest::Hash;
use crate::pkey::Pkey;
use crate::policy::{Service, perform};
use crate::{Error, Result, secret::SecretBytes};
use aws_lc_rs::{encoding, encoding::AsDer, rsa as lc};

/// An RSA private key of 2048 to 8192 bits.
pub struct PrivateKey {
    key: Shared<lc::PrivateDecryptingKey>,
}

impl PrivateKey {
    /// Generates a key of 2048, 3072 or 4096 bits with the exponent 65537. Approved service (FIPS 186-5).
    ///
    /// # Errors
    /// [`Error::KeySize`] for other sizes.
    pub fn generate(bits: usize) -> Result<Self> {
        let size = generated_size(bits)?;
        let key = perform(Service::RsaKeyGeneration, |_| {
            lc::PrivateDecryptingKey::generate(size).map_err(|_| Error::Module {
                operation: "RSA key generation",
            })
        })?;
        Ok(Self {
            key: Shared::new(key),
        })
    }

    /// Reads a DER `PrivateKeyInfo` (RFC 5208) with nothing behind it.
    ///
    /// # Errors
    /// [`Error::MalformedKey`]; [`Error::UnsupportedKey`] if it is not RSA; [`Error::KeySize`].
    pub fn from_pkcs8(der: &[u8]) -> Result<Self> {
        check_kind(Pkey::from_pkcs8(der)?.kind())?;
        let key = lc::PrivateDecryptingKey::from_pkcs8(der).map_err(|_| Error::MalformedKey {
            what: "PKCS#8 private key",
        })?;
        Ok(Self {
            key: Shared::new(key),
        })
    }

    /// The key as DER `PrivateKeyInfo`.
    ///
    /// # Errors
    /// [`Error::Module`] if there is no memory left.
    pub fn pkcs8_der(&self) -> Result<SecretBytes> {
        let der: encoding::Pkcs8V1Der<'_> = self.key.as_der().map_err(|_| Error::Module {
            operation: "encoding of a private key",
        })?;
        Ok(SecretBytes::from_slice(der.as_ref()))
    }

    /// The public half.
    ///
    /// # Errors
    /// [`Error::Module`] if there is no memory left.
    pub fn public(&self) -> Result<PublicKey> {
        let pkey = Pkey::from_pkcs8(self.pkcs8_der()?.expose())?;
        PublicKey::build(self.key.public_key(), &pkey)
    }

    /// RSAES-OAEP decryption (RFC 8017 section 7.1.2): `hash` also in MGF1, empty label.
    ///
    /// **Not approved**: the security policy does not allow RSA decryption in this module.
    ///
    /// # Errors
    /// [`Error::Decryption`], whatever is wrong; [`Error::NotApproved`] in strict mode without the exception.
    pub fn decrypt_oaep(&self, hash: Hash, ciphertext: &[u8]) -> Result<SecretBytes> {
        self.decrypt_oaep_with_label(hash, ciphertext, b"")
    }

    /// As [`Self::decrypt_oaep`], with a label (RFC 8017's `L`). **Not approved.**
    ///
    /// # Errors
    /// [`Error::Decryption`], whatever is wrong; [`Error::NotApproved`] in strict mode without the exception.
    pub fn decrypt_oaep_with_label(
        &self,
        hash: Hash,
        ciphertext: &[u8],
        label: &[u8],
    ) -> Result<SecretBytes> {
        self.check_len(ciphertext)?;
        let key = lc::OaepPrivateDecryptingKey::new((*self.key).clone())
            .map_err(|_| Error::Decryption)?;
        let label = (!label.is_empty()).then_some(label);
        let mut out = SecretBytes::zeroed(key.min_output_size());
        perform(Service::RsaOaepDecrypt, |_| {
            let len = key
                .decrypt(oaep(hash), ciphertext, out.expose_mut(), label)
                .map_err(|_| Error::Decryption)?
                .len();
            out.truncate(len);
            Ok(out)
        })
    }

    /// RSAES-PKCS1-v1_5 decryption (RFC 8017 section 7.2.2), for tests and for reading files at one's own desk.
    ///
    /// **Not approved**, and never to be used where a stranger can send ciphertexts and see, or measure, whether
    /// they decrypt: that is Bleichenbacher's oracle, and no implicit rejection is done here.
    ///
    /// # Errors
    /// [`Error::Decryption`], whatever is wrong; [`Error::NotApproved`] in strict mode without the exception.
    pub fn decrypt_pkcs1v15(&self, ciphertext: &[u8]) -> Result<SecretBytes> {
        self.check_len(ciphertext)?;
        let key = lc::Pkcs1PrivateDecryptingKey::new((*self.key).clone())
            .map_err(|_| Error::Decryption)?;
        let mut out = SecretBytes::zeroed(key.min_output_size());
        perform(Service::RsaPkcs1v15Decrypt, |_| {
            let len = key
                .decrypt(ciphertext, out.expose_mut())
                .map_err(|_| Error::Decryption)?
                .len();
            out.truncate(len);
            Ok(out)
        })
    }

    fn check_len(&self, ciphertext: &[u8]) -> Result<()> {
        if ciphertext.len() == self.key.key_size_bytes() {
            return Ok(());
        }
        Err(Error::Decryption)
    }
}
