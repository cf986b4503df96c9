//! Two tokens with the same key: one takes over from the other, and a drained one gets nothing.

use super::engine::{Engine, Options, part};
use super::openssl::{KeyAlgorithm, Workshop};
use super::requests::DEADLINE;
use super::softhsm::{SoftHsm, TOKEN_LABEL};
use hsm::group::MemberState;
use pfx_connector::engine::api::{EngineStatus, TokenStatus};

const SECOND: &str = "custodz";

fn token<'a>(status: &'a EngineStatus, name: &str) -> &'a TokenStatus {
    status
        .tokens
        .iter()
        .find(|token| token.name == name)
        .unwrap()
}

#[tokio::test]
async fn requests_go_on_by_the_other_token_while_one_is_away_and_both_serve_once_it_is_back() {
    let workshop = Workshop::new();
    let authority = workshop.authority("Devices", KeyAlgorithm::P256);
    let mut tokens = SoftHsm::new();
    let second = tokens.copy_token(SECOND);
    let engine = Engine::start(&tokens, &authority, &Options::default());
    let client = engine.ready_client().await;
    let both_open = |status: &EngineStatus| {
        status
            .tokens
            .iter()
            .all(|token| token.state == MemberState::Open)
    };
    let status = engine.wait_for(&client, "two tokens", both_open).await;
    assert_eq!(status.tokens.len(), 2);
    assert_eq!(status.keys.len(), 1);
    assert_eq!(status.keys[0].tokens, [TOKEN_LABEL, SECOND]);
    assert!(status.keys[0].warnings.is_empty());

    let device = authority.device("phone", KeyAlgorithm::P256).der();
    let request = engine.request("r", &tokens, device);
    for _ in 0..12 {
        let outcome = client.recrypt(request.clone(), DEADLINE).await;
        assert!(outcome.is_ok(), "{outcome:?}\n{}", engine.log());
    }
    let status = client.status().await.unwrap();
    for name in [TOKEN_LABEL, SECOND] {
        let token = token(&status, name);
        assert!(token.requests > 0, "{token:?}");
        assert_eq!(token.failures, 0);
    }

    let away = tokens.path().join("away");
    std::fs::rename(&second, &away).unwrap();
    for _ in 0..20 {
        let outcome = client.recrypt(request.clone(), DEADLINE).await;
        assert!(outcome.is_ok(), "{outcome:?}\n{}", engine.log());
    }
    let status = client.status().await.unwrap();
    assert!(token(&status, SECOND).failures > 0, "{status:?}");
    assert!(status.switching.failovers > 0);
    assert!(status.token_problem.is_none());

    std::fs::rename(&away, &second).unwrap();
    let before = token(&status, SECOND).requests;
    let mut taken_back = false;
    let mut pace = tokio::time::interval(std::time::Duration::from_millis(20));
    let until = std::time::Instant::now() + super::engine::PATIENCE;
    while !taken_back && std::time::Instant::now() < until {
        pace.tick().await;
        let outcome = client.recrypt(request.clone(), DEADLINE).await;
        assert!(outcome.is_ok(), "{outcome:?}\n{}", engine.log());
        let status = client.status().await.unwrap();
        let second = token(&status, SECOND);
        taken_back = second.avoided_ms.is_none() && second.requests > before + 2;
    }
    assert!(taken_back, "{}", engine.log());
    let status = client.status().await.unwrap();
    assert_eq!(part(&status, "custody").restarts, 0);
}

#[tokio::test]
async fn a_token_is_drained_by_the_configuration_while_the_engine_runs() {
    let workshop = Workshop::new();
    let authority = workshop.authority("Devices", KeyAlgorithm::P256);
    let mut tokens = SoftHsm::new();
    tokens.copy_token(SECOND);
    let engine = Engine::start(&tokens, &authority, &Options::default());
    let client = engine.ready_client().await;
    let file = engine.path().join("config.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let name = format!("name = {SECOND:?}\n");
    let write = |text: &str| {
        let fresh = engine.path().join("config.new");
        std::fs::write(&fresh, text).unwrap();
        std::fs::rename(fresh, &file).unwrap();
    };
    write(&text.replace(&name, &format!("{name}drain = true\n")));
    let status = engine
        .wait_for(&client, "drained token", |status| {
            token(status, SECOND).drained && token(status, TOKEN_LABEL).state == MemberState::Open
        })
        .await;
    let before = token(&status, SECOND).requests;
    assert_eq!(token(&status, SECOND).weight_per_mille, 0);
    let device = authority.device("phone", KeyAlgorithm::P256).der();
    let request = engine.request("r", &tokens, device);
    for _ in 0..6 {
        assert!(client.recrypt(request.clone(), DEADLINE).await.is_ok());
    }
    let status = client.status().await.unwrap();
    assert_eq!(token(&status, SECOND).requests, before);
    write(&text);
    engine
        .wait_for(&client, "token in service", |status| {
            !token(status, SECOND).drained
        })
        .await;
}

#[tokio::test]
async fn a_token_that_hangs_keeps_no_request_from_the_other_and_the_process_stays() {
    let workshop = Workshop::new();
    let authority = workshop.authority("Devices", KeyAlgorithm::P256);
    let mut tokens = SoftHsm::new();
    let second = tokens.copy_token(SECOND);
    let options = Options {
        restart: "call_limit_ms = 700".to_owned(),
        ..Options::default()
    };
    let engine = Engine::start(&tokens, &authority, &options);
    let client = engine.ready_client().await;
    engine
        .wait_for(&client, "two tokens", |status| {
            status
                .tokens
                .iter()
                .all(|token| token.state == MemberState::Open)
        })
        .await;
    let device = authority.device("phone", KeyAlgorithm::P256).der();
    let request = engine.request("r", &tokens, device);
    assert!(client.recrypt(request.clone(), DEADLINE).await.is_ok());

    // SoftHSM reads this file in every operation; a pipe that nobody writes to keeps it waiting inside the call.
    let (file, aside) = (second.join("generation"), second.join("generation.aside"));
    std::fs::rename(&file, &aside).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &file,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_bits_truncate(0o600),
        0,
    )
    .unwrap();
    for _ in 0..12 {
        let outcome = client.recrypt(request.clone(), DEADLINE).await;
        assert!(outcome.is_ok(), "{outcome:?}\n{}", engine.log());
    }
    let status = client.status().await.unwrap();
    assert!(status.switching.rescues > 0, "{:?}", status.switching);
    assert_eq!(part(&status, "custody").restarts, 0, "{}", engine.log());
    assert!(engine.log().contains("is to be replaced"));
    std::fs::rename(&aside, &file).unwrap();
}

#[tokio::test]
async fn a_key_on_one_token_only_is_warned_of() {
    let workshop = Workshop::new();
    let authority = workshop.authority("Devices", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    let engine = Engine::start(&token, &authority, &Options::default());
    let client = engine.ready_client().await;
    let status = client.status().await.unwrap();
    assert_eq!(status.keys[0].warnings, ["single_copy"]);
    assert_eq!(status.keys[0].tokens, ["token"]);
}
