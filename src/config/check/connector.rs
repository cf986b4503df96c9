//! `[connector]`.

use super::{Findings, files};
use crate::config::{AuthorityConfig, AuthorityKind, ConnectorConfig};

/// Rules between keys.
pub(super) fn consistent(section: &ConnectorConfig, findings: &mut Findings) {
    files::socket(&section.engine_socket, "connector.engine_socket", findings);
    files::socket(
        &section.control_socket,
        "connector.control_socket",
        findings,
    );
    if section.retry.base_ms > section.retry.max_ms {
        findings.add("`connector.retry.base_ms` is larger than `connector.retry.max_ms`");
    }
    match (&section.certificate, &section.private_key, &section.identity) {
        (Some(_), Some(_), None) | (None, None, Some(_)) => {}
        (None, None, None) => findings.add(
            "`connector.certificate` with `connector.private_key`, or `[connector.identity]`: that is who the connector is to the gateway",
        ),
        (_, _, Some(_)) => findings.add(
            "`[connector.identity]` and `connector.certificate` or `private_key`: only one of them can be meant",
        ),
        _ => findings.add("`connector.certificate` and `connector.private_key` come together"),
    }
    authorities(section, findings);
    if section.log.rotate_bytes > section.log.archives_max_bytes {
        findings.add(
            "`connector.log.rotate_bytes` is larger than `connector.log.archives_max_bytes`: no archive could be kept",
        );
    }
    if let Some(proxy) = &section.proxy
        && proxy.password_file.is_some()
        && proxy.username.is_none()
    {
        findings.add("`connector.proxy.password_file` is given without `username`");
    }
}

/// Certificates on request need authorities, and each what its kind needs.
fn authorities(section: &ConnectorConfig, findings: &mut Findings) {
    if section.pkcs.is_some() && section.ca.is_empty() {
        findings.add("`[connector.pkcs]` is there without a `[[connector.ca]]`: nobody issues");
    }
    if section.pkcs.is_none() && section.revocation.is_none() && !section.ca.is_empty() {
        findings.add(
            "`[[connector.ca]]` is there without `[connector.pkcs]`: nothing is ever asked for; add it with its issuance policy, or `[connector.revocation]` where it is to revoke alone",
        );
    }
    if section.revocation.is_some() && section.ca.is_empty() {
        findings
            .add("`[connector.revocation]` is there without a `[[connector.ca]]`: nobody revokes");
    }
    for (place, ca) in section.ca.iter().enumerate() {
        let earlier = section.ca.get(..place).unwrap_or_default();
        if earlier.iter().any(|other| other.name == ca.name) {
            findings.add(format!(
                "`connector.ca`: two authorities have the name {:?}",
                ca.name
            ));
        }
        authority(ca, "connector.ca", findings);
    }
}

/// One authority needs what its kind needs. `path`: where it is configured.
pub(super) fn authority(ca: &AuthorityConfig, path: &str, findings: &mut Findings) {
    let mut add = |what: &str| findings.add(format!("`{path}` {:?}: {what}", ca.name));
    if ca.pause_ms > ca.longest_pause_ms {
        add("`pause_ms` is larger than `longest_pause_ms`");
    }
    if ca.client_key.is_some() {
        if !matches!(ca.kind, AuthorityKind::Est | AuthorityKind::Adcs) {
            add(
                "`client_key` is for `est` and `adcs`: its key signs TLS handshakes and nothing else",
            );
        }
        if ca.certificate.is_none() || ca.private_key.is_some() {
            add("`client_key` comes with `certificate`, and without `private_key`");
        }
    }
    if !ca.revoke_command.is_empty() && ca.kind != AuthorityKind::Adcs {
        add("`revoke_command` is for `adcs` alone");
    }
    match ca.kind {
        AuthorityKind::Cmp => cmp(ca, &mut add),
        AuthorityKind::Est | AuthorityKind::Adcs => over_https(ca, &mut add),
        // `[[local_ca]]` and the engine say what it needs, and that it is on this host.
        AuthorityKind::Local => {}
    }
}

fn cmp(ca: &AuthorityConfig, add: &mut impl FnMut(&str)) {
    match &ca.url {
        None => add("`url` is missing: where the authority listens"),
        Some(url) if url.starts_with("https://") && ca.server_ca.is_none() => {
            add(
                "`server_ca` is missing: whose certificate the server of an https address may have",
            );
        }
        Some(_) => {}
    }
    if ca.certificate.is_some() != ca.private_key.is_some() {
        add("`certificate` and `private_key` come together");
    }
    if ca.reference.is_some() != ca.secret_file.is_some() {
        add("`reference` and `secret_file` come together");
    }
    if ca.certificate.is_some() == ca.secret_file.is_some() {
        add(
            "either `certificate` with `private_key`, or `reference` with `secret_file`: that is who the connector is to the authority",
        );
    }
}

fn over_https(ca: &AuthorityConfig, add: &mut impl FnMut(&str)) {
    if ca.url.is_none() {
        add("`url` is missing: where the authority listens");
    }
    if ca.server_ca.is_none() {
        add("`server_ca` is missing: whose certificate its server may have");
    }
    if ca.client_key.is_none() && ca.certificate.is_some() != ca.private_key.is_some() {
        add("`certificate` and `private_key` come together");
    }
    if ca.username.is_some() != ca.password_file.is_some() {
        add("`username` and `password_file` come together");
    }
    if ca.certificate.is_none() && ca.username.is_none() {
        add(
            "`certificate` with `private_key` or `client_key`, or `username` with `password_file`: that is who the connector is to the authority",
        );
    }
}
