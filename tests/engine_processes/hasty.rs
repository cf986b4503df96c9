//! Callers who do not wait for what they asked: a use of the key that fails counts all the same.

use super::access::greeted;
use super::deliveries::{self, OPENS, person, stored};
use super::engine::{Engine, Options, PASSWORD, part, send_signal};
use super::openssl::{Authority, Device, KeyAlgorithm, Workshop};
use super::pkcs1;
use super::receipts::uses;
use super::softhsm::{SoftHsm, encrypt_pkcs1};
use audit::event::ResultClass;
use pfx_connector::encoding::Base64Bytes;
use pfx_connector::engine::api::{
    Delivery, EngineReply, EngineRequest, FailureCode, RecryptRequest, StoredPfx,
};
use pfx_connector::engine::client::EngineClient;
use pfx_connector::engine::ipc::Frame;
use pfx_connector::engine::ipc::blocking::{Incoming, read_frame, write_frame};
use rustix::process::Signal;
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// The integrity check of such a file takes so long that there is time to look in between.
const SLOW: [&str; 2] = ["-iter", "2000000"];
/// Nothing waits so long here.
const LONG: Duration = Duration::from_secs(600);
/// Enough to reach the token, and over while the formats process stands still.
const SHORT: Duration = Duration::from_secs(10);

/// Every password is held against its PFX, all deliveries are done, and a part that is stopped is not taken for dead.
fn options() -> Options {
    let mut options = deliveries::options("");
    options
        .engine
        .push_str("[engine.oracle]\ncheck_password = \"always\"\n");
    options.restart = "unresponsive_ms = 600000".to_owned();
    options
}

/// Sends a request whose ciphertext decrypts, and stops the formats process over what comes of it. The connection, and that process.
async fn stopped_after_the_decryption(
    engine: &Engine,
    client: &EngineClient,
    request: &EngineRequest,
    time_left: Duration,
) -> (UnixStream, u32) {
    let before = client.status().await.unwrap();
    let mut stream = greeted(engine);
    let mut frame = Frame::request(7, request).unwrap();
    frame.time_left_ms = u32::try_from(time_left.as_millis()).unwrap();
    write_frame(&mut stream, &frame).unwrap();
    engine
        .wait_for(client, "use of the key", |status| {
            status.key_uses > before.key_uses
        })
        .await;
    let formats = part(&before, "formats").pid.unwrap();
    send_signal(formats, Signal::STOP);
    (stream, formats)
}

async fn failures_become(engine: &Engine, client: &EngineClient, expected: u32) {
    engine
        .wait_for(client, "failure that counts", |status| {
            let oracle = status.oracle.as_ref();
            let ada = oracle.and_then(|oracle| oracle.importers.first());
            ada.is_some_and(|ada| ada.failures_hour == expected)
        })
        .await;
}

/// A record whose password does not open its file.
fn wrong(engine: &Engine, token: &SoftHsm, person: &Device<'_>, password: &str) -> StoredPfx {
    let mut request = engine.request("unused", token, Vec::new());
    request.record = stored(engine, token, person, password).record;
    request.pfx = Base64Bytes(person.pfx(OPENS, &SLOW));
    engine.sign(&mut request);
    StoredPfx {
        record: request.record,
        pfx: request.pfx,
    }
}

/// One for each way in which formats is asked about a password: by name.
fn wrong_passwords(
    engine: &Engine,
    token: &SoftHsm,
    authority: &Authority<'_>,
) -> Vec<(&'static str, EngineRequest)> {
    let ada = person(authority, "ada@example.org", "20240101000000Z");
    let phone = authority.device("phone", KeyAlgorithm::Rsa(2048));
    let file = wrong(engine, token, &ada, "the wrong one");
    let password = RecryptRequest {
        request_id: "password".to_owned(),
        record: file.record,
        pfx: file.pfx,
        ..engine.request("unused", token, phone.der())
    };
    let mut requests = vec![("password", EngineRequest::Recrypt(Box::new(password)))];
    for (name, delivery) in [
        ("rewrap", Delivery::Rewrap),
        ("profile", Delivery::AppleProfile),
    ] {
        let file = wrong(engine, token, &ada, name);
        let mut request = deliveries::request(delivery, vec![file], &phone);
        request.request_id = name.to_owned();
        requests.push((name, EngineRequest::Deliver(Box::new(request))));
    }
    requests
}

fn results(engine: &Engine, request: &str) -> Vec<ResultClass> {
    uses(engine)[request]
        .iter()
        .map(|used| used.result)
        .collect()
}

#[tokio::test]
async fn a_wrong_password_counts_though_its_caller_has_hung_up() {
    let workshop = Workshop::new();
    let authority = workshop.authority("Devices", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    let engine = Engine::start(&token, &authority, &options());
    let client = engine.ready_client().await;
    let mut failures = 0;
    for (name, request) in wrong_passwords(&engine, &token, &authority) {
        let (stream, formats) =
            stopped_after_the_decryption(&engine, &client, &request, LONG).await;
        drop(stream);
        engine
            .wait_for(&client, "hung up", |status| status.in_flight == 0)
            .await;
        send_signal(formats, Signal::CONT);
        failures += 1;
        failures_become(&engine, &client, failures).await;
        assert_eq!(results(&engine, name), [ResultClass::PasswordRefused]);
    }
}

#[tokio::test]
async fn a_wrong_password_counts_though_its_deadline_is_over() {
    let workshop = Workshop::new();
    let authority = workshop.authority("Devices", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    let engine = Engine::start(&token, &authority, &options());
    let client = engine.ready_client().await;
    let mut failures = 0;
    for (name, request) in wrong_passwords(&engine, &token, &authority) {
        let (mut stream, formats) =
            stopped_after_the_decryption(&engine, &client, &request, SHORT).await;
        let Incoming::Frame(answer) = read_frame(&mut stream).unwrap() else {
            panic!("no answer")
        };
        match serde_json::from_slice(&answer.payload).unwrap() {
            EngineReply::Failed(failure) => {
                assert_eq!(failure.code, FailureCode::DeadlineExceeded);
            }
            other => panic!("{other:?}"),
        }
        send_signal(formats, Signal::CONT);
        failures += 1;
        failures_become(&engine, &client, failures).await;
        assert_eq!(results(&engine, name), [ResultClass::PasswordRefused]);
    }
}

/// Of PKCS#1 v1.5 every bad block shows in nothing but its PFX.
#[tokio::test]
async fn a_bad_block_counts_though_its_caller_has_hung_up() {
    let workshop = Workshop::new();
    let authority = workshop.authority("Devices", KeyAlgorithm::P256);
    let device = authority.device("phone", KeyAlgorithm::Rsa(2048));
    let token = SoftHsm::new();
    let named = pkcs1::named(&token.fingerprint(), "2999-12-31");
    let options = Options {
        fips: Some("mode = \"off\"".to_owned()),
        importers: named,
        restart: "unresponsive_ms = 600000".to_owned(),
        ..Options::default()
    };
    let engine = Engine::start(&token, &authority, &options);
    let client = engine.ready_client().await;
    let mut bad = encrypt_pkcs1(token.public_key(), PASSWORD);
    bad[100] ^= 1;
    let pfx = device.pfx(std::str::from_utf8(PASSWORD).unwrap(), &SLOW);
    let request = pkcs1::old(&engine, "block", (&token, &device), &pfx, bad);
    let request = EngineRequest::Recrypt(Box::new(request));
    let (stream, formats) = stopped_after_the_decryption(&engine, &client, &request, LONG).await;
    drop(stream);
    engine
        .wait_for(&client, "hung up", |status| status.in_flight == 0)
        .await;
    send_signal(formats, Signal::CONT);
    failures_become(&engine, &client, 1).await;
    assert_eq!(results(&engine, "block"), [ResultClass::PasswordRefused]);
}

/// Whoever could have a file kill whoever looks into it would decrypt past the budgets otherwise.
#[tokio::test]
async fn what_formats_dies_over_counts_as_a_wrong_password() {
    let workshop = Workshop::new();
    let authority = workshop.authority("Devices", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    let options = Options {
        restart: "unresponsive_ms = 600000\nmax_crashes_per_request = 1\nbackoff_ms = 1".to_owned(),
        ..options()
    };
    let engine = Engine::start(&token, &authority, &options);
    let client = engine.ready_client().await;
    let (name, request) = wrong_passwords(&engine, &token, &authority).remove(0);
    let (_stream, formats) = stopped_after_the_decryption(&engine, &client, &request, LONG).await;
    send_signal(formats, Signal::KILL);
    failures_become(&engine, &client, 1).await;
    let used = &uses(&engine)[name][0];
    assert_eq!(used.result, ResultClass::PasswordRefused);
    assert_eq!(used.reason.as_deref(), Some("no_verdict"));
}
