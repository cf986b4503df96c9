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
    by_issuer: Issuers,
    /// SHA-256 of each issuer's Name, hexadecimal.
    digests: Vec<String>,
}

/// Names of authorities by the issuer's Name (DER).
#[derive(Debug, Default)]
struct Issuers(BTreeMap<Vec<u8>, Vec<String>>);

impl Issuers {
    fn add(&mut self, issuer: Vec<u8>, authority: &str) {
        let names = self.0.entry(issuer).or_default();
        if !names.iter().any(|known| known == authority) {
            names.push(authority.to_owned());
        }
    }

    fn choose(&self, issuer: &[u8], named: Option<&str>) -> Result<&str, NoRoute> {
        let names = self.0.get(issuer).ok_or(NoRoute::Unknown)?;
        match names.as_slice() {
            [only] => Ok(only),
            several => several
                .iter()
                .map(String::as_str)
                .find(|name| named == Some(*name))
                .ok_or_else(|| NoRoute::Several(several.join(", "))),
        }
    }
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
        let mut by_issuer = Issuers::default();
        for ca in &config.ca {
            for issuer in issuers(ca, local)? {
                by_issuer.add(issuer, &ca.name);
            }
        }
        if by_issuer.0.len() > MAX_ISSUERS {
            return Err(StartError::Setting {
                key: "ca",
                problem: format!(
                    "the authorities issue under {} names, {MAX_ISSUERS} at most: name the issuing certificates with `issuers`",
                    by_issuer.0.len()
                ),
            });
        }
        let digests: Vec<String> = by_issuer.0.keys().map(|name| issuer_digest(name)).collect();
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
        let chosen = self.by_issuer.choose(issuer, named)?;
        self.issuance.authority(chosen).ok_or(NoRoute::Unknown)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;

    #[test]
    fn the_issuer_decides_and_among_several_the_name() {
        let mut issuers = Issuers::default();
        issuers.add(b"A".to_vec(), "one");
        issuers.add(b"A".to_vec(), "one");
        issuers.add(b"B".to_vec(), "one");
        issuers.add(b"B".to_vec(), "two");
        assert_eq!(issuers.choose(b"A", None), Ok("one"));
        // What the gateway says does not move a certificate to an authority that did not issue it.
        assert_eq!(issuers.choose(b"A", Some("two")), Ok("one"));
        assert_eq!(issuers.choose(b"B", Some("two")), Ok("two"));
        for named in [None, Some("three")] {
            let several = NoRoute::Several("one, two".to_owned());
            assert_eq!(issuers.choose(b"B", named), Err(several));
        }
        assert_eq!(issuers.choose(b"C", Some("one")), Err(NoRoute::Unknown));
    }
}
