//! When the module contradicts the policy table, or fails its self-test. What goes wrong here is asked for by a variable that builds
//! with debug assertions read (`PFX_FIPS_TEST_FAULT`); it can only make things fail.

use super::engine::{Engine, Options, part, send_signal};
use super::openssl::{KeyAlgorithm, Workshop};
use super::softhsm::SoftHsm;
use super::{evidence, refused, request};
use pfx_connector::engine::api::FailureCode;
use rustix::process::Signal;

fn with_fault(what: &str) -> Options {
    Options {
        fips: Some(String::new()),
        environment: format!("PFX_FIPS_TEST_FAULT = {what:?}"),
        ..Options::default()
    }
}

#[tokio::test]
async fn a_wrong_indicator_stops_custody_until_the_engine_is_restarted() {
    let workshop = Workshop::new();
    let authority = workshop.authority("Devices", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    let mut engine = Engine::start(&token, &authority, &with_fault("aes-cbc"));
    let client = engine.ready_client().await;
    let device = authority.device("phone", KeyAlgorithm::Rsa(2048));

    let failure = refused(&client, request(&engine, "first", &token, device.der())).await;
    assert_eq!(failure.code, FailureCode::ModuleOutOfService, "{failure:?}");
    assert!(failure.code.is_transient());
    let status = engine
        .wait_for(&client, "fault", |status| status.module_fault.is_some())
        .await;
    let fault = status.module_fault.as_ref().unwrap();
    assert_eq!(fault.code, "indicator_disagrees");
    assert!(fault.message.contains("aes-cbc"), "{fault:?}");
    let custody = evidence(&status, "custody");
    let cbc = custody
        .services
        .iter()
        .find(|service| service.name == "aes-cbc")
        .unwrap();
    assert_eq!(
        (cbc.done, cbc.disagreed),
        (0, 1),
        "the result was thrown away"
    );

    // Nothing is done any more, not by a custody process that is new either.
    let failure = refused(&client, request(&engine, "second", &token, device.der())).await;
    assert_eq!(failure.code, FailureCode::ModuleOutOfService);
    send_signal(part(&status, "custody").pid.unwrap(), Signal::KILL);
    let status = engine
        .wait_for(&client, "custody gone", |status| {
            part(status, "custody").pid.is_none()
        })
        .await;
    assert!(status.module_fault.is_some());
    let failure = refused(&client, request(&engine, "third", &token, device.der())).await;
    assert_eq!(failure.code, FailureCode::ModuleOutOfService);
    assert_eq!(part(&client.status().await.unwrap(), "custody").restarts, 0);

    engine.signal(Signal::TERM);
    assert_eq!(engine.wait().code(), Some(3));
    let log = engine.log();
    assert!(log.contains("THE CRYPTOGRAPHIC MODULE HAS FAILED"), "{log}");
    assert!(log.contains("indicator_disagrees"), "{log}");
}

#[tokio::test]
async fn an_engine_whose_module_fails_its_self_test_does_not_start_and_says_so() {
    let workshop = Workshop::new();
    let authority = workshop.authority("Devices", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    let mut engine = Engine::start(&token, &authority, &with_fault("self-test"));
    assert_eq!(engine.wait().code(), Some(3));
    let log = engine.log();
    assert!(log.contains("self_test_failed"), "{log}");
    assert!(!engine.socket().exists(), "it does not listen any more");
}
