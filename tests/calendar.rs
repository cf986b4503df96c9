//! The expiry calendar and the certification authorities with the real processes: what the engine holds reaches `status` and `doctor` of the
//! connector, and so does how an authority on the token fares.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    dead_code,
    missing_docs
)]

#[path = "certificates/site.rs"]
mod site;
#[path = "support/stack.rs"]
mod stack;

use pfx_connector::gateway::api::State;
use serde_json::Value;
use site::Issuing;
use stack::until;
use std::process::{Command, Output};

/// Runs a command with the connector's configuration.
fn run(issuing: &Issuing, arguments: &[&str]) -> Output {
    let stack = &issuing.site.stack;
    Command::new(stack.program())
        .args(arguments)
        .arg("--config")
        .arg(stack.connector_config(0))
        .output()
        .unwrap()
}

fn json(issuing: &Issuing, arguments: &[&str]) -> (Option<i32>, Value) {
    let output = run(issuing, &[arguments, &["--json"]].concat());
    let value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    (output.status.code(), value)
}

/// The entry of the calendar with this name.
fn entry<'a>(calendar: &'a Value, name: &str) -> &'a Value {
    let entries = calendar["entries"].as_array().unwrap();
    entries
        .iter()
        .find(|entry| entry["name"] == name)
        .unwrap_or_else(|| panic!("{name}: {calendar:#}"))
}

fn finding<'a>(report: &'a Value, id: &str) -> &'a Value {
    let findings = report["findings"].as_array().unwrap();
    findings
        .iter()
        .find(|found| found["id"] == id)
        .unwrap_or_else(|| panic!("{id}: {report:#}"))
}

#[test]
fn an_authority_on_the_token_is_shown_with_its_rights_its_counts_and_everything_that_ends() {
    let issuing = Issuing::new();
    let mut running = issuing.start();
    issuing.enrol();
    let device = issuing.device(0);
    let request = issuing.ask("anna@example.com", &device, "windows");
    assert_eq!(issuing.settled(&request).state, State::Completed);
    let refused = issuing.ask("anna@evil.example", &device, "windows");
    assert_eq!(issuing.settled(&refused).state, State::Failed);

    let mut status = Value::Null;
    until("the authority was asked and its request counted", || {
        (_, status) = json(&issuing, &["status"]);
        let company = &status["authorities"][0];
        company["asked"]["reachable"] == true && company["issued"] == 1
    });
    let company = &status["authorities"][0];
    for (field, expected) in [
        ("name", Value::from("company")),
        ("kind", "local".into()),
        ("revokes", true.into()),
        ("breaker", "closed".into()),
        ("inFlight", 0.into()),
        ("pending", 0.into()),
        ("failed", 1.into()),
    ] {
        assert_eq!(company[field], expected, "{field}: {company:#}");
    }
    assert_eq!(company["asked"]["mayEnroll"], true);
    assert_eq!(company["asked"]["mayRevoke"], true);

    // What the connector reads itself, what the other end shows, and what the engine says of itself.
    let calendar = &status["calendar"];
    for (name, kind) in [
        ("connector.certificate", "connector-certificate"),
        ("connector.gateway_ca", "gateway-ca"),
        ("connector.gateway", "gateway-certificate"),
        ("connector.ca.company.roots", "authority-root"),
        ("local_ca.company.certificate", "local-ca"),
        ("engine.ca.company.certificate", "local-ca"),
        ("engine.device_anchors", "device-anchor"),
    ] {
        assert_eq!(entry(calendar, name)["kind"], kind);
    }
    let ends: Vec<i64> = calendar["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["notAfterMs"].as_i64().unwrap())
        .collect();
    assert!(ends.is_sorted(), "{ends:?}");
    let text = run(&issuing, &["status"]);
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(
        text.contains("company (local): answers, breaker closed"),
        "{text}"
    );
    assert!(
        text.lines().any(|line| line.starts_with("expiry ")),
        "{text}"
    );

    // The list that is made here is in the calendar once there is one.
    let made = run(&issuing, &["ca", "crl"]);
    assert!(made.status.success(), "{made:?}");
    running.kill_connector();
    until("the list is known", || {
        (_, status) = json(&issuing, &["status"]);
        let entries = status["calendar"]["entries"].as_array().cloned();
        entries.is_some_and(|all| all.iter().any(|entry| entry["kind"] == "crl"))
    });
    assert_eq!(
        entry(&status["calendar"], "local_ca.company.crl")["level"],
        "fine"
    );

    let groups = [
        "--only",
        "authorities",
        "--only",
        "service",
        "--only",
        "certificates",
    ];
    let (code, report) = json(&issuing, &[&["doctor"][..], &groups].concat());
    assert_eq!(code, Some(0), "{report:#}");
    for id in ["reachable", "enroll", "revoke", "state"] {
        let found = finding(&report, &format!("authorities.{id}"));
        assert_eq!(found["severity"], "ok", "{found:#}");
        assert_eq!(found["subject"], "connector.ca.company");
    }
    let beside = finding(&report, "authorities.colocated");
    assert_eq!(
        (&beside["severity"], &beside["code"]),
        (&"warning".into(), &"co-located-ca".into())
    );
    assert_eq!(beside["facts"]["acknowledged"], true);
    assert_eq!(finding(&report, "service.expiry")["severity"], "ok");
    assert_eq!(finding(&report, "certificates.calendar")["severity"], "ok");
    running.stop();
}
