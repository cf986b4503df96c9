use crate::engine::{Answer, FakeEngine};
use crate::process::{Bench, until};
use crate::service::{Service, completions};
use pfx_connector::connector::control::client;
use pfx_connector::engine::api::FailureCode;
use pfx_connector::telemetry::catalogue::Log;
use pfx_connector::telemetry::log::Filter;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn every_request_is_delivered_once_and_reported_once() {
    let mut bench = Bench::new();
    bench.set("metrics_listen", "\"127.0.0.1:0\"");
    let service = Service::start(&bench.pki).await;
    let engine = FakeEngine::start(bench.path(), |_, _| Answer::Recrypt);
    for number in 0..60 {
        service.add(&format!("r-{number}"));
    }
    let connector = bench.start(&service, &engine);
    until("all are settled", || service.unsettled() == 0).await;
    until("all are reported", || bench.reports().len() == 60).await;
    assert!(completions(&service).values().all(|count| *count == 1));
    assert_eq!(engine.total_calls(), 60);

    until("it is healthy", || {
        connector
            .status()
            .is_some_and(|status| status.health.healthy)
    })
    .await;
    let status = connector.status().unwrap();
    assert_eq!(status.counters.delivered, 60);
    assert_eq!(status.exceptions, ["no-device-anchors"]);
    assert!(status.last_contact.is_some());
    assert!(service.inner.lock().unwrap().heartbeats > 0);

    let mut told = Vec::new();
    let filter = Filter {
        request_id: Some("r-7".to_owned()),
        ..Filter::default()
    };
    client::events(&connector.control_socket(), &filter, false, |event| {
        told.push(event.id);
        true
    })
    .unwrap();
    told.sort_unstable();
    assert_eq!(told, [2000, 2020, 2050, 2102]);
    let filter = Filter {
        log: Some(Log::Admin),
        ids: vec![2000],
        limit: Some(5),
        ..Filter::default()
    };
    let mut count = 0;
    client::events(&connector.control_socket(), &filter, false, |event| {
        // Both sides' names of the call, so that either log leads to the other.
        let ids = event.correlation_id.as_deref().unwrap();
        let (ours, theirs) = ids.split_once(' ').unwrap();
        assert_eq!(theirs, format!("answer-{ours}"));
        count += 1;
        true
    })
    .unwrap();
    assert_eq!(count, 5);

    let address = bench.metrics_address();
    assert!(
        http_get(&address, "/healthz")
            .await
            .starts_with("HTTP/1.1 200")
    );
    assert!(
        http_get(&address, "/metrics")
            .await
            .contains("requests_total{outcome=\"Delivered\"} 60")
    );
    engine.set_token(false);
    service.add("waits");
    until("the token is missed", || {
        connector
            .status()
            .is_some_and(|status| !status.health.healthy)
    })
    .await;
    assert!(
        http_get(&address, "/healthz")
            .await
            .starts_with("HTTP/1.1 503")
    );
    engine.set_token(true);
    until("it is done after all", || service.unsettled() == 0).await;
    assert!(connector.stop().await.success());
    assert_eq!(bench.reports().len(), 61);
    assert!(bench.reports().values().all(|ids| ids == &[2000]));
}

pub(crate) async fn http_get(address: &str, path: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn permanent_failures_end_at_once_and_transient_ones_are_tried_again() {
    let bench = Bench::new();
    let service = Service::start(&bench.pki).await;
    let engine = FakeEngine::start(bench.path(), |id, before| match id {
        "wrong" => Answer::Fail(FailureCode::DecryptionFailed),
        "refused" => Answer::Fail(FailureCode::RecordRefused),
        "busy" if before < 6 => Answer::Fail(FailureCode::Busy),
        "faulty" if before < 2 => Answer::Fail(FailureCode::EngineFault),
        "poison" => Answer::Fail(FailureCode::EngineFault),
        _ => Answer::Recrypt,
    });
    for id in ["wrong", "refused", "busy", "faulty", "poison", "good"] {
        service.add(id);
    }
    let connector = bench.start(&service, &engine);
    until("all are reported", || bench.reports().len() == 6).await;
    for id in ["wrong", "refused"] {
        assert_eq!(engine.calls(id), 1, "{id}");
        assert_eq!(bench.reports()[id], [2001]);
    }
    assert_eq!(
        service.item("wrong").failure.unwrap().code,
        "decryptionFailed"
    );
    // Being busy is never held against a request.
    assert_eq!(bench.reports()["busy"], [2000]);
    assert_eq!(bench.reports()["faulty"], [2000]);
    assert_eq!(bench.reports()["poison"], [2001]);
    assert_eq!(engine.calls("poison"), 4);
    assert_eq!(service.item("poison").failure.unwrap().code, "parked");
    assert_eq!(connector.status().unwrap().counters.parked, 1);
    assert!(connector.stop().await.success());
    assert_eq!(bench.count("operational", 2052), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_of_a_suspended_importer_is_given_back_at_once_and_done_later() {
    let bench = Bench::new();
    let service = Service::start(&bench.pki).await;
    let engine = FakeEngine::start(bench.path(), |id, before| match id {
        "suspended" if before < 3 => Answer::Fail(FailureCode::ImporterSuspended),
        "exceeded" if before < 1 => Answer::Fail(FailureCode::BudgetExceeded),
        _ => Answer::Recrypt,
    });
    for id in ["suspended", "exceeded", "other"] {
        service.add(id);
    }
    let connector = bench.start(&service, &engine);
    until("all are reported", || bench.reports().len() == 3).await;
    for (id, calls) in [("suspended", 4), ("exceeded", 2), ("other", 1)] {
        assert_eq!(bench.reports()[id], [2000], "{id}");
        assert_eq!(engine.calls(id), calls, "{id}");
        assert_eq!(service.item(id).requeued, calls - 1, "{id}");
    }
    assert_eq!(connector.status().unwrap().counters.requeued, 4);
    assert!(connector.stop().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_is_kept_while_the_work_goes_on() {
    let mut bench = Bench::new();
    bench.set("engine_timeout_ms", 30_000);
    let service = Service::start(&bench.pki).await;
    service.inner.lock().unwrap().lease_ms = 2_000;
    let engine = FakeEngine::start(bench.path(), |_, _| {
        Answer::Delay(Duration::from_millis(5_000))
    });
    service.add("slow");
    let connector = bench.start(&service, &engine);
    until("it is reported", || bench.reports().len() == 1).await;
    assert_eq!(engine.calls("slow"), 1);
    let item = service.item("slow");
    assert_eq!((item.leases, item.completions), (1, 1));
    assert!(service.inner.lock().unwrap().extends >= 3);
    assert!(connector.stop().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_instance_on_the_same_journal_is_refused() {
    let bench = Bench::new();
    let service = Service::start(&bench.pki).await;
    let engine = FakeEngine::start(bench.path(), |_, _| Answer::Recrypt);
    let first = bench.start(&service, &engine);
    until("the first one runs", || first.status().is_some()).await;
    let second = bench.start(&service, &engine);
    assert_eq!(second.ended().await.code(), Some(1));
    assert!(first.status().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_survive_an_engine_that_is_not_there() {
    let bench = Bench::new();
    let service = Service::start(&bench.pki).await;
    let folder = tempfile::tempdir().unwrap();
    let absent = FakeEngine::start(folder.path(), |_, _| Answer::Recrypt);
    // The configuration names a socket where nobody listens yet.
    let mut elsewhere = absent.clone();
    elsewhere.path = bench.path().join("engine.sock");
    service.add("patient");
    let connector = bench.start(&service, &elsewhere);
    until("the absence is told", || bench.count("admin", 21) == 1).await;
    assert_eq!(
        service.inner.lock().unwrap().polls,
        0,
        "nothing is leased that cannot be worked on"
    );
    let engine = FakeEngine::start(bench.path(), |_, _| Answer::Recrypt);
    until("it is reported", || bench.reports().len() == 1).await;
    assert_eq!(engine.calls("patient"), 1);
    assert!(connector.stop().await.success());
    assert_eq!(bench.count("operational", 20), 1);
}

/// A file system of one page, which is taken.
struct FullDisk(PathBuf);

impl FullDisk {
    /// `None` where that is not allowed.
    fn at(folder: &Path) -> Option<Self> {
        std::fs::create_dir(folder).unwrap();
        let mount = |options: &str| mount(&["-t", "tmpfs", "-o", options, "tmpfs"], folder);
        if !mount("size=4k,mode=700") {
            return None;
        }
        let disk = Self(folder.to_owned());
        std::fs::write(folder.join("ballast"), [0; 4096]).unwrap();
        Some(disk)
    }

    fn make_room(&self) {
        assert!(mount(&["-o", "remount,size=4m"], &self.0));
    }
}

impl Drop for FullDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn mount(arguments: &[&str], folder: &Path) -> bool {
    let mut command = Command::new("mount");
    let output = command.args(arguments).arg(folder).output();
    output
        .expect("this test needs the program mount")
        .status
        .success()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_log_without_room_delays_events_and_loses_none() {
    let bench = Bench::new();
    let service = Service::start(&bench.pki).await;
    let engine = FakeEngine::start(bench.path(), |_, _| Answer::Recrypt);
    let Some(disk) = FullDisk::at(&bench.path().join("log")) else {
        println!("NOT RUN: no file system can be mounted here (it takes root)");
        return;
    };
    for number in 0..5 {
        service.add(&format!("r-{number}"));
    }
    let connector = bench.start(&service, &engine);
    until("they wait for their events", || {
        connector.status().is_some_and(|status| {
            status.counters.delivered == 5
                && status
                    .journal
                    .is_some_and(|journal| journal.unreported == 5)
                && status
                    .health
                    .reasons
                    .iter()
                    .any(|reason| reason.code == "log")
        })
    })
    .await;
    assert!(connector.stop().await.success());
    disk.make_room();
    let connector = bench.start(&service, &engine);
    until("all are reported", || bench.reports().len() == 5).await;
    assert!(connector.stop().await.success());
    assert!(bench.reports().values().all(|ids| ids == &[2000]));
    assert_eq!(engine.total_calls(), 5);
}
