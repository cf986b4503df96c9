//! Certificates and keys in files: they can be read, belong together, and when they expire.

use super::authorities::ENROLMENT;
use super::catalogue::{
    CERTIFICATES_ANCHOR, CERTIFICATES_CHAIN, CERTIFICATES_CUSTODY, CERTIFICATES_EXPIRY,
    CERTIFICATES_FILE, CERTIFICATES_IMPORTER, CERTIFICATES_KEY, CERTIFICATES_REVOCATION, Check,
};
use super::finding::{Finding, Severity};
use crate::calendar::DAY_MS;
pub use crate::calendar::Facts;
use crate::clock::rfc3339;
use crate::config::{AuthorityConfig, Config, ImportConfig, RevocationMode};
use crate::engine::recrypt::revocation::{self, ListState, ListStatus};
use crate::engine::recrypt::{anchors, importers};
use crate::tls::{self, Identity, TlsError};
use der::Decode;
use fips::sign::SigningKey;
use hsm::public_key::PublicKey;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use std::path::Path;
use x509_cert::Certificate;

/// A certificate that ends within so many days is a warning.
const WARNING_DAYS: i64 = 30;
/// A certificate that ends within so many days is a note.
const NOTE_DAYS: i64 = 90;
/// The largest file with a public key, in bytes.
const MAX_KEY_BYTES: u64 = 64 * 1024;

impl Facts {
    /// What `check` says of it now.
    #[must_use]
    pub fn judge(&self, check: Check, subject: &str, now_ms: i64) -> Finding {
        let days = (self.not_after_ms - now_ms).div_euclid(DAY_MS);
        let name = &self.subject;
        let until = rfc3339(self.not_after_ms);
        let found = if now_ms < self.not_before_ms {
            let from = rfc3339(self.not_before_ms);
            check
                .error(subject, format!("{name} is not valid before {from}"))
                .remedy("check the clock of this machine; else wait, or have another certificate issued")
        } else if now_ms > self.not_after_ms {
            check.error(subject, format!("{name} expired at {until}"))
        } else if days < WARNING_DAYS {
            check.warning(
                subject,
                format!("{name} expires in {}, at {until}", in_days(days)),
            )
        } else if days < NOTE_DAYS {
            check
                .note(
                    subject,
                    format!("{name} expires in {}, at {until}", in_days(days)),
                )
                .remedy(check.remedy)
        } else {
            check.ok(subject, format!("{name} is valid until {until}"))
        };
        found.facts(json!({
            "subject": name,
            "notBefore": rfc3339(self.not_before_ms),
            "notAfter": until,
            "daysLeft": days,
        }))
    }
}

fn in_days(days: i64) -> String {
    match days {
        0 => "less than a day".to_owned(),
        1 => "1 day".to_owned(),
        days => format!("{days} days"),
    }
}

/// Looks at every file with certificates or keys, as of `now_ms`.
#[must_use]
pub fn examine(config: &Config, now_ms: i64) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(connector) = &config.connector {
        match &connector.identity {
            // Before it is enrolled there is none, which `run` says.
            Some(identity) => {
                let file = identity.certificate();
                findings.extend(chain("connector.identity.folder", &file, now_ms));
            }
            None => {
                if let Some(file) = &connector.certificate {
                    findings.extend(chain("connector.certificate", file, now_ms));
                }
            }
        }
        findings.extend(trusted(
            "connector.gateway_ca",
            &connector.gateway_ca,
            now_ms,
        ));
        if let (Some(certificate), Some(private_key)) =
            (&connector.certificate, &connector.private_key)
        {
            let identity = Identity {
                certificate,
                private_key,
            };
            findings.extend(belongs(
                "connector.private_key",
                || tls::client_config(&connector.gateway_ca, Some(identity)).map(drop),
                identity,
            ));
        }
    }
    for ca in config.connector.iter().flat_map(|connector| &connector.ca) {
        findings.extend(authority(&format!("connector.ca.{}", ca.name), ca, now_ms));
    }
    for own in &config.local_ca {
        let key = format!("local_ca.{}.certificate", own.name);
        findings.extend(chain(&key, &own.certificate, now_ms));
    }
    if let Some(gateway) = &config.gateway {
        findings.extend(chain("gateway.certificate", &gateway.certificate, now_ms));
        if let Some(enrolment) = &gateway.enrolment {
            findings.extend(authority(ENROLMENT, &enrolment.ca, now_ms));
        }
        findings.extend(trusted(
            "gateway.connector_ca",
            &gateway.connector_ca,
            now_ms,
        ));
        let identity = Identity {
            certificate: &gateway.certificate,
            private_key: &gateway.private_key,
        };
        findings.extend(belongs(
            "gateway.private_key",
            || tls::server_config(identity, &gateway.connector_ca).map(drop),
            identity,
        ));
    }
    if let Some(engine) = &config.engine {
        for path in &engine.device_anchors {
            findings.extend(anchor(path, now_ms));
        }
        for path in &engine.device_policy.crls {
            findings.extend(revocation_lists(
                path,
                engine.device_policy.revocation,
                now_ms,
            ));
        }
        for ca in &engine.ca {
            let key = format!("engine.ca.{}.certificate", ca.name);
            findings.extend(chain(&key, &ca.certificate, now_ms));
        }
        for configured in &engine.importers {
            findings.push(importer(configured));
        }
    }
    if let Some(import) = &config.import {
        findings.extend(trusted("import.gateway_ca", &import.gateway_ca, now_ms));
        findings.push(custody_key(import));
        if let Some(path) = &import.signing_key {
            findings.extend(signing_key("import.signing_key", path));
        }
    }
    if let Some(path) = &config.fips.report_key {
        findings.extend(signing_key("fips.report_key", path));
    }
    findings
}

/// The files of an authority; its private key is tried with the authority itself (group `authorities`).
fn authority(key: &str, ca: &AuthorityConfig, now_ms: i64) -> Vec<Finding> {
    let key = |name: &str| format!("{key}.{name}");
    let mut findings = trusted(&key("roots"), &ca.roots, now_ms);
    for (name, path) in [
        ("intermediates", &ca.intermediates),
        ("server_ca", &ca.server_ca),
        ("signers", &ca.signers),
    ] {
        if let Some(path) = path {
            findings.extend(trusted(&key(name), path, now_ms));
        }
    }
    if let Some(path) = &ca.certificate {
        findings.extend(chain(&key("certificate"), path, now_ms));
    }
    findings
}

/// The certificates of a file, or why there are none.
fn read(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    tls::certificates(path).map_err(|error| error.to_string())
}

/// A chain of our own: every certificate of it must be in force, and be issued by the next.
fn chain(key: &str, path: &Path, now_ms: i64) -> Vec<Finding> {
    let certificates = match read(path) {
        Ok(certificates) => certificates,
        Err(problem) => return vec![CERTIFICATES_FILE.error(key, problem)],
    };
    let mut findings = Vec::new();
    for der in &certificates {
        findings.push(match Facts::of(der) {
            Some(facts) => facts.judge(CERTIFICATES_EXPIRY, key, now_ms),
            None => CERTIFICATES_FILE.error(
                key,
                format!("{} holds a certificate that cannot be read", path.display()),
            ),
        });
    }
    let parsed: Vec<Certificate> = certificates
        .iter()
        .filter_map(|der| Certificate::from_der(der).ok())
        .collect();
    let out_of_order = parsed
        .iter()
        .zip(parsed.iter().skip(1))
        .any(|(one, next)| one.tbs_certificate().issuer() != next.tbs_certificate().subject());
    if out_of_order {
        findings.push(CERTIFICATES_CHAIN.warning(
            key,
            format!(
                "{} holds {} certificates, but not each is issued by the next: some peers refuse that",
                path.display(),
                parsed.len()
            ),
        ));
    }
    findings
}

/// Certificates that others have to chain to: one that has expired matters as much as it is the only one.
fn trusted(key: &str, path: &Path, now_ms: i64) -> Vec<Finding> {
    let certificates = match read(path) {
        Ok(certificates) => certificates,
        Err(problem) => return vec![CERTIFICATES_FILE.error(key, problem)],
    };
    if let Err(error) = tls::roots(path) {
        return vec![CERTIFICATES_FILE.error(key, error.to_string())];
    }
    let judged: Vec<Finding> = certificates
        .iter()
        .filter_map(|der| Facts::of(der))
        .map(|facts| facts.judge(CERTIFICATES_EXPIRY, key, now_ms))
        .collect();
    soften(judged)
}

/// Where one certificate of several still counts, another one that has expired is no more than a warning.
fn soften(mut judged: Vec<Finding>) -> Vec<Finding> {
    let one_counts = judged.iter().any(|found| found.severity < Severity::Error);
    if one_counts {
        for found in &mut judged {
            found.severity = found.severity.min(Severity::Warning);
        }
    }
    judged
}

/// Whether a private key can be used with its chain: by making the very TLS configuration that the process makes.
fn belongs(
    key: &str,
    configuration: impl FnOnce() -> Result<(), TlsError>,
    identity: Identity<'_>,
) -> Option<Finding> {
    let found = match configuration() {
        Ok(()) => CERTIFICATES_KEY.ok(key, "belongs to the certificate"),
        Err(TlsError::Secret(error)) => CERTIFICATES_KEY
            .error(key, error.to_string())
            .code(error.code())
            .remedy(error.hint()),
        Err(TlsError::File { path, problem }) if path == identity.certificate => {
            // A chain that cannot be read has been reported; what is left is that both do not fit.
            tls::certificates(identity.certificate).ok()?;
            CERTIFICATES_KEY.error(key, format!("does not fit {}: {problem}", path.display()))
        }
        Err(TlsError::File { path, problem }) if path == identity.private_key => {
            CERTIFICATES_KEY.error(key, format!("{}: {problem}", path.display()))
        }
        // The authorities' file: reported under its own key.
        Err(TlsError::File { .. }) => return None,
        Err(TlsError::Module(error)) => CERTIFICATES_KEY
            .error(key, error.to_string())
            .code(error.code())
            .remedy("see the group `fips`"),
    };
    Some(found)
}

fn anchor(path: &Path, now_ms: i64) -> Vec<Finding> {
    let key = "engine.device_anchors";
    let loaded = match anchors::load(&[path.to_owned()]) {
        Ok(loaded) => loaded,
        Err(error) => return vec![CERTIFICATES_ANCHOR.error(key, error.to_string())],
    };
    let mut findings = vec![CERTIFICATES_ANCHOR.ok(
        key,
        format!(
            "authorities in it that may issue to devices: {}",
            loaded.len()
        ),
    )];
    let judged = loaded
        .iter()
        .filter_map(|anchor| Facts::of(anchor.der()))
        .map(|facts| facts.judge(CERTIFICATES_EXPIRY, key, now_ms))
        .collect();
    findings.extend(soften(judged));
    findings
}

/// The revocation lists of a file.
fn revocation_lists(path: &Path, mode: RevocationMode, now_ms: i64) -> Vec<Finding> {
    match revocation::of_file(path, now_ms) {
        Ok(lists) => lists
            .iter()
            .map(|list| revocation_list(list, mode))
            .collect(),
        Err(error) => {
            vec![CERTIFICATES_REVOCATION.error("engine.device_policy.crls", error.to_string())]
        }
    }
}

/// One list: out of date it stops deliveries under its authority, or nobody notices any more who was revoked.
fn revocation_list(list: &ListStatus, mode: RevocationMode) -> Finding {
    let key = "engine.device_policy.crls";
    let said = format!(
        "{}: {}, from {} to {}, {} revoked",
        list.issuer,
        list.state.words(),
        list.this_update,
        list.next_update,
        list.revoked
    );
    let found = match (list.state, mode) {
        (ListState::Current, _) => CERTIFICATES_REVOCATION.ok(key, said),
        (ListState::EndsSoon, _) => CERTIFICATES_REVOCATION.warning(key, said),
        (ListState::Stale | ListState::NotYet, RevocationMode::Require) => CERTIFICATES_REVOCATION
            .error(
                key,
                format!("{said}: no device under this authority gets anything"),
            ),
        (ListState::Stale | ListState::NotYet, RevocationMode::Prefer) => CERTIFICATES_REVOCATION
            .warning(
                key,
                format!("{said}: devices that were revoked since are not noticed"),
            ),
    };
    found.facts(json!(list))
}

fn importer(configured: &crate::config::ImporterConfig) -> Finding {
    let key = format!("engine.importers ({})", configured.name);
    match importers::load(std::slice::from_ref(configured)) {
        Ok(loaded) => {
            let fingerprint = loaded.first().map_or("", |importer| importer.fingerprint());
            CERTIFICATES_IMPORTER
                .ok(key, format!("may sign records; fingerprint {fingerprint}"))
                .facts(json!({"name": configured.name, "fingerprint": fingerprint}))
        }
        Err(error) => CERTIFICATES_IMPORTER.error(key, error.to_string()),
    }
}

/// The custody key's public half, held against the pinned fingerprint as importing does.
fn custody_key(import: &ImportConfig) -> Finding {
    use std::io::Read;
    let key = "import.custody_public_key";
    let path = &import.custody_public_key;
    let mut bytes = Vec::new();
    let read = crate::config::open_file(path)
        .and_then(|file| file.take(MAX_KEY_BYTES).read_to_end(&mut bytes));
    if let Err(error) = read {
        return CERTIFICATES_CUSTODY
            .error(key, format!("{} cannot be read: {error}", path.display()))
            .remedy("`pfx-connector key export-public` writes it");
    }
    let pem = std::str::from_utf8(&bytes)
        .ok()
        .filter(|text| text.contains("-----BEGIN"));
    let parsed = match pem {
        Some(pem) => PublicKey::from_spki_pem(pem),
        None => PublicKey::from_rsa_public_blob(&bytes),
    };
    match parsed.and_then(|key| key.fingerprint()) {
        Err(error) => CERTIFICATES_CUSTODY
            .error(key, format!("{}: {error}", path.display()))
            .code(error.code())
            .remedy("`pfx-connector key export-public` writes it"),
        Ok(found) => {
            let pinned = import.custody_fingerprint.to_ascii_lowercase();
            if found.to_string() == pinned {
                CERTIFICATES_CUSTODY.ok(key, format!("is the pinned key {found}"))
            } else {
                CERTIFICATES_CUSTODY
                    .error(
                        key,
                        format!("is the key {found}, but `custody_fingerprint` names {pinned}"),
                    )
                    .code("custody_key_mismatch")
            }
        }
    }
}

/// A private key that signs. A file that others can read has been reported as such.
fn signing_key(key: &str, path: &Path) -> Option<Finding> {
    let found = match tls::private_key(path) {
        Err(TlsError::Secret(_)) => return None,
        Err(error) => CERTIFICATES_KEY.error(key, error.to_string()),
        Ok(PrivateKeyDer::Pkcs8(der)) => match SigningKey::from_pkcs8(der.secret_pkcs8_der()) {
            Ok(_) => CERTIFICATES_KEY.ok(key, format!("{}: can sign", path.display())),
            Err(error) => CERTIFICATES_KEY
                .error(key, format!("{}: {error}", path.display()))
                .code(error.code()),
        },
        Ok(_) => CERTIFICATES_KEY.error(
            key,
            format!("{}: not a PKCS#8 key (`BEGIN PRIVATE KEY`)", path.display()),
        ),
    };
    Some(match found.severity {
        Severity::Ok => found,
        _ => {
            found.remedy("`pfx-connector import signer` makes a key; an encrypted one is not read")
        }
    })
}

#[cfg(test)]
mod tests {
    #![allow(missing_docs)]
    use super::*;

    fn judged(days_left: i64) -> Severity {
        let now_ms = 1_800_000_000_000;
        let facts = Facts {
            subject: "CN=test".to_owned(),
            not_before_ms: now_ms - DAY_MS,
            not_after_ms: now_ms + days_left * DAY_MS,
        };
        facts.judge(CERTIFICATES_EXPIRY, "", now_ms).severity
    }

    #[test]
    fn the_nearer_the_end_the_worse() {
        for (days, severity) in [
            (365, Severity::Ok),
            (90, Severity::Ok),
            (89, Severity::Note),
            (30, Severity::Note),
            (29, Severity::Warning),
            (0, Severity::Warning),
            (-1, Severity::Error),
        ] {
            assert_eq!(judged(days), severity, "{days}");
        }
    }

    #[test]
    fn a_list_that_is_out_of_date_is_as_bad_as_the_mode_makes_it() {
        let list = |state| ListStatus {
            file: "list.pem".into(),
            issuer: "CN=test".to_owned(),
            this_update: String::new(),
            next_update: String::new(),
            revoked: 0,
            state,
            problem: None,
        };
        for (state, require, prefer) in [
            (ListState::Current, Severity::Ok, Severity::Ok),
            (ListState::EndsSoon, Severity::Warning, Severity::Warning),
            (ListState::Stale, Severity::Error, Severity::Warning),
            (ListState::NotYet, Severity::Error, Severity::Warning),
        ] {
            for (mode, severity) in [
                (RevocationMode::Require, require),
                (RevocationMode::Prefer, prefer),
            ] {
                assert_eq!(revocation_list(&list(state), mode).severity, severity);
            }
        }
    }

    #[test]
    fn one_authority_that_has_expired_is_no_error_beside_one_that_has_not() {
        let expired = CERTIFICATES_EXPIRY.error("", "");
        let fine = CERTIFICATES_EXPIRY.ok("", "");
        let worst = |judged: Vec<Finding>| soften(judged).iter().map(|found| found.severity).max();
        assert_eq!(worst(vec![expired.clone(), fine]), Some(Severity::Warning));
        assert_eq!(worst(vec![expired.clone(), expired]), Some(Severity::Error));
    }
}
