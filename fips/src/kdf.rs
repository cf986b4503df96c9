//! Key derivation: two approved functions, and those that formats of others need.

mod cmp;
mod pbkdf1;
mod pbkdf2;
mod pkcs12;
mod scrypt;
mod x963;

pub use cmp::{password_based_mac_key, pbmac1_message_key};
pub use pbkdf1::pbkdf1;
pub use pbkdf2::pbkdf2;
pub use pkcs12::{Pkcs12Purpose, Pkcs12Use, pkcs12};
pub use scrypt::{ScryptCost, scrypt};
pub use x963::x963;

use crate::digest::{FileHash, Hash, LONGEST_DIGEST};
use crate::policy::{Service, perform};
use crate::{Error, Result, secret::SecretBytes};
use aws_lc_rs::hkdf as lc_hkdf;

/// The most that one derivation gives, in bytes: far above every key, far below what could exhaust memory.
pub const MAX_DERIVED_BYTES: usize = 64 * 1024;

fn output(operation: &'static str, bytes: usize, limit: usize) -> Result<SecretBytes> {
    if bytes > limit {
        return Err(Error::OutputLength {
            operation,
            bytes,
            limit,
        });
    }
    Ok(SecretBytes::zeroed(bytes))
}

/// The digest at the beginning of a buffer that has room for the longest.
fn beginning(buffer: &[u8; LONGEST_DIGEST], hash: FileHash) -> &[u8] {
    buffer.get(..hash.output_len()).unwrap_or(buffer)
}

/// The error for a call that cannot fail with checked inputs; the module's error queue of this thread is emptied.
fn refused(operation: &'static str) -> Error {
    // SAFETY: err.h: ERR_clear_error takes nothing and works on the calling thread's queue.
    unsafe { aws_lc_fips_sys::ERR_clear_error() };
    Error::Module { operation }
}

struct OutputLen(usize);

impl lc_hkdf::KeyType for OutputLen {
    fn len(&self) -> usize {
        self.0
    }
}

/// HKDF, extract and expand (RFC 5869), `len` bytes.
///
/// Approved service (SP 800-56C) when `ikm` is a shared secret. Salt and info must not be empty: the module does not count it as
/// approved otherwise, and nothing here needs it.
///
/// # Errors
/// [`Error::OutputLength`] above 255 times the length of the digest (RFC 5869 section 2.3); [`Error::MessageLength`] for an empty
/// salt or info.
pub fn hkdf(hash: Hash, salt: &[u8], ikm: &[u8], info: &[u8], len: usize) -> Result<SecretBytes> {
    const OPERATION: &str = "HKDF";
    let algorithm = match hash {
        Hash::Sha1 => lc_hkdf::HKDF_SHA1_FOR_LEGACY_USE_ONLY,
        Hash::Sha256 => lc_hkdf::HKDF_SHA256,
        Hash::Sha384 => lc_hkdf::HKDF_SHA384,
        Hash::Sha512 => lc_hkdf::HKDF_SHA512,
    };
    let mut out = output(OPERATION, len, 255 * hash.output_len())?;
    if len == 0 || salt.is_empty() || info.is_empty() {
        return Err(Error::MessageLength {
            operation: OPERATION,
            bytes: 0,
        });
    }
    perform(Service::Hkdf, |_| {
        lc_hkdf::Salt::new(algorithm, salt)
            .extract(ikm)
            .expand(&[info], OutputLen(len))
            .and_then(|okm| okm.fill(out.expose_mut()))
            .map_err(|_| Error::Module {
                operation: OPERATION,
            })?;
        Ok(out)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn test_case_1_of_rfc_5869_comes_out() {
        let salt: Vec<u8> = (0..=0x0c).collect();
        let info: Vec<u8> = (0xf0..=0xf9).collect();
        let okm = hkdf(Hash::Sha256, &salt, &[0x0b; 22], &info, 42).unwrap();
        assert_eq!(
            base16ct::lower::encode_string(okm.expose()),
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
        );
    }

    #[test]
    fn hkdf_stops_at_255_blocks() {
        for hash in Hash::ALL {
            let limit = 255 * hash.output_len();
            assert_eq!(hkdf(hash, b"s", b"", b"i", limit).unwrap().len(), limit);
            assert!(matches!(
                hkdf(hash, b"s", b"", b"i", limit + 1),
                Err(Error::OutputLength { limit: l, .. }) if l == limit
            ));
        }
    }

    #[test]
    fn hkdf_takes_any_length_of_info() {
        for len in [1, 255, 256, 257, 10_000] {
            assert_eq!(
                hkdf(Hash::Sha256, b"s", b"k", &vec![7; len], 32)
                    .unwrap()
                    .len(),
                32
            );
        }
    }

    #[test]
    fn hkdf_wants_salt_info_and_an_output() {
        for (salt, info, len) in [(&b""[..], &b"i"[..], 8), (b"s", b"", 8), (b"s", b"i", 0)] {
            assert!(matches!(
                hkdf(Hash::Sha256, salt, b"k", info, len),
                Err(Error::MessageLength { bytes: 0, .. })
            ));
        }
    }
}
