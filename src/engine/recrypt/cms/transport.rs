//! Key transport to RSA keys (RFC 5652 section 6.2.1).

use super::CmsError;
use cms::cert::IssuerAndSerialNumber;
use cms::content_info::CmsVersion;
use cms::enveloped_data::{KeyTransRecipientInfo, RecipientIdentifier};
use const_oid::ObjectIdentifier;
use const_oid::db::rfc5912;
use der::asn1::{Null, OctetString};
use der::{Any, Sequence};
use fips::digest::Hash;
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
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    hash: AlgorithmIdentifierOwned,
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT")]
    mask_generation: AlgorithmIdentifierOwned,
}

/// The content key with RSAES-OAEP, SHA-256 in both places (RFC 3560).
pub(super) fn oaep(
    spki: &[u8],
    rid: IssuerAndSerialNumber,
    key: &SecretBytes,
) -> Result<KeyTransRecipientInfo, CmsError> {
    // RFC 4055 section 2.1: readers take NULL and absent alike; with NULL all known ones do.
    let sha256 = || AlgorithmIdentifierOwned {
        oid: rfc5912::ID_SHA_256,
        parameters: Some(Any::from(Null)),
    };
    let parameters = OaepParams {
        hash: sha256(),
        mask_generation: AlgorithmIdentifierOwned {
            oid: rfc5912::ID_MGF_1,
            parameters: Some(Any::encode_from(&sha256())?),
        },
    };
    let encrypted = public_key(spki)?.encrypt_oaep(Hash::Sha256, key.expose())?;
    recipient(
        rid,
        rfc5912::ID_RSAES_OAEP,
        Any::encode_from(&parameters)?,
        encrypted,
    )
}

/// The content key with RSAES-PKCS1-v1_5 (RFC 3370 section 4.2.1).
pub(super) fn pkcs1v15(
    spki: &[u8],
    rid: IssuerAndSerialNumber,
    key: &SecretBytes,
) -> Result<KeyTransRecipientInfo, CmsError> {
    let encrypted = public_key(spki)?.encrypt_pkcs1v15(key.expose())?;
    recipient(rid, rfc5912::RSA_ENCRYPTION, Any::from(Null), encrypted)
}

fn public_key(spki: &[u8]) -> Result<PublicKey, CmsError> {
    PublicKey::from_spki(spki).map_err(|_| CmsError::Device { what: "RSA key" })
}

fn recipient(
    rid: IssuerAndSerialNumber,
    oid: ObjectIdentifier,
    parameters: Any,
    encrypted: Vec<u8>,
) -> Result<KeyTransRecipientInfo, CmsError> {
    Ok(KeyTransRecipientInfo {
        // Version 0 goes with issuerAndSerialNumber.
        version: CmsVersion::V0,
        rid: RecipientIdentifier::IssuerAndSerialNumber(rid),
        key_enc_alg: AlgorithmIdentifierOwned {
            oid,
            parameters: Some(parameters),
        },
        enc_key: OctetString::new(encrypted)?,
    })
}
