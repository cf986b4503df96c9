//! `[fips]`.

use super::Findings;
use crate::config::{FipsConfig, FipsMode};

/// Rules between keys.
pub(super) fn consistent(section: &FipsConfig, findings: &mut Findings) {
    if section.mode == FipsMode::Off && !section.exceptions.is_empty() {
        findings.add(
            "`fips.exceptions` permit something in strict mode; with `mode = \"off\"` everything is permitted: leave out one of the two",
        );
    }
    if section.report_key.is_some() && section.report_token_key.is_some() {
        findings.add(
            "`fips`: both `report_key` and `report_token_key` are given; exactly one of them can sign",
        );
    }
}
