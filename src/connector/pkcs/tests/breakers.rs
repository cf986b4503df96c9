//! Orders and revocations have a breaker each.

use super::bench::Bench;
use crate::ca::BreakerState;
use crate::connector::pkcs::order::End;
use ca::{Error, ErrorClass, Revoked};
use std::time::Duration;

const TURN: Duration = Duration::from_secs(5);

async fn revoke(bench: &Bench, answer: Result<Revoked, Error>) {
    let slot = bench.authority.enter_to_revoke(TURN).await.unwrap();
    let _ = slot.note(answer);
}

fn failed(class: ErrorClass) -> Result<Revoked, Error> {
    Err(Error::new(class, "as the test says"))
}

#[tokio::test]
async fn an_authority_that_cannot_revoke_issues_all_the_same() {
    let bench = Bench::new(&[]);
    for _ in 0..5 {
        revoke(&bench, failed(ErrorClass::Unavailable)).await;
    }
    assert!(bench.authority.enter_to_revoke(TURN).await.is_err());
    let state = bench.authority.state();
    assert_eq!(state.revocation_breaker, BreakerState::Open);
    assert_eq!(
        (state.breaker, state.failures_in_a_row),
        (BreakerState::Closed, 0)
    );
    assert!(matches!(bench.run().await, End::Done(_)));
}

#[tokio::test]
async fn what_waits_for_somebody_there_and_a_missing_right_are_no_failures_of_the_authority() {
    let bench = Bench::new(&[]);
    let undecided = || failed(ErrorClass::Unavailable).map_err(Error::of_undecided);
    for _ in 0..6 {
        revoke(&bench, undecided()).await;
        revoke(&bench, failed(ErrorClass::Credential)).await;
    }
    assert_eq!(
        bench.authority.state().revocation_breaker,
        BreakerState::Closed
    );
}
