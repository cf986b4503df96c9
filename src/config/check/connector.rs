//! `[connector]`.

use super::{Findings, files};
use crate::config::ConnectorConfig;

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
