//! What the connector tells the service manager: that it works, how it fares, and that it is alive.

use crate::engine::{Answer, FakeEngine};
use crate::process::{Bench, Connector, until};
use crate::service::Service;
use crate::service_manager::{BEAT, ServiceManager, beats};
use rustix::process::Signal;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::time::{Duration, Instant};

const WATCHDOG: Duration = Duration::from_millis(200);

fn is_ready(said: &str) -> bool {
    said.starts_with("READY=1")
}

#[tokio::test(flavor = "multi_thread")]
async fn start_reload_and_stop_are_told_and_how_it_fares() {
    let manager = ServiceManager::new(WATCHDOG);
    let bench = Bench::new();
    let service = Service::start(&bench.pki).await;
    let engine = FakeEngine::start(bench.path(), |_, _| Answer::Recrypt);
    let config = bench.write_config(&service, &engine);
    let connector = Connector::spawn_as(&config, bench.path(), |command| {
        manager.watches(command);
    });
    let start = tokio::task::block_in_place(|| manager.until("READY=1", is_ready));
    assert_eq!(start.len(), 1, "{start:?}");
    assert!(connector.status().is_some(), "it serves");
    let well = "STATUS=running, healthy";
    tokio::task::block_in_place(|| {
        manager.until("that it is healthy", |said| said == well);
        manager.until("a sign of life", |said| said == BEAT);
    });
    connector.signal(Signal::HUP);
    let reload = tokio::task::block_in_place(|| {
        manager.until("RELOADING=1", |said| said.starts_with("RELOADING=1"));
        manager.until("READY=1", is_ready)
    });
    assert_eq!(reload, ["READY=1\nSTATUS=running, healthy"]);
    connector.signal(Signal::TERM);
    tokio::task::block_in_place(|| {
        manager.until("STOPPING=1", |said| said.starts_with("STOPPING=1"))
    });
    assert!(connector.ended().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_engine_it_works_and_says_what_it_lacks() {
    let manager = ServiceManager::new(WATCHDOG);
    let bench = Bench::new();
    let service = Service::start(&bench.pki).await;
    let mut engine = FakeEngine::start(bench.path(), |_, _| Answer::Recrypt);
    engine.path = bench.path().join("nobody.sock");
    let config = bench.write_config(&service, &engine);
    let _connector = Connector::spawn_as(&config, bench.path(), |command| {
        manager.watches(command);
    });
    tokio::task::block_in_place(|| {
        manager.until("READY=1", is_ready);
        manager.until("what is missing", |said| {
            said.starts_with("STATUS=running, not healthy: engine: ")
        });
        // No restart would bring the engine.
        manager.until("a sign of life", |said| said == BEAT);
        manager.until("another one", |said| said == BEAT);
    });
}

/// The thread that writes the log prints events, and hangs while nobody takes what it prints.
#[tokio::test(flavor = "multi_thread")]
async fn a_connector_whose_log_hangs_is_not_said_to_be_alive() {
    let manager = ServiceManager::new(WATCHDOG);
    let bench = Bench::new();
    let service = Service::start(&bench.pki).await;
    let engine = FakeEngine::start(bench.path(), |_, _| Answer::Recrypt);
    let config = bench.write_config(&service, &engine);
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(
        &config,
        text.replace("console = \"off\"", "console = \"json\""),
    )
    .unwrap();
    let (mut reader, writer) = std::io::pipe().unwrap();
    let full = fill(&writer);
    let connector = Connector::spawn_as(&config, bench.path(), |command| {
        manager
            .watches(command)
            .stderr(Stdio::from(OwnedFd::from(writer)));
    });
    let start = tokio::task::block_in_place(|| manager.until("READY=1", is_ready));
    assert_eq!(beats(&start), 0);
    // It still does what needs no log; many times as long as the watchdog would bear.
    let mut heard = Vec::new();
    let begin = Instant::now();
    while begin.elapsed() < 10 * WATCHDOG {
        connector.signal(Signal::HUP);
        heard.extend(tokio::task::block_in_place(|| {
            manager.until("READY=1", is_ready)
        }));
    }
    // The one that came before the first question was answered.
    assert!(beats(&heard) <= 1, "{heard:?}");
    let reading = std::thread::spawn(move || {
        let mut all = Vec::new();
        let _ = reader.read_to_end(&mut all);
        all.len()
    });
    tokio::task::block_in_place(|| {
        manager.until("a sign of life", |said| said == BEAT);
        manager.until("another one", |said| said == BEAT);
    });
    until("what was logged meanwhile is there", || {
        bench.count("admin", 10) > 0
    })
    .await;
    assert!(connector.stop().await.success());
    assert!(reading.join().unwrap() > full);
}

/// Fills a pipe to the last byte; how many went in.
fn fill(writer: &std::io::PipeWriter) -> usize {
    use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
    let flags = fcntl_getfl(writer).unwrap();
    fcntl_setfl(writer, flags | OFlags::NONBLOCK).unwrap();
    let mut full = 0;
    while let Ok(written) = rustix::io::write(writer, b"\n") {
        full += written;
    }
    fcntl_setfl(writer, flags).unwrap();
    full
}
