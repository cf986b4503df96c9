//! AES key wrap (RFC 3394, SP 800-38F section 6.2), and with padding (RFC 5649, SP 800-38F section 6.3), with the default initial values.

use crate::policy::{Permit, Service, perform};
use crate::{Error, Result, secret::SecretBytes};
use aws_lc_fips_sys as lc;
use std::ffi::{c_int, c_uint};
use std::mem::MaybeUninit;
use std::ptr::null;

/// What wrapping adds, in bytes.
const OVERHEAD: usize = 8;
/// The module's C interface counts with `int`.
const LIMIT: usize = (c_int::MAX - 64) as usize;

/// An expanded AES key, cleansed when dropped.
struct Schedule(lc::AES_KEY);

impl Schedule {
    fn new(_: &Permit, kek: &SecretBytes, unwrap: bool) -> Result<Self> {
        let bits: c_uint = match kek.len() {
            16 => 128,
            24 => 192,
            32 => 256,
            bytes => {
                return Err(Error::KeyLength {
                    algorithm: "AES key wrap",
                    bytes,
                    accepted: "16, 24 or 32",
                });
            }
        };
        let mut schedule = MaybeUninit::<lc::AES_KEY>::zeroed();
        let key = kek.expose().as_ptr();
        // SAFETY: aes.h: both read `bits` / 8 bytes of `key`, which has that many (the match above), and fill the
        // AES_KEY they are given.
        let failed = unsafe {
            if unwrap {
                lc::AES_set_decrypt_key(key, bits, schedule.as_mut_ptr())
            } else {
                lc::AES_set_encrypt_key(key, bits, schedule.as_mut_ptr())
            }
        };
        // SAFETY: AES_KEY is a C structure of integers, for which all-zero bytes (how it began) are a value.
        let schedule = Self(unsafe { schedule.assume_init() });
        if failed != 0 {
            return Err(Error::Module {
                operation: "AES key expansion",
            });
        }
        Ok(schedule)
    }
}

impl Drop for Schedule {
    fn drop(&mut self) {
        // SAFETY: mem.h: OPENSSL_cleanse writes `len` zero bytes to `ptr`; this is exactly our AES_KEY, whose fields
        // are integers and may be zero.
        unsafe { lc::OPENSSL_cleanse((&raw mut self.0).cast(), size_of::<lc::AES_KEY>()) }
    }
}

/// Wraps `key` (16 bytes or more, a multiple of 8) under `kek` (16, 24 or 32 bytes). The result is 8 bytes longer.
///
/// Approved service (SP 800-38F).
///
/// # Errors
/// [`Error::KeyLength`] for the length of `kek`, [`Error::MessageLength`] for that of `key`.
pub fn key_wrap(kek: &SecretBytes, key: &SecretBytes) -> Result<Vec<u8>> {
    perform(Service::AesKeyWrap, |permit| wrap(permit, kek, key))
}

fn wrap(permit: &Permit, kek: &SecretBytes, key: &SecretBytes) -> Result<Vec<u8>> {
    const OPERATION: &str = "AES key wrap";
    let schedule = Schedule::new(permit, kek, false)?;
    let len = key.len();
    if len < 16 || !len.is_multiple_of(8) || len > LIMIT {
        return Err(Error::MessageLength {
            operation: OPERATION,
            bytes: len,
        });
    }
    let mut out = vec![0; len + OVERHEAD];
    // SAFETY: aes.h, AES_wrap_key: reads `in_len` bytes of `in` and writes in_len + 8 bytes to `out`, which has that
    // many; a null `iv` means the default initial value of RFC 3394.
    let written = unsafe {
        lc::AES_wrap_key(
            &raw const schedule.0,
            null(),
            out.as_mut_ptr(),
            key.expose().as_ptr(),
            len,
        )
    };
    if usize::try_from(written) != Ok(out.len()) {
        return Err(Error::Module {
            operation: OPERATION,
        });
    }
    Ok(out)
}

/// Unwraps what [`key_wrap`] made. Approved service.
///
/// # Errors
/// [`Error::KeyLength`] for the length of `kek`; [`Error::Decryption`] if `wrapped` was not made with it.
pub fn key_unwrap(kek: &SecretBytes, wrapped: &[u8]) -> Result<SecretBytes> {
    perform(Service::AesKeyWrap, |permit| unwrap(permit, kek, wrapped))
}

fn unwrap(permit: &Permit, kek: &SecretBytes, wrapped: &[u8]) -> Result<SecretBytes> {
    let schedule = Schedule::new(permit, kek, true)?;
    let len = wrapped.len();
    if len < 16 + OVERHEAD || !len.is_multiple_of(8) || len > LIMIT {
        return Err(Error::Decryption);
    }
    let mut out = SecretBytes::zeroed(len - OVERHEAD);
    // SAFETY: aes.h, AES_unwrap_key: reads `in_len` bytes of `in` and writes in_len - 8 bytes to `out`, which has that
    // many; a null `iv` means the default initial value of RFC 3394.
    let written = unsafe {
        lc::AES_unwrap_key(
            &raw const schedule.0,
            null(),
            out.expose_mut().as_mut_ptr(),
            wrapped.as_ptr(),
            len,
        )
    };
    if usize::try_from(written) != Ok(out.len()) {
        return Err(Error::Decryption);
    }
    Ok(out)
}

/// Longest key that is wrapped with padding here, in bytes: an RSA-16384 private key has 9.3 KB.
const LIMIT_PADDED: usize = 16 * 1024;

/// Wraps `key` (1 byte to 16 KiB) under `kek` (16, 24 or 32 bytes) with padding (RFC 5649). The result is 9 to 16 bytes longer.
///
/// Approved service (SP 800-38F, KWP).
///
/// # Errors
/// [`Error::KeyLength`] for the length of `kek`, [`Error::MessageLength`] for that of `key`.
pub fn key_wrap_padded(kek: &SecretBytes, key: &SecretBytes) -> Result<Vec<u8>> {
    perform(Service::AesKeyWrap, |permit| wrap_padded(permit, kek, key))
}

fn wrap_padded(permit: &Permit, kek: &SecretBytes, key: &SecretBytes) -> Result<Vec<u8>> {
    const OPERATION: &str = "AES key wrap with padding";
    let schedule = Schedule::new(permit, kek, false)?;
    let len = key.len();
    if len == 0 || len > LIMIT_PADDED {
        return Err(Error::MessageLength {
            operation: OPERATION,
            bytes: len,
        });
    }
    let expected = len.next_multiple_of(8) + OVERHEAD;
    let mut out = vec![0; expected];
    let mut written = 0;
    // SAFETY: aes.h, AES_wrap_key_padded: reads `in_len` bytes of `in`, writes at most `max_out` bytes to `out`, which has that many,
    // and their number to `out_len`, a live local.
    let done = unsafe {
        lc::AES_wrap_key_padded(
            &raw const schedule.0,
            out.as_mut_ptr(),
            &raw mut written,
            out.len(),
            key.expose().as_ptr(),
            len,
        )
    };
    if done != 1 || written != expected {
        return Err(Error::Module {
            operation: OPERATION,
        });
    }
    Ok(out)
}

/// Unwraps what [`key_wrap_padded`] made. Approved service.
///
/// # Errors
/// [`Error::KeyLength`] for the length of `kek`; [`Error::Decryption`] if `wrapped` was not made with it.
pub fn key_unwrap_padded(kek: &SecretBytes, wrapped: &[u8]) -> Result<SecretBytes> {
    perform(Service::AesKeyWrap, |permit| {
        unwrap_padded(permit, kek, wrapped)
    })
}

fn unwrap_padded(permit: &Permit, kek: &SecretBytes, wrapped: &[u8]) -> Result<SecretBytes> {
    let schedule = Schedule::new(permit, kek, true)?;
    let len = wrapped.len();
    if len < 2 * OVERHEAD || !len.is_multiple_of(8) || len > LIMIT_PADDED + 2 * OVERHEAD {
        return Err(Error::Decryption);
    }
    let mut out = SecretBytes::zeroed(len);
    let mut written = 0;
    // SAFETY: aes.h, AES_unwrap_key_padded: reads `in_len` bytes of `in`, writes at most `max_out` bytes to `out`, which has that many,
    // and their number to `out_len`, a live local.
    let done = unsafe {
        lc::AES_unwrap_key_padded(
            &raw const schedule.0,
            out.expose_mut().as_mut_ptr(),
            &raw mut written,
            len,
            wrapped.as_ptr(),
            len,
        )
    };
    if done != 1 || written > len {
        return Err(Error::Decryption);
    }
    out.truncate(written);
    Ok(out)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]

    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        base16ct::mixed::decode_vec(hex).unwrap()
    }

    /// RFC 3394 sections 4.1 (128-bit data under 128), 4.2 (under 192) and 4.6 (256-bit data under 256).
    #[test]
    fn the_vectors_of_rfc_3394_come_out() {
        let kek = bytes("000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F");
        let data = bytes("00112233445566778899AABBCCDDEEFF000102030405060708090A0B0C0D0E0F");
        for (kek_len, data_len, expected) in [
            (16, 16, "1FA68B0A8112B447AEF34BD8FB5A7B829D3E862371D2CFE5"),
            (24, 16, "96778B25AE6CA435F92B5B97C050AED2468AB8A17AD84E5D"),
            (
                32,
                32,
                "28C9F404C4B810F4CBCCB35CFB87F8263F5786E2D80ED326CBC7F0E71A99F43BFB988B9B7A02DD21",
            ),
        ] {
            let kek = SecretBytes::from_slice(&kek[..kek_len]);
            let data = SecretBytes::from_slice(&data[..data_len]);
            let wrapped = key_wrap(&kek, &data).unwrap();
            assert_eq!(wrapped, bytes(expected));
            assert!(key_unwrap(&kek, &wrapped).unwrap().ct_eq(data.expose()));
        }
    }

    #[test]
    fn changed_cut_and_foreign_wrappings_are_refused() {
        let kek = SecretBytes::zeroed(32);
        let mut wrapped = key_wrap(&kek, &SecretBytes::zeroed(32)).unwrap();
        for cut in 0..wrapped.len() {
            assert!(key_unwrap(&kek, &wrapped[..cut]).is_err(), "{cut}");
        }
        assert!(key_unwrap(&SecretBytes::zeroed(16), &wrapped).is_err());
        wrapped[9] ^= 1;
        assert!(matches!(key_unwrap(&kek, &wrapped), Err(Error::Decryption)));
    }

    /// RFC 5649 section 6: 20 and 7 bytes under a key of 192 bits.
    #[test]
    fn the_vectors_of_rfc_5649_come_out() {
        let kek = SecretBytes::from_vec(bytes("5840DF6E29B02AF1AB493B705BF16EA1AE8338F4DCC176A8"));
        for (data, expected) in [
            (
                "C37B7E6492584340BED12207808941155068F738",
                "138BDEAA9B8FA7FC61F97742E72248EE5AE6AE5360D1AE6A5F54F373FA543B6A",
            ),
            ("466F7250617369", "AFBEB0F07DFBF5419200F2CCB50BB24F"),
        ] {
            let data = SecretBytes::from_vec(bytes(data));
            let wrapped = key_wrap_padded(&kek, &data).unwrap();
            assert_eq!(wrapped, bytes(expected));
            let back = key_unwrap_padded(&kek, &wrapped).unwrap();
            assert!(back.ct_eq(data.expose()));
            for cut in 0..wrapped.len() {
                assert!(key_unwrap_padded(&kek, &wrapped[..cut]).is_err(), "{cut}");
            }
            let mut changed = wrapped.clone();
            changed[3] ^= 1;
            assert!(key_unwrap_padded(&kek, &changed).is_err());
        }
        for len in [0, LIMIT_PADDED + 1] {
            assert!(key_wrap_padded(&kek, &SecretBytes::zeroed(len)).is_err());
        }
    }

    #[test]
    fn impossible_lengths_are_refused() {
        for len in [0, 8, 15, 17] {
            assert!(key_wrap(&SecretBytes::zeroed(16), &SecretBytes::zeroed(len)).is_err());
        }
        for len in [0, 8, 15, 33] {
            assert!(key_wrap(&SecretBytes::zeroed(len), &SecretBytes::zeroed(16)).is_err());
            assert!(key_unwrap(&SecretBytes::zeroed(len), &[0; 24]).is_err());
        }
    }
}
