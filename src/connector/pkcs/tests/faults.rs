//! Authorities that issue something else than what was asked for: each is refused, told, and revoked.

use super::bench::{Bench, DAY_MS};
use super::scripted::{Act, Made};
use crate::connector::pkcs::order::End;
use ca::ErrorClass;

async fn refused(made: Made, because: &str) {
    refused_at(Bench::new(&[Act::Issue(made)]), made, because).await;
}

async fn refused_at(bench: Bench, made: Made, because: &str) {
    let end = bench.run().await;
    let End::Failed { code, message } = end else {
        panic!("{made:?}: {end:?}");
    };
    assert_eq!(code, "issuedCertificateRefused", "{made:?}: {message}");
    assert!(message.contains(because), "{made:?}: {message}");
    assert!(message.contains("it was revoked"), "{made:?}: {message}");
    assert_eq!(
        (bench.seen(1050), bench.seen(1052), bench.seen(1060)),
        (0, 1, 1)
    );
    let revoked = bench.scripted.revoked.lock().unwrap().clone();
    assert_eq!(revoked.len(), 1);
    let issued = bench.scripted.issued.lock().unwrap();
    assert_eq!(
        revoked[0].certificate_der.as_ref(),
        issued[&bench.item.request_id].last()
    );
}

#[tokio::test]
async fn another_keys_certificate_which_may_be_somebodys() {
    let bench = Bench::new(&[Act::Issue(Made::ForAnotherKey)]);
    let End::Failed { code, message } = bench.run().await else {
        panic!()
    };
    assert_eq!(code, "issuedCertificateRefused");
    assert!(message.contains("another key"), "{message}");
    assert!(message.contains("it was not revoked"), "{message}");
    assert!(bench.scripted.revoked.lock().unwrap().is_empty());
    assert_eq!((bench.seen(1050), bench.seen(1060)), (0, 1));
}

#[tokio::test]
async fn more_names_than_asked() {
    refused(Made::WithMoreNames, "not asked for").await;
}

#[tokio::test]
async fn fewer_names_than_asked() {
    refused(Made::WithoutNames, "without an alternative name").await;
}

#[tokio::test]
async fn another_subject() {
    refused(Made::WithAnotherSubject, "CN=boss").await;
}

#[tokio::test]
async fn a_weaker_signature() {
    refused(Made::WithSha1, "signature algorithm is not accepted").await;
}

#[tokio::test]
async fn a_chain_to_somebody_else() {
    refused(
        Made::ByStrangers,
        "none of the configured roots and known intermediates signed it",
    )
    .await;
}

#[tokio::test]
async fn more_usages_than_asked() {
    refused(Made::ForLogon, "clientAuth").await;
    refused(Made::ForAnything, "any usage").await;
    refused(Made::OtherKeyUsage, "DigitalSignature").await;
}

/// Where the profile asks for no usage of the key, the policy's rule says which there may be.
#[tokio::test]
async fn a_usage_of_the_key_that_nobody_asked_for_and_the_rule_does_not_allow() {
    let without = |script: &[Act]| {
        let mut bench = Bench::new(script);
        bench.item.profile.key_usage = Vec::new();
        bench
    };
    let allowed = without(&[]).run().await;
    assert!(matches!(allowed, End::Done(_)), "{allowed:?}");
    for (made, because) in [
        (Made::OtherKeyUsage, "KeyAgreement, which the policy's rule"),
        (Made::WithoutKeyUsage, "it has no keyUsage"),
    ] {
        refused_at(without(&[Act::Issue(made)]), made, because).await;
    }
    refused(Made::WithoutKeyUsage, "it has no keyUsage").await;
}

#[tokio::test]
async fn an_authority() {
    refused(Made::AsAnAuthority, "certificate of an authority").await;
}

#[tokio::test]
async fn a_longer_validity() {
    refused(Made::ForTenYears, "more than 100 days").await;
}

#[tokio::test]
async fn an_expired_certificate() {
    // Issued while the order waited for longer than the certificate lives.
    let bench = Bench::new(&[Act::Pend]);
    bench.run().await;
    bench.pass(120 * DAY_MS);
    let End::Failed { message, .. } = bench.run().await else {
        panic!()
    };
    assert!(message.contains("expired"), "{message}");
}

#[tokio::test]
async fn an_authority_that_answers_nonsense_is_asked_what_became_of_the_order() {
    let bench = Bench::new(&[Act::Fail(ErrorClass::Protocol)]);
    assert!(matches!(bench.run().await, End::Waits));
    assert!(matches!(bench.run().await, End::Done(_)));
    assert_eq!(bench.certificates(), 1);
}
