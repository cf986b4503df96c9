//! AES (FIPS 197): CBC with padding, GCM with a random nonce, and key wrap.

mod gcm;
mod gcm_foreign;
mod key_wrap;

pub use gcm::{GCM_OVERHEAD_BYTES, gcm_open, gcm_seal};
pub use gcm_foreign::gcm_open_detached;
pub use key_wrap::{key_unwrap, key_unwrap_padded, key_wrap, key_wrap_padded};

use crate::cbc::{self, Cipher};
use crate::policy::{Service, perform};
use crate::{Error, Result, random, secret::SecretBytes};

fn cipher(key: &SecretBytes) -> Result<Cipher> {
    match key.len() {
        16 => Ok(Cipher::Aes128),
        24 => Ok(Cipher::Aes192),
        32 => Ok(Cipher::Aes256),
        bytes => Err(Error::KeyLength {
            algorithm: "AES",
            bytes,
            accepted: "16, 24 or 32",
        }),
    }
}

/// AES-128/192/256-CBC (by the length of the key) with the padding of RFC 5652 section 6.3.
///
/// Approved service (SP 800-38A). The IV must not be predictable: [`cbc_encrypt_random_iv`] makes one.
///
/// # Errors
/// [`Error::KeyLength`]; [`Error::MessageTooLong`] at 2 GiB.
pub fn cbc_encrypt(key: &SecretBytes, iv: &[u8; 16], plaintext: &[u8]) -> Result<Vec<u8>> {
    let cipher = cipher(key)?;
    perform(Service::AesCbc, |permit| {
        cbc::encrypt(permit, cipher, key.expose(), iv, plaintext)
    })
}

/// As [`cbc_encrypt`], under a random IV, which comes first in the result. Approved service.
///
/// # Errors
/// As [`cbc_encrypt`], and [`Error::Random`].
pub fn cbc_encrypt_random_iv(key: &SecretBytes, plaintext: &[u8]) -> Result<([u8; 16], Vec<u8>)> {
    let iv = random::array()?;
    Ok((iv, cbc_encrypt(key, &iv, plaintext)?))
}

/// Decrypts what [`cbc_encrypt`] made. Approved service.
///
/// CBC has no integrity: who decrypts what strangers can change, and lets them see whether it worked, is a padding
/// oracle. The padding is checked in constant time, but the caller must not answer differently either.
///
/// # Errors
/// [`Error::KeyLength`]; [`Error::Decryption`] for an impossible length and for a bad padding alike.
pub fn cbc_decrypt(key: &SecretBytes, iv: &[u8; 16], ciphertext: &[u8]) -> Result<SecretBytes> {
    let cipher = cipher(key)?;
    perform(Service::AesCbc, |permit| {
        cbc::decrypt(permit, cipher, key.expose(), iv, ciphertext)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]

    use super::*;

    #[test]
    fn every_length_and_key_size_comes_back() {
        for key_len in [16, 24, 32] {
            let key = random::secret(key_len).unwrap();
            for len in 0..=48 {
                let plaintext = vec![7; len];
                let (iv, ciphertext) = cbc_encrypt_random_iv(&key, &plaintext).unwrap();
                assert_eq!(ciphertext.len(), (len / 16 + 1) * 16);
                let back = cbc_decrypt(&key, &iv, &ciphertext).unwrap();
                assert!(back.ct_eq(&plaintext));
            }
        }
    }

    #[test]
    fn other_key_lengths_are_named() {
        for len in [0, 1, 15, 17, 33, 64] {
            let key = SecretBytes::zeroed(len);
            assert_eq!(
                cbc_encrypt(&key, &[0; 16], b"").unwrap_err().code(),
                "key_length"
            );
            assert!(cbc_decrypt(&key, &[0; 16], &[0; 16]).is_err());
        }
    }

    #[test]
    fn ciphertexts_of_impossible_length_are_refused() {
        let key = SecretBytes::zeroed(32);
        for len in [0, 1, 15, 17, 31] {
            assert!(matches!(
                cbc_decrypt(&key, &[0; 16], &vec![0; len]),
                Err(Error::Decryption)
            ));
        }
    }
}
