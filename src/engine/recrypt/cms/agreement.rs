//! Key agreement with EC keys: ephemeral-static ECDH (RFC 5652 section 6.2.2, RFC 5753 section 3.1).

use super::{AES_256_KEY_BYTES, CmsError};
use crate::engine::recrypt::signatures::{KeyKind, ec_point};
use cms::cert::IssuerAndSerialNumber;
use cms::content_info::CmsVersion;
use cms::enveloped_data::{
    KeyAgreeRecipientIdentifier, KeyAgreeRecipientInfo, OriginatorIdentifierOrKey,
    OriginatorPublicKey, RecipientEncryptedKey,
};
use const_oid::ObjectIdentifier;
use const_oid::db::rfc5912;
use der::asn1::{BitString, OctetString};
use der::{Any, Encode, Sequence};
use fips::digest::Hash;
use fips::ec::Curve;
use fips::secret::SecretBytes;
use spki::AlgorithmIdentifierOwned;

/// id-aes256-wrap (RFC 3565 section 2.3.2): without parameters.
const AES_256_WRAP: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.45");
/// dhSinglePass-stdDH-sha256kdf-scheme (RFC 5753 section 7.1.4).
const STD_DH_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.1.11.1");
/// dhSinglePass-stdDH-sha384kdf-scheme.
const STD_DH_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.1.11.2");
/// dhSinglePass-stdDH-sha512kdf-scheme.
const STD_DH_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.1.11.3");

/// What the key-encryption key is bound to (RFC 5753 section 7.2).
///
/// ```text
/// ECC-CMS-SharedInfo ::= SEQUENCE {
///     keyInfo         AlgorithmIdentifier,
///     entityUInfo [0] EXPLICIT OCTET STRING OPTIONAL,
///     suppPubInfo [2] EXPLICIT OCTET STRING }
/// ```
///
/// entityUInfo is the ukm, which is not used: the ephemeral key is fresh for every message.
#[derive(Sequence)]
struct SharedInfo {
    key_info: AlgorithmIdentifierOwned,
    #[asn1(context_specific = "2", tag_mode = "EXPLICIT")]
    key_bits: OctetString,
}

/// The content key, wrapped under a key agreed with the device's public key and an ephemeral one.
pub(super) fn recipient(
    spki: &[u8],
    rid: IssuerAndSerialNumber,
    key: &SecretBytes,
) -> Result<KeyAgreeRecipientInfo, CmsError> {
    let (kind, point) = ec_point(spki).ok_or(CmsError::Device { what: "EC key" })?;
    let (curve, curve_oid, scheme, hash) = match kind {
        KeyKind::P384 => (
            Curve::P384,
            rfc5912::SECP_384_R_1,
            STD_DH_SHA384,
            Hash::Sha384,
        ),
        KeyKind::P521 => (
            Curve::P521,
            rfc5912::SECP_521_R_1,
            STD_DH_SHA512,
            Hash::Sha512,
        ),
        _ => (
            Curve::P256,
            rfc5912::SECP_256_R_1,
            STD_DH_SHA256,
            Hash::Sha256,
        ),
    };
    let (ephemeral_point, shared_secret) =
        fips::ec::agree_ephemeral(curve, point).map_err(|error| match error {
            fips::Error::Agreement => CmsError::Device { what: "EC key" },
            // The policy's refusal, or the module's failure: nothing about the device.
            other => CmsError::Module(other),
        })?;

    let wrap = AlgorithmIdentifierOwned {
        oid: AES_256_WRAP,
        parameters: None,
    };
    let key_bits = u32::try_from(AES_256_KEY_BYTES * 8).unwrap_or_default();
    let shared_info = SharedInfo {
        key_info: wrap.clone(),
        key_bits: OctetString::new(key_bits.to_be_bytes().as_slice())?,
    };
    let kek = fips::kdf::x963(
        hash,
        &shared_secret,
        &shared_info.to_der()?,
        AES_256_KEY_BYTES,
    )?;
    let wrapped = fips::aes::key_wrap(&kek, key)?;

    Ok(KeyAgreeRecipientInfo {
        version: CmsVersion::V3,
        originator: OriginatorIdentifierOrKey::OriginatorKey(OriginatorPublicKey {
            algorithm: AlgorithmIdentifierOwned {
                oid: rfc5912::ID_EC_PUBLIC_KEY,
                parameters: Some(Any::from(curve_oid)),
            },
            public_key: BitString::from_bytes(&ephemeral_point)?,
        }),
        ukm: None,
        key_enc_alg: AlgorithmIdentifierOwned {
            oid: scheme,
            parameters: Some(Any::encode_from(&wrap)?),
        },
        recipient_enc_keys: vec![RecipientEncryptedKey {
            rid: KeyAgreeRecipientIdentifier::IssuerAndSerialNumber(rid),
            enc_key: OctetString::new(wrapped)?,
        }],
    })
}
