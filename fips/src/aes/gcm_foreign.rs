//! AES-GCM as others write it: a nonce and a tag whose lengths they chose (RFC 5084 section 3.2). Decryption only.

use crate::policy::{Permit, Service, perform};
use crate::{Error, Result, secret::SecretBytes};
use aws_lc_fips_sys as lc;
use std::ptr::NonNull;

/// Lengths of a tag that are taken, in bytes: those of RFC 5084, which are 96 bits and more (SP 800-38D section 5.2.1.2).
const TAG_BYTES: std::ops::RangeInclusive<usize> = 12..=16;
/// Lengths of a nonce that are taken, in bytes.
const NONCE_BYTES: std::ops::RangeInclusive<usize> = 1..=64;

/// An `EVP_AEAD_CTX`, freed when dropped.
struct Context(NonNull<lc::EVP_AEAD_CTX>);

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: aead.h: EVP_AEAD_CTX_free takes what EVP_AEAD_CTX_new returned, and cleanses it; freed here only.
        unsafe { lc::EVP_AEAD_CTX_free(self.0.as_ptr()) }
    }
}

impl Context {
    fn new(_: &Permit, key: &SecretBytes, tag_bytes: usize) -> Result<Self> {
        // SAFETY: aead.h: each returns a pointer to a constant of static lifetime; no arguments.
        let aead = unsafe {
            match key.len() {
                16 => lc::EVP_aead_aes_128_gcm(),
                32 => lc::EVP_aead_aes_256_gcm(),
                bytes => {
                    return Err(Error::KeyLength {
                        algorithm: "AES-GCM",
                        bytes,
                        accepted: "16 or 32",
                    });
                }
            }
        };
        // SAFETY: aead.h: EVP_AEAD_CTX_new reads `key_len` bytes of `key`, which is the key length of this algorithm (the match above);
        // null when there is no memory or the tag is too long.
        let context =
            unsafe { lc::EVP_AEAD_CTX_new(aead, key.expose().as_ptr(), key.len(), tag_bytes) };
        NonNull::new(context).map(Self).ok_or_else(|| {
            clear_errors();
            Error::Module {
                operation: "AES-GCM opening",
            }
        })
    }
}

fn clear_errors() {
    // SAFETY: err.h: ERR_clear_error takes nothing and works on the calling thread's queue.
    unsafe { lc::ERR_clear_error() };
}

/// Opens `ciphertext` under a nonce of 1 to 64 bytes, with a tag of 12 to 16 bytes that comes apart from it.
///
/// Approved service: decryption does not depend on who made the nonce.
///
/// # Errors
/// [`Error::KeyLength`] for anything but 16 or 32 bytes; [`Error::Verification`] if anything was changed, cut or made with another key,
/// and for lengths of nonce and tag that are not taken.
pub fn gcm_open_detached(
    key: &SecretBytes,
    nonce: &[u8],
    aad: &[u8],
    ciphertext: &[u8],
    tag: &[u8],
) -> Result<SecretBytes> {
    if !TAG_BYTES.contains(&tag.len()) || !NONCE_BYTES.contains(&nonce.len()) {
        return Err(Error::Verification);
    }
    perform(Service::AesGcm, |permit| {
        open(permit, key, nonce, aad, ciphertext, tag)
    })
}

fn open(
    permit: &Permit,
    key: &SecretBytes,
    nonce: &[u8],
    aad: &[u8],
    ciphertext: &[u8],
    tag: &[u8],
) -> Result<SecretBytes> {
    let context = Context::new(permit, key, tag.len())?;
    let mut out = SecretBytes::zeroed(ciphertext.len());
    // SAFETY: aead.h, EVP_AEAD_CTX_open_gather: reads `nonce_len`, `in_len`, `in_tag_len` and `ad_len` bytes of their pointers, which
    // are slices of those lengths, and writes exactly `in_len` bytes to `out`, which has that many and does not overlap `in`.
    let opened = unsafe {
        lc::EVP_AEAD_CTX_open_gather(
            context.0.as_ptr(),
            out.expose_mut().as_mut_ptr(),
            nonce.as_ptr(),
            nonce.len(),
            ciphertext.as_ptr(),
            ciphertext.len(),
            tag.as_ptr(),
            tag.len(),
            aad.as_ptr(),
            aad.len(),
        )
    };
    if opened != 1 {
        clear_errors();
        return Err(Error::Verification);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]

    use super::super::gcm_seal;
    use super::*;

    #[test]
    fn what_was_sealed_opens_in_parts_and_nothing_else_does() {
        for (key_len, len) in [(16, 0), (16, 20), (32, 16), (32, 1000)] {
            let key = crate::random::secret(key_len).unwrap();
            let plaintext = vec![3; len];
            let sealed = gcm_seal(&key, b"aad", &plaintext).unwrap();
            let (nonce, rest) = sealed.split_at(12);
            let (ciphertext, tag) = rest.split_at(len);
            let open = |nonce: &[u8], aad: &[u8], ciphertext: &[u8], tag: &[u8]| {
                gcm_open_detached(&key, nonce, aad, ciphertext, tag)
            };
            assert!(
                open(nonce, b"aad", ciphertext, tag)
                    .unwrap()
                    .ct_eq(&plaintext)
            );
            // A shorter tag is the beginning of the longer one (SP 800-38D section 7.1).
            assert!(
                open(nonce, b"aad", ciphertext, &tag[..12])
                    .unwrap()
                    .ct_eq(&plaintext)
            );
            assert!(open(nonce, b"aad", ciphertext, &tag[..11]).is_err());
            assert!(open(nonce, b"", ciphertext, tag).is_err());
            assert!(open(&[], b"aad", ciphertext, tag).is_err());
            assert!(open(&nonce[1..], b"aad", ciphertext, tag).is_err());
            assert!(open(&[7; 65], b"aad", ciphertext, tag).is_err());
            for at in 0..tag.len() {
                let mut changed = tag.to_vec();
                changed[at] ^= 1;
                assert!(matches!(
                    open(nonce, b"aad", ciphertext, &changed),
                    Err(Error::Verification)
                ));
            }
        }
    }

    /// McGrew and Viega, "The Galois/Counter Mode of Operation", test case 5: a nonce of 64 bits.
    #[test]
    fn nonces_of_other_lengths_than_96_bits_are_read() {
        let bytes = |hex: &str| base16ct::lower::decode_vec(hex).unwrap();
        let plaintext = gcm_open_detached(
            &SecretBytes::from_vec(bytes("feffe9928665731c6d6a8f9467308308")),
            &bytes("cafebabefacedbad"),
            &bytes("feedfacedeadbeeffeedfacedeadbeefabaddad2"),
            &bytes(
                "61353b4c2806934a777ff51fa22a4755699b2a714fcdc6f83766e5f97b6c742373806900e49f24b22b097544d4896b424989b5e1ebac0f07c23f4598",
            ),
            &bytes("3612d2e79e3b0785561be14aaca2fccb"),
        )
        .unwrap();
        assert!(plaintext.expose().starts_with(&bytes("d9313225f88406e5")));
    }

    #[test]
    fn keys_of_192_bits_are_refused() {
        let opened = gcm_open_detached(&SecretBytes::zeroed(24), &[0; 12], b"", b"", &[0; 16]);
        assert_eq!(opened.err().unwrap().code(), "key_length");
    }
}
