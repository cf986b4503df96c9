//! What a certification request (PKCS#10, RFC 2986) asks for, once its signature verifies.

use super::extensions::SID;
use super::{IssueError, refused};
use crate::algorithm;
use der::asn1::ObjectIdentifier;
use der::{Decode, Encode, Tagged};
use x509_cert::attr::Attribute;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::name::GeneralNames;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage};
use x509_cert::name::Name;
use x509_cert::request::CertReq;

/// The longest request: an RSA-4096 key with 32 names is a tenth of it.
const MAX_BYTES: usize = 32 * 1024;
/// Alternative names in one request.
const MAX_NAMES: usize = 32;

const EXTENSION_REQUEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.14");
const SUBJECT_ALT_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");
const KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.15");
const EXTENDED_KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37");
const BASIC_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.19");
/// Asked for by usual programs, and the authority's to decide: subjectKeyIdentifier, and the templates of Microsoft's authorities
/// (certificateTemplateName, certificateTemplate), which mean nothing here.
const WITHOUT_MEANING: [ObjectIdentifier; 3] = [
    ObjectIdentifier::new_unwrap("2.5.29.14"),
    ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.20.2"),
    ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.21.7"),
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
        if csr_der.len() > MAX_BYTES {
            return refused(format!("it is longer than {MAX_BYTES} octets"));
        }
        let malformed =
            |error: der::Error| IssueError::Refused(format!("it is no PKCS#10 in DER: {error}"));
        let request = CertReq::from_der(csr_der).map_err(malformed)?;
        let info_der = request.info.to_der().map_err(malformed)?;
        // What was signed is what came: a request in another encoding of the same would verify as something else.
        if request.to_der().map_err(malformed)? != csr_der {
            return refused("it is not in DER");
        }
        let spki_der = request.info.public_key.to_der().map_err(malformed)?;
        let identifier = request.algorithm.to_der().map_err(malformed)?;
        let signature = request.signature.as_bytes().unwrap_or_default();
        if let Err(error) = algorithm::verify(&identifier, &spki_der, &info_der, signature) {
            return refused(error.to_string());
        }
        let mut read = Self {
            subject: request.info.subject,
            spki_der,
            names: GeneralNames::new(),
            key_usage: None,
            extended_key_usage: None,
            asks_for_authority: false,
            sid: None,
        };
        let mut seen = Vec::new();
        for extension in extensions(request.info.attributes.iter())? {
            if seen.contains(&extension.extn_id) {
                return refused(format!("it has the extension {} twice", extension.extn_id));
            }
            seen.push(extension.extn_id);
            read.take(&extension)?;
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
            SID => {
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

/// The extensions that are asked for; attributes of other kinds, such as a challenge password, say nothing here.
fn extensions<'a>(
    attributes: impl Iterator<Item = &'a Attribute>,
) -> Result<Vec<Extension>, IssueError> {
    let mut found: Option<Vec<Extension>> = None;
    for attribute in attributes.filter(|attribute| attribute.oid == EXTENSION_REQUEST) {
        let mut values = attribute.values.iter();
        let (Some(value), None, None) = (values.next(), values.next(), &found) else {
            return refused("it does not have exactly one list of extensions");
        };
        let list = value.decode_as::<Vec<Extension>>();
        found =
            Some(list.map_err(|_| {
                IssueError::Refused("its list of extensions is malformed".to_owned())
            })?);
    }
    Ok(found.unwrap_or_default())
}
