//! The engine's cryptographic module fails: an event, a health that says so, and no request that pays for it.

use crate::delivery::http_get;
use crate::engine::{Answer, FakeEngine};
use crate::process::{Bench, until};
use crate::service::{Service, completions};

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_module_is_event_24_and_unhealthy_and_its_requests_wait_for_the_restart() {
    let mut bench = Bench::new();
    bench.set("metrics_listen", "\"127.0.0.1:0\"");
    let service = Service::start(&bench.pki).await;
    let engine = FakeEngine::start(bench.path(), |_, _| Answer::Recrypt);
    service.add("before");
    let connector = bench.start(&service, &engine);
    until("the first is reported", || bench.reports().len() == 1).await;
    let address = bench.metrics_address();

    engine.set_module_fails(true);
    service.add("waits");
    until("the event is there", || bench.count("admin", 24) == 1).await;
    let status = connector.status().unwrap();
    assert!(!status.health.healthy);
    let reason = &status.health.reasons[0];
    assert_eq!(reason.code, "module");
    let health = http_get(&address, "/healthz").await;
    assert!(health.starts_with("HTTP/1.1 503"), "{health}");
    assert!(health.contains("integrity_failed"), "{health}");
    assert_eq!(bench.reports().len(), 1, "the request did not fail");
    assert_eq!(bench.count("admin", 24), 1, "told once");

    engine.set_module_fails(false);
    until("it is done after all", || service.unsettled() == 0).await;
    until("both are reported", || bench.reports().len() == 2).await;
    assert!(connector.stop().await.success());
    assert!(bench.reports().values().all(|ids| ids == &[2000]));
    assert!(completions(&service).values().all(|count| *count == 1));
}
