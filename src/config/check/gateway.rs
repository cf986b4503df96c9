//! `[gateway]`.

use super::{Findings, connector};
use crate::config::{AuthorityKind, GatewayConfig, LocalCaConfig};

/// Rules between keys.
pub(super) fn consistent(
    section: &GatewayConfig,
    local: &[LocalCaConfig],
    findings: &mut Findings,
) {
    let Some(enrolment) = &section.enrolment else {
        return;
    };
    let ca = &enrolment.ca;
    connector::authority(ca, "gateway.enrolment.ca", findings);
    if ca.client_key.is_some() {
        findings.add(
            "`gateway.enrolment.ca.client_key`: the gateway has no engine; name a `private_key`",
        );
    }
    if ca.kind == AuthorityKind::Local && !local.iter().any(|own| own.name == ca.name) {
        findings.add(format!(
            "`gateway.enrolment.ca` {:?} is `local`, and there is no `[[local_ca]]` of this name",
            ca.name
        ));
    }
}
