//! HMAC (RFC 2104, FIPS 198-1).

use crate::digest::{Digest, FileHash, Hash, LONGEST_DIGEST};
use crate::policy::{Permit, Service, decide, perform};
use crate::secret::ct_eq;
use crate::{Error, Result};
use aws_lc_fips_sys as lcs;
use aws_lc_rs::hmac as lc;
use std::ffi::c_uint;
use zeroize::Zeroizing;

fn algorithm(hash: Hash) -> lc::Algorithm {
    match hash {
        Hash::Sha1 => lc::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        Hash::Sha256 => lc::HMAC_SHA256,
        Hash::Sha384 => lc::HMAC_SHA384,
        Hash::Sha512 => lc::HMAC_SHA512,
    }
}

fn service(hash: FileHash, key: &[u8]) -> Service {
    match hash {
        FileHash::Md5 => Service::HmacMd5,
        _ => Service::hmac(key.len()),
    }
}

/// The code in one call of the module, which overwrites its state afterwards.
fn code(_: &Permit, hash: FileHash, key: &[u8], data: &[u8]) -> Result<Digest> {
    let mut out = Zeroizing::new([0_u8; LONGEST_DIGEST]);
    let mut len: c_uint = 0;
    // SAFETY: hmac.h, HMAC: reads `key` and `data` to their lengths and writes at most EVP_MAX_MD_SIZE = 64 bytes, which is the
    // length of `out`; returns null on failure, with nothing written.
    let done = unsafe {
        lcs::HMAC(
            hash.evp(),
            key.as_ptr().cast(),
            key.len(),
            data.as_ptr(),
            data.len(),
            out.as_mut_ptr(),
            &raw mut len,
        )
    };
    match usize::try_from(len).ok().and_then(|len| out.get(..len)) {
        Some(code) if !done.is_null() => Ok(Digest::from_slice(code)),
        _ => Err(Error::Module { operation: "HMAC" }),
    }
}

/// The authentication code of `data` under `key`.
///
/// Approved service for keys of 112 bits (14 bytes) or more. Shorter keys are another service, which strict mode refuses; the
/// module's indicator says "approved" for them too: it does not look at the length. With MD5 it is never approved.
///
/// # Errors
/// [`Error::NotApproved`] for a short key or MD5 in strict mode.
pub fn sign(hash: impl Into<FileHash>, key: &[u8], data: &[u8]) -> Result<Digest> {
    let hash = hash.into();
    perform(service(hash, key), |permit| code(permit, hash, key, data))
}

/// Checks that `tag` is the whole authentication code of `data` under `key`, in constant time.
///
/// Approved as [`sign`].
///
/// # Errors
/// [`Error::Verification`] if it is not; [`Error::NotApproved`] for a short key or MD5 in strict mode.
pub fn verify(hash: impl Into<FileHash>, key: &[u8], data: &[u8], tag: &[u8]) -> Result<()> {
    let hash = hash.into();
    perform(service(hash, key), |permit| {
        // The right code of what somebody sent is a secret: it is what they would need.
        let expected = Zeroizing::new(code(permit, hash, key, data)?);
        if ct_eq((*expected).as_ref(), tag) {
            Ok(())
        } else {
            Err(Error::Verification)
        }
    })
}

/// An authentication code of data that comes in pieces. Approved as [`sign`].
pub struct Signer {
    context: lc::Context,
    permit: Permit,
}

impl Signer {
    /// Starts with no data.
    ///
    /// # Errors
    /// As [`sign`].
    pub fn new(hash: Hash, key: &[u8]) -> Result<Self> {
        Ok(Self {
            permit: decide(Service::hmac(key.len()))?,
            context: lc::Context::with_key(&lc::Key::new(algorithm(hash), key)),
        })
    }

    /// Adds `data`.
    pub fn update(&mut self, data: &[u8]) {
        self.context.update(data);
    }

    /// The code of everything that was added.
    ///
    /// # Errors
    /// [`Error::ModuleFault`].
    pub fn finish(self) -> Result<Digest> {
        let context = self.context;
        self.permit
            .perform(|_| Ok(Digest::from_slice(context.sign().as_ref())))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn test_case_2_of_rfc_4231_comes_out() {
        let _mode = crate::policy::tests::under(crate::policy::Policy::OFF);
        let tag = sign(Hash::Sha256, b"Jefe", b"what do ya want for nothing?").unwrap();
        assert_eq!(
            base16ct::lower::encode_string(tag.as_ref()),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        let mut signer = Signer::new(Hash::Sha256, b"Jefe").unwrap();
        signer.update(b"what do ya want ");
        signer.update(b"for nothing?");
        assert_eq!(signer.finish().unwrap(), tag);
    }

    #[test]
    fn a_wrong_short_or_empty_tag_is_refused() {
        let _mode = crate::policy::tests::under(crate::policy::Policy::OFF);
        for hash in FileHash::ALL {
            let tag = sign(hash, b"key", b"data").unwrap();
            verify(hash, b"key", b"data", tag.as_ref()).unwrap();
            assert_eq!(
                verify(hash, b"kez", b"data", tag.as_ref()),
                Err(Error::Verification)
            );
            let (_, short) = tag.as_ref().split_first().unwrap();
            assert_eq!(
                verify(hash, b"key", b"data", short),
                Err(Error::Verification)
            );
            assert_eq!(verify(hash, b"key", b"data", b""), Err(Error::Verification));
        }
    }
}
