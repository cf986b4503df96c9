//! An authority that issues with `openssl ca`, honestly or not, for the servers of these tests.

use super::issuance::{Grant, issue};
use super::openssl::{Authority, KeyAlgorithm, Workshop, openssl, text};
use pfx_connector::clock::{Clock, SystemClock, rfc3339};
use std::path::PathBuf;
use std::sync::Mutex;

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// How what is issued differs from what was asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Twist {
    #[default]
    Honest,
    OtherKey,
    MoreNames,
    Sha1,
    Expired,
    WrongChain,
    OtherName,
    /// For ten years.
    TooLong,
    /// Not before a week is over.
    Early,
    AnAuthority,
    /// What it issued last.
    Again,
}

impl Twist {
    /// Lies about somebody's certificate.
    pub(crate) const LIES: [Self; 5] = [
        Self::OtherKey,
        Self::MoreNames,
        Self::Sha1,
        Self::Expired,
        Self::WrongChain,
    ];

    /// Lies about a connector's certificate.
    pub(crate) const OF_CONNECTORS: [Self; 8] = [
        Self::OtherKey,
        Self::OtherName,
        Self::Sha1,
        Self::Expired,
        Self::WrongChain,
        Self::TooLong,
        Self::Early,
        Self::AnAuthority,
    ];
}

/// The authority. Servers' threads use it: everything that it needs is in folders of their own.
pub(crate) struct Company {
    certificate: PathBuf,
    key: PathBuf,
    /// What it issued (DER).
    issued: Mutex<Vec<Vec<u8>>>,
}

impl Company {
    pub(crate) fn of(root: &Authority<'_>) -> Self {
        Self {
            certificate: root.certificate.clone(),
            key: root.key.clone(),
            issued: Mutex::default(),
        }
    }

    /// Issues for a CSR (DER), whose extensions are copied; gives the certificate (DER).
    pub(crate) fn issue(&self, csr: &[u8], twist: Twist) -> Vec<u8> {
        if twist == Twist::Again {
            return self.issued.lock().unwrap().last().unwrap().clone();
        }
        let workshop = Workshop::new();
        let root = workshop.authority_of(self.certificate.clone(), self.key.clone());
        let now = SystemClock.now_ms();
        let (from, to) = match twist {
            Twist::Expired => (now - 30 * DAY_MS, now - DAY_MS),
            Twist::TooLong => (now - HOUR_MS, now + 3_650 * DAY_MS),
            Twist::Early => (now + 7 * DAY_MS, now + 30 * DAY_MS),
            _ => (now - HOUR_MS, now + 30 * DAY_MS),
        };
        let (from, to) = (time(from), time(to));
        let mut grant = Grant {
            not_before: &from,
            not_after: &to,
            ..Grant::default()
        };
        let other;
        let mut csr = csr;
        let mut issuer = root;
        match twist {
            Twist::Honest | Twist::Expired | Twist::TooLong | Twist::Early | Twist::Again => {}
            Twist::OtherName => grant.subject = Some("/CN=connector-9"),
            Twist::AnAuthority => grant.extensions = "basicConstraints = critical, CA:TRUE",
            Twist::OtherKey => {
                other = same_names(&workshop, csr);
                csr = &other;
            }
            Twist::MoreNames => {
                grant.as_asked = false;
                grant.extensions = "basicConstraints = critical, CA:FALSE\nkeyUsage = critical, digitalSignature\nextendedKeyUsage = emailProtection\n\
                                    subjectAltName = email:anna@example.com, email:director@example.com";
            }
            Twist::Sha1 => grant.digest = "sha1",
            // Of the same name, which is nobody's whom the connector knows.
            Twist::WrongChain => issuer = workshop.authority("Company Root", KeyAlgorithm::P256),
        }
        let certificate = issue(&workshop, &issuer, csr, &grant);
        self.issued.lock().unwrap().push(certificate.clone());
        certificate
    }

    /// The same in a PEM file of this workshop.
    pub(crate) fn issue_pem(&self, csr: &[u8], workshop: &Workshop) -> PathBuf {
        let der = workshop.file(&self.issue(csr, Twist::Honest));
        let pem = workshop.fresh(".pem");
        std::fs::write(
            &pem,
            openssl(&["x509", "-inform", "DER", "-in", text(&der)]),
        )
        .unwrap();
        pem
    }

    pub(crate) fn issued(&self) -> usize {
        self.issued.lock().unwrap().len()
    }
}

/// A CSR (DER) with the subject of this one, what Anna's asks for, and another key.
fn same_names(workshop: &Workshop, csr: &[u8]) -> Vec<u8> {
    let (key, asked) = (workshop.key(KeyAlgorithm::P256), workshop.file(csr));
    let read = [
        "req",
        "-inform",
        "DER",
        "-in",
        text(&asked),
        "-noout",
        "-subject",
        "-nameopt",
        "RFC2253",
    ];
    let subject = String::from_utf8(openssl(&read)).unwrap();
    let subject = subject.trim().strip_prefix("subject=").unwrap();
    openssl(&[
        "req",
        "-new",
        "-key",
        text(&key),
        "-subj",
        &format!("/{subject}"),
        "-addext",
        "subjectAltName=email:anna@example.com",
        "-addext",
        "keyUsage=critical,digitalSignature",
        "-addext",
        "extendedKeyUsage=emailProtection",
        "-outform",
        "DER",
    ])
}

/// `YYYYMMDDHHMMSSZ`.
fn time(ms: i64) -> String {
    let digits: String = rfc3339(ms).chars().filter(char::is_ascii_digit).collect();
    format!("{}Z", &digits[..14])
}
