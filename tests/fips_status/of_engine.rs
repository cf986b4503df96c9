//! With a running engine.

use super::engine::{Engine, Options, part, send_signal};
use super::openssl::{Authority, KeyAlgorithm, Workshop};
use super::softhsm::SoftHsm;
use super::{ask, page};
use fips::claim::Level;
use hsm::Padding;
use pfx_connector::encoding::Base64Bytes;
use pfx_connector::engine::api::RecryptRequest;
use pfx_connector::evidence::status::Source;
use rustix::process::Signal;
use std::path::PathBuf;
use std::time::Duration;

const DEADLINE: Duration = Duration::from_secs(60);

fn config(engine: &Engine) -> PathBuf {
    engine.path().join("config.toml")
}

/// A strict engine without exceptions; `environment` is added to the token's.
fn strict(token: &SoftHsm, authority: &Authority<'_>, environment: &str) -> Engine {
    let options = Options {
        fips: Some(String::new()),
        environment: environment.to_owned(),
        ..Options::default()
    };
    Engine::prepare(token, authority, &options)
}

fn request(
    engine: &Engine,
    token: &SoftHsm,
    authority: &Authority<'_>,
    padding: Padding,
) -> RecryptRequest {
    let device = authority.device("phone", KeyAlgorithm::Rsa(2048));
    let mut request = engine.request("r", token, device.der());
    request.record.padding = padding;
    request.record.encrypted_password =
        Base64Bytes(token.encrypt(padding, super::engine::PASSWORD));
    engine.sign(&mut request);
    request
}

#[tokio::test]
async fn a_strict_engine_with_a_software_token_is_unvalidated_because_of_the_token_alone() {
    let workshop = Workshop::new();
    let authority = workshop.authority("Devices", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    let mut engine = strict(&token, &authority, "");
    engine.launch();
    let client = engine.ready_client().await;
    let (before, _) = ask(&config(&engine));
    let request = request(&engine, &token, &authority, Padding::OaepSha1);
    client.recrypt(request, DEADLINE).await.unwrap();

    let (status, code) = ask(&config(&engine));
    assert_eq!(code, 0);
    assert_eq!(status.source, Source::RunningEngine);
    let names: Vec<&str> = status
        .processes
        .iter()
        .map(|process| process.process.as_str())
        .collect();
    // All of them, also at once after the start: the report waits for its parts.
    assert_eq!(names, ["supervisor", "custody", "formats"]);
    assert!(before.silent.is_empty() && status.silent.is_empty());
    for (name, part) in status.claim.parts() {
        assert_eq!(
            part.level == Level::Unvalidated,
            name == "tokens",
            "{part:?}"
        );
    }
    assert_eq!(status.overall.level, Level::Unvalidated);
    assert!(
        status.claim.tokens.says.contains("not a validated token"),
        "{:?}",
        status.claim.tokens
    );
    assert_eq!(status.mode, "strict");
    assert_eq!(status.not_approved, 0);
    // The counters are those of the running service.
    let uses = |status: &pfx_connector::evidence::status::FipsStatus| {
        let of = |service: &&pfx_connector::evidence::status::ServiceTotal| {
            service.name == "token-oaep-encrypt"
        };
        status.services.iter().find(of).unwrap().performed
    };
    assert_eq!(uses(&status), uses(&before) + 1);
    assert!(status.approved > before.approved);

    let token = &status.tokens[0];
    assert_eq!(token.label, super::softhsm::TOKEN_LABEL);
    assert_eq!(token.model, "SoftHSM v2");
    assert!(token.stated_certificate.is_none() && token.firmware_version.starts_with("2."));
    assert_eq!(status.keys[0].attributes["sensitive"], true);
    assert_eq!(status.keys[0].attributes["extractable"], false);
    let text = page(&config(&engine));
    assert!(
        text.starts_with("Unvalidated, because of tokens:"),
        "{text}"
    );
    assert!(text.contains("CKA_SENSITIVE"), "{text}");
}

#[tokio::test]
async fn a_certificate_that_the_operator_states_is_repeated_as_his_word() {
    let workshop = Workshop::new();
    let authority = workshop.authority("Devices", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    let mut engine = strict(&token, &authority, "");
    let text = std::fs::read_to_string(config(&engine)).unwrap();
    let text = text.replace(
        "threads = 2\n",
        "threads = 2\nfips_certificate = \"4703\"\n",
    );
    std::fs::write(config(&engine), text).unwrap();
    engine.launch();
    engine.ready_client().await;
    let (status, code) = ask(&config(&engine));
    assert_eq!(code, 0);
    assert_eq!(status.tokens[0].stated_certificate.as_deref(), Some("4703"));
    assert!(
        status
            .claim
            .tokens
            .says
            .ends_with("certified, as the operator states (certificate 4703, not verified here)"),
        "{:?}",
        status.claim.tokens
    );
    // The rest is our own build all the same.
    assert_eq!(status.overall.level, Level::CertifiedSource);
    let text = page(&config(&engine));
    assert!(text.starts_with("Certified source, own build"), "{text}");
}

#[tokio::test]
async fn what_an_exception_permitted_is_named_and_counted() {
    let workshop = Workshop::new();
    let authority = workshop.authority("Devices", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    let options = Options {
        fips: Some("exceptions = [\"oaep-unpadding-in-software\"]".to_owned()),
        ..Options::default()
    };
    let engine = Engine::start(&token, &authority, &options);
    let client = engine.ready_client().await;
    let (before, _) = ask(&config(&engine));
    let request = request(&engine, &token, &authority, Padding::OaepSha256);
    client.recrypt(request, DEADLINE).await.unwrap();
    let (status, code) = ask(&config(&engine));
    assert_eq!(code, 0, "an exception is no fault");
    assert_eq!(status.exceptions[0].name, "oaep-unpadding-in-software");
    assert_eq!(status.exceptions[0].used, before.exceptions[0].used + 1);
    assert_eq!(status.not_approved, status.exceptions[0].used);
    assert_eq!(status.claim.exceptions_used.level, Level::Unvalidated);
    assert!(
        status
            .claim
            .exceptions_used
            .says
            .contains("token-raw-rsa-oaep"),
        "{:?}",
        status.claim.exceptions_used
    );
    assert!(page(&config(&engine)).contains("by the exception oaep-unpadding-in-software"));
}

#[tokio::test]
async fn a_module_that_contradicts_the_table_is_told_with_exit_code_3_also_when_custody_is_gone() {
    let workshop = Workshop::new();
    let authority = workshop.authority("Devices", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    let mut engine = strict(&token, &authority, "PFX_FIPS_TEST_FAULT = \"aes-cbc\"");
    engine.launch();
    let client = engine.ready_client().await;
    assert_eq!(ask(&config(&engine)).1, 0);
    let request = request(&engine, &token, &authority, Padding::OaepSha1);
    client.recrypt(request, DEADLINE).await.unwrap_err();

    let (status, code) = ask(&config(&engine));
    assert_eq!(code, 3);
    assert!(!status.healthy);
    assert_eq!(status.faults[0].fault.code, "indicator_disagrees");
    assert_eq!(status.claim.self_tests.level, Level::Unvalidated);
    assert!(status.claim.self_tests.says.contains("aes-cbc"));
    assert!(page(&config(&engine)).contains("NOT HEALTHY"));

    let said = client.status().await.unwrap();
    send_signal(part(&said, "custody").pid.unwrap(), Signal::KILL);
    engine
        .wait_for(&client, "custody gone", |status| {
            part(status, "custody").pid.is_none()
        })
        .await;
    let (status, code) = ask(&config(&engine));
    assert_eq!(code, 3);
    assert_eq!(status.silent, ["custody"]);
    assert_eq!(status.faults[0].fault.code, "indicator_disagrees");
}

#[tokio::test]
async fn a_part_that_hangs_is_named_and_what_only_it_knows_is_unknown() {
    let workshop = Workshop::new();
    let authority = workshop.authority("Devices", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    let options = Options {
        fips: Some(String::new()),
        restart: "unresponsive_ms = 600000".to_owned(),
        ..Options::default()
    };
    let engine = Engine::start(&token, &authority, &options);
    let client = engine.ready_client().await;
    for (name, silent_tokens) in [("formats", false), ("custody", true)] {
        let pid = part(&client.status().await.unwrap(), name).pid.unwrap();
        send_signal(pid, Signal::STOP);
        let (status, code) = ask(&config(&engine));
        send_signal(pid, Signal::CONT);
        assert_eq!(code, 3);
        assert_eq!(status.silent, [name]);
        assert!(status.claim.mode.says.contains(name));
        assert_eq!(
            status.claim.tokens.says.starts_with("unknown"),
            silent_tokens
        );
        engine
            .wait_for(&client, "report of all", |status| status.fips.len() == 3)
            .await;
        assert_eq!(ask(&config(&engine)).1, 0);
    }
}

#[tokio::test]
async fn a_part_that_died_and_was_started_again_is_told_since_its_counters_are_lost() {
    let workshop = Workshop::new();
    let authority = workshop.authority("Devices", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    let mut engine = strict(&token, &authority, "");
    engine.launch();
    let client = engine.ready_client().await;
    let said = client.status().await.unwrap();
    send_signal(part(&said, "custody").pid.unwrap(), Signal::KILL);
    engine
        .wait_for(&client, "custody that is back", |status| {
            part(status, "custody").restarts == 1 && status.token.is_some()
        })
        .await;
    let (status, code) = ask(&config(&engine));
    assert_eq!(code, 0);
    assert_eq!(status.restarts.get("custody"), Some(&1));
    let part = &status.claim.exceptions_used;
    assert_eq!(part.level, Level::CertifiedSource);
    assert!(part.says.contains("custody was started again"), "{part:?}");
    assert!(page(&config(&engine)).contains("died and was started again once"));
}
