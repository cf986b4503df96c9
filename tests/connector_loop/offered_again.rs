use crate::engine::{Answer, FakeEngine};
use crate::process::{Bench, until};
use crate::service::{Fault, On, Service, completions};
use pfx_connector::engine::api::FailureCode;

#[tokio::test(flavor = "multi_thread")]
async fn a_result_of_a_record_that_was_changed_meanwhile_is_made_anew() {
    let bench = Bench::new();
    let service = Service::start(&bench.pki).await;
    let engine = FakeEngine::start(bench.path(), |_, _| Answer::Recrypt);
    service.set_fault(Fault::Status(503), On::Answers);
    service.add("changed");
    let connector = bench.start(&service, &engine);
    until("the old result cannot be uploaded", || {
        service.faults() >= 2 && engine.calls("changed") == 1
    })
    .await;
    {
        // As the gateway does it: back to the queue under the same name.
        let mut inner = service.inner.lock().unwrap();
        let item = inner.items.get_mut("changed").unwrap();
        item.revision += 1;
        item.leased_until = None;
    }
    until("it is leased again", || service.item("changed").leases >= 2).await;
    service.set_fault(Fault::None, On::Everything);
    until("it is reported", || bench.reports().len() == 1).await;
    assert!(connector.stop().await.success());
    assert_eq!(engine.calls("changed"), 2);
    assert_eq!(service.item("changed").completions, 1);
    assert_eq!(bench.reports()["changed"], [2000]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_given_back_on_its_last_lease_has_its_admin_event() {
    let bench = Bench::new();
    let service = Service::start(&bench.pki).await;
    service.inner.lock().unwrap().lease_ms = 300;
    let engine = FakeEngine::start(bench.path(), |_, _| {
        Answer::Fail(FailureCode::TokenUnavailable)
    });
    service.add("last");
    {
        let mut inner = service.inner.lock().unwrap();
        inner.items.get_mut("last").unwrap().last_lease = true;
    }
    let connector = bench.start(&service, &engine);
    until("it is reported", || bench.reports().len() == 1).await;
    assert!(connector.stop().await.success());
    assert_eq!(bench.reports()["last"], [2001]);
}

#[tokio::test(flavor = "multi_thread")]
async fn finished_and_poison_requests_at_every_poll_do_not_use_the_key_nor_delay_new_ones() {
    const FINISHED: usize = 1_000;
    let mut bench = Bench::new();
    bench.set("concurrency", 64);
    let service = Service::start(&bench.pki).await;
    service.inner.lock().unwrap().lease_ms = 30_000;
    let engine = FakeEngine::start(bench.path(), |id, _| {
        if id.starts_with("poison") {
            Answer::Fail(FailureCode::EngineFault)
        } else {
            Answer::Recrypt
        }
    });
    for number in 0..FINISHED {
        service.add(&format!("finished-{number}"));
    }
    let connector = bench.start(&service, &engine);
    until("all are finished", || bench.reports().len() == FINISHED).await;
    assert_eq!(engine.total_calls() as usize, FINISHED);

    for number in 0..10 {
        service.add(&format!("poison-{number}"));
    }
    {
        let mut inner = service.inner.lock().unwrap();
        inner.items.values_mut().for_each(|item| item.stuck = true);
    }
    for number in 0..20 {
        service.add(&format!("new-{number}"));
    }
    until("the new ones and the poison are reported", || {
        bench.reports().len() == FINISHED + 30
    })
    .await;
    let polls = service.inner.lock().unwrap().polls;
    until("some more polls brought nothing new", || {
        service.inner.lock().unwrap().polls >= polls + 4
    })
    .await;
    until("finished ones were answered from the journal", || {
        service.inner.lock().unwrap().answers_again >= 1_000
    })
    .await;
    for number in 0..FINISHED {
        assert_eq!(engine.calls(&format!("finished-{number}")), 1);
    }
    for number in 0..10 {
        // Four failures park it; one during which the engine did not answer a status in time is not the request's.
        let calls = engine.calls(&format!("poison-{number}"));
        assert!((4..=12).contains(&calls), "{calls} attempts");
        assert_eq!(
            service
                .item(&format!("poison-{number}"))
                .failure
                .unwrap()
                .code,
            "parked"
        );
    }
    assert!(connector.status().unwrap().counters.offered_again >= 1_000);
    assert!(connector.stop().await.success());
    let reports = bench.reports();
    let wrong: Vec<_> = reports
        .iter()
        .filter(|(id, ids)| **ids != [if id.starts_with("poison") { 2001 } else { 2000 }])
        .collect();
    assert!(
        wrong.is_empty(),
        "not reported once as what they are: {wrong:?}"
    );
    assert!(completions(&service).values().all(|count| *count <= 1));
    assert!(bench.count("operational", 61) >= FINISHED);
}
