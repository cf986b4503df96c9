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
use fips::policy::{Mode, in_force};
use fips::rsa::PublicKey;
use fips::secret::SecretBytes;
use hsm::{Custody, Padding, Terms};
use spki::AlgorithmIdentifierOwned;
use std::time::Instant;

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
    fn new(hash: Hash) -> Result<Self, CmsError> {
        let oid = match hash {
            Hash::Sha1 => {
                return Ok(Self {
                    hash: None,
                    mask_generation: None,
                });
            }
            Hash::Sha256 => rfc5912::ID_SHA_256,
            Hash::Sha384 => rfc5912::ID_SHA_384,
            Hash::Sha512 => rfc5912::ID_SHA_512,
        };
        // RFC 4055 section 2.1: readers take NULL and absent alike; with NULL all known ones do.
        let identifier = AlgorithmIdentifierOwned {
            oid,
            parameters: Some(Any::from(Null)),
        };
        Ok(Self {
            mask_generation: Some(AlgorithmIdentifierOwned {
                oid: rfc5912::ID_MGF_1,
                parameters: Some(Any::encode_from(&identifier)?),
            }),
            hash: Some(identifier),
        })
    }
}

/// What encrypts the content key to an RSA device with RSAES-OAEP.
#[derive(Clone, Copy)]
pub enum KeyTransport<'a> {
    /// The token: C_Encrypt with the device's key as a session object. The approved way.
    Token {
        /// The token.
        custody: &'a dyn Custody,
        /// The padding: one that the token does itself.
        padding: Padding,
        /// When nobody waits any more.
        deadline: Option<Instant>,
    },
    /// The cryptographic module, with SHA-256: in FIPS terms not approved, not allowed.
    Module,
}

impl<'a> KeyTransport<'a> {
    /// `deadline`: the token is waited for until then. The calling thread may make the call itself then ([`Terms::own_thread`]).
    ///
    /// In strict mode the token, with the best hash that it does itself ([`hsm::Capabilities::key_transport_padding`]); the module where
    /// the token does none (the policy then has the last word) and with the mode off, since it is faster.
    #[must_use]
    pub fn choose(custody: &'a dyn Custody, deadline: Option<Instant>) -> Self {
        match custody.capabilities().key_transport_padding() {
            Some(padding) if in_force().mode() == Mode::Strict => Self::Token {
                custody,
                padding,
                deadline,
            },
            _ => Self::Module,
        }
    }

    /// The content key with RSAES-OAEP, one hash in both places (RFC 3560).
    pub(super) fn oaep(
        self,
        spki: &[u8],
        rid: IssuerAndSerialNumber,
        key: &SecretBytes,
    ) -> Result<KeyTransRecipientInfo, CmsError> {
        // Looked at in every case: size and form are checked before the token sees the key.
        let public = public_key(spki)?;
        let (hash, encrypted) = match self {
            Self::Module => (
                Hash::Sha256,
                public.encrypt_oaep(Hash::Sha256, key.expose())?,
            ),
            Self::Token {
                custody,
                padding,
                deadline,
            } => {
                let terms = deadline.map_or(Terms::default(), |deadline| {
                    Terms::within(deadline.saturating_duration_since(Instant::now()))
                        .on_own_thread()
                });
                let encrypted = custody.encrypt_on(public.spki_der(), padding, key, terms);
                (padding.hash(), encrypted.map_err(CmsError::Token)?)
            }
        };
        let parameters = OaepParams::new(hash)?;
        recipient(
            rid,
            rfc5912::ID_RSAES_OAEP,
            Any::encode_from(&parameters)?,
            encrypted,
        )
    }
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

/// Whether the public exponent is below 65537, the smallest that SP 800-56B revision 2 allows (section 6.2).
pub(super) fn has_small_exponent(spki: &[u8]) -> Result<bool, CmsError> {
    const SMALLEST: &[u8] = &[1, 0, 1];
    let key = public_key(spki)?;
    // Without leading zeros the longer number is the larger one.
    let exponent = key.exponent_be();
    Ok((exponent.len(), exponent) < (SMALLEST.len(), SMALLEST))
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
