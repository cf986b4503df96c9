//! The configuration file (TOML): one file, a section for each process; unknown keys are refused with the nearest valid one.
//!
//! Secrets are never in it: it names files and systemd credentials that hold them.

mod connector;
mod engine;
mod gateway;
mod import;

pub use connector::{ConnectorConfig, LogConfig, LogForm, ProxyConfig, RetryConfig};
pub use engine::{EngineConfig, EngineException, ImporterConfig, RestartConfig, TokenSection};
pub use gateway::{GatewayConfig, RetentionConfig};
pub use import::ImportConfig;

use serde::Deserialize;

/// A whole configuration file.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// For `engine`, `key` and `recrypt`.
    pub engine: Option<EngineConfig>,
    /// For `run`, `status` and `events`.
    pub connector: Option<ConnectorConfig>,
    /// For `gateway`.
    pub gateway: Option<GatewayConfig>,
    /// For `import`.
    pub import: Option<ImportConfig>,
}
