//! The configuration file (TOML): one file, a section for each process; unknown keys are refused with the nearest valid one.
//!
//! Secrets are never in it: it names files and systemd credentials that hold them.

mod check;
mod client_keys;
mod connector;
mod connector_ca;
mod device_policy;
mod document;
mod engine;
mod engine_ca;
mod error;
mod example;
mod fips;
mod gateway;
mod identity;
mod import;
mod load;
mod local_ca;
mod named;
mod pkcs1;
mod redacted;
mod schema;
pub mod secret_file;
#[cfg(test)]
mod tests;
mod validate;

pub use self::fips::{FipsConfig, FipsException, FipsMode};
pub use check::{Checked, PinPolicy};
pub use client_keys::ClientKeyConfig;
pub use connector::{ConnectorConfig, LogConfig, LogForm, ProxyConfig, RetryConfig};
pub use connector_ca::{
    AuthorityConfig, AuthorityKind, AuthorityMac, PkcsConfig, RevocationConfig, WhenUnknown,
};
pub use device_policy::{DeviceKeyKind, DevicePolicyConfig, RevocationMode};
pub use document::page;
pub use engine::{
    ApprovalsConfig, AuditConfig, CheckPassword, EngineConfig, EngineException, ImporterConfig,
    IssuanceConfig, OracleConfig, PfxConfig, PfxForm, ReleaseOnGrid, RestartConfig, RotationConfig,
    TokenSection, UserInCertificate,
};
pub use engine_ca::{CaConfig, CaKey, CaName, CaProfileConfig, CaPurpose, CaSubject};
pub use error::{ConfigError, Problem};
pub use example::example;
pub use gateway::{
    EnrolmentConfig, GatewayConfig, GatewayLimits, RetentionConfig, RevocationBrake,
};
pub use identity::IdentityConfig;
pub use import::ImportConfig;
pub use load::{load, load_redacted, parse};
pub use local_ca::LocalCaConfig;
pub use named::{NamedPath, Purpose, open_file};
pub use pkcs1::{LastDay, NoDate, Pkcs1KeyConfig};

use serde::Deserialize;
use std::path::PathBuf;

impl Config {
    /// Puts the configured FIPS mode in force in this process and starts the module: once, before anything is done with it.
    ///
    /// # Errors
    /// Those of [`::fips::start`].
    pub fn start_module(&self) -> Result<&'static ::fips::Module, ::fips::Error> {
        ::fips::start(self.fips.policy())
    }
}

/// A whole configuration file.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The file that it was read from, for messages.
    #[serde(skip)]
    pub file: PathBuf,
    /// For every process.
    #[serde(default)]
    pub fips: FipsConfig,
    /// For `engine`, `key` and `recrypt`.
    pub engine: Option<EngineConfig>,
    /// For `run`, `status` and `events`.
    pub connector: Option<ConnectorConfig>,
    /// For `gateway`.
    pub gateway: Option<GatewayConfig>,
    /// For `import`.
    pub import: Option<ImportConfig>,
    /// For `ca`.
    #[serde(default)]
    pub local_ca: Vec<LocalCaConfig>,
}
