//! The way of an order, and that nothing is ordered twice whatever fails in between.

use super::bench::{Bench, DAY_MS};
use super::scripted::{Act, KNOWS_NUMBERS};
use crate::ca::BreakerState;
use crate::config::WhenUnknown;
use crate::connector::pkcs::order::End;
use crate::engine::api::{Failure, FailureCode};
use crate::engine::client::RecryptError;
use crate::issuance::IssuancePolicy;
use ca::ErrorClass;
use std::sync::atomic::Ordering;

fn code(end: &End) -> &str {
    match end {
        End::Failed { code, .. } => code,
        other => panic!("{other:?}"),
    }
}

fn message(end: &End) -> &str {
    match end {
        End::Failed { message, .. } => message,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_request_becomes_one_certificate() {
    let bench = Bench::new(&[]);
    let End::Done(result) = bench.run().await else {
        panic!()
    };
    assert_eq!(result.encrypted_pfx.as_slice(), b"PFX");
    assert!(!result.certificate.is_empty());
    assert_eq!((bench.certificates(), bench.seen(1050)), (1, 1));
}

#[tokio::test]
async fn a_form_that_the_platform_is_not_known_to_read_is_told() {
    let mut bench = Bench::new(&[]);
    assert!(matches!(bench.run().await, End::Done(_)));
    assert_eq!(bench.seen(1062), 0);
    bench = Bench::new(&[]);
    bench.warnings = vec!["it reads no PBMAC1".to_owned()];
    assert!(matches!(bench.run().await, End::Done(_)));
    assert_eq!(bench.seen(1062), 1);
}

#[tokio::test]
async fn what_the_policy_does_not_allow_is_never_ordered_and_no_key_is_made() {
    let mut bench = Bench::new(&[]);
    bench.item.variables[1].value = "anna@evil.example".to_owned();
    let end = bench.run().await;
    assert_eq!(code(&end), "policyDenied");
    assert!(message(&end).contains("anna@evil.example"));
    assert_eq!(bench.keys_made.load(Ordering::SeqCst), 0);
    assert_eq!(bench.scripted.enrolments.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_policy_that_became_narrower_stops_what_was_not_ordered_yet() {
    let mut bench = Bench::new(&[Act::Fail(ErrorClass::Unavailable)]);
    assert!(matches!(bench.run().await, End::Waits));
    bench.policy = IssuancePolicy::read("version = 1").unwrap();
    assert_eq!(code(&bench.run().await), "policyDenied");
    assert_eq!(bench.certificates(), 0);
}

#[tokio::test]
async fn what_was_ordered_is_held_against_the_rule_under_which_it_was_ordered() {
    let mut bench = Bench::new(&[Act::Pend]);
    // The rule says what the authority may make of a request that asks for no usage of the key.
    bench.item.profile.key_usage = Vec::new();
    assert!(matches!(bench.run().await, End::Waits));
    let told = bench.told.lock().unwrap().clone().unwrap();
    assert!(!String::from_utf8(told).unwrap().contains("allowed"));
    bench.policy = IssuancePolicy::read("version = 1").unwrap();
    let end = bench.run().await;
    assert!(matches!(end, End::Done(_)), "{end:?}");
}

#[tokio::test]
async fn a_variable_without_a_value_is_named() {
    let mut bench = Bench::new(&[]);
    bench.item.variables.truncate(1);
    let end = bench.run().await;
    assert_eq!(code(&end), "profileUnusable");
    assert!(message(&end).contains("EmailAddress"));
    let mut bench = Bench::new(&[]);
    bench.item.profile.platform = "beos".to_owned();
    assert!(message(&bench.run().await).contains("beos"));
}

#[tokio::test]
async fn an_authority_may_take_days() {
    let bench = Bench::new(&[Act::Pend, Act::Pend, Act::Pend]);
    assert!(matches!(bench.run_to_the_end().await, End::Done(_)));
    assert_eq!((bench.certificates(), bench.seen(1061)), (1, 1));
    assert_eq!(bench.scripted.enrolments.load(Ordering::SeqCst), 1);
    assert_eq!(bench.keys_made.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn another_connector_goes_on_with_a_pending_order_and_its_key() {
    let bench = Bench::new(&[Act::Pend]);
    assert!(matches!(bench.run().await, End::Waits));
    assert!(matches!(bench.run_elsewhere().await, End::Done(_)));
    assert_eq!(
        (bench.certificates(), bench.keys_made.load(Ordering::SeqCst)),
        (1, 1)
    );
}

#[tokio::test]
async fn an_order_that_is_never_decided_ends() {
    let bench = Bench::new(&[Act::Pend; 3]);
    bench.run().await;
    bench.pass(31 * DAY_MS);
    assert_eq!(code(&bench.run().await), "pendingTooLong");
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_and_not_ordered_again() {
    let bench = Bench::new(&[Act::IssueAndLose]);
    assert!(matches!(bench.run().await, End::Waits));
    assert_eq!(bench.seen(1051), 1);
    assert!(matches!(bench.run().await, End::Done(_)));
    assert_eq!(bench.scripted.enrolments.load(Ordering::SeqCst), 1);
    // A lost order is ordered once the authority says that it never had it.
    let bench = Bench::new(&[Act::Lose]);
    assert!(matches!(bench.run_to_the_end().await, End::Done(_)));
    assert_eq!(
        (
            bench.certificates(),
            bench.scripted.enrolments.load(Ordering::SeqCst)
        ),
        (1, 2)
    );
}

#[tokio::test]
async fn an_authority_that_cannot_tell_is_not_asked_again_unless_that_is_wanted() {
    let bench = Bench::with(&[Act::IssueAndLose], KNOWS_NUMBERS, WhenUnknown::Fail);
    bench.run().await;
    let end = bench.run().await;
    assert_eq!(code(&end), "outcomeUnknown");
    assert!(message(&end).contains(&bench.item.request_id) && message(&end).contains("revoke it"));
    assert_eq!(bench.certificates(), 1);
    let bench = Bench::with(&[Act::IssueAndLose], KNOWS_NUMBERS, WhenUnknown::AskAgain);
    bench.run().await;
    assert!(matches!(bench.run().await, End::Done(_)));
    assert_eq!(bench.certificates(), 2, "that is what was asked for");
}

#[tokio::test]
async fn whatever_step_is_lost_there_is_one_certificate() {
    for script in [
        &[][..],
        &[Act::Pend],
        &[Act::IssueAndLose],
        &[Act::Lose, Act::Pend],
    ] {
        for step in 0..12 {
            for elsewhere in [false, true] {
                let bench = Bench::new(script);
                bench.fail_in(step);
                let first = bench.run().await;
                let end = match first {
                    End::Done(_) => first,
                    _ if elsewhere => match bench.run_elsewhere().await {
                        End::Done(result) => End::Done(result),
                        _ => bench.run_to_the_end().await,
                    },
                    _ => bench.run_to_the_end().await,
                };
                assert!(
                    matches!(end, End::Done(_)),
                    "{script:?} {step} {elsewhere}: {end:?}"
                );
                assert_eq!(bench.certificates(), 1, "{script:?} {step} {elsewhere}");
            }
        }
    }
}

#[tokio::test]
async fn nothing_is_ordered_after_the_lease() {
    let bench = Bench::new(&[]);
    bench.held.store(false, Ordering::SeqCst);
    assert!(matches!(bench.run().await, End::GiveBack(_)));
    assert_eq!(bench.scripted.enrolments.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn an_authority_that_is_away_is_asked_with_growing_pauses_and_left_alone_in_between() {
    let bench = Bench::new(&[Act::Fail(ErrorClass::Unavailable); 5]);
    for _ in 0..5 {
        assert!(matches!(bench.run().await, End::Waits));
    }
    let state = bench.authority.state();
    assert_eq!(state.breaker, BreakerState::Open);
    assert_eq!((state.failures_in_a_row, state.in_flight), (5, 0));
    assert!((1..=10_000).contains(&state.left_alone_ms));
    assert!(state.trouble().is_some());
    assert!(matches!(bench.run().await, End::Waits));
    assert_eq!(
        bench.scripted.enrolments.load(Ordering::SeqCst),
        5,
        "the breaker is open"
    );
    let waits = bench.waits.lock().unwrap().clone();
    assert!(waits[1] > waits[0] && waits[4] > waits[3], "{waits:?}");
    // For days: it ends, and says that nothing was issued.
    let bench = Bench::new(&[Act::Fail(ErrorClass::Unavailable); 2]);
    bench.run().await;
    bench.pass(4 * DAY_MS);
    let end = bench.run().await;
    assert_eq!(code(&end), "authorityUnavailable");
    assert!(message(&end).contains("nothing was issued"));
}

#[tokio::test]
async fn a_refusal_is_final() {
    let bench = Bench::new(&[Act::Fail(ErrorClass::Rejected)]);
    assert_eq!(code(&bench.run().await), "rejected");
    assert_eq!((bench.seen(1052), bench.seen(1051)), (1, 0));
    let bench = Bench::new(&[Act::Pend, Act::Fail(ErrorClass::Rejected)]);
    bench.run().await;
    assert_eq!(code(&bench.run().await), "rejected");
}

#[tokio::test]
async fn an_engine_that_fails_loses_no_certificate() {
    let bench = Bench::new(&[]);
    let answers = || bench.engine_answers.lock().unwrap();
    answers().push_back(RecryptError::Unavailable("gone".to_owned()));
    assert!(matches!(bench.run().await, End::GiveBack(_)));
    // The key is made this time, and the packing fails.
    let bench = Bench::new(&[Act::Pend]);
    bench.run().await;
    let answers = || bench.engine_answers.lock().unwrap();
    answers().push_back(RecryptError::Unavailable("gone".to_owned()));
    assert!(matches!(bench.run().await, End::Waits));
    assert!(matches!(bench.run_elsewhere().await, End::Done(_)));
    assert_eq!(
        (bench.certificates(), bench.keys_made.load(Ordering::SeqCst)),
        (1, 1)
    );
    // It does not have the key: another one may.
    let bench = Bench::new(&[Act::Pend]);
    bench.run().await;
    let refusal = Failure {
        code: FailureCode::KeyNotFound,
        message: "not on the token".to_owned(),
    };
    let answers = || bench.engine_answers.lock().unwrap();
    answers().push_back(RecryptError::Failed(refusal));
    assert!(matches!(bench.run().await, End::Waits));
    assert!(bench.scripted.revoked.lock().unwrap().is_empty());
    assert!(matches!(bench.run_elsewhere().await, End::Done(_)));
    // It refuses for good: what was issued is revoked.
    let bench = Bench::new(&[Act::Pend]);
    bench.run().await;
    let refusal = Failure {
        code: FailureCode::PlatformRefused,
        message: "not for this platform".to_owned(),
    };
    bench
        .engine_answers
        .lock()
        .unwrap()
        .push_back(RecryptError::Failed(refusal));
    let end = bench.run().await;
    assert_eq!(code(&end), "platformRefused");
    assert!(message(&end).contains("it was revoked"));
    assert_eq!(bench.scripted.revoked.lock().unwrap().len(), 1);
}
