use crate::engine::{Answer, FakeEngine};
use crate::process::{Bench, until};
use crate::service::{Service, completions};
use pfx_connector::engine::api::FailureCode;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_random_moments_every_request_is_delivered_and_reported_exactly_once() {
    const REQUESTS: usize = 300;
    const KILLS: usize = 20;
    let mut bench = Bench::new();
    bench.log.insert("rotate_bytes", "65536".to_owned());
    bench.set("concurrency", 4);
    let service = Service::start(&bench.pki).await;
    service.inner.lock().unwrap().lease_ms = 1_000;
    let engine = FakeEngine::start(bench.path(), |id, _| {
        if id.ends_with('7') {
            Answer::Fail(FailureCode::DecryptionFailed)
        } else {
            Answer::Delay(Duration::from_millis(5))
        }
    });
    let mut added = 0;
    for _ in 0..KILLS {
        for _ in 0..REQUESTS / KILLS {
            service.add(&format!("r-{added:04}"));
            added += 1;
        }
        let before = service.unsettled();
        let connector = bench.start(&service, &engine);
        // Some work must get through, or there would be nothing to interrupt; then any moment may come.
        until("it works", || service.unsettled() < before).await;
        let moment = u64::from(fips::random::array::<1>().unwrap()[0]) / 4;
        tokio::time::sleep(Duration::from_millis(moment)).await;
        connector.kill().await;
    }
    let connector = bench.start(&service, &engine);
    until("all are settled", || service.unsettled() == 0).await;
    until("all are reported", || bench.reports().len() == REQUESTS).await;
    assert!(connector.stop().await.success());
    for (id, ids) in bench.reports() {
        let expected = if id.ends_with('7') { 2001 } else { 2000 };
        assert_eq!(ids, [expected], "{id}");
    }
    for (id, count) in completions(&service) {
        assert_eq!(count, u32::from(!id.ends_with('7')), "{id}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn three_connectors_killed_at_random_share_the_work_and_report_each_request_once() {
    const REQUESTS: usize = 240;
    const KILLS: usize = 12;
    let mut first = Bench::new();
    first.set("concurrency", 4);
    let benches = [
        first.sibling("one"),
        first.sibling("two"),
        first.sibling("three"),
    ];
    let service = Service::start(&first.pki).await;
    service.inner.lock().unwrap().lease_ms = 1_000;
    let engine = FakeEngine::start(first.path(), |_, _| Answer::Delay(Duration::from_millis(5)));
    let mut connectors: Vec<_> = benches
        .iter()
        .map(|bench| Some(bench.start(&service, &engine)))
        .collect();
    let mut added = 0;
    for _ in 0..KILLS {
        for _ in 0..REQUESTS / KILLS {
            service.add(&format!("r-{added:04}"));
            added += 1;
        }
        let before = service.unsettled();
        until("somebody works", || service.unsettled() < before).await;
        let [victim, moment] = fips::random::array::<2>().unwrap();
        tokio::time::sleep(Duration::from_millis(u64::from(moment) / 8)).await;
        let victim = usize::from(victim) % 3;
        connectors[victim].take().unwrap().kill().await;
        connectors[victim] = Some(benches[victim].start(&service, &engine));
    }
    until("all are settled", || service.unsettled() == 0).await;
    let reports = || {
        let mut all: std::collections::HashMap<String, Vec<u16>> = std::collections::HashMap::new();
        for bench in &benches {
            for (id, ids) in bench.reports() {
                all.entry(id).or_default().extend(ids);
            }
        }
        all
    };
    until("all are reported", || reports().len() == REQUESTS).await;
    for connector in connectors.into_iter().flatten() {
        assert!(connector.stop().await.success());
    }
    for (id, ids) in reports() {
        assert_eq!(ids, [2000], "{id}");
    }
    assert!(completions(&service).values().all(|count| *count == 1));
}
