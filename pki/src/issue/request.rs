//! What a certification request (PKCS#10, RFC 2986) asks for, once its signature verifies.

use super::{IssueError, refused};
use crate::csr::Csr;
use crate::extension::{SID_EXTENSION, TEMPLATE, TEMPLATE_NAME};
use der::asn1::ObjectIdentifier;
use der::{Decode, Tagged};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::name::GeneralNames;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage};
use x509_cert::name::Name;

/// Alternative names in one request.
const MAX_NAMES: usize = 32;

const SUBJECT_ALT_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");
const KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.15");
const EXTENDED_KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37");
const BASIC_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.19");
/// Asked for by usual programs, and the authority's to decide: subjectKeyIdentifier, and the templates of Microsoft's authorities, which
/// mean nothing here.
const WITHOUT_MEANING: [ObjectIdentifier; 3] = [
    ObjectIdentifier::new_unwrap("2.5.29.14"),
    TEMPLATE_NAME,
    TEMPLATE,
];

/// A request whose signature was verified with the key that is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub(super) subject: Name,
    pub(super) spki_der: Vec<u8>,
    pub(super) names: GeneralNames,
    pub(super) key_usage: Option<KeyUsage>,
    pub(super) extended_key_usage: Option<ExtendedKeyUsage>,
    pub(super) asks_for_authority: bool,
    /// The value of szOID_NTDS_CA_SECURITY_EXT.
    pub(super) sid: Option<Vec<u8>>,
}

impl Request {
    /// Reads a request (DER) and verifies that who asks has the private key.
    ///
    /// # Errors
    /// [`IssueError::Refused`].
    pub fn read(csr_der: &[u8]) -> Result<Self, IssueError> {
        let csr = Csr::read(csr_der).map_err(|error| IssueError::Refused(error.to_string()))?;
        let mut read = Self {
            subject: csr.subject().clone(),
            spki_der: csr.spki_der().to_vec(),
            names: GeneralNames::new(),
            key_usage: None,
            extended_key_usage: None,
            asks_for_authority: false,
            sid: None,
        };
        for extension in csr.extension_list() {
            read.take(extension)?;
        }
        if read.names.len() > MAX_NAMES {
            return refused(format!("it has more than {MAX_NAMES} alternative names"));
        }
        Ok(read)
    }

    /// The key that it is about (DER SubjectPublicKeyInfo).
    #[must_use]
    pub fn spki_der(&self) -> &[u8] {
        &self.spki_der
    }

    fn take(&mut self, extension: &Extension) -> Result<(), IssueError> {
        let value = extension.extn_value.as_bytes();
        let malformed =
            |_| IssueError::Refused(format!("its extension {} is malformed", extension.extn_id));
        match extension.extn_id {
            SUBJECT_ALT_NAME => self.names = GeneralNames::from_der(value).map_err(malformed)?,
            KEY_USAGE => self.key_usage = Some(KeyUsage::from_der(value).map_err(malformed)?),
            EXTENDED_KEY_USAGE => {
                self.extended_key_usage =
                    Some(ExtendedKeyUsage::from_der(value).map_err(malformed)?);
            }
            BASIC_CONSTRAINTS => {
                self.asks_for_authority = BasicConstraints::from_der(value).map_err(malformed)?.ca;
            }
            SID_EXTENSION => {
                // One value of DER, so that nothing else travels in it.
                let whole = der::AnyRef::from_der(value).map_err(malformed)?;
                if value.len() > 256 || whole.tag() != der::Tag::Sequence {
                    return refused(format!("its extension {} is malformed", extension.extn_id));
                }
                self.sid = Some(value.to_vec());
            }
            oid if WITHOUT_MEANING.contains(&oid) => {}
            oid => {
                return refused(format!(
                    "it asks for the extension {oid}, which this authority does not issue"
                ));
            }
        }
        Ok(())
    }
}
