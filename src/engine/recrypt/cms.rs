//! The password's way on: CMS EnvelopedData or AuthEnvelopedData to the device (RFC 5652 section 6, RFC 5083), with each recipient by issuer
//! and serial number.
//!
//! The messages themselves are crate `formats`' ([`formats::cms::write`]). Here is who may be encrypted to, in which form, under which
//! FIPS policy, and what the token does of it.

mod transport;

pub use transport::KeyTransport;

use super::chain::DeviceIdentity;
use super::signatures::KeyKind;
use crate::engine::api::{CmsFormat, FailureCode};
use fips::policy::{Mode, Service, decide, in_force};
use fips::secret::SecretBytes;
use formats::cms::write::{
    self, ContentEncryption, Form, MAX_RECIPIENTS, Recipient, RecipientKind, RsaPadding, WriteError,
};

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
    /// Nobody to encrypt to, or too many.
    #[error("a message is for 1 to {MAX_RECIPIENTS} devices, not for {count}")]
    Devices {
        /// How many were asked for.
        count: usize,
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
            Self::Devices { .. } => "devices",
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
            Self::Devices { .. } => FailureCode::BadRequest,
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

impl From<WriteError> for CmsError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Recipient { what } => Self::Device { what },
            WriteError::Recipients { count } => Self::Devices { count },
            WriteError::Module(error) => Self::Module(error),
            WriteError::Encoding(error) => Self::Encoding(error),
            // Another one of a later day: nothing that is known of a device.
            _ => Self::Encoding(der::ErrorKind::Failed.into()),
        }
    }
}

const fn form(format: CmsFormat) -> Form {
    let (content, rsa) = match format {
        CmsFormat::Modern => (ContentEncryption::Aes256Cbc, RsaPadding::Oaep),
        CmsFormat::ModernGcm => (ContentEncryption::Aes256Gcm, RsaPadding::Oaep),
        CmsFormat::Compatible => (ContentEncryption::Aes256Cbc, RsaPadding::Pkcs1v15),
        CmsFormat::CompatibleDesEde3 => (ContentEncryption::DesEde3Cbc, RsaPadding::Pkcs1v15),
    };
    Form { content, rsa }
}

/// Whether [`envelop`] can make this format for this device, to be asked before the custody key is used.
///
/// # Errors
/// [`CmsError::FormatNotForEc`], and [`CmsError::Device`] when key, issuer or serial number cannot be written as they were read.
pub fn check_format(format: CmsFormat, device: &DeviceIdentity) -> Result<(), CmsError> {
    let name = match format {
        CmsFormat::Modern | CmsFormat::ModernGcm => None,
        CmsFormat::Compatible => Some("compatible"),
        CmsFormat::CompatibleDesEde3 => Some("compatibleDesEde3"),
    };
    if let (Some(format), false) = (name, device.kind() == KeyKind::Rsa) {
        return Err(CmsError::FormatNotForEc { format });
    }
    recipient(device).map(|_| ())
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
    let Form { content, rsa } = form(format);
    let by_content = match content {
        ContentEncryption::Aes256Cbc => Service::AesCbc,
        ContentEncryption::Aes256Gcm => Service::AesGcm,
        ContentEncryption::DesEde3Cbc => Service::TripleDesEncrypt,
    };
    let by_kind: &[Service] = match (device.kind(), rsa, transport) {
        (KeyKind::Rsa, RsaPadding::Oaep, KeyTransport::Token { .. }) => {
            &[Service::TokenOaepEncrypt]
        }
        (KeyKind::Rsa, RsaPadding::Oaep, KeyTransport::Module) => &[Service::RsaOaepEncrypt],
        (KeyKind::Rsa, RsaPadding::Pkcs1v15, _) => &[Service::RsaPkcs1v15Encrypt],
        _ => &[Service::Ecdh, Service::X963Kdf],
    };
    for service in by_kind.iter().chain([&by_content]) {
        decide(*service).map(drop)?;
    }
    // What the token does counts as approved, and no token looks at this.
    if by_kind == [Service::TokenOaepEncrypt]
        && in_force().mode() == Mode::Strict
        && has_small_exponent(&recipient(device)?)
    {
        return Err(CmsError::SmallExponent);
    }
    Ok(())
}

/// Encrypts `content` to the device: a ContentInfo (DER) that holds id-data.
///
/// | format | RSA | EC |
/// |---|---|---|
/// | modern | RSAES-OAEP (hash: see [`KeyTransport`]), AES-256-CBC | ephemeral ECDH, X9.63 KDF, AES-256 key wrap, AES-256-CBC |
/// | modernGcm | the same with AES-256-GCM, in AuthEnvelopedData | the same with AES-256-GCM, in AuthEnvelopedData |
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
    envelop_to_many(format, std::slice::from_ref(device), content, transport)
}

/// As [`envelop`], one message for several devices, of which each can read it: the content is encrypted once, its key to each of them.
///
/// Every one of them is to be asked about by [`check_format`] and [`check_policy`] before the custody key is used.
///
/// # Errors
/// As [`envelop`]; [`CmsError::Devices`] for none, and for more than [`MAX_RECIPIENTS`].
pub fn envelop_to_many(
    format: CmsFormat,
    devices: &[DeviceIdentity],
    content: &SecretBytes,
    transport: KeyTransport<'_>,
) -> Result<Vec<u8>, CmsError> {
    for device in devices {
        check_format(format, device)?;
    }
    let recipients = devices
        .iter()
        .map(recipient)
        .collect::<Result<Vec<_>, _>>()?;
    write::envelop(form(format), &recipients, content, |spki, key| {
        transport.oaep(spki, key)
    })
}

/// The device as a recipient: names byte for byte as in the certificate.
fn recipient(device: &DeviceIdentity) -> Result<Recipient, CmsError> {
    let recipient = Recipient::new(device.issuer_der(), device.serial_der(), device.spki_der())?;
    // Two readings of one key: the path's, by its head, and the module's.
    match (recipient.kind(), device.kind()) {
        (RecipientKind::Rsa(_), KeyKind::Rsa)
        | (RecipientKind::Ec(_), KeyKind::P256 | KeyKind::P384 | KeyKind::P521) => Ok(recipient),
        _ => Err(CmsError::Device { what: "key" }),
    }
}

/// Whether the public exponent is below 65537, the smallest that SP 800-56B revision 2 allows (section 6.2).
fn has_small_exponent(recipient: &Recipient) -> bool {
    const SMALLEST: &[u8] = &[1, 0, 1];
    // Without leading zeros the longer number is the larger one.
    recipient
        .rsa_exponent()
        .is_some_and(|exponent| (exponent.len(), exponent) < (SMALLEST.len(), SMALLEST))
}
