//! An error of custody as a finding: its own words, code and remedy.

use crate::doctor::catalogue::Check;
use crate::doctor::finding::Finding;
use hsm::{Error, KeyInfo};

/// The finding of `check` for an error.
pub(super) fn of_error(check: Check, key: &str, error: &Error) -> Finding {
    let found = check.error(key, error.to_string()).code(error.code());
    match error.hint() {
        Some(hint) => found.remedy(hint),
        None => found,
    }
}

/// A key as people know it.
pub(super) fn key_name(section: &str, key: &KeyInfo) -> String {
    let fingerprint: String = key.fingerprint.to_string().chars().take(16).collect();
    format!("{section} ({} {fingerprint}…)", key.label)
}
