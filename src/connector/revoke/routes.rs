//! Which authority revokes what: by the issuer's Name, octet by octet, as the configuration says it.

use crate::ca::{self as authorities, AuthorityError};
use crate::config::{AuthorityConfig, AuthorityKind, ConnectorConfig, LocalCaConfig};
use crate::connector::error::StartError;
use crate::connector::pkcs::{Authority, Issuance};
use crate::gateway::revocation_api::MAX_ISSUERS;
use crate::gateway::store::issuer_digest;
use der::{Decode, Encode};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use x509_cert::Certificate;

/// The authorities by what they issue under.
#[derive(Debug)]
pub(in crate::connector) struct Revoker {
    issuance: Arc<Issuance>,
    /// Names of authorities by the issuer's Name (DER).
    by_issuer: BTreeMap<Vec<u8>, Vec<String>>,
    /// SHA-256 of each issuer's Name, hexadecimal.
    digests: Vec<String>,
}

/// Why nobody revokes a certificate.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoRoute {
    /// No authority issues under this name.
    Unknown,
    /// Several do, and the request names none of them.
    Several(String),
}

fn file_error(path: &Path, problem: &str) -> StartError {
    StartError::File {
        path: path.to_owned(),
        problem: problem.to_owned(),
    }
}

/// The Names (DER) that an authority issues under.
fn issuers(ca: &AuthorityConfig, local: &[LocalCaConfig]) -> Result<Vec<Vec<u8>>, StartError> {
    let own = local
        .iter()
        .find(|own| ca.kind == AuthorityKind::Local && own.name == ca.name);
    let path = match (&ca.issuers, own, &ca.intermediates) {
        (Some(path), _, _) => path,
        (None, Some(own), _) => &own.certificate,
        (None, None, Some(path)) => path,
        (None, None, None) => &ca.roots,
    };
    let mut certificates = authorities::certificates(path).map_err(|error| match error {
        AuthorityError::File { path, problem } => StartError::File { path, problem },
        other => StartError::Setting {
            key: "ca",
            problem: other.to_string(),
        },
    })?;
    // Above an authority on the token there may be others in its file.
    if ca.issuers.is_none() && own.is_some() {
        certificates.truncate(1);
    }
    certificates
        .iter()
        .map(|der| {
            Certificate::from_der(der)
                .and_then(|certificate| certificate.tbs_certificate().subject().to_der())
                .map_err(|_| file_error(path, "a certificate in it cannot be read"))
        })
        .collect()
}

impl Revoker {
    /// Of a configuration; `None` where no authority is known by a certificate.
    ///
    /// # Errors
    /// [`StartError`] naming the file that cannot be used.
    pub(in crate::connector) fn new(
        config: &ConnectorConfig,
        local: &[LocalCaConfig],
        issuance: Arc<Issuance>,
    ) -> Result<Option<Self>, StartError> {
        let mut by_issuer: BTreeMap<Vec<u8>, Vec<String>> = BTreeMap::new();
        for ca in &config.ca {
            for issuer in issuers(ca, local)? {
                let names = by_issuer.entry(issuer).or_default();
                if !names.contains(&ca.name) {
                    names.push(ca.name.clone());
                }
            }
        }
        if by_issuer.len() > MAX_ISSUERS {
            return Err(StartError::Setting {
                key: "ca",
                problem: format!(
                    "the authorities issue under {} names, {MAX_ISSUERS} at most: name the issuing certificates with `issuers`",
                    by_issuer.len()
                ),
            });
        }
        let digests: Vec<String> = by_issuer.keys().map(|name| issuer_digest(name)).collect();
        Ok((!digests.is_empty()).then_some(Self {
            issuance,
            by_issuer,
            digests,
        }))
    }

    /// SHA-256 of the issuers' Names.
    pub(super) fn digests(&self) -> &[String] {
        &self.digests
    }

    /// The authority that revokes what was issued under a name; among several the one that is named.
    pub(super) fn authority(
        &self,
        issuer: &[u8],
        named: Option<&str>,
    ) -> Result<&Authority, NoRoute> {
        let names = self.by_issuer.get(issuer).ok_or(NoRoute::Unknown)?;
        let chosen = match (names.as_slice(), named) {
            ([only], _) => only,
            (several, named) => several
                .iter()
                .find(|name| named == Some(name.as_str()))
                .ok_or_else(|| NoRoute::Several(several.join(", ")))?,
        };
        self.issuance.authority(chosen).ok_or(NoRoute::Unknown)
    }
}
