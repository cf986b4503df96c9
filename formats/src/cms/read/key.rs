//! Who opens the message: a certificate, which names the recipient, and its private key.

use super::recipient::Name;
use crate::cms::CmsError;
use crate::cms::element::{Elements, INTEGER, SEQUENCE, constructed};
use const_oid::AssociatedOid;
use der::Decode;
use fips::secret::SecretBytes;
use x509_cert::Certificate;
use x509_cert::ext::pkix::SubjectKeyIdentifier;

/// A recipient's certificate with its private key: RSA of 1024 to 8192 bits, or EC on P-256, P-384 or P-521.
pub struct RecipientKey<'a> {
    issuer: Vec<u8>,
    serial: Vec<u8>,
    key_identifier: Option<Vec<u8>>,
    pkcs8: &'a SecretBytes,
}

impl<'a> RecipientKey<'a> {
    /// `certificate` in DER, and the key that belongs to it as DER `PrivateKeyInfo` (RFC 5208, RFC 5958).
    ///
    /// # Errors
    /// [`CmsError::RecipientKey`] when one of them does not parse, or when the key is another certificate's.
    pub fn new(certificate: &[u8], pkcs8: &'a SecretBytes) -> Result<Self, CmsError> {
        const CERTIFICATE: CmsError = CmsError::RecipientKey {
            what: "certificate does not parse as one certificate in DER",
        };
        let (issuer, serial) = issuer_and_serial(certificate).map_err(|_| CERTIFICATE)?;
        let certificate = Certificate::from_der(certificate).map_err(|_| CERTIFICATE)?;
        let tbs = certificate.tbs_certificate();
        let public =
            fips::pkcs8_public(pkcs8.expose()).map_err(|_| CmsError::RecipientKey {
                what: "private key does not parse as PKCS#8 of an RSA key, or of an EC key on P-256, P-384 or P-521",
            })?;
        // The numbers of the key: not how its algorithm is written, which may differ.
        let of_key = spki::SubjectPublicKeyInfoRef::from_der(&public)
            .ok()
            .and_then(|spki| spki.subject_public_key.as_bytes());
        if of_key.is_none() || of_key != tbs.subject_public_key_info().subject_public_key.as_bytes()
        {
            return Err(CmsError::RecipientKey {
                what: "private key does not belong to the certificate",
            });
        }
        let key_identifier = tbs
            .extensions()
            .into_iter()
            .flatten()
            .find(|extension| extension.extn_id == SubjectKeyIdentifier::OID)
            .and_then(|extension| {
                SubjectKeyIdentifier::from_der(extension.extn_value.as_bytes()).ok()
            })
            .map(|identifier| identifier.0.as_bytes().to_vec());
        Ok(Self {
            issuer: issuer.to_vec(),
            serial: serial.to_vec(),
            key_identifier,
            pkcs8,
        })
    }

    /// Whether this recipient is meant.
    pub(super) fn is(&self, name: &Name<'_>) -> bool {
        match name {
            Name::IssuerAndSerialNumber { issuer, serial } => {
                *issuer == self.issuer && *serial == self.serial
            }
            Name::SubjectKeyIdentifier(identifier) => self
                .key_identifier
                .as_deref()
                .is_some_and(|own| own == *identifier),
        }
    }

    pub(super) fn pkcs8(&self) -> &[u8] {
        self.pkcs8.expose()
    }
}

/// The issuer's Name (with its header) and the serial number (content of its INTEGER), octet by octet as a message has them: decoded and
/// encoded anew, a name with several attributes in one step would have them sorted, which not every authority does (RFC 5280 section 4.1).
fn issuer_and_serial(certificate: &[u8]) -> Result<(&[u8], &[u8]), CmsError> {
    const WHAT: &str = "a certificate does not parse";
    let mut whole = Elements::over(certificate);
    let mut tbs = whole
        .take(SEQUENCE, WHAT)?
        .inside()
        .take(SEQUENCE, WHAT)?
        .inside();
    tbs.take_if(constructed(0))?;
    let serial = tbs.take(INTEGER, WHAT)?.content();
    tbs.take(SEQUENCE, WHAT)?;
    Ok((tbs.take(SEQUENCE, WHAT)?.whole(), serial))
}
