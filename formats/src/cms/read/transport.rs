//! Key transport by RSA (RFC 3370 section 4.2.1, RFC 3560), read.

use super::message::Algorithm;
use crate::cms::element::{Element, NULL, OCTET_STRING, SEQUENCE, constructed};
use crate::cms::{CmsError, oids};
use fips::digest::FileHash;
use fips::rsa::ReadingKey;
use fips::secret::SecretBytes;

/// How the content key was encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transport<'a> {
    /// RSAES-OAEP.
    Oaep {
        hash: FileHash,
        mask_hash: FileHash,
        label: &'a [u8],
    },
    /// RSAES-PKCS1-v1_5.
    Pkcs1v15,
}

impl<'a> Transport<'a> {
    pub(super) fn read(algorithm: &Algorithm<'a>) -> Result<Self, CmsError> {
        if algorithm.oid == oids::RSA_ENCRYPTION {
            return Ok(Self::Pkcs1v15);
        }
        if algorithm.oid == oids::RSAES_OAEP {
            return oaep(algorithm.parameters);
        }
        Err(CmsError::unsupported_oid(&algorithm.oid))
    }

    /// In words.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Oaep {
                hash,
                mask_hash,
                label,
            } => {
                let label = if label.is_empty() {
                    ""
                } else {
                    ", with a label"
                };
                format!(
                    "RSAES-OAEP with {}, MGF1 with {}{label}",
                    hash.name(),
                    mask_hash.name()
                )
            }
            Self::Pkcs1v15 => "RSAES-PKCS1-v1_5".to_owned(),
        }
    }

    /// The content key, of `key_bytes` bytes.
    ///
    /// After PKCS#1 v1.5 a random key comes back when the padding is wrong or the key has another length: nobody can see from here
    /// which it was (RFC 3218 section 2.3.2).
    pub(super) fn decrypt(
        &self,
        pkcs8: &[u8],
        encrypted_key: &[u8],
        key_bytes: usize,
    ) -> Result<SecretBytes, CmsError> {
        let key = ReadingKey::from_pkcs8(pkcs8).map_err(|error| match error {
            fips::Error::UnsupportedKey { .. } => CmsError::RecipientKey {
                what: "private key is not RSA, but the message was encrypted to an RSA key",
            },
            fips::Error::KeySize { .. } => CmsError::RecipientKey {
                what: "RSA key has less than 1024 or more than 8192 bits",
            },
            error => CmsError::from_use(error),
        })?;
        match self {
            Self::Oaep {
                hash,
                mask_hash,
                label,
            } => {
                let decrypted = key
                    .decrypt_oaep(*hash, *mask_hash, label, encrypted_key)
                    .map_err(CmsError::from_use)?;
                if decrypted.len() == key_bytes {
                    Ok(decrypted)
                } else {
                    Err(CmsError::Decryption)
                }
            }
            Self::Pkcs1v15 => {
                let instead = fips::random::secret(key_bytes).map_err(CmsError::from_use)?;
                match key.decrypt_pkcs1v15(encrypted_key) {
                    Ok(decrypted) if decrypted.len() == key_bytes => Ok(decrypted),
                    Ok(_) => Ok(instead),
                    Err(error) => match CmsError::from_use(error) {
                        CmsError::Decryption => Ok(instead),
                        refused => Err(refused),
                    },
                }
            }
        }
    }
}

/// Parameters of RSAES-OAEP (RFC 4055 section 4.1).
///
/// ```text
/// RSAES-OAEP-params ::= SEQUENCE {
///     hashFunc    [0] AlgorithmIdentifier DEFAULT sha1Identifier,
///     maskGenFunc [1] AlgorithmIdentifier DEFAULT mgf1SHA1Identifier,
///     pSourceFunc [2] AlgorithmIdentifier DEFAULT pSpecifiedEmptyIdentifier }
/// ```
fn oaep(parameters: Option<Element<'_>>) -> Result<Transport<'_>, CmsError> {
    const WHAT: &str = "the parameters of RSAES-OAEP in it are none";
    let Some(parameters) = parameters else {
        return Err(CmsError::malformed(WHAT));
    };
    let mut fields = parameters.expect(SEQUENCE, WHAT)?.inside();
    let mut part = |number: u8| match fields.take_if(constructed(number))? {
        Some(wrapper) => {
            let mut wrapped = wrapper.inside();
            let algorithm = Algorithm::read(wrapped.take(SEQUENCE, WHAT)?)?;
            wrapped.finish(WHAT)?;
            Ok(Some(algorithm))
        }
        None => Ok::<_, CmsError>(None),
    };
    let (hash_algorithm, mask, source) = (part(0)?, part(1)?, part(2)?);
    fields.finish(WHAT)?;
    let hash = match hash_algorithm {
        Some(algorithm) => hash(&algorithm)?,
        None => FileHash::Sha1,
    };
    let mask_hash = match mask {
        Some(algorithm) if algorithm.oid == oids::MGF1 => {
            let parameters = algorithm.parameters.ok_or(CmsError::malformed(WHAT))?;
            self::hash(&Algorithm::read(parameters)?)?
        }
        Some(algorithm) => return Err(CmsError::unsupported_oid(&algorithm.oid)),
        None => FileHash::Sha1,
    };
    let label = match source {
        Some(algorithm) if algorithm.oid == oids::P_SPECIFIED => {
            let parameters = algorithm.parameters.ok_or(CmsError::malformed(WHAT))?;
            parameters.expect(OCTET_STRING, WHAT)?.content()
        }
        Some(algorithm) => return Err(CmsError::unsupported_oid(&algorithm.oid)),
        None => &[],
    };
    Ok(Transport::Oaep {
        hash,
        mask_hash,
        label,
    })
}

/// A hash function, whose parameters are NULL or missing (RFC 4055 section 2.1).
fn hash(algorithm: &Algorithm<'_>) -> Result<FileHash, CmsError> {
    if algorithm
        .parameters
        .is_some_and(|parameters| parameters.tag() != NULL || !parameters.content().is_empty())
    {
        return Err(CmsError::malformed("a hash function in it has parameters"));
    }
    oids::find(&oids::HASHES, &algorithm.oid)
        .ok_or_else(|| CmsError::unsupported_oid(&algorithm.oid))
}
