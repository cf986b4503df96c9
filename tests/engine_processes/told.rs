//! What status says around a failing request, and to whom: nothing by which a caller could tell why it failed.

use super::engine::{Engine, FIPS_EXCEPTIONS, Options, PATIENCE};
use super::openssl::{Authority, Device, KeyAlgorithm, Workshop};
use super::oracle::ask;
use super::softhsm::SoftHsm;
use hsm::Padding;
use pfx_connector::encoding::Base64Bytes;
use pfx_connector::engine::api::{EngineReply, EngineStatus, FailureCode, RecryptRequest};
use pfx_connector::engine::client::EngineClient;
use pfx_connector::engine::ipc::blocking::{Incoming, read_frame, write_frame};
use pfx_connector::engine::ipc::{Frame, Kind};
use rustix::process::Uid;
use rustix::thread::set_thread_res_uid;
use serde_json::Value;
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::Instant;

/// A user in `allowed_uids`, as connectors are.
pub(super) const CONNECTOR: u32 = 64_123;
const FAILED: Option<FailureCode> = Some(FailureCode::DecryptionFailed);
const OPENS: &str = "right";

/// A greeted connection of this user.
pub(super) fn connected_as(engine: &Engine, uid: u32) -> UnixStream {
    assert!(
        rustix::process::geteuid().is_root(),
        "this test has to run as root: it calls the engine as another user"
    );
    std::fs::set_permissions(engine.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let socket = engine.socket();
    // A system call changes the user of one thread alone, and the kernel vouches for the thread that connects.
    let connecting = std::thread::spawn(move || {
        let uid = Uid::from_raw(uid);
        set_thread_res_uid(uid, uid, uid).unwrap();
        UnixStream::connect(socket).unwrap()
    });
    let mut stream = connecting.join().unwrap();
    write_frame(&mut stream, &Frame::hello()).unwrap();
    let Incoming::Frame(greeting) = read_frame(&mut stream).unwrap() else {
        panic!("no greeting")
    };
    assert_eq!(greeting.kind, Kind::Hello);
    stream
}

/// The answer to a frame over such a connection.
pub(super) fn answer(stream: &mut UnixStream, frame: &Frame) -> EngineReply {
    write_frame(stream, frame).unwrap();
    let Incoming::Frame(reply) = read_frame(stream).unwrap() else {
        panic!("no answer")
    };
    assert_eq!((reply.kind, reply.id), (Kind::Reply, frame.id));
    serde_json::from_slice(&reply.payload).unwrap()
}

/// Whether every process was heard in it: on a busy machine one may take too long.
fn is_whole(status: &EngineStatus) -> bool {
    status.custody_reports() && status.fips.len() == 3
}

async fn whole_status(engine: &Engine, client: &EngineClient) -> EngineStatus {
    engine
        .wait_for(client, "report of every process", is_whole)
        .await
}

fn status_over(stream: &mut UnixStream) -> EngineStatus {
    let until = Instant::now() + PATIENCE;
    loop {
        match answer(stream, &Frame::bare(Kind::Status, 9)) {
            EngineReply::Status(status) if is_whole(&status) => return *status,
            EngineReply::Status(_) => assert!(Instant::now() < until),
            other => panic!("{other:?}"),
        }
    }
}

/// Every password is held against its PFX, no budget is in the way, and no answer misses the grid.
fn options() -> Options {
    let mut exceptions = FIPS_EXCEPTIONS.to_vec();
    exceptions.push("pkcs12-legacy-read");
    Options {
        fips: Some(format!("exceptions = {exceptions:?}")),
        engine: format!(
            "allowed_uids = [{CONNECTOR}]\n[engine.oracle]\ncheck_password = \"always\"\ngrid_ms = 2000\nimporter_failures_per_hour = 40\n"
        ),
        ..Options::default()
    }
}

/// Requests that fail, each for another reason.
fn failing(
    engine: &Engine,
    token: &SoftHsm,
    device: &Device<'_>,
) -> Vec<(&'static str, RecryptRequest)> {
    let pfx = device.pfx(OPENS, &[]);
    let with = |ciphertext: Vec<u8>| {
        let mut request = engine.request("failing", token, device.der());
        request.pfx = Base64Bytes(pfx.clone());
        request.record.encrypted_password = Base64Bytes(ciphertext);
        engine.sign(&mut request);
        request
    };
    let mut random = vec![0x5a; 256];
    random[0] = 0;
    vec![
        (
            "wrong password",
            with(token.encrypt(Padding::OaepSha512, b"wrong")),
        ),
        (
            "another padding",
            with(token.encrypt(Padding::OaepSha1, OPENS.as_bytes())),
        ),
        ("random", with(random)),
    ]
}

fn start<'a>(authority: &Authority<'a>, token: &SoftHsm) -> (Engine, Device<'a>) {
    let engine = Engine::start(token, authority, &options());
    let device = authority.device("phone", KeyAlgorithm::P256);
    (engine, device)
}

/// The first wrong password puts the importer on the list, and services are performed for the first time.
async fn fail_once(engine: &Engine, client: &EngineClient, token: &SoftHsm, device: &Device<'_>) {
    let mut first = engine.request("first", token, device.der());
    first.pfx = Base64Bytes(device.pfx(OPENS, &[]));
    engine.sign(&mut first);
    assert_eq!(ask(client, first).await, FAILED);
}

/// By how much each number in a report moved, and what else is another one.
fn moved(before: &Value, after: &Value, at: &str, into: &mut BTreeMap<String, String>) {
    match (before, after) {
        (Value::Object(one), Value::Object(other)) => {
            assert_eq!(one.len(), other.len(), "{at}");
            for (name, value) in one {
                moved(value, &other[name], &format!("{at}/{name}"), into);
            }
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            for (place, (one, other)) in one.iter().zip(other).enumerate() {
                moved(one, other, &format!("{at}/{place}"), into);
            }
        }
        (Value::Number(one), Value::Number(other)) if one != other => {
            let by = other.as_i64().unwrap() - one.as_i64().unwrap();
            into.insert(at.to_owned(), by.to_string());
        }
        _ if before != after => {
            into.insert(at.to_owned(), "is another".to_owned());
        }
        _ => {}
    }
}

fn between(before: &EngineStatus, after: &EngineStatus) -> BTreeMap<String, String> {
    let json = |status: &EngineStatus| serde_json::to_value(status).unwrap();
    let mut into = BTreeMap::new();
    moved(&json(before), &json(after), "", &mut into);
    into
}

#[tokio::test]
async fn what_connectors_may_know_moves_in_the_same_way_whatever_failed() {
    let workshop = Workshop::new();
    let authority = workshop.authority("Devices", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    let (engine, device) = start(&authority, &token);
    let client = engine.ready_client().await;
    fail_once(&engine, &client, &token, &device).await;
    let (mut all, mut told) = (Vec::new(), Vec::new());
    for (name, request) in failing(&engine, &token, &device) {
        let before = whole_status(&engine, &client).await;
        assert!(!before.coarse, "the engine's own user is told everything");
        assert_eq!(ask(&client, request).await, FAILED, "{name}");
        let after = whole_status(&engine, &client).await;
        all.push((name, between(&before, &after)));
        // However old the figures are that they get.
        let [before, after] = [before, after].map(EngineStatus::for_connectors);
        told.push((name, between(&before, &after)));
    }
    let (_, wrong_password) = &told[0];
    for (name, moved) in &told {
        assert_eq!(moved, wrong_password, "{name}");
    }
    assert_eq!(wrong_password["/keyUses"], "1", "{wrong_password:?}");
    assert_eq!(wrong_password["/oracle/importers/0/failuresHour"], "1");
    // What this test is for: to the engine's own user it shows.
    let canaries = |place: usize| all[place].1.get("/tokens/0/healing/canaries");
    assert_eq!(canaries(0), None, "{all:?}");
    assert!(canaries(1).is_some() && canaries(2).is_some(), "{all:?}");
    let took = |place: usize| all[place].1.get("/tokens/0/load/tokenTime/sumUs");
    assert!((0..3).all(|place| took(place).is_some()), "{all:?}");
}

#[tokio::test]
async fn a_connector_is_told_states_at_once_and_figures_of_no_single_request() {
    let workshop = Workshop::new();
    let authority = workshop.authority("Devices", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    let (engine, device) = start(&authority, &token);
    let client = engine.ready_client().await;
    fail_once(&engine, &client, &token, &device).await;
    let mut connector = connected_as(&engine, CONNECTOR);
    let before = status_over(&mut connector);
    assert!(before.coarse);
    assert!(before.token.is_some() && before.custody_reports());
    let one = &before.tokens[0];
    assert!(one.load.is_none() && one.healing.is_none() && one.token.is_some());
    let audit = before.audit.as_ref().unwrap();
    assert!(audit.head.is_none() && audit.problem.is_none());
    assert!(before.parts.iter().all(|part| part.pid.is_some()));
    for (name, request) in failing(&engine, &token, &device) {
        assert_eq!(ask(&client, request).await, FAILED, "{name}");
        assert_eq!(status_over(&mut connector), before, "{name}");
    }
    // Another connection is told the same, at the same time.
    let mut other = connected_as(&engine, CONNECTOR);
    assert_eq!(status_over(&mut other), before);
    let full = whole_status(&engine, &client).await;
    assert_eq!((full.key_uses, full.answered), (4, 4));
    assert!(full.tokens[0].load.is_some() && full.tokens[0].requests >= 4);

    // What the operator asks by.
    let output = Command::new(env!("CARGO_BIN_EXE_pfx-connector"))
        .args(["status", "--engine", "--json", "--config"])
        .arg(engine.path().join("config.toml"))
        .output()
        .unwrap();
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(said["tokens"][0]["load"]["tokenTime"]["count"], 4, "{said}");
    assert_eq!(output.status.code(), Some(0));
}
