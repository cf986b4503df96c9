//! The policy as text: everything of `[engine]` and `[fips]` on which security rests, so that its digest can be recorded and a change of it
//! approved.
//!
//! Files count by what is in them, and not by their names: anchors, importers' and approvers' keys. Exceptions to that are revocation lists,
//! which change every day, and modules of tokens, which are updated with the system. What only says how fast or how much at once (threads,
//! restarts, requests in flight), where a PIN is read and whether a token is drained is no policy.

use super::EnginePolicy;
use crate::config::{
    AuditConfig, CaConfig, ClientKeyConfig, EngineConfig, OracleConfig, TokenSection,
};
use audit::Hash;
use audit::approval::{PolicyText, Quorum};
use serde::Serialize;
use std::path::PathBuf;

/// The policy of this configuration, and of the cryptographic policy that is in force in this process.
#[must_use]
pub fn text_of(
    config: &EngineConfig,
    policy: &EnginePolicy,
    fips: &fips::policy::Policy,
) -> PolicyText {
    let mut text = PolicyText::default();
    text.say("fips.mode", fips.mode().name());
    let mut named: Vec<_> = fips.exceptions().iter().map(|one| one.name()).collect();
    named.extend(config.exceptions.iter().map(|exception| exception.name()));
    for exception in named {
        text.say(format!("exceptions.{exception}"), "named");
    }
    for uid in &config.allowed_uids {
        text.say(format!("engine.allowed_uids.{uid}"), "may call");
    }
    for delivery in &config.deliveries {
        text.say(
            format!("engine.deliveries.{}", delivery.config_name()),
            "allowed",
        );
    }
    for anchor in &policy.anchors_der {
        let fingerprint = Hash::of(anchor.as_slice());
        text.say(format!("engine.device_anchors.{fingerprint}"), "trusted");
    }
    for importer in &policy.importers {
        let name = format!("engine.importers.{}", importer.name());
        text.say(name, importer.fingerprint());
    }
    devices(&mut text, config);
    text.say("engine.pfx.form", word(&config.pfx.form));
    let user_in = word(&config.pfx.user_in_certificate);
    text.say("engine.pfx.user_in_certificate", user_in);
    text.say("engine.pfx.max_iterations", config.pfx.max_iterations);
    if let Some(issuance) = &config.issuance {
        let to = issuance.custody_key.as_deref().unwrap_or("the only one");
        text.say("engine.issuance.custody_key", to);
    }
    if let Some(rotation) = &config.rotation {
        text.say("engine.rotation.signing_key", shown(&rotation.signing_key));
    }
    for ca in &config.ca {
        let certificate = policy
            .authorities
            .iter()
            .find(|known| known.name == ca.name)
            .map(|known| Hash::of(known.authority.certificate_der()));
        authority(&mut text, ca, certificate);
    }
    for key in &config.client_keys {
        client_key(&mut text, key);
    }
    for key in &config.pkcs1_keys {
        let name = format!("engine.pkcs1_keys.{}", key.fingerprint);
        text.say(name, format!("until {}", key.until));
    }
    for (path, token) in config.token_paths() {
        token_section(&mut text, &path, token);
    }
    oracle(&mut text, &config.oracle);
    log(&mut text, config.audit.as_ref());
    approvals(&mut text, policy.approvals.as_ref());
    text
}

/// Where approvals of a change of policy are read from: where the configuration says, or beside the log.
#[must_use]
pub fn approvals_folder(config: &EngineConfig) -> Option<PathBuf> {
    let named = config
        .approvals
        .as_ref()
        .and_then(|approvals| approvals.folder.clone());
    named.or_else(|| Some(config.audit.as_ref()?.folder.join("approvals")))
}

fn authority(text: &mut PolicyText, ca: &CaConfig, certificate: Option<Hash>) {
    // Named one by one: a key that is added does not compile before it is here.
    let CaConfig {
        name,
        signing_key,
        certificate: _,
        crl_url,
        delta_crl_url,
        ocsp_url,
        issuer_url,
        crl_hours,
        delta_crl_hours,
        ocsp_key,
        ocsp_hours,
        // As those of client keys: how often, not what.
        ocsp_per_minute: _,
        profiles,
    } = ca;
    let mut say = |key: &str, value: String| text.say(format!("engine.ca.{name}.{key}"), value);
    say("signing_key", shown(signing_key));
    if let Some(certificate) = certificate {
        say("certificate", certificate.to_string());
    }
    say("crl_url", shown(crl_url));
    say("delta_crl_url", shown(delta_crl_url));
    say("ocsp_url", shown(ocsp_url));
    say("issuer_url", shown(issuer_url));
    say("crl_hours", crl_hours.to_string());
    say("delta_crl_hours", delta_crl_hours.to_string());
    say("ocsp_key", shown(ocsp_key));
    say("ocsp_hours", ocsp_hours.to_string());
    for profile in profiles {
        say(&format!("profiles.{}", profile.name), shown(profile));
    }
}

fn client_key(text: &mut PolicyText, key: &ClientKeyConfig) {
    let ClientKeyConfig {
        name,
        signing_key,
        common_name,
        uids,
        per_minute: _,
    } = key;
    let mut say = |key: &str, value: String| {
        text.say(format!("engine.client_keys.{name}.{key}"), value);
    };
    say("signing_key", shown(signing_key));
    say("common_name", shown(common_name));
    say("uids", shown(uids));
}

fn devices(text: &mut PolicyText, config: &EngineConfig) {
    let rules = &config.device_policy;
    let name = |key: &str| format!("engine.device_policy.{key}");
    text.say(name("minimum_rsa_bits"), rules.minimum_rsa_bits);
    for kind in &rules.keys {
        text.say(name(&format!("keys.{}", word(kind))), "allowed");
    }
    text.say(name("require_key_usage"), rules.require_key_usage);
    for file in &rules.crls {
        text.say(name(&format!("crls.{}", shown(file))), "read");
    }
    text.say(name("revocation"), word(&rules.revocation));
}

fn token_section(text: &mut PolicyText, path: &str, token: &TokenSection) {
    text.say(format!("{path}.module"), shown(&token.module));
    text.say(format!("{path}.label"), shown(&token.label));
    if let Some(parameters) = &token.init_parameters {
        // They may hold a password: some modules are told theirs in this way.
        text.say(
            format!("{path}.init_parameters"),
            Hash::of(parameters.as_bytes()),
        );
    }
    if let Some(certificate) = &token.fips_certificate {
        text.say(format!("{path}.fips_certificate"), shown(certificate));
    }
    for (variable, value) in &token.environment {
        text.say(
            format!("{path}.environment.{variable}"),
            Hash::of(value.as_bytes()),
        );
    }
}

fn oracle(text: &mut PolicyText, oracle: &OracleConfig) {
    // Named one by one: a limit that is added does not compile before it is here.
    let OracleConfig {
        importer_failures_per_hour,
        importer_failures_per_day,
        caller_failures_per_hour,
        uses_per_ciphertext,
        devices_per_ciphertext,
        grid_ms,
        release,
        check_password,
    } = oracle;
    let mut say = |key: &str, value: &dyn ToString| {
        text.say(format!("engine.oracle.{key}"), value.to_string());
    };
    say("importer_failures_per_hour", importer_failures_per_hour);
    say("importer_failures_per_day", importer_failures_per_day);
    say("caller_failures_per_hour", caller_failures_per_hour);
    say("uses_per_ciphertext", uses_per_ciphertext);
    say("devices_per_ciphertext", devices_per_ciphertext);
    say("grid_ms", grid_ms);
    say("release", &word(release));
    say("check_password", &word(check_password));
}

fn log(text: &mut PolicyText, audit: Option<&AuditConfig>) {
    let Some(audit) = audit else {
        return;
    };
    text.say("engine.audit.folder", shown(&audit.folder));
    // Which key that is, is told by the seals themselves; a file's name stands for whoever may write it.
    if let Some(file) = &audit.signing_key_file {
        text.say("engine.audit.signing_key_file", shown(file));
    }
    if let Some(label) = &audit.signing_key {
        text.say("engine.audit.signing_key", shown(label));
    }
    if let Some(file) = &audit.anchor_file {
        text.say("engine.audit.anchor_file", shown(file));
    }
}

fn approvals(text: &mut PolicyText, quorum: Option<&Quorum>) {
    let Some(quorum) = quorum else {
        text.say("engine.approvals.required", 0);
        return;
    };
    text.say("engine.approvals.required", quorum.required());
    for approver in quorum.approvers() {
        let name = format!("engine.approvals.approvers.{}", approver.name());
        text.say(name, approver.fingerprint());
    }
}

/// A word as the configuration writes it.
fn word<T: Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        Ok(other) => other.to_string(),
        Err(_) => String::new(),
    }
}

/// A text of the configuration in quotes, so that nothing in it looks like something else.
fn shown<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

#[cfg(test)]
mod tests;
