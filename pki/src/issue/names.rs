//! Whether subject and alternative names are what a profile allows.

use super::{IssueError, NameKind, Profile, Purpose, Request, SubjectPart, refused};
use der::asn1::{ObjectIdentifier, Utf8StringRef};
use der::{Tag, Tagged};
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::ext::pkix::name::GeneralName;

/// The user principal name's otherName.
const UPN: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.20.2.3");
/// The URI of a SID begins so ([MS-WCCE], and Microsoft's KB5014754).
const SID_TAG: &str = "tag:microsoft.com,2022-09-14:sid:";
/// The longest name.
const MAX_BYTES: usize = 255;
/// Attributes of one subject.
const MAX_PARTS: usize = 16;

/// Holds everything that the request names against the profile.
///
/// # Errors
/// [`IssueError::Refused`] that names the first that is not allowed.
pub(super) fn admit(profile: &Profile, request: &Request) -> Result<(), IssueError> {
    let mut emails = Vec::new();
    for name in &request.names {
        let (kind, text) = read(name)?;
        if !profile.names.contains(&kind) {
            return refused(format!(
                "the profile `{}` allows no alternative name of the kind {kind:?}",
                profile.name
            ));
        }
        if matches!(kind, NameKind::Email | NameKind::Upn | NameKind::Dns) {
            let domain = text.rsplit_once('@').map_or(text, |(_, domain)| domain);
            in_domains(profile, text, domain)?;
        }
        if kind == NameKind::Email {
            emails.push(text.to_ascii_lowercase());
        }
    }
    if request.sid.is_some() && !profile.names.contains(&NameKind::Sid) {
        return refused(format!("the profile `{}` allows no SID", profile.name));
    }
    let is_smime = matches!(
        profile.purpose,
        Purpose::SmimeSigning | Purpose::SmimeEncryption
    );
    if is_smime && emails.is_empty() {
        return refused("a certificate for mail needs an e-mail address as alternative name");
    }
    if request.subject.is_empty() && request.names.is_empty() {
        return refused("it names nobody: neither a subject nor an alternative name");
    }
    subject(profile, request, &emails)
}

fn in_domains(profile: &Profile, name: &str, domain: &str) -> Result<(), IssueError> {
    let domain = domain.to_ascii_lowercase();
    let fits = |allowed: &String| {
        let allowed = allowed.to_ascii_lowercase();
        match allowed.strip_prefix('.') {
            Some(_) => domain.ends_with(&allowed) && domain.len() > allowed.len(),
            None => domain == allowed,
        }
    };
    if profile.domains.is_empty() || profile.domains.iter().any(fits) {
        return Ok(());
    }
    refused(format!(
        "{name:?} is in none of the domains of the profile `{}`",
        profile.name
    ))
}

/// The kind of a name, and its text.
fn read(name: &GeneralName) -> Result<(NameKind, &str), IssueError> {
    match name {
        GeneralName::Rfc822Name(text) => {
            let text = text.as_str();
            mailbox(text)?;
            Ok((NameKind::Email, text))
        }
        GeneralName::DnsName(text) => {
            let text = text.as_str();
            domain(text)?;
            Ok((NameKind::Dns, text))
        }
        GeneralName::UniformResourceIdentifier(text) => {
            let text = text.as_str();
            let is_sid = text
                .get(..SID_TAG.len())
                .is_some_and(|head| head.eq_ignore_ascii_case(SID_TAG));
            if is_sid {
                let sid = text.get(SID_TAG.len()..).unwrap_or_default();
                let well_formed = sid.starts_with("S-1-")
                    && sid.len() <= 184
                    && sid.split('-').skip(1).all(|part| {
                        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit())
                    });
                return if well_formed && text.starts_with(SID_TAG) {
                    Ok((NameKind::Sid, text))
                } else {
                    refused("the SID in its URI is none")
                };
            }
            let has_scheme = text.split_once(':').is_some_and(|(scheme, rest)| {
                scheme.starts_with(|first: char| first.is_ascii_alphabetic())
                    && scheme
                        .bytes()
                        .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
                    && !rest.is_empty()
            });
            if !has_scheme || !graphic(text) {
                return refused(format!("{text:?} is no absolute URI (RFC 3986)"));
            }
            Ok((NameKind::Uri, text))
        }
        GeneralName::OtherName(other) if other.type_id == UPN => {
            let text = other
                .value
                .decode_as::<Utf8StringRef<'_>>()
                .ok()
                .filter(|_| other.value.tag() == Tag::Utf8String)
                .map(|text| text.as_str());
            match text {
                Some(text)
                    if text.len() <= MAX_BYTES
                        && !text.contains(|c: char| c.is_control() || c.is_whitespace())
                        && text.split('@').count() == 2
                        && !text.starts_with('@')
                        && !text.ends_with('@') =>
                {
                    Ok((NameKind::Upn, text))
                }
                _ => refused("its user principal name is not one of the form user@domain"),
            }
        }
        _ => refused(
            "it has an alternative name of a kind that is not issued here (e-mail, UPN, DNS and URI are)",
        ),
    }
}

fn graphic(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_BYTES && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// A Mailbox of RFC 5321 with a Dot-string: what RFC 5280 (section 4.2.1.6) wants, without the quoted forms that nobody has.
fn mailbox(text: &str) -> Result<(), IssueError> {
    let fail = || IssueError::Refused(format!("{text:?} is no e-mail address"));
    let (local, host) = text.split_once('@').ok_or_else(fail)?;
    let atom = |atom: &str| {
        !atom.is_empty()
            && atom
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte))
    };
    if !graphic(text) || local.len() > 64 || !local.split('.').all(atom) {
        return Err(fail());
    }
    domain(host).map_err(|_| fail())
}

/// A name in the preferred syntax (RFC 1034, section 3.5, and RFC 1123), without a star.
fn domain(text: &str) -> Result<(), IssueError> {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if text.len() <= 253 && text.split('.').all(label) {
        return Ok(());
    }
    refused(format!("{text:?} is no DNS name"))
}

fn subject(profile: &Profile, request: &Request, emails: &[String]) -> Result<(), IssueError> {
    let mut count = 0_usize;
    for attribute in request.subject.iter() {
        count = count.saturating_add(1);
        if count > MAX_PARTS {
            return refused(format!("its subject has more than {MAX_PARTS} parts"));
        }
        let Some(part) = profile
            .subject
            .iter()
            .find(|part| part.oid() == attribute.oid)
        else {
            return refused(format!(
                "the profile `{}` allows no {} in a subject",
                profile.name, attribute.oid
            ));
        };
        let text = value(attribute, *part)?;
        if text.is_empty()
            || text.chars().count() > part.upper_bound()
            || text.contains(char::is_control)
        {
            return refused(format!(
                "the {part:?} of its subject is empty, longer than {} characters or has control characters",
                part.upper_bound()
            ));
        }
        if *part == SubjectPart::EmailAddress && !emails.contains(&text.to_ascii_lowercase()) {
            return refused(format!(
                "the e-mail address {text:?} of its subject is none of its alternative names"
            ));
        }
    }
    Ok(())
}

/// The text of an attribute, in one of the encodings that RFC 5280 (section 4.1.2.4) has for it.
fn value(attribute: &AttributeTypeAndValue, part: SubjectPart) -> Result<String, IssueError> {
    let ia5 = matches!(
        part,
        SubjectPart::EmailAddress | SubjectPart::DomainComponent
    );
    let printable = matches!(part, SubjectPart::Country | SubjectPart::SerialNumber);
    let tag = attribute.value.tag();
    let allowed = match tag {
        Tag::Ia5String => ia5,
        Tag::PrintableString => !ia5,
        Tag::Utf8String => !ia5 && !printable,
        _ => false,
    };
    match std::str::from_utf8(attribute.value.value()) {
        Ok(text) if allowed => Ok(text.to_owned()),
        _ => refused(format!(
            "the {part:?} of its subject is encoded as {tag}, which RFC 5280 does not have for it"
        )),
    }
}
