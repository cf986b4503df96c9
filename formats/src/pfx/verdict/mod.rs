//! Whether a platform opens a PFX, and why not: what each is known to read, as data, held against the facts of the file.
//!
//! Devices answer "wrong password" to files whose algorithms they do not know. Here that is said beforehand. What is known of a platform
//! is in a file of its own, with its sources, and with how it is known: tried with the program itself, or told by documentation and by
//! those who met it. Where nothing is known, the verdict says that too.

mod android;
mod apple;
mod feature;
mod fips;
mod form;
mod java;
mod nss;
mod openssl;
mod rule;
#[cfg(test)]
mod tests;
mod windows;

use super::{Survey, Target, printable_ascii};
use ::fips::secret::SecretBytes;
use feature::features;
pub use form::of_form;
pub use rule::{Answer, Basis, Platform, Rule, What};
use serde::Serialize;

/// Whether one target opens one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub struct Verdict {
    /// The target.
    pub target: Target,
    /// The answer. Where only the outside of the file was seen it is about that: see [`Verdict::complete`].
    pub opens: Opens,
    /// Why, each thing once: what keeps it from opening, on which condition it does, or what is not known; when nothing is in the way,
    /// that.
    pub reasons: Vec<Reason>,
    /// How that is known.
    pub basis: Basis,
    /// Whether all of the file was seen. A file that was not opened may hold more that matters, such as how its keys are encrypted.
    pub complete: bool,
}

/// The answer of a verdict, from the best to the worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Opens {
    /// It opens.
    Yes,
    /// It opens on a condition, such as a version.
    WithCondition,
    /// Nothing reliable is known: try it.
    NotKnown,
    /// It does not open.
    No,
}

/// One reason of a verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub struct Reason {
    /// What of the file it is about; `None` for the file as a whole.
    pub what: Option<String>,
    /// What it means by itself.
    pub opens: Opens,
    /// In words.
    pub text: String,
}

impl Reason {
    /// The whole reason as one sentence without its full stop.
    #[must_use]
    pub fn sentence(&self) -> String {
        match &self.what {
            Some(what) => format!("{what}: {}", self.text),
            None => self.text.clone(),
        }
    }
}

/// What is known of a target.
#[must_use]
pub fn platform(target: Target) -> &'static Platform {
    match target {
        Target::WindowsServer2016 => &windows::SERVER_2016,
        Target::Windows2019 => &windows::SERVER_2019,
        Target::Ios => &apple::IOS,
        Target::MacOs => &apple::MACOS,
        Target::Android => &android::ANDROID,
        Target::OpenSsl3 => &openssl::OPENSSL3,
        Target::Java => &java::JAVA,
        Target::Nss => &nss::NSS,
        Target::FipsStrict => &fips::STRICT,
    }
}

/// What of a password matters to readers. Says nothing of the password itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PasswordFacts {
    /// Its length in bytes of UTF-8.
    pub bytes: usize,
    /// Whether every character is a printable one of ASCII.
    pub printable_ascii: bool,
}

impl PasswordFacts {
    /// Of a password in UTF-8.
    #[must_use]
    pub fn of(password: &SecretBytes) -> Self {
        Self {
            bytes: password.len(),
            printable_ascii: printable_ascii(password.expose()),
        }
    }
}

/// Whether the target opens a file with these facts under its right password; what is known of that password is counted in.
#[must_use]
pub fn verdict(survey: &Survey, password: Option<PasswordFacts>, target: Target) -> Verdict {
    let platform = platform(target);
    let mut reasons: Vec<Reason> = Vec::new();
    for feature in features(survey, password) {
        if let Some(reason) = platform.judge(&feature)
            && !reasons.contains(&reason)
        {
            reasons.push(reason);
        }
    }
    let opens = reasons
        .iter()
        .map(|reason| reason.opens)
        .max()
        .unwrap_or(Opens::Yes);
    // What decides comes first; what was noticed beside it stays.
    reasons.sort_by_key(|reason| std::cmp::Reverse(reason.opens));
    if reasons.iter().all(|reason| reason.opens == Opens::Yes) {
        reasons.insert(
            0,
            Reason {
                what: None,
                opens: Opens::Yes,
                text: platform.all_read.to_owned(),
            },
        );
    }
    Verdict {
        target,
        opens,
        reasons,
        basis: platform.basis,
        complete: survey.bags_are_all_visible(),
    }
}

/// The verdicts of all targets, in the order of [`Target::ALL`].
#[must_use]
pub fn verdicts(survey: &Survey, password: Option<PasswordFacts>) -> Vec<Verdict> {
    Target::ALL
        .into_iter()
        .map(|target| verdict(survey, password, target))
        .collect()
}
