//! Key agreement with EC keys: ephemeral-static ECDH (RFC 5652 section 6.2.2, RFC 5753 section 3.1), written.

use super::WriteError;
use super::content::AES_256_KEY_BYTES;
use crate::cms::oids;
use crate::cms::shared_info::shared_info;
use cms::cert::IssuerAndSerialNumber;
use cms::content_info::CmsVersion;
use cms::enveloped_data::{
    KeyAgreeRecipientIdentifier, KeyAgreeRecipientInfo, OriginatorIdentifierOrKey,
    OriginatorPublicKey, RecipientEncryptedKey,
};
use const_oid::db::rfc5912;
use der::asn1::{BitString, ObjectIdentifier, OctetString};
use der::{Any, Encode};
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

/// The content key, wrapped under a key agreed with the recipient's public key and an ephemeral one.
pub(super) fn recipient(
    curve: Curve,
    point: &[u8],
    name: IssuerAndSerialNumber,
    key: &SecretBytes,
) -> Result<KeyAgreeRecipientInfo, WriteError> {
    let (curve_oid, scheme, hash) = match curve {
        Curve::P256 => (rfc5912::SECP_256_R_1, STD_DH_SHA256, Hash::Sha256),
        Curve::P384 => (rfc5912::SECP_384_R_1, STD_DH_SHA384, Hash::Sha384),
        Curve::P521 => (rfc5912::SECP_521_R_1, STD_DH_SHA512, Hash::Sha512),
    };
    let (ephemeral_point, shared_secret) =
        fips::ec::agree_ephemeral(curve, point).map_err(|error| match error {
            fips::Error::Agreement => WriteError::Recipient { what: "EC key" },
            // The policy's refusal, or the module's failure: nothing about the recipient.
            other => WriteError::Module(other),
        })?;
    let wrap = AlgorithmIdentifierOwned {
        oid: AES_256_WRAP,
        parameters: None,
    };
    // No user keying material: the ephemeral key is fresh for every message.
    let shared_info = shared_info(&wrap.to_der()?, None, AES_256_KEY_BYTES)?;
    let kek = fips::kdf::x963(hash, &shared_secret, &shared_info, AES_256_KEY_BYTES)?;
    let wrapped = fips::aes::key_wrap(&kek, key)?;

    Ok(KeyAgreeRecipientInfo {
        version: CmsVersion::V3,
        originator: OriginatorIdentifierOrKey::OriginatorKey(OriginatorPublicKey {
            algorithm: AlgorithmIdentifierOwned {
                oid: oids::EC_PUBLIC_KEY,
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
            rid: KeyAgreeRecipientIdentifier::IssuerAndSerialNumber(name),
            enc_key: OctetString::new(wrapped)?,
        }],
    })
}
