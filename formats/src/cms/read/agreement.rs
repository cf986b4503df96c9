//! Key agreement by ECDH (RFC 5753), read.

use super::message::Algorithm;
use super::recipient::Originator;
use crate::cms::element::{NULL, OBJECT_IDENTIFIER};
use crate::cms::oids::Wrap;
use crate::cms::shared_info::shared_info;
use crate::cms::{CmsError, oids};
use fips::digest::FileHash;
use fips::ec::PrivateKey;
use fips::secret::SecretBytes;

/// How the content key was wrapped.
#[derive(Clone, Copy)]
pub(super) struct Agreement<'a> {
    kdf_hash: FileHash,
    wrap: Wrap,
    wrap_algorithm: Algorithm<'a>,
}

impl<'a> Agreement<'a> {
    pub(super) fn read(algorithm: &Algorithm<'a>) -> Result<Self, CmsError> {
        const WHAT: &str = "a key agreement in it does not say how the content key is wrapped";
        let kdf_hash = oids::find(&oids::AGREEMENTS, &algorithm.oid)
            .ok_or_else(|| CmsError::unsupported_oid(&algorithm.oid))?;
        let wrap_algorithm =
            Algorithm::read(algorithm.parameters.ok_or(CmsError::malformed(WHAT))?)?;
        let wrap = oids::find(&oids::WRAPS, &wrap_algorithm.oid)
            .ok_or_else(|| CmsError::unsupported_oid(&wrap_algorithm.oid))?;
        Ok(Self {
            kdf_hash,
            wrap,
            wrap_algorithm,
        })
    }

    /// The length of the wrapping key.
    const fn wrap_bytes(&self) -> usize {
        match self.wrap {
            Wrap::Aes(bytes) => bytes,
            Wrap::DesEde3 => 24,
        }
    }

    /// In words.
    pub(super) fn describe(&self) -> String {
        let wrap = match self.wrap {
            Wrap::Aes(bytes) => format!("AES-{}", bytes.saturating_mul(8)),
            Wrap::DesEde3 => "3DES".to_owned(),
        };
        let hash = self.kdf_hash.name();
        format!("ECDH, X9.63 KDF with {hash}, {wrap} key wrap")
    }

    /// The content key, of `key_bytes` bytes.
    pub(super) fn decrypt(
        &self,
        pkcs8: &[u8],
        originator: &Originator<'_>,
        user_keying_material: Option<&[u8]>,
        wrapped_key: &[u8],
        key_bytes: usize,
    ) -> Result<SecretBytes, CmsError> {
        let Originator::Key { algorithm, point } = originator else {
            return Err(CmsError::unsupported(
                "a key agreement with the key of a certificate that is not in the message",
            ));
        };
        check_originator(algorithm, point)?;
        let key = PrivateKey::from_pkcs8(pkcs8).map_err(|error| match error {
            fips::Error::UnsupportedKey { .. } => CmsError::RecipientKey {
                what: "private key is not EC, but the message was encrypted to an EC key",
            },
            error => CmsError::from_use(error),
        })?;
        let shared = key.agree(point).map_err(CmsError::from_use)?;
        let wrap_bytes = self.wrap_bytes();
        let info = shared_info(self.wrap_algorithm.whole, user_keying_material, wrap_bytes)
            .map_err(|_| CmsError::malformed("a key agreement in it is too large"))?;
        let wrapping = fips::kdf::x963(self.kdf_hash, &shared, &info, wrap_bytes)
            .map_err(CmsError::from_use)?;
        let unwrapped = match self.wrap {
            Wrap::Aes(_) => fips::aes::key_unwrap(&wrapping, wrapped_key),
            Wrap::DesEde3 => fips::legacy::des_ede3_key_unwrap(&wrapping, wrapped_key),
        }
        .map_err(CmsError::from_use)?;
        if unwrapped.len() == key_bytes {
            Ok(unwrapped)
        } else {
            Err(CmsError::Decryption)
        }
    }
}

/// The sender's key: on which curve it says it is does not matter, for the point has to be on the recipient's.
fn check_originator(algorithm: &Algorithm<'_>, point: &[u8]) -> Result<(), CmsError> {
    if algorithm.oid != oids::EC_PUBLIC_KEY {
        return Err(CmsError::unsupported_oid(&algorithm.oid));
    }
    if algorithm
        .parameters
        .is_some_and(|parameters| ![NULL, OBJECT_IDENTIFIER].contains(&parameters.tag()))
    {
        return Err(CmsError::unsupported(
            "a key agreement on a curve with parameters of its own",
        ));
    }
    if matches!(point.first(), Some(2 | 3)) {
        return Err(CmsError::unsupported(
            "a key agreement with a compressed point",
        ));
    }
    Ok(())
}
