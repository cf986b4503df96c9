//! The extensions that requests ask for and certificates have: RFC 5280, and those of Microsoft that its authorities and domains read.

use crate::san::{Sid, SubjectAltName};
use const_oid::ObjectIdentifier;
use const_oid::db::rfc5280::{ID_CE_EXT_KEY_USAGE, ID_CE_KEY_USAGE, ID_CE_SUBJECT_ALT_NAME};
use der::asn1::{BmpString, OctetString};
use der::flagset::FlagSet;
use der::{Any, Decode, Encode, Sequence};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::name::{GeneralName, OtherName};
use x509_cert::ext::pkix::{ExtendedKeyUsage, KeyUsage, KeyUsages};

/// szOID_ENROLL_CERTTYPE_EXTENSION: the name of a template (version 1), a BMPString.
pub const TEMPLATE_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.20.2");
/// szOID_CERTIFICATE_TEMPLATE: a template (version 2) by its object identifier.
pub const TEMPLATE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.21.7");
/// szOID_NTDS_CA_SECURITY_EXT: the security identifier of the account.
pub const SID_EXTENSION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.25.2");
/// szOID_NTDS_OBJECTSID, the otherName within it.
const SID_OBJECT: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.25.2.1");

/// Most purposes in one request.
const MAX_PURPOSES: usize = 32;

/// Why extensions cannot be written or are not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExtensionError {
    /// An extension stands there twice (RFC 5280 section 4.2 forbids it).
    #[error("the extension {0} stands there twice")]
    Twice(ObjectIdentifier),
    /// An extension is not what its identifier says.
    #[error("the extension {oid} is malformed: {problem}")]
    Malformed {
        /// Which.
        oid: ObjectIdentifier,
        /// What is wrong.
        problem: &'static str,
    },
    /// Something that cannot be asked for.
    #[error("{0}")]
    Unusable(String),
}

const fn malformed(oid: ObjectIdentifier, problem: &'static str) -> ExtensionError {
    ExtensionError::Malformed { oid, problem }
}

/// Purposes by the names of RFC 5280 and of Microsoft.
const PURPOSES: [(&str, ObjectIdentifier); 8] = [
    (
        "serverAuth",
        ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1"),
    ),
    (
        "clientAuth",
        ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.2"),
    ),
    (
        "codeSigning",
        ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.3"),
    ),
    (
        "emailProtection",
        ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.4"),
    ),
    (
        "timeStamping",
        ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.8"),
    ),
    (
        "OCSPSigning",
        ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.9"),
    ),
    (
        "smartcardLogon",
        ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.20.2.2"),
    ),
    (
        "anyExtendedKeyUsage",
        ObjectIdentifier::new_unwrap("2.5.29.37.0"),
    ),
];

/// The purpose of a name, or of an object identifier in dots.
///
/// # Errors
/// [`ExtensionError::Unusable`], with the names.
pub fn purpose(name: &str) -> Result<ObjectIdentifier, ExtensionError> {
    PURPOSES
        .iter()
        .find_map(|(known, oid)| known.eq_ignore_ascii_case(name).then_some(*oid))
        .or_else(|| ObjectIdentifier::new(name).ok())
        .ok_or_else(|| {
            let names: Vec<&str> = PURPOSES.iter().map(|(name, _)| *name).collect();
            ExtensionError::Unusable(format!(
                "there is no purpose {:?} (extended key usage): {}, or an object identifier",
                name.chars().take(40).collect::<String>(),
                names.join(", ")
            ))
        })
}

/// The name of a purpose, or its numbers.
#[must_use]
pub fn purpose_name(oid: &ObjectIdentifier) -> String {
    PURPOSES
        .iter()
        .find_map(|(name, known)| (known == oid).then(|| (*name).to_owned()))
        .unwrap_or_else(|| oid.to_string())
}

/// The uses of a key by the names of RFC 5280 section 4.2.1.3.
const USAGES: [(&str, KeyUsages); 9] = [
    ("digitalSignature", KeyUsages::DigitalSignature),
    ("nonRepudiation", KeyUsages::NonRepudiation),
    ("keyEncipherment", KeyUsages::KeyEncipherment),
    ("dataEncipherment", KeyUsages::DataEncipherment),
    ("keyAgreement", KeyUsages::KeyAgreement),
    ("keyCertSign", KeyUsages::KeyCertSign),
    ("cRLSign", KeyUsages::CRLSign),
    ("encipherOnly", KeyUsages::EncipherOnly),
    ("decipherOnly", KeyUsages::DecipherOnly),
];

/// A use of a key by its name.
///
/// # Errors
/// [`ExtensionError::Unusable`], with the names.
pub fn usage(name: &str) -> Result<KeyUsages, ExtensionError> {
    USAGES
        .iter()
        .find_map(|(known, usage)| known.eq_ignore_ascii_case(name).then_some(*usage))
        .ok_or_else(|| {
            let names: Vec<&str> = USAGES.iter().map(|(name, _)| *name).collect();
            ExtensionError::Unusable(format!(
                "there is no use of a key {:?} (key usage): {}",
                name.chars().take(40).collect::<String>(),
                names.join(", ")
            ))
        })
}

/// The names of uses.
#[must_use]
pub fn usage_names(usages: FlagSet<KeyUsages>) -> Vec<&'static str> {
    USAGES
        .iter()
        .filter_map(|(name, usage)| usages.contains(*usage).then_some(*name))
        .collect()
}

/// A certificate template of Microsoft's, version 2.
///
/// ```text
/// CertificateTemplateOID ::= SEQUENCE { templateID OBJECT IDENTIFIER, templateMajorVersion INTEGER OPTIONAL, templateMinorVersion INTEGER OPTIONAL }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Sequence)]
pub struct Template {
    /// Which.
    pub id: ObjectIdentifier,
    /// Its major version; it stands there only with this one the minor version.
    #[asn1(optional = "true")]
    pub major: Option<u32>,
    /// Its minor version.
    #[asn1(optional = "true")]
    pub minor: Option<u32>,
}

/// What a request asks for, and a certificate has, of what is understood here.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Extensions {
    /// Subject alternative names.
    pub alt_names: Vec<SubjectAltName>,
    /// Subject alternative names that were read and are of a kind that cannot be asked for here, or not what their kind has to be. An
    /// authority that does not know what to make of them refuses the request.
    pub other_alt_names: Vec<GeneralName>,
    /// keyUsage; none: any use.
    pub key_usage: Option<FlagSet<KeyUsages>>,
    /// extendedKeyUsage; none: any purpose.
    pub purposes: Vec<ObjectIdentifier>,
    /// Name of a template, version 1.
    pub template_name: Option<String>,
    /// A template, version 2.
    pub template: Option<Template>,
    /// The account's security identifier.
    pub sid: Option<Sid>,
}

impl Extensions {
    /// The extensions in the order of their fields. subjectAltName is critical when the subject is empty (RFC 5280 section 4.2.1.6), keyUsage
    /// always, the others never.
    ///
    /// # Errors
    /// [`ExtensionError::Unusable`] for what cannot be asked for.
    pub fn to_list(&self, subject_is_empty: bool) -> Result<Vec<Extension>, ExtensionError> {
        let mut list = Vec::new();
        if self.alt_names.len() > crate::san::MAX_NAMES {
            return Err(ExtensionError::Unusable(format!(
                "more than {} subject alternative names",
                crate::san::MAX_NAMES
            )));
        }
        if !self.alt_names.is_empty() || !self.other_alt_names.is_empty() {
            let names: Result<Vec<GeneralName>, _> = self
                .alt_names
                .iter()
                .map(SubjectAltName::to_general_name)
                .collect();
            let mut names = names.map_err(not_encoded)?;
            names.extend(self.other_alt_names.iter().cloned());
            list.push(extension(ID_CE_SUBJECT_ALT_NAME, subject_is_empty, &names)?);
        }
        if let Some(usages) = self.key_usage {
            if usages.is_empty() {
                return Err(ExtensionError::Unusable(
                    "a key usage without any use".to_owned(),
                ));
            }
            list.push(extension(ID_CE_KEY_USAGE, true, &KeyUsage(usages))?);
        }
        if !self.purposes.is_empty() {
            if self.purposes.len() > MAX_PURPOSES {
                return Err(ExtensionError::Unusable(format!(
                    "more than {MAX_PURPOSES} purposes"
                )));
            }
            list.push(extension(ID_CE_EXT_KEY_USAGE, false, &self.purposes)?);
        }
        if let Some(name) = &self.template_name {
            if name.is_empty()
                || name.chars().count() > 64
                || name.chars().any(crate::template::is_control)
            {
                return Err(ExtensionError::Unusable(
                    "the name of a template has 1 to 64 characters (the short name, not the one that is displayed)".to_owned(),
                ));
            }
            let text = BmpString::from_utf8(name).map_err(not_encoded)?;
            list.push(extension(TEMPLATE_NAME, false, &text)?);
        }
        if let Some(template) = &self.template {
            list.push(extension(TEMPLATE, false, template)?);
        }
        if let Some(sid) = &self.sid {
            list.push(sid_extension(sid)?);
        }
        Ok(list)
    }

    /// What is understood of these extensions; others are left to the caller, who has the list.
    ///
    /// # Errors
    /// [`ExtensionError`]: one stands there twice, or is malformed.
    pub fn read(list: &[Extension]) -> Result<Self, ExtensionError> {
        let mut found = Self::default();
        for (place, extension) in list.iter().enumerate() {
            let oid = extension.extn_id;
            if list.iter().take(place).any(|other| other.extn_id == oid) {
                return Err(ExtensionError::Twice(oid));
            }
            let value = extension.extn_value.as_bytes();
            match oid {
                ID_CE_SUBJECT_ALT_NAME => {
                    for name in alt_names(value)? {
                        match SubjectAltName::of(&name) {
                            Some(known) => found.alt_names.push(known),
                            None => found.other_alt_names.push(name),
                        }
                    }
                }
                ID_CE_KEY_USAGE => {
                    let usage: KeyUsage = strict(oid, value)?;
                    if usage.0.is_empty() {
                        return Err(malformed(oid, "it allows nothing"));
                    }
                    found.key_usage = Some(usage.0);
                }
                ID_CE_EXT_KEY_USAGE => {
                    let purposes: ExtendedKeyUsage = strict(oid, value)?;
                    if purposes.0.is_empty() || purposes.0.len() > MAX_PURPOSES {
                        return Err(malformed(oid, "it names no purpose, or too many"));
                    }
                    found.purposes = purposes.0;
                }
                TEMPLATE_NAME => {
                    let text: BmpString = strict(oid, value)?;
                    found.template_name = Some(text.to_string());
                }
                TEMPLATE => found.template = Some(strict(oid, value)?),
                SID_EXTENSION => found.sid = Some(sid(value)?),
                _ => {}
            }
        }
        Ok(found)
    }
}

/// Every name of a subjectAltName's value, of whatever kind.
///
/// # Errors
/// [`ExtensionError::Malformed`]; also for none, and for more than [`MAX_NAMES`](crate::san::MAX_NAMES).
pub fn alt_names(value: &[u8]) -> Result<Vec<GeneralName>, ExtensionError> {
    let names: Vec<GeneralName> = strict(ID_CE_SUBJECT_ALT_NAME, value)?;
    if names.is_empty() || names.len() > crate::san::MAX_NAMES {
        return Err(malformed(
            ID_CE_SUBJECT_ALT_NAME,
            "it holds no name, or too many",
        ));
    }
    Ok(names)
}

/// An extension with a value of its own kind.
///
/// # Errors
/// [`ExtensionError::Unusable`] when it cannot be encoded.
pub fn extension<T: Encode>(
    oid: ObjectIdentifier,
    critical: bool,
    value: &T,
) -> Result<Extension, ExtensionError> {
    let value = value
        .to_der()
        .and_then(OctetString::new)
        .map_err(not_encoded)?;
    Ok(Extension {
        extn_id: oid,
        critical,
        extn_value: value,
    })
}

/// ```text
/// NTDS_CA_SECURITY_EXT ::= GeneralNames  -- one otherName 1.3.6.1.4.1.311.25.2.1 with the SID as text in an OCTET STRING
/// ```
///
/// # Errors
/// As [`extension`].
pub fn sid_extension(sid: &Sid) -> Result<Extension, ExtensionError> {
    let text = OctetString::new(sid.as_str().as_bytes()).map_err(not_encoded)?;
    let value = Any::encode_from(&text).map_err(not_encoded)?;
    let name = GeneralName::OtherName(OtherName {
        type_id: SID_OBJECT,
        value,
    });
    extension(SID_EXTENSION, false, &vec![name])
}

fn sid(value: &[u8]) -> Result<Sid, ExtensionError> {
    let names: Vec<GeneralName> = strict(SID_EXTENSION, value)?;
    let [GeneralName::OtherName(name)] = names.as_slice() else {
        return Err(malformed(SID_EXTENSION, "it does not hold one otherName"));
    };
    if name.type_id != SID_OBJECT {
        return Err(malformed(
            SID_EXTENSION,
            "its otherName is not the one of security identifiers",
        ));
    }
    let octets = name.value.decode_as::<OctetString>().map_err(|_| {
        malformed(
            SID_EXTENSION,
            "its security identifier is not in an OCTET STRING",
        )
    })?;
    std::str::from_utf8(octets.as_bytes())
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or(malformed(
            SID_EXTENSION,
            "what it holds is no security identifier",
        ))
}

/// Decodes in DER: what is not written again as the same octets is refused.
fn strict<T: for<'a> Decode<'a> + Encode>(
    oid: ObjectIdentifier,
    value: &[u8],
) -> Result<T, ExtensionError> {
    T::from_der(value)
        .ok()
        .filter(|decoded| decoded.to_der().is_ok_and(|again| again == value))
        .ok_or(malformed(
            oid,
            "its value is not in DER, or not of its kind",
        ))
}

fn not_encoded(_: der::Error) -> ExtensionError {
    ExtensionError::Unusable("a value that cannot be encoded".to_owned())
}
