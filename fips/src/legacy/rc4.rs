//! RC4, which PKCS#12 has with 128 and 40 bits (RFC 7292 appendix C).

use crate::policy::{Permit, Service, perform};
use crate::{Error, Result, secret::SecretBytes};
use aws_lc_fips_sys as lc;
use std::ffi::c_uint;
use std::mem::MaybeUninit;

/// The longest key, in bytes: longer ones exist nowhere.
const MAX_KEY_BYTES: c_uint = 32;

/// Decrypts with RC4, read only. There is nothing in it that shows a wrong key. **Never approved.**
///
/// # Errors
/// [`Error::KeyLength`] for anything but 1 to 32 bytes; [`Error::NotApproved`] in strict mode without `pkcs12-legacy-read`.
pub fn rc4_decrypt(key: &SecretBytes, ciphertext: &[u8]) -> Result<SecretBytes> {
    let key_bytes = match c_uint::try_from(key.len()) {
        Ok(bytes @ 1..=MAX_KEY_BYTES) => bytes,
        _ => {
            return Err(Error::KeyLength {
                algorithm: "RC4",
                bytes: key.len(),
                accepted: "1 to 32",
            });
        }
    };
    perform(Service::Rc4Decrypt, |permit| {
        Ok(decrypt(permit, key.expose(), key_bytes, ciphertext))
    })
}

fn decrypt(_: &Permit, key: &[u8], key_bytes: c_uint, ciphertext: &[u8]) -> SecretBytes {
    let mut out = SecretBytes::zeroed(ciphertext.len());
    let mut schedule = MaybeUninit::<lc::RC4_KEY>::uninit();
    // SAFETY: rc4.h: RC4_set_key reads the `key_bytes` of `key`, which are its length (1 to 32), and fills the whole of the schedule, which RC4 then uses;
    // RC4 reads and writes the length of `ciphertext`, which is the length of `out`, and the two do not overlap. OPENSSL_cleanse
    // overwrites the schedule, which is plain numbers and is not looked at again.
    unsafe {
        lc::RC4_set_key(schedule.as_mut_ptr(), key_bytes, key.as_ptr());
        lc::RC4(
            schedule.as_mut_ptr(),
            ciphertext.len(),
            ciphertext.as_ptr(),
            out.expose_mut().as_mut_ptr(),
        );
        lc::OPENSSL_cleanse(schedule.as_mut_ptr().cast(), size_of::<lc::RC4_KEY>());
    }
    out
}
