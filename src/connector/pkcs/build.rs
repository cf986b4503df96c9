//! What the connector needs to have certificates issued, from its configuration.

use super::authority::{Authority, Terms};
use crate::ca::{self as authorities, AuthorityError, AuthorityState};
use crate::config::{AuthorityConfig, ConnectorConfig, LocalCaConfig};
use crate::connector::error::StartError;
use crate::gateway::pkcs_api::MAX_AUTHORITIES;
use crate::issuance::IssuancePolicy;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

/// The policy, the authorities, and how much at once.
#[derive(Debug)]
pub(in crate::connector) struct Issuance {
    policy: RwLock<Arc<IssuancePolicy>>,
    authorities: BTreeMap<String, Authority>,
    concurrency: usize,
}

fn start_error(error: AuthorityError) -> StartError {
    match error {
        AuthorityError::File { path, problem } => StartError::File { path, problem },
        AuthorityError::Unusable(problem) => StartError::Setting { key: "ca", problem },
        AuthorityError::Module(problem) => StartError::Module(problem),
    }
}

/// The policy of a configuration, where it has one.
///
/// # Errors
/// [`StartError`] when it is none.
pub(in crate::connector) fn policy(
    config: &ConnectorConfig,
) -> Result<Option<IssuancePolicy>, StartError> {
    let Some(pkcs) = &config.pkcs else {
        return Ok(None);
    };
    IssuancePolicy::load(&pkcs.policy)
        .map(Some)
        .map_err(|error| StartError::Setting {
            key: "pkcs.policy",
            problem: error.to_string(),
        })
}

fn authority(
    config: &AuthorityConfig,
    local: &[LocalCaConfig],
    engine: &Path,
) -> Result<Authority, AuthorityError> {
    let hours = |hours: u32| Duration::from_secs(u64::from(hours) * 3600);
    let terms = Terms {
        roots: authorities::certificates(&config.roots)?,
        intermediates: match &config.intermediates {
            Some(path) => authorities::certificates(path)?,
            None => Vec::new(),
        },
        when_unknown: config.when_unknown,
        pending: hours(config.pending_hours),
        patience: hours(config.patience_hours),
        pauses: (
            Duration::from_millis(config.pause_ms),
            Duration::from_millis(config.longest_pause_ms),
        ),
    };
    let concurrency = usize::try_from(config.concurrency).unwrap_or(1);
    Ok(Authority::new(
        authorities::build(config, local, Some(engine))?,
        config.kind,
        terms,
        concurrency,
    ))
}

impl Issuance {
    /// Of a configuration; `None` where it has no authority.
    ///
    /// # Errors
    /// [`StartError`] naming what cannot be used.
    pub(in crate::connector) fn new(
        config: &ConnectorConfig,
        local: &[LocalCaConfig],
    ) -> Result<Option<Self>, StartError> {
        if config.ca.is_empty() {
            return Ok(None);
        }
        // One that only revokes allows nothing to be issued, and does not ask for it.
        let policy = policy(config)?.unwrap_or_default();
        let at_once = config.pkcs.as_ref().map_or(1, |pkcs| pkcs.concurrency);
        if config.ca.len() > MAX_AUTHORITIES {
            return Err(StartError::Setting {
                key: "ca",
                problem: format!("{} authorities, {MAX_AUTHORITIES} at most", config.ca.len()),
            });
        }
        let mut authorities = BTreeMap::new();
        for ca in &config.ca {
            authorities.insert(
                ca.name.clone(),
                authority(ca, local, &config.engine_socket).map_err(start_error)?,
            );
        }
        Ok(Some(Self {
            policy: RwLock::new(Arc::new(policy)),
            authorities,
            concurrency: usize::try_from(at_once.max(1)).unwrap_or(1),
        }))
    }

    /// The policy in force.
    pub(super) fn policy(&self) -> Arc<IssuancePolicy> {
        Arc::clone(&self.policy.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Another policy is in force from now on; what is under way at an authority goes on.
    pub(in crate::connector) fn replace_policy(&self, policy: IssuancePolicy) {
        *self.policy.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(policy);
    }

    /// The authority of a name.
    pub(in crate::connector) fn authority(&self, name: &str) -> Option<&Authority> {
        self.authorities.get(name)
    }

    /// Every authority, by its name.
    pub(super) fn authorities(&self) -> impl Iterator<Item = (&str, &Authority)> {
        let all = self.authorities.iter();
        all.map(|(name, authority)| (name.as_str(), authority))
    }

    /// How the authorities fare.
    pub(in crate::connector) fn states(&self) -> Vec<AuthorityState> {
        self.authorities.values().map(Authority::state).collect()
    }

    /// The names of the authorities.
    pub(super) fn names(&self) -> Vec<&str> {
        self.authorities.keys().map(String::as_str).collect()
    }

    /// Requests in hand at once.
    pub(super) fn concurrency(&self) -> usize {
        self.concurrency
    }
}
