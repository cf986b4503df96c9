//! What is said of a library, a token, its flags, its keys and what it was seen to do.

use super::words::key_name;
use crate::doctor::catalogue::{
    TOKEN_DECRYPTION, TOKEN_ENCRYPTION, TOKEN_FOUND, TOKEN_KEY, TOKEN_KEY_COPIES, TOKEN_KEY_ORIGIN,
    TOKEN_MECHANISMS, TOKEN_MODULE_LOADS, TOKEN_PIN_TRIES, TOKEN_QUIRKS, TOKEN_STATE,
};
use crate::doctor::finding::Finding;
use fips::policy::{Exception, Mode};
use hsm::pkcs11::quirks::{self, Basis, Quirks};
use hsm::pkcs11::{Inspection, Slot};
use hsm::{Capabilities, KeyInfo, KeyProblem, Padding, TokenFlags, TokenInfo};
use serde_json::json;

/// Most tokens that are named.
const MOST_NAMED: usize = 8;

/// The library that was loaded.
pub(super) fn library(key: &str, inspection: &Inspection) -> Finding {
    TOKEN_MODULE_LOADS
        .ok(
            key,
            format!(
                "{} of {}, version {}, Cryptoki {}",
                named(&inspection.library_description),
                named(&inspection.library_manufacturer),
                inspection.library_version,
                inspection.cryptoki_version
            ),
        )
        .facts(json!({
            "description": inspection.library_description,
            "manufacturer": inspection.library_manufacturer,
            "version": inspection.library_version,
            "cryptokiVersion": inspection.cryptoki_version,
            "slots": inspection.slots,
        }))
}

fn named(text: &str) -> &str {
    if text.is_empty() { "(no name)" } else { text }
}

/// The one initialised token with that label.
pub(super) fn find<'a>(
    key: &str,
    inspection: &'a Inspection,
    label: &str,
) -> (Finding, Option<(&'a Slot, &'a TokenInfo)>) {
    let answering = || {
        inspection
            .with_token
            .iter()
            .filter_map(|slot| Some((slot, slot.token.as_ref()?)))
    };
    let mut fitting =
        answering().filter(|(_, token)| token.flags.initialized && token.label == label);
    match (fitting.next(), fitting.next()) {
        (Some((slot, token)), None) => (
            TOKEN_FOUND
                .ok(
                    key,
                    format!(
                        "\"{}\" in slot {}: {} {}, serial {}, firmware {}",
                        token.label,
                        token.slot,
                        named(&token.manufacturer),
                        named(&token.model),
                        named(&token.serial),
                        token.firmware_version
                    ),
                )
                .facts(json!({"token": token})),
            Some((slot, token)),
        ),
        (Some(_), Some(_)) => (
            TOKEN_FOUND
                .error(key, format!("several tokens are called \"{label}\""))
                .code("token_ambiguous")
                .remedy("give each token a label of its own"),
            None,
        ),
        (None, _) => {
            let mut there: Vec<String> = answering()
                .take(MOST_NAMED)
                .map(|(slot, token)| match token.flags.initialized {
                    true => format!("\"{}\" in slot {}", token.label, slot.slot),
                    false => format!("one that is not initialised in slot {}", slot.slot),
                })
                .collect();
            let silent = inspection.with_token.iter().filter_map(|slot| {
                let problem = slot.problem.as_ref()?;
                Some(format!(
                    "one that does not answer in slot {} ({problem})",
                    slot.slot
                ))
            });
            there.extend(silent.take(MOST_NAMED));
            let there = if there.is_empty() {
                "there is no token".to_owned()
            } else {
                format!("there are: {}", there.join(", "))
            };
            (
                TOKEN_FOUND
                    .error(
                        key,
                        format!(
                            "none of {} slots has a token \"{label}\"; {there}",
                            inspection.slots
                        ),
                    )
                    .code("token_not_found"),
                None,
            )
        }
    }
}

/// What the token lists.
pub(super) fn mechanisms(key: &str, slot: &Slot, for_custody: bool) -> Finding {
    let names: Vec<&str> = slot.used.iter().map(|mechanism| mechanism.name).collect();
    let facts = json!({"count": slot.mechanisms, "used": slot.used});
    let found = match slot.mechanisms {
        None => TOKEN_MECHANISMS.note(
            key,
            "the token does not list its mechanisms; trying decides",
        ),
        Some(count) => {
            let decrypts = names.contains(&"CKM_RSA_PKCS_OAEP") || names.contains(&"CKM_RSA_X_509");
            let text = format!("{count} listed; of those used here: {}", names.join(", "));
            if decrypts || !for_custody {
                TOKEN_MECHANISMS.ok(key, text)
            } else {
                TOKEN_MECHANISMS.error(
                    key,
                    format!(
                        "{count} listed, neither CKM_RSA_PKCS_OAEP nor CKM_RSA_X_509 among them"
                    ),
                )
            }
        }
    };
    found.facts(facts)
}

/// Whether a login can cost nothing that matters: the PIN is set, and no wrong one was tried since the last right one.
pub(super) const fn has_all_tries(flags: TokenFlags) -> bool {
    !flags.login_required
        || (flags.user_pin_initialized
            && !flags.user_pin_count_low
            && !flags.user_pin_final_try
            && !flags.user_pin_locked)
}

/// What the flags say (PKCS#11, section 3.2, CK_TOKEN_INFO).
pub(super) fn flags(key: &str, token: &TokenInfo) -> Vec<Finding> {
    let flags = token.flags;
    let state = if flags.error_state {
        TOKEN_STATE
            .error(
                key,
                "the token says that its self-test failed (CKF_ERROR_STATE)",
            )
            .code("token_error_state")
    } else if flags.write_protected {
        TOKEN_STATE
            .note(
                key,
                "write-protected (CKF_WRITE_PROTECTED): keys are used, but none can be generated",
            )
            .remedy("take the write protection away before `key generate`")
    } else {
        TOKEN_STATE.ok(key, "initialised, no failed self-test")
    };
    let tries = if !flags.login_required {
        TOKEN_PIN_TRIES
            .warning(
                key,
                "the token wants no login: whoever reaches it may use its keys",
            )
            .remedy("set a user PIN at the token")
    } else if flags.user_pin_locked {
        TOKEN_PIN_TRIES
            .error(key, "the PIN is locked (CKF_USER_PIN_LOCKED)")
            .code("pin_locked")
            .remedy("have the security officer set a new PIN")
    } else if flags.user_pin_final_try {
        TOKEN_PIN_TRIES
            .error(key, "one more wrong PIN locks the token (CKF_USER_PIN_FINAL_TRY): the engine does not log in")
            .code("pin_final_try")
            .remedy("log in once with the right PIN by the vendor's tool, to give the token its tries back")
    } else if !flags.user_pin_initialized {
        TOKEN_PIN_TRIES
            .error(key, "the token has no user PIN")
            .code("pin_not_initialized")
            .remedy("have the security officer set the user PIN")
    } else if flags.user_pin_count_low {
        TOKEN_PIN_TRIES
            .warning(
                key,
                "a wrong PIN was tried since the last right one (CKF_USER_PIN_COUNT_LOW)",
            )
            .code("pin_count_low")
    } else {
        TOKEN_PIN_TRIES.ok(
            key,
            match quirks::of(token).counts_pin_tries {
                Some(true) => "the PIN is set, and has all its tries",
                _ => {
                    "the PIN is set; no flag says that tries are gone (this token may not show it)"
                }
            },
        )
    };
    vec![state, tries.facts(json!({"flags": flags}))]
}

/// What is known about this kind of token.
pub(super) fn quirks(key: &str, token: &TokenInfo, threads: usize) -> Finding {
    let known = quirks::of(token);
    let mut text = match known.basis {
        Basis::Tried(version) => format!("{}, tried in version {version}", known.name),
        Basis::Documentation(_) => {
            format!(
                "{}, from its documentation: nothing of it was tried",
                known.name
            )
        }
        Basis::Unknown => {
            "nothing is known about this kind of token: what it does is found by trying".to_owned()
        }
    };
    for note in known.notes {
        text.push_str("; ");
        text.push_str(note);
    }
    let most = known
        .sessions_max
        .and_then(|most| usize::try_from(most).ok());
    let found = match (most, known.basis) {
        // One more is opened while a key is generated.
        (Some(most), _) if threads >= most => TOKEN_QUIRKS
            .warning(
                key,
                format!(
                    "{text}; {threads} threads are configured, and it has {most} sessions in all"
                ),
            )
            .remedy(format!(
                "`threads = {}` at most",
                most.saturating_sub(1).max(1)
            )),
        (_, Basis::Tried(_)) => TOKEN_QUIRKS.ok(key, text),
        (_, Basis::Documentation(_)) => TOKEN_QUIRKS.note(key, text).remedy(TOKEN_QUIRKS.remedy),
        (_, Basis::Unknown) => TOKEN_QUIRKS.note(key, text),
    };
    found.facts(json!({"quirks": known}))
}

/// The keys, what they may do, where they are from, and where else they are.
pub(super) fn keys(key: &str, keys: &[KeyInfo], known: &Quirks, for_custody: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    let any_usable = keys.iter().any(KeyInfo::is_usable);
    for info in keys {
        let another = any_usable || !for_custody;
        findings.extend(one_key(key, info, known, another, for_custody));
    }
    if !any_usable && for_custody {
        let text = if keys.is_empty() {
            "there is no private RSA key on the token"
        } else {
            "there is no key on the token that may be used for custody"
        };
        findings.push(TOKEN_KEY.error(key, text).code("no_key"));
    }
    findings
}

fn one_key(
    section: &str,
    info: &KeyInfo,
    known: &Quirks,
    another: bool,
    for_custody: bool,
) -> Vec<Finding> {
    let name = key_name(section, info);
    let facts = json!({
        "fingerprint": info.fingerprint,
        "label": info.label,
        "modulusBits": info.modulus_bits,
        "attributes": info.attributes,
        "problems": info.problems,
    });
    if !info.is_usable() {
        let problems: Vec<String> = info.problems.iter().map(ToString::to_string).collect();
        let text = format!(
            "RSA-{}, refused: {}",
            info.modulus_bits,
            problems.join("; ")
        );
        let only_signs = info.attributes.sign == Some(true)
            && info.attributes.decrypt == Some(false)
            && !info.problems.contains(&KeyProblem::Extractable)
            && !info.problems.contains(&KeyProblem::NotSensitive);
        let found = match (only_signs, another) {
            (true, _) => TOKEN_KEY.note(
                name,
                format!("RSA-{}, a signing key: no custody key", info.modulus_bits),
            ),
            (false, true) => TOKEN_KEY
                .warning(name, text)
                .code("key_refused")
                .remedy("destroy it if nobody uses it: the engine does not"),
            (false, false) => TOKEN_KEY.error(name, text).code("key_refused"),
        };
        let found = if info.problems == [KeyProblem::Extractable] {
            found.remedy("whoever has the PIN can wrap it: if it was made with `--replicable`, seal it after the last copy (`key replicate seal`); else destroy it")
        } else {
            found
        };
        return vec![found.facts(facts)];
    }
    let text = format!(
        "RSA-{}, sensitive, not extractable, for decryption alone",
        info.modulus_bits
    );
    let mut findings = Vec::new();
    if info.waived.is_empty() {
        findings.push(TOKEN_KEY.ok(&name, text).facts(facts));
    } else {
        let waived: Vec<String> = info.waived.iter().map(ToString::to_string).collect();
        findings.push(
            TOKEN_KEY
                .warning(
                    &name,
                    format!(
                        "RSA-{}, used by the exception `extractable-keys` although {}",
                        info.modulus_bits,
                        waived.join("; ")
                    ),
                )
                .facts(facts),
        );
    }
    findings.push(origin(&name, info, known));
    if for_custody {
        findings.push(TOKEN_KEY_COPIES.warning(
            &name,
            "on this token alone, as far as this configuration tells: if the token is lost, so is everything that was imported for it",
        ).code("single_copy").facts(json!({"copies": 1, "fingerprint": info.fingerprint})));
    }
    findings
}

fn origin(name: &str, info: &KeyInfo, known: &Quirks) -> Finding {
    let facts = json!({
        "local": info.attributes.local,
        "neverExtractable": info.attributes.never_extractable,
        "alwaysSensitive": info.attributes.always_sensitive,
    });
    match (info.attributes.local, info.attributes.never_extractable) {
        (_, Some(false)) => TOKEN_KEY_ORIGIN.warning(
            name,
            "it was extractable once (CKA_NEVER_EXTRACTABLE is false): copies may exist outside of tokens",
        ),
        // What the token says of its keys is no more than it keeps.
        (_, Some(true)) if known.keeps_extractability == Some(false) => TOKEN_KEY_ORIGIN
            .note(
                name,
                "never extractable, says the token, but this kind of token does not keep that (CKA_NEVER_EXTRACTABLE)",
            )
            .remedy(TOKEN_KEY_ORIGIN.remedy),
        (Some(true), Some(true)) => TOKEN_KEY_ORIGIN.ok(
            name,
            "generated on this token, never extractable (CKA_LOCAL, CKA_NEVER_EXTRACTABLE)",
        ),
        (Some(false), Some(true)) if known.generated_is_local == Some(false) => TOKEN_KEY_ORIGIN.ok(
            name,
            "never extractable (CKA_NEVER_EXTRACTABLE); whether it was generated here this kind of token does not tell",
        ),
        (Some(false), _) => TOKEN_KEY_ORIGIN
            .note(name, "not generated on this token (CKA_LOCAL is false)")
            .remedy(TOKEN_KEY_ORIGIN.remedy),
        _ => TOKEN_KEY_ORIGIN
            .note(
                name,
                "the token does not say where it is from (CKA_LOCAL, CKA_NEVER_EXTRACTABLE)",
            )
            .remedy(TOKEN_KEY_ORIGIN.remedy),
    }
    .facts(facts)
}

fn list(paddings: &[Padding]) -> String {
    let names: Vec<String> = paddings.iter().map(ToString::to_string).collect();
    names.join(", ")
}

/// What the token was seen to do with its usable keys; nothing where there is none.
pub(super) fn capabilities(
    key: &str,
    keys: &[KeyInfo],
    seen: &Capabilities,
    for_custody: bool,
) -> Vec<Finding> {
    if !keys.iter().any(KeyInfo::is_usable) {
        return Vec::new();
    }
    let mut findings = Vec::new();
    if for_custody {
        findings.push(decryption(key, seen));
    }
    findings.push(encryption(key, seen));
    findings
}

fn decryption(key: &str, seen: &Capabilities) -> Finding {
    let software = match seen.software_unpadding.as_slice() {
        [] => String::new(),
        some => format!("; with CKM_RSA_X_509 and this program: {}", list(some)),
    };
    let missing: Vec<Padding> = Padding::OAEP
        .into_iter()
        .filter(|padding| {
            !seen.native.contains(padding) && !seen.software_unpadding.contains(padding)
        })
        .collect();
    let facts = json!({
        "native": seen.native,
        "softwareUnpadding": seen.software_unpadding,
        "missing": missing,
    });
    let native = match seen.native.as_slice() {
        [] => "natively none".to_owned(),
        some => format!("natively {}", list(some)),
    };
    if seen.native.is_empty() && seen.software_unpadding.is_empty() {
        return TOKEN_DECRYPTION
            .error(
                key,
                "the token decrypts no padding that is tried, whatever it lists",
            )
            .code("padding_not_supported")
            .facts(facts);
    }
    let text = format!("{native}{software}");
    if missing.is_empty() {
        TOKEN_DECRYPTION.ok(key, text)
    } else {
        TOKEN_DECRYPTION
            .note(key, format!("{text}; not {}: such records are refused", list(&missing)))
            .remedy("import with a padding that the token does (`key show` names the best), name the exception `oaep-unpadding-in-software` if the token does CKM_RSA_X_509, or use a token that does more")
    }
    .facts(facts)
}

fn encryption(key: &str, seen: &Capabilities) -> Finding {
    let facts = json!({"native": seen.encrypt_native});
    if !seen.encrypt_native.is_empty() {
        return TOKEN_ENCRYPTION
            .ok(key, list(&seen.encrypt_native))
            .facts(facts);
    }
    let policy = fips::policy::in_force();
    let by_module = policy.mode() == Mode::Off
        || policy
            .exceptions()
            .contains(Exception::RsaKeyTransportInModule);
    if by_module {
        TOKEN_ENCRYPTION.note(key, "the token does not encrypt to public keys; the module does it here, which is not approved")
    } else {
        TOKEN_ENCRYPTION
            .error(key, "the token does not encrypt to public keys: in strict mode nothing can be delivered to RSA devices")
            .code("encryption_not_supported")
    }
    .facts(facts)
}

#[cfg(test)]
mod tests;
