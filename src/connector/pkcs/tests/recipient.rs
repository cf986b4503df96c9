//! Devices that are gone while their order waits: it is given up, and what was issued by then is revoked.

use super::bench::{Bench, DAY_MS};
use super::scripted::{Act, KNOWS_NOTHING, KNOWS_NUMBERS, KNOWS_ORDERS};
use crate::config::WhenUnknown;
use crate::connector::pkcs::order::End;
use crate::engine::api::{Failure, FailureCode};
use crate::engine::client::RecryptError;
use ca::ErrorClass;
use std::sync::atomic::Ordering;

fn failed(end: End) -> (String, String) {
    match end {
        End::Failed { code, message } => (code, message),
        other => panic!("{other:?}"),
    }
}

fn refused(end: End) -> String {
    let (code, message) = failed(end);
    assert_eq!(code, "deviceCertificateRefused", "{message}");
    message
}

fn enrolments(bench: &Bench) -> usize {
    bench.scripted.enrolments.load(Ordering::SeqCst)
}

/// What the engine says of the device from now on.
fn says(bench: &Bench, code: FailureCode, message: &str) {
    let message = message.to_owned();
    let failure = RecryptError::Failed(Failure { code, message });
    *bench.against_device.lock().unwrap() = Some(failure);
}

fn revoked(bench: &Bench) {
    let message = "the device certificate is revoked";
    says(bench, FailureCode::DeviceCertificateRefused, message);
}

#[tokio::test]
async fn an_order_is_not_waited_for_once_its_devices_certificate_has_ended() {
    for can in [KNOWS_ORDERS, KNOWS_NUMBERS, KNOWS_NOTHING] {
        let mut bench = Bench::with(&[Act::Pend; 5], can, WhenUnknown::Fail);
        bench.item.device.certificate = bench.workshop.device(2).into();
        // The bench's clock stood still while it was made.
        bench.pass(DAY_MS / 24);
        assert!(matches!(bench.run().await, End::Waits));
        bench.pass(DAY_MS);
        assert!(matches!(bench.run().await, End::Waits));
        let asked = enrolments(&bench);
        bench.pass(2 * DAY_MS);
        let message = refused(bench.run().await);
        for word in ["is valid from", &bench.item.request_id, "company", "reject"] {
            assert!(message.contains(word), "{can:?}: {message}");
        }
        assert_eq!((bench.certificates(), bench.seen(1052)), (0, 1), "{can:?}");
        assert_eq!(enrolments(&bench), asked, "{can:?}: asked once more");
    }
}

#[tokio::test]
async fn an_order_is_not_waited_for_once_the_engine_refuses_its_device_wherever_it_goes_on() {
    for can in [KNOWS_ORDERS, KNOWS_NUMBERS, KNOWS_NOTHING] {
        for elsewhere in [false, true] {
            let bench = Bench::with(&[Act::Pend; 3], can, WhenUnknown::Fail);
            assert!(matches!(bench.run().await, End::Waits));
            revoked(&bench);
            let end = match elsewhere {
                true => bench.run_elsewhere().await,
                false => bench.run().await,
            };
            let message = refused(end);
            assert!(message.contains("is revoked"), "{message}");
            assert!(message.contains("reject"), "{message}");
            assert!(bench.scripted.revoked.lock().unwrap().is_empty());
            assert_eq!((bench.seen(1052), bench.seen(1060)), (1, 0));
        }
    }
}

#[tokio::test]
async fn what_the_authority_has_decided_by_then_is_revoked() {
    for can in [KNOWS_ORDERS, KNOWS_NUMBERS] {
        let bench = Bench::with(&[Act::Pend], can, WhenUnknown::Fail);
        assert!(matches!(bench.run().await, End::Waits));
        revoked(&bench);
        let message = refused(bench.run().await);
        assert!(message.contains("it was revoked"), "{message}");
        assert_eq!(bench.certificates(), 1);
        assert_eq!(bench.scripted.revoked.lock().unwrap().len(), 1);
        assert_eq!((bench.seen(1052), bench.seen(1060)), (1, 1));
    }
    // To poll it is to order: it is not polled any more.
    let bench = Bench::with(&[Act::Pend], KNOWS_NOTHING, WhenUnknown::Fail);
    assert!(matches!(bench.run().await, End::Waits));
    revoked(&bench);
    refused(bench.run().await);
    assert_eq!((bench.certificates(), enrolments(&bench)), (0, 1));
}

#[tokio::test]
async fn an_authority_that_does_not_answer_keeps_no_order_of_a_device_that_is_gone() {
    let away = Act::Fail(ErrorClass::Unavailable);
    let bench = Bench::new(&[Act::Pend, away, away]);
    assert!(matches!(bench.run().await, End::Waits));
    assert!(matches!(bench.run().await, End::Waits));
    revoked(&bench);
    refused(bench.run().await);
    assert_eq!(bench.seen(1051), 1, "it is not tried again");
    // Nor while it is left alone.
    let mut script = vec![Act::Pend];
    script.extend([away; 5]);
    let bench = Bench::with(&script, KNOWS_NUMBERS, WhenUnknown::Fail);
    for _ in 0..6 {
        assert!(matches!(bench.run().await, End::Waits));
    }
    assert!(bench.authority.state().left_alone_ms > 0);
    revoked(&bench);
    refused(bench.run().await);
}

#[tokio::test]
async fn nothing_is_ordered_for_a_device_that_was_refused_since_its_key_was_made() {
    let away = [Act::Fail(ErrorClass::Unavailable)];
    let bench = Bench::new(&away);
    assert!(matches!(bench.run().await, End::Waits));
    revoked(&bench);
    let message = refused(bench.run().await);
    assert!(message.contains("nothing was ordered"), "{message}");
    assert_eq!(enrolments(&bench), 1);
    // As long as nobody says, nothing is ordered either.
    let bench = Bench::new(&away);
    assert!(matches!(bench.run().await, End::Waits));
    says(&bench, FailureCode::RevocationUnknown, "out of date");
    assert!(matches!(bench.run().await, End::GiveBack(_)));
    assert_eq!(enrolments(&bench), 1);
    bench.against_device.lock().unwrap().take();
    assert!(matches!(bench.run().await, End::Done(_)));
    // The engine that makes the key judges the device itself.
    let bench = Bench::new(&[]);
    assert!(matches!(bench.run().await, End::Done(_)));
    assert_eq!(bench.judged.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn an_order_that_was_lost_and_made_again_is_not_said_to_be_nowhere() {
    let script = [Act::IssueAndLose, Act::Fail(ErrorClass::Unavailable)];
    let bench = Bench::with(&script, KNOWS_NUMBERS, WhenUnknown::AskAgain);
    assert!(matches!(bench.run().await, End::Waits));
    assert!(matches!(bench.run().await, End::Waits));
    revoked(&bench);
    let message = refused(bench.run().await);
    assert!(message.contains("is not known"), "{message}");
    assert!(message.contains(&bench.item.request_id), "{message}");
}

#[tokio::test]
async fn a_list_that_is_late_and_an_engine_that_is_away_end_no_order() {
    let away = RecryptError::Unavailable("gone".to_owned());
    let late = RecryptError::Failed(Failure {
        code: FailureCode::RevocationUnknown,
        message: "the revocation list is out of date".to_owned(),
    });
    for error in [away, late] {
        let bench = Bench::new(&[Act::Pend, Act::Pend]);
        assert!(matches!(bench.run().await, End::Waits));
        *bench.against_device.lock().unwrap() = Some(error);
        assert!(matches!(bench.run().await, End::Waits));
        // Issued, and not packed yet.
        assert!(matches!(bench.run().await, End::Waits));
        assert_eq!(bench.certificates(), 1);
        bench.against_device.lock().unwrap().take();
        assert!(matches!(bench.run().await, End::Done(_)));
        assert!(bench.scripted.revoked.lock().unwrap().is_empty());
        assert_eq!((bench.certificates(), bench.seen(1060)), (1, 0));
    }
}
