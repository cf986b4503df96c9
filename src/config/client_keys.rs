//! `[[engine.client_keys]]`: keys on the token with which connectors show who they are.

use serde::Deserialize;

/// `[[engine.client_keys]]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientKeyConfig {
    /// Its name in requests, receipts and the connector's configuration.
    pub name: String,
    /// Label of the key on the token.
    pub signing_key: String,
    /// The common name of the certificates that are asked for with it.
    pub common_name: String,
    /// The users that may have it sign; without any, all whom the engine serves.
    #[serde(default)]
    pub uids: Vec<u32>,
    /// Signatures in a minute at most.
    #[serde(default = "default_per_minute")]
    pub per_minute: u32,
}

fn default_per_minute() -> u32 {
    120
}
