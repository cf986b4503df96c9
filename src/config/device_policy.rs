//! `[engine.device_policy]`: what device certificates are asked for besides a path to an anchor.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// `[engine.device_policy]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DevicePolicyConfig {
    /// Smallest RSA key, in bits.
    pub minimum_rsa_bits: usize,
    /// Kinds of key that are encrypted to.
    pub keys: Vec<DeviceKeyKind>,
    /// Whether a certificate must say what its key is for.
    pub require_key_usage: bool,
    /// Files with the authorities' revocation lists.
    pub crls: Vec<PathBuf>,
    /// What is done where none of them says anything.
    pub revocation: RevocationMode,
}

impl Default for DevicePolicyConfig {
    fn default() -> Self {
        Self {
            minimum_rsa_bits: 2048,
            keys: DeviceKeyKind::ALL.to_vec(),
            require_key_usage: false,
            crls: Vec::new(),
            revocation: RevocationMode::Require,
        }
    }
}

/// A kind of device key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeviceKeyKind {
    /// RSA.
    Rsa,
    /// EC on P-256.
    #[serde(rename = "ec-p256")]
    EcP256,
    /// EC on P-384.
    #[serde(rename = "ec-p384")]
    EcP384,
    /// EC on P-521.
    #[serde(rename = "ec-p521")]
    EcP521,
}

impl DeviceKeyKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Rsa, Self::EcP256, Self::EcP384, Self::EcP521];
}

/// What is done where no current revocation list says anything about a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RevocationMode {
    /// It is refused.
    Require,
    /// It is accepted, and logged.
    Prefer,
}
