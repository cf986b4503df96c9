//! Who a message is for.

use super::WriteError;
use cms::cert::IssuerAndSerialNumber;
use der::{Decode, Encode};
use fips::ec::Curve;
use fips::rsa::PublicKey;
use x509_cert::Certificate;
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;

/// Whether a recipient's key transports keys or agrees on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecipientKind {
    /// RSA, of this size in bits.
    Rsa(usize),
    /// EC.
    Ec(Curve),
}

/// A recipient by issuer and serial number, with its public key. Nothing says whose it is: that was to be verified before.
#[derive(Debug, Clone)]
pub struct Recipient {
    name: IssuerAndSerialNumber,
    key: Key,
}

#[derive(Debug, Clone)]
pub(super) enum Key {
    Rsa(PublicKey),
    Ec { curve: Curve, point: Vec<u8> },
}

impl Recipient {
    /// A recipient by the parts of its certificate: issuer (DER Name), serial number (DER INTEGER), key (DER SubjectPublicKeyInfo).
    ///
    /// # Errors
    /// [`WriteError::Recipient`] when issuer or serial number cannot be written as they were read, byte for byte, or when the key is
    /// neither RSA of 2048 to 8192 bits nor EC on P-256, P-384 or P-521.
    pub fn new(issuer: &[u8], serial: &[u8], spki: &[u8]) -> Result<Self, WriteError> {
        let issuer = Name::from_der(issuer)
            .ok()
            .filter(|name| name.to_der().is_ok_and(|der| der == issuer))
            .ok_or(WriteError::Recipient { what: "issuer" })?;
        let serial_number = SerialNumber::from_der(serial)
            .ok()
            .filter(|number: &SerialNumber| number.to_der().is_ok_and(|der| der == serial))
            .ok_or(WriteError::Recipient {
                what: "serial number",
            })?;
        Ok(Self {
            name: IssuerAndSerialNumber {
                issuer,
                serial_number,
            },
            key: Key::read(spki)?,
        })
    }

    /// A recipient by its certificate (DER).
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn of_certificate(certificate: &[u8]) -> Result<Self, WriteError> {
        let certificate =
            Certificate::from_der(certificate).map_err(|_| WriteError::Recipient {
                what: "certificate",
            })?;
        let tbs = certificate.tbs_certificate();
        Self::new(
            &tbs.issuer().to_der()?,
            &tbs.serial_number().to_der()?,
            &tbs.subject_public_key_info().to_der()?,
        )
    }

    /// What kind of key it has.
    #[must_use]
    pub fn kind(&self) -> RecipientKind {
        match &self.key {
            Key::Rsa(key) => RecipientKind::Rsa(key.modulus_bits()),
            Key::Ec { curve, .. } => RecipientKind::Ec(*curve),
        }
    }

    /// The public exponent of an RSA key, big-endian without leading zeros.
    #[must_use]
    pub fn rsa_exponent(&self) -> Option<&[u8]> {
        match &self.key {
            Key::Rsa(key) => Some(key.exponent_be()),
            Key::Ec { .. } => None,
        }
    }

    pub(super) fn name(&self) -> IssuerAndSerialNumber {
        self.name.clone()
    }

    pub(super) fn key(&self) -> &Key {
        &self.key
    }
}

impl Key {
    fn read(spki: &[u8]) -> Result<Self, WriteError> {
        match PublicKey::from_spki(spki) {
            Ok(key) => Ok(Self::Rsa(key)),
            Err(fips::Error::UnsupportedKey { .. }) => fips::ec::point_from_spki(spki)
                .map(|(curve, point)| Self::Ec { curve, point })
                .map_err(|_| WriteError::Recipient { what: "key" }),
            Err(_) => Err(WriteError::Recipient { what: "RSA key" }),
        }
    }
}
