//! What can be claimed: several parts, each with the most that it leaves possible, and the lowest of them.

mod parts;

use super::status::Facts;
use fips::claim::Level;
use serde::{Deserialize, Serialize};

/// One part of a claim: the most that it leaves possible, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Part {
    /// The most that can be claimed as far as this part is concerned.
    #[serde(with = "level")]
    pub level: Level,
    /// What is the case, in words.
    pub says: String,
}

impl Part {
    pub(super) fn new(level: Level, says: impl Into<String>) -> Self {
        Self {
            level,
            says: says.into(),
        }
    }
}

/// Every part of the claim. Whatever is not known counts as [`Level::Unvalidated`], and no part is above
/// [`Level::CertifiedSource`] that is about what we built: no laboratory tested it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Claim {
    /// Whether the module's version is the one that a certificate names.
    pub module_version: Part,
    /// Whether it was compiled from the source of that version, and by whom.
    pub build: Part,
    /// Whether the module was tested where it runs.
    pub environment: Part,
    /// Whether what is not approved is refused.
    pub mode: Part,
    /// What was done that is not approved.
    pub exceptions_used: Part,
    /// The tokens that keep the keys.
    pub tokens: Part,
    /// TLS of every process.
    pub tls: Part,
    /// The module's own tests, the cross-check of its indicator, and faults.
    pub self_tests: Part,
}

impl Claim {
    pub(super) fn of(facts: &Facts) -> Self {
        Self {
            module_version: parts::module_version(facts),
            build: parts::build(facts),
            environment: parts::environment(facts),
            mode: parts::mode(facts),
            exceptions_used: parts::exceptions_used(facts),
            tokens: parts::tokens(facts),
            tls: parts::tls(facts),
            self_tests: parts::self_tests(facts),
        }
    }

    /// The parts with their names for people, in the order of reports. Without `..`: a part that is added here does not compile
    /// until somebody has decided that it counts.
    #[must_use]
    pub fn parts(&self) -> [(&'static str, &Part); 8] {
        let Self {
            module_version,
            build,
            environment,
            mode,
            exceptions_used,
            tokens,
            tls,
            self_tests,
        } = self;
        [
            ("module", module_version),
            ("build", build),
            ("environment", environment),
            ("mode", mode),
            ("exceptions used", exceptions_used),
            ("tokens", tokens),
            ("TLS", tls),
            ("self-tests", self_tests),
        ]
    }

    /// The lowest of all parts, with the names of those that are the reason.
    #[must_use]
    pub fn overall(&self) -> Part {
        let parts = self.parts();
        let level = parts
            .iter()
            .map(|(_, part)| part.level)
            .min()
            .unwrap_or(Level::Unvalidated);
        let reasons: Vec<&str> = parts
            .iter()
            .filter(|(_, part)| part.level == level)
            .map(|(name, _)| *name)
            .collect();
        let says = match level {
            Level::Unvalidated => format!(
                "unvalidated, because of {}: nothing may be claimed of the whole",
                reasons.join(", ")
            ),
            Level::Pending => format!(
                "validation pending, because of {}: there is no certificate yet",
                reasons.join(", ")
            ),
            Level::CertifiedSource if self.environment.level == Level::Certified => {
                "certified source, own build: the source is the certificate's, in an environment that was tested; this build of it was not"
                    .to_owned()
            }
            Level::CertifiedSource => format!(
                "{level}: the source is the certificate's; no laboratory tested this build of it here"
            ),
            Level::Certified => level.to_string(),
        };
        Part { level, says }
    }
}

/// A level by its stable name.
pub mod level {
    use fips::claim::Level;
    use serde::{Deserialize, Deserializer, Serializer, de};

    /// Writes the name.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(level: &Level, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(level.name())
    }

    /// Reads the name.
    ///
    /// # Errors
    /// When it is none.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Level, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
