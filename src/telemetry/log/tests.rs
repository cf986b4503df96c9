#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]
use super::*;
use crate::clock::SystemClock;
use crate::config::{LogConfig, LogForm};
use crate::telemetry::Draft;
use crate::telemetry::catalogue::{EventKind, Log};
use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

fn config(folder: &Path) -> LogConfig {
    LogConfig {
        directory: folder.to_owned(),
        console: LogForm::Off,
        rotate_bytes: 4_000,
        archives_max_bytes: 1 << 30,
        debug: false,
    }
}

fn open(config: &LogConfig) -> EventLog {
    EventLog::open(config, "test", Arc::new(SystemClock)).unwrap()
}

fn success(id: &str) -> Draft {
    Draft::new(EventKind::PkcsImportRequestSuccess, "done").request(id)
}

async fn all(log: &EventLog, filter: Filter) -> Vec<crate::telemetry::Event> {
    let mut events = Vec::new();
    let snapshot = log.follow().await.unwrap().snapshot;
    snapshot
        .read(&filter, |event| {
            events.push(event);
            true
        })
        .unwrap();
    events
}

#[tokio::test]
async fn what_the_cap_removes_while_the_log_closes_is_told_too() {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..60 {
        let name = format!("admin-20260101T000000{number:09}Z-0000.log");
        std::fs::write(
            folder.path().join(name),
            success("old").finish(0, "i").line(),
        )
        .unwrap();
    }
    let mut config = config(folder.path());
    config.archives_max_bytes = 0;
    let log = open(&config);
    log.close().await;
    let admin = std::fs::read_to_string(folder.path().join("admin.log")).unwrap();
    let told: Vec<_> = admin
        .lines()
        .map(|line| serde_json::from_str::<crate::telemetry::Event>(line).unwrap())
        .filter(|event| event.id == EventKind::LogCapReached.id())
        .collect();
    let removed: u64 = told
        .iter()
        .map(|event| event.fields["count"].as_u64().unwrap())
        .sum();
    assert_eq!(removed, 60);
    // However many go at once, the line stays one that readers take.
    for event in told {
        let names = event.fields["removed"].as_array().unwrap().len() as u64;
        assert_eq!(names, event.fields["count"].as_u64().unwrap().min(50));
    }
}

#[tokio::test]
async fn rotation_and_compression_lose_no_line_and_keep_the_order() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(&config(folder.path()));
    for number in 0..200 {
        log.record_durably(success(&format!("r-{number}")))
            .await
            .unwrap();
    }
    let filter = Filter {
        ids: vec![2000],
        ..Filter::default()
    };
    let told: Vec<String> = all(&log, filter.clone())
        .await
        .into_iter()
        .filter_map(|event| event.request_id)
        .collect();
    let expected: Vec<String> = (0..200).map(|number| format!("r-{number}")).collect();
    assert_eq!(told, expected);
    log.close().await;

    // What was not compressed yet is compressed after the next start, and still nothing is lost.
    let log = open(&config(folder.path()));
    let deadline = Instant::now() + Duration::from_secs(30);
    let uncompressed = || {
        archive::list(folder.path())
            .unwrap()
            .iter()
            .filter(|archive| !archive.compressed)
            .count()
    };
    while uncompressed() > 0 {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(all(&log, filter).await.len(), 200);
    let last = Filter {
        log: Some(Log::Admin),
        limit: Some(3),
        ..Filter::default()
    };
    let last: Vec<_> = all(&log, last).await;
    assert_eq!(last.len(), 3);
    assert_eq!(last[2].request_id.as_deref(), Some("r-199"));
    log.close().await;
}

#[tokio::test]
async fn the_cap_removes_the_oldest_archives_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    config.archives_max_bytes = 2_000;
    let log = open(&config);
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut number = 0;
    let told = loop {
        assert!(Instant::now() < deadline);
        log.record_durably(success(&format!("r-{number}")))
            .await
            .unwrap();
        number += 1;
        let filter = Filter {
            ids: vec![51],
            ..Filter::default()
        };
        if let Some(event) = all(&log, filter).await.pop() {
            break event;
        }
    };
    assert!(!told.fields["removed"].as_array().unwrap().is_empty());
    assert!(told.fields["bytes"].as_u64().unwrap() > 0);
    log.close().await;
}

#[tokio::test]
async fn reported_requests_are_found_in_the_file_and_in_archives() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(&config(folder.path()));
    for number in 0..100 {
        log.record_durably(success(&format!("r-{number}")))
            .await
            .unwrap();
    }
    let wanted: HashSet<String> = ["r-0", "r-50", "r-99", "never"]
        .map(str::to_owned)
        .into_iter()
        .collect();
    let snapshot = log.follow().await.unwrap().snapshot;
    let found = snapshot.reported(&wanted, 0).unwrap();
    assert_eq!(found.len(), 3);
    assert!(!found.contains("never"));
    log.close().await;
}

#[tokio::test]
async fn followers_get_every_event_exactly_once() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(&config(folder.path()));
    for number in 0..50 {
        log.record(success(&format!("r-{number}"))).await;
    }
    let mut followed = log.follow().await.unwrap();
    for number in 50..100 {
        log.record(success(&format!("r-{number}"))).await;
    }
    let mut told = Vec::new();
    followed
        .snapshot
        .read(&Filter::default(), |event| {
            told.extend(event.request_id);
            true
        })
        .unwrap();
    while told.len() < 100 {
        told.extend(followed.next.recv().await.unwrap().request_id);
    }
    let expected: Vec<String> = (0..100).map(|number| format!("r-{number}")).collect();
    assert_eq!(told, expected);
    log.close().await;
}

#[tokio::test]
async fn the_debug_log_is_off_until_it_is_switched_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    let log = open(&config);
    log.record(Draft::new(EventKind::StepDetail, "unseen"))
        .await;
    config.debug = true;
    log.reconfigure(&config).await;
    log.record(Draft::new(EventKind::StepDetail, "seen")).await;
    let events = all(&log, Filter::default()).await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].message, "seen");
    log.close().await;
}
