//! The attributes that a subject may have: what they are called, how they are written (RFC 5280 section 4.1.2.4) and how long they may be
//! (RFC 5280 appendix A.1; X.520 and RFC 4524 for the two that it does not know).

use super::NameError;
use const_oid::ObjectIdentifier;
use der::{Any, Tag};
use x509_cert::attr::AttributeTypeAndValue;

/// Which limits hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Lengths {
    /// The upper bounds of RFC 5280.
    #[default]
    Rfc5280,
    /// The same, but a common name of up to 256 characters: for authorities whose enforcement of lengths is off.
    LongCommonName,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// DirectoryString: written as UTF8String.
    Directory,
    /// PrintableString.
    Printable,
    /// IA5String.
    Ia5,
}

/// A kind of attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kind {
    /// The name that is written (RFC 4514 section 3 where it has one).
    pub(super) name: &'static str,
    others: &'static [&'static str],
    pub(super) oid: ObjectIdentifier,
    form: Form,
    most: usize,
}

const fn kind(
    name: &'static str,
    others: &'static [&'static str],
    oid: &str,
    form: Form,
    most: usize,
) -> Kind {
    Kind {
        name,
        others,
        oid: ObjectIdentifier::new_unwrap(oid),
        form,
        most,
    }
}

/// commonName, whose limit can be another one.
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
/// countryName: two letters, no more and no fewer.
const COUNTRY: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.6");
/// Most characters of an attribute of another kind, which has to be named by its object identifier.
const OTHER_MOST: usize = 256;

const KINDS: [Kind; 21] = [
    kind("CN", &["commonName"], "2.5.4.3", Form::Directory, 64),
    kind("SN", &["surname"], "2.5.4.4", Form::Directory, 32_768),
    kind("serialNumber", &[], "2.5.4.5", Form::Printable, 64),
    kind("C", &["countryName"], "2.5.4.6", Form::Printable, 2),
    kind("L", &["localityName"], "2.5.4.7", Form::Directory, 128),
    kind(
        "ST",
        &["S", "stateOrProvinceName"],
        "2.5.4.8",
        Form::Directory,
        128,
    ),
    kind(
        "STREET",
        &["streetAddress"],
        "2.5.4.9",
        Form::Directory,
        128,
    ),
    kind("O", &["organizationName"], "2.5.4.10", Form::Directory, 64),
    kind(
        "OU",
        &["organizationalUnitName"],
        "2.5.4.11",
        Form::Directory,
        64,
    ),
    kind("title", &["T"], "2.5.4.12", Form::Directory, 64),
    kind("description", &[], "2.5.4.13", Form::Directory, 1024),
    kind("postalCode", &[], "2.5.4.17", Form::Directory, 40),
    kind("name", &[], "2.5.4.41", Form::Directory, 32_768),
    kind(
        "GN",
        &["G", "givenName"],
        "2.5.4.42",
        Form::Directory,
        32_768,
    ),
    kind("initials", &["I"], "2.5.4.43", Form::Directory, 32_768),
    kind(
        "generationQualifier",
        &[],
        "2.5.4.44",
        Form::Directory,
        32_768,
    ),
    kind("dnQualifier", &[], "2.5.4.46", Form::Printable, 64),
    kind("pseudonym", &[], "2.5.4.65", Form::Directory, 128),
    kind(
        "UID",
        &["userId"],
        "0.9.2342.19200300.100.1.1",
        Form::Directory,
        256,
    ),
    kind(
        "DC",
        &["domainComponent"],
        "0.9.2342.19200300.100.1.25",
        Form::Ia5,
        63,
    ),
    kind(
        "E",
        &["emailAddress", "Email"],
        "1.2.840.113549.1.9.1",
        Form::Ia5,
        255,
    ),
];

impl Kind {
    /// The kind of a name or an object identifier in dots.
    pub(super) fn named(name: &str) -> Option<Self> {
        let known = KINDS.iter().find(|kind| {
            kind.name.eq_ignore_ascii_case(name)
                || kind
                    .others
                    .iter()
                    .any(|other| other.eq_ignore_ascii_case(name))
        });
        if let Some(kind) = known {
            return Some(*kind);
        }
        let dotted = name.strip_prefix("OID.").unwrap_or(name);
        if !dotted.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        let oid = ObjectIdentifier::new(dotted).ok()?;
        Some(Self::of_oid(&oid).unwrap_or(Self {
            name: "",
            others: &[],
            oid,
            form: Form::Directory,
            most: OTHER_MOST,
        }))
    }

    pub(super) fn of_oid(oid: &ObjectIdentifier) -> Option<Self> {
        KINDS.iter().find(|kind| kind.oid == *oid).copied()
    }

    /// Its name, or its object identifier.
    pub(super) fn words(&self) -> String {
        match self.name {
            "" => self.oid.to_string(),
            name => name.to_owned(),
        }
    }

    /// The attribute with this value.
    pub(super) fn encode(
        &self,
        value: &str,
        lengths: Lengths,
    ) -> Result<AttributeTypeAndValue, NameError> {
        let refused = |problem: String| {
            Err(NameError::Value {
                attribute: self.words(),
                problem,
            })
        };
        if value.trim().is_empty() {
            return refused("it would be empty".to_owned());
        }
        if let Some(c) = value.chars().find(|c| crate::template::is_control(*c)) {
            return refused(format!(
                "it holds the control character U+{:04X}",
                u32::from(c)
            ));
        }
        let found = value.chars().count();
        let most = match lengths {
            Lengths::LongCommonName if self.oid == COMMON_NAME => 256,
            _ => self.most,
        };
        if found > most {
            let hint = match self.oid == COMMON_NAME && lengths == Lengths::Rfc5280 {
                true => {
                    "; where the authority does not enforce lengths, longer common names can be allowed"
                }
                false => "",
            };
            return refused(format!(
                "it would have {found} characters, and at most {most} are allowed{hint}"
            ));
        }
        if self.oid == COUNTRY && (found != 2 || !value.chars().all(|c| c.is_ascii_alphabetic())) {
            return refused("a country is two letters (ISO 3166), such as DE".to_owned());
        }
        let tag = match self.form {
            Form::Directory => Tag::Utf8String,
            Form::Printable => match value.chars().find(|c| !is_printable_string(*c)) {
                None => Tag::PrintableString,
                Some(c) => {
                    return refused(format!(
                        "{c:?} is not possible in it (letters, digits, space and '()+,-./:=? are)"
                    ));
                }
            },
            Form::Ia5 => match value.chars().find(|c| !c.is_ascii()) {
                None => Tag::Ia5String,
                Some(c) => return refused(format!("{c:?} is not possible in it: ASCII only")),
            },
        };
        Any::new(tag, value.as_bytes())
            .map(|value| AttributeTypeAndValue {
                oid: self.oid,
                value,
            })
            .or_else(|_| refused("it cannot be encoded".to_owned()))
    }
}

/// X.680 section 41.4.
fn is_printable_string(c: char) -> bool {
    c.is_ascii_alphanumeric() || " '()+,-./:=?".contains(c)
}
