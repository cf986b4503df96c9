//! Everything that an inspection found, for programs and as the source of the page for people.

use super::entries::{self, Entry};
use crate::cli::output::Failure;
use crate::evidence::process as evidence;
use formats::pfx::verdict::{PasswordFacts, Verdict, verdicts};
use formats::pfx::{
    Algorithm, BagKind, BerForm, EncryptionFacts, Integrity, OpenedPfx, PasswordForm, Protection,
    Survey,
};
use serde::Serialize;
use serde_json::Value;

/// What there is to report on.
pub(super) struct Found<'a> {
    pub(super) survey: &'a Survey,
    pub(super) opened: Option<&'a OpenedPfx>,
    pub(super) password: Option<PasswordFacts>,
}

/// The report. Its names are stable.
#[derive(Debug, Serialize)]
pub(super) struct Inspection {
    pub(super) file: String,
    pub(super) size_bytes: usize,
    /// Whether it was opened; null when it takes a password that was not given.
    pub(super) opens: Option<bool>,
    /// What is missing to open it, when `opens` is null.
    pub(super) missing: Option<String>,
    /// Whether every private key has its certificate in the file; null when there is nothing to compare.
    pub(super) key_matches_certificate: Option<bool>,
    /// Keys, certificates and others, in the order of the file, as far as they are visible.
    pub(super) entries: Vec<Entry>,
    /// Parts whose entries are not visible without the password.
    pub(super) hidden_parts: usize,
    /// Of each part that no password opens here: what of its protection is not supported.
    pub(super) closed_parts: Vec<String>,
    /// What protects the file, in the order of the file.
    pub(super) algorithms: Vec<Use>,
    /// Names of those that are not approved in FIPS mode; none twice.
    pub(super) not_approved: Vec<String>,
    /// `mac`, `none` or `signature`; null when the file could not be read that far.
    pub(super) integrity: Option<&'static str>,
    /// `der` or `ber`.
    pub(super) encoding: Option<&'static str>,
    /// What of BER is used that DER does not have.
    pub(super) ber_forms: Vec<BerForm>,
    /// How the password had to be encoded.
    pub(super) password_form: Option<PasswordForm>,
    /// What each target says to it.
    pub(super) verdicts: Vec<Verdict>,
    /// In which mode this was done.
    pub(super) fips: Value,
    /// Beside all that.
    pub(super) notes: Vec<String>,
    /// Why it was not opened.
    #[serde(skip)]
    pub(super) error: Option<Failure>,
}

/// One use of an algorithm.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Use {
    /// Stable name.
    pub(super) name: String,
    /// For people.
    pub(super) text: String,
    /// `integrity`, `contents` (a part of the file with several entries), `private_key` or `secret`.
    pub(super) used_for: &'static str,
    pub(super) iterations: Option<u64>,
    pub(super) salt_bytes: Option<usize>,
    pub(super) supported: bool,
    pub(super) approved: bool,
    pub(super) not_approved_because: Option<String>,
}

impl Inspection {
    /// Of a file that could not be looked into.
    pub(super) fn of_nothing(file: &str, size_bytes: usize) -> Self {
        Self {
            file: file.to_owned(),
            size_bytes,
            opens: Some(false),
            missing: None,
            key_matches_certificate: None,
            entries: Vec::new(),
            hidden_parts: 0,
            closed_parts: Vec::new(),
            algorithms: Vec::new(),
            not_approved: Vec::new(),
            integrity: None,
            encoding: None,
            ber_forms: Vec::new(),
            password_form: None,
            verdicts: Vec::new(),
            fips: evidence::summary(),
            notes: Vec::new(),
            error: None,
        }
    }

    /// Of what was found.
    pub(super) fn of(file: &str, found: &Found<'_>, opens: Option<bool>) -> Self {
        let survey = found.survey;
        let entries = entries::of(survey, found.opened);
        let algorithms = uses(survey);
        let mut not_approved: Vec<String> = Vec::new();
        for used in algorithms.iter().filter(|used| !used.approved) {
            if !not_approved.contains(&used.name) {
                not_approved.push(used.name.clone());
            }
        }
        Self {
            opens,
            missing: opens
                .is_none()
                .then(|| "the password: name a file with it by --password-file".to_owned()),
            key_matches_certificate: entries::key_matches_certificate(&entries),
            hidden_parts: survey
                .parts
                .iter()
                .filter(|part| part.bags.is_none() && part.not_supported.is_none())
                .count(),
            closed_parts: survey
                .parts
                .iter()
                .filter_map(|part| part.not_supported.clone())
                .collect(),
            integrity: Some(match survey.integrity {
                Integrity::Mac(_) => "mac",
                Integrity::Signature => "signature",
                _ => "none",
            }),
            encoding: Some(if survey.encoding.der { "der" } else { "ber" }),
            ber_forms: survey.encoding.ber_forms.clone(),
            password_form: survey.password_form,
            verdicts: verdicts(survey, found.password),
            notes: notes(survey),
            entries,
            algorithms,
            not_approved,
            ..Self::of_nothing(file, survey.size_bytes)
        }
    }

    /// Whether nothing of the file was seen.
    pub(super) fn is_empty(&self) -> bool {
        self.integrity.is_none()
    }

    /// As one JSON object; with `error` when it did not open.
    pub(super) fn json(&self) -> Value {
        let mut json = serde_json::to_value(self).unwrap_or_default();
        if let (Value::Object(fields), Some(error)) = (&mut json, &self.error)
            && let Some(error) = error.json().get_mut("error")
        {
            fields.insert("error".to_owned(), error.take());
        }
        json
    }
}

fn uses(survey: &Survey) -> Vec<Use> {
    let mut uses = Vec::new();
    if let Integrity::Mac(mac) = &survey.integrity {
        uses.push(Use::of(
            &mac.algorithm,
            "integrity",
            mac.iterations,
            mac.salt_bytes,
        ));
    }
    let encryption = |facts: &EncryptionFacts, used_for| {
        Use::of(
            &facts.algorithm,
            used_for,
            facts.iterations,
            facts.salt_bytes,
        )
    };
    for part in &survey.parts {
        if let Protection::Password(facts) = &part.protection {
            uses.push(encryption(facts, "contents"));
        }
        for bag in part.bags.iter().flatten() {
            let used_for = match bag.kind {
                BagKind::Secret => "secret",
                _ => "private_key",
            };
            uses.extend(
                bag.encryption
                    .as_ref()
                    .map(|facts| encryption(facts, used_for)),
            );
        }
    }
    uses
}

impl Use {
    fn of(
        algorithm: &Algorithm,
        used_for: &'static str,
        iterations: Option<u64>,
        salt_bytes: Option<usize>,
    ) -> Self {
        Self {
            name: algorithm.name.clone(),
            text: algorithm.text.clone(),
            used_for,
            iterations,
            salt_bytes,
            supported: algorithm.supported,
            approved: algorithm.approved,
            not_approved_because: algorithm.not_approved_because.clone(),
        }
    }
}

fn notes(survey: &Survey) -> Vec<String> {
    let mut notes = Vec::new();
    if matches!(survey.integrity, Integrity::None) {
        notes.push("the file has no integrity check: changes of it are not noticed".to_owned());
    }
    if survey.trailing_octets > 0 {
        notes.push(format!(
            "{} octets follow the end of the file's structure",
            survey.trailing_octets
        ));
    }
    let closed = survey.not_supported();
    if survey.opened && !closed.is_empty() {
        notes.push(format!(
            "not supported, so it stays closed while the rest was read: {}",
            closed.join(", ")
        ));
    }
    let broken: Vec<&str> = survey
        .bags()
        .flat_map(|bag| bag.broken_attributes.iter().map(String::as_str))
        .collect();
    if !broken.is_empty() {
        notes.push(format!(
            "attributes with a value of the wrong type, passed over here: {}",
            broken.join(", ")
        ));
    }
    notes.push(match evidence::note() {
        Some(note) => note,
        None => "strict FIPS mode".to_owned(),
    });
    notes
}
