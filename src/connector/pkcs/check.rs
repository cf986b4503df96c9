//! Whether what an authority issued is what was asked: the key of the CSR, its names and no others, its usages, a validity of now and no
//! longer than allowed, an accepted signature, and a path to a configured root.

use super::ask::{Question, attributes};
use super::chain;
use crate::clock::rfc3339;
use crate::encoding::hex;
use crate::engine::api::keys::{KeyType, KeyUsage};
use crate::gateway::pkcs_api::PkcsWorkItem;
use crate::issuance::{Attribute, Rule, usage_in_words};
use ca::Issued;
use der::asn1::ObjectIdentifier;
use der::{Decode, Encode};
use fips::digest::{Hash, digest};
use pki::algorithm::KeyKind;
use pki::csr::Csr;
use std::collections::BTreeSet;
use x509_cert::Certificate;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::{
    BasicConstraints, ExtendedKeyUsage, KeyUsage as Usages, SubjectAltName,
};
use x509_cert::request::{CertReq, ExtensionReq};

/// Certificates that are looked at besides the issued one.
pub(crate) const MAX_OTHERS: usize = 8;
/// The largest certificate, in bytes.
const MAX_BYTES: usize = 16 * 1024;
/// How far the clocks of authority and connector may be apart, in milliseconds.
const CLOCKS_MS: i64 = 10 * 60_000;
const DAY_MS: i64 = 24 * 3_600_000;
/// extensionRequest (RFC 2985 section 5.4.2).
const EXTENSION_REQUEST: &str = "1.2.840.113549.1.9.14";
/// subjectAltName.
const SUBJECT_ALT_NAME: &str = "2.5.29.17";
/// Microsoft's extension with a security identifier.
const SECURITY_IDENTIFIER: &str = "1.3.6.1.4.1.311.25.2";
const ANY_USAGE: &str = "2.5.29.37.0";
/// What a person's or a device's key may be for.
const KEY_USAGES: [KeyUsage; 5] = [
    KeyUsage::DigitalSignature,
    KeyUsage::NonRepudiation,
    KeyUsage::KeyEncipherment,
    KeyUsage::DataEncipherment,
    KeyUsage::KeyAgreement,
];

/// What is expected.
pub(crate) struct Expected<'a> {
    /// The CSR (DER).
    pub(crate) csr: &'a [u8],
    /// The user's principal name.
    pub(crate) user: &'a str,
    /// The rule that allowed it; `None` when the policy has it no more.
    pub(crate) rule: Option<&'a Rule>,
    /// What was asked for.
    pub(crate) extended_key_usage: &'a [String],
    /// What was asked for.
    pub(crate) key_usage: &'a [KeyUsage],
    /// The longest validity.
    pub(crate) validity_days: u32,
    /// Certificates (DER) that it has to chain to.
    pub(crate) roots: &'a [Vec<u8>],
    /// Certificates (DER) that may lie between.
    pub(crate) intermediates: &'a [Vec<u8>],
    /// The time, in milliseconds since 1970.
    pub(crate) now_ms: i64,
}

/// A certificate that is what was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CheckedCertificate {
    /// Its serial number, hexadecimal.
    pub(crate) serial: String,
    /// SHA-1 of it, hexadecimal.
    pub(crate) thumbprint: String,
    /// The certificates above it, its issuer first and a root last.
    pub(crate) chain: Vec<Vec<u8>>,
}

/// Issuer (DER) and serial number (content octets) of a certificate.
pub(crate) fn names_of(der: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let certificate = Certificate::from_der(der).ok()?;
    let tbs = certificate.tbs_certificate();
    Some((
        tbs.issuer().to_der().ok()?,
        tbs.serial_number().as_bytes().to_vec(),
    ))
}

/// Whether a certificate (DER) is for the key of a CSR (DER).
pub(crate) fn is_for_key(certificate: &[u8], csr: &[u8]) -> bool {
    let certified = Certificate::from_der(certificate)
        .ok()
        .and_then(|certificate| {
            let tbs = certificate.tbs_certificate();
            tbs.subject_public_key_info().to_der().ok()
        });
    let asked = CertReq::from_der(csr)
        .ok()
        .and_then(|request| request.info.public_key.to_der().ok());
    certified.is_some() && certified == asked
}

/// Whether a CSR (DER) asks for what is asked for, as one does that an engine made for this request: its subject, names, usages and kind of
/// key, and nothing else; signed by its key.
///
/// # Errors
/// In words: the first thing that is not so.
pub(crate) fn is_request_for(
    csr: &[u8],
    question: &Question,
    item: &PkcsWorkItem,
) -> Result<(), String> {
    let csr = Csr::read(csr).map_err(|error| format!("its CSR: {error}"))?;
    if attributes(csr.subject()) != question.attributes() {
        return Err("its CSR is for another subject".to_owned());
    }
    if key_type(csr.spki_der()) != Some(item.profile.key) {
        return Err(format!(
            "its CSR is for a key that is not {}",
            item.profile.key.name()
        ));
    }
    let wanted = question
        .content(item)
        .extensions()
        .and_then(|extensions| {
            let list = extensions.to_list(csr.subject().is_empty());
            list.map_err(|error| error.to_string())
        })
        .map_err(|error| format!("what is asked for is no request: {error}"))?;
    let parts = |list: &[Extension]| -> BTreeSet<(String, Vec<u8>)> {
        list.iter()
            .map(|one| (one.extn_id.to_string(), one.extn_value.as_bytes().to_vec()))
            .collect()
    };
    let others = |oid: &&ObjectIdentifier| oid.to_string() != EXTENSION_REQUEST;
    if parts(&wanted) != parts(csr.extension_list())
        || csr.attributes().iter().find(others).is_some()
    {
        return Err("its CSR asks for other names or usages".to_owned());
    }
    Ok(())
}

fn key_type(spki: &[u8]) -> Option<KeyType> {
    match KeyKind::of(spki)? {
        KeyKind::P256 => Some(KeyType::EcP256),
        KeyKind::P384 => Some(KeyType::EcP384),
        KeyKind::P521 => Some(KeyType::EcP521),
        KeyKind::Rsa => match fips::rsa::PublicKey::from_spki(spki).ok()?.modulus_bits() {
            2048 => Some(KeyType::Rsa2048),
            3072 => Some(KeyType::Rsa3072),
            4096 => Some(KeyType::Rsa4096),
            _ => None,
        },
        KeyKind::RsaPss => None,
    }
}

/// Holds what was issued against what was asked.
///
/// # Errors
/// In words: the first thing that is not as it was asked.
pub(crate) fn check(
    expected: &Expected<'_>,
    issued: &Issued,
) -> Result<CheckedCertificate, String> {
    let der = issued.certificate_der.as_slice();
    if der.len() > MAX_BYTES {
        return Err(format!("it has more than {MAX_BYTES} bytes"));
    }
    let certificate = Certificate::from_der(der).map_err(|_| "it is no certificate (RFC 5280)")?;
    let request = CertReq::from_der(expected.csr).map_err(|_| "its CSR does not parse")?;
    let tbs = certificate.tbs_certificate();
    if !is_for_key(der, expected.csr) {
        return Err("it is for another key".to_owned());
    }
    let asked_extensions = requested_extensions(&request)?;
    let extensions = tbs.extensions().map_or(&[][..], Vec::as_slice);
    subject(
        &attributes(&request.info.subject),
        &attributes(tbs.subject()),
        expected,
    )?;
    alternative_names(&asked_extensions, extensions)?;
    usages(expected, &certificate)?;
    validity(expected, &certificate)?;
    let others: Vec<Vec<u8>> = issued
        .others
        .iter()
        .filter(|other| other.len() <= MAX_BYTES)
        .take(MAX_OTHERS)
        .cloned()
        .collect();
    let path = chain::path(
        der,
        &others,
        expected.intermediates,
        expected.roots,
        expected.now_ms,
    )?;
    Ok(CheckedCertificate {
        serial: hex(tbs.serial_number().as_bytes()),
        thumbprint: hex(digest(Hash::Sha1, der).as_ref()),
        chain: path,
    })
}

fn requested_extensions(request: &CertReq) -> Result<Vec<Extension>, String> {
    let mut found = Vec::new();
    for attribute in request.info.attributes.iter() {
        if attribute.oid.to_string() == EXTENSION_REQUEST {
            for value in attribute.values.iter() {
                let list = value
                    .to_der()
                    .and_then(|der| ExtensionReq::from_der(&der))
                    .map_err(|_| "its CSR does not parse")?;
                found.extend(list.0);
            }
        }
    }
    Ok(found)
}

fn subject(
    asked: &[Attribute],
    issued: &[Attribute],
    expected: &Expected<'_>,
) -> Result<(), String> {
    let shown = |attribute: &Attribute| {
        crate::encoding::printable(&format!("{}={}", attribute.name, attribute.value))
    };
    for attribute in issued {
        let added = !asked.contains(attribute);
        let may_be = |rule: &Rule| rule.may_be_added(attribute, expected.user);
        if added && !expected.rule.is_some_and(may_be) {
            return Err(format!(
                "its subject has {}, which was not asked for (`ca_may_add` of the policy's rule allows what the authority adds; an e-mail address has to be the user's own where `equal_to_user` has `email`)",
                shown(attribute)
            ));
        }
    }
    match asked.iter().find(|attribute| !issued.contains(attribute)) {
        Some(missing) => Err(format!("its subject is without {}", shown(missing))),
        None => Ok(()),
    }
}

fn extension<'a>(extensions: &'a [Extension], oid: &str) -> Option<&'a Extension> {
    extensions
        .iter()
        .find(|extension| extension.extn_id.to_string() == oid)
}

/// The names of subjectAltName, each as its DER.
fn names(extensions: &[Extension]) -> Result<BTreeSet<Vec<u8>>, String> {
    let Some(found) = extension(extensions, SUBJECT_ALT_NAME) else {
        return Ok(BTreeSet::new());
    };
    let malformed = |_| "its alternative names do not parse".to_owned();
    let names = SubjectAltName::from_der(found.extn_value.as_bytes()).map_err(malformed)?;
    names
        .0
        .iter()
        .map(|name| name.to_der().map_err(malformed))
        .collect()
}

fn alternative_names(asked: &[Extension], issued: &[Extension]) -> Result<(), String> {
    let (wanted, found) = (names(asked)?, names(issued)?);
    if let Some(more) = found.difference(&wanted).count().checked_sub(1) {
        return Err(format!(
            "it has {} alternative names that were not asked for",
            more + 1
        ));
    }
    if wanted.difference(&found).next().is_some() {
        return Err("it is without an alternative name that was asked for".to_owned());
    }
    let sid = |list: &[Extension]| {
        extension(list, SECURITY_IDENTIFIER).map(|one| one.extn_value.as_bytes().to_vec())
    };
    let (wanted, found) = (sid(asked), sid(issued));
    if found.is_some() && found != wanted {
        return Err("it has a security identifier that was not asked for".to_owned());
    }
    if wanted.is_some() && found.is_none() {
        return Err("it is without the security identifier that was asked for".to_owned());
    }
    Ok(())
}

fn usages(expected: &Expected<'_>, certificate: &Certificate) -> Result<(), String> {
    let tbs = certificate.tbs_certificate();
    let malformed = |_| "an extension of it does not parse".to_owned();
    let basic = tbs
        .get_extension::<BasicConstraints>()
        .map_err(malformed)?
        .is_some_and(|(_, basic)| basic.ca);
    let usage = tbs.get_extension::<Usages>().map_err(malformed)?;
    if basic
        || usage
            .as_ref()
            .is_some_and(|(_, usage)| usage.key_cert_sign() || usage.crl_sign())
    {
        return Err("it is a certificate of an authority".to_owned());
    }
    key_usages(expected, usage.map(|(_, usage)| usage))?;
    let purposes: Vec<String> = tbs
        .get_extension::<ExtendedKeyUsage>()
        .map_err(malformed)?
        // None at all is any (RFC 5280 section 4.2.1.12).
        .map_or_else(
            || vec![ANY_USAGE.to_owned()],
            |(_, usages)| usages.0.iter().map(ToString::to_string).collect(),
        );
    let allowed = expected
        .rule
        .map_or(&[][..], |rule| rule.extended_key_usage.as_slice());
    for purpose in &purposes {
        if !expected.extended_key_usage.contains(purpose) && !allowed.contains(purpose) {
            return Err(if purpose == ANY_USAGE {
                "it is for any usage, which the policy's rule does not allow".to_owned()
            } else {
                format!(
                    "it is for {}, which the policy's rule does not allow",
                    usage_in_words(purpose)
                )
            });
        }
    }
    match expected
        .extended_key_usage
        .iter()
        .find(|asked| !purposes.contains(asked))
    {
        Some(missing) => Err(format!(
            "it is not for {}, which was asked for",
            usage_in_words(missing)
        )),
        None => Ok(()),
    }
}

/// What was asked for is there, and nothing besides; where nothing was asked for, nothing that the rule does not allow.
fn key_usages(expected: &Expected<'_>, issued: Option<Usages>) -> Result<(), String> {
    let (allowed, by) = match (expected.key_usage, expected.rule) {
        ([], rule) => (
            rule.map_or(&[][..], |rule| rule.key_usage.as_slice()),
            "which the policy's rule does not allow",
        ),
        (asked, _) => (asked, "which was not asked for"),
    };
    // None at all is any (RFC 5280 section 4.2.1.3).
    let has = |bit: KeyUsage| {
        issued.is_none_or(|usage| match bit {
            KeyUsage::DigitalSignature => usage.digital_signature(),
            KeyUsage::NonRepudiation => usage.non_repudiation(),
            KeyUsage::KeyEncipherment => usage.key_encipherment(),
            KeyUsage::DataEncipherment => usage.data_encipherment(),
            KeyUsage::KeyAgreement => usage.key_agreement(),
        })
    };
    for bit in KEY_USAGES {
        if has(bit) && !allowed.contains(&bit) {
            let any = issued.is_none().then_some(" (it has no keyUsage)");
            return Err(format!(
                "its key is for {bit:?}{}, {by}",
                any.unwrap_or_default()
            ));
        }
        if !has(bit) && expected.key_usage.contains(&bit) {
            return Err(format!("its key is not for {bit:?}, which was asked for"));
        }
    }
    Ok(())
}

fn validity(expected: &Expected<'_>, certificate: &Certificate) -> Result<(), String> {
    let ms = |time: x509_cert::time::Time| {
        i64::try_from(time.to_unix_duration().as_millis()).map_err(|_| "its validity has no end")
    };
    let validity = certificate.tbs_certificate().validity();
    let (from, to) = (ms(validity.not_before)?, ms(validity.not_after)?);
    if from > expected.now_ms.saturating_add(CLOCKS_MS) {
        return Err(format!("it is not valid before {}", rfc3339(from)));
    }
    if to <= expected.now_ms {
        return Err(format!("it expired at {}", rfc3339(to)));
    }
    let longest = i64::from(expected.validity_days)
        .saturating_mul(DAY_MS)
        .saturating_add(2 * CLOCKS_MS);
    if to.saturating_sub(from) > longest {
        return Err(format!(
            "it is valid for more than {} days, until {}",
            expected.validity_days,
            rfc3339(to)
        ));
    }
    Ok(())
}
