//! A private RSA key that reads what others encrypted, with the parameters that they chose: OAEP with two different hashes and a label,
//! and keys from the days of 1024 bits. [`super::PrivateKey`] is for everything else.

use super::{MAX_BITS, MIN_BITS};
use crate::digest::FileHash;
use crate::pkey::{Kind, Pkey};
use crate::policy::{Permit, Service, perform};
use crate::{Error, Result, secret::SecretBytes};
use aws_lc_fips_sys as lc;
use std::ffi::c_int;
use std::ptr::{NonNull, null_mut};

/// The smallest key that [`ReadingKey`] takes, in bits: nothing shorter is in old messages, and much shorter ones anybody can break.
pub const MIN_READING_BITS: usize = 1024;
/// The longest OAEP label that is taken, in bytes.
const MAX_LABEL_BYTES: usize = 4096;

/// An RSA private key of 1024 to 8192 bits, to read with. Not sent between threads.
pub struct ReadingKey {
    key: Pkey,
    bits: usize,
}

/// How the plaintext was padded.
enum Padding<'a> {
    Oaep {
        hash: FileHash,
        mask_hash: FileHash,
        label: &'a [u8],
    },
    Pkcs1v15,
}

impl ReadingKey {
    /// Reads a DER `PrivateKeyInfo` (RFC 5208) with nothing behind it.
    ///
    /// # Errors
    /// [`Error::MalformedKey`]; [`Error::UnsupportedKey`] if it is not RSA; [`Error::KeySize`].
    pub fn from_pkcs8(der: &[u8]) -> Result<Self> {
        let key = Pkey::from_pkcs8(der)?;
        let Kind::Rsa { bits } = key.kind() else {
            return Err(Error::UnsupportedKey { expected: "RSA" });
        };
        if !(MIN_READING_BITS..=MAX_BITS).contains(&bits) {
            return Err(Error::KeySize {
                algorithm: "RSA",
                bits,
                accepted: "1024 to 8192",
            });
        }
        Ok(Self { key, bits })
    }

    /// The size of the modulus, in bits.
    #[must_use]
    pub const fn modulus_bits(&self) -> usize {
        self.bits
    }

    /// RSAES-OAEP decryption (RFC 8017 section 7.1.2) with `hash`, MGF1 with `mask_hash`, and a label of at most 4096 bytes.
    ///
    /// **Not approved**: the security policy does not allow RSA decryption in this module.
    ///
    /// # Errors
    /// [`Error::Decryption`], whatever is wrong; [`Error::NotApproved`] in strict mode without the exception.
    pub fn decrypt_oaep(
        &self,
        hash: impl Into<FileHash>,
        mask_hash: impl Into<FileHash>,
        label: &[u8],
        ciphertext: &[u8],
    ) -> Result<SecretBytes> {
        if label.len() > MAX_LABEL_BYTES {
            return Err(Error::MessageTooLong {
                operation: "RSAES-OAEP label",
                bytes: label.len(),
                limit: MAX_LABEL_BYTES,
            });
        }
        let padding = Padding::Oaep {
            hash: hash.into(),
            mask_hash: mask_hash.into(),
            label,
        };
        self.perform(Service::RsaOaepDecrypt, &padding, ciphertext)
    }

    /// RSAES-PKCS1-v1_5 decryption (RFC 8017 section 7.2.2).
    ///
    /// **Not approved.** Who lets strangers see, or measure, whether this fails is Bleichenbacher's oracle: go on with a random key of
    /// the expected length instead, and fail once, at the end (RFC 3218 section 2.3.2).
    ///
    /// # Errors
    /// [`Error::Decryption`], whatever is wrong; [`Error::NotApproved`] in strict mode without the exception.
    pub fn decrypt_pkcs1v15(&self, ciphertext: &[u8]) -> Result<SecretBytes> {
        self.perform(Service::RsaPkcs1v15Decrypt, &Padding::Pkcs1v15, ciphertext)
    }

    fn perform(
        &self,
        service: Service,
        padding: &Padding<'_>,
        ciphertext: &[u8],
    ) -> Result<SecretBytes> {
        let service = if self.bits < MIN_BITS {
            Service::RsaShortKeyDecrypt
        } else {
            service
        };
        if ciphertext.len() != self.bits.div_ceil(8) {
            return Err(Error::Decryption);
        }
        perform(service, |permit| self.decrypt(permit, padding, ciphertext))
    }

    fn decrypt(
        &self,
        permit: &Permit,
        padding: &Padding<'_>,
        ciphertext: &[u8],
    ) -> Result<SecretBytes> {
        let context = Context::new(&self.key)?;
        match padding {
            Padding::Oaep {
                hash,
                mask_hash,
                label,
            } => {
                context.set_padding(lc::RSA_PKCS1_OAEP_PADDING)?;
                context.set_oaep(*hash, *mask_hash)?;
                if !label.is_empty() {
                    context.set_label(label)?;
                }
            }
            Padding::Pkcs1v15 => context.set_padding(lc::RSA_PKCS1_PADDING)?,
        }
        context.decrypt(permit, ciphertext, self.bits.div_ceil(8))
    }
}

/// An `EVP_PKEY_CTX` for decryption, freed when dropped.
struct Context(NonNull<lc::EVP_PKEY_CTX>);

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: evp.h: EVP_PKEY_CTX_free takes what EVP_PKEY_CTX_new returned; freed here only.
        unsafe { lc::EVP_PKEY_CTX_free(self.0.as_ptr()) }
    }
}

impl Context {
    fn new(key: &Pkey) -> Result<Self> {
        // SAFETY: evp.h: EVP_PKEY_CTX_new takes a reference of its own to the key, which is valid here, and no engine; it gives a context
        // or null.
        let context = unsafe { lc::EVP_PKEY_CTX_new(key.as_ptr(), null_mut()) };
        let context = Self(NonNull::new(context).ok_or_else(setting_failed)?);
        // SAFETY: evp.h: EVP_PKEY_decrypt_init takes a valid context.
        done(unsafe { lc::EVP_PKEY_decrypt_init(context.0.as_ptr()) })?;
        Ok(context)
    }

    fn set_padding(&self, padding: c_int) -> Result<()> {
        // SAFETY: evp.h: takes a valid context of an RSA key that was initialised for decryption, and a constant of rsa.h.
        done(unsafe { lc::EVP_PKEY_CTX_set_rsa_padding(self.0.as_ptr(), padding) })
    }

    fn set_oaep(&self, hash: FileHash, mask_hash: FileHash) -> Result<()> {
        // SAFETY: evp.h: both take a valid context whose padding is OAEP, and a digest of static lifetime.
        done(unsafe {
            let context = self.0.as_ptr();
            c_int::from(
                lc::EVP_PKEY_CTX_set_rsa_oaep_md(context, hash.evp()) == 1
                    && lc::EVP_PKEY_CTX_set_rsa_mgf1_md(context, mask_hash.evp()) == 1,
            )
        })
    }

    fn set_label(&self, label: &[u8]) -> Result<()> {
        // SAFETY: mem.h: OPENSSL_memdup copies `label.len()` bytes, which are there, and gives memory of the module or null.
        let copy = unsafe { lc::OPENSSL_memdup(label.as_ptr().cast(), label.len()) };
        if copy.is_null() {
            return Err(setting_failed());
        }
        // SAFETY: evp.h: on success the context owns the copy and frees it with OPENSSL_free.
        let set = unsafe {
            lc::EVP_PKEY_CTX_set0_rsa_oaep_label(self.0.as_ptr(), copy.cast(), label.len())
        };
        if set != 1 {
            // SAFETY: evp.h: on failure the copy is still ours; mem.h: freed once, here.
            unsafe { lc::OPENSSL_free(copy) };
        }
        done(set)
    }

    fn decrypt(&self, _: &Permit, ciphertext: &[u8], modulus_bytes: usize) -> Result<SecretBytes> {
        let mut out = SecretBytes::zeroed(modulus_bytes);
        let mut len = out.len();
        // SAFETY: evp.h: EVP_PKEY_decrypt reads `in_len` bytes of `in`, writes at most `*out_len` bytes to `out`, which has that many,
        // and sets `*out_len` to what it wrote. A buffer of the modulus' length is always enough.
        let decrypted = unsafe {
            lc::EVP_PKEY_decrypt(
                self.0.as_ptr(),
                out.expose_mut().as_mut_ptr(),
                &raw mut len,
                ciphertext.as_ptr(),
                ciphertext.len(),
            )
        };
        if decrypted != 1 {
            clear_errors();
            return Err(Error::Decryption);
        }
        out.truncate(len);
        Ok(out)
    }
}

fn clear_errors() {
    // SAFETY: err.h: ERR_clear_error takes nothing and works on the calling thread's queue.
    unsafe { lc::ERR_clear_error() };
}

fn setting_failed() -> Error {
    clear_errors();
    Error::Module {
        operation: "setting up RSA decryption",
    }
}

fn done(result: c_int) -> Result<()> {
    if result == 1 {
        Ok(())
    } else {
        Err(setting_failed())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]

    use super::*;
    use crate::digest::Hash;
    use crate::policy::Policy;
    use crate::rsa::PrivateKey;

    #[test]
    fn it_reads_what_the_other_key_type_of_this_crate_encrypts() {
        let _mode = crate::policy::tests::under(Policy::OFF);
        let key = PrivateKey::generate(2048).unwrap();
        let reading = ReadingKey::from_pkcs8(key.pkcs8_der().unwrap().expose()).unwrap();
        assert_eq!(reading.modulus_bits(), 2048);
        let public = key.public().unwrap();
        for hash in [Hash::Sha1, Hash::Sha256, Hash::Sha384, Hash::Sha512] {
            let encrypted = public.encrypt_oaep(hash, b"a content key").unwrap();
            let read = reading.decrypt_oaep(hash, hash, b"", &encrypted).unwrap();
            assert!(read.ct_eq(b"a content key"));
            for other in [Hash::Sha1, Hash::Sha256, Hash::Sha384, Hash::Sha512] {
                let fits = other == hash;
                assert_eq!(
                    reading.decrypt_oaep(hash, other, b"", &encrypted).is_ok(),
                    fits
                );
                assert_eq!(
                    reading.decrypt_oaep(other, hash, b"", &encrypted).is_ok(),
                    fits
                );
            }
            let labelled = reading.decrypt_oaep(hash, hash, b"label", &encrypted);
            assert!(matches!(labelled, Err(Error::Decryption)));
        }
        let encrypted = public.encrypt_pkcs1v15(b"a content key").unwrap();
        assert!(
            reading
                .decrypt_pkcs1v15(&encrypted)
                .unwrap()
                .ct_eq(b"a content key")
        );
        assert!(matches!(
            reading.decrypt_pkcs1v15(&encrypted[1..]),
            Err(Error::Decryption)
        ));
        let endless = vec![0; MAX_LABEL_BYTES + 1];
        assert_eq!(
            reading
                .decrypt_oaep(Hash::Sha1, Hash::Sha1, &endless, &encrypted)
                .err()
                .unwrap()
                .code(),
            "message_too_long"
        );
    }

    #[test]
    fn in_strict_mode_it_refuses_with_the_name_of_the_exception() {
        let _mode = crate::policy::tests::under(Policy::STRICT);
        let key = PrivateKey::generate(2048).unwrap();
        let reading = ReadingKey::from_pkcs8(key.pkcs8_der().unwrap().expose()).unwrap();
        for (refused, exception) in [
            (
                reading.decrypt_oaep(Hash::Sha256, Hash::Sha1, b"", &[0; 256]),
                "rsa-key-transport-in-module",
            ),
            (reading.decrypt_pkcs1v15(&[0; 256]), "cms-rsa-pkcs1v15"),
        ] {
            assert!(
                matches!(refused, Err(Error::NotApproved { exception: named, .. }) if named == exception)
            );
        }
    }

    #[test]
    fn cut_and_changed_keys_never_panic() {
        let key = PrivateKey::generate(2048).unwrap().pkcs8_der().unwrap();
        for at in (0..key.len()).step_by(7) {
            assert!(ReadingKey::from_pkcs8(&key.expose()[..at]).is_err());
            let mut changed = key.expose().to_vec();
            changed[at] ^= 0x55;
            let _ = ReadingKey::from_pkcs8(&changed);
        }
    }
}
