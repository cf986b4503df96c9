//! What a request and a certificate say, as reports: plain values, for a page for people and for JSON.
//!
//! Nothing here is a verdict about trust: a report of a certificate says what it claims.

use crate::algorithm;
use crate::csr::Csr;
use crate::extension::{
    Extensions, SID_EXTENSION, TEMPLATE, TEMPLATE_NAME, Template, purpose_name, usage_names,
};
use crate::key;
use crate::name::rfc4514;
use crate::path::{Certificate, email_addresses};
use crate::san::shown;
use crate::time;
use const_oid::ObjectIdentifier;
use const_oid::db::DB;
use fips::digest::{Hash, digest};
use formats::certificate::SmimeFitness;
use formats::text::{hex, printable};
use serde::Serialize;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::constraints::name::GeneralSubtree;
use x509_cert::ext::pkix::name::GeneralName;

/// Longest text of a stranger's in a report, in characters.
const LONGEST: usize = 1024;

/// An alternative name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AltName {
    /// `email`, `upn`, `dns`, `uri`, `sid`, `ip`, `directory`, `registeredId`, `ediParty` or `other`.
    pub kind: &'static str,
    /// Its text; for `other` its object identifier.
    pub value: String,
}

/// An extension by its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExtensionLine {
    /// Its object identifier.
    pub oid: String,
    /// Its name, where it has one.
    pub name: Option<&'static str>,
    /// Whether whoever does not understand it has to refuse.
    pub critical: bool,
}

/// A template of Microsoft's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TemplateLine {
    /// Its object identifier.
    pub id: String,
    /// Its version, major and minor.
    pub major: Option<u32>,
    /// Its version, major and minor.
    pub minor: Option<u32>,
}

impl From<Template> for TemplateLine {
    fn from(template: Template) -> Self {
        Self {
            id: template.id.to_string(),
            major: template.major,
            minor: template.minor,
        }
    }
}

/// What requests and certificates have in common.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Common {
    /// The subject (RFC 4514).
    pub subject: String,
    /// The key, in words.
    pub key: String,
    /// SHA-256 of the SubjectPublicKeyInfo, lower-case hexadecimal.
    pub key_fingerprint: String,
    /// The signature's algorithm, in words.
    pub signature: String,
    /// Alternative names.
    pub alt_names: Vec<AltName>,
    /// keyUsage; null without the extension, which permits everything.
    pub key_usage: Option<Vec<&'static str>>,
    /// extendedKeyUsage; null without the extension, which permits everything.
    pub extended_key_usage: Option<Vec<String>>,
    /// Name of a Microsoft template, version 1.
    pub template_name: Option<String>,
    /// Microsoft template, version 2.
    pub template: Option<TemplateLine>,
    /// Security identifier in Microsoft's extension.
    pub sid: Option<String>,
    /// Every extension.
    pub extensions: Vec<ExtensionLine>,
}

/// What a request says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CsrReport {
    /// What certificates have as well.
    #[serde(flatten)]
    pub common: Common,
    /// True: a request whose signature does not verify with its own key gives no report.
    pub signature_verified: bool,
    /// Whether there is a challenge password, which is not told.
    pub challenge_password: bool,
    /// Its attributes, by their names or numbers.
    pub attributes: Vec<String>,
    /// SHA-256 of its DER, lower-case hexadecimal.
    pub fingerprint: String,
}

/// What a certificate says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CertificateReport {
    /// What requests have as well.
    #[serde(flatten)]
    pub common: Common,
    /// The issuer (RFC 4514).
    pub issuer: String,
    /// The serial number, lower-case hexadecimal.
    pub serial: String,
    /// Begin of validity, RFC 3339 in UTC.
    pub not_before: String,
    /// End of validity, inclusive, RFC 3339 in UTC.
    pub not_after: String,
    /// At the time that was asked for.
    pub validity: Validity,
    /// Whether it is an authority's.
    pub authority: bool,
    /// How many authorities may be below it; null: any number, or it is none.
    pub path_length: Option<u8>,
    /// Names that authorities below it may give, and may not.
    pub name_constraints: Option<ConstraintsReport>,
    /// Whether subject and issuer are the same.
    pub self_issued: bool,
    /// Whether it is fit for S/MIME (RFC 8550).
    pub smime: Option<SmimeFitness>,
    /// SHA-1 of its DER, lower-case hexadecimal: its name in Windows.
    pub thumbprint: String,
    /// SHA-256 of its DER, lower-case hexadecimal.
    pub fingerprint: String,
}

/// Name constraints (RFC 5280 section 4.2.1.10).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConstraintsReport {
    /// Names below these only.
    pub permitted: Vec<AltName>,
    /// No names below these.
    pub excluded: Vec<AltName>,
}

/// Of a certificate, at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Validity {
    /// It is valid.
    Valid,
    /// It was.
    Expired,
    /// It will be.
    NotYetValid,
}

impl CsrReport {
    /// Of a request.
    #[must_use]
    pub fn of(csr: &Csr) -> Self {
        let names = csr.extensions();
        let all = names
            .alt_names
            .iter()
            .filter_map(|name| name.to_general_name().ok());
        let all: Vec<GeneralName> = all.chain(names.other_alt_names.iter().cloned()).collect();
        Self {
            common: Common {
                subject: cut(&rfc4514(csr.subject())),
                key: key::words(csr.spki_der()),
                key_fingerprint: sha256(csr.spki_der()),
                signature: algorithm::words(csr.algorithm()),
                ..common(&all, names, csr.extension_list())
            },
            signature_verified: true,
            challenge_password: csr.challenge_password().is_some(),
            attributes: csr
                .attributes()
                .iter()
                .map(|oid| name(oid).map_or_else(|| oid.to_string(), str::to_owned))
                .collect(),
            fingerprint: sha256(csr.der()),
        }
    }
}

impl CertificateReport {
    /// Of a certificate, with its validity at a time (`YYYYMMDDHHMMSS` in UTC).
    #[must_use]
    pub fn of(certificate: &Certificate, at: &[u8; 14]) -> Self {
        let tbs = certificate.parsed().tbs_certificate();
        let list = tbs.extensions().cloned().unwrap_or_default();
        // Certificates are not refused for what only requests must be: an extension that does not parse is shown by its name.
        let understood = Extensions::read(&list).unwrap_or_default();
        let usage = certificate.key_usage().map(|usage| usage_names(usage.0));
        let purposes = certificate.purposes();
        Self {
            common: Common {
                subject: cut(&rfc4514(certificate.subject())),
                key: key::words(certificate.spki_der()),
                key_fingerprint: sha256(certificate.spki_der()),
                signature: formats::words::oid(&tbs.signature().oid),
                key_usage: usage,
                extended_key_usage: purposes.map(|all| all.iter().map(purpose_name).collect()),
                ..common(certificate.alt_names(), &understood, &list)
            },
            issuer: cut(&rfc4514(tbs.issuer())),
            serial: hex(certificate.serial()),
            not_before: time::text(certificate.not_before()),
            not_after: time::text(certificate.not_after()),
            validity: match at {
                at if at < certificate.not_before() => Validity::NotYetValid,
                at if at > certificate.not_after() => Validity::Expired,
                _ => Validity::Valid,
            },
            authority: certificate.is_authority(),
            path_length: certificate.path_length(),
            name_constraints: certificate
                .name_constraints()
                .map(|constraints| ConstraintsReport {
                    permitted: subtrees(constraints.permitted_subtrees.as_deref()),
                    excluded: subtrees(constraints.excluded_subtrees.as_deref()),
                }),
            self_issued: certificate.is_self_issued(),
            smime: SmimeFitness::of(certificate.der(), &email_addresses(certificate)),
            thumbprint: hex(digest(Hash::Sha1, certificate.der()).as_ref()),
            fingerprint: sha256(certificate.der()),
        }
    }
}

fn common(names: &[GeneralName], understood: &Extensions, list: &[Extension]) -> Common {
    Common {
        subject: String::new(),
        key: String::new(),
        key_fingerprint: String::new(),
        signature: String::new(),
        alt_names: names.iter().map(alt_name).collect(),
        key_usage: understood.key_usage.map(usage_names),
        extended_key_usage: (!understood.purposes.is_empty())
            .then(|| understood.purposes.iter().map(purpose_name).collect()),
        template_name: understood.template_name.as_deref().map(cut),
        template: understood.template.map(TemplateLine::from),
        sid: understood.sid.as_ref().map(|sid| sid.as_str().to_owned()),
        extensions: list
            .iter()
            .map(|extension| ExtensionLine {
                oid: extension.extn_id.to_string(),
                name: name(&extension.extn_id),
                critical: extension.critical,
            })
            .collect(),
    }
}

fn alt_name(name: &GeneralName) -> AltName {
    let (kind, value) = shown(name);
    AltName {
        kind,
        value: cut(&value),
    }
}

fn subtrees(trees: Option<&[GeneralSubtree]>) -> Vec<AltName> {
    trees
        .unwrap_or_default()
        .iter()
        .map(|tree| alt_name(&tree.base))
        .collect()
}

/// Names of extensions and attributes that people know, before those of the database.
fn name(oid: &ObjectIdentifier) -> Option<&'static str> {
    match *oid {
        TEMPLATE_NAME => Some("Microsoft template name"),
        TEMPLATE => Some("Microsoft template"),
        SID_EXTENSION => Some("Microsoft security identifier"),
        _ => match oid.to_string().as_str() {
            "1.2.840.113549.1.9.7" => Some("challengePassword"),
            "1.2.840.113549.1.9.14" => Some("extensionRequest"),
            "2.5.29.14" => Some("subjectKeyIdentifier"),
            "2.5.29.15" => Some("keyUsage"),
            "2.5.29.17" => Some("subjectAltName"),
            "2.5.29.19" => Some("basicConstraints"),
            "2.5.29.30" => Some("nameConstraints"),
            "2.5.29.31" => Some("cRLDistributionPoints"),
            "2.5.29.32" => Some("certificatePolicies"),
            "2.5.29.35" => Some("authorityKeyIdentifier"),
            "2.5.29.37" => Some("extKeyUsage"),
            "1.3.6.1.5.5.7.1.1" => Some("authorityInfoAccess"),
            _ => DB.by_oid(oid),
        },
    }
}

fn sha256(bytes: &[u8]) -> String {
    hex(digest(Hash::Sha256, bytes).as_ref())
}

fn cut(text: &str) -> String {
    let mut short: String = printable(text).chars().take(LONGEST).collect();
    if text.chars().nth(LONGEST).is_some() {
        short.push('\u{2026}');
    }
    short
}
