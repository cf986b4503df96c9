//! `[[local_ca]]`: what an authority whose key the engine has remembers and publishes, for `ca` and for connectors that issue by it.

use serde::Deserialize;
use std::net::SocketAddr;
use std::path::PathBuf;

/// `[[local_ca]]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LocalCaConfig {
    /// Its name: the one of `[[engine.ca]]`.
    pub name: String,
    /// The engine's socket.
    pub engine_socket: PathBuf,
    /// PEM file with its certificate, and those above it.
    pub certificate: PathBuf,
    /// The folder of its store.
    pub folder: PathBuf,
    /// The folder that lists are published to.
    pub publish: Option<PathBuf>,
    /// Where `ca serve` answers.
    pub listen: Option<SocketAddr>,
    /// The profile of orders that name none.
    pub profile: Option<String>,
}
