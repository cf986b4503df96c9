//! The engine and the log of what it does with the key: what is asked is bound, what cannot be recorded does not leave, and nothing that
//! left is missing.

use super::engine::{Engine, Options, PATIENCE, crash, is_alive, part};
use super::openssl::{KeyAlgorithm, Workshop};
use super::requests::DEADLINE;
use super::softhsm::{SoftHsm, TOKEN_LABEL, module};
use audit::event::{Event, KeyUse, Purpose, ResultClass};
use audit::storage::Folder;
use audit::verify::{Expected, Report, verify};
use audit::{Entry, Hash};
use pfx_connector::encoding::public_key_from_pem;
use pfx_connector::engine::api::{EngineStatus, FailureCode};
use pfx_connector::engine::client::RecryptError;
use rustix::process::{Pid, Resource, Rlimit, Signal, prlimit};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

fn log_of(engine: &Engine) -> Folder {
    Folder::for_reading(&engine.path().join("audit")).unwrap()
}

fn entries(engine: &Engine) -> Vec<Entry> {
    let mut entries = Vec::new();
    audit::read::entries(&log_of(engine), |_, entry, _| {
        entries.push(entry.clone());
        ControlFlow::Continue(())
    })
    .unwrap();
    entries
}

/// Every use, also of another request's decryption, by the request's id.
pub(super) fn uses(engine: &Engine) -> BTreeMap<String, Vec<KeyUse>> {
    let mut uses = BTreeMap::<_, Vec<_>>::new();
    for entry in entries(engine) {
        if let Event::KeyUse(used) | Event::Shared(used) = entry.event {
            uses.entry(used.request.clone()).or_default().push(*used);
        }
    }
    uses
}

fn verified(engine: &Engine) -> Report {
    let pem = std::fs::read(engine.path().join("audit-public.pem")).unwrap();
    let expected = Expected {
        keys: vec![public_key_from_pem(&pem).unwrap()],
        ..Expected::default()
    };
    verify(&log_of(engine), &expected).unwrap()
}

fn sound(engine: &Engine) -> Report {
    let report = verified(engine);
    assert!(report.is_sound(), "{:?}", report.findings);
    report
}

fn custody(status: &EngineStatus) -> u32 {
    part(status, "custody").pid.unwrap()
}

#[tokio::test]
async fn a_receipt_binds_who_asked_for_what_under_which_key_and_what_came_of_it() {
    let workshop = Workshop::new();
    let authority = workshop.authority("Devices", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    let mut engine = Engine::start(&token, &authority, &Options::default());
    let device = authority.device("phone", KeyAlgorithm::P256);
    let client = engine.ready_client().await;
    let good = engine.request("good", &token, device.der());
    client.recrypt(good.clone(), DEADLINE).await.unwrap();
    // It is in the file before the answer is.
    assert_eq!(uses(&engine)["good"].len(), 1);
    let mut bad = engine.request("bad", &token, device.der());
    *bad.record.encrypted_password.0.last_mut().unwrap() ^= 1;
    engine.sign(&mut bad);
    client.recrypt(bad, DEADLINE).await.unwrap_err();

    let uses = uses(&engine);
    let used = &uses["good"][0];
    let hash = |bytes: &[u8]| Hash::of(bytes);
    assert_eq!(used.caller.uid, Some(rustix::process::getuid().as_raw()));
    assert_eq!(used.user, good.record.user_principal_name);
    let signature = good.record.importer_signature.as_ref().unwrap();
    assert_eq!(used.importer.unwrap().to_string(), signature.importer);
    assert_eq!(
        used.record,
        hash(&good.record.signed_bytes(good.pfx.as_slice()))
    );
    assert_eq!(used.key.to_string(), token.fingerprint());
    assert_eq!(
        used.ciphertext,
        hash(good.record.encrypted_password.as_slice())
    );
    assert_eq!(used.purpose, Purpose::Device(hash(&device.der())));
    assert_eq!(
        (used.delivery.as_str(), used.result),
        ("password", ResultClass::Decrypted)
    );
    assert_eq!(uses["bad"][0].result, ResultClass::BadCiphertext);

    engine.signal(Signal::TERM);
    engine.wait();
    let report = sound(&engine);
    for event in ["opened", "closed", "canary"] {
        assert!(report.events.contains_key(event), "{event}: {report:?}");
    }
    assert_eq!(report.unsealed, 0, "{report:?}");
    // The password and the PFX are nowhere in it.
    for entry in entries(&engine) {
        let line = entry.to_line().unwrap();
        assert!(!line.contains("correct horse"), "{line}");
    }
}

#[tokio::test]
async fn a_log_that_a_key_on_the_token_seals_is_sound_and_says_that_it_is_new() {
    let workshop = Workshop::new();
    let authority = workshop.authority("Devices", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    let mut engine = Engine::prepare(&token, &authority, &Options::default());
    let public = engine.path().join("audit-public.pem");
    std::fs::remove_file(&public).unwrap();
    let made = Command::new(env!("CARGO_BIN_EXE_pfx-connector"))
        .args(["key", "generate-signing", "--key-label", "pfx-audit"])
        .args(["--token-label", TOKEN_LABEL, "--out-public"])
        .arg(&public)
        .arg("--module")
        .arg(module())
        .arg("--pin-file")
        .arg(token.pin_file())
        .env("SOFTHSM2_CONF", token.configuration())
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let config = engine.path().join("config.toml");
    let text: String = std::fs::read_to_string(&config)
        .unwrap()
        .lines()
        .map(|line| match line.starts_with("signing_key_file") {
            true => "signing_key = \"pfx-audit\"\n".to_owned(),
            false => format!("{line}\n"),
        })
        .collect();
    std::fs::write(&config, text).unwrap();
    engine.launch();
    let client = engine.ready_client().await;
    let device = authority.device("phone", KeyAlgorithm::P256);
    for number in 0..3 {
        let request = engine.request(&format!("r-{number}"), &token, device.der());
        client.recrypt(request, DEADLINE).await.unwrap();
    }
    // The first seals are asked for before a token is open; the next one comes after some seconds.
    let status = engine
        .wait_for(&client, "a seal", |status| {
            let audit = status.audit.as_ref();
            audit.is_some_and(|audit| audit.seal_problem.is_none())
        })
        .await;
    let status = status.audit.unwrap();
    let begins = status.begins.unwrap();
    assert_eq!(status.without_past(begins.as_ms()), Some(begins));
    let eight_days = 8 * 24 * 3600 * 1000;
    assert_eq!(status.without_past(begins.as_ms() + eight_days), None);
    assert!(engine.log().contains("WITHOUT A PAST"));
    engine.signal(Signal::TERM);
    engine.wait();
    let report = sound(&engine);
    assert!(report.seals > 0 && report.unsealed == 0, "{report:?}");
    // It goes on as the same log, and says since when it is there.
    engine.launch();
    let client = engine.ready_client().await;
    let again = engine
        .wait_for(&client, "its log", |status| {
            let audit = status.audit.as_ref();
            audit.is_some_and(|audit| audit.begins.is_some())
        })
        .await;
    let again = again.audit.unwrap();
    assert_eq!((again.log, again.begins), (status.log, Some(begins)));
    assert_eq!(engine.log().matches("WITHOUT A PAST").count(), 1);
}

/// How large a file custody may make.
fn limit_files(pid: u32, bytes: Option<u64>) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    let limit = Rlimit {
        current: bytes,
        maximum: None,
    };
    prlimit(Some(pid), Resource::Fsize, limit).unwrap();
}

#[tokio::test]
async fn a_log_that_cannot_be_written_stops_custody_within_one_request_and_loses_nothing() {
    let workshop = Workshop::new();
    let authority = workshop.authority("Devices", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    let mut engine = Engine::start(&token, &authority, &Options::default());
    let device = authority.device("phone", KeyAlgorithm::P256);
    let client = engine.ready_client().await;
    let ask = async |id: &str| match client
        .recrypt(engine.request(id, &token, device.der()), DEADLINE)
        .await
    {
        Ok(_) => None,
        Err(RecryptError::Failed(failure)) => Some(failure.code),
        Err(error) => panic!("{error}"),
    };
    // The log is then larger than all that custody writes elsewhere: the limit is for every file.
    for number in 10..30 {
        assert_eq!(ask(&format!("before-{number}")).await, None);
    }
    let pid = custody(&client.status().await.unwrap());
    let file = engine.path().join("audit/00000001.receipts");
    let len = std::fs::metadata(&file).unwrap().len();
    limit_files(pid, Some(len + 100));
    // The very first one that cannot be recorded does not leave, and says why.
    assert_eq!(ask("first").await, Some(FailureCode::AuditUnavailable));
    assert!(FailureCode::AuditUnavailable.is_transient());
    let stopped = client.status().await.unwrap();
    let problem = stopped.audit.clone().unwrap().problem.unwrap();
    assert!(problem.contains("large"), "{problem}");
    // From then on the key is not even used.
    for number in 0..5 {
        let refused = ask(&format!("while-{number}")).await;
        assert_eq!(refused, Some(FailureCode::AuditUnavailable));
    }
    assert_eq!(
        client.status().await.unwrap().key_uses,
        stopped.key_uses,
        "the key was used without a record"
    );
    // It comes back by itself, in the same process, and writes down what it could not.
    limit_files(pid, None);
    engine
        .wait_for(&client, "a log that is written again", |status| {
            status
                .audit
                .as_ref()
                .is_some_and(|log| log.problem.is_none())
        })
        .await;
    assert_eq!(ask("after").await, None);
    assert_eq!(custody(&client.status().await.unwrap()), pid);
    engine.signal(Signal::TERM);
    engine.wait();
    let report = sound(&engine);
    assert_eq!(report.events["recovered"], 1, "{report:?}");
    let uses = uses(&engine);
    let others: Vec<_> = uses
        .keys()
        .filter(|name| !name.starts_with("before-"))
        .collect();
    assert_eq!(others, ["after", "first"]);
    assert_eq!(uses.len(), 22);
}

/// Lets the others go on meanwhile.
async fn until(what: &str, done: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < end, "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn whatever_was_answered_before_custody_was_killed_is_in_the_log() {
    let workshop = Workshop::new();
    let authority = workshop.authority("Devices", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    let options = Options {
        engine: "oracle = { uses_per_ciphertext = 1000000 }".to_owned(),
        ..Options::default()
    };
    let mut engine = Engine::start(&token, &authority, &options);
    let device = authority.device("phone", KeyAlgorithm::P256);
    let client = engine.ready_client().await;
    let done = AtomicBool::new(false);
    let answered = std::sync::Mutex::new(Vec::new());
    let stamp = engine.request("stamp", &token, device.der());
    let working = async |worker: usize| {
        let mut number = 0;
        while !done.load(Ordering::SeqCst) {
            number += 1;
            let mut request = stamp.clone();
            request.request_id = format!("w{worker}-{number}");
            if client.recrypt(request.clone(), DEADLINE).await.is_ok() {
                answered.lock().unwrap().push(request.request_id);
            }
        }
    };
    let killing = async {
        for round in 1..=5 {
            let before = answered.lock().unwrap().len();
            let status = client.status().await.unwrap();
            until("nothing is answered", || {
                answered.lock().unwrap().len() > before + 20
            })
            .await;
            let pid = custody(&status);
            crash(pid, Signal::KILL);
            until("it lives", || !is_alive(pid)).await;
            engine
                .wait_for(&client, "a new custody process", |status| {
                    status.token.is_some() && part(status, "custody").restarts >= round
                })
                .await;
        }
        done.store(true, Ordering::SeqCst);
    };
    tokio::join!(working(1), working(2), working(3), killing);
    engine.signal(Signal::TERM);
    engine.wait();
    let report = sound(&engine);
    assert_eq!(report.events["opened"], 6, "{report:?}");
    let uses = uses(&engine);
    let answered = answered.into_inner().unwrap();
    assert!(answered.len() > 100);
    for id in answered {
        let recorded = uses.get(&id).is_some_and(|uses| {
            uses.iter()
                .any(|used| used.result == ResultClass::Decrypted)
        });
        assert!(recorded, "{id} was answered and is not in the log");
    }
}

#[test]
fn without_a_log_the_engine_does_not_start_unless_the_exception_is_named() {
    let workshop = Workshop::new();
    let authority = workshop.authority("Devices", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    let mut engine = Engine::prepare(&token, &authority, &Options::default());
    let path = engine.path().join("config.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once("[engine.audit]").unwrap();
    let (_, after) = rest.split_once("[engine.restart]").unwrap();
    std::fs::write(&path, format!("{before}[engine.restart]{after}")).unwrap();
    engine.launch();
    assert_eq!(engine.wait().code(), Some(2));
    assert!(engine.log().contains("no-receipts"), "{}", engine.log());
}
