//! Connectors' certificates, as gateway and connector both look at them: whose they are, how long they hold, and whether one is what was
//! asked for (docs/identity.md).

use der::Decode;
use der::asn1::ObjectIdentifier;
use fips::digest::{Hash, digest};
use pki::path::{Certificate, Purpose, Verification};
use pki::time;

/// id-at-commonName (X.520).
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
/// Certificates beside the connector's own that are looked at.
pub const MAX_OTHERS: usize = 8;
/// The largest certificate, in bytes.
pub const MAX_CERTIFICATE_BYTES: usize = 16 * 1024;
/// A certificate may begin so much later than the clock of whoever looks at it says, in milliseconds: clocks differ.
const CLOCKS_DIFFER_MS: i64 = 3_600_000;
/// The longest common name (RFC 5280, ub-common-name).
pub const MAX_COMMON_NAME: usize = 64;

/// What a connector's certificate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The only common name of its subject.
    pub common_name: String,
    /// Its key (DER SubjectPublicKeyInfo).
    pub spki: Vec<u8>,
    /// The beginning of its validity, in milliseconds since 1970.
    pub not_before_ms: i64,
    /// The end of its validity, in milliseconds since 1970.
    pub not_after_ms: i64,
    /// SHA-256 of it.
    pub digest: [u8; 32],
}

impl Facts {
    /// Of a certificate (DER).
    ///
    /// # Errors
    /// In words, when it is none or names nobody, or several.
    pub fn of(der: &[u8]) -> Result<Self, String> {
        if der.len() > MAX_CERTIFICATE_BYTES {
            return Err(format!("it has more than {MAX_CERTIFICATE_BYTES} bytes"));
        }
        let read = Certificate::read(der).map_err(|problem| problem.to_string())?;
        let parsed = x509_cert::Certificate::from_der(der).map_err(|_| "it is no certificate")?;
        let validity = parsed.tbs_certificate().validity();
        let ms = |time: x509_cert::time::Time| {
            i64::try_from(time.to_unix_duration().as_millis()).unwrap_or(i64::MAX)
        };
        Ok(Self {
            common_name: common_name(read.subject())
                .ok_or("its subject has no common name, or several")?,
            spki: read.spki_der().to_vec(),
            not_before_ms: ms(validity.not_before),
            not_after_ms: ms(validity.not_after),
            digest: digest(Hash::Sha256, der)
                .as_ref()
                .try_into()
                .map_err(|_| "it has no digest")?,
        })
    }

    /// From when on it is renewed: two thirds of its life.
    #[must_use]
    pub const fn renew_at_ms(&self) -> i64 {
        let life = self.not_after_ms.saturating_sub(self.not_before_ms);
        self.not_before_ms
            .saturating_add(life.saturating_sub(life / 3))
    }

    /// From when on a renewal that has not worked makes the connector unhealthy: half of what is left after [`Self::renew_at_ms`], so that
    /// there is time to act.
    #[must_use]
    pub const fn overdue_at_ms(&self) -> i64 {
        let life = self.not_after_ms.saturating_sub(self.not_before_ms);
        self.not_before_ms
            .saturating_add(life.saturating_sub(life / 6))
    }
}

/// The one common name of a subject.
#[must_use]
pub fn common_name(subject: &x509_cert::name::Name) -> Option<String> {
    let mut names = subject
        .iter()
        .filter(|attribute| attribute.oid == COMMON_NAME);
    let only = names.next().filter(|_| names.next().is_none())?;
    std::str::from_utf8(only.value.value())
        .ok()
        .map(str::to_owned)
}

/// What a certificate has to be.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// Whose.
    pub common_name: &'a str,
    /// The key (DER SubjectPublicKeyInfo) that it has to be for.
    pub spki: &'a [u8],
    /// The longest validity, in days.
    pub max_days: u32,
    /// Certificates (DER) that it has to chain to; `None`: whoever asks does not know them, and the path is not looked at.
    pub roots: Option<&'a [Vec<u8>]>,
    /// The time, in milliseconds since 1970.
    pub now_ms: i64,
}

/// A certificate that is what was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// What it says.
    pub facts: Facts,
    /// The certificates (DER) of its path, its issuer first and without the root; none where the path was not looked at.
    pub above: Vec<Vec<u8>>,
}

/// Holds a new certificate against what was asked for. `others`: certificates that may lie between it and a root.
///
/// # Errors
/// In words: the first thing that is otherwise.
pub fn check(der: &[u8], others: &[Vec<u8>], expected: &Expected<'_>) -> Result<Checked, String> {
    let facts = Facts::of(der)?;
    if facts.spki != expected.spki {
        return Err("it is for another key".to_owned());
    }
    if facts.common_name != expected.common_name {
        return Err(format!(
            "it is for {:?} and not for {:?}",
            crate::encoding::printable(&facts.common_name),
            expected.common_name
        ));
    }
    let days = facts.not_after_ms.saturating_sub(facts.not_before_ms) / 86_400_000;
    if days > i64::from(expected.max_days) {
        return Err(format!(
            "it is valid for {days} days, and {} are allowed",
            expected.max_days
        ));
    }
    if facts.not_after_ms <= expected.now_ms {
        return Err("it has expired".to_owned());
    }
    let read = |der: &Vec<u8>| Certificate::read(der).ok();
    let leaf = Certificate::read(der).map_err(|problem| problem.to_string())?;
    if leaf.is_authority() {
        return Err("it is an authority's".to_owned());
    }
    let mut above = Vec::new();
    if let Some(roots) = expected.roots {
        // Whoever knows the roots is who judges handshakes by its clock.
        if facts.not_before_ms.saturating_sub(expected.now_ms) > CLOCKS_DIFFER_MS {
            return Err(format!(
                "it is not valid before {}",
                crate::clock::rfc3339(facts.not_before_ms)
            ));
        }
        let roots: Vec<_> = roots.iter().filter_map(read).collect();
        let between: Vec<_> = others.iter().take(MAX_OTHERS).filter_map(read).collect();
        let verification = Verification {
            roots: &roots,
            intermediates: &between,
            purpose: Purpose::Client,
            // Of clocks that differ, the later one decides whether it is valid already.
            at: time::digits(expected.now_ms.max(facts.not_before_ms)),
            ..Verification::default()
        };
        let path = verification
            .verify(&leaf)
            .map_err(|error| error.to_string())?;
        let length = path.certificates.len().saturating_sub(2);
        let between = path.certificates.iter().skip(1).take(length);
        above.extend(between.map(|one| one.der().to_vec()));
    }
    Ok(Checked { facts, above })
}
