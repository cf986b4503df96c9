//! docs/doctor.md, docs/events.md, docs/metrics.md and docs/tls.md say what the code says. `UPDATE_DOCS=1 cargo test --test connector_docs` writes them anew.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use fips::tls::{Algorithm, PeerProblem};
use pfx_connector::ca::{Asked, AuthorityState};
use pfx_connector::calendar::{Calendar, Dated, Effect, Kind};
use pfx_connector::config::AuthorityKind;
use pfx_connector::doctor::{Group, catalogue};
use pfx_connector::engine::api::EngineStatus;
use pfx_connector::telemetry::catalogue::{EventKind, Level, Log};
use pfx_connector::telemetry::metrics::Metrics;
use std::fmt::Write;
use std::path::Path;

fn hold(name: &str, page: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("docs")
        .join(name);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, page).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == page,
        "docs/{name} is stale: run `UPDATE_DOCS=1 cargo test --test connector_docs`"
    );
}

#[test]
fn the_page_of_events_is_the_catalogue() {
    let mut page = String::from(
        "# Events\n\n\
         <!-- Made from src/telemetry/catalogue.rs: `UPDATE_DOCS=1 cargo test --test connector_docs` -->\n\n\
         The connector writes three logs into `connector.log.directory`, one JSON object a line: `admin.log` (one event for each\n\
         request, and what an operator has to act on), `operational.log` (the steps) and `debug.log` (off by default). A file that\n\
         reaches `rotate_bytes` becomes an archive, `LOG-TIME-NUMBER.log.gz`; all archives together stay below `archives_max_bytes`, the\n\
         oldest go first, and event 51 names them. `pfx-connector events` shows and filters them.\n\n\
         Numbers from 1000 and their categories are those of Microsoft's Certificate Connector where the meaning is equal, so that\n\
         rules written for it go on working; the general ones, 1 to 999, and those of health, from 5000, are ours.\n\n\
         | field | holds |\n|---|---|\n\
         | `time` | when it happened: RFC 3339, UTC, milliseconds |\n\
         | `id`, `category` | number and task category, as below |\n\
         | `log`, `level` | `admin`, `operational`, `debug`; `information`, `warning`, `error` |\n\
         | `instance` | the connector that wrote it |\n\
         | `requestId` | the request it speaks of, when there is one |\n\
         | `correlationId` | `client-request-id` of the call to the service, when there was one, and `request-id` of its answer, with a space between them |\n\
         | `message` | what happened, in words |\n\
         | `fields` | figures and names; never a secret |\n\n\
         Events 1000 to 1102 name what the device runs in `platform`, as the profile does; those of a batch (1002, 1100) all that are in it. 1003 speaks of no request, and names none.\n\n\
         Each request has exactly one event 1000 or 1001 (a certificate), 2000 or 2001 (a stored PFX), 3000 or 3001 (a revocation) over all connectors, written by the one whose answer the service accepted,\n\
         also when a connector is killed at any moment.\n\n\
         | id | log | level | category | meaning |\n|---|---|---|---|---|\n",
    );
    for kind in EventKind::ALL {
        let log = match kind.log() {
            Log::Admin => "Admin",
            Log::Operational => "Operational",
            Log::Debug => "Debug",
        };
        let level = match kind.level() {
            Level::Information => "information",
            Level::Warning => "warning",
            Level::Error => "error",
        };
        let (id, category, meaning) = (kind.id(), kind.category(), kind.meaning());
        writeln!(page, "| {id} | {log} | {level} | {category} | {meaning} |").unwrap();
    }
    hold("events.md", &page);
}

fn engine_with_a_token() -> EngineStatus {
    let token = serde_json::json!({
        "name": "a", "state": "open", "problem": null, "drained": false, "inHand": 0, "avoidedMs": null, "weightPerMille": 1000,
        "requests": 0, "failures": 0, "certificate": null, "token": null, "capabilities": null, "load": null,
    });
    let status = serde_json::json!({
        "version": "", "moduleVersion": "", "token": null, "capabilities": null, "keys": [], "parts": [], "exceptions": [],
        "keyUses": 0, "answered": 0, "inFlight": 0, "tokens": [token], "audit": {},
    });
    serde_json::from_value(status).unwrap()
}

fn authority() -> AuthorityState {
    let can = ca::Capabilities {
        revokes: true,
        pends: true,
        polls_by_reference: true,
        recovers: true,
    };
    AuthorityState {
        asked: Some(Asked {
            may_enroll: Some(true),
            ..Asked::default()
        }),
        ..AuthorityState::new("a", AuthorityKind::Cmp, can)
    }
}

#[test]
fn the_page_of_metrics_is_the_registry() {
    let page = String::from(
        "# Metrics and health\n\n\
         <!-- Made from src/telemetry/metrics.rs: `UPDATE_DOCS=1 cargo test --test connector_docs` -->\n\n\
         With `connector.metrics_listen` (a loopback address; others are refused, because there is no authentication) the connector\n\
         serves `/metrics` in the OpenMetrics text format and `/healthz`: 200 while everything needed to finish requests works, else\n\
         503, with the reasons in JSON:\n\
         `{\"healthy\":false,\"state\":\"unhealthy\",\"reasons\":[{\"code\":\"token\",\"message\":\"...\"}],\"warnings\":[...],\"fips\":{...}}`.\n\
         Codes: `engine`, `token`, `audit`, `module` (the cryptographic module failed, or its indicator contradicts the policy table),\n\
         `service`, `journal`, `log`, `draining`, `expired` (something ended without which nothing works). `state` is `degraded`, still\n\
         with 200, while there are `warnings`: `expiry` (something that is needed is about to end, or a part of the work stopped of\n\
         it), `audit` (the audit log is not sealed or anchored, see audit.md) and `authority` (a certification authority does not answer,\n\
         does not let the connector enrol, or is left alone after failures). What ends merely soon is no warning: `status`, event 5000 and the metric show it. `fips` is what `fips status` says, in brief and as of the engine's last answer:\n\
         `mode` (`strict`, `off`, `mixed`, `unknown`), `exceptions`, `level` (`unvalidated`, `pending`,\n\
         `certified-source-untested-environment`, `certified`), `notApproved` (uses of what is not approved), `silent` (processes that\n\
         do not report) and `fault` (a code, or null).\n\n\
         With `gateway.metrics_listen` the gateway serves both in the same way (code `database` besides `expired`): the metrics\n\
         `pfx_connector_build`, `pfx_connector_expiry_timestamp_seconds` and `pfx_connector_expiry_entries` as below, and\n\
         `pfx_connector_gateway_healthy`, `pfx_connector_gateway_requests` (by `state`: `queued`, `leased`, `completed`, `failed`) and\n\
         `pfx_connector_gateway_records`. What the engine depends on is in the connector's metrics.\n\n\
         A connector whose user is not the engine's own is told no figures of single tokens by the engine (there is no series then, except\n\
         `token_up` and `token_drained`), of services only whether they were performed (0 or 1), and the figures of budgets and quarantine\n\
         once a minute: so that they say nothing about single requests (timing.md).\n\n\
         `pfx_connector_expiry_timestamp_seconds{kind,name}` is the expiry calendar: one series for each certificate, list, token or key\n\
         with an end. `name` is where it is configured, with a number in brackets where that has several; kinds:\n\
         KINDS.\n\
         An alert: `pfx_connector_expiry_timestamp_seconds - time() < 14 * 86400`.\n\n\
         | metric | type | meaning |\n|---|---|---|\n",
    );
    let metrics = Metrics::new();
    // Series by token are there once the engine has told of one.
    metrics.take_tokens(Some(&engine_with_a_token()));
    // So are those of the calendar and of authorities.
    metrics.take_calendar(&Calendar::of(
        &[Dated {
            kind: Kind::Crl,
            name: String::new(),
            subject: String::new(),
            begins_ms: None,
            ends_ms: 0,
            effect: Effect::Informs,
        }],
        0,
    ));
    metrics.take_authorities(&[authority()]);
    let kinds: Vec<_> = Kind::ALL
        .iter()
        .map(|kind| format!("`{}` ({})", kind.name(), kind.words()))
        .collect();
    let mut page = page.replace("KINDS", &kinds.join(",\n"));
    let text = metrics.encode();
    let mut help = std::collections::HashMap::new();
    for line in text.lines() {
        if let Some((name, meaning)) = line
            .strip_prefix("# HELP ")
            .and_then(|rest| rest.split_once(' '))
        {
            help.insert(name, meaning.trim_end_matches('.'));
        }
    }
    for line in text.lines() {
        let Some((name, kind)) = line
            .strip_prefix("# TYPE ")
            .and_then(|rest| rest.split_once(' '))
        else {
            continue;
        };
        let suffix = match kind {
            "counter" => "_total",
            "info" => "_info",
            _ => "",
        };
        let meaning = help.get(name).copied().unwrap_or_default();
        writeln!(page, "| `{name}{suffix}` | {kind} | {meaning} |").unwrap();
    }
    hold("metrics.md", &page);
}

#[test]
fn the_page_of_tls_is_what_is_offered_and_told() {
    let state = fips::tls::state();
    let mut page = String::from(
        "# TLS\n\n\
         <!-- Made from fips/src/tls: `UPDATE_DOCS=1 cargo test --test connector_docs` -->\n\n\
         Gateway and clients speak TLS with the validated module alone, as one composite service. Every configuration is made in one\n\
         place, offers the following and nothing else, and is asserted to be a FIPS configuration before it is used; one that is not\n\
         stops the start. TLS 1.2 needs the extended master secret (RFC 7627) on both sides.\n\n",
    );
    let names = |list: &[Algorithm]| -> String {
        let names: Vec<_> = list
            .iter()
            .map(|algorithm| format!("`{}`", algorithm.name))
            .collect();
        names.join(", ")
    };
    writeln!(page, "- Versions: {}", state.versions.join(", ")).unwrap();
    writeln!(page, "- Cipher suites: {}", names(&state.cipher_suites)).unwrap();
    writeln!(page, "- Key exchange groups: {}", names(&state.groups)).unwrap();
    for group in &state.groups {
        if let Some(declared) = group.declared {
            writeln!(page, "- Declared: {} is a {declared}.", group.name).unwrap();
        }
    }
    page.push_str(
        "\n## A peer that cannot\n\n\
         The gateway's log says `TLS refused` with the code as `tls`, the peer's address and a hint (20 lines a minute of each code at\n\
         most; `tls_closed` and `tls_timeout` at the level debug). The connector's events 30 and 32 have the code and the hint in the\n\
         fields `tls` and `hint`; commands give them as the error's code and hint. A peer that ends the handshake itself sends an alert,\n\
         most of which do not say why: that is `tls_peer_alert`, and the reason is in the peer's log.\n\n\
         | code | meaning | what to do |\n|---|---|---|\n",
    );
    for problem in PeerProblem::ALL {
        let (code, hint) = (problem.code(), problem.hint());
        writeln!(page, "| `{code}` | {problem} | {hint} |").unwrap();
    }
    hold("tls.md", &page);
}

#[test]

fn the_page_of_return_values_is_the_table() {
    use hsm::pkcs11::{Actor, Classified, Healing, Level, Retry, classification};
    let mut page = String::from(
        "# What return values of PKCS#11 mean here\n\n\
         <!-- Made from hsm/src/pkcs11/classify/table.rs: `UPDATE_DOCS=1 cargo test --test connector_docs` -->\n\n\
         For every function that is called, by this program or by the cryptoki crate for it, and every CK_RV: who has to act, what is\n\
         done, and whether it is tried again. The rules and their reasons (clauses of the standard, modules on which something was\n\
         measured) are in the source; this is what they come to. Functions that mean the same stand together. `CKR(0x3ff)` stands for\n\
         values that no version of the standard names, `CKR_VENDOR_DEFINED` for those of a vendor.\n\n\
         Healing begins at the level named, and goes on to the next when that did not help, as long as the request has time: look the\n\
         keys up again, a new session, a new login, initialise the module again, a new process (or another token with the same key).\n",
    );
    // Functions by what their return values mean, in the order of the standard.
    let mut sections: Vec<(Vec<String>, Vec<Classified>)> = Vec::new();
    let mut cells: Vec<Classified> = classification().collect();
    while let Some(first) = cells.first().map(|cell| cell.refusal.function()) {
        let (of_first, rest): (Vec<_>, Vec<_>) = cells
            .into_iter()
            .partition(|cell| cell.refusal.function() == first);
        cells = rest;
        let same = |section: &[Classified]| {
            section
                .iter()
                .zip(&of_first)
                .all(|(one, other)| (one.class, one.code) == (other.class, other.code))
        };
        match sections.iter_mut().find(|(_, section)| same(section)) {
            Some((functions, _)) => functions.push(first),
            None => sections.push((vec![first], of_first)),
        }
    }
    for (functions, section) in sections {
        write!(
            page,
            "\n## {}\n\n| return values | meaning | who acts | what is done | tried again | error |\n|---|---|---|---|---|---|\n",
            functions.join(", ")
        )
        .unwrap();
        let mut classes: Vec<(Classified, Vec<String>)> = Vec::new();
        for cell in section {
            match classes
                .iter_mut()
                .find(|(known, _)| known.class == cell.class)
            {
                Some((_, values)) => values.push(cell.refusal.rv_name()),
                None => classes.push((cell, vec![cell.refusal.rv_name()])),
            }
        }
        let classes_len = classes.len();
        for (cell, values) in classes {
            let actor = match cell.class.actor() {
                Actor::Nobody => "nobody",
                Actor::Caller => "caller, if the canary is answered",
                Actor::Operator => "operator",
                Actor::Authors => "authors",
            };
            let healing = match cell.class.healing() {
                Healing::Nothing => "nothing",
                Healing::AskCanary => "ask the canary",
                Healing::From(Level::Handles) => "look the keys up again",
                Healing::From(Level::Session) => "a new session",
                Healing::From(Level::Login) => "a new login",
                Healing::From(Level::Module) => "initialise the module again",
                Healing::From(Level::Process) => "a new process",
            };
            let retry = match cell.class.retry() {
                Retry::NotNeeded => "it has not failed",
                Retry::AfterHealing => "after healing",
                Retry::AsTheCanarySays => "as the canary says",
                Retry::AfterAChange => "after a change",
            };
            // The vendor's number is only an example.
            let all = classes_len == 1;
            let values: Vec<_> = values
                .iter()
                .map(|value| {
                    value
                        .split_once("DEFINED(")
                        .map_or(value.as_str(), |_| "CKR_VENDOR_DEFINED")
                })
                .collect();
            writeln!(
                page,
                "| {} | {} | {actor} | {healing} | {retry} | {} |",
                if all {
                    "every value".to_owned()
                } else {
                    values.join(", ")
                },
                cell.class.meaning(),
                if cell.code.is_empty() { "-" } else { cell.code },
            )
            .unwrap();
        }
    }
    hold("pkcs11-return-values.md", &page);
}

#[test]
fn the_page_of_doctor_is_its_catalogue() {
    let mut page = String::from(
        "# doctor\n\n\
         <!-- Made from src/doctor/catalogue.rs: `UPDATE_DOCS=1 cargo test --test connector_docs` -->\n\n\
         `pfx-connector doctor --config F` looks at everything that the configuration file names, whichever sections it has: before\n\
         the first start, and beside what runs. It starts nothing and changes nothing. Run it as the user who runs the process: it sees\n\
         files, limits and the token as that user does.\n\n\
         - `--only GROUP` looks at one group of checks, and may be given several times.\n\
         - `--no-login` does not log in to the token. Without it the PIN is tried once, and only while the token has all its tries: a\n  \
         PIN that is wrong costs one try. That it was refused is noted beside the engine's socket (by the engine, and by `doctor` as its user\n  \
         or as root) or in `pfx-connector` of the user's own state folder (`$XDG_STATE_HOME`, else `~/.local/state`), and this PIN is not tried\n  \
         again before its source is written again. A credential of systemd is written anew at each start: there a wrong PIN costs a try each\n  \
         time, unless the token shows that tries are gone.\n\
         - The PKCS#11 module is loaded by a process of its own, with the environment of the token's section alone, so that a\n  \
         library that crashes or hangs is a finding. It is taken for hanging when it is silent for longer than `engine.restart.call_limit_ms`, and at\n  \
         least 3 s; at least 30 s where a step is many calls (opening, reading the keys, measuring).\n\
         - Decryptions are measured for a few seconds, with the custody key; not while an engine answers, whose token it is.\n\
         - Certification authorities are asked how they fare, as the connector asks them; nothing is ordered and nothing revoked. Whether\n  \
         the credential may enrol and revoke is told as far as the protocol lets one ask: AD CS tells the right to enrol where there is a\n  \
         policy service, CMP tells a credential that is not accepted at all, EST tells neither. What cannot be asked is a note that says so.\n\n\
         Exit code 0: nothing would fail (there may be notes and warnings). 3: something would. 2: the configuration cannot be read.\n\n\
         | severity | meaning |\n|---|---|\n\
         | `ok` | as it should be |\n\
         | `note` | to know: a choice, or what could not be looked at; nothing fails of it |\n\
         | `warning` | works, but is weak, or will fail one day |\n\
         | `error` | something would fail |\n\n\
         With `--json`: `healthy` (no error), `errors`, `warnings`, `notes`, `ok` (how many), and `findings`, each with `id` (as below),\n\
         `group`, `severity`, `subject` (the configuration key, or a name), `found`, `remedy`, `code` (the stable code of the cause, where\n\
         there is one, such as `pin_incorrect` or those of docs/tls.md) and `facts` (figures and names). A finding may know a better\n\
         remedy than the one below, and then says it.\n",
    );
    for group in Group::ALL {
        writeln!(page, "\n## {}\n", group.title()).unwrap();
        page.push_str("| id | what is looked at | what to do when it is not ok |\n|---|---|---|\n");
        for check in catalogue::ALL.iter().filter(|check| check.group == group) {
            let (id, asks, remedy) = (check.id, check.asks, check.remedy);
            writeln!(page, "| `{id}` | {asks} | {remedy} |").unwrap();
        }
    }
    hold("doctor.md", &page);
}
