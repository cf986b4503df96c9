//! What an import needs to know of a certificate.

use super::PfxError;
use super::limits::limit;
use crate::text::hex;
use crate::text::rfc3339;
use crate::words;
use const_oid::ObjectIdentifier;
use der::Decode;
use der::asn1::Utf8StringRef;
use fips::digest::{Hash, digest};
use x509_cert::Certificate;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

/// emailAddress (RFC 2985 section 5.2.1).
const EMAIL_ADDRESS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.1");

/// id-on-SmtpUTF8Mailbox: an address whose local part is beyond ASCII (RFC 9598 section 3).
const SMTP_UTF8_MAILBOX: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.8.9");

const BROKEN: PfxError = PfxError::Malformed {
    what: "a certificate does not parse",
};

/// The largest certificate that is looked into, in bytes: in memory names and extensions may take 40 times as much. Real ones have 1 to
/// 8 KiB.
pub(crate) const LARGEST: usize = 64 * 1024;

/// Facts of a certificate, as an importing person and a record need them.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateFacts {
    /// SHA-1 of its DER, 40 lower-case hexadecimal digits: its name in Graph and in Windows.
    pub thumbprint: String,
    /// Begin of validity, RFC 3339 in UTC.
    pub not_before: String,
    /// End of validity, RFC 3339 in UTC.
    pub not_after: String,
    /// Subject (RFC 4514).
    pub subject: String,
    /// E-mail addresses: rfc822Name and SmtpUTF8Mailbox of subjectAltName, then emailAddress of the subject; none twice.
    pub email_addresses: Vec<String>,
    /// Whether the private key belongs to it; `null` when no key was looked at.
    pub key_matches: Option<bool>,
}

/// Of a certificate with its key, of which it is known whether they fit.
pub(super) fn of(der: &[u8], key_matches: bool) -> Result<CertificateFacts, PfxError> {
    let mut facts = CertificateFacts::of_certificate(der)?;
    facts.key_matches = Some(key_matches);
    Ok(facts)
}

impl CertificateFacts {
    /// Of a certificate alone (DER), without its key.
    ///
    /// # Errors
    /// [`PfxError::Malformed`] when it does not parse or its dates have no calendar form; [`PfxError::LimitExceeded`] when it is larger
    /// than 64 KiB.
    pub fn of_certificate(der: &[u8]) -> Result<Self, PfxError> {
        if der.len() > LARGEST {
            return Err(limit("size of a certificate in bytes", LARGEST));
        }
        let certificate = Certificate::from_der(der).map_err(|_| BROKEN)?;
        let tbs = certificate.tbs_certificate();
        let date = |time: x509_cert::time::Time| {
            i64::try_from(time.to_unix_duration().as_millis())
                .map(rfc3339)
                .map_err(|_| BROKEN)
        };
        Ok(CertificateFacts {
            thumbprint: hex(digest(Hash::Sha1, der).as_ref()),
            not_before: date(tbs.validity().not_before)?,
            not_after: date(tbs.validity().not_after)?,
            subject: words::name(tbs.subject()),
            email_addresses: email_addresses(&certificate),
            key_matches: None,
        })
    }
}

fn email_addresses(certificate: &Certificate) -> Vec<String> {
    /// More than anybody has in one certificate.
    const MOST: usize = 32;
    let tbs = certificate.tbs_certificate();
    let alternative = tbs
        .get_extension::<SubjectAltName>()
        .ok()
        .flatten()
        .map(|(_, names)| names.0)
        .unwrap_or_default();
    let mut found: Vec<String> = Vec::new();
    let mut add = |address: &str| {
        let address = words::printable(address);
        if found.len() < MOST && !found.contains(&address) {
            found.push(address);
        }
    };
    for name in &alternative {
        match name {
            GeneralName::Rfc822Name(address) => add(address.as_str()),
            GeneralName::OtherName(other) if other.type_id == SMTP_UTF8_MAILBOX => {
                if let Ok(address) = other.value.decode_as::<Utf8StringRef<'_>>() {
                    add(address.as_str());
                }
            }
            _ => {}
        }
    }
    for attribute in tbs.subject().iter() {
        if attribute.oid == EMAIL_ADDRESS
            && let Ok(address) = std::str::from_utf8(attribute.value.value())
        {
            add(address);
        }
    }
    found
}
