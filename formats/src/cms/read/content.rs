//! What encrypts the content (RFC 3370 section 5, RFC 3565, RFC 5084), read.

use super::message::{Algorithm, Message};
use crate::cms::element::{Element, OCTET_STRING, SEQUENCE};
use crate::cms::facts::MessageKind;
use crate::cms::oids::Cipher;
use crate::cms::{CmsError, oids};
use fips::secret::SecretBytes;

/// A content cipher with its parameters.
#[derive(Debug, Clone, Copy)]
pub(super) enum ContentCipher<'a> {
    AesCbc {
        key_bytes: usize,
        iv: [u8; 16],
    },
    AesGcm {
        key_bytes: usize,
        nonce: &'a [u8],
        tag_bytes: usize,
    },
    DesEde3Cbc {
        iv: [u8; 8],
    },
    Rc2Cbc {
        key_bytes: usize,
        iv: [u8; 8],
    },
}

const WHAT: &str = "the parameters of its content encryption are none";
const BROKEN: CmsError = CmsError::malformed(WHAT);

impl<'a> ContentCipher<'a> {
    /// The cipher of a message, which must be one for its kind.
    pub(super) fn of(message: &Message<'a>) -> Result<Self, CmsError> {
        let cipher = Self::read(&message.algorithm)?;
        match (message.kind, cipher.authenticates()) {
            (MessageKind::Enveloped, true) => Err(CmsError::malformed(
                "it has authenticated encryption in EnvelopedData, where nothing holds the tag (RFC 5084 section 3)",
            )),
            (MessageKind::AuthEnveloped, false) => Err(CmsError::malformed(
                "it is AuthEnvelopedData without authenticated encryption (RFC 5083 section 2.1)",
            )),
            _ => Ok(cipher),
        }
    }

    fn read(algorithm: &Algorithm<'a>) -> Result<Self, CmsError> {
        let cipher = oids::cipher(&algorithm.oid)
            .ok_or_else(|| CmsError::unsupported_oid(&algorithm.oid))?;
        let parameters = algorithm.parameters.ok_or(BROKEN)?;
        match cipher {
            Cipher::AesCbc(key_bytes) => Ok(Self::AesCbc {
                key_bytes,
                iv: vector(parameters)?,
            }),
            Cipher::AesGcm(key_bytes) => gcm(key_bytes, parameters),
            Cipher::DesEde3Cbc => Ok(Self::DesEde3Cbc {
                iv: vector(parameters)?,
            }),
            Cipher::Rc2Cbc => rc2(parameters),
        }
    }

    const fn authenticates(&self) -> bool {
        matches!(self, Self::AesGcm { .. })
    }

    /// Whether nobody should use it any more.
    pub(super) const fn is_legacy(&self) -> bool {
        matches!(self, Self::DesEde3Cbc { .. } | Self::Rc2Cbc { .. })
    }

    /// The length of its key.
    pub(super) const fn key_bytes(&self) -> usize {
        match self {
            Self::AesCbc { key_bytes, .. }
            | Self::AesGcm { key_bytes, .. }
            | Self::Rc2Cbc { key_bytes, .. } => *key_bytes,
            Self::DesEde3Cbc { .. } => 24,
        }
    }

    /// In words.
    pub(super) fn describe(&self) -> String {
        let bits = self.key_bytes().saturating_mul(8);
        match self {
            Self::AesCbc { .. } => format!("AES-{bits}-CBC"),
            Self::AesGcm { .. } => format!("AES-{bits}-GCM"),
            Self::DesEde3Cbc { .. } => "3DES-CBC".to_owned(),
            Self::Rc2Cbc { .. } => format!("RC2-CBC with {bits} bits"),
        }
    }

    pub(super) fn decrypt(
        &self,
        key: &SecretBytes,
        message: &Message<'_>,
    ) -> Result<SecretBytes, CmsError> {
        let ciphertext = &message.ciphertext;
        let decrypted = match self {
            Self::AesCbc { iv, .. } => fips::aes::cbc_decrypt(key, iv, ciphertext),
            Self::DesEde3Cbc { iv } => fips::legacy::des_ede3_cbc_decrypt(key, iv, ciphertext),
            Self::Rc2Cbc { key_bytes, iv } => {
                // The keys of CMS have as many effective bits as they have bits.
                let bits = u16::try_from(key_bytes.saturating_mul(8)).unwrap_or(u16::MAX);
                fips::legacy::rc2_cbc_decrypt(key, bits, iv, ciphertext)
            }
            Self::AesGcm {
                nonce, tag_bytes, ..
            } => {
                let (aad, tag) = message
                    .authenticated
                    .as_ref()
                    .filter(|(_, tag)| tag.len() == *tag_bytes)
                    .ok_or(CmsError::Decryption)?;
                fips::aes::gcm_open_detached(key, nonce, aad, ciphertext, tag)
            }
        };
        decrypted.map_err(CmsError::from_use)
    }
}

/// An initialisation vector of the length that the cipher has.
fn vector<const N: usize>(parameters: Element<'_>) -> Result<[u8; N], CmsError> {
    if parameters.tag() != OCTET_STRING {
        return Err(BROKEN);
    }
    parameters.content().try_into().map_err(|_| BROKEN)
}

/// ```text
/// GCMParameters ::= SEQUENCE { aes-nonce OCTET STRING, aes-ICVlen AES-GCM-ICVlen DEFAULT 12 }
/// ```
fn gcm(key_bytes: usize, parameters: Element<'_>) -> Result<ContentCipher<'_>, CmsError> {
    if parameters.tag() != SEQUENCE {
        return Err(BROKEN);
    }
    let mut fields = parameters.inside();
    let nonce = fields
        .take(OCTET_STRING, "its AES-GCM has no nonce")?
        .content();
    let tag_bytes = if fields.is_done() {
        12
    } else {
        fields.any(WHAT)?.small_number().ok_or(BROKEN)?
    };
    fields.finish(WHAT)?;
    if !(12..=16).contains(&tag_bytes) || !(1..=64).contains(&nonce.len()) {
        return Err(CmsError::malformed(
            "its AES-GCM has a nonce or a tag of a length that is not allowed (RFC 5084 section 3.2)",
        ));
    }
    Ok(ContentCipher::AesGcm {
        key_bytes,
        nonce,
        tag_bytes: usize::from(tag_bytes),
    })
}

/// ```text
/// RC2-CBC-parameter ::= SEQUENCE { rc2ParameterVersion INTEGER, iv OCTET STRING }
/// ```
///
/// The version says how many bits are effective (RFC 3370 section 5.2): 58 for 128, 120 for 64 and 160 for 40 are in use.
fn rc2(parameters: Element<'_>) -> Result<ContentCipher<'_>, CmsError> {
    if parameters.tag() != SEQUENCE {
        return Err(BROKEN);
    }
    let mut fields = parameters.inside();
    let version = fields.any(WHAT)?.small_number();
    let iv = vector(fields.take(OCTET_STRING, WHAT)?)?;
    fields.finish(WHAT)?;
    let key_bytes = match version {
        Some(58) => 16,
        Some(120) => 8,
        Some(160) => 5,
        _ => {
            return Err(CmsError::unsupported(
                "RC2-CBC with other than 40, 64 or 128 effective bits",
            ));
        }
    };
    Ok(ContentCipher::Rc2Cbc { key_bytes, iv })
}
