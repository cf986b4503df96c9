use crate::engine::{Answer, FakeEngine};
use crate::process::{Bench, Connector, until};
use crate::service::{Fault, On, Service, completions};
use crate::tls_peer::Peer;

/// Puts a fault in force while requests arrive, waits until it was met a few times, heals it, and expects everything to be done.
async fn nothing_is_lost_by(fault: Fault, on: On, expected_events: &[u16]) {
    let mut bench = Bench::new();
    bench.set("http_timeout_ms", 400).set("wait_ms", 200);
    let service = Service::start(&bench.pki).await;
    let engine = FakeEngine::start(bench.path(), |_, _| Answer::Recrypt);
    service.add("before");
    let connector = bench.start(&service, &engine);
    until("the first is reported", || bench.reports().len() == 1).await;
    service.set_fault(fault, on);
    for number in 0..10 {
        service.add(&format!("during-{number}"));
    }
    until("the fault was met", || service.faults() >= 4).await;
    service.set_fault(Fault::None, On::Everything);
    until("all are settled", || service.unsettled() == 0).await;
    until("all are reported", || bench.reports().len() == 11).await;
    until("the recovery is told", || {
        bench.count("operational", 31) >= 1
    })
    .await;
    assert!(connector.stop().await.success());
    assert!(
        bench.reports().values().all(|ids| ids == &[2000]),
        "{:?}",
        bench.reports()
    );
    assert!(completions(&service).values().all(|count| *count == 1));
    for id in expected_events {
        assert!(
            bench.count("operational", *id) + bench.count("admin", *id) > 0,
            "event {id}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn polls_answered_with_500() {
    nothing_is_lost_by(Fault::Status(500), On::Lease, &[30, 2203]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn results_answered_with_503() {
    nothing_is_lost_by(Fault::Status(503), On::Answers, &[30, 2101]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_refuses() {
    nothing_is_lost_by(Fault::Status(403), On::Everything, &[32]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_hangs() {
    nothing_is_lost_by(Fault::Hang, On::Everything, &[30]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn results_that_hang() {
    nothing_is_lost_by(Fault::Hang, On::Answers, &[30, 2101]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_end_half_way() {
    nothing_is_lost_by(Fault::HalfClosed, On::Everything, &[30]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_are_no_json() {
    nothing_is_lost_by(Fault::Garbage, On::Everything, &[30]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_of_wrong_types() {
    nothing_is_lost_by(Fault::WrongTypes, On::Answers, &[30, 2101]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn work_items_of_wrong_types_are_told_and_left() {
    let bench = Bench::new();
    let service = Service::start(&bench.pki).await;
    let engine = FakeEngine::start(bench.path(), |_, _| Answer::Recrypt);
    service.set_fault(Fault::WrongTypes, On::Lease);
    service.add("good");
    let connector = bench.start(&service, &engine);
    until("they are told", || bench.count("operational", 2203) >= 1).await;
    assert_eq!(engine.total_calls(), 0);
    service.set_fault(Fault::None, On::Everything);
    until("the good one is reported", || bench.reports().len() == 1).await;
    assert!(connector.stop().await.success());
}

/// A certificate that is not accepted: somebody has to act, so it is an Admin event, and nothing is lost meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_whose_certificate_is_not_accepted() {
    let bench = Bench::new();
    let stranger = Bench::new();
    let service = Service::start(&bench.pki).await;
    let engine = FakeEngine::start(bench.path(), |_, _| Answer::Recrypt);
    service.add("waits");
    std::fs::copy(stranger.path().join("ca.pem"), bench.path().join("ca.pem")).unwrap();
    let connector = bench.start(&service, &engine);
    until("it is told", || bench.count("admin", 32) >= 1).await;
    assert!(connector.stop().await.success());
    assert_eq!(service.unsettled(), 1);
}

/// Nor does it help to ask a service again that has TLS 1.2 without extended master secret: the event says what it is.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_whose_tls_is_not_good_enough() {
    let bench = Bench::new();
    let service = Peer::without_extended_master_secret(&["-tls1_2"]).serve(
        bench.path(),
        &bench.pki.path("server.pem"),
        &bench.pki.path("server.key"),
    );
    let engine = FakeEngine::start(bench.path(), |_, _| Answer::Recrypt);
    let config = bench.write_config_for(&format!("https://{}", service.address), &engine);
    let connector = Connector::spawn(&config, bench.path());
    until("it is told", || bench.count("admin", 32) >= 1).await;
    assert!(connector.stop().await.success());
    let events = bench.events("admin");
    let event = events.iter().find(|event| event.id == 32).unwrap();
    assert_eq!(event.fields["tls"], "tls_no_extended_master_secret");
    let hint = event.fields["hint"].as_str().unwrap();
    assert!(hint.contains("extended master secret"), "{hint}");
}
