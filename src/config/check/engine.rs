//! `[engine]` and token sections.

use super::{Findings, PinPolicy, files};
use crate::config::{EngineConfig, EngineException, TokenSection};
use fips::claim::is_certificate_number;
use std::collections::BTreeSet;

/// Rules between keys.
pub(super) fn consistent(section: &EngineConfig, findings: &mut Findings) {
    files::socket(&section.socket, "engine.socket", findings);
    let excepted = |exception| section.exceptions.contains(&exception);
    if section.device_anchors.is_empty() && !excepted(EngineException::NoDeviceAnchors) {
        findings.add(
            "`engine.device_anchors` is empty: name the device CA's certificate, or the exception `no-device-anchors`",
        );
    }
    if section.importers.is_empty() && !excepted(EngineException::UnsignedRecords) {
        findings.add(
            "`engine.importers` is empty: name the importers' public keys, or the exception `unsigned-records`",
        );
    }
    if let Some(stated) = &section.token.fips_certificate
        && !is_certificate_number(stated)
    {
        findings.add(
            "`engine.token.fips_certificate` is no number of a CMVP certificate, such as \"4703\": leave it out where the token has none",
        );
    }
    let mut names = BTreeSet::new();
    for importer in &section.importers {
        if !names.insert(importer.name.as_str()) {
            findings.add(format!(
                "`engine.importers`: two are called `{}`",
                importer.name
            ));
        }
    }
    if section.restart.backoff_ms > section.restart.backoff_max_ms {
        findings.add("`engine.restart.backoff_ms` is larger than `engine.restart.backoff_max_ms`");
    }
}

/// The files of the section, its token's aside.
pub(super) fn files(section: &EngineConfig, findings: &mut Findings) {
    files::folder_of(&section.socket, "engine.socket", findings);
    for anchor in &section.device_anchors {
        files::readable(anchor, "engine.device_anchors", findings);
    }
    for importer in &section.importers {
        files::readable(
            &importer.public_key,
            "engine.importers.public_key",
            findings,
        );
    }
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
    files::readable(&section.module, &format!("{path}.module"), findings);
    if let Some(file) = &section.pin_file {
        files::secret(file, &format!("{path}.pin_file"), findings);
    }
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
