//! `[connector]`: the service, the engine, the journal, logs and how hard to try.

use super::{AuthorityConfig, IdentityConfig, PkcsConfig, RevocationConfig};
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::PathBuf;

/// `[connector]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConnectorConfig {
    /// Name of this instance, unique among the connectors of one gateway.
    pub instance: String,
    /// The gateway's base URL (`https://...`).
    pub gateway: String,
    /// PEM file with the certificates that the gateway's certificate must chain to.
    pub gateway_ca: PathBuf,
    /// PEM file with this connector's certificate chain, where it does not enrol for one.
    pub certificate: Option<PathBuf>,
    /// PEM file with its private key (PKCS#8); only its owner may read it.
    pub private_key: Option<PathBuf>,
    /// A certificate that it enrols for and renews by itself.
    pub identity: Option<IdentityConfig>,
    /// The engine's unix socket.
    pub engine_socket: PathBuf,
    /// The journal (SQLite).
    pub journal: PathBuf,
    /// The journal's size limit in bytes; work is refused rather than the disk filled.
    #[serde(default = "default_journal_bytes")]
    pub journal_max_bytes: u64,
    /// How long finished requests are remembered, in hours, so that they are never done again.
    #[serde(default = "default_remember_hours")]
    pub remember_finished_hours: u32,
    /// The unix socket for `status` and `events`.
    pub control_socket: PathBuf,
    /// Loopback address for `/healthz` and `/metrics`; none when left out.
    pub metrics_listen: Option<SocketAddr>,
    /// Requests in flight at once.
    #[serde(default = "default_concurrency")]
    pub concurrency: u32,
    /// How long the gateway may hold a poll while there is no work, in milliseconds; 0: it cannot, poll every `poll_ms` instead.
    #[serde(default = "default_wait_ms")]
    pub wait_ms: u64,
    /// Pause between polls where the service has no long poll, in milliseconds.
    #[serde(default = "default_poll_ms")]
    pub poll_ms: u64,
    /// Deadline of one request to the gateway beyond the long poll, in milliseconds.
    #[serde(default = "default_http_timeout_ms")]
    pub http_timeout_ms: u64,
    /// Deadline of one request to the engine, in milliseconds.
    #[serde(default = "default_engine_timeout_ms")]
    pub engine_timeout_ms: u64,
    /// How long a stop waits for what is in flight, in milliseconds.
    #[serde(default = "default_drain_ms")]
    pub drain_ms: u64,
    /// How hard to try.
    #[serde(default)]
    pub retry: RetryConfig,
    /// An explicit proxy; the environment's proxy variables are not read.
    pub proxy: Option<ProxyConfig>,
    /// The event log.
    pub log: LogConfig,
    /// Certificates on request; none when left out.
    pub pkcs: Option<PkcsConfig>,
    /// Revocation, where it is not as usual.
    pub revocation: Option<RevocationConfig>,
    /// The authorities that issue and revoke.
    #[serde(default)]
    pub ca: Vec<AuthorityConfig>,
}

impl ConnectorConfig {
    /// How it revokes; `None` without an authority.
    #[must_use]
    pub fn revoking(&self) -> Option<RevocationConfig> {
        (!self.ca.is_empty()).then(|| self.revocation.unwrap_or_default())
    }
}

fn default_journal_bytes() -> u64 {
    256 * 1024 * 1024
}
fn default_remember_hours() -> u32 {
    24 * 30
}
fn default_concurrency() -> u32 {
    16
}
fn default_wait_ms() -> u64 {
    25_000
}
fn default_poll_ms() -> u64 {
    30_000
}
fn default_http_timeout_ms() -> u64 {
    30_000
}
fn default_engine_timeout_ms() -> u64 {
    30_000
}
fn default_drain_ms() -> u64 {
    30_000
}

/// `[connector.retry]`: pauses double from `base_ms` to `max_ms`, each shortened by a random part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetryConfig {
    /// First pause in milliseconds.
    pub base_ms: u64,
    /// Longest pause in milliseconds.
    pub max_ms: u64,
    /// Attempts at one request that failed while engine and token were well, counted over restarts, before it is parked with a final failure.
    pub max_attempts: u32,
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self {
            base_ms: 200,
            max_ms: 30_000,
            max_attempts: 8,
        }
    }
}

/// `[connector.proxy]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProxyConfig {
    /// `http://host:port` or `https://host:port`.
    pub url: String,
    /// User name, when the proxy wants one.
    pub username: Option<String>,
    /// File with the password; only its owner may read it.
    pub password_file: Option<PathBuf>,
}

/// `[connector.log]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogConfig {
    /// Folder of the logs.
    pub directory: PathBuf,
    /// How events are printed to standard error besides.
    #[serde(default)]
    pub console: LogForm,
    /// A log file is archived when it reaches this size in bytes.
    #[serde(default = "default_rotate_bytes")]
    pub rotate_bytes: u64,
    /// All archives together stay below this size in bytes; the oldest go first, with an event.
    #[serde(default = "default_archives_bytes")]
    pub archives_max_bytes: u64,
    /// Whether the Debug log is written.
    #[serde(default)]
    pub debug: bool,
}

fn default_rotate_bytes() -> u64 {
    50 * 1024 * 1024
}
fn default_archives_bytes() -> u64 {
    1024 * 1024 * 1024
}

/// How events are printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum LogForm {
    /// A line for people.
    #[default]
    Human,
    /// One JSON object a line, as in the files.
    Json,
    /// Not at all.
    Off,
}
