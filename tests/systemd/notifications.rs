//! What engine and gateway, as processes, tell the service manager. The connector's are in tests/connector_loop.

use crate::engine::{Engine, Options, crash, part};
use crate::gateway::Caller;
use crate::gateway_host::{Host, Process};
use crate::openssl::{KeyAlgorithm, Workshop};
use crate::service_manager::{BEAT, ServiceManager, beats};
use crate::softhsm::SoftHsm;
use rustix::process::{Signal, kill_process};
use std::process::Stdio;
use std::time::Duration;

/// Told four times as often.
const WATCHDOG: Duration = Duration::from_secs(1);

#[tokio::test]
async fn the_engine_is_ready_when_it_serves_and_says_when_it_stops() {
    let manager = ServiceManager::new(WATCHDOG);
    let token = SoftHsm::new();
    let workshop = Workshop::new();
    let authority = workshop.authority("Devices", KeyAlgorithm::P256);
    let mut engine = Engine::prepare(&token, &authority, &Options::default());
    engine.launch_as(|command| {
        manager.watches(command);
    });
    let start = manager.until("READY=1", |said| said.starts_with("READY=1"));
    assert_eq!(start[0], "STATUS=waiting for custody and formats");
    let ready = "READY=1\nSTATUS=custody and formats take requests";
    assert_eq!(start.last().unwrap(), ready);
    // At once, and with its token.
    let status = engine.client().await.status().await.unwrap();
    assert!(status.token.is_some(), "{status:?}");
    manager.until("a sign of life", |said| said == BEAT);
    engine.signal(Signal::TERM);
    let end = manager.until("STOPPING=1", |said| said.starts_with("STOPPING=1"));
    assert!(!end.iter().any(|said| said.contains("READY=1")), "{end:?}");
    assert!(engine.wait().success());
    assert_eq!(manager.told(), [""; 0]);
}

#[tokio::test]
async fn an_engine_whose_custody_cannot_be_kept_is_not_said_to_be_alive() {
    let manager = ServiceManager::new(WATCHDOG);
    let token = SoftHsm::new();
    let workshop = Workshop::new();
    let authority = workshop.authority("Devices", KeyAlgorithm::P256);
    let options = Options {
        restart: "backoff_ms = 10\nbackoff_max_ms = 100".to_owned(),
        ..Options::default()
    };
    let mut engine = Engine::prepare(&token, &authority, &options);
    engine.launch_as(|command| {
        manager.watches(command);
    });
    manager.until("READY=1", |said| said.starts_with("READY=1"));
    let status = engine.client().await.status().await.unwrap();
    // A custody process that is started again finds a configuration that it cannot use.
    let file = engine.path().join("config.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, "[engine]\nsockte = \"a misspelt key\"\n").unwrap();
    crash(part(&status, "custody").pid.unwrap(), Signal::KILL);
    let failing = manager.until("that it gives up", |said| said.contains("cannot be kept"));
    assert!(beats(&failing) > 0, "it is given some time: {failing:?}");
    std::fs::write(&file, text).unwrap();
    let mended = manager.until("that it serves again", |said| {
        said == "STATUS=custody and formats take requests"
    });
    assert_eq!(beats(&mended), 0, "{mended:?}");
    manager.until("a sign of life", |said| said == BEAT);
}

#[tokio::test]
async fn the_gateway_is_ready_when_it_serves_and_says_when_it_stops() {
    let manager = ServiceManager::new(WATCHDOG);
    let host = Host::new();
    let mut command = host.command(&[]);
    manager.watches(&mut command).stdout(Stdio::null());
    let mut process = Process(command.spawn().unwrap());
    let start = manager.until("READY=1", |said| said.starts_with("READY=1"));
    assert_eq!(start, ["READY=1\nSTATUS=serving"]);
    let address = std::fs::read_to_string(host.path("ready")).unwrap();
    let caller: Caller = host.caller(&format!("https://{}", address.trim()), Some("none"));
    assert_eq!(caller.get("/healthz").await.status, 200);
    let alive = manager.until("a sign of life", |said| said == BEAT);
    assert_eq!(alive, [BEAT]);
    kill_process(rustix::process::Pid::from_child(&process.0), Signal::TERM).unwrap();
    let end = manager.until("STOPPING=1", |said| said.starts_with("STOPPING=1"));
    assert_eq!(
        end.last().unwrap(),
        "STOPPING=1\nSTATUS=finishing what is in flight"
    );
    assert!(process.0.wait().unwrap().success());
}
