//! What `key` says about keys: for auditors the attributes, for importers the padding.

use super::key::copies::Copies;
use super::key::{Known, padding_name};
use super::output::Report;
use super::token::best_padding;
use hsm::{
    AuditValue, Capabilities, KeyAttributes, KeyAudit, KeyInfo, Padding, SigningKeyInfo, TokenInfo,
};
use serde_json::{Value, json};
use std::fmt::Write;
use std::path::Path;

/// The keys of a token: those that could be custody keys with everything, the others by what they are.
pub(super) fn list(
    token: &TokenInfo,
    keys: &[KeyInfo],
    audits: &[KeyAudit],
    copies: &Copies,
) -> Report {
    let mut text = token_line(token);
    if keys.is_empty() {
        text.push_str("\nNo private RSA key.");
    }
    let mut listed = Vec::new();
    for key in keys {
        let state = if key.is_usable() { "usable" } else { "refused" };
        let _ = write!(
            text,
            "\n{}  RSA-{}  {state}  {}\n    {}; {}",
            key.fingerprint,
            key.modulus_bits,
            key.label,
            key.attributes.origin().words(),
            copies_words(copies, key)
        );
        for problem in &key.problems {
            let _ = write!(text, "\n    refused: {problem}");
        }
        let audit = audits
            .iter()
            .find(|audit| audit.fingerprint == Some(key.fingerprint));
        listed.push(key_json(key, audit, Some(copies)));
    }
    // Whatever custody has no use for is named as well: an auditor asks what else is on the token.
    let others: Vec<_> = audits
        .iter()
        .filter(|audit| audit.fingerprint.is_none())
        .collect();
    for other in &others {
        let _ = write!(
            text,
            "\n{} {}{}  {}",
            other.class,
            other.key_type,
            other
                .bits
                .map(|bits| format!(" {bits} bits"))
                .unwrap_or_default(),
            other.label
        );
    }
    let json = json!({
        "token": token,
        "keys": listed,
        "otherKeys": others.into_iter().map(audit_json).collect::<Vec<_>>(),
        "tokensLookedAt": copies.tokens(),
    });
    Report::done(json, text)
}

fn copies_words(copies: &Copies, key: &KeyInfo) -> String {
    let found = copies.of(&key.fingerprint).len();
    let tokens = copies.tokens();
    format!(
        "{found} {} on the {tokens} {} that {} looked at",
        if found == 1 { "copy" } else { "copies" },
        if tokens == 1 { "token" } else { "tokens" },
        if tokens == 1 { "was" } else { "were" }
    )
}

fn audit_json(audit: &KeyAudit) -> Value {
    json!({
        "class": audit.class,
        "keyType": audit.key_type,
        "bits": audit.bits,
        "label": audit.label,
        "id": crate::encoding::hex(&audit.id),
        "attributes": attributes_json(audit),
    })
}

/// Every attribute; null where the token does not tell.
fn attributes_json(audit: &KeyAudit) -> Value {
    let fields = audit
        .attributes
        .iter()
        .map(|attribute| (attribute.json.to_owned(), json!(attribute.value)));
    Value::Object(fields.collect())
}

/// One key, with what its token does.
pub(super) fn show(
    token: &TokenInfo,
    key: &KeyInfo,
    capabilities: &Capabilities,
    known: Option<&Known>,
) -> Report {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "Key          {} (RSA-{})",
        key.label, key.modulus_bits
    );
    let _ = writeln!(text, "Fingerprint  {}", key.fingerprint);
    let _ = writeln!(text, "Identifier   {}", crate::encoding::hex(&key.id));
    let _ = writeln!(text, "{}", token_line(token));
    let _ = writeln!(text, "Origin       {}", key.attributes.origin().words());
    let audit = known.and_then(|known| known.audit(key));
    if let Some(known) = known {
        let _ = writeln!(text, "Copies       {}", copies_words(known.copies(), key));
    }
    match audit {
        Some(audit) => {
            for attribute in &audit.attributes {
                let value = match &attribute.value {
                    Some(AuditValue::Flag(on)) => on.to_string(),
                    Some(AuditValue::Text(text)) => text.clone(),
                    None => "not told".to_owned(),
                };
                let _ = writeln!(text, "  {:<24} {value}", attribute.name);
            }
        }
        None => {
            for (name, value) in attributes(&key.attributes) {
                let _ = writeln!(text, "  {name:<24} {}", word(value));
            }
        }
    }
    for problem in &key.problems {
        let _ = writeln!(text, "Refused:     {problem}");
    }
    for waived in &key.waived {
        let _ = writeln!(text, "Allowed by the development switch: {waived}");
    }
    let _ = writeln!(
        text,
        "The token decrypts by itself:   {}",
        names(&capabilities.native)
    );
    let _ = writeln!(
        text,
        "With unpadding in software:     {} (not an approved service)",
        names(&capabilities.software_unpadding)
    );
    let _ = writeln!(
        text,
        "The token encrypts by itself:   {}",
        names(&capabilities.encrypt_native)
    );
    let _ = write!(
        text,
        "Best padding for import:        {}",
        best_padding(&capabilities.native).map_or_else(|| "none".to_owned(), config_name)
    );
    let mut json = key_json(key, audit, known.map(Known::copies));
    if let Value::Object(fields) = &mut json {
        fields.insert("token".to_owned(), json!(token));
        fields.insert("capabilities".to_owned(), json!(capabilities));
        fields.insert("bestPadding".to_owned(), padding_name(&capabilities.native));
    }
    Report::done(json, text)
}

/// A key that signs reports.
pub(super) fn signing(token: &TokenInfo, key: &SigningKeyInfo, file: Option<&Path>) -> Report {
    let mut text = String::from("Made a signing key.\n");
    let _ = writeln!(
        text,
        "Key          {} ({})",
        key.label,
        key.algorithm.name()
    );
    let _ = writeln!(text, "Fingerprint  {}", key.fingerprint);
    let _ = writeln!(text, "Identifier   {}", crate::encoding::hex(&key.id));
    let _ = writeln!(text, "{}", token_line(token));
    for (name, value) in attributes(&key.attributes) {
        let _ = writeln!(text, "  {name:<24} {}", word(value));
    }
    if let Some(file) = file {
        let _ = writeln!(text, "Public half  {}", file.display());
    }
    let _ = write!(
        text,
        "`report_token_key = \"{}\"` in [fips] has it sign evidence reports. Give the public half, or its fingerprint, to those who \
         verify them by another way than the reports.",
        key.label
    );
    let mut json = json!(key);
    if let Value::Object(fields) = &mut json {
        fields.insert("id".to_owned(), json!(crate::encoding::hex(&key.id)));
        fields.remove("spkiDer");
        fields.insert("problems".to_owned(), json!(texts(&key.problems)));
        fields.insert("token".to_owned(), json!(token));
        fields.insert("publicKey".to_owned(), json!(file));
    }
    Report::done(json, text)
}

fn texts(problems: &[hsm::KeyProblem]) -> Vec<String> {
    problems.iter().map(ToString::to_string).collect()
}

fn key_json(key: &KeyInfo, audit: Option<&KeyAudit>, copies: Option<&Copies>) -> Value {
    let mut json = json!(key);
    if let Value::Object(fields) = &mut json {
        // Bytes as lists of numbers are of use to nobody.
        fields.insert("id".to_owned(), json!(crate::encoding::hex(&key.id)));
        fields.remove("spkiDer");
        fields.insert("problems".to_owned(), json!(texts(&key.problems)));
        fields.insert("waived".to_owned(), json!(texts(&key.waived)));
        fields.insert("usable".to_owned(), json!(key.is_usable()));
        fields.insert("origin".to_owned(), json!(key.attributes.origin()));
        if let Some(audit) = audit {
            fields.insert("class".to_owned(), json!(audit.class));
            fields.insert("keyType".to_owned(), json!(audit.key_type));
            fields.insert("attributes".to_owned(), attributes_json(audit));
        }
        if let Some(copies) = copies {
            let found = copies.of(&key.fingerprint);
            fields.insert("copies".to_owned(), json!(found));
        }
    }
    json
}

/// The name that a configuration and Graph use.
fn config_name(padding: Padding) -> String {
    json!(padding).as_str().unwrap_or_default().to_owned()
}

fn names(paddings: &[Padding]) -> String {
    if paddings.is_empty() {
        return "nothing".to_owned();
    }
    let names: Vec<_> = paddings.iter().map(|p| config_name(*p)).collect();
    names.join(", ")
}

fn token_line(token: &TokenInfo) -> String {
    format!(
        "Token        {} ({} {}, serial {}, firmware {}; library {} {})",
        token.label,
        token.manufacturer,
        token.model,
        token.serial,
        token.firmware_version,
        token.library_description,
        token.library_version
    )
}

fn attributes(of: &KeyAttributes) -> [(&'static str, Option<bool>); 11] {
    [
        ("CKA_SENSITIVE", of.sensitive),
        ("CKA_ALWAYS_SENSITIVE", of.always_sensitive),
        ("CKA_EXTRACTABLE", of.extractable),
        ("CKA_NEVER_EXTRACTABLE", of.never_extractable),
        ("CKA_LOCAL", of.local),
        ("CKA_TOKEN", of.token),
        ("CKA_PRIVATE", of.private),
        ("CKA_DECRYPT", of.decrypt),
        ("CKA_SIGN", of.sign),
        ("CKA_UNWRAP", of.unwrap),
        ("CKA_ALWAYS_AUTHENTICATE", of.always_authenticate),
    ]
}

fn word(value: Option<bool>) -> &'static str {
    match value {
        Some(true) => "true",
        Some(false) => "false",
        None => "not told",
    }
}
