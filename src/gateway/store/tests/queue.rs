//! Leases, fences, answers.

use super::*;
use crate::gateway::api::FailureReport;

fn failure(code: &str) -> FailureReport {
    FailureReport {
        code: code.to_owned(),
        message: "words".to_owned(),
    }
}

fn fail(
    bench: &Bench,
    who: &Contact,
    item: &WorkItem,
    code: &str,
    retry: bool,
) -> Result<Outcome, StoreError> {
    let failure = failure(code);
    let answer = Answer::Failed {
        failure: &failure,
        retry,
    };
    bench
        .store
        .settle(who, &item.request_id, item.fence, &answer, &TERMS)
}

#[test]
fn a_request_of_a_suspended_importer_waits_for_as_long_as_it_takes() {
    let bench = Bench::new();
    bench.queued("a@b");
    let a = contact("a");
    for code in ["importerSuspended", "budgetExceeded"].repeat(5) {
        let item = bench.lease(&a).remove(0);
        assert_eq!(item.attempt, 1);
        let outcome = fail(&bench, &a, &item, code, true).unwrap();
        assert_eq!(outcome, Outcome::Requeued);
        let next = bench.store.lease(&a, "instance", &TERMS).unwrap();
        assert_eq!(next.next_due_ms, Some(bench.clock.now_ms() + 60_000));
        bench.clock.advance_ms(60_000);
    }
}

#[test]
fn a_lease_carries_the_record_exactly_as_it_was_imported() {
    let bench = Bench::new();
    let id = bench.queued("Someone@Example.org");
    let work = bench.lease(&contact("a"));
    assert_eq!(work.len(), 1);
    let imported = record("Someone@Example.org", b"PFX");
    assert_eq!(work[0].request_id, id);
    assert_eq!(work[0].record, imported.record);
    assert_eq!(work[0].pfx.as_slice(), b"PFX");
    assert_eq!((work[0].attempt, work[0].lease_ms), (1, 60_000));
    assert_eq!(work[0].device.intermediates.len(), 1);
    assert_eq!(bench.state(&id).state, State::Leased);
    assert!(bench.lease(&contact("b")).is_empty());
}

#[test]
fn an_answer_is_bounded_by_its_certificates_too() {
    let bench = Bench::new();
    bench
        .store
        .create_record(&actor(), &record("a@b", b"PFX"))
        .unwrap();
    let mut message = device_request("a@b", None);
    message.device.intermediates = vec![Base64Bytes(vec![7; 1024 * 1024]); 2];
    for _ in 0..4 {
        bench
            .store
            .create_device_request(&NewDeviceRequest {
                message: &message,
                requested_by: "token",
                max_open: 1000,
            })
            .unwrap();
    }
    assert_eq!(bench.lease(&contact("a")).len(), 1);
}

#[test]
fn a_completion_counts_once_and_its_repetition_changes_nothing() {
    let bench = Bench::new();
    let id = bench.queued("a@b");
    let a = contact("a");
    let item = bench.lease(&a).remove(0);
    assert!(matches!(
        bench.store.collect(&id),
        Err(StoreError::NotReady)
    ));
    assert_eq!(
        bench.complete(&a, &item, b"cms").unwrap(),
        Outcome::Accepted
    );
    assert_eq!(
        bench.complete(&a, &item, b"cms").unwrap(),
        Outcome::AlreadyAccepted
    );
    assert!(matches!(
        bench.complete(&a, &item, b"other"),
        Err(StoreError::StaleLease)
    ));
    assert!(matches!(
        fail(&bench, &a, &item, "x", false),
        Err(StoreError::StaleLease)
    ));
    let state = bench.state(&id);
    assert_eq!((state.state, state.completions), (State::Completed, 1));
    for _ in 0..2 {
        let delivery = bench.store.collect(&id).unwrap();
        assert_eq!(delivery.encrypted_password.as_slice(), b"cms");
        assert_eq!(delivery.pfx.as_slice(), b"PFX");
    }
}

#[test]
fn an_expired_lease_goes_to_another_and_the_late_answer_changes_nothing() {
    let bench = Bench::new();
    let id = bench.queued("a@b");
    let (a, b) = (contact("a"), contact("b"));
    let first = bench.lease(&a).remove(0);
    bench.clock.advance_ms(59_999);
    assert!(bench.lease(&b).is_empty());
    bench.clock.advance_ms(1);
    assert_eq!(bench.state(&id).state, State::Queued);
    let second = bench.lease(&b).remove(0);
    assert!(second.fence > first.fence);
    assert_eq!(second.attempt, 2);
    assert!(matches!(
        bench.complete(&a, &first, b"late"),
        Err(StoreError::StaleLease)
    ));
    assert!(matches!(
        bench.store.extend(&a, &id, first.fence, 60_000),
        Err(StoreError::StaleLease)
    ));
    assert!(matches!(
        fail(&bench, &a, &first, "x", true),
        Err(StoreError::StaleLease)
    ));
    assert_eq!(
        bench.complete(&b, &second, b"cms").unwrap(),
        Outcome::Accepted
    );
    assert!(matches!(
        bench.complete(&a, &first, b"late"),
        Err(StoreError::StaleLease)
    ));
    let delivery = bench.store.collect(&id).unwrap();
    assert_eq!(delivery.encrypted_password.as_slice(), b"cms");
    assert_eq!(bench.state(&id).completions, 1);
}

#[test]
fn an_expired_lease_that_nobody_took_over_may_still_be_answered() {
    let bench = Bench::new();
    let id = bench.queued("a@b");
    let a = contact("a");
    let item = bench.lease(&a).remove(0);
    bench.clock.advance_ms(600_000);
    assert_eq!(
        bench.complete(&a, &item, b"cms").unwrap(),
        Outcome::Accepted
    );
    assert_eq!(bench.state(&id).completions, 1);
    assert!(bench.lease(&contact("b")).is_empty());
}

#[test]
fn nobody_answers_a_lease_of_another_certificate() {
    let bench = Bench::new();
    bench.queued("a@b");
    let item = bench.lease(&contact("a")).remove(0);
    assert!(matches!(
        bench.complete(&contact("b"), &item, b"cms"),
        Err(StoreError::StaleLease)
    ));
    assert!(matches!(
        bench
            .store
            .extend(&contact("b"), &item.request_id, item.fence, 60_000),
        Err(StoreError::StaleLease)
    ));
}

#[test]
fn an_extended_lease_stays_with_its_connector() {
    let bench = Bench::new();
    let id = bench.queued("a@b");
    let a = contact("a");
    let item = bench.lease(&a).remove(0);
    bench.clock.advance_ms(50_000);
    bench.store.extend(&a, &id, item.fence, 60_000).unwrap();
    bench.clock.advance_ms(50_000);
    assert!(bench.lease(&contact("b")).is_empty());
    assert_eq!(
        bench.complete(&a, &item, b"cms").unwrap(),
        Outcome::Accepted
    );
}

#[test]
fn a_failure_that_may_pass_is_tried_again_with_growing_pauses_until_the_budget_is_used() {
    let bench = Bench::new();
    let id = bench.queued("a@b");
    let a = contact("a");
    let mut pauses = Vec::new();
    for attempt in 1..=TERMS.max_leases {
        let item = bench.lease(&a).remove(0);
        assert_eq!(item.attempt, attempt);
        let outcome = fail(&bench, &a, &item, "tokenUnavailable", true).unwrap();
        if attempt == TERMS.max_leases {
            assert_eq!(outcome, Outcome::Accepted);
            break;
        }
        assert_eq!(outcome, Outcome::Requeued);
        // The repetition of the same answer is known, and does not queue twice.
        assert_eq!(
            fail(&bench, &a, &item, "tokenUnavailable", true).unwrap(),
            Outcome::AlreadyAccepted
        );
        let next = bench.store.lease(&a, "instance", &TERMS).unwrap();
        assert!(next.work.is_empty());
        let pause = next.next_due_ms.unwrap() - bench.clock.now_ms();
        pauses.push(pause);
        bench.clock.advance_ms(pause);
    }
    assert!(pauses.windows(2).all(|pair| pair[0] < pair[1]));
    let state = bench.state(&id);
    assert_eq!(state.state, State::Failed);
    assert_eq!(state.failure.unwrap().code, "tooManyAttempts");
    assert!(matches!(
        bench.store.collect(&id),
        Err(StoreError::RequestFailed)
    ));
}

#[test]
fn a_final_failure_is_reported_with_the_connectors_own_code() {
    let bench = Bench::new();
    let id = bench.queued("a@b");
    let a = contact("a");
    let item = bench.lease(&a).remove(0);
    assert_eq!(
        fail(&bench, &a, &item, "recordRefused", false).unwrap(),
        Outcome::Accepted
    );
    assert_eq!(
        fail(&bench, &a, &item, "recordRefused", false).unwrap(),
        Outcome::AlreadyAccepted
    );
    assert_eq!(bench.state(&id).failure.unwrap().code, "recordRefused");
    assert_eq!(bench.state(&id).completions, 0);
}

#[test]
fn a_request_that_takes_connectors_down_is_given_up() {
    let bench = Bench::new();
    let id = bench.queued("a@b");
    for _ in 0..TERMS.max_leases {
        assert_eq!(bench.lease(&contact("a")).len(), 1);
        bench.clock.advance_ms(60_000);
    }
    assert!(bench.lease(&contact("a")).is_empty());
    assert_eq!(bench.state(&id).failure.unwrap().code, "tooManyAttempts");
}

#[test]
fn what_keeps_failing_waits_behind_what_is_new() {
    let bench = Bench::new();
    let a = contact("a");
    let poison = bench.queued("poison@b");
    let item = bench.lease(&a).remove(0);
    fail(&bench, &a, &item, "tokenUnavailable", true).unwrap();
    let new = bench.queued("new@b");
    bench.clock.advance_ms(600_000);
    let order: Vec<_> = bench
        .lease(&a)
        .into_iter()
        .map(|item| item.request_id)
        .collect();
    assert_eq!(order, [new, poison]);
}

#[test]
fn a_batch_of_large_records_is_cut_but_never_empty() {
    let bench = Bench::new();
    for number in 0..4 {
        let pfx = vec![number; 3 * 1024 * 1024];
        bench
            .store
            .create_record(&actor(), &record("a@b", &pfx))
            .unwrap();
    }
    assert_eq!(bench.ask("a@b", None).unwrap().requests.len(), 4);
    for _ in 0..4 {
        assert_eq!(bench.lease(&contact("a")).len(), 1);
    }
}

#[test]
fn a_device_request_is_queued_once_for_each_idempotency_key() {
    let bench = Bench::new();
    for pfx in [b"one".as_slice(), b"two"] {
        bench
            .store
            .create_record(&actor(), &record("a@b", pfx))
            .unwrap();
    }
    let first = bench.ask("a@b", Some("key")).unwrap();
    assert!(first.queued_now);
    assert_eq!(first.requests.len(), 2);
    let again = bench.ask("A@B", Some("key")).unwrap();
    assert_eq!(again.requests, first.requests);
    assert!(!again.queued_now);
    assert_eq!(bench.store.counts().unwrap().queued, 2);
    bench
        .store
        .create_record(&actor(), &record("c@d", b"x"))
        .unwrap();
    assert!(matches!(
        bench.ask("c@d", Some("key")),
        Err(StoreError::KeyReused)
    ));
    assert!(matches!(
        bench.ask("nobody@b", None),
        Err(StoreError::NoRecords)
    ));
}

#[test]
fn the_queue_is_bounded() {
    let bench = Bench::new();
    bench
        .store
        .create_record(&actor(), &record("a@b", b"x"))
        .unwrap();
    let message = device_request("a@b", None);
    let ask = || {
        bench.store.create_device_request(&NewDeviceRequest {
            message: &message,
            requested_by: "token",
            max_open: 2,
        })
    };
    assert!(ask().is_ok() && ask().is_ok());
    assert!(matches!(ask(), Err(StoreError::QueueFull)));
    let item = bench.lease(&contact("a")).remove(0);
    bench.complete(&contact("a"), &item, b"cms").unwrap();
    assert!(ask().is_ok());
}

#[test]
fn two_connectors_never_hold_one_request() {
    let bench = Bench::new();
    for user in 0..40 {
        bench.queued(&format!("user{user}@b"));
    }
    let leased = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..4)
            .map(|number| {
                let bench = &bench;
                scope.spawn(move || {
                    let who = contact(&format!("c{number}"));
                    let mut mine = Vec::new();
                    loop {
                        let work = bench.lease(&who);
                        if work.is_empty() {
                            return mine;
                        }
                        for item in work {
                            assert_eq!(item.attempt, 1);
                            bench.complete(&who, &item, b"cms").unwrap();
                            mine.push(item.request_id);
                        }
                    }
                })
            })
            .collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap())
            .collect::<Vec<_>>()
    });
    let unique: std::collections::HashSet<_> = leased.iter().collect();
    assert_eq!((leased.len(), unique.len()), (40, 40));
    assert_eq!(bench.store.counts().unwrap().completed, 40);
}

#[test]
fn a_request_that_cannot_be_read_fails_alone() {
    for damage in [
        "UPDATE records SET padding = 'rot13' WHERE user_key = 'a@b'",
        "UPDATE records SET user_principal_name = CAST(x'ff' AS TEXT) WHERE user_key = 'a@b'",
        "UPDATE device_requests SET target = '{' WHERE user_key = 'a@b'",
        "UPDATE device_requests SET format = 'paper' WHERE user_key = 'a@b'",
        "UPDATE requests SET fence = -7 WHERE seq = 1",
        "UPDATE requests SET attempts = -1 WHERE seq = 1",
    ] {
        let bench = Bench::new();
        let broken = bench.queued("a@b");
        let sound = bench.queued("c@d");
        let raw = Connection::open(bench.database()).unwrap();
        assert_eq!(raw.execute(damage, []).unwrap(), 1, "{damage}");
        let work = bench.lease(&contact("a"));
        assert_eq!(work.len(), 1, "{damage}");
        assert_eq!(work[0].request_id, sound, "{damage}");
        let (state, code): (String, String) = raw
            .query_row(
                "SELECT state, failure_code FROM requests WHERE id = ?",
                [&broken],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .unwrap();
        assert_eq!(
            (state.as_str(), code.as_str()),
            ("failed", "unreadable"),
            "{damage}"
        );
    }
}
