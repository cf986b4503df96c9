//! The ends in the files of each section. A file that cannot be read has no ends here: who needs it refuses it, and `doctor` says why.

use super::{Dated, Effect, Kind};
use crate::config::{AuthorityConfig, ConnectorConfig, GatewayConfig, ImportConfig, LocalCaConfig};
use crate::tls;
use std::path::Path;

/// How the certificates of a file hang together.
#[derive(Clone, Copy)]
enum Together {
    Chain,
    Anchors,
}

fn file(kind: Kind, key: &str, path: &Path, together: Together, effect: Effect) -> Vec<Dated> {
    let certificates = match tls::certificates(path) {
        Ok(certificates) => certificates,
        Err(error) => {
            tracing::debug!(key, "no end is known: {error}");
            return Vec::new();
        }
    };
    let ders = certificates.iter().map(AsRef::as_ref);
    match together {
        Together::Chain => Dated::chain(kind, key, ders, effect),
        Together::Anchors => Dated::anchors(kind, key, ders, effect),
    }
}

/// What `[connector]` names: its own certificate, whom it trusts, and the files of its authorities.
#[must_use]
pub fn connector(config: &ConnectorConfig, local: &[LocalCaConfig]) -> Vec<Dated> {
    let mut dated = Vec::new();
    if let Some(certificate) = &config.certificate {
        dated.extend(file(
            Kind::ConnectorCertificate,
            "connector.certificate",
            certificate,
            Together::Chain,
            Effect::Stops,
        ));
    }
    // A running connector replaces it whenever it renews it.
    if let Some(identity) = &config.identity {
        let certificate = identity.certificate();
        dated.extend(file(
            Kind::ConnectorCertificate,
            "connector.identity",
            &certificate,
            Together::Chain,
            Effect::Stops,
        ));
    }
    dated.extend(file(
        Kind::GatewayCa,
        "connector.gateway_ca",
        &config.gateway_ca,
        Together::Anchors,
        Effect::Stops,
    ));
    for authority in &config.ca {
        dated.extend(authority_files(
            &format!("connector.ca.{}", authority.name),
            authority,
        ));
    }
    for own in local {
        dated.extend(local_ca(own));
    }
    dated
}

/// The files of one authority, under this key.
#[must_use]
pub fn authority_files(key: &str, config: &AuthorityConfig) -> Vec<Dated> {
    use Together::{Anchors, Chain};
    let files = [
        (Kind::AuthorityRoot, "roots", Some(&config.roots), Anchors),
        (
            Kind::AuthorityIntermediate,
            "intermediates",
            config.intermediates.as_ref(),
            Anchors,
        ),
        (
            Kind::AuthorityServerCa,
            "server_ca",
            config.server_ca.as_ref(),
            Anchors,
        ),
        (
            Kind::AuthoritySigner,
            "signers",
            config.signers.as_ref(),
            Anchors,
        ),
        (
            Kind::AuthorityCredential,
            "certificate",
            config.certificate.as_ref(),
            Chain,
        ),
    ];
    files
        .into_iter()
        .filter_map(|(kind, name, path, together)| {
            Some(file(
                kind,
                &format!("{key}.{name}"),
                path?,
                together,
                Effect::Weakens,
            ))
        })
        .flatten()
        .collect()
}

/// The certificate of an authority whose key is on the token, and those above it.
#[must_use]
pub fn local_ca(config: &LocalCaConfig) -> Vec<Dated> {
    file(
        Kind::LocalCa,
        &format!("local_ca.{}.certificate", config.name),
        &config.certificate,
        Together::Chain,
        Effect::Weakens,
    )
}

/// What `[gateway]` names.
#[must_use]
pub fn gateway(config: &GatewayConfig) -> Vec<Dated> {
    let mut dated = file(
        Kind::GatewayCertificate,
        "gateway.certificate",
        &config.certificate,
        Together::Chain,
        Effect::Stops,
    );
    dated.extend(file(
        Kind::ConnectorCa,
        "gateway.connector_ca",
        &config.connector_ca,
        Together::Anchors,
        Effect::Stops,
    ));
    if let Some(enrolment) = &config.enrolment {
        dated.extend(authority_files("gateway.enrolment.ca", &enrolment.ca));
    }
    dated
}

/// What `[import]` names.
#[must_use]
pub fn import(config: &ImportConfig) -> Vec<Dated> {
    file(
        Kind::GatewayCa,
        "import.gateway_ca",
        &config.gateway_ca,
        Together::Anchors,
        Effect::Weakens,
    )
}
