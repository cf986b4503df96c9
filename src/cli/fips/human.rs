//! The status as a page for people: what can be claimed first, then what it is made of.

use crate::cli::page::Page;
use crate::engine::api::KeyStatus;
use crate::evidence::process::ProcessEvidence;
use crate::evidence::status::{FipsStatus, ServiceTotal, TokenEvidence};
use crate::evidence::tls::{TlsEvidence, TlsRefusal};
use fips::claim::Level;
use serde_json::Value;

/// Width of the column of names.
const NAME: usize = 17;

/// The page, at most 100 columns wide.
pub(super) fn page(status: &FipsStatus) -> String {
    let mut page = Page::default();
    claim(&mut page, status);
    if !status.healthy {
        wrong(&mut page, status);
    }
    facts(&mut page, status);
    services(&mut page, status);
    processes(&mut page, status);
    advisories(&mut page, status);
    page.finish()
}

fn claim(page: &mut Page, status: &FipsStatus) {
    page.text(&format!("{}.", capital(&status.overall.says)));
    page.heading(&format!("Said by {}.", status.source));
    page.text(&format!(
        "Written by pfx-connector {} at {}.",
        status.version, status.made_at
    ));
    page.heading("What each part leaves possible at most, and why:");
    for (name, part) in status.claim.parts() {
        page.row(
            &[(&format!("  {name}"), NAME + 2), (short(part.level), 18)],
            &part.says,
        );
    }
}

fn capital(text: &str) -> String {
    let mut rest = text.chars();
    match rest.next() {
        Some(first) => first.to_uppercase().chain(rest).collect(),
        None => String::new(),
    }
}

const fn short(level: Level) -> &'static str {
    match level {
        Level::Unvalidated => "unvalidated",
        Level::Pending => "pending",
        Level::CertifiedSource => "certified source",
        Level::Certified => "certified",
    }
}

fn wrong(page: &mut Page, status: &FipsStatus) {
    page.heading("NOT HEALTHY:");
    for problem in &status.module_problems {
        page.row(&[("  -", 4)], problem);
    }
    for process in &status.silent {
        page.row(&[("  -", 4)], &format!("{process} does not report"));
    }
}

fn facts(page: &mut Page, status: &FipsStatus) {
    page.heading("Facts:");
    let mut row = |name: &str, text: &str| page.row(&[(&format!("  {name}"), NAME + 2)], text);
    row("module", &module(status));
    row("source", &source(status));
    row(
        "system",
        &format!(
            "{} ({}); FIPS mode of the system: {}",
            status.environment.system_name, status.environment.architecture, status.system_setting
        ),
    );
    row("mode", &status.mode);
    if status.exceptions.is_empty() {
        row("exceptions", "none");
    }
    for exception in &status.exceptions {
        row(
            "exception",
            &format!(
                "{}, in {}, used {}: {}",
                exception.name,
                exception.processes.join(", "),
                match exception.used {
                    0 => "never".to_owned(),
                    count => times(count),
                },
                exception.permits
            ),
        );
    }
    if !status.trust_exceptions.is_empty() {
        row("trust", &status.trust_exceptions.join(", "));
    }
    for token in &status.tokens {
        row("token", &token_words(token));
    }
    if let Some(problem) = &status.token_problem {
        row("token", &format!("not open: {problem}"));
    }
    for key in &status.keys {
        row("key", &key_words(key));
    }
}

fn module(status: &FipsStatus) -> String {
    match status.module.version.as_str() {
        "" => "did not start".to_owned(),
        version => format!(
            "{version}, {}; the version that CMVP certificate {} names",
            status.module.linkage, status.module.certificate
        ),
    }
}

fn source(status: &FipsStatus) -> String {
    let build = &status.build;
    match (&build.source_sha256, build.matches_pinned) {
        (Some(digest), true) => format!("SHA-256 {digest}, as pinned"),
        (Some(digest), false) => format!(
            "SHA-256 {digest}: not in every process the pinned {}",
            build.pinned_sha256
        ),
        (None, _) => format!("no digest; pinned is {}", build.pinned_sha256),
    }
}

fn token_words(token: &TokenEvidence) -> String {
    let certificate = match &token.stated_certificate {
        Some(number) => format!("certificate {number} as the operator states"),
        None => "no certificate stated".to_owned(),
    };
    let paddings = |name: &str| -> String {
        let list = token.capabilities.get(name).and_then(Value::as_array);
        let names: Vec<&str> = list
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        match names.is_empty() {
            true => "nothing".to_owned(),
            false => names.join(", "),
        }
    };
    format!(
        "{}, serial {}, hardware {}, firmware {}; library {} {}; {certificate}; it decrypts {}; with unpadding in software {}; it \
         encrypts {}",
        token.describe(),
        token.serial,
        token.hardware_version,
        token.firmware_version,
        token.library,
        token.library_version,
        paddings("native"),
        paddings("softwareUnpadding"),
        paddings("encryptNative"),
    )
}

fn key_words(key: &KeyStatus) -> String {
    let state = match key.problems.as_slice() {
        [] => "in use".to_owned(),
        problems => format!("REFUSED: {}", problems.join("; ")),
    };
    let mut text = format!(
        "{}, RSA-{}, {state}; {}",
        key.label, key.modulus_bits, key.fingerprint
    );
    for (word, wanted) in [
        ("true", Some(true)),
        ("false", Some(false)),
        ("not told", None),
    ] {
        let names: Vec<String> = key
            .attributes
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(_, value)| value.as_bool() == wanted)
            .map(|(name, _)| pkcs11_name(name))
            .collect();
        if !names.is_empty() {
            text.push_str(&format!("; {word}: {}", names.join(", ")));
        }
    }
    text
}

/// `CKA_ALWAYS_SENSITIVE` for `alwaysSensitive`.
fn pkcs11_name(name: &str) -> String {
    let mut text = String::from("CKA_");
    for c in name.chars() {
        if c.is_uppercase() {
            text.push('_');
        }
        text.extend(c.to_uppercase());
    }
    text
}

fn services(page: &mut Page, status: &FipsStatus) {
    for (approved, heading, count) in [
        (
            true,
            "Uses of approved services, in all processes",
            status.approved,
        ),
        (
            false,
            "Uses of services that are not approved",
            status.not_approved,
        ),
    ] {
        page.heading(&format!("{heading}: {count}"));
        let performed =
            |service: &&ServiceTotal| service.approved == approved && service.performed > 0;
        for service in status.services.iter().filter(performed) {
            let performer = format!("by the {}", service.performer);
            page.row(
                &[(&format!("  {}", service.name), 28), (&performer, 16)],
                &uses(service),
            );
        }
    }
    let refused = || status.services.iter().filter(|service| service.refused > 0);
    if refused().next().is_some() {
        page.heading("Refused:");
    }
    for service in refused() {
        let text = format!("{}: {}", times(service.refused), service.operation);
        page.row(&[(&format!("  {}", service.name), 28)], &text);
    }
}

fn uses(service: &ServiceTotal) -> String {
    let mut text = service.performed.to_string();
    if service.failed > 0 {
        text.push_str(&format!(", {} of them without a result", service.failed));
    }
    if let Some(exception) = &service.exception {
        text.push_str(&format!(", by the exception {exception}"));
    }
    text
}

fn times(count: u64) -> String {
    match count {
        1 => "once".to_owned(),
        _ => format!("{count} times"),
    }
}

fn processes(page: &mut Page, status: &FipsStatus) {
    page.heading("Processes:");
    for process in &status.processes {
        let name = format!("  {}", process.process);
        let mut name = name.as_str();
        let restarts = status.restarts.get(&process.process).copied();
        for text in process_words(process, restarts.unwrap_or(0)) {
            page.row(&[(name, NAME + 2)], &text);
            name = "";
        }
    }
}

fn process_words(process: &ProcessEvidence, restarts: u64) -> Vec<String> {
    let test = match &process.module.self_test {
        None => "no self-test is known".to_owned(),
        Some(test) => format!(
            "integrity {}, known answers {}, at {} in {}.{} ms",
            passed(test.integrity_passed),
            passed(test.known_answers_passed),
            test.at,
            test.took_us / 1000,
            test.took_us % 1000 / 100
        ),
    };
    let mut words = vec![
        format!(
            "pfx-connector {}, {}, counts since {}",
            known(&process.version),
            process.mode,
            known(&process.since)
        ),
        test,
    ];
    if restarts > 0 {
        words.push(format!(
            "died and was started again {}: what it did before is not counted",
            times(restarts)
        ));
    }
    if let Some(memory) = &process.memory {
        words.push(format!("memory for secrets: {}", memory.words()));
    }
    if let Some(tls) = &process.tls {
        words.push(tls_words(tls));
    }
    words
}

fn known(text: &str) -> &str {
    if text.is_empty() { "unknown" } else { text }
}

const fn passed(passed: bool) -> &'static str {
    if passed { "passed" } else { "FAILED" }
}

fn tls_words(tls: &TlsEvidence) -> String {
    if tls.configurations() == 0 && tls.refused_configurations == 0 {
        return "TLS: none".to_owned();
    }
    let mut text = format!(
        "TLS: {}; {} client and {} server configurations asserted, {} refused; {} connections served",
        if tls.is_fips() {
            "of FIPS only"
        } else {
            "NOT OF FIPS"
        },
        tls.client_configurations,
        tls.server_configurations,
        tls.refused_configurations,
        tls.full_handshakes.saturating_add(tls.resumed_handshakes),
    );
    for (what, refusals) in [
        ("clients turned away", &tls.refused),
        ("calls that failed", &tls.failed_calls),
    ] {
        if !refusals.is_empty() {
            text.push_str(&format!("; {what}: {}", refusal_words(refusals)));
        }
    }
    text
}

fn refusal_words(refusals: &[TlsRefusal]) -> String {
    let words: Vec<String> = refusals
        .iter()
        .map(|refusal| format!("{} {}", refusal.count, refusal.problem))
        .collect();
    words.join(", ")
}

fn advisories(page: &mut Page, status: &FipsStatus) {
    page.heading("Known problems of versions of the module:");
    for advisory in &status.advisories {
        let here = match (advisory.affected, advisory.used) {
            (false, _) => "this version does not have it",
            (true, false) => "this version has it and the program does not use it",
            (true, true) => "THIS VERSION HAS IT, AND THE PROGRAM USES IT",
        };
        let place = if advisory.in_module {
            "in the module"
        } else {
            "beside the module"
        };
        page.row(
            &[("  -", 4)],
            &format!(
                "{} ({place}, versions {}): {}; {here}: {}",
                advisory.id, advisory.versions, advisory.problem, advisory.why
            ),
        );
    }
}
