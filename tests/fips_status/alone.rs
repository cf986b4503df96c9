//! Without a running service.

use super::cli_common::{program, text, write};
use super::read;
use fips::claim::Level;
use pfx_connector::evidence::status::Source;

#[test]
fn without_a_configuration_the_program_speaks_for_itself_and_claims_nothing_of_a_service() {
    let (status, code) = read(&program(&["fips", "status", "--json"], &[]));
    assert_eq!(code, 0);
    assert!(status.healthy);
    assert_eq!(status.source, Source::ThisCommandOnly);
    assert_eq!(status.overall.level, Level::Unvalidated);
    assert_eq!(status.module.version, "AWS-LC FIPS 3.1.0");
    assert_eq!(status.module.certificate, "5314");
    assert!(status.build.matches_pinned);
    assert_eq!(status.claim.build.level, Level::CertifiedSource);
    for part in [&status.claim.mode, &status.claim.tokens, &status.claim.tls] {
        assert_eq!(part.says, "unknown: no running service was asked");
    }
    assert!(status.tokens.is_empty() && status.keys.is_empty());
    let test = status.processes[0].module.self_test.as_ref().unwrap();
    assert!(test.integrity_passed && test.known_answers_passed);

    let page = program(&["fips", "status"], &[]).text();
    assert!(page.starts_with("Unvalidated, because of "), "{page}");
    assert!(page.contains("this command only: no running service was asked"));
    assert!(page.contains("CVE-2026-3337"), "{page}");
}

#[test]
fn a_module_that_fails_its_self_test_is_told_with_exit_code_3() {
    let seam = [("PFX_FIPS_TEST_FAULT", "self-test")];
    let (status, code) = read(&program(&["fips", "status", "--json"], &seam));
    assert_eq!(code, 3);
    assert!(!status.healthy);
    assert_eq!(status.faults[0].fault.code, "self_test_failed");
    assert_eq!(status.module.version, "", "it did not start");
    let page = program(&["fips", "status"], &seam).text();
    assert!(page.contains("NOT HEALTHY"), "{page}");
    assert!(page.contains("known answers FAILED"), "{page}");
}

#[test]
fn a_service_that_does_not_run_is_an_error_and_no_status() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.toml");
    let engine = "[engine]\nsocket = \"engine.sock\"\nexceptions = [\"no-device-anchors\", \"unsigned-records\", \"no-receipts\"]\n\
                  [engine.token]\nmodule = \"/nowhere.so\"\nlabel = \"x\"\npin_file = \"pin\"\n";
    let connector = "[connector]\ninstance = \"c\"\ngateway = \"https://localhost\"\ngateway_ca = \"ca.pem\"\ncertificate = \"c.pem\"\n\
                     private_key = \"c.key\"\nengine_socket = \"engine.sock\"\njournal = \"j.db\"\ncontrol_socket = \"c.sock\"\n\
                     [connector.log]\ndirectory = \"logs\"\n";
    for section in [engine, connector] {
        write(&config, section, 0o600);
        let ran = program(
            &["fips", "status", "--config", text(&config), "--json"],
            &[],
        );
        assert_eq!(ran.code, 1, "{}", ran.stderr);
        assert_eq!(ran.error()["code"], "not_running");
        assert!(ran.error()["hint"].as_str().unwrap().contains("start the"));
    }
}

#[test]
fn a_configuration_without_a_service_to_ask_gives_the_mode_only() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.toml");
    write(&config, "[fips]\nmode = \"off\"\n", 0o600);
    let (status, code) = super::ask(&config);
    // Where the system itself demands FIPS mode, `off` would have been refused.
    assert_eq!((status.mode.as_str(), code), ("off", 0));
    assert_eq!(status.source, Source::ThisCommandOnly);
    assert_eq!(
        status.claim.mode.says,
        "unknown: no running service was asked"
    );
}
