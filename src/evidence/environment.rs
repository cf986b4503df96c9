//! The operating environment of a process, as plain data for reports: what [`fips::environment`] says.

use fips::environment::Environment;
use serde::{Deserialize, Serialize};

/// Where a process runs, and whether the laboratory tested the module there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EnvironmentEvidence {
    /// `ID` of os-release(5).
    pub system: String,
    /// `VERSION_ID` of os-release(5).
    pub system_version: String,
    /// `PRETTY_NAME` of os-release(5).
    pub system_name: String,
    /// The first processor by its name, or by the numbers of its maker and kind.
    pub processor: String,
    /// `x86_64`, `aarch64`.
    pub architecture: String,
    /// What the firmware calls the machine.
    pub machine: String,
    /// The tested environment of the certificates that this is; null: none of them, or not known to be one.
    pub tested: Option<String>,
    /// The same in one sentence.
    pub says: String,
}

impl EnvironmentEvidence {
    /// The environment of this process.
    #[must_use]
    pub fn of_this_process() -> Self {
        Environment::of_this_process().into()
    }
}

impl From<&Environment> for EnvironmentEvidence {
    fn from(found: &Environment) -> Self {
        Self {
            system: found.system.clone(),
            system_version: found.system_version.clone(),
            system_name: found.system_name.clone(),
            processor: found.processor.clone(),
            architecture: found.architecture.clone(),
            machine: found.machine.clone(),
            tested: found.tested().map(|tested| tested.name.to_owned()),
            says: found.says(),
        }
    }
}
