//! AES-GCM (SP 800-38D), 128 or 256 bits by the length of the key, with a nonce that the module makes.

use crate::policy::{Permit, Service, perform};
use crate::{Error, Result, secret::SecretBytes};
use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use zeroize::Zeroizing;

/// What [`gcm_seal`] adds to the plaintext: a nonce of 12 bytes before it and a tag of 16 bytes behind it.
pub const GCM_OVERHEAD_BYTES: usize = NONCE_LEN + TAG_LEN;
const TAG_LEN: usize = 16;

fn key(key: &SecretBytes) -> Result<RandomizedNonceKey> {
    let refused = |_| Error::KeyLength {
        algorithm: "AES-GCM",
        bytes: key.len(),
        accepted: "16 or 32",
    };
    // With 192 bits the module's GCM is not an approved service.
    let algorithm = match key.len() {
        16 => &AES_128_GCM,
        _ => &AES_256_GCM,
    };
    RandomizedNonceKey::new(algorithm, key.expose()).map_err(refused)
}

/// Encrypts and authenticates `plaintext`, authenticates `aad`. The result is nonce (12 bytes), ciphertext, tag (16 bytes).
///
/// Approved service: the nonce is random and made inside of the module (SP 800-38D section 8.2.2). One key must
/// not seal more than 2^32 messages.
///
/// # Errors
/// [`Error::KeyLength`] for anything but 16 or 32 bytes; [`Error::Module`] for more than the 64 GiB of one GCM message.
pub fn gcm_seal(secret: &SecretBytes, aad: &[u8], plaintext: &[u8]) -> Result<Vec<u8>> {
    let key = key(secret)?;
    perform(Service::AesGcm, |permit| seal(permit, &key, aad, plaintext))
}

fn seal(_: &Permit, key: &RandomizedNonceKey, aad: &[u8], plaintext: &[u8]) -> Result<Vec<u8>> {
    const OPERATION: &str = "AES-GCM sealing";
    let mut out = Zeroizing::new(vec![0; NONCE_LEN + plaintext.len()]);
    out.reserve_exact(TAG_LEN);
    let refused = || Error::Module {
        operation: OPERATION,
    };
    let (head, body) = out.split_at_mut_checked(NONCE_LEN).ok_or_else(refused)?;
    body.copy_from_slice(plaintext);
    let (nonce, tag) = key
        .seal_in_place_separate_tag(Aad::from(aad), body)
        .map_err(|_| refused())?;
    head.copy_from_slice(nonce.as_ref());
    out.extend_from_slice(tag.as_ref());
    Ok(std::mem::take(&mut *out))
}

/// Opens what [`gcm_seal`] made. Approved service.
///
/// # Errors
/// [`Error::KeyLength`] for anything but 16 or 32 bytes; [`Error::Verification`] if anything was changed, cut or made
/// with another key.
pub fn gcm_open(secret: &SecretBytes, aad: &[u8], sealed: &[u8]) -> Result<SecretBytes> {
    let key = key(secret)?;
    perform(Service::AesGcm, |permit| open(permit, &key, aad, sealed))
}

fn open(_: &Permit, key: &RandomizedNonceKey, aad: &[u8], sealed: &[u8]) -> Result<SecretBytes> {
    let (nonce, body) = sealed
        .split_first_chunk::<NONCE_LEN>()
        .ok_or(Error::Verification)?;
    if body.len() < TAG_LEN {
        return Err(Error::Verification);
    }
    let mut out = SecretBytes::from_slice(body);
    let len = key
        .open_in_place(Nonce::from(nonce), Aad::from(aad), out.expose_mut())
        .map_err(|_| Error::Verification)?
        .len();
    out.truncate(len);
    Ok(out)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]

    use super::*;

    #[test]
    fn what_was_sealed_opens_and_nothing_else_does() {
        for (key_len, len) in [16, 32]
            .into_iter()
            .flat_map(|key_len| [0, 1, 15, 16, 1000].map(|len| (key_len, len)))
        {
            let key = crate::random::secret(key_len).unwrap();
            let plaintext = vec![3; len];
            let sealed = gcm_seal(&key, b"aad", &plaintext).unwrap();
            assert_eq!(sealed.len(), len + GCM_OVERHEAD_BYTES);
            assert!(gcm_open(&key, b"aad", &sealed).unwrap().ct_eq(&plaintext));
            assert!(gcm_open(&key, b"AAD", &sealed).is_err());
            assert!(gcm_open(&SecretBytes::zeroed(key_len), b"aad", &sealed).is_err());
            for at in [0, 12, sealed.len() - 1] {
                let mut changed = sealed.clone();
                changed[at] ^= 1;
                assert!(gcm_open(&key, b"aad", &changed).is_err());
            }
            for cut in 0..sealed.len().min(40) {
                assert!(gcm_open(&key, b"aad", &sealed[..cut]).is_err());
            }
        }
    }

    #[test]
    fn two_seals_of_the_same_differ() {
        let key = SecretBytes::zeroed(32);
        assert_ne!(
            gcm_seal(&key, b"", b"x").unwrap(),
            gcm_seal(&key, b"", b"x").unwrap()
        );
    }

    #[test]
    fn keys_of_other_lengths_are_refused_those_of_192_bits_too() {
        for len in [0, 15, 17, 24, 31, 33] {
            let key = SecretBytes::zeroed(len);
            assert_eq!(gcm_seal(&key, b"", b"").unwrap_err().code(), "key_length");
        }
    }
}
