//! The policy file: TOML, read whole or refused.

use super::pattern::Pattern;
use super::usage::oid_of_usage;
use crate::encoding::hex;
use crate::engine::api::keys::{KeyType, KeyUsage, Platform};
use crate::gateway::pkcs_api::AltNameKind;
use fips::digest::{Hash, digest};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The largest file, in bytes.
const MAX_BYTES: u64 = 1024 * 1024;
/// Rules of one file.
const MAX_RULES: usize = 1_000;
/// The version of the file that is read here.
const VERSION: u32 = 1;

/// Why a policy is not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// The file cannot be read, or others may write it.
    #[error("{path}: {problem}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// It is no policy.
    #[error("{0}")]
    Malformed(String),
    /// It was written for a newer release.
    #[error("the policy has version {found}, this program knows {VERSION}: use the newer program")]
    Newer {
        /// Version of the file.
        found: u32,
    },
}

/// One rule: what it allows. A request is allowed by one rule alone or not at all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Its name, for events and refusals.
    pub name: String,
    /// Authorities, by their names in `[[connector.ca]]`.
    pub ca: Vec<Pattern>,
    /// The authorities' own profiles or templates; none: only requests that name none.
    #[serde(default)]
    pub ca_profiles: Vec<Pattern>,
    /// Names of profiles of the gateway.
    pub profiles: Vec<Pattern>,
    /// Platforms; none: every one.
    #[serde(default)]
    pub platforms: Vec<String>,
    /// Users, by their principal names; none: every one.
    #[serde(default)]
    pub users: Vec<Pattern>,
    /// Keys.
    pub keys: Vec<KeyType>,
    /// Uses that the key may have: what is asked for has to be among them, and where nothing is asked for, what the authority gives.
    pub key_usage: Vec<KeyUsage>,
    /// What certificates may be for, by name or object identifier.
    pub extended_key_usage: Vec<String>,
    /// Attributes of the subject that there may be, by their short names or object identifiers.
    #[serde(default)]
    pub subject: BTreeMap<String, Vec<Pattern>>,
    /// Attributes that the authority may add to what was asked.
    #[serde(default)]
    pub ca_may_add: BTreeMap<String, Vec<Pattern>>,
    /// Subject alternative names that there may be, by kind.
    #[serde(default)]
    pub alt_names: BTreeMap<AltNameKind, Vec<Pattern>>,
    /// Kinds of alternative names that must be the request's own user: `email`, with every e-mail address in the subject, and `upn`.
    #[serde(default)]
    pub equal_to_user: Vec<AltNameKind>,
    /// Names of templates of Microsoft CAs that may be named in the CSR.
    #[serde(default)]
    pub microsoft_templates: Vec<Pattern>,
    /// Whether Microsoft's extension with a security identifier may be asked for.
    #[serde(default)]
    pub security_identifier: bool,
    /// The longest validity, in days.
    pub max_validity_days: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    #[serde(default)]
    rule: Vec<Rule>,
}

/// A policy that can be asked; the default one allows nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IssuancePolicy {
    rules: Vec<Rule>,
    digest: String,
}

impl IssuancePolicy {
    /// Reads a file that nobody but its owner, and root, may write.
    ///
    /// # Errors
    /// [`PolicyError`] saying what is wrong and where.
    pub fn load(path: &Path) -> Result<Self, PolicyError> {
        let unusable = |problem: String| PolicyError::File {
            path: path.to_owned(),
            problem,
        };
        let opened = std::fs::File::open(path).map_err(|error| unusable(error.to_string()))?;
        let mode = opened
            .metadata()
            .map_err(|error| unusable(error.to_string()))?
            .permissions()
            .mode();
        if mode & 0o022 != 0 {
            return Err(unusable(format!(
                "mode {:04o} lets others write what may be issued; run: chmod go-w {}",
                mode & 0o7777,
                path.display()
            )));
        }
        let mut text = String::new();
        opened
            .take(MAX_BYTES + 1)
            .read_to_string(&mut text)
            .map_err(|error| unusable(error.to_string()))?;
        if u64::try_from(text.len()).unwrap_or(u64::MAX) > MAX_BYTES {
            return Err(unusable(format!("larger than {MAX_BYTES} bytes")));
        }
        Self::read(&text).map_err(|error| match error {
            PolicyError::Malformed(problem) => unusable(problem),
            other => other,
        })
    }

    /// Reads the text of a policy.
    ///
    /// # Errors
    /// [`PolicyError`] saying what is wrong and where.
    pub fn read(text: &str) -> Result<Self, PolicyError> {
        let file: File = toml::from_str(text)
            .map_err(|error| PolicyError::Malformed(error.to_string().trim().to_owned()))?;
        if file.version > VERSION {
            return Err(PolicyError::Newer {
                found: file.version,
            });
        }
        if file.version == 0 {
            return Err(PolicyError::Malformed("version: 1".to_owned()));
        }
        if file.rule.len() > MAX_RULES {
            return Err(PolicyError::Malformed(format!(
                "more than {MAX_RULES} rules"
            )));
        }
        let mut names = BTreeSet::new();
        let mut rules = Vec::with_capacity(file.rule.len());
        for rule in file.rule {
            let name = rule.name.clone();
            if name.is_empty() || name.len() > 64 || !names.insert(name.clone()) {
                return Err(PolicyError::Malformed(format!(
                    "rule {name:?}: each rule has a name of its own, 64 bytes at most"
                )));
            }
            rules.push(
                checked(rule)
                    .map_err(|why| PolicyError::Malformed(format!("rule {name:?}: {why}")))?,
            );
        }
        Ok(Self {
            rules,
            digest: hex(digest(Hash::Sha256, text.as_bytes()).as_ref()),
        })
    }

    /// Its rules, in the order of the file.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// SHA-256 of the file's text, hexadecimal: which policy was in force when something was issued.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }
}

/// The rule with object identifiers in the place of names.
fn checked(mut rule: Rule) -> Result<Rule, String> {
    for (key, patterns) in [("ca", &rule.ca), ("profiles", &rule.profiles)] {
        if patterns.is_empty() {
            return Err(format!("`{key}` names nothing: the rule allows nothing"));
        }
    }
    if rule.keys.is_empty() {
        return Err("`keys` names nothing: the rule allows nothing".to_owned());
    }
    if rule.key_usage.is_empty() {
        return Err("`key_usage` names nothing: the rule allows nothing".to_owned());
    }
    for platform in &rule.platforms {
        if Platform::of_name(platform).is_none() {
            let known: Vec<_> = Platform::ALL.into_iter().map(Platform::name).collect();
            return Err(format!(
                "`platforms`: {platform:?} is none; known: {}",
                known.join(", ")
            ));
        }
    }
    if !(1..=1_200).contains(&rule.max_validity_days) {
        return Err("`max_validity_days` is 1 to 1200".to_owned());
    }
    for usage in &mut rule.extended_key_usage {
        *usage = oid_of_usage(usage).ok_or_else(|| {
            format!(
                "`extended_key_usage`: {usage:?} is neither a known name nor an object identifier"
            )
        })?;
    }
    for kind in &rule.equal_to_user {
        if !matches!(kind, AltNameKind::Email | AltNameKind::Upn) {
            return Err("`equal_to_user`: email, upn".to_owned());
        }
    }
    Ok(rule)
}
