//! What a check found: which check, how bad, of what, in words, and what to do.

use super::catalogue::Check;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::fmt;
use std::str::FromStr;

/// What belongs together, in the order of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Group {
    /// What the file itself says.
    Configuration,
    /// Files and folders that it names.
    Files,
    /// What the system allows this process.
    Limits,
    /// The clock.
    Clock,
    /// The cryptographic module and what can be claimed of it.
    Fips,
    /// Certificates and keys in files.
    Certificates,
    /// Other machines, and addresses to listen on.
    Endpoints,
    /// Certification authorities.
    Authorities,
    /// What runs.
    Service,
    /// The PKCS#11 module, the token and its keys.
    Token,
}

impl Group {
    /// Every group.
    pub const ALL: [Self; 10] = [
        Self::Configuration,
        Self::Files,
        Self::Limits,
        Self::Clock,
        Self::Fips,
        Self::Certificates,
        Self::Endpoints,
        Self::Authorities,
        Self::Service,
        Self::Token,
    ];

    /// Its stable name: the first part of the ids of its checks.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::Files => "files",
            Self::Limits => "limits",
            Self::Clock => "clock",
            Self::Fips => "fips",
            Self::Certificates => "certificates",
            Self::Endpoints => "endpoints",
            Self::Authorities => "authorities",
            Self::Service => "service",
            Self::Token => "token",
        }
    }

    /// Its heading for people.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Configuration => "Configuration",
            Self::Files => "Files and folders",
            Self::Limits => "Limits of this process",
            Self::Clock => "Clock",
            Self::Fips => "FIPS",
            Self::Certificates => "Certificates and keys in files",
            Self::Endpoints => "Endpoints",
            Self::Authorities => "Certification authorities",
            Self::Service => "Running services",
            Self::Token => "Token",
        }
    }
}

/// There is no group of that name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no group of checks: the groups are {}", Group::ALL.map(Group::name).join(", "))]
pub struct UnknownGroup;

impl FromStr for Group {
    type Err = UnknownGroup;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|group| group.name() == text)
            .ok_or(UnknownGroup)
    }
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// As it should be.
    Ok,
    /// Something to know: a choice, or what could not be looked at. Nothing fails of it.
    Note,
    /// Works, but is weak, or will fail one day.
    Warning,
    /// Something would fail.
    Error,
}

impl Severity {
    /// Its stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One finding. Holds no secret; texts of tokens and peers are in it as they came, so whoever shows it makes them printable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// Which check found it.
    pub id: Check,
    /// How bad it is.
    pub severity: Severity,
    /// What was looked at: a configuration key, or a name; empty where the check says it.
    pub subject: String,
    /// What was found.
    pub found: String,
    /// What to do about it.
    #[serde(default)]
    pub remedy: Option<String>,
    /// The stable code of the cause, where there is one, such as `pin_incorrect` or `tls_certificate_unknown_issuer`.
    #[serde(default)]
    pub code: Option<String>,
    /// Figures and names for machines.
    #[serde(default)]
    pub facts: Value,
}

impl Finding {
    /// The same with another remedy than the check's own.
    #[must_use]
    pub fn remedy(self, remedy: impl Into<String>) -> Self {
        Self {
            remedy: Some(remedy.into()),
            ..self
        }
    }

    /// The same with the stable code of its cause.
    #[must_use]
    pub fn code(self, code: impl Into<String>) -> Self {
        Self {
            code: Some(code.into()),
            ..self
        }
    }

    /// The same with figures for machines.
    #[must_use]
    pub fn facts(self, facts: Value) -> Self {
        Self { facts, ..self }
    }

    /// For machines.
    #[must_use]
    pub fn json(&self) -> Value {
        json!({
            "id": self.id.id,
            "group": self.id.group.name(),
            "severity": self.severity,
            "subject": self.subject,
            "found": self.found,
            "remedy": self.remedy,
            "code": self.code,
            "facts": self.facts,
        })
    }
}

impl Check {
    fn finding(
        self,
        severity: Severity,
        subject: impl Into<String>,
        found: impl Into<String>,
    ) -> Finding {
        let remedy =
            matches!(severity, Severity::Warning | Severity::Error).then(|| self.remedy.to_owned());
        Finding {
            id: self,
            severity,
            subject: subject.into(),
            found: found.into(),
            remedy,
            code: None,
            facts: Value::Null,
        }
    }

    /// As it should be.
    #[must_use]
    pub fn ok(self, subject: impl Into<String>, found: impl Into<String>) -> Finding {
        self.finding(Severity::Ok, subject, found)
    }

    /// Something to know, without a remedy.
    #[must_use]
    pub fn note(self, subject: impl Into<String>, found: impl Into<String>) -> Finding {
        self.finding(Severity::Note, subject, found)
    }

    /// Weak, or soon to fail; with the check's remedy.
    #[must_use]
    pub fn warning(self, subject: impl Into<String>, found: impl Into<String>) -> Finding {
        self.finding(Severity::Warning, subject, found)
    }

    /// Something would fail; with the check's remedy.
    #[must_use]
    pub fn error(self, subject: impl Into<String>, found: impl Into<String>) -> Finding {
        self.finding(Severity::Error, subject, found)
    }
}

impl Serialize for Check {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.id)
    }
}

impl<'de> Deserialize<'de> for Check {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let id = String::deserialize(deserializer)?;
        Self::named(&id).ok_or_else(|| serde::de::Error::custom("no check of that id"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::super::catalogue;
    use super::*;

    #[test]
    fn a_finding_comes_back_from_json_as_it_was() {
        let found = catalogue::TOKEN_LOGIN
            .error("engine.token", "the token refused it")
            .code("pin_incorrect")
            .facts(json!({"tries": 1}));
        let text = serde_json::to_string(&found).unwrap();
        assert_eq!(serde_json::from_str::<Finding>(&text).unwrap(), found);
        assert!(serde_json::from_str::<Finding>(&text.replace("token.login", "no.such")).is_err());
    }

    #[test]
    fn what_is_not_ok_has_a_remedy_unless_it_is_a_note() {
        let check = catalogue::TOKEN_LOGIN;
        assert_eq!(check.ok("", "").remedy, None);
        assert_eq!(check.note("", "").remedy, None);
        for found in [check.warning("", ""), check.error("", "")] {
            assert_eq!(found.remedy.as_deref(), Some(check.remedy));
        }
    }

    #[test]
    fn groups_are_named_as_they_are_read() {
        for group in Group::ALL {
            assert_eq!(group.name().parse::<Group>(), Ok(group));
        }
        assert!("tokens".parse::<Group>().is_err());
    }
}
