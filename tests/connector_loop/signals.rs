use crate::engine::{Answer, FakeEngine};
use crate::process::{Bench, until};
use crate::service::{Service, completions};
use rustix::process::Signal;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_finishes_what_is_in_flight_and_takes_nothing_more() {
    let bench = Bench::new();
    let service = Service::start(&bench.pki).await;
    let engine = FakeEngine::start(bench.path(), |_, _| {
        Answer::Delay(Duration::from_millis(800))
    });
    for number in 0..4 {
        service.add(&format!("first-{number}"));
    }
    let connector = bench.start(&service, &engine);
    until("they are at the engine", || engine.total_calls() == 4).await;
    connector.signal(Signal::TERM);
    until("it drains", || bench.count("operational", 2) == 1).await;
    // What it asked for before may still be on its way back.
    until("it asks no more", || {
        service.inner.lock().unwrap().waiting == 0
    })
    .await;
    service.add("too-late");
    assert!(connector.ended().await.success());
    assert_eq!(bench.reports().len(), 4);
    assert_eq!(engine.calls("too-late"), 0);
    assert_eq!(service.item("too-late").leases, 0);
    assert_eq!(bench.count("admin", 3), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_finished_when_the_drain_ends_is_given_back() {
    let mut bench = Bench::new();
    bench.set("drain_ms", 300);
    let service = Service::start(&bench.pki).await;
    service.inner.lock().unwrap().lease_ms = 60_000;
    let engine = FakeEngine::start(bench.path(), |_, _| Answer::Never);
    service.add("endless");
    let connector = bench.start(&service, &engine);
    until("it is at the engine", || engine.total_calls() == 1).await;
    assert!(connector.stop().await.success());
    assert_eq!(service.item("endless").requeued, 1);
    assert!(bench.reports().is_empty());

    // The next life takes it up again.
    engine.set_script(|_, _| Answer::Recrypt);
    let connector = bench.start(&service, &engine);
    until("it is reported", || bench.reports().len() == 1).await;
    assert!(connector.stop().await.success());
    assert!(completions(&service).values().all(|count| *count == 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn sighup_puts_a_good_configuration_in_force_and_refuses_a_bad_one() {
    let mut bench = Bench::new();
    bench.set("concurrency", 1);
    let service = Service::start(&bench.pki).await;
    let engine = FakeEngine::start(bench.path(), |_, _| {
        Answer::Delay(Duration::from_millis(200))
    });
    let connector = bench.start(&service, &engine);
    until("it runs", || {
        connector
            .status()
            .is_some_and(|status| status.health.healthy)
    })
    .await;
    assert_eq!(connector.status().unwrap().concurrency, 1);

    bench.set("concurrency", 6);
    bench.write_config(&service, &engine);
    connector.signal(Signal::HUP);
    until("it is in force", || bench.count("admin", 10) == 1).await;
    assert_eq!(connector.status().unwrap().concurrency, 6);

    bench.set("concurency", 7);
    bench.write_config(&service, &engine);
    connector.signal(Signal::HUP);
    until("the unknown key is refused", || {
        bench.count("admin", 11) == 1
    })
    .await;
    bench.settings.remove("concurency");
    bench.set("journal_max_bytes", 64 * 1024 * 1024);
    bench.write_config(&service, &engine);
    connector.signal(Signal::HUP);
    until("what is fixed is refused", || bench.count("admin", 11) == 2).await;
    assert_eq!(connector.status().unwrap().concurrency, 6);

    for number in 0..12 {
        service.add(&format!("r-{number}"));
    }
    until("all are reported", || bench.reports().len() == 12).await;
    assert!(connector.stop().await.success());
}
