//! What was done to come through a token's trouble, in a report.

use serde::{Deserialize, Serialize};

/// What custody did by itself with one token, and by what it judged failures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HealingStatus {
    /// Generation of the key handles: grows each time they were looked up again.
    pub handles: u64,
    /// Sessions opened again because of the token's trouble.
    pub reconnects: u64,
    /// Sessions exchanged because a bad input had left them stuck.
    pub sessions_replaced: u64,
    /// Logins that were needed.
    pub logins: u64,
    /// Generation of the library's state: 1 at first, counted up by each further C_Initialize.
    pub module: u64,
    /// Known ciphertexts decrypted to judge a failure.
    pub canaries: u64,
    /// Failures that were judged by a known ciphertext that another one had asked for.
    pub canaries_shared: u64,
    /// The PIN is kept in locked memory, because its source cannot be read again.
    pub pin_kept: bool,
}

impl From<&hsm::Health> for HealingStatus {
    fn from(health: &hsm::Health) -> Self {
        Self {
            handles: health.generation,
            reconnects: health.reconnects,
            sessions_replaced: health.sessions_replaced,
            logins: health.logins,
            module: health.module_generation,
            canaries: health.canaries_run,
            canaries_shared: health.canaries_shared,
            pin_kept: health.pin_kept,
        }
    }
}
