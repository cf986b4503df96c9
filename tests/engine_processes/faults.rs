//! Parts that die and hang under load: no request is lost, none is answered wrongly, and nothing is left behind.

use super::engine::{Engine, Options, PASSWORD, crash, is_alive, part, send_signal, wait_until};
use super::openssl::{Device, KeyAlgorithm, Workshop};
use super::requests::DEADLINE;
use super::softhsm::SoftHsm;
use pfx_connector::engine::api::FailureCode;
use pfx_connector::engine::client::{EngineClient, RecryptError};
use rustix::process::Signal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;

/// Requests that are kept in flight.
const LOAD: usize = 6;

/// Keeps requests in flight until told to stop; each worker gives back how many it got answered and its last answer.
fn load(
    engine: &Engine,
    client: &EngineClient,
    token: &SoftHsm,
    device: &Device<'_>,
    stop: &Arc<AtomicBool>,
) -> JoinSet<(u64, Vec<u8>)> {
    let mut workers = JoinSet::new();
    for number in 0..LOAD {
        let (client, stop) = (client.clone(), Arc::clone(stop));
        let request = engine.request(&format!("load-{number}"), token, device.der());
        workers.spawn(async move {
            let mut answered = 0;
            loop {
                let done = client.recrypt(request.clone(), DEADLINE).await;
                let last = done.unwrap_or_else(|error| panic!("a request failed: {error:?}"));
                answered += 1;
                if stop.load(Ordering::SeqCst) {
                    return (answered, last.cms.0);
                }
            }
        });
    }
    workers
}

async fn survives(name: &str, signal: Signal, rounds: u64) {
    let workshop = Workshop::new();
    let authority = workshop.authority("Devices", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    let options = Options {
        restart: "unresponsive_ms = 2000".to_owned(),
        ..Options::default()
    };
    let engine = Engine::start(&token, &authority, &options);
    let client = engine.ready_client().await;
    let device = authority.device("phone", KeyAlgorithm::P256);
    let stop = Arc::new(AtomicBool::new(false));
    let mut workers = load(&engine, &client, &token, &device, &stop);
    for round in 0..rounds {
        let before = engine
            .wait_for(&client, "part that runs", |status| {
                part(status, name).restarts >= round && part(status, name).pid.is_some()
            })
            .await;
        // Progress between two deaths, so that the same request is not hit again and again.
        let answered = before.answered + 30;
        let status = engine
            .wait_for(&client, "progress", |status| status.answered >= answered)
            .await;
        let pid = part(&status, name).pid.unwrap();
        if signal == Signal::SEGV {
            crash(pid, signal);
        } else {
            send_signal(pid, signal);
        }
        engine
            .wait_for(&client, "restart", |status| {
                part(status, name).restarts > round
            })
            .await;
    }
    stop.store(true, Ordering::SeqCst);
    while let Some(worker) = workers.join_next().await {
        let (answered, last) = worker.unwrap();
        assert!(answered > 0);
        assert_eq!(device.decrypt_cms(&last), PASSWORD);
    }
    let status = engine
        .wait_for(&client, "rest", |status| status.in_flight == 0)
        .await;
    assert!(part(&status, name).restarts >= rounds);
}

#[tokio::test]
async fn custody_killed_under_load_loses_no_request() {
    survives("custody", Signal::KILL, 5).await;
}

#[tokio::test]
async fn custody_crashing_under_load_loses_no_request() {
    survives("custody", Signal::SEGV, 3).await;
}

#[tokio::test]
async fn custody_stopped_under_load_is_replaced_and_loses_no_request() {
    survives("custody", Signal::STOP, 2).await;
}

#[tokio::test]
async fn formats_killed_under_load_loses_no_request() {
    survives("formats", Signal::KILL, 5).await;
}

#[tokio::test]
async fn formats_crashing_under_load_loses_no_request() {
    survives("formats", Signal::SEGV, 3).await;
}

#[tokio::test]
async fn formats_stopped_under_load_is_replaced_and_loses_no_request() {
    survives("formats", Signal::STOP, 2).await;
}

#[tokio::test]
async fn the_status_comes_while_custody_hangs_and_says_so() {
    let workshop = Workshop::new();
    let authority = workshop.authority("Devices", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    let options = Options {
        restart: "unresponsive_ms = 600000".to_owned(),
        ..Options::default()
    };
    let engine = Engine::start(&token, &authority, &options);
    let client = engine.ready_client().await;
    let custody = part(&client.status().await.unwrap(), "custody")
        .pid
        .unwrap();
    send_signal(custody, Signal::STOP);
    let status = client.status().await.unwrap();
    assert!(status.token.is_none());
    assert!(status.token_problem.unwrap().contains("custody"));

    // A request has its deadline also then.
    let device = authority.device("phone", KeyAlgorithm::P256).der();
    let late = client
        .recrypt(
            engine.request("late", &token, device),
            Duration::from_millis(300),
        )
        .await;
    assert!(
        matches!(&late, Err(RecryptError::Failed(failure)) if failure.code == FailureCode::DeadlineExceeded),
        "{late:?}"
    );
    send_signal(custody, Signal::CONT);
    engine
        .wait_for(&client, "report after the pause", |status| {
            status.token.is_some()
        })
        .await;
}

#[tokio::test]
async fn more_than_may_be_in_flight_is_told_to_wait() {
    let workshop = Workshop::new();
    let authority = workshop.authority("Devices", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    let options = Options {
        engine: "max_in_flight = 3".to_owned(),
        restart: "unresponsive_ms = 600000".to_owned(),
        ..Options::default()
    };
    let engine = Engine::start(&token, &authority, &options);
    let client = engine.ready_client().await;
    let custody = part(&client.status().await.unwrap(), "custody")
        .pid
        .unwrap();
    send_signal(custody, Signal::STOP);
    let device = authority.device("phone", KeyAlgorithm::P256).der();
    let mut running = JoinSet::new();
    for number in 0..5 {
        let request = engine.request(&format!("r-{number}"), &token, device.clone());
        let client = client.clone();
        running.spawn(async move { client.recrypt(request, DEADLINE).await });
    }
    for _ in 0..2 {
        let refused = running.join_next().await.unwrap().unwrap();
        assert!(
            matches!(&refused, Err(RecryptError::Failed(failure)) if failure.code == FailureCode::Busy),
            "{refused:?}"
        );
    }
    // What a caller leaves behind by going away is forgotten.
    running.shutdown().await;
    drop(client);
    let client = engine.client().await;
    engine
        .wait_for(&client, "empty engine", |status| status.in_flight == 0)
        .await;
    send_signal(custody, Signal::CONT);
    let request = engine.request("after", &token, device);
    assert!(client.recrypt(request, DEADLINE).await.is_ok());
}

#[tokio::test]
async fn nothing_survives_a_supervisor_that_is_killed() {
    for stopped in [false, true] {
        let workshop = Workshop::new();
        let authority = workshop.authority("Devices", KeyAlgorithm::P256);
        let token = SoftHsm::new();
        let mut engine = Engine::start(&token, &authority, &Options::default());
        let client = engine.ready_client().await;
        let status = client.status().await.unwrap();
        let pids = ["custody", "formats"].map(|name| part(&status, name).pid.unwrap());
        if stopped {
            pids.iter().for_each(|pid| send_signal(*pid, Signal::STOP));
        }
        engine.signal(Signal::KILL);
        engine.wait();
        wait_until("a part outlives the supervisor", || {
            !pids.iter().any(|pid| is_alive(*pid))
        });

        engine.launch();
        let client = engine.ready_client().await;
        let device = authority.device("phone", KeyAlgorithm::P256).der();
        assert!(
            client
                .recrypt(engine.request("after", &token, device), DEADLINE)
                .await
                .is_ok()
        );
    }
}

#[tokio::test]
async fn asked_to_stop_it_answers_what_is_in_flight_and_leaves_nothing_behind() {
    let workshop = Workshop::new();
    let authority = workshop.authority("Devices", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    let mut engine = Engine::start(&token, &authority, &Options::default());
    let client = engine.ready_client().await;
    let status = client.status().await.unwrap();
    let pids = ["custody", "formats"].map(|name| part(&status, name).pid.unwrap());
    let device = authority.device("phone", KeyAlgorithm::P256).der();
    let mut running = JoinSet::new();
    for number in 0..40 {
        let request = engine.request(&format!("r-{number}"), &token, device.clone());
        let client = client.clone();
        running.spawn(async move { client.recrypt(request, DEADLINE).await });
    }
    engine
        .wait_for(&client, "load", |status| {
            status.in_flight + status.answered >= 40
        })
        .await;
    engine.signal(Signal::TERM);
    while let Some(answer) = running.join_next().await {
        assert!(answer.unwrap().is_ok());
    }
    assert_eq!(engine.wait().code(), Some(0), "{}", engine.log());
    assert!(!engine.socket().exists());
    assert!(!pids.iter().any(|pid| is_alive(*pid)));
}
