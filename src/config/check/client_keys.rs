//! `[[engine.client_keys]]`.

use super::Findings;
use super::engine::is_name;
use crate::config::EngineConfig;
use std::collections::{BTreeMap, BTreeSet};

/// The longest common name (RFC 5280, ub-common-name).
const MAX_COMMON_NAME: usize = 64;

pub(super) fn consistent(section: &EngineConfig, findings: &mut Findings) {
    let mut names = BTreeSet::new();
    let mut labels = used_otherwise(section);
    for key in &section.client_keys {
        if !is_name(&key.name) {
            findings.add(format!(
                "`engine.client_keys.name` {:?}: 1 to 32 letters, digits, `-`, `_` and `.`",
                key.name
            ));
        }
        if !names.insert(key.name.as_str()) {
            findings.add(format!(
                "`engine.client_keys`: two are called `{}`",
                key.name
            ));
        }
        let is_common_name = (1..=MAX_COMMON_NAME).contains(&key.common_name.len())
            && key
                .common_name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        if !is_common_name {
            findings.add(format!(
                "`engine.client_keys.{}.common_name`: 1 to {MAX_COMMON_NAME} letters, digits, `-`, `_` and `.`",
                key.name
            ));
        }
        let here = format!("engine.client_keys.{}", key.name);
        if let Some(other) = labels.insert(key.signing_key.as_str(), here.clone()) {
            findings.add(format!(
                "`{here}.signing_key` is the key of `{other}` too: whoever may have the one signed could have the other signed as well"
            ));
        }
        for uid in &key.uids {
            if !section.allowed_uids.contains(uid) {
                findings.add(format!(
                    "`{here}.uids`: {uid} is not in `engine.allowed_uids`, so that it cannot ask for anything"
                ));
            }
        }
    }
}

/// The labels of the keys that sign for another part of the configuration.
fn used_otherwise(section: &EngineConfig) -> BTreeMap<&str, String> {
    let mut labels = BTreeMap::new();
    for ca in &section.ca {
        let path = format!("engine.ca.{}", ca.name);
        labels.insert(ca.signing_key.as_str(), path.clone());
        if let Some(ocsp) = &ca.ocsp_key {
            labels.insert(ocsp.as_str(), path);
        }
    }
    if let Some(rotation) = &section.rotation {
        labels.insert(rotation.signing_key.as_str(), "engine.rotation".to_owned());
    }
    if let Some(label) = section
        .audit
        .as_ref()
        .and_then(|audit| audit.signing_key.as_deref())
    {
        labels.insert(label, "engine.audit".to_owned());
    }
    labels
}
