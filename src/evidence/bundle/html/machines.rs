//! What runs: processes, TLS, tokens and keys.

use super::writer::{Cell, Html};
use crate::evidence::bundle::documents::Evidence;
use crate::evidence::process::{ProcessEvidence, SelfTestEvidence};
use crate::evidence::status::{FipsStatus, TokenEvidence};
use crate::evidence::tls::{TlsAlgorithm, TlsRefusal};
use serde_json::Value;

pub(super) fn processes(html: &mut Html, status: &FipsStatus) {
    html.section(
        "Processes and self-tests",
        &["status.json", "self-test.txt"],
    );
    html.facts([
        ("Module", status.module.version.clone()),
        ("Linked", status.module.linkage.clone()),
        ("Environment", status.environment.says.clone()),
    ]);
    let rows = status
        .processes
        .iter()
        .map(|found| process(found, status.restarts.get(&found.process).copied()))
        .collect();
    html.table(
        &[
            "Process",
            "Mode",
            "Module",
            "Last self-test",
            "Not approved",
        ],
        rows,
    );
    if !status.silent.is_empty() {
        html.element(
            "p class=\"bad\"",
            &format!("Silent: {}", status.silent.join(", ")),
        );
    }
    for fault in &status.faults {
        html.element(
            "p class=\"warning\"",
            &format!(
                "{}: {} (since {})",
                fault.process, fault.fault.message, fault.fault.at
            ),
        );
    }
    html.end_section();
}

fn process(process: &ProcessEvidence, restarts: Option<u64>) -> Vec<Cell> {
    let mode = Cell::judged(process.mode == "strict", process.mode.as_str());
    vec![
        Cell::code(process.process.as_str())
            .small(format!("version {}", process.version))
            .small(format!("since {}", process.since))
            .small(match restarts {
                None | Some(0) => String::new(),
                Some(count) => {
                    format!(
                        "died and was started again ({count}): what it did before is not counted"
                    )
                }
            }),
        mode.small(process.exceptions.join(", ")),
        Cell::text(process.module.version.as_str()).small(
            if process.module.source_matches_pinned {
                "its source is the pinned one"
            } else {
                "its source is not known to be the pinned one"
            },
        ),
        match &process.module.self_test {
            Some(run) => self_test(run),
            None => Cell::judged(false, "not told"),
        },
        match (process.not_approved, &process.fault) {
            (0, None) => Cell::text("0"),
            (count, fault) => Cell::judged(false, count.to_string()).small(
                fault
                    .as_ref()
                    .map(|fault| fault.message.clone())
                    .unwrap_or_default(),
            ),
        },
    ]
}

fn self_test(run: &SelfTestEvidence) -> Cell {
    let passed = run.integrity_passed && run.known_answers_passed;
    let word = |passed| if passed { "passed" } else { "FAILED" };
    Cell::judged(
        passed,
        format!(
            "integrity {}, known answers {}",
            word(run.integrity_passed),
            word(run.known_answers_passed)
        ),
    )
    .small(format!("{}, {} microseconds", run.at, run.took_us))
}

pub(super) fn tls(html: &mut Html, status: &FipsStatus) {
    let known: Vec<_> = status
        .processes
        .iter()
        .filter_map(|process| Some((process.process.as_str(), process.tls.as_ref()?)))
        .collect();
    let Some((_, offered)) = known.first() else {
        return;
    };
    html.section("TLS", &["status.json", "cbom.cdx.json"]);
    let names = |list: &[TlsAlgorithm]| {
        list.iter()
            .map(|algorithm| match &algorithm.declared {
                Some(declared) => format!("{} ({declared})", algorithm.name),
                None => algorithm.name.clone(),
            })
            .collect::<Vec<_>>()
            .join(", ")
    };
    html.facts([
        ("Versions", offered.versions.join(", ")),
        ("Cipher suites", names(&offered.cipher_suites)),
        ("Key exchange", names(&offered.groups)),
        (
            "Extended master secret",
            if offered.extended_master_secret_required {
                "required (RFC 7627)"
            } else {
                "NOT required"
            }
            .to_owned(),
        ),
    ]);
    html.element(
        "p",
        "TLS is one composite service of the module. Each configuration of a client or a server is asserted when it is made; one that does \
         not pass ends what wanted it.",
    );
    let refusals = |list: &[TlsRefusal]| {
        list.iter()
            .map(|refusal| format!("{} {}", refusal.problem, refusal.count))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let rows = known
        .iter()
        .filter(|(_, tls)| tls.configurations() > 0 || tls.refused_configurations > 0)
        .map(|(name, tls)| {
            vec![
                Cell::code(*name),
                Cell::judged(
                    tls.is_fips() && tls.refused_configurations == 0,
                    format!(
                        "{} client, {} server asserted",
                        tls.client_configurations, tls.server_configurations
                    ),
                )
                .small(match tls.refused_configurations {
                    0 => String::new(),
                    refused => format!("{refused} did not pass"),
                }),
                Cell::text(format!(
                    "{} full, {} resumed",
                    tls.full_handshakes, tls.resumed_handshakes
                ))
                .small(format!("TLS 1.2: {}, TLS 1.3: {}", tls.tls12, tls.tls13)),
                Cell::text(refusals(&tls.refused)),
                Cell::text(refusals(&tls.failed_calls)),
            ]
        })
        .collect();
    html.table(
        &[
            "Process",
            "Configurations",
            "Connections served",
            "Clients refused",
            "Calls that failed",
        ],
        rows,
    );
    html.end_section();
}

pub(super) fn tokens(html: &mut Html, evidence: &Evidence) {
    let status = &evidence.status;
    html.section("Tokens and keys", &["keys.json"]);
    for token in &status.tokens {
        html.facts(token_facts(token));
    }
    if let Some(problem) = &status.token_problem {
        html.element("p class=\"warning\"", problem);
    }
    if status.tokens.is_empty() {
        html.element("p", "No token is reported.");
    }
    let mut rows: Vec<Vec<Cell>> = status
        .keys
        .iter()
        .map(|key| {
            let judged = if key.problems.is_empty() {
                Cell::judged(true, "custody key, in use")
            } else {
                Cell::judged(false, "refused").small(key.problems.join("; "))
            };
            vec![
                Cell::text(key.label.as_str()).small(key.fingerprint.as_str()),
                Cell::text(format!("RSA-{}", key.modulus_bits)),
                judged,
                Cell::text(attributes(&key.attributes)),
            ]
        })
        .collect();
    if let Some(key) = &evidence.report_key {
        rows.push(vec![
            Cell::text(key.label.as_deref().unwrap_or("report key (in a file)"))
                .small(key.fingerprint.as_str()),
            Cell::text(key.algorithm),
            Cell::text("signs this bundle"),
            Cell::text(key.attributes.as_ref().map(attributes).unwrap_or_default()),
        ]);
    }
    html.table(
        &[
            "Key",
            "Kind",
            "Use",
            "Attributes, as the token reports them",
        ],
        rows,
    );
    html.end_section();
}

fn token_facts(token: &TokenEvidence) -> [(&'static str, String); 6] {
    [
        ("Token", token.describe()),
        ("Serial number", token.serial.clone()),
        ("Hardware", token.hardware_version.clone()),
        ("Firmware", token.firmware_version.clone()),
        (
            "Library",
            format!("{} {}", token.library, token.library_version),
        ),
        (
            "CMVP certificate",
            match &token.stated_certificate {
                Some(number) => format!("{number}, as the operator states; not verified here"),
                None => "none is stated: not a validated token".to_owned(),
            },
        ),
    ]
}

/// `sensitive: yes, extractable: no`; what the token does not tell is said too.
fn attributes(attributes: &Value) -> String {
    let Some(attributes) = attributes.as_object() else {
        return "not told".to_owned();
    };
    let words: Vec<String> = attributes
        .iter()
        .map(|(name, value)| {
            let word = match value {
                Value::Bool(true) => "yes".to_owned(),
                Value::Bool(false) => "no".to_owned(),
                Value::Null => "not told".to_owned(),
                other => other.to_string(),
            };
            format!("{name}: {word}")
        })
        .collect();
    words.join(", ")
}
