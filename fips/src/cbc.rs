//! Block ciphers in CBC mode with the padding of RFC 5652 section 6.3, over the module's EVP interface.
//!
//! The safe wrapper has no 3DES and checks the padding byte by byte. Here the module decrypts without looking at the
//! padding, and the padding is taken off in constant time.

use crate::policy::Permit;
use crate::{Error, Result, secret::SecretBytes};
use aws_lc_fips_sys as lc;
use std::ffi::c_int;
use std::ptr::{NonNull, null, null_mut};

/// A block cipher in CBC mode, with the lengths it needs.
#[derive(Clone, Copy)]
pub(crate) enum Cipher {
    Aes128,
    Aes192,
    Aes256,
    Des,
    DesEde3,
    /// RC2, whose key has this many bytes and this many effective bits.
    Rc2 {
        key_bytes: u8,
        effective_bits: u16,
    },
}

impl Cipher {
    const fn key_len(self) -> usize {
        match self {
            Self::Des => 8,
            Self::Aes128 => 16,
            Self::Aes192 | Self::DesEde3 => 24,
            Self::Aes256 => 32,
            Self::Rc2 { key_bytes, .. } => key_bytes as usize,
        }
    }

    const fn block_len(self) -> usize {
        match self {
            Self::Aes128 | Self::Aes192 | Self::Aes256 => 16,
            Self::Des | Self::DesEde3 | Self::Rc2 { .. } => 8,
        }
    }

    fn evp(self) -> *const lc::EVP_CIPHER {
        // SAFETY: evp.h/cipher.h: each of these returns a pointer to a constant of static lifetime; no arguments.
        unsafe {
            match self {
                Self::Aes128 => lc::EVP_aes_128_cbc(),
                Self::Aes192 => lc::EVP_aes_192_cbc(),
                Self::Aes256 => lc::EVP_aes_256_cbc(),
                Self::Des => lc::EVP_des_cbc(),
                Self::DesEde3 => lc::EVP_des_ede3_cbc(),
                Self::Rc2 { .. } => lc::EVP_rc2_cbc(),
            }
        }
    }
}

const ENCRYPT: &str = "CBC encryption";
const DECRYPT: &str = "CBC decryption";

/// A cipher context, freed (and cleansed by the module) when dropped.
struct Context(NonNull<lc::EVP_CIPHER_CTX>);

impl Context {
    fn new(operation: &'static str) -> Result<Self> {
        // SAFETY: cipher.h: EVP_CIPHER_CTX_new takes nothing and returns an initialised context or null.
        let context = unsafe { lc::EVP_CIPHER_CTX_new() };
        NonNull::new(context)
            .map(Self)
            .ok_or_else(|| refused(operation))
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: cipher.h: EVP_CIPHER_CTX_free takes what EVP_CIPHER_CTX_new returned; freed here only.
        unsafe { lc::EVP_CIPHER_CTX_free(self.0.as_ptr()) }
    }
}

/// The error for a call that cannot fail with checked inputs; the module's error queue of this thread is emptied.
fn refused(operation: &'static str) -> Error {
    // SAFETY: err.h: ERR_clear_error takes nothing and works on the calling thread's queue.
    unsafe { lc::ERR_clear_error() };
    Error::Module { operation }
}

/// Makes a context ready to decrypt. The lengths of `key` and `iv` have been checked.
fn start_decryption(_: &Permit, context: &Context, cipher: Cipher, key: &[u8], iv: &[u8]) -> bool {
    let context = context.0.as_ptr();
    let (evp, key, iv) = (cipher.evp(), key.as_ptr(), iv.as_ptr());
    let Cipher::Rc2 {
        key_bytes,
        effective_bits,
    } = cipher
    else {
        // SAFETY: cipher.h, EVP_DecryptInit_ex without an engine: `key` and `iv` have the lengths of this cipher.
        return unsafe { lc::EVP_DecryptInit_ex(context, evp, null_mut(), key, iv) == 1 };
    };
    // SAFETY: cipher.h, as above, in two steps: first the cipher alone, then its parameters, then a key of just the length that was set
    // and an IV of one block. EVP_CTRL_SET_RC2_KEY_BITS takes no pointer.
    unsafe {
        lc::EVP_DecryptInit_ex(context, evp, null_mut(), null(), null()) == 1
            && lc::EVP_CIPHER_CTX_set_key_length(context, key_bytes.into()) == 1
            && lc::EVP_CIPHER_CTX_ctrl(
                context,
                lc::EVP_CTRL_SET_RC2_KEY_BITS,
                effective_bits.into(),
                null_mut(),
            ) == 1
            && lc::EVP_DecryptInit_ex(context, null(), null_mut(), key, iv) == 1
    }
}

/// Checks the lengths that the C interface would take on trust. Returns the data's length as C counts it.
fn checked_len(
    cipher: Cipher,
    operation: &'static str,
    key: &[u8],
    iv: &[u8],
    data: &[u8],
) -> Result<c_int> {
    if key.len() != cipher.key_len() || iv.len() != cipher.block_len() {
        return Err(Error::Module { operation });
    }
    // Room for the padding must be left in a C int.
    const LIMIT: usize = (c_int::MAX - 64) as usize;
    match c_int::try_from(data.len()) {
        Ok(len) if data.len() <= LIMIT => Ok(len),
        _ => Err(Error::MessageTooLong {
            operation,
            bytes: data.len(),
            limit: LIMIT,
        }),
    }
}

/// Pads and encrypts.
pub(crate) fn encrypt(
    _: &Permit,
    cipher: Cipher,
    key: &[u8],
    iv: &[u8],
    plaintext: &[u8],
) -> Result<Vec<u8>> {
    let len = checked_len(cipher, ENCRYPT, key, iv, plaintext)?;
    let context = Context::new(ENCRYPT)?;
    let context = context.0.as_ptr();
    let mut out = vec![0_u8; plaintext.len() + cipher.block_len()];
    let (mut body, mut tail): (c_int, c_int) = (0, 0);
    // SAFETY: cipher.h, EVP_EncryptInit_ex: `key` and `iv` have the lengths of this cipher (checked above), no engine.
    // EVP_EncryptUpdate writes at most in_len + block_len - 1 bytes and EVP_EncryptFinal_ex at most block_len more, in
    // total the padded length, which is at most plaintext.len() + block_len = out.len(). After a successful update
    // `body` is between 0 and in_len, so out + body is inside of `out`. Input and output do not overlap.
    let done = unsafe {
        lc::EVP_EncryptInit_ex(context, cipher.evp(), null_mut(), key.as_ptr(), iv.as_ptr()) == 1
            && lc::EVP_EncryptUpdate(
                context,
                out.as_mut_ptr(),
                &raw mut body,
                plaintext.as_ptr(),
                len,
            ) == 1
            && lc::EVP_EncryptFinal_ex(
                context,
                out.as_mut_ptr().offset(body as isize),
                &raw mut tail,
            ) == 1
    };
    match (usize::try_from(body), usize::try_from(tail)) {
        (Ok(body), Ok(tail))
            if done && body + tail == out.len() - plaintext.len() % cipher.block_len() =>
        {
            out.truncate(body + tail);
            Ok(out)
        }
        _ => Err(refused(ENCRYPT)),
    }
}

/// Decrypts and takes the padding off.
///
/// An impossible length and a bad padding are the same [`Error::Decryption`]; how much padding there is does not show
/// in the time either, as far as the length of the result does not.
pub(crate) fn decrypt(
    permit: &Permit,
    cipher: Cipher,
    key: &[u8],
    iv: &[u8],
    ciphertext: &[u8],
) -> Result<SecretBytes> {
    let mut out = decrypt_blocks(permit, cipher, key, iv, ciphertext)?;
    let padding = padding_len(out.expose(), cipher.block_len()).ok_or(Error::Decryption)?;
    out.truncate(ciphertext.len() - padding);
    Ok(out)
}

/// Decrypts whole blocks, whose last one is no padding, or not yet looked at.
///
/// No block at all and a part of one are [`Error::Decryption`].
pub(crate) fn decrypt_blocks(
    permit: &Permit,
    cipher: Cipher,
    key: &[u8],
    iv: &[u8],
    ciphertext: &[u8],
) -> Result<SecretBytes> {
    let len = checked_len(cipher, DECRYPT, key, iv, ciphertext)?;
    if ciphertext.is_empty() || !ciphertext.len().is_multiple_of(cipher.block_len()) {
        return Err(Error::Decryption);
    }
    let context = Context::new(DECRYPT)?;
    let ready = start_decryption(permit, &context, cipher, key, iv);
    let context = context.0.as_ptr();
    // EVP_DecryptUpdate may ask for one block more than it is given.
    let mut out = SecretBytes::zeroed(ciphertext.len() + cipher.block_len());
    let mut body: c_int = 0;
    let mut tail: c_int = 0;
    // SAFETY: cipher.h: the context is ready, or nothing is called.
    // EVP_DecryptUpdate writes at most in_len + block_len bytes, which is out.len(). Without padding and with whole
    // blocks EVP_DecryptFinal_ex writes nothing; `body` is then in_len, so out + body is inside of `out`. No overlap.
    let done = unsafe {
        ready
            && lc::EVP_CIPHER_CTX_set_padding(context, 0) == 1
            && lc::EVP_DecryptUpdate(
                context,
                out.expose_mut().as_mut_ptr(),
                &raw mut body,
                ciphertext.as_ptr(),
                len,
            ) == 1
            && lc::EVP_DecryptFinal_ex(
                context,
                out.expose_mut().as_mut_ptr().offset(body as isize),
                &raw mut tail,
            ) == 1
    };
    if !done || body != len || tail != 0 {
        return Err(refused(DECRYPT));
    }
    out.truncate(ciphertext.len());
    Ok(out)
}

/// The number of padding bytes, if the padding is right. Always reads the whole last block and decides at the end.
fn padding_len(padded: &[u8], block_len: usize) -> Option<usize> {
    let last = *padded.last()?;
    let padding = u32::from(last);
    let block = u32::try_from(block_len).ok()?;
    let mut wrong = mask_less(padding, 1) | mask_less(block, padding);
    for (position, byte) in (0..block).zip(padded.iter().rev()) {
        wrong |= mask_less(position, padding) & u32::from(byte ^ last);
    }
    (std::hint::black_box(wrong) == 0).then_some(usize::from(last))
}

/// All ones if `a < b`, else zero, without a branch, for numbers below 2^31.
fn mask_less(a: u32, b: u32) -> u32 {
    std::hint::black_box(a.wrapping_sub(b) >> 31).wrapping_neg()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]

    use super::*;
    use crate::policy::Service;

    #[test]
    fn padding_is_accepted_exactly_as_rfc_5652_says() {
        for block in [8, 16] {
            for last in 0..=255_u8 {
                let mut padded = vec![0xee; 2 * block];
                let n = usize::from(last).min(padded.len());
                let from = padded.len() - n;
                padded[from..].fill(last);
                if let Some(byte) = padded.last_mut() {
                    *byte = last;
                }
                let expected = (1..=block).contains(&usize::from(last));
                assert_eq!(
                    padding_len(&padded, block),
                    expected.then_some(usize::from(last)),
                    "{last}"
                );
                if expected && last > 1 {
                    padded[from] ^= 1;
                    assert_eq!(padding_len(&padded, block), None, "{last}");
                }
            }
        }
        assert_eq!(padding_len(&[], 16), None);
    }

    #[test]
    fn wrong_lengths_never_reach_the_module() {
        let permit = crate::policy::decide(Service::AesCbc).unwrap();
        assert!(encrypt(&permit, Cipher::Aes256, &[0; 31], &[0; 16], b"").is_err());
        assert!(encrypt(&permit, Cipher::Aes256, &[0; 32], &[0; 8], b"").is_err());
        assert!(decrypt(&permit, Cipher::DesEde3, &[0; 16], &[0; 8], &[0; 8]).is_err());
    }
}
