#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

use super::*;
use crate::evidence::process::{FaultEvidence, ProcessEvidence};
use crate::evidence::status::{Source, TokenEvidence};
use fips::policy::Service;
use serde_json::json;

/// A process of a service in strict mode that has done nothing yet.
fn process(name: &str) -> ProcessEvidence {
    let mut evidence = ProcessEvidence::of_this(name);
    // Other tests of this program count in the same process.
    for service in &mut evidence.services {
        (service.done, service.failed) = (0, 0);
        (service.refused, service.disagreed) = (0, 0);
    }
    // Nothing of the machine that the tests run on.
    let pinned = fips::provenance::MODULE_SOURCE.pinned_sha256;
    evidence.module.source_sha256 = Some(pinned.to_owned());
    evidence.module.source_matches_pinned = true;
    if let Some(environment) = &mut evidence.environment {
        environment.tested = None;
    }
    ProcessEvidence {
        mode: "strict".to_owned(),
        exceptions: Vec::new(),
        not_approved: 0,
        fault: None,
        ..evidence
    }
}

fn token(certificate: Option<&str>) -> TokenEvidence {
    TokenEvidence {
        label: "custody".to_owned(),
        manufacturer: "SoftHSM project".to_owned(),
        model: "SoftHSM v2".to_owned(),
        serial: "1".to_owned(),
        hardware_version: "2.6".to_owned(),
        firmware_version: "2.6".to_owned(),
        library: "Implementation of PKCS11".to_owned(),
        library_version: "2.6".to_owned(),
        stated_certificate: certificate.map(str::to_owned),
        capabilities: json!({}),
    }
}

/// A service of which nothing stands against the most that can be claimed.
fn good() -> Facts {
    Facts {
        processes: ["connector", "supervisor", "custody", "formats"]
            .map(process)
            .into(),
        tokens: vec![token(Some("4703"))],
        ..Facts::nothing(Source::RunningConnector)
    }
}

fn part(level: Level) -> Part {
    Part::new(level, "as the test wants")
}

fn claim_of(level: Level) -> Claim {
    Claim {
        module_version: part(level),
        build: part(level),
        environment: part(level),
        mode: part(level),
        exceptions_used: part(level),
        tokens: part(level),
        tls: part(level),
        self_tests: part(level),
    }
}

#[test]
fn the_whole_is_the_lowest_of_its_parts_whichever_that_is() {
    for lowest in Level::ALL {
        for place in 0..claim_of(lowest).parts().len() {
            let mut claim = claim_of(Level::Certified);
            let Claim {
                module_version,
                build,
                environment,
                mode,
                exceptions_used,
                tokens,
                tls,
                self_tests,
            } = &mut claim;
            let parts = [
                module_version,
                build,
                environment,
                mode,
                exceptions_used,
                tokens,
                tls,
                self_tests,
            ];
            parts[place].level = lowest;
            let overall = claim.overall();
            assert_eq!(overall.level, lowest);
            if matches!(lowest, Level::Unvalidated | Level::Pending) {
                let (name, _) = claim.parts()[place];
                assert!(overall.says.contains(name), "{}", overall.says);
            }
        }
    }
}

#[test]
fn a_service_without_fault_is_of_a_certified_source_and_never_called_certified() {
    let claim = Claim::of(&good());
    let overall = claim.overall();
    assert_eq!(overall.level, Level::CertifiedSource, "{claim:#?}");
    assert!(
        overall
            .says
            .starts_with("certified source, own build, untested environment"),
        "{}",
        overall.says
    );
    for (name, part) in claim.parts() {
        // An environment or a token is what laboratories test; here the environment is none of theirs.
        assert_eq!(part.level == Level::Certified, name == "tokens", "{part:?}");
    }
}

#[test]
fn in_a_tested_environment_it_is_still_our_own_build() {
    let mut facts = good();
    for process in &mut facts.processes {
        process.environment.as_mut().unwrap().tested = Some("one of the two".to_owned());
    }
    let overall = Claim::of(&facts).overall();
    assert_eq!(overall.level, Level::CertifiedSource);
    assert!(overall.says.contains("own build"), "{}", overall.says);
    assert!(!overall.says.contains("untested"), "{}", overall.says);
}

/// What has to stand against a change of the good service.
fn lowers(change: impl Fn(&mut Facts), of: fn(&Claim) -> &Part, level: Level, words: &str) {
    let mut facts = good();
    change(&mut facts);
    let claim = Claim::of(&facts);
    let part = of(&claim);
    assert_eq!(part.level, level, "{part:?}");
    assert!(part.says.contains(words), "{words}: {part:?}");
    assert_eq!(claim.overall().level, level, "{claim:#?}");
}

#[test]
fn another_version_of_the_module_in_one_process_lowers_the_whole() {
    for (version, level, words) in [
        ("AWS-LC FIPS 4.2.0", Level::Pending, "modules in process"),
        (
            "AWS-LC FIPS 3.2.0",
            Level::Unvalidated,
            "no certificate names",
        ),
        ("", Level::Unvalidated, "custody did not start"),
    ] {
        let change = |facts: &mut Facts| facts.processes[2].module.version = version.to_owned();
        lowers(change, |claim| &claim.module_version, level, words);
    }
}

#[test]
fn a_source_that_is_not_the_pinned_one_or_not_known_is_unvalidated() {
    for digest in [None, Some("00".repeat(32))] {
        let change = |facts: &mut Facts| {
            facts.processes[0].module.source_sha256.clone_from(&digest);
        };
        lowers(
            change,
            |claim| &claim.build,
            Level::Unvalidated,
            "connector",
        );
    }
    lowers(
        |facts| facts.processes[3].module.source_matches_pinned = false,
        |claim| &claim.build,
        Level::Unvalidated,
        "formats",
    );
}

#[test]
fn a_mode_that_is_off_in_one_process_is_unvalidated() {
    lowers(
        |facts| facts.processes[1].mode = "off".to_owned(),
        |claim| &claim.mode,
        Level::Unvalidated,
        "off in supervisor",
    );
}

#[test]
fn what_was_done_without_being_approved_is_named_and_unvalidated() {
    let ecdh = |facts: &mut Facts| {
        let service = &mut facts.processes[2].services[Service::Ecdh as usize];
        assert_eq!(service.name, "ecdh");
        service.failed = 1;
    };
    lowers(
        ecdh,
        |claim| &claim.exceptions_used,
        Level::Unvalidated,
        "ecdh 1 time (cms-ecdh-static)",
    );
    // Whatever a process calls its services, a use that it admits counts.
    lowers(
        |facts| facts.processes[2].not_approved = 3,
        |claim| &claim.exceptions_used,
        Level::Unvalidated,
        "3 uses",
    );
    lowers(
        |facts| {
            let service = &mut facts.processes[3].services[0];
            (service.name, service.done) = ("of-tomorrow".to_owned(), 1);
        },
        |claim| &claim.exceptions_used,
        Level::Unvalidated,
        "of-tomorrow",
    );
}

#[test]
fn a_process_that_does_not_count_a_service_may_have_done_it() {
    lowers(
        |facts| {
            facts.processes[3].services.remove(Service::Ecdh as usize);
        },
        |claim| &claim.exceptions_used,
        Level::Unvalidated,
        "unknown of formats",
    );
}

#[test]
fn a_process_that_does_not_tell_where_it_runs_leaves_the_environment_unknown() {
    lowers(
        |facts| facts.processes[2].environment = None,
        |claim| &claim.environment,
        Level::Unvalidated,
        "unknown of custody",
    );
}

#[test]
fn what_a_process_did_before_it_died_is_unknown_where_something_was_permitted() {
    let mut facts = good();
    facts.restarts.insert("custody".to_owned(), 2);
    let part = Claim::of(&facts).exceptions_used;
    assert_eq!(part.level, Level::CertifiedSource);
    assert!(part.says.contains("custody was started again"), "{part:?}");
    lowers(
        |facts| {
            facts.restarts.insert("custody".to_owned(), 2);
            facts.processes[1].exceptions = vec!["cms-ecdh-static".to_owned()];
        },
        |claim| &claim.exceptions_used,
        Level::Unvalidated,
        "unknown: custody died",
    );
}

#[test]
fn a_token_is_validated_by_the_operators_statement_only_and_the_status_says_so() {
    let claim = Claim::of(&good());
    assert!(
        claim
            .tokens
            .says
            .contains("certified, as the operator states (certificate 4703, not verified here)"),
        "{:?}",
        claim.tokens
    );
    lowers(
        |facts| facts.tokens = vec![token(Some("4703")), token(None)],
        |claim| &claim.tokens,
        Level::Unvalidated,
        "not a validated token",
    );
    for stated in ["", "none", "pending", "#4703"] {
        lowers(
            |facts| facts.tokens = vec![token(Some(stated))],
            |claim| &claim.tokens,
            Level::Unvalidated,
            "which is no number of a certificate",
        );
    }
    lowers(
        |facts| {
            facts.tokens.clear();
            facts.token_problem = Some("it was pulled out".to_owned());
        },
        |claim| &claim.tokens,
        Level::Unvalidated,
        "unknown: it was pulled out",
    );
}

#[test]
fn tls_that_could_agree_on_something_else_is_unvalidated() {
    lowers(
        |facts| facts.processes[0].tls = None,
        |claim| &claim.tls,
        Level::Unvalidated,
        "unknown of connector",
    );
    type Change = fn(&mut crate::evidence::tls::TlsEvidence);
    let changes: [Change; 4] = [
        |tls| tls.provider_fips = false,
        |tls| tls.extended_master_secret_required = false,
        |tls| tls.cipher_suites[0].fips = false,
        |tls| (tls.cipher_suites, tls.groups) = (Vec::new(), Vec::new()),
    ];
    for change in changes {
        lowers(
            |facts| change(facts.processes[0].tls.as_mut().unwrap()),
            |claim| &claim.tls,
            Level::Unvalidated,
            "none of FIPS: connector",
        );
    }
}

#[test]
fn faults_disagreements_and_missing_self_tests_are_unvalidated() {
    lowers(
        |facts| {
            facts.processes[2].fault = Some(FaultEvidence {
                code: "self_test_failed".to_owned(),
                message: "a self-test failed".to_owned(),
                at: "2026-01-01T00:00:00Z".to_owned(),
            });
        },
        |claim| &claim.self_tests,
        Level::Unvalidated,
        "custody: a self-test failed",
    );
    lowers(
        |facts| facts.processes[3].services[1].disagreed = 1,
        |claim| &claim.self_tests,
        Level::Unvalidated,
        "formats: the module's indicator contradicted the policy table for digest",
    );
    lowers(
        |facts| facts.processes[1].module.self_test = None,
        |claim| &claim.self_tests,
        Level::Unvalidated,
        "supervisor",
    );
    lowers(
        |facts| {
            let test = facts.processes[1].module.self_test.as_mut().unwrap();
            test.integrity_passed = false;
        },
        |claim| &claim.self_tests,
        Level::Unvalidated,
        "supervisor",
    );
}

#[test]
fn what_a_silent_process_would_have_to_say_is_unknown_and_unvalidated() {
    let mut facts = good();
    facts.processes.remove(2);
    facts.silent.push("custody".to_owned());
    let claim = Claim::of(&facts);
    for (name, part) in claim.parts() {
        // Where it runs is known from its siblings; the token speaks for itself.
        let known = ["environment", "tokens"].contains(&name);
        assert_eq!(part.says.contains("unknown of custody"), !known, "{part:?}");
        assert_eq!(part.level == Level::Unvalidated, !known, "{part:?}");
    }
    assert_eq!(claim.overall().level, Level::Unvalidated);
}

#[test]
fn without_anybody_who_reports_everything_is_unknown() {
    let claim = Claim::of(&Facts::nothing(Source::RunningEngine));
    for (_, part) in claim.parts() {
        assert_eq!(part.level, Level::Unvalidated);
        assert!(part.says.contains("unknown"), "{part:?}");
    }
}

#[test]
fn a_command_alone_knows_nothing_of_a_service() {
    let facts = Facts {
        processes: vec![process("command")],
        ..Facts::nothing(Source::ThisCommandOnly)
    };
    let claim = Claim::of(&facts);
    for part in [
        &claim.mode,
        &claim.exceptions_used,
        &claim.tokens,
        &claim.tls,
    ] {
        assert_eq!(
            *part,
            Part::new(Level::Unvalidated, "unknown: no running service was asked")
        );
    }
    assert_eq!(claim.module_version.level, Level::CertifiedSource);
    assert_eq!(claim.self_tests.level, Level::CertifiedSource);
}

#[test]
fn a_claim_is_read_as_it_was_written_and_levels_by_their_names_only() {
    let claim = Claim::of(&good());
    let json = serde_json::to_value(&claim).unwrap();
    assert_eq!(
        json["build"]["level"],
        "certified-source-untested-environment"
    );
    assert_eq!(serde_json::from_value::<Claim>(json).unwrap(), claim);
    let invented = json!({"level": "validated", "says": "so"});
    assert!(serde_json::from_value::<Part>(invented).is_err());
}
