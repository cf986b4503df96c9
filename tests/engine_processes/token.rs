//! A token that goes away, comes back, or does not open.

use super::engine::{Engine, Options, part, send_signal};
use super::openssl::{KeyAlgorithm, Workshop};
use super::requests::DEADLINE;
use super::softhsm::{PIN, SoftHsm};
use pfx_connector::engine::api::{EngineStatus, FailureCode};
use pfx_connector::engine::client::RecryptError;
use rustix::process::Signal;
use std::time::Duration;

fn is_unavailable<T>(outcome: &Result<T, RecryptError>) -> bool {
    matches!(outcome, Err(RecryptError::Failed(failure)) if failure.code == FailureCode::TokenUnavailable)
}

#[tokio::test]
async fn a_token_that_disappears_is_told_and_found_again_without_a_restart_of_the_service() {
    let workshop = Workshop::new();
    let authority = workshop.authority("Devices", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    let engine = Engine::start(&token, &authority, &Options::default());
    let client = engine.ready_client().await;
    let device = authority.device("phone", KeyAlgorithm::P256).der();
    let request = engine.request("r", &token, device);
    assert!(client.recrypt(request.clone(), DEADLINE).await.is_ok());

    let away = token.path().join("away");
    std::fs::rename(token.tokens(), &away).unwrap();
    for _ in 0..10 {
        let outcome = client.recrypt(request.clone(), DEADLINE).await;
        assert!(is_unavailable(&outcome), "{outcome:?}");
    }
    let status = engine
        .wait_for(&client, "problem", |status| status.token_problem.is_some())
        .await;
    assert!(status.token.is_none());

    std::fs::rename(&away, token.tokens()).unwrap();
    engine
        .wait_for(&client, "token that is back", |status| {
            status.token.is_some()
        })
        .await;
    let outcome = client.recrypt(request, DEADLINE).await;
    assert!(outcome.is_ok(), "{outcome:?}");
}

#[tokio::test]
async fn a_wrong_pin_is_tried_once_and_the_right_one_as_soon_as_it_is_there() {
    let workshop = Workshop::new();
    let authority = workshop.authority("Devices", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    token.write_pin("999999");
    let engine = Engine::start(&token, &authority, &Options::default());
    let client = engine.client().await;
    let status = engine
        .wait_for(&client, "refused PIN", |status| {
            status
                .token_problem
                .as_deref()
                .is_some_and(|problem| problem.contains("PIN"))
        })
        .await;
    assert!(!status.token_problem.unwrap().contains("999999"));
    let device = authority.device("phone", KeyAlgorithm::P256).der();
    let request = engine.request("r", &token, device);
    // Long enough for a second try, were there one.
    let mut waited = tokio::time::interval(Duration::from_millis(50));
    for _ in 0..30 {
        waited.tick().await;
        let outcome = client.recrypt(request.clone(), DEADLINE).await;
        assert!(is_unavailable(&outcome), "{outcome:?}");
    }
    assert_eq!(
        engine.log().matches("the token cannot be opened").count(),
        1,
        "{}",
        engine.log()
    );

    token.write_pin(PIN);
    engine
        .wait_for(&client, "open token", |status| status.token.is_some())
        .await;
    assert!(client.recrypt(request, DEADLINE).await.is_ok());
    let status = client.status().await.unwrap();
    assert_eq!(part(&status, "custody").restarts, 0);
    assert!(!engine.log().contains(PIN));
}

#[tokio::test]
async fn a_custody_process_that_is_replaced_does_not_try_a_refused_pin_again() {
    let workshop = Workshop::new();
    let authority = workshop.authority("Devices", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    token.write_pin("999999");
    let engine = Engine::start(&token, &authority, &Options::default());
    let client = engine.client().await;
    let says = |status: &EngineStatus, what: &str| {
        status
            .token_problem
            .as_deref()
            .is_some_and(|problem| problem.contains(what))
    };
    let mut status = engine
        .wait_for(&client, "refused PIN", |status| {
            says(status, "the token refused it")
        })
        .await;
    for _ in 0..2 {
        let before = part(&status, "custody").restarts;
        send_signal(part(&status, "custody").pid.unwrap(), Signal::KILL);
        status = engine
            .wait_for(&client, "PIN that was refused before", |status| {
                part(status, "custody").restarts > before && says(status, "refused before")
            })
            .await;
    }
    token.write_pin(PIN);
    engine
        .wait_for(&client, "open token", |status| status.token.is_some())
        .await;
}

#[tokio::test]
async fn a_request_waits_for_a_token_that_is_away_when_custody_was_replaced() {
    let workshop = Workshop::new();
    let authority = workshop.authority("Devices", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    let engine = Engine::start(&token, &authority, &Options::default());
    let client = engine.ready_client().await;
    let device = authority.device("phone", KeyAlgorithm::P256).der();
    let request = engine.request("r", &token, device);
    let before = client.status().await.unwrap();
    let away = token.path().join("away");
    std::fs::rename(token.tokens(), &away).unwrap();
    send_signal(part(&before, "custody").pid.unwrap(), Signal::KILL);
    engine
        .wait_for(&client, "new process without a token", |status| {
            part(status, "custody").restarts > 0 && status.token_problem.is_some()
        })
        .await;
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.recrypt(request, DEADLINE).await }
    });
    engine
        .wait_for(&client, "request in flight", |status| status.in_flight > 0)
        .await;
    std::fs::rename(&away, token.tokens()).unwrap();
    let outcome = waiting.await.unwrap();
    assert!(outcome.is_ok(), "{outcome:?}\n{}", engine.log());
}

#[tokio::test]
async fn a_module_that_hangs_is_replaced_and_its_request_is_answered_once_it_does_not() {
    let workshop = Workshop::new();
    let authority = workshop.authority("Devices", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    let options = Options {
        restart: "call_limit_ms = 700".to_owned(),
        ..Options::default()
    };
    let engine = Engine::start(&token, &authority, &options);
    let client = engine.ready_client().await;
    let device = authority.device("phone", KeyAlgorithm::P256).der();
    let request = engine.request("r", &token, device);
    assert!(client.recrypt(request.clone(), DEADLINE).await.is_ok());

    // SoftHSM reads this file in every operation; a pipe that nobody writes to keeps it waiting inside the call.
    let folder = std::fs::read_dir(token.tokens())
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let (file, aside) = (folder.join("generation"), folder.join("generation.aside"));
    std::fs::rename(&file, &aside).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &file,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_bits_truncate(0o600),
        0,
    )
    .unwrap();
    let hanging = tokio::spawn({
        let client = client.clone();
        async move { client.recrypt(request, DEADLINE).await }
    });
    engine
        .wait_for(&client, "replaced custody", |status| {
            part(status, "custody").restarts >= 2
        })
        .await;
    std::fs::rename(&aside, &file).unwrap();
    let outcome = hanging.await.unwrap();
    assert!(outcome.is_ok(), "{outcome:?}");
    assert!(engine.log().contains("hangs"));
}
