//! HMAC (RFC 2104, FIPS 198-1).

use crate::policy::{Permit, Service, decide};
use crate::{Error, Result, digest::Digest, digest::Hash};
use aws_lc_rs::hmac as lc;

fn algorithm(hash: Hash) -> lc::Algorithm {
    match hash {
        Hash::Sha1 => lc::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        Hash::Sha256 => lc::HMAC_SHA256,
        Hash::Sha384 => lc::HMAC_SHA384,
        Hash::Sha512 => lc::HMAC_SHA512,
    }
}

/// The authentication code of `data` under `key`.
///
/// Approved service for keys of 112 bits (14 bytes) or more. Shorter keys are another service, which strict mode refuses; the
/// module's indicator says "approved" for them too: it does not look at the length.
///
/// # Errors
/// [`Error::NotApproved`] for a short key in strict mode.
pub fn sign(hash: Hash, key: &[u8], data: &[u8]) -> Result<Digest> {
    decide(Service::hmac(key.len()))?.perform(|_| {
        let tag = lc::sign(&lc::Key::new(algorithm(hash), key), data);
        Ok(Digest::from_slice(tag.as_ref()))
    })
}

/// Checks that `tag` is the whole authentication code of `data` under `key`, in constant time.
///
/// Approved as [`sign`].
///
/// # Errors
/// [`Error::Verification`] if it is not; [`Error::NotApproved`] for a short key in strict mode.
pub fn verify(hash: Hash, key: &[u8], data: &[u8], tag: &[u8]) -> Result<()> {
    decide(Service::hmac(key.len()))?.perform(|_| {
        lc::verify(&lc::Key::new(algorithm(hash), key), data, tag).map_err(|_| Error::Verification)
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
        for hash in Hash::ALL {
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
