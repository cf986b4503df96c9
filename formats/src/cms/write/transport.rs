//! Key transport to RSA keys (RFC 5652 section 6.2.1), written.

use super::WriteError;
use crate::cms::oids;
use cms::cert::IssuerAndSerialNumber;
use cms::content_info::CmsVersion;
use cms::enveloped_data::{KeyTransRecipientInfo, RecipientIdentifier};
use der::asn1::{Null, ObjectIdentifier, OctetString};
use der::{Any, Sequence};
use fips::digest::{FileHash, Hash};
use fips::rsa::PublicKey;
use fips::secret::SecretBytes;
use spki::AlgorithmIdentifierOwned;

/// Parameters of RSAES-OAEP (RFC 4055 section 4.1); pSourceAlgorithm stays at its default, the empty label.
///
/// ```text
/// RSAES-OAEP-params ::= SEQUENCE {
///     hashFunc          [0] AlgorithmIdentifier DEFAULT sha1Identifier,
///     maskGenFunc       [1] AlgorithmIdentifier DEFAULT mgf1SHA1Identifier,
///     pSourceFunc       [2] AlgorithmIdentifier DEFAULT pSpecifiedEmptyIdentifier }
/// ```
#[derive(Sequence)]
struct OaepParams {
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    hash: Option<AlgorithmIdentifierOwned>,
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT", optional = "true")]
    mask_generation: Option<AlgorithmIdentifierOwned>,
}

impl OaepParams {
    /// The same hash in both places. SHA-1 is the default, which DER leaves out.
    fn new(hash: Hash) -> Result<Self, WriteError> {
        if hash == Hash::Sha1 {
            return Ok(Self {
                hash: None,
                mask_generation: None,
            });
        }
        let oid = oids::HASHES
            .iter()
            .find_map(|(oid, known)| (*known == FileHash::from(hash)).then_some(*oid))
            .ok_or(fips::Error::KeyMismatch {
                algorithm: "RSAES-OAEP",
            })?;
        // RFC 4055 section 2.1: readers take NULL and absent alike; with NULL all known ones do.
        let identifier = AlgorithmIdentifierOwned {
            oid,
            parameters: Some(Any::from(Null)),
        };
        Ok(Self {
            mask_generation: Some(AlgorithmIdentifierOwned {
                oid: oids::MGF1,
                parameters: Some(Any::encode_from(&identifier)?),
            }),
            hash: Some(identifier),
        })
    }
}

/// RSAES-OAEP by the module with this hash, for [`envelop`](super::envelop). In FIPS terms not approved, not allowed: in strict mode
/// a token has to do it, or the exception is named.
pub fn module_oaep<E: From<WriteError>>(
    hash: Hash,
) -> impl FnMut(&[u8], &SecretBytes) -> Result<(Hash, Vec<u8>), E> {
    move |spki, key| {
        let encrypted = PublicKey::from_spki(spki)
            .and_then(|public| public.encrypt_oaep(hash, key.expose()))
            .map_err(WriteError::from)?;
        Ok((hash, encrypted))
    }
}

/// A content key that was encrypted with RSAES-OAEP.
pub(super) fn oaep(
    name: IssuerAndSerialNumber,
    hash: Hash,
    encrypted: Vec<u8>,
) -> Result<KeyTransRecipientInfo, WriteError> {
    let parameters = Any::encode_from(&OaepParams::new(hash)?)?;
    recipient(name, oids::RSAES_OAEP, parameters, encrypted)
}

/// The content key with RSAES-PKCS1-v1_5 (RFC 3370 section 4.2.1).
pub(super) fn pkcs1v15(
    name: IssuerAndSerialNumber,
    public: &PublicKey,
    key: &SecretBytes,
) -> Result<KeyTransRecipientInfo, WriteError> {
    let encrypted = public.encrypt_pkcs1v15(key.expose())?;
    recipient(name, oids::RSA_ENCRYPTION, Any::from(Null), encrypted)
}

fn recipient(
    name: IssuerAndSerialNumber,
    oid: ObjectIdentifier,
    parameters: Any,
    encrypted: Vec<u8>,
) -> Result<KeyTransRecipientInfo, WriteError> {
    Ok(KeyTransRecipientInfo {
        // Version 0 goes with issuerAndSerialNumber.
        version: CmsVersion::V0,
        rid: RecipientIdentifier::IssuerAndSerialNumber(name),
        key_enc_alg: AlgorithmIdentifierOwned {
            oid,
            parameters: Some(parameters),
        },
        enc_key: OctetString::new(encrypted)?,
    })
}
