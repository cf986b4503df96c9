//! What to think of the rules of a policy: over-broad ones are named, each with what could come of it and the remedy.

use super::decide::is_address;
use super::pattern::Pattern;
use super::policy::{IssuancePolicy, Rule};
use super::usage::usage_in_words;
use crate::engine::api::keys::KeyType;
use crate::gateway::pkcs_api::AltNameKind;
use serde::Serialize;
use std::collections::BTreeMap;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Severity {
    /// Worth a thought.
    Note,
    /// Broader than it looks.
    Warning,
    /// Whoever controls the gateway or a device's variables becomes somebody else by it.
    Error,
}

/// What was found about a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// The rule; none: the whole policy.
    pub rule: Option<String>,
    /// How much it matters.
    pub severity: Severity,
    /// Stable code.
    pub code: &'static str,
    /// What it means, and the remedy.
    pub message: String,
}

/// Usages with which a certificate logs its holder on: TLS client authentication, smart card logon, PKINIT, any.
const LOGON: [&str; 4] = [
    "1.3.6.1.5.5.7.3.2",
    "1.3.6.1.4.1.311.20.2.2",
    "1.3.6.1.5.2.3.4",
    ANY_USAGE,
];
const ANY_USAGE: &str = "2.5.29.37.0";
/// Usages that no person's or device's certificate needs: enrolling for others, signing code, OCSP answers or times.
const POWERFUL: [&str; 4] = [
    "1.3.6.1.4.1.311.20.2.1",
    "1.3.6.1.5.5.7.3.3",
    "1.3.6.1.5.5.7.3.9",
    "1.3.6.1.5.5.7.3.8",
];
const EMAIL_PROTECTION: &str = "1.3.6.1.5.5.7.3.4";
const SERVER_AUTHENTICATION: &str = "1.3.6.1.5.5.7.3.1";
/// 24 months.
const MOST_DAYS: u32 = 731;

/// Every finding, rule by rule.
#[must_use]
pub fn lint(policy: &IssuancePolicy) -> Vec<Finding> {
    let mut found = Vec::new();
    if policy.rules().is_empty() {
        found.push(Finding {
            rule: None,
            severity: Severity::Note,
            code: "noRules",
            message: "there is no rule: nothing is issued".to_owned(),
        });
    }
    for (place, rule) in policy.rules().iter().enumerate() {
        let mut of_rule = Of {
            rule,
            found: &mut found,
        };
        of_rule.names();
        of_rule.usages();
        of_rule.reach();
        let earlier = policy.rules().get(..place).unwrap_or_default();
        if let Some(other) = earlier.iter().find(|other| {
            Rule {
                name: rule.name.clone(),
                ..(*other).clone()
            } == *rule
        }) {
            of_rule.add(
                Severity::Note,
                "sameRule",
                format!("says the same as rule {:?}: remove one", other.name),
            );
        }
    }
    found
}

struct Of<'a> {
    rule: &'a Rule,
    found: &'a mut Vec<Finding>,
}

fn open_address(pattern: &Pattern) -> bool {
    pattern.fixed_domain().is_none()
}

impl Of<'_> {
    fn add(&mut self, severity: Severity, code: &'static str, message: impl Into<String>) {
        self.found.push(Finding {
            rule: Some(self.rule.name.clone()),
            severity,
            code,
            message: message.into(),
        });
    }

    fn patterns(&self, kind: AltNameKind) -> &[Pattern] {
        self.rule.alt_names.get(&kind).map_or(&[], Vec::as_slice)
    }

    fn logs_on(&self) -> bool {
        self.rule
            .extended_key_usage
            .iter()
            .any(|usage| LOGON.contains(&usage.as_str()))
    }

    /// Whether a star may stand for the part of the names by which somebody is known.
    fn free_identity(&self) -> Option<String> {
        let rule = self.rule;
        // The e-mail address binds the user principal name with it.
        let bound = |kind| {
            rule.equal_to_user.contains(&kind) || rule.equal_to_user.contains(&AltNameKind::Email)
        };
        let star = |patterns: &[Pattern]| patterns.iter().any(|one| one.text().contains('*'));
        for kind in [AltNameKind::Upn, AltNameKind::Email] {
            if star(self.patterns(kind)) && !bound(kind) {
                return Some(format!("any {} that fits a star", kind.name()));
            }
        }
        let in_subject = |attributes: &BTreeMap<String, Vec<Pattern>>| {
            let mut addresses = attributes.iter().filter(|(name, _)| is_address(name));
            addresses.any(|(_, patterns)| star(patterns))
        };
        if !bound(AltNameKind::Email) && (in_subject(&rule.subject) || in_subject(&rule.ca_may_add))
        {
            return Some("any emailAddress of the subject that fits a star".to_owned());
        }
        if star(self.patterns(AltNameKind::Dns)) {
            return Some("any dns that fits a star".to_owned());
        }
        if star(self.patterns(AltNameKind::Uri)) {
            return Some("any uri that fits a star, security identifiers among them".to_owned());
        }
        if rule.security_identifier {
            return Some("any security identifier".to_owned());
        }
        let common = rule
            .subject
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case("CN"));
        common
            .filter(|(_, patterns)| star(patterns))
            .map(|_| "any common name that fits a star".to_owned())
    }

    fn names(&mut self) {
        if self.logs_on()
            && let Some(free) = self.free_identity()
        {
            self.add(
                Severity::Error,
                "suppliedNameLogsOn",
                format!(
                    "the request supplies the name ({free}) and the certificate logs its holder on (the class of faults called ESC1): whoever can make the gateway ask \
                     becomes anybody. Bind names to the request's user (`equal_to_user`), list the names, or take the usage out"
                ),
            );
        }
        for kind in [AltNameKind::Email, AltNameKind::Upn] {
            if self.patterns(kind).iter().any(open_address) {
                self.add(
                    if kind == AltNameKind::Email { Severity::Warning } else { Severity::Error },
                    if kind == AltNameKind::Email { "anyEmailDomain" } else { "anyUpnDomain" },
                    format!(
                        "`alt_names.{0}` is not held to domains of yours: write `alt_names.{0} = [\"*@example.com\"]`",
                        kind.name()
                    ),
                );
            }
        }
        for (key, attributes) in [
            ("subject", &self.rule.subject),
            ("ca_may_add", &self.rule.ca_may_add),
        ] {
            let open = attributes
                .iter()
                .any(|(name, patterns)| is_address(name) && patterns.iter().any(open_address));
            if open {
                self.add(
                    Severity::Warning,
                    "anyEmailDomain",
                    format!("`{key}.emailAddress` is not held to domains of yours"),
                );
            }
        }
        if self
            .patterns(AltNameKind::Dns)
            .iter()
            .any(|pattern| pattern.fixed_labels() < 2)
        {
            self.add(
                Severity::Warning,
                "anyDnsDomain",
                "`alt_names.dns` is not held to a domain of yours: two labels at least without a star, such as `*.example.com`",
            );
        }
        if self.patterns(AltNameKind::Uri).iter().any(|pattern| {
            pattern.is_any()
                || pattern.text().starts_with("tag:microsoft.com") && pattern.text().contains('*')
        }) {
            self.add(
                Severity::Warning,
                "anySecurityIdentifier",
                "`alt_names.uri` lets a request name any security identifier, by which Windows maps certificates to accounts",
            );
        }
        let wild: Vec<&String> = self
            .rule
            .subject
            .iter()
            .filter(|(name, patterns)| {
                !name.eq_ignore_ascii_case("CN") && patterns.iter().any(Pattern::is_any)
            })
            .map(|(name, _)| name)
            .collect();
        if let Some(name) = wild.first() {
            self.add(
                Severity::Note,
                "anySubjectAttribute",
                format!("`subject.{name}` may be anything: write the values that there are"),
            );
        }
    }

    fn usages(&mut self) {
        let usages = self.rule.extended_key_usage.clone();
        if usages.is_empty() {
            self.add(
                Severity::Note,
                "noUsage",
                "`extended_key_usage` is empty: only profiles that ask for none are allowed, and what the authority adds is refused",
            );
        }
        if usages.iter().any(|usage| usage == ANY_USAGE) {
            self.add(
                Severity::Error,
                "anyUsage",
                "a certificate for any usage is one for logging on, for signing code and for enrolling for others: name the usages",
            );
        }
        for usage in usages
            .iter()
            .filter(|usage| POWERFUL.contains(&usage.as_str()))
        {
            self.add(
                Severity::Error,
                "powerfulUsage",
                format!(
                    "{} is for services and authorities: no person's or device's certificate needs it",
                    usage_in_words(usage)
                ),
            );
        }
        if usages.iter().any(|usage| usage == SERVER_AUTHENTICATION) {
            self.add(
                Severity::Warning,
                "serverUsage",
                "serverAuth lets a device be a server under every name that the rule allows",
            );
        }
        if usages.iter().any(|usage| usage == EMAIL_PROTECTION)
            && self.patterns(AltNameKind::Email).is_empty()
        {
            self.add(
                Severity::Note,
                "noEmail",
                "emailProtection without `alt_names.email`: mail programs want the address in the certificate",
            );
        }
    }

    fn reach(&mut self) {
        let rule = self.rule;
        if rule.max_validity_days > MOST_DAYS {
            self.add(
                Severity::Warning,
                "longValidity",
                format!(
                    "{} days are more than 24 months: a lost device stays somebody for as long",
                    rule.max_validity_days
                ),
            );
        }
        if rule.ca.iter().any(Pattern::is_any) {
            self.add(
                Severity::Warning,
                "anyAuthority",
                "`ca = [\"*\"]` is for every authority that will ever be configured: name them",
            );
        }
        if rule.profiles.iter().any(Pattern::is_any) {
            self.add(
                Severity::Warning,
                "anyProfile",
                "`profiles = [\"*\"]` lets the gateway choose: name the profiles that this rule is for",
            );
        }
        if rule.ca_profiles.iter().any(Pattern::is_any)
            || rule.microsoft_templates.iter().any(Pattern::is_any)
        {
            self.add(
                Severity::Warning,
                "anyTemplate",
                "every profile or template of the authority may be asked for: name them",
            );
        }
        if rule.users.is_empty() && rule.equal_to_user.is_empty() {
            self.add(
                Severity::Note,
                "anyUser",
                "the rule is for every user: `users = [\"*@example.com\"]` holds it to yours",
            );
        }
        if rule.users.iter().any(open_address) {
            self.add(
                Severity::Note,
                "anyUser",
                "`users` is not held to domains of yours",
            );
        }
        if rule.keys.contains(&KeyType::Rsa2048) {
            self.add(
                Severity::Note,
                "shortKey",
                "rsa2048 is good until 2030 (NIST SP 800-131A and its drafts): rsa3072 or ecP256 last longer",
            );
        }
    }
}
