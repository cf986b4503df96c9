//! Writing: one message for one or several recipients, in DER.
//!
//! The content is encrypted once, under a fresh key; that key is encrypted to each recipient. What encrypts it to RSA keys with RSAES-OAEP is
//! the caller's to say, because a token may have to do it: see [`module_oaep`] for the module.

mod agreement;
mod content;
mod error;
mod recipient;
mod transport;

pub use error::WriteError;
pub use recipient::{Recipient, RecipientKind};
pub use transport::module_oaep;

use super::oids;
use cms::authenveloped_data::AuthEnvelopedData;
use cms::content_info::{CmsVersion, ContentInfo};
use cms::enveloped_data::{EnvelopedData, RecipientInfo, RecipientInfos};
use der::asn1::{OctetString, SetOfVec};
use der::{Any, Encode};
use fips::digest::Hash;
use fips::secret::SecretBytes;

/// Recipients that one message may have.
pub const MAX_RECIPIENTS: usize = 64;

/// What encrypts the content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentEncryption {
    /// AES-256-CBC in EnvelopedData (RFC 3565): what every reader knows.
    Aes256Cbc,
    /// AES-256-GCM in AuthEnvelopedData (RFC 5083, RFC 5084): changes are noticed, by readers of recent years.
    Aes256Gcm,
    /// DES-EDE3-CBC in EnvelopedData (RFC 3370), for the oldest readers.
    DesEde3Cbc,
}

/// How the content key is encrypted to RSA keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RsaPadding {
    /// RSAES-OAEP (RFC 3560).
    Oaep,
    /// RSAES-PKCS1-v1_5 (RFC 3370 section 4.2.1), by the module, for devices that know nothing newer.
    Pkcs1v15,
}

/// A form of message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Form {
    /// What encrypts the content.
    pub content: ContentEncryption,
    /// How its key goes to RSA keys. To EC keys it goes by ECDH, an X9.63 KDF and AES-256 key wrap in every form.
    pub rsa: RsaPadding,
}

/// Encrypts `content` to every one of `recipients`, of which there may be [`MAX_RECIPIENTS`]: a ContentInfo (DER) that holds id-data.
///
/// Content key, initialisation vector and ephemeral keys are fresh from the module for every message. `oaep` is asked once for
/// each RSA recipient of a form with [`RsaPadding::Oaep`]: it is given the key (DER SubjectPublicKeyInfo, in the canonical
/// encoding) and the content key, and says with which hash (in both places, empty label) it encrypted to what.
///
/// # Errors
/// [`WriteError`], and what `oaep` says.
pub fn envelop<E: From<WriteError>>(
    form: Form,
    recipients: &[Recipient],
    content: &SecretBytes,
    mut oaep: impl FnMut(&[u8], &SecretBytes) -> Result<(Hash, Vec<u8>), E>,
) -> Result<Vec<u8>, E> {
    if recipients.is_empty() || recipients.len() > MAX_RECIPIENTS {
        return Err(WriteError::Recipients {
            count: recipients.len(),
        }
        .into());
    }
    let encrypted = content::encrypt(form.content, content)?;
    let mut infos = Vec::with_capacity(recipients.len());
    for recipient in recipients {
        infos.push(match recipient.key() {
            recipient::Key::Ec { curve, point } => RecipientInfo::Kari(agreement::recipient(
                *curve,
                point,
                recipient.name(),
                &encrypted.key,
            )?),
            recipient::Key::Rsa(key) => {
                let info = match form.rsa {
                    RsaPadding::Oaep => {
                        let (hash, key) = oaep(key.spki_der(), &encrypted.key)?;
                        transport::oaep(recipient.name(), hash, key)?
                    }
                    RsaPadding::Pkcs1v15 => {
                        transport::pkcs1v15(recipient.name(), key, &encrypted.key)?
                    }
                };
                RecipientInfo::Ktri(info)
            }
        });
    }
    Ok(message(encrypted, infos)?)
}

/// The structure around them.
fn message(
    encrypted: content::Encrypted,
    infos: Vec<RecipientInfo>,
) -> Result<Vec<u8>, WriteError> {
    let agreed = infos
        .iter()
        .any(|info| matches!(info, RecipientInfo::Kari(_)));
    let recip_infos = RecipientInfos(SetOfVec::try_from(infos)?);
    let (content_type, content) = match encrypted.tag {
        None => (
            oids::ENVELOPED_DATA,
            Any::encode_from(&EnvelopedData {
                // RFC 5652 section 6.1: 0 while every recipient is of version 0, and 2 with a key agreement.
                version: if agreed {
                    CmsVersion::V2
                } else {
                    CmsVersion::V0
                },
                originator_info: None,
                recip_infos,
                encrypted_content: encrypted.info,
                unprotected_attrs: None,
            })?,
        ),
        Some(tag) => (
            oids::AUTH_ENVELOPED_DATA,
            Any::encode_from(&AuthEnvelopedData {
                version: CmsVersion::V0,
                originator_info: None,
                recip_infos,
                auth_encrypted_content_info: encrypted.info,
                // Not needed for id-data (RFC 5083 section 2.1).
                auth_attrs: None,
                mac: OctetString::new(tag)?,
                unauth_attrs: None,
            })?,
        ),
    };
    let info = ContentInfo {
        content_type,
        content,
    };
    Ok(info.to_der()?)
}
