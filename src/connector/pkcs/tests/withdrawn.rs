//! What an authority issued otherwise than asked is revoked, also where it takes the authority a while.

use super::bench::{Bench, DAY_MS};
use super::scripted::{Act, Made};
use crate::connector::pkcs::order::End;
use ca::{Error, ErrorClass};

/// An order whose certificate is refused, at an authority that revokes nothing for so many times.
fn unrevoked(times: usize) -> Bench {
    let bench = Bench::new(&[Act::Issue(Made::WithMoreNames)]);
    let classes = [
        ErrorClass::Unavailable,
        ErrorClass::Unknown,
        ErrorClass::Credential,
    ];
    bench.scripted.revocations_fail.lock().unwrap().extend(
        (classes.into_iter().cycle().take(times)).map(|class| Error::new(class, "not now")),
    );
    bench
}

#[tokio::test]
async fn a_certificate_that_could_not_be_revoked_is_tried_again_until_it_is() {
    let bench = unrevoked(4);
    for attempt in 1..=4 {
        assert!(matches!(bench.run().await, End::Waits), "{attempt}");
        // Told at once, and once.
        assert_eq!((bench.seen(1060), bench.seen(1051)), (1, attempt - 1));
    }
    let End::Failed { code, message } = bench.run().await else {
        panic!()
    };
    assert_eq!(code, "issuedCertificateRefused");
    assert!(
        message.contains("not asked for; it was revoked"),
        "{message}"
    );
    assert_eq!(bench.scripted.revoked.lock().unwrap().len(), 1);
    assert_eq!((bench.seen(1060), bench.seen(1052)), (2, 1));
    let waits = bench.waits.lock().unwrap().clone();
    assert!(waits.windows(2).all(|pair| pair[1] > pair[0]), "{waits:?}");
    assert_eq!(bench.certificates(), 1);
}

#[tokio::test]
async fn one_that_cannot_be_revoked_for_days_ends_and_says_so() {
    let bench = unrevoked(9);
    assert!(matches!(bench.run().await, End::Waits));
    bench.pass(4 * DAY_MS);
    let End::Failed { message, .. } = bench.run().await else {
        panic!()
    };
    assert!(
        message.contains("could not be revoked (not now)"),
        "{message}"
    );
    assert!(bench.scripted.revoked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_certificate_that_may_have_been_revoked_is_delivered_to_nobody_whatever_the_check_says_later()
 {
    let mut bench = Bench::new(&[Act::Issue(Made::ForLogon)]);
    let lost = Error::new(ErrorClass::Unknown, "the answer was lost");
    bench
        .scripted
        .revocations_fail
        .lock()
        .unwrap()
        .push_back(lost);
    assert!(matches!(bench.run().await, End::Waits));
    let wide = super::bench::POLICY.replace(
        "[\"emailProtection\"]",
        "[\"emailProtection\", \"clientAuth\"]",
    );
    bench.policy = crate::issuance::IssuancePolicy::read(&wide).unwrap();
    let End::Failed { message, .. } = bench.run().await else {
        panic!()
    };
    assert!(message.contains("it was revoked"), "{message}");
}

#[tokio::test]
async fn another_connector_leaves_it_to_the_one_that_ordered() {
    let bench = unrevoked(1);
    assert!(matches!(bench.run().await, End::Waits));
    let own = bench.own.lock().unwrap().clone();
    assert!(matches!(bench.run_elsewhere().await, End::Waits));
    assert!(bench.scripted.revoked.lock().unwrap().is_empty());
    *bench.own.lock().unwrap() = own;
    let End::Failed { message, .. } = bench.run().await else {
        panic!()
    };
    assert!(message.contains("it was revoked"), "{message}");
    // It does not come back.
    let bench = unrevoked(1);
    assert!(matches!(bench.run().await, End::Waits));
    bench.pass(4 * DAY_MS);
    let End::Failed { code, message } = bench.run_elsewhere().await else {
        panic!()
    };
    assert_eq!(code, "issuedCertificateRefused");
    assert!(message.contains("did not come back"), "{message}");
}
