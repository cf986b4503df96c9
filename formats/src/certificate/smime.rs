//! Whether a certificate is fit for S/MIME (RFC 8550 section 4.4, RFC 5280 sections 4.2.1.3 and 4.2.1.12).

use super::key_kind::KeyKind;
use crate::words;
use const_oid::ObjectIdentifier;
use const_oid::db::rfc5280::{ANY_EXTENDED_KEY_USAGE, ID_KP_EMAIL_PROTECTION};
use der::Decode;
use serde::Serialize;
use x509_cert::Certificate;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage};

/// More purposes than any certificate has; the rest is not listed.
const MOST_PURPOSES: usize = 32;

/// What a certificate says about its use for S/MIME.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub struct SmimeFitness {
    /// keyUsage, by the names of RFC 5280; `None` without the extension, which permits everything.
    pub key_usage: Option<Vec<&'static str>>,
    /// extendedKeyUsage, by names; `None` without the extension, which permits everything.
    pub extended_key_usage: Option<Vec<String>>,
    /// Whether mail may be signed with its key.
    pub signing: bool,
    /// Whether mail may be encrypted to it.
    pub encryption: bool,
    /// What is in the way of S/MIME, in words; empty when it is fit for signing or encryption, or both.
    pub problems: Vec<String>,
}

impl SmimeFitness {
    /// Of a certificate (DER) that holds these e-mail addresses; `None` when it does not parse, or is larger than 64 KiB.
    #[must_use]
    pub fn of(der: &[u8], email_addresses: &[String]) -> Option<Self> {
        if der.len() > crate::pfx::LARGEST_CERTIFICATE {
            return None;
        }
        let certificate = Certificate::from_der(der).ok()?;
        let tbs = certificate.tbs_certificate();
        let mut problems = Vec::new();
        let usage = match tbs.get_extension::<KeyUsage>() {
            Ok(found) => found.map(|(_, usage)| usage),
            Err(_) => {
                problems.push("its key usage does not parse".to_owned());
                None
            }
        };
        let purposes = match tbs.get_extension::<ExtendedKeyUsage>() {
            Ok(found) => found.map(|(_, purposes)| purposes.0),
            Err(_) => {
                problems.push("its extended key usage does not parse".to_owned());
                None
            }
        };
        if email_addresses.is_empty() {
            problems.push("it names no e-mail address".to_owned());
        }
        let for_mail = purposes.as_ref().is_none_or(|purposes| {
            purposes.contains(&ID_KP_EMAIL_PROTECTION) || purposes.contains(&ANY_EXTENDED_KEY_USAGE)
        });
        if !for_mail {
            problems.push(
                "its extended key usage does not permit e-mail protection (1.3.6.1.5.5.7.3.4)"
                    .to_owned(),
            );
        }
        let authority = tbs
            .get_extension::<BasicConstraints>()
            .ok()
            .flatten()
            .is_some_and(|(_, constraints)| constraints.ca);
        if authority {
            problems.push("it is the certificate of a certification authority".to_owned());
        }
        let kind = KeyKind::of(&tbs.subject_public_key_info().algorithm.oid);
        let may_sign = kind.signs()
            && usage
                .as_ref()
                .is_none_or(|usage| usage.digital_signature() || usage.non_repudiation());
        let may_encrypt = kind.encrypts(usage.as_ref());
        if !may_sign && !may_encrypt {
            problems.push(
                "its kind of key and its key usage permit neither signing nor encryption"
                    .to_owned(),
            );
        }
        Some(Self {
            key_usage: usage.as_ref().map(usage_names),
            extended_key_usage: purposes.map(|purposes| {
                let purposes = purposes.iter().take(MOST_PURPOSES);
                purposes.map(purpose_name).collect()
            }),
            signing: for_mail && may_sign && !authority,
            encryption: for_mail && may_encrypt && !authority,
            problems,
        })
    }
}

fn usage_names(usage: &KeyUsage) -> Vec<&'static str> {
    [
        (usage.digital_signature(), "digitalSignature"),
        (usage.non_repudiation(), "nonRepudiation"),
        (usage.key_encipherment(), "keyEncipherment"),
        (usage.data_encipherment(), "dataEncipherment"),
        (usage.key_agreement(), "keyAgreement"),
        (usage.key_cert_sign(), "keyCertSign"),
        (usage.crl_sign(), "cRLSign"),
        (usage.encipher_only(), "encipherOnly"),
        (usage.decipher_only(), "decipherOnly"),
    ]
    .into_iter()
    .filter_map(|(set, name)| set.then_some(name))
    .collect()
}

/// The purposes that certificates of people have, by the names of RFC 5280; others in words.
fn purpose_name(oid: &ObjectIdentifier) -> String {
    const NAMES: [(&str, &str); 8] = [
        ("2.5.29.37.0", "anyExtendedKeyUsage"),
        ("1.3.6.1.5.5.7.3.1", "serverAuth"),
        ("1.3.6.1.5.5.7.3.2", "clientAuth"),
        ("1.3.6.1.5.5.7.3.3", "codeSigning"),
        ("1.3.6.1.5.5.7.3.4", "emailProtection"),
        ("1.3.6.1.5.5.7.3.8", "timeStamping"),
        ("1.3.6.1.4.1.311.20.2.2", "smartcardLogon"),
        ("1.3.6.1.4.1.311.10.3.4", "encryptingFileSystem"),
    ];
    let numbers = oid.to_string();
    NAMES
        .iter()
        .find_map(|(known, name)| (*known == numbers).then(|| (*name).to_owned()))
        .unwrap_or_else(|| words::oid(oid))
}
