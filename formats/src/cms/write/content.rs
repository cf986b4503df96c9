//! The content under a fresh key.

use super::{ContentEncryption, WriteError};
use crate::cms::oids;
use cms::enveloped_data::EncryptedContentInfo;
use const_oid::db::rfc5911;
use der::asn1::{ObjectIdentifier, OctetString};
use der::{Any, Sequence};
use fips::secret::SecretBytes;
use spki::AlgorithmIdentifierOwned;

/// Length of the content key of AES-256, in bytes.
pub(super) const AES_256_KEY_BYTES: usize = 32;
/// Length of the content key of DES-EDE3 (three keys with their parity bits), in bytes.
const DES_EDE3_KEY_BYTES: usize = 24;
/// des-ede3-cbc (RFC 3370 section 5.1).
const DES_EDE3_CBC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.3.7");
/// id-aes256-GCM (RFC 5084 section 3.2).
const AES_256_GCM: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.46");
/// Length of a nonce of AES-GCM, in bytes; of its tag: 16.
const GCM_NONCE_BYTES: usize = 12;
const GCM_TAG_BYTES: u8 = 16;

/// ```text
/// GCMParameters ::= SEQUENCE { aes-nonce OCTET STRING, aes-ICVlen AES-GCM-ICVlen DEFAULT 12 }
/// ```
#[derive(Sequence)]
struct GcmParameters {
    nonce: OctetString,
    tag_bytes: u8,
}

/// Encrypted content with the key of it.
pub(super) struct Encrypted {
    pub(super) key: SecretBytes,
    pub(super) info: EncryptedContentInfo,
    /// Where the encryption authenticates.
    pub(super) tag: Option<Vec<u8>>,
}

pub(super) fn encrypt(
    encryption: ContentEncryption,
    content: &SecretBytes,
) -> Result<Encrypted, WriteError> {
    match encryption {
        ContentEncryption::Aes256Cbc => aes_256_cbc(content),
        ContentEncryption::Aes256Gcm => aes_256_gcm(content),
        ContentEncryption::DesEde3Cbc => des_ede3_cbc(content),
    }
}

fn aes_256_cbc(content: &SecretBytes) -> Result<Encrypted, WriteError> {
    let key = fips::random::secret(AES_256_KEY_BYTES)?;
    let (iv, ciphertext) = fips::aes::cbc_encrypt_random_iv(&key, content.expose())?;
    let parameters = Any::encode_from(&OctetString::new(iv.as_slice())?)?;
    Ok(Encrypted {
        key,
        info: info(rfc5911::ID_AES_256_CBC, parameters, ciphertext)?,
        tag: None,
    })
}

fn aes_256_gcm(content: &SecretBytes) -> Result<Encrypted, WriteError> {
    let key = fips::random::secret(AES_256_KEY_BYTES)?;
    // Nothing is authenticated besides the content (RFC 5083 section 2.2: an empty string without attributes).
    let mut nonce = fips::aes::gcm_seal(&key, b"", content.expose())?;
    let mut ciphertext = nonce.split_off(GCM_NONCE_BYTES.min(nonce.len()));
    let tag_at = ciphertext.len().saturating_sub(usize::from(GCM_TAG_BYTES));
    let tag = ciphertext.split_off(tag_at);
    let parameters = Any::encode_from(&GcmParameters {
        nonce: OctetString::new(nonce)?,
        tag_bytes: GCM_TAG_BYTES,
    })?;
    Ok(Encrypted {
        key,
        info: info(AES_256_GCM, parameters, ciphertext)?,
        tag: Some(tag),
    })
}

fn des_ede3_cbc(content: &SecretBytes) -> Result<Encrypted, WriteError> {
    let mut key = fips::random::secret(DES_EDE3_KEY_BYTES)?;
    for byte in key.expose_mut() {
        // Odd parity in the lowest bit of each byte (FIPS 46-3); some readers check it.
        let odd = (*byte & 0xfe).count_ones().is_multiple_of(2);
        *byte = (*byte & 0xfe) | u8::from(odd);
    }
    let iv = fips::random::array()?;
    let ciphertext = fips::legacy::des_ede3_cbc_encrypt(&key, &iv, content.expose())?;
    let parameters = Any::encode_from(&OctetString::new(iv.as_slice())?)?;
    Ok(Encrypted {
        key,
        info: info(DES_EDE3_CBC, parameters, ciphertext)?,
        tag: None,
    })
}

/// EncryptedContentInfo with the algorithm's parameters (RFC 3370 section 5.1, RFC 3565 section 4.1, RFC 5084 section 3.2).
fn info(
    algorithm: ObjectIdentifier,
    parameters: Any,
    ciphertext: Vec<u8>,
) -> Result<EncryptedContentInfo, WriteError> {
    Ok(EncryptedContentInfo {
        content_type: oids::DATA,
        content_enc_alg: AlgorithmIdentifierOwned {
            oid: algorithm,
            parameters: Some(parameters),
        },
        encrypted_content: Some(OctetString::new(ciphertext)?),
    })
}
