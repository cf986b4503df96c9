#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

use super::*;
use crate::engine::api::EngineStatus;
use fips::policy::Service;
use serde_json::json;

fn process(name: &str) -> ProcessEvidence {
    let mut evidence = ProcessEvidence::of_this(name);
    for service in &mut evidence.services {
        (service.done, service.failed) = (0, 0);
        (service.refused, service.disagreed) = (0, 0);
    }
    evidence.not_approved = 0;
    evidence
}

fn engine(processes: &[&str]) -> EngineStatus {
    EngineStatus {
        version: "test".to_owned(),
        module_version: fips::EXPECTED_VERSION.to_owned(),
        program: None,
        module_fault: None,
        fips: processes.iter().map(|name| process(name)).collect(),
        token: Some(json!({"label": "custody", "model": "SoftHSM v2", "firmwareVersion": "2.6"})),
        token_certificate: None,
        token_problem: None,
        revocation_lists: Vec::new(),
        capabilities: None,
        keys: Vec::new(),
        parts: Vec::new(),
        exceptions: vec!["cms-ecdh-static".to_owned(), "no-device-anchors".to_owned()],
        deliveries: Vec::new(),
        authorities: Vec::new(),
        key_uses: 0,
        decryptions_shared: 0,
        oracle: None,
        issuance: None,
        audit: None,
        pkcs1_keys: Vec::new(),
        calendar: Vec::new(),
        tokens: Vec::new(),
        switching: Default::default(),
        answered: 0,
        in_flight: 0,
        coarse: false,
    }
}

fn whole() -> EngineStatus {
    engine(&["supervisor", "custody", "formats"])
}

fn fault(message: &str) -> FaultEvidence {
    FaultEvidence {
        code: "self_test_failed".to_owned(),
        message: message.to_owned(),
        at: "2026-01-01T00:00:00Z".to_owned(),
    }
}

#[test]
fn every_process_of_the_engine_and_the_connector_is_in_it_and_the_command_that_asks_is_not() {
    let status = FipsStatus::of_connector(Some(&process("connector")), Some(&whole()));
    let names: Vec<&str> = status
        .processes
        .iter()
        .map(|process| process.process.as_str())
        .collect();
    assert_eq!(names, ["connector", "supervisor", "custody", "formats"]);
    assert!(status.healthy && status.silent.is_empty());
    assert_eq!(status.tokens[0].firmware_version, "2.6");
    assert_eq!(status.tokens[0].serial, "");
    // An exception of trust permits no algorithm.
    assert_eq!(status.trust_exceptions, ["no-device-anchors"]);
}

#[test]
fn who_does_not_report_is_named_and_the_service_is_not_healthy() {
    let status = FipsStatus::of_connector(None, Some(&engine(&["supervisor", "formats"])));
    assert_eq!(status.silent, ["connector", "custody"]);
    assert!(!status.healthy);
    let status = FipsStatus::of_connector(Some(&process("connector")), None);
    assert_eq!(status.silent, ["engine"]);
    assert!(!status.healthy);
    // A process that the engine does not have adds nothing.
    let status = FipsStatus::of_engine(&engine(&["supervisor", "custody", "formats", "mine"]));
    assert_eq!(status.processes.len(), 3);
}

#[test]
fn uses_are_added_up_over_the_processes_and_led_to_their_exceptions() {
    let mut said = whole();
    let (ecdh, aes) = (Service::Ecdh as usize, Service::AesCbc as usize);
    for process in &mut said.fips {
        process.exceptions = vec!["cms-ecdh-static".to_owned()];
        process.services[aes].done = 5;
    }
    said.fips[0].exceptions.clear();
    said.fips[1].services[ecdh].done = 2;
    said.fips[2].services[ecdh].failed = 1;
    said.fips[2].services[ecdh].refused = 7;
    let status = FipsStatus::of_engine(&said);
    assert_eq!((status.approved, status.not_approved), (15, 3));
    let total = &status.services[ecdh];
    assert_eq!((total.performed, total.failed, total.refused), (3, 1, 7));
    let [exception] = status.exceptions.as_slice() else {
        panic!("{:?}", status.exceptions);
    };
    assert_eq!(exception.name, "cms-ecdh-static");
    assert_eq!(exception.processes, ["custody", "formats"]);
    assert_eq!(exception.used, 3);
    let summary = status.summary();
    assert_eq!(summary.exceptions, ["cms-ecdh-static"]);
    assert_eq!(summary.not_approved, 3);
}

#[test]
fn a_module_that_did_not_start_is_a_problem() {
    let mut said = whole();
    said.fips[1].module.version.clear();
    let status = FipsStatus::of_engine(&said);
    let [problem] = status.module_problems.as_slice() else {
        panic!("{:?}", status.module_problems);
    };
    assert!(problem.starts_with("custody: ") && problem.contains("did not start"));
    assert!(!status.healthy);
}

#[test]
fn a_fault_is_told_once_with_the_process_that_has_it() {
    let mut said = whole();
    said.module_fault = Some(fault("custody's"));
    said.fips[1].fault = Some(fault("custody's"));
    said.fips[1].services[0].disagreed = 1;
    said.fips[2].fault = Some(fault("formats' own"));
    let status = FipsStatus::of_engine(&said);
    assert_eq!(
        status.module_problems,
        ["engine: custody's", "formats: formats' own"]
    );
    let processes: Vec<&str> = status
        .faults
        .iter()
        .map(|fault| fault.process.as_str())
        .collect();
    assert_eq!(processes, ["engine", "formats"]);
    assert!(!status.healthy);
    assert_eq!(status.summary().fault.unwrap(), "self_test_failed");
}

#[test]
fn processes_of_several_modes_are_called_mixed() {
    let mut said = whole();
    for process in &mut said.fips {
        process.mode = "strict".to_owned();
    }
    assert_eq!(FipsStatus::of_engine(&said).mode, "strict");
    said.fips[1].mode = "off".to_owned();
    assert_eq!(FipsStatus::of_engine(&said).mode, "mixed");
    assert_eq!(FipsStatus::of_engine(&engine(&[])).mode, "unknown");
}

#[test]
fn the_known_problems_of_this_version_are_told_with_whether_they_matter() {
    let status = FipsStatus::of_engine(&whole());
    let told: Vec<_> = status
        .advisories
        .iter()
        .map(|advisory| (advisory.id.as_str(), advisory.affected, advisory.used))
        .collect();
    assert_eq!(
        told,
        [
            ("CVE-2026-3337", true, false),
            ("CVE-2026-4428", true, false),
            ("CVE-2026-134056", true, false)
        ]
    );
}

#[test]
fn a_status_is_read_as_it_was_written() {
    let mut said = whole();
    said.module_fault = Some(fault("x"));
    let status = FipsStatus::of_connector(None, Some(&said));
    let text = serde_json::to_string(&status).unwrap();
    assert_eq!(serde_json::from_str::<FipsStatus>(&text).unwrap(), status);
    assert!(text.contains("\"source\":\"running-connector\""));
}

/// Reports of an earlier release, which did not tell everything.
#[test]
fn what_an_earlier_release_did_not_tell_is_unknown() {
    let mut value = serde_json::to_value(process("custody")).unwrap();
    let fields = value.as_object_mut().unwrap();
    for name in ["version", "since", "tls", "environment"] {
        fields.remove(name).unwrap();
    }
    let module = fields["module"].as_object_mut().unwrap();
    module.remove("sourceSha256").unwrap();
    module.remove("sourceMatchesPinned").unwrap();
    let mut said = whole();
    said.fips[1] = serde_json::from_value(value).unwrap();
    let claim = FipsStatus::of_engine(&said).claim;
    for part in [&claim.build, &claim.tls] {
        assert_eq!(part.level, fips::claim::Level::Unvalidated);
        assert!(part.says.contains("custody"), "{part:?}");
    }
}
