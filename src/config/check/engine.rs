//! `[engine]` and token sections.

use super::{Findings, PinPolicy, client_keys, engine_ca, files};
use crate::config::{EngineConfig, EngineException, FipsConfig, FipsMode, TokenSection, named};
use fips::claim::is_certificate_number;
use std::collections::{BTreeMap, BTreeSet};

/// Rules between keys.
pub(super) fn consistent(section: &EngineConfig, findings: &mut Findings) {
    files::socket(&section.socket, "engine.socket", findings);
    let excepted = |exception| section.exceptions.contains(&exception);
    if section.device_anchors.is_empty() && !excepted(EngineException::NoDeviceAnchors) {
        findings.add(
            "`engine.device_anchors` is empty: name the device CA's certificate, or the exception `no-device-anchors`",
        );
    }
    if section.device_policy.keys.is_empty() {
        findings.add("`engine.device_policy.keys` is empty: no device could be encrypted to");
    }
    if !section.device_policy.crls.is_empty() && excepted(EngineException::NoDeviceAnchors) {
        findings.add(
            "`engine.device_policy.crls` needs `engine.device_anchors`: under the exception `no-device-anchors` nobody knows whose revocation list counts",
        );
    }
    if section.importers.is_empty() && !excepted(EngineException::UnsignedRecords) {
        findings.add(
            "`engine.importers` is empty: name the importers' public keys, or the exception `unsigned-records`",
        );
    }
    audit(section, findings);
    engine_ca::consistent(section, findings);
    client_keys::consistent(section, findings);
    tokens(section, findings);
    let mut names = BTreeSet::new();
    for importer in &section.importers {
        if !names.insert(importer.name.as_str()) {
            findings.add(format!(
                "`engine.importers`: two are called `{}`",
                importer.name
            ));
        }
    }
    if let Some(key) = section
        .issuance
        .as_ref()
        .and_then(|issuance| issuance.custody_key.as_deref())
        && key.parse::<hsm::KeyFingerprint>().is_err()
    {
        findings.add(
            "`engine.issuance.custody_key` is no fingerprint: 64 lower-case hexadecimal digits, as `key list` shows them",
        );
    }
    if section.rotation.is_some() && section.importers.is_empty() {
        findings.add(
            "`engine.rotation` needs `engine.importers`: the public half of its signing key, and those of the importers whose records are re-encrypted",
        );
    }
    if let Some(approvals) = &section.approvals {
        if section.audit.is_none() {
            findings.add(
                "`engine.approvals` needs `engine.audit`: which approvals were used is known from the log alone",
            );
        }
        let approvers = approvals.approvers.len();
        if usize::try_from(approvals.required).map_or(true, |required| required > approvers) {
            findings.add(format!(
                "`engine.approvals.required` is {}, but there are {approvers} `approvers`: nothing could ever be approved",
                approvals.required
            ));
        }
    }
    if section.restart.backoff_ms > section.restart.backoff_max_ms {
        findings.add("`engine.restart.backoff_ms` is larger than `engine.restart.backoff_max_ms`");
    }
}

/// Custody keys that decrypt records of old imports.
pub(super) fn pkcs1_keys(section: &EngineConfig, fips: &FipsConfig, findings: &mut Findings) {
    if fips.mode == FipsMode::Strict && !section.pkcs1_keys.is_empty() {
        findings.add(
            "`engine.pkcs1_keys`: no key decrypts PKCS#1 v1.5 in strict FIPS mode, and no exception permits it: import the records again with an \
             OAEP padding, or have an engine of its own with `fips.mode = \"off\"` re-encrypt them (`key rotate`)",
        );
    }
    let mut fingerprints = BTreeSet::new();
    for key in &section.pkcs1_keys {
        if !fingerprints.insert(key.fingerprint) {
            findings.add(format!(
                "`engine.pkcs1_keys`: {} is there twice",
                key.fingerprint
            ));
        }
    }
}

/// Where uses of the key are recorded.
fn audit(section: &EngineConfig, findings: &mut Findings) {
    let excepted = section.exceptions.contains(&EngineException::NoReceipts);
    match &section.audit {
        None if !excepted => findings.add(
            "`engine.audit` is missing: name the folder and the key of the log in which every use of the key is recorded, or the exception `no-receipts`",
        ),
        Some(_) if excepted => findings.add(
            "`engine.audit` and the exception `no-receipts` are both given: only one of them can be meant",
        ),
        Some(audit) if audit.signing_key_file.is_some() == audit.signing_key.is_some() => {
            findings.add(
                "`engine.audit`: exactly one of `signing_key_file` and `signing_key` has to be given",
            );
        }
        _ => {}
    }
}

/// Most threads of all tokens together: they are in one process.
const MAX_THREADS: usize = 128;

/// What the tokens say of themselves and of each other.
pub(super) fn tokens(section: &EngineConfig, findings: &mut Findings) {
    let mut names = BTreeSet::new();
    let mut environment: BTreeMap<&str, &str> = BTreeMap::new();
    for (path, token) in section.token_paths() {
        if let Some(stated) = &token.fips_certificate
            && !is_certificate_number(stated)
        {
            findings.add(format!(
                "`{path}.fips_certificate` is no number of a CMVP certificate, such as \"4703\": leave it out where the token has none",
            ));
        }
        if let Some(name) = &token.name
            && !is_name(name)
        {
            findings.add(format!(
                "`{path}.name`: 1 to 32 letters, digits, `-`, `_` and `.`"
            ));
        }
        for (variable, value) in &token.environment {
            let before = environment.insert(variable, value);
            if before.is_some_and(|before| before != value) {
                findings.add(format!(
                    "`{path}.environment.{variable}` is another one for another token: all tokens are in one process, which has one environment"
                ));
            }
        }
    }
    for token in &section.tokens {
        match &token.name {
            None => findings.add(format!(
                "`engine.tokens`: the token `{}` has no `name`: each of several needs one",
                token.label
            )),
            Some(name) if !names.insert(name) => {
                findings.add(format!("`engine.tokens`: two are called `{name}`"));
            }
            Some(_) => {}
        }
    }
    if section.token.is_none() && section.tokens.is_empty() {
        findings.add("`engine.tokens` is empty: name the tokens, or the one in `engine.token`");
    }
    if section.tokens.len() > hsm::group::MAX_MEMBERS {
        findings.add(format!(
            "`engine.tokens` has {} tokens: {} at most",
            section.tokens.len(),
            hsm::group::MAX_MEMBERS
        ));
    }
    if section.token_threads() > MAX_THREADS {
        findings.add(format!(
            "`engine.tokens` have {} threads together: {MAX_THREADS} at most",
            section.token_threads()
        ));
    }
}

/// A name that stands in paths, requests and logs.
pub(super) fn is_name(name: &str) -> bool {
    (1..=32).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

/// A token section and its files.
pub(super) fn token(
    section: &TokenSection,
    path: &str,
    policy: PinPolicy,
    findings: &mut Findings,
) {
    pin(section, path, policy, findings);
    if let Some(parameters) = &section.init_parameters
        && let Err(error) = hsm::pkcs11::check_init_parameters(parameters)
    {
        findings.add(format!("`{path}.init_parameters`: {error}"));
    }
    files::all(&named::token(section, path), findings);
}

/// Where the PIN comes from.
pub(super) fn pin(section: &TokenSection, path: &str, policy: PinPolicy, findings: &mut Findings) {
    match (&section.pin_file, &section.pin_credential, policy) {
        (Some(_), Some(_), _) => findings.add(format!(
            "`{path}`: both `pin_file` and `pin_credential` are given; exactly one of them can be meant"
        )),
        (None, None, PinPolicy::Service) => findings.add(format!(
            "`{path}`: a service needs `pin_file` or `pin_credential`; only commands for people can ask for the PIN"
        )),
        _ => {}
    }
}
