//! Whether a policy allows what is asked.

use super::pattern::Pattern;
use super::policy::{IssuancePolicy, Rule};
use super::usage::usage_in_words;
use crate::engine::api::keys::{AltName, KeyType, KeyUsage};
use crate::gateway::pkcs_api::AltNameKind;
use std::collections::BTreeMap;
use std::fmt;

/// One attribute of a subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    /// Its short name, such as `CN`, or its object identifier where it has none.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Asked<'a> {
    /// The authority's name.
    pub ca: &'a str,
    /// The authority's own profile.
    pub ca_profile: Option<&'a str>,
    /// Name of the gateway's profile.
    pub profile: &'a str,
    /// The platform's name.
    pub platform: &'a str,
    /// The user's principal name.
    pub user: &'a str,
    /// The key.
    pub key: KeyType,
    /// The subject's attributes.
    pub subject: &'a [Attribute],
    /// The names beside it.
    pub alt_names: &'a [AltName],
    /// What the key is for.
    pub key_usage: &'a [KeyUsage],
    /// What the certificate is for: object identifiers.
    pub extended_key_usage: &'a [String],
    /// The template that the CSR names.
    pub microsoft_template: Option<&'a str>,
    /// The security identifier that the CSR asks for.
    pub security_identifier: Option<&'a str>,
    /// The longest validity, in days.
    pub validity_days: u32,
}

/// No rule allows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied {
    /// The rules that came nearest, each with what it does not allow.
    reasons: Vec<(String, String)>,
}

/// Rules named in a refusal.
const MOST_REASONS: usize = 4;

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.reasons.is_empty() {
            return f.write_str(
                "no rule of the issuance policy is for this authority and profile: add one, or see to what the profile asks for",
            );
        }
        f.write_str("the issuance policy does not allow it: ")?;
        for (place, (rule, why)) in self.reasons.iter().take(MOST_REASONS).enumerate() {
            if place > 0 {
                f.write_str("; ")?;
            }
            write!(f, "rule {rule:?}: {why}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Denied {}

/// An alternative name's kind and value.
pub(super) fn parts(name: &AltName) -> (AltNameKind, &str) {
    match name {
        AltName::Email(value) => (AltNameKind::Email, value),
        AltName::Upn(value) => (AltNameKind::Upn, value),
        AltName::Dns(value) => (AltNameKind::Dns, value),
        AltName::Uri(value) => (AltNameKind::Uri, value),
    }
}

fn any(patterns: &[Pattern], text: &str) -> bool {
    patterns.iter().any(|pattern| pattern.fits(text))
}

/// Attributes of subjects that hold an e-mail address.
pub(super) fn is_address(attribute: &str) -> bool {
    ["emailaddress", "email", "e", "1.2.840.113549.1.9.1"]
        .iter()
        .any(|name| attribute.eq_ignore_ascii_case(name))
}

/// Whether a rule's attributes have one like this.
pub(super) fn allows_attribute(
    allowed: &BTreeMap<String, Vec<Pattern>>,
    attribute: &Attribute,
) -> bool {
    allowed.iter().any(|(name, patterns)| {
        (name.eq_ignore_ascii_case(&attribute.name)
            || is_address(name) && is_address(&attribute.name))
            && patterns.iter().any(|pattern| {
                if is_address(name) {
                    pattern.fits_address(&attribute.value)
                } else {
                    pattern.fits(&attribute.value)
                }
            })
    })
}

impl IssuancePolicy {
    /// The first rule that allows all of it.
    ///
    /// # Errors
    /// [`Denied`] naming what each rule for this authority and profile does not allow.
    pub fn decide(&self, asked: &Asked<'_>) -> Result<&Rule, Denied> {
        let mut reasons = Vec::new();
        for rule in self.rules() {
            if !any(&rule.ca, asked.ca) || !any(&rule.profiles, asked.profile) {
                continue;
            }
            match rule.refuses(asked) {
                None => return Ok(rule),
                Some(why) => reasons.push((rule.name.clone(), why)),
            }
        }
        Err(Denied { reasons })
    }
}

impl Rule {
    /// Whether the authority may have added this attribute to the subject of this user's certificate.
    #[must_use]
    pub fn may_be_added(&self, attribute: &Attribute, user: &str) -> bool {
        allows_attribute(&self.ca_may_add, attribute) && !self.names_another(attribute, user)
    }

    /// Whether the attribute names somebody's e-mail address, and that has to be the user's and is not. Readers take an address from
    /// wherever one stands, so that every one is bound: in emailAddress and, as a name is often written, in any other attribute.
    fn names_another(&self, attribute: &Attribute, user: &str) -> bool {
        self.equal_to_user.contains(&AltNameKind::Email)
            && (is_address(&attribute.name) || attribute.value.contains('@'))
            && !attribute.value.eq_ignore_ascii_case(user)
    }

    /// The same of an alternative name; with the e-mail address the user principal name, which looks like one, is bound too.
    fn alternative_of_another(&self, kind: AltNameKind, value: &str, user: &str) -> bool {
        let is_bound = |kind| self.equal_to_user.contains(&kind);
        let address = match (kind, value.split_once(':')) {
            (AltNameKind::Email, _) if is_bound(AltNameKind::Email) => value,
            (AltNameKind::Upn, _) if is_bound(AltNameKind::Upn) || is_bound(AltNameKind::Email) => {
                value
            }
            // RFC 6068: who it is to, and what the message has besides.
            (AltNameKind::Uri, Some((scheme, to)))
                if is_bound(AltNameKind::Email) && scheme.eq_ignore_ascii_case("mailto") =>
            {
                to
            }
            _ => return false,
        };
        !address.eq_ignore_ascii_case(user)
    }

    fn refuses(&self, asked: &Asked<'_>) -> Option<String> {
        let shown = crate::encoding::printable;
        if let Some(profile) = asked.ca_profile
            && !any(&self.ca_profiles, profile)
        {
            return Some(format!("the authority's profile {}", shown(profile)));
        }
        if !self.platforms.is_empty() && !self.platforms.iter().any(|one| one == asked.platform) {
            return Some(format!("the platform {}", shown(asked.platform)));
        }
        if !self.users.is_empty() && !self.users.iter().any(|one| one.fits_address(asked.user)) {
            return Some(format!("the user {}", shown(asked.user)));
        }
        if !self.keys.contains(&asked.key) {
            return Some(format!("the key {}", asked.key.name()));
        }
        if let Some(usage) = asked
            .key_usage
            .iter()
            .find(|usage| !self.key_usage.contains(usage))
        {
            return Some(format!("the key usage {usage:?}"));
        }
        if let Some(usage) = asked
            .extended_key_usage
            .iter()
            .find(|usage| !self.extended_key_usage.contains(usage))
        {
            return Some(format!("the extended key usage {}", usage_in_words(usage)));
        }
        if asked.validity_days > self.max_validity_days {
            return Some(format!("a validity of {} days", asked.validity_days));
        }
        if let Some(template) = asked.microsoft_template
            && !any(&self.microsoft_templates, template)
        {
            return Some(format!("the template {}", shown(template)));
        }
        if asked.security_identifier.is_some() && !self.security_identifier {
            return Some("a security identifier".to_owned());
        }
        if let Some(attribute) = asked
            .subject
            .iter()
            .find(|attribute| !allows_attribute(&self.subject, attribute))
        {
            return Some(format!(
                "{}={} in the subject",
                shown(&attribute.name),
                shown(&attribute.value)
            ));
        }
        if let Some(attribute) = asked
            .subject
            .iter()
            .find(|attribute| self.names_another(attribute, asked.user))
        {
            return Some(format!(
                "{}={} in the subject for the user {}",
                shown(&attribute.name),
                shown(&attribute.value),
                shown(asked.user)
            ));
        }
        asked.alt_names.iter().find_map(|name| {
            let (kind, value) = parts(name);
            let patterns = self.alt_names.get(&kind).map_or(&[][..], Vec::as_slice);
            let fits = patterns.iter().any(|pattern| match kind {
                AltNameKind::Email | AltNameKind::Upn => pattern.fits_address(value),
                AltNameKind::Dns => pattern.fits_dns(value),
                AltNameKind::Uri => pattern.fits(value),
            });
            if !fits {
                return Some(format!(
                    "{} {} among the alternative names",
                    kind.name(),
                    shown(value)
                ));
            }
            self.alternative_of_another(kind, value, asked.user)
                .then(|| {
                    format!(
                        "{} {} for the user {}",
                        kind.name(),
                        shown(value),
                        shown(asked.user)
                    )
                })
        })
    }
}
