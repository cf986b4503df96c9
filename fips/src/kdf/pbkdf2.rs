//! PBKDF2 (RFC 8018 section 5.2).

use super::{MAX_DERIVED_BYTES, output};
use crate::digest::FileHash;
use crate::policy::{Permit, Service, perform};
use crate::{Error, Result, secret::SecretBytes};
use aws_lc_fips_sys as lc;
use std::num::NonZeroU32;

const OPERATION: &str = "PBKDF2";

/// PBKDF2 with HMAC (RFC 8018 section 5.2), `len` bytes.
///
/// Approved service (SP 800-132, for storage) with a password of 14 bytes or more, a salt of 16 bytes or more and 1000
/// iterations or more ([`crate::policy::bounds`]). Anything less is another service, and so is MD5; strict mode refuses both.
/// The time is proportional to `iterations` times the number of digests in `len`; to bound it is up to the caller, who knows where
/// the numbers come from.
///
/// # Errors
/// [`Error::OutputLength`] above [`MAX_DERIVED_BYTES`] and for no output at all; [`Error::NotApproved`] out of bounds in strict mode.
pub fn pbkdf2(
    hash: impl Into<FileHash>,
    password: &[u8],
    salt: &[u8],
    iterations: NonZeroU32,
    len: usize,
) -> Result<SecretBytes> {
    let hash = hash.into();
    let out = output(OPERATION, len, MAX_DERIVED_BYTES)?;
    // The underlying function treats an output of no bytes as an error.
    if len == 0 {
        return Err(Error::OutputLength {
            operation: OPERATION,
            bytes: 0,
            limit: MAX_DERIVED_BYTES,
        });
    }
    let service = match hash {
        FileHash::Md5 => Service::Pbkdf2Md5,
        _ => Service::pbkdf2(password.len(), salt.len(), iterations.get()),
    };
    perform(service, |permit| {
        derive(permit, hash, password, salt, iterations, out)
    })
}

pub(super) fn derive(
    _: &Permit,
    hash: FileHash,
    password: &[u8],
    salt: &[u8],
    iterations: NonZeroU32,
    mut out: SecretBytes,
) -> Result<SecretBytes> {
    // SAFETY: evp.h, PKCS5_PBKDF2_HMAC: reads `password` and `salt` to their lengths (the password is bytes, no C string) and writes
    // exactly the length of `out`; `iterations` is not zero. It overwrites its state before it returns.
    let done = unsafe {
        lc::PKCS5_PBKDF2_HMAC(
            password.as_ptr().cast(),
            password.len(),
            salt.as_ptr(),
            salt.len(),
            iterations.get(),
            hash.evp(),
            out.len(),
            out.expose_mut().as_mut_ptr(),
        )
    };
    if done == 1 {
        Ok(out)
    } else {
        Err(super::refused(OPERATION))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::digest::Hash;

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
