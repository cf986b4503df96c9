//! `[fips]`: the mode, its exceptions by name, and what signs an evidence report.

use fips::policy::{Exception, Mode, Policy};
use serde::{Deserialize, Deserializer, de};
use std::path::PathBuf;

/// `[fips]`. Every process takes it from the file that it is started with; without it the mode is strict, without exceptions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FipsConfig {
    /// Whether what is not approved is refused.
    #[serde(default)]
    pub mode: FipsMode,
    /// What is permitted in strict mode all the same, by name.
    #[serde(default)]
    pub exceptions: Vec<FipsException>,
    /// PEM file with the private key that signs reports.
    pub report_key: Option<PathBuf>,
    /// Label of the key on the engine's token that signs reports.
    pub report_token_key: Option<String>,
}

/// The mode.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FipsMode {
    /// What is not approved is refused.
    #[default]
    Strict,
    /// What is not approved is done and counted.
    Off,
}

/// An exception by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FipsException(pub Exception);

impl<'de> Deserialize<'de> for FipsException {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map(Self)
            .map_err(de::Error::custom)
    }
}

impl FipsConfig {
    /// What the process is to enforce.
    #[must_use]
    pub fn policy(&self) -> Policy {
        match self.mode.into() {
            Mode::Strict => Policy::strict_except(self.exceptions.iter().map(|named| named.0)),
            Mode::Off => Policy::OFF,
        }
    }
}

impl From<FipsMode> for Mode {
    fn from(mode: FipsMode) -> Self {
        match mode {
            FipsMode::Strict => Self::Strict,
            FipsMode::Off => Self::Off,
        }
    }
}
