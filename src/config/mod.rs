//! The configuration file (TOML): one file, a section for each process; unknown keys are refused with the nearest valid one.
//!
//! Secrets are never in it: it names files and systemd credentials that hold them.

mod check;
mod connector;
mod document;
mod engine;
mod error;
mod example;
mod gateway;
mod import;
mod load;
mod schema;
pub mod secret_file;
#[cfg(test)]
mod tests;
mod validate;

pub use check::{Checked, PinPolicy};
pub use connector::{ConnectorConfig, LogConfig, LogForm, ProxyConfig, RetryConfig};
pub use document::page;
pub use engine::{EngineConfig, EngineException, ImporterConfig, RestartConfig, TokenSection};
pub use error::{ConfigError, Problem};
pub use example::example;
pub use gateway::{GatewayConfig, GatewayLimits, RetentionConfig};
pub use import::ImportConfig;
pub use load::load;

use serde::Deserialize;
use std::path::PathBuf;

/// A whole configuration file.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The file that it was read from, for messages.
    #[serde(skip)]
    pub file: PathBuf,
    /// For `engine`, `key` and `recrypt`.
    pub engine: Option<EngineConfig>,
    /// For `run`, `status` and `events`.
    pub connector: Option<ConnectorConfig>,
    /// For `gateway`.
    pub gateway: Option<GatewayConfig>,
    /// For `import`.
    pub import: Option<ImportConfig>,
}
