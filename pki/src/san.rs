//! Subject alternative names (RFC 5280 section 4.2.1.6), as they are asked for and as they are found.

use crate::name::rfc4514;
use crate::template::{TemplateError, TextTemplate, Values, is_control};
use const_oid::ObjectIdentifier;
use der::Any;
use der::asn1::{Ia5String, Utf8StringRef};
use formats::text::hex;
use serde::Serialize;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use x509_cert::ext::pkix::name::{GeneralName, OtherName};

/// User principal name (Microsoft): 1.3.6.1.4.1.311.20.2.3, a UTF8String.
pub const UPN: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.20.2.3");
/// id-on-SmtpUTF8Mailbox (RFC 9598): 1.3.6.1.5.5.7.8.9, a UTF8String.
pub const SMTP_UTF8_MAILBOX: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.8.9");
/// What stands before a security identifier in a URI that maps a certificate to an account of a Windows domain.
pub const SID_TAG: &str = "tag:microsoft.com,2022-09-14:sid:";
/// Most names in one certificate or request.
pub const MAX_NAMES: usize = 64;
/// Largest name, in bytes.
const MAX_BYTES: usize = 1024;

/// Why something is no subject alternative name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SanError {
    /// The template, or a value for it.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// The text is not what its kind has to be.
    #[error("the {kind} {text:?} of the subject alternative names: {problem}")]
    Value {
        /// Which kind.
        kind: &'static str,
        /// The text, shortened.
        text: String,
        /// What is wrong and what to do.
        problem: &'static str,
    },
    /// There is no such kind.
    #[error(
        "{0:?} is no subject alternative name: write email:ADDRESS, upn:NAME, dns:NAME, uri:URI or sid:S-1-5-21-..."
    )]
    Kind(String),
}

/// A security identifier of Windows (MS-DTYP section 2.4.2.1): `S-1-5-21-...`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct Sid(String);

impl Sid {
    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Sid {
    type Err = SanError;

    /// `S-1-`, an authority of 48 bits and 1 to 15 numbers of 32 bits, each in decimal without leading zeros.
    fn from_str(text: &str) -> Result<Self, SanError> {
        let number = |digits: &str, most: u64| {
            let plain = !digits.is_empty()
                && digits.len() <= 15
                && digits.bytes().all(|digit| digit.is_ascii_digit())
                && (digits == "0" || !digits.starts_with('0'));
            plain && digits.parse::<u64>().is_ok_and(|value| value <= most)
        };
        let parts: Vec<&str> = text
            .strip_prefix("S-1-")
            .unwrap_or_default()
            .split('-')
            .take(17)
            .collect();
        let well = match parts.as_slice() {
            [authority, rest @ ..] => {
                number(authority, (1 << 48) - 1)
                    && (1..=15).contains(&rest.len())
                    && rest.iter().all(|part| number(part, u64::from(u32::MAX)))
            }
            [] => false,
        };
        match well {
            true => Ok(Self(text.to_owned())),
            false => refused(
                "sid",
                text,
                "a security identifier is S-1-5-21- and more numbers",
            ),
        }
    }
}

/// The kinds of names that can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SanKind {
    /// An e-mail address: rfc822Name, or SmtpUTF8Mailbox when its local part is not ASCII.
    Email,
    /// A user principal name.
    Upn,
    /// A DNS name.
    Dns,
    /// A URI.
    Uri,
    /// A security identifier, in a URI ([`SID_TAG`]).
    Sid,
}

impl SanKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Email, Self::Upn, Self::Dns, Self::Uri, Self::Sid];

    /// Its name in front of a colon.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Upn => "upn",
            Self::Dns => "dns",
            Self::Uri => "uri",
            Self::Sid => "sid",
        }
    }
}

/// A name that is asked for, with variables: `email:{{EmailAddress}}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SanTemplate {
    /// Its kind.
    pub kind: SanKind,
    /// Its text.
    pub text: TextTemplate,
}

impl SanTemplate {
    /// The name for these values.
    ///
    /// # Errors
    /// [`SanError`]: a variable without a value, or a text that is not what the kind has to be.
    pub fn fill(&self, values: &Values) -> Result<SubjectAltName, SanError> {
        SubjectAltName::new(self.kind, &self.text.fill(values)?)
    }
}

impl FromStr for SanTemplate {
    type Err = SanError;

    /// `KIND:TEXT`.
    fn from_str(text: &str) -> Result<Self, SanError> {
        let found = text.split_once(':').and_then(|(name, rest)| {
            let mut kinds = SanKind::ALL.into_iter();
            let kind = kinds.find(|kind| kind.name().eq_ignore_ascii_case(name))?;
            Some((kind, rest))
        });
        let (kind, rest) = found.ok_or_else(|| SanError::Kind(shortened(text)))?;
        Ok(Self {
            kind,
            text: TextTemplate::parse(rest)?,
        })
    }
}

/// One subject alternative name that was checked: nothing else gets into a request of ours.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase", tag = "kind", content = "value")]
pub enum SubjectAltName {
    /// An e-mail address.
    Email(String),
    /// A user principal name.
    Upn(String),
    /// A DNS name in lower case.
    Dns(String),
    /// A URI.
    Uri(String),
    /// A security identifier.
    Sid(Sid),
}

impl SubjectAltName {
    /// Checks a text.
    ///
    /// # Errors
    /// [`SanError::Value`].
    pub fn new(kind: SanKind, text: &str) -> Result<Self, SanError> {
        if text.is_empty() {
            return refused(kind.name(), text, "it is empty");
        }
        if text.len() > MAX_BYTES {
            return refused(kind.name(), text, "it has more than 1024 bytes");
        }
        if text.chars().any(is_control) {
            return refused(kind.name(), text, "it holds a control character");
        }
        match kind {
            SanKind::Email => email(text).map(Self::Email),
            SanKind::Upn => upn(text).map(Self::Upn),
            SanKind::Dns => dns(text).map(Self::Dns),
            SanKind::Uri => match text.strip_prefix(SID_TAG) {
                Some(sid) => sid.parse().map(Self::Sid),
                None => uri(text).map(Self::Uri),
            },
            SanKind::Sid => text.parse().map(Self::Sid),
        }
    }

    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> SanKind {
        match self {
            Self::Email(_) => SanKind::Email,
            Self::Upn(_) => SanKind::Upn,
            Self::Dns(_) => SanKind::Dns,
            Self::Uri(_) => SanKind::Uri,
            Self::Sid(_) => SanKind::Sid,
        }
    }

    /// Its text.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Email(text) | Self::Upn(text) | Self::Dns(text) | Self::Uri(text) => text,
            Self::Sid(sid) => sid.as_str(),
        }
    }

    /// The same as a structure.
    ///
    /// # Errors
    /// None that has been seen: the text was checked.
    pub fn to_general_name(&self) -> Result<GeneralName, der::Error> {
        let other = |type_id, text: &str| {
            let value = Any::encode_from(&Utf8StringRef::new(text)?)?;
            Ok(GeneralName::OtherName(OtherName { type_id, value }))
        };
        match self {
            Self::Email(text) if text.is_ascii() => {
                Ok(GeneralName::Rfc822Name(Ia5String::new(text)?))
            }
            Self::Email(text) => other(SMTP_UTF8_MAILBOX, text),
            Self::Upn(text) => other(UPN, text),
            Self::Dns(text) => Ok(GeneralName::DnsName(Ia5String::new(text)?)),
            Self::Uri(text) => Ok(GeneralName::UniformResourceIdentifier(Ia5String::new(
                text,
            )?)),
            Self::Sid(sid) => {
                let uri = format!("{SID_TAG}{}", sid.as_str());
                Ok(GeneralName::UniformResourceIdentifier(Ia5String::new(
                    &uri,
                )?))
            }
        }
    }

    /// The checked name that a structure holds; `None` for kinds that cannot be asked for here, and for texts that are not what their kind
    /// has to be.
    #[must_use]
    pub fn of(name: &GeneralName) -> Option<Self> {
        match name {
            GeneralName::Rfc822Name(text) => Self::new(SanKind::Email, text.as_str()).ok(),
            GeneralName::DnsName(text) => Self::new(SanKind::Dns, text.as_str()).ok(),
            GeneralName::UniformResourceIdentifier(text) => {
                Self::new(SanKind::Uri, text.as_str()).ok()
            }
            GeneralName::OtherName(other) => {
                let text = Utf8StringRef::try_from(&other.value).ok()?;
                match other.type_id {
                    UPN => Self::new(SanKind::Upn, text.as_str()).ok(),
                    // RFC 9598 section 3: never for an address that is ASCII.
                    SMTP_UTF8_MAILBOX if !text.as_str().is_ascii() => {
                        Self::new(SanKind::Email, text.as_str()).ok()
                    }
                    _ => None,
                }
            }
            _ => None,
        }
    }
}

/// Any alternative name, as a report shows it: its kind and its text, nothing checked.
#[must_use]
pub fn shown(name: &GeneralName) -> (&'static str, String) {
    match name {
        GeneralName::Rfc822Name(text) => ("email", text.as_str().to_owned()),
        GeneralName::DnsName(text) => ("dns", text.as_str().to_owned()),
        GeneralName::UniformResourceIdentifier(text) => match text.as_str().strip_prefix(SID_TAG) {
            Some(sid) if sid.parse::<Sid>().is_ok() => ("sid", sid.to_owned()),
            _ => ("uri", text.as_str().to_owned()),
        },
        GeneralName::DirectoryName(name) => ("directory", rfc4514(name)),
        GeneralName::IpAddress(octets) => ("ip", address(octets.as_bytes())),
        GeneralName::RegisteredId(oid) => ("registeredId", oid.to_string()),
        GeneralName::EdiPartyName(_) => ("ediParty", "EDI party name".to_owned()),
        GeneralName::OtherName(other) => {
            let text = Utf8StringRef::try_from(&other.value).map(|text| text.as_str().to_owned());
            match (other.type_id, text) {
                (UPN, Ok(text)) => ("upn", text),
                (SMTP_UTF8_MAILBOX, Ok(text)) => ("email", text),
                (oid, _) => ("other", oid.to_string()),
            }
        }
    }
}

fn address(octets: &[u8]) -> String {
    if let Ok(four) = <[u8; 4]>::try_from(octets) {
        return Ipv4Addr::from(four).to_string();
    }
    match <[u8; 16]>::try_from(octets) {
        Ok(sixteen) => Ipv6Addr::from(sixteen).to_string(),
        Err(_) => hex(octets),
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(80).collect()
}

fn refused<T>(kind: &'static str, text: &str, problem: &'static str) -> Result<T, SanError> {
    Err(SanError::Value {
        kind,
        text: shortened(text),
        problem,
    })
}

/// `local@domain`: the local part a dot-string (RFC 5321, RFC 6531 outside of ASCII), the domain one of DNS.
fn email(text: &str) -> Result<String, SanError> {
    let Some((local, domain)) = text.rsplit_once('@') else {
        return refused("e-mail address", text, "there is no @ in it");
    };
    let atom = |part: &str| {
        !part.is_empty()
            && part.chars().all(|c| {
                !c.is_ascii() && !c.is_whitespace()
                    || c.is_ascii_alphanumeric()
                    || "!#$%&'*+-/=?^_`{|}~".contains(c)
            })
    };
    if local.len() > 64 || !local.split('.').all(atom) {
        return refused(
            "e-mail address",
            text,
            "what is before the @ is not the name of a mailbox (RFC 5321)",
        );
    }
    if !domain.is_ascii() {
        return refused(
            "e-mail address",
            text,
            "the domain has to be in its ASCII form (xn--...)",
        );
    }
    if !is_dns(domain, false) {
        return refused("e-mail address", text, "what is behind the @ is no domain");
    }
    Ok(text.to_owned())
}

/// `account@suffix`, as a directory has it: text on both sides of one @.
fn upn(text: &str) -> Result<String, SanError> {
    match text.split_once('@') {
        Some((account, suffix))
            if !account.trim().is_empty() && !suffix.is_empty() && !suffix.contains(['@', ' ']) =>
        {
            Ok(text.to_owned())
        }
        _ => refused("user principal name", text, "it is not account@suffix"),
    }
}

fn dns(text: &str) -> Result<String, SanError> {
    match is_dns(text, true) {
        true => Ok(text.to_ascii_lowercase()),
        false => refused(
            "DNS name",
            text,
            "it is no DNS name: labels of letters, digits and hyphens of at most 63 characters, in ASCII form (xn--...), 253 in all",
        ),
    }
}

/// Labels of letters, digits and hyphens (RFC 1034 section 3.5); the first may be `*` (RFC 9525 section 6.3).
pub(crate) fn is_dns(text: &str, wildcard: bool) -> bool {
    let rest = match text.strip_prefix("*.") {
        Some(rest) if wildcard && rest.contains('.') => rest,
        Some(_) => return false,
        None => text,
    };
    text.len() <= 253
        && rest.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        })
}

/// A URI with a scheme, of the characters of RFC 3986, each `%` followed by two hexadecimal digits.
fn uri(text: &str) -> Result<String, SanError> {
    const WRONG: &str = "it is no URI (RFC 3986), such as urn:uuid:... or https://...";
    let Some((scheme, rest)) = text.split_once(':') else {
        return refused("URI", text, WRONG);
    };
    let scheme_is_well = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    let characters = rest
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&byte));
    let percents = rest.split('%').skip(1).all(|after| {
        let mut digits = after.bytes();
        let mut digit = || digits.next().is_some_and(|byte| byte.is_ascii_hexdigit());
        digit() && digit()
    });
    match scheme_is_well && !rest.is_empty() && characters && percents {
        true => Ok(text.to_owned()),
        false => refused("URI", text, WRONG),
    }
}

#[cfg(test)]
mod tests;
