//! The password's way on: CMS EnvelopedData to the device (RFC 5652 section 6), with one recipient by issuer and serial number.

mod agreement;
mod transport;

pub use transport::KeyTransport;

use super::chain::DeviceIdentity;
use super::signatures::KeyKind;
use crate::engine::api::{CmsFormat, FailureCode};
use cms::cert::IssuerAndSerialNumber;
use cms::content_info::{CmsVersion, ContentInfo};
use cms::enveloped_data::{EncryptedContentInfo, EnvelopedData, RecipientInfo, RecipientInfos};
use const_oid::ObjectIdentifier;
use const_oid::db::rfc5911;
use der::asn1::{OctetString, SetOfVec};
use der::{Any, Decode, Encode};
use fips::policy::{Mode, Service, decide, in_force};
use fips::secret::SecretBytes;
use spki::AlgorithmIdentifierOwned;
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;

/// des-ede3-cbc (RFC 3370 section 5.1).
const DES_EDE3_CBC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.3.7");
/// Length of the content key of AES-256, in bytes.
const AES_256_KEY_BYTES: usize = 32;
/// Length of the content key of DES-EDE3 (three keys with their parity bits), in bytes.
const DES_EDE3_KEY_BYTES: usize = 24;

/// Why there is no message.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CmsError {
    /// The format is not for this kind of key.
    #[error(
        "the device has an EC key, and the format {format} encrypts only to RSA keys: ask for the format modern"
    )]
    FormatNotForEc {
        /// The format that was asked for.
        format: &'static str,
    },
    /// The device's RSA key has a public exponent for which key transport is not approved.
    #[error(
        "the device's RSA key has a public exponent below 65537, for which key transport is not approved (SP 800-56B revision 2, section 6.2): in strict FIPS mode the device needs another key"
    )]
    SmallExponent,
    /// The device's key or name cannot be used, although the certificate is in order.
    #[error("the device certificate's {what} cannot be put into a CMS recipient")]
    Device {
        /// Which part.
        what: &'static str,
    },
    /// The cryptographic module failed.
    #[error("the cryptographic module: {0}")]
    Module(#[from] fips::Error),
    /// The token failed over the key transport.
    #[error("key transport by the token: {0}")]
    Token(#[source] hsm::Error),
    /// The message could not be encoded: a bug.
    #[error("the CMS message could not be encoded: {0}")]
    Encoding(#[from] der::Error),
}

impl CmsError {
    /// Stable code for the operator's log.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::FormatNotForEc { .. } => "format_not_for_ec",
            Self::SmallExponent => "device_exponent",
            Self::Device { .. } => "device_not_encodable",
            Self::Module(fips::Error::NotApproved { .. }) => "not_approved",
            Self::Module(_) => "module",
            Self::Token(error) => error.code(),
            Self::Encoding(_) => "encoding",
        }
    }

    /// What the caller of the engine is told.
    #[must_use]
    pub fn failure_code(&self) -> FailureCode {
        match self {
            Self::FormatNotForEc { .. } => FailureCode::FormatRefused,
            Self::SmallExponent | Self::Device { .. } => FailureCode::DeviceCertificateRefused,
            Self::Module(fips::Error::NotApproved { .. }) => FailureCode::FormatRefused,
            Self::Token(error) => match error.class() {
                // The token encrypts to other keys, but not to this one.
                hsm::ErrorClass::BadInput => FailureCode::DeviceCertificateRefused,
                _ => FailureCode::TokenUnavailable,
            },
            Self::Module(_) | Self::Encoding(_) => FailureCode::EngineFault,
        }
    }
}

/// Whether [`envelop`] can make this format for this device, to be asked before the custody key is used.
///
/// # Errors
/// [`CmsError::FormatNotForEc`], and [`CmsError::Device`] when issuer or serial number cannot be written as they were read.
pub fn check_format(format: CmsFormat, device: &DeviceIdentity) -> Result<(), CmsError> {
    let name = match format {
        CmsFormat::Modern => None,
        CmsFormat::Compatible => Some("compatible"),
        CmsFormat::CompatibleDesEde3 => Some("compatibleDesEde3"),
    };
    if let (Some(format), false) = (name, device.kind() == KeyKind::Rsa) {
        return Err(CmsError::FormatNotForEc { format });
    }
    recipient_name(device).map(|_| ())
}

/// Whether the FIPS policy of this process lets [`envelop`] make this format for this device by this transport, to be asked before the
/// custody key is used.
///
/// # Errors
/// [`CmsError::Module`] with [`fips::Error::NotApproved`], which names algorithm, service and remedy; [`CmsError::SmallExponent`] where
/// the token would do it for a key that is not approved for it.
pub fn check_policy(
    format: CmsFormat,
    device: &DeviceIdentity,
    transport: KeyTransport<'_>,
) -> Result<(), CmsError> {
    let by_kind: &[Service] = match (device.kind(), format, transport) {
        (KeyKind::Rsa, CmsFormat::Modern, KeyTransport::Token { .. }) => {
            &[Service::TokenOaepEncrypt]
        }
        (KeyKind::Rsa, CmsFormat::Modern, KeyTransport::Module) => &[Service::RsaOaepEncrypt],
        (KeyKind::Rsa, CmsFormat::Compatible, _) => &[Service::RsaPkcs1v15Encrypt],
        (KeyKind::Rsa, CmsFormat::CompatibleDesEde3, _) => {
            &[Service::RsaPkcs1v15Encrypt, Service::TripleDesEncrypt]
        }
        _ => &[Service::Ecdh, Service::X963Kdf],
    };
    for service in by_kind {
        decide(*service).map(drop)?;
    }
    // What the token does counts as approved, and no token looks at this.
    if by_kind == [Service::TokenOaepEncrypt]
        && in_force().mode() == Mode::Strict
        && transport::has_small_exponent(device.spki_der())?
    {
        return Err(CmsError::SmallExponent);
    }
    Ok(())
}

/// Encrypts `content` to the device: a ContentInfo with EnvelopedData (DER) that holds id-data.
///
/// | format | RSA | EC |
/// |---|---|---|
/// | modern | RSAES-OAEP (hash: see [`KeyTransport`]), AES-256-CBC | ephemeral ECDH, X9.63 KDF, AES-256 key wrap, AES-256-CBC |
/// | compatible | RSAES-PKCS1-v1_5, AES-256-CBC | refused |
/// | compatibleDesEde3 | RSAES-PKCS1-v1_5, DES-EDE3-CBC | refused |
///
/// Content key and initialisation vector are fresh from the module for every message.
///
/// # Errors
/// [`CmsError`]; whatever [`check_format`] and [`check_policy`] let through fails only for the module's or the token's reasons.
pub fn envelop(
    format: CmsFormat,
    device: &DeviceIdentity,
    content: &SecretBytes,
    transport: KeyTransport<'_>,
) -> Result<Vec<u8>, CmsError> {
    check_format(format, device)?;
    let (key, encrypted_content) = match format {
        CmsFormat::Modern | CmsFormat::Compatible => encrypt_aes_256(content)?,
        CmsFormat::CompatibleDesEde3 => encrypt_des_ede3(content)?,
    };
    let rid = recipient_name(device)?;
    let (version, recipient) = match (device.kind(), format) {
        (KeyKind::Rsa, CmsFormat::Modern) => {
            // RFC 5652 section 6.1: 0 while every recipient is of version 0, and 2 with a key agreement.
            (
                CmsVersion::V0,
                RecipientInfo::Ktri(transport.oaep(device.spki_der(), rid, &key)?),
            )
        }
        (KeyKind::Rsa, _) => (
            CmsVersion::V0,
            RecipientInfo::Ktri(transport::pkcs1v15(device.spki_der(), rid, &key)?),
        ),
        _ => (
            CmsVersion::V2,
            RecipientInfo::Kari(agreement::recipient(device.spki_der(), rid, &key)?),
        ),
    };
    let message = EnvelopedData {
        version,
        originator_info: None,
        recip_infos: RecipientInfos(SetOfVec::try_from(vec![recipient])?),
        encrypted_content,
        unprotected_attrs: None,
    };
    let content_info = ContentInfo {
        content_type: rfc5911::ID_ENVELOPED_DATA,
        content: Any::encode_from(&message)?,
    };
    Ok(content_info.to_der()?)
}

/// The recipient's issuer and serial number, byte for byte as in the certificate.
fn recipient_name(device: &DeviceIdentity) -> Result<IssuerAndSerialNumber, CmsError> {
    let issuer = Name::from_der(device.issuer_der())
        .ok()
        .filter(|name| name.to_der().is_ok_and(|der| der == device.issuer_der()))
        .ok_or(CmsError::Device { what: "issuer" })?;
    let serial_number = SerialNumber::from_der(device.serial_der())
        .ok()
        .filter(|serial: &SerialNumber| serial.to_der().is_ok_and(|der| der == device.serial_der()))
        .ok_or(CmsError::Device {
            what: "serial number",
        })?;
    Ok(IssuerAndSerialNumber {
        issuer,
        serial_number,
    })
}

fn encrypt_aes_256(content: &SecretBytes) -> Result<(SecretBytes, EncryptedContentInfo), CmsError> {
    let key = random_key(AES_256_KEY_BYTES)?;
    let (iv, ciphertext) = fips::aes::cbc_encrypt_random_iv(&key, content.expose())?;
    let info = encrypted_content(rfc5911::ID_AES_256_CBC, &iv, ciphertext)?;
    Ok((key, info))
}

fn encrypt_des_ede3(
    content: &SecretBytes,
) -> Result<(SecretBytes, EncryptedContentInfo), CmsError> {
    let mut key = random_key(DES_EDE3_KEY_BYTES)?;
    for byte in key.expose_mut() {
        // Odd parity in the lowest bit of each byte (FIPS 46-3); some readers check it.
        let odd = (*byte & 0xfe).count_ones().is_multiple_of(2);
        *byte = (*byte & 0xfe) | u8::from(odd);
    }
    let iv = fips::random::array()?;
    let ciphertext = fips::legacy::des_ede3_cbc_encrypt(&key, &iv, content.expose())?;
    let info = encrypted_content(DES_EDE3_CBC, &iv, ciphertext)?;
    Ok((key, info))
}

/// EncryptedContentInfo with the initialisation vector as the algorithm's parameters (RFC 3370 section 5.1, RFC 3565 section 4.1).
fn encrypted_content(
    algorithm: ObjectIdentifier,
    iv: &[u8],
    ciphertext: Vec<u8>,
) -> Result<EncryptedContentInfo, CmsError> {
    Ok(EncryptedContentInfo {
        content_type: rfc5911::ID_DATA,
        content_enc_alg: AlgorithmIdentifierOwned {
            oid: algorithm,
            parameters: Some(Any::encode_from(&OctetString::new(iv)?)?),
        },
        encrypted_content: Some(OctetString::new(ciphertext)?),
    })
}

fn random_key(bytes: usize) -> Result<SecretBytes, CmsError> {
    let mut key = SecretBytes::zeroed(bytes);
    fips::random::fill(key.expose_mut())?;
    Ok(key)
}
