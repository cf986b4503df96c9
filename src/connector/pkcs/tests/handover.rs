//! Requests that change hands, answers that are lost, and orders that take too long.

use super::bench::{Bench, DAY_MS};
use super::scripted::{Act, KNOWS_NOTHING, KNOWS_NUMBERS, KNOWS_ORDERS};
use crate::config::WhenUnknown;
use crate::connector::pkcs::order::End;
use crate::connector::pkcs::progress::Step;
use ca::ErrorClass;
use std::sync::atomic::Ordering;

fn code(end: &End) -> &str {
    match end {
        End::Failed { code, .. } => code,
        other => panic!("{other:?}"),
    }
}

fn enrolments(bench: &Bench) -> usize {
    bench.scripted.enrolments.load(Ordering::SeqCst)
}

fn keys(bench: &Bench) -> usize {
    bench.keys_made.load(Ordering::SeqCst)
}

#[tokio::test]
async fn a_wait_before_the_order_changes_hands_without_harm() {
    for kind in [KNOWS_ORDERS, KNOWS_NUMBERS, KNOWS_NOTHING] {
        let script = [Act::Fail(ErrorClass::Unavailable)];
        let bench = Bench::with(&script, kind, WhenUnknown::Fail);
        assert!(matches!(bench.run().await, End::Waits));
        assert_eq!(bench.told().unwrap().step, Step::KeyMade);
        assert!(matches!(bench.run_elsewhere().await, End::Done(_)));
        assert_eq!((bench.certificates(), keys(&bench)), (1, 2), "{kind:?}");
    }
}

#[tokio::test]
async fn who_gets_a_request_back_orders_nothing_while_anothers_key_may_be_ordered() {
    for kind in [KNOWS_ORDERS, KNOWS_NUMBERS, KNOWS_NOTHING] {
        let script = [Act::Fail(ErrorClass::Unavailable), Act::Pend];
        let bench = Bench::with(&script, kind, WhenUnknown::Fail);
        bench.run().await;
        let first = bench.own.lock().unwrap().take();
        assert!(matches!(bench.run().await, End::Waits));
        let second = std::mem::replace(&mut *bench.own.lock().unwrap(), first);
        assert_eq!((enrolments(&bench), keys(&bench)), (2, 2));
        let end = bench.run().await;
        if kind == KNOWS_NOTHING {
            // To ask would be to order.
            assert!(matches!(end, End::Waits), "{end:?}");
            assert_eq!(enrolments(&bench), 2);
            *bench.own.lock().unwrap() = second;
            assert!(matches!(bench.run().await, End::Done(_)));
        } else {
            assert!(matches!(end, End::Done(_)), "{kind:?}: {end:?}");
            assert_eq!(enrolments(&bench), 2);
        }
        assert_eq!((bench.certificates(), keys(&bench)), (1, 2), "{kind:?}");
    }
}

#[tokio::test]
async fn work_that_went_on_while_another_connector_had_the_request_is_given_back() {
    let bench = Bench::new(&[]);
    bench.overtaken.store(true, Ordering::SeqCst);
    assert!(matches!(bench.run().await, End::GiveBack(_)));
    assert_eq!(enrolments(&bench), 0);
    assert!(bench.told().is_none());
}

#[tokio::test]
async fn a_key_that_the_gateway_does_not_know_is_not_ordered() {
    let bench = Bench::new(&[]);
    // The key is kept; telling of it fails.
    bench.fail_in(1);
    assert!(matches!(bench.run().await, End::GiveBack(_)));
    assert!(bench.own.lock().unwrap().is_some() && bench.told().is_none());
    assert_eq!(enrolments(&bench), 0);
    assert!(matches!(bench.run().await, End::Done(_)));
    assert_eq!((bench.certificates(), keys(&bench)), (1, 1));
    assert_eq!(bench.told().unwrap().step, Step::Ordered);
}

#[tokio::test]
async fn before_a_poll_that_is_the_order_once_more_the_gateway_knows_whose_it_is() {
    let script = [Act::Pend, Act::Fail(ErrorClass::Unavailable)];
    let bench = Bench::with(&script, KNOWS_NOTHING, WhenUnknown::AskAgain);
    // It pends; telling of that fails, so that another connector takes it for a lost order and tries with a key of its own.
    bench.fail_in(4);
    assert!(matches!(bench.run().await, End::GiveBack(_)));
    let first = bench.own.lock().unwrap().take();
    assert!(matches!(bench.run().await, End::Waits));
    let theirs = bench.told().unwrap();
    assert_eq!((&theirs.step, keys(&bench)), (&Step::KeyMade, 2));
    *bench.own.lock().unwrap() = first;
    // It comes as far as the journal.
    bench.fail_in(1);
    assert!(matches!(bench.run().await, End::Abandon(_)));
    let ours = bench.told().unwrap();
    assert_ne!(ours.csr, theirs.csr);
    assert!(matches!(ours.step, Step::Pending { .. }), "{:?}", ours.step);
    assert!(ours.fence > theirs.fence);
    assert_eq!(enrolments(&bench), 2, "nothing was sent");
    assert!(matches!(bench.run().await, End::Done(_)));
    assert_eq!((bench.certificates(), keys(&bench)), (1, 2));
}

#[tokio::test]
async fn an_order_whose_owner_does_not_come_back_ends() {
    let bench = Bench::with(&[Act::Pend], KNOWS_NOTHING, WhenUnknown::AskAgain);
    assert!(matches!(bench.run().await, End::Waits));
    assert!(matches!(bench.run_elsewhere().await, End::Waits));
    bench.pass(31 * DAY_MS);
    let end = bench.run_elsewhere().await;
    assert_eq!(code(&end), "pendingTooLong");
    assert_eq!((enrolments(&bench), keys(&bench)), (1, 1));
}

#[tokio::test]
async fn polls_that_fail_end_as_well() {
    for kind in [KNOWS_NUMBERS, KNOWS_NOTHING] {
        let script = [
            Act::Pend,
            Act::Fail(ErrorClass::Unavailable),
            Act::Fail(ErrorClass::Credential),
        ];
        let bench = Bench::with(&script, kind, WhenUnknown::Fail);
        bench.run().await;
        assert!(matches!(bench.run().await, End::Waits));
        bench.pass(31 * DAY_MS);
        let end = bench.run().await;
        assert_eq!(code(&end), "pendingTooLong", "{kind:?}");
        assert_eq!(bench.seen(1051), 1);
    }
}

#[tokio::test]
async fn after_a_lost_poll_it_is_asked_what_became_of_the_order_with_what_is_known_of_it() {
    let bench = Bench::new(&[Act::Pend, Act::Lose]);
    bench.run().await;
    assert!(matches!(bench.run().await, End::Waits));
    assert!(bench.scripted.recoveries.lock().unwrap().is_empty());
    assert!(matches!(bench.run().await, End::Waits));
    assert_eq!(*bench.scripted.recoveries.lock().unwrap(), [true]);
    assert!(matches!(bench.run().await, End::Done(_)));
    assert_eq!((bench.certificates(), enrolments(&bench)), (1, 1));
    // Where a number is all that is known, it is asked about again: that orders nothing.
    let script = [Act::Pend, Act::Lose];
    let bench = Bench::with(&script, KNOWS_NUMBERS, WhenUnknown::Fail);
    assert!(matches!(bench.run_to_the_end().await, End::Done(_)));
    assert_eq!((bench.certificates(), enrolments(&bench)), (1, 1));
}

#[tokio::test]
async fn a_lost_poll_that_was_the_request_once_more_is_a_lost_order() {
    let script = [Act::Pend, Act::Lose];
    let bench = Bench::with(&script, KNOWS_NOTHING, WhenUnknown::Fail);
    bench.run().await;
    // The order has waited for longer than one that nobody answers may.
    bench.pass(5 * DAY_MS);
    assert!(matches!(bench.run().await, End::Waits));
    assert_eq!(enrolments(&bench), 2);
    assert_eq!(code(&bench.run().await), "outcomeUnknown");
    assert_eq!(enrolments(&bench), 2, "nothing was sent a third time");
    let bench = Bench::with(&script, KNOWS_NOTHING, WhenUnknown::AskAgain);
    assert!(matches!(bench.run_to_the_end().await, End::Done(_)));
    assert_eq!(keys(&bench), 1, "it is the same request");
    // An authority that was not reached has not been asked.
    let script = [Act::Pend, Act::Fail(ErrorClass::Unavailable)];
    let bench = Bench::with(&script, KNOWS_NOTHING, WhenUnknown::Fail);
    assert!(matches!(bench.run_to_the_end().await, End::Done(_)));
    assert_eq!(bench.certificates(), 1);
}

#[tokio::test]
async fn nothing_is_ordered_for_a_device_that_nothing_can_be_encrypted_to() {
    let bench = Bench::new(&[Act::Fail(ErrorClass::Unavailable)]);
    assert!(matches!(bench.run().await, End::Waits));
    bench.pass(4_000 * DAY_MS);
    assert_eq!(code(&bench.run().await), "deviceCertificateRefused");
    let mut bench = Bench::new(&[]);
    bench.item.device.certificate = b"DEVICE".to_vec().into();
    let end = bench.run().await;
    assert_eq!(code(&end), "deviceCertificateRefused");
    assert_eq!(enrolments(&bench), 0);
}
