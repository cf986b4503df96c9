//! Key derivation: two approved functions, and two that formats of others need.

mod pkcs12;
mod x963;

pub use pkcs12::{Pkcs12Purpose, Pkcs12Use, pkcs12};
pub use x963::x963;

use crate::policy::{Service, perform};
use crate::{Error, Result, digest::Hash, secret::SecretBytes};
use aws_lc_rs::{hkdf as lc_hkdf, pbkdf2 as lc_pbkdf2};
use std::num::NonZeroU32;

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

/// PBKDF2 with HMAC (RFC 8018 section 5.2), `len` bytes.
///
/// Approved service (SP 800-132, for storage) with a password of 14 bytes or more, a salt of 16 bytes or more and 1000
/// iterations or more ([`crate::policy::bounds`]). Anything less is another service, which strict mode refuses.
/// The time is proportional to `iterations`; to bound it is up to the caller, who knows where the number comes from.
///
/// # Errors
/// [`Error::OutputLength`] above [`MAX_DERIVED_BYTES`] and for no output at all; [`Error::NotApproved`] out of bounds in strict mode.
pub fn pbkdf2(
    hash: Hash,
    password: &[u8],
    salt: &[u8],
    iterations: NonZeroU32,
    len: usize,
) -> Result<SecretBytes> {
    let algorithm = match hash {
        Hash::Sha1 => lc_pbkdf2::PBKDF2_HMAC_SHA1,
        Hash::Sha256 => lc_pbkdf2::PBKDF2_HMAC_SHA256,
        Hash::Sha384 => lc_pbkdf2::PBKDF2_HMAC_SHA384,
        Hash::Sha512 => lc_pbkdf2::PBKDF2_HMAC_SHA512,
    };
    let mut out = output("PBKDF2", len, MAX_DERIVED_BYTES)?;
    // The underlying function treats an output of no bytes as an error.
    if len == 0 {
        return Err(Error::OutputLength {
            operation: "PBKDF2",
            bytes: 0,
            limit: MAX_DERIVED_BYTES,
        });
    }
    let service = Service::pbkdf2(password.len(), salt.len(), iterations.get());
    perform(service, |_| {
        lc_pbkdf2::derive(algorithm, iterations, salt, password, out.expose_mut());
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

    #[test]
    fn the_third_vector_of_rfc_6070_comes_out() {
        let _mode = crate::policy::tests::under(crate::policy::Policy::OFF);
        let key = pbkdf2(
            Hash::Sha1,
            b"password",
            b"salt",
            NonZeroU32::new(4096).unwrap(),
            20,
        )
        .unwrap();
        assert_eq!(
            base16ct::lower::encode_string(key.expose()),
            "4b007901b765489abead49d926f721d065a429c1"
        );
    }

    #[test]
    fn pbkdf2_takes_empty_inputs_and_refuses_endless_outputs() {
        let _mode = crate::policy::tests::under(crate::policy::Policy::OFF);
        for len in [1, 65] {
            let key = pbkdf2(Hash::Sha512, b"", b"", NonZeroU32::MIN, len).unwrap();
            assert_eq!(key.len(), len);
        }
        assert!(matches!(
            pbkdf2(Hash::Sha1, b"", b"", NonZeroU32::MIN, usize::MAX),
            Err(Error::OutputLength { .. })
        ));
        assert!(pbkdf2(Hash::Sha1, b"", b"", NonZeroU32::MIN, 0).is_err());
    }
}
