use crate::engine::{Answer, FakeEngine};
use crate::process::{Bench, until};
use crate::service::{Service, completions};

#[tokio::test(flavor = "multi_thread")]
async fn a_full_journal_stops_new_work_and_loses_nothing() {
    const REQUESTS: usize = 1_200;
    let mut bench = Bench::new();
    bench
        .set("journal_max_bytes", 1024 * 1024)
        .set("concurrency", 64);
    let service = Service::start(&bench.pki).await;
    let engine = FakeEngine::start(bench.path(), |_, _| Answer::Recrypt);
    // Long names fill the journal soon.
    service.inner.lock().unwrap().device_id = "d".repeat(1000);
    for number in 0..REQUESTS {
        service.add(&format!("r-{number:04}"));
    }
    let connector = bench.start(&service, &engine);
    until("the full journal is told", || bench.count("admin", 40) == 1).await;
    let status = connector.status().unwrap();
    assert!(
        status
            .health
            .reasons
            .iter()
            .any(|reason| reason.code == "journal")
    );
    let figures = status.journal.unwrap();
    assert!(figures.bytes <= 1024 * 1024);
    assert!(connector.stop().await.success());
    assert!(
        service.unsettled() > 0,
        "the limit was meant to be too small"
    );

    // With more room it goes on where it was.
    bench.set("journal_max_bytes", 64 * 1024 * 1024);
    let connector = bench.start(&service, &engine);
    until("all are reported", || bench.reports().len() == REQUESTS).await;
    assert!(connector.stop().await.success());
    assert!(bench.reports().values().all(|ids| ids == &[2000]));
    assert!(completions(&service).values().all(|count| *count == 1));
}
