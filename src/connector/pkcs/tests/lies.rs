//! A gateway that lies about how far a request got: nothing is ordered that this connector's engine did not ask for, nobody is revoked, and
//! nothing waits for ever.

use super::bench::{Bench, DAY_MS};
use super::scripted::{Act, KNOWS_NOTHING, KNOWS_NUMBERS, KNOWS_ORDERS, Made};
use crate::config::WhenUnknown;
use crate::connector::pkcs::check;
use crate::connector::pkcs::order::End;
use crate::connector::pkcs::progress::{Progress, Step};
use crate::issuance::IssuancePolicy;
use std::sync::atomic::Ordering;

/// A CSR as an engine would make it, of a key that the gateway holds.
fn forged(bench: &Bench) -> Vec<u8> {
    bench.workshop.csr("/CN=anna", "email:anna@example.com")
}

/// The gateway tells of an order with this CSR.
fn tell(bench: &Bench, csr: Vec<u8>, step: Step) {
    let text = str::to_owned;
    let mut told = Progress::key_made(
        text("company"),
        text("a rule of the gateway's"),
        text(""),
        csr.into(),
        b"SEALED".to_vec().into(),
        0,
    );
    told.reach(step, u64::MAX);
    *bench.told.lock().unwrap() = Some(told.to_bytes());
}

fn failed(end: End) -> (String, String) {
    match end {
        End::Failed { code, message } => (code, message),
        other => panic!("{other:?}"),
    }
}

fn issued(der: Vec<u8>) -> Step {
    Step::Issued {
        certificate: der.into(),
        others: Vec::new(),
    }
}

fn pending(reference: &[u8], since_ms: i64) -> Step {
    Step::Pending {
        reference: reference.to_vec().into(),
        since_ms,
    }
}

fn assert_untouched(bench: &Bench) {
    assert_eq!(bench.scripted.enrolments.load(Ordering::SeqCst), 0);
    assert!(bench.scripted.issued.lock().unwrap().is_empty());
    assert!(bench.scripted.revoked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_csr_of_the_gateways_is_never_ordered() {
    for step in [Step::KeyMade, Step::Ordered] {
        let bench = Bench::new(&[]);
        let csr = forged(&bench);
        tell(&bench, csr.clone(), step);
        let End::Done(result) = bench.run().await else {
            panic!()
        };
        assert!(!check::is_for_key(result.certificate.as_slice(), &csr));
        assert_eq!(bench.certificates(), 1);
        assert_eq!(bench.keys_made.load(Ordering::SeqCst), 1);
    }
    // Where nobody can tell whether it was ordered, that is the end.
    for kind in [KNOWS_NUMBERS, KNOWS_NOTHING] {
        let bench = Bench::with(&[], kind, WhenUnknown::Fail);
        tell(&bench, forged(&bench), Step::Ordered);
        assert_eq!(failed(bench.run().await).0, "outcomeUnknown");
        assert_untouched(&bench);
        // Or, if that is wanted, asked is with a key of one's own.
        let bench = Bench::with(&[], kind, WhenUnknown::AskAgain);
        let csr = forged(&bench);
        tell(&bench, csr.clone(), Step::Ordered);
        let End::Done(result) = bench.run().await else {
            panic!()
        };
        assert!(!check::is_for_key(result.certificate.as_slice(), &csr));
    }
}

#[tokio::test]
async fn a_csr_that_is_not_for_the_request_is_refused_before_anything_is_asked() {
    let bench = Bench::new(&[]);
    let workshop = &bench.workshop;
    let good = forged(&bench);
    let mut cut = good.clone();
    cut.truncate(good.len() - 1);
    for (what, csr) in [
        (
            "another subject",
            workshop.csr("/CN=boss", "email:anna@example.com"),
        ),
        (
            "other names",
            workshop.csr("/CN=anna", "email:anna@example.com,email:boss@example.com"),
        ),
        (
            "other names or usages",
            workshop.csr_for("/CN=anna", "email:anna@example.com", "keyAgreement"),
        ),
        ("CSR", cut),
        ("more than 16384 bytes", vec![0x30; 20_000]),
    ] {
        for step in [
            Step::Ordered,
            pending(b"reference", 1),
            issued(workshop.issue(&good, Made::Well)),
        ] {
            tell(&bench, csr.clone(), step);
            let (code, message) = failed(bench.run().await);
            assert_eq!(code, "progressRefused", "{what}");
            assert!(message.contains(what), "{what}: {message}");
            assert!(message.contains("Nothing was ordered"), "{message}");
        }
    }
    let mut other = Bench::new(&[]);
    other.item.profile.key = crate::engine::api::keys::KeyType::Rsa3072;
    other.policy =
        IssuancePolicy::read(&super::bench::POLICY.replace("ecP256", "rsa3072")).unwrap();
    tell(&other, good, Step::Ordered);
    assert!(failed(other.run().await).1.contains("rsa3072"));
    for bench in [&bench, &other] {
        assert_untouched(bench);
        assert!(bench.scripted.recoveries.lock().unwrap().is_empty());
    }
}

#[tokio::test]
async fn another_orders_reference_gets_nobody_anything() {
    for kind in [KNOWS_ORDERS, KNOWS_NUMBERS] {
        let bench = Bench::with(&[], kind, WhenUnknown::Fail);
        let somebodys = bench.workshop.csr("/CN=boss", "email:boss@example.com");
        let certificate = bench.workshop.issue(&somebodys, Made::Well);
        let elsewhere = &bench.scripted.elsewhere;
        elsewhere
            .lock()
            .unwrap()
            .insert(b"4711".to_vec(), certificate);
        tell(&bench, forged(&bench), pending(b"4711", 1));
        let (code, message) = failed(bench.run().await);
        assert_eq!(code, "issuedCertificateRefused", "{message}");
        assert!(message.contains("it was not revoked"), "{message}");
        assert_untouched(&bench);
    }
    // Where to ask is to order, it waits, and not for ever, whatever the gateway says about the time.
    let bench = Bench::with(&[], KNOWS_NOTHING, WhenUnknown::AskAgain);
    tell(&bench, forged(&bench), pending(b"simpleenroll", i64::MAX));
    assert!(matches!(bench.run().await, End::Waits));
    bench.pass(31 * DAY_MS);
    assert_eq!(failed(bench.run().await).0, "pendingTooLong");
    assert_untouched(&bench);
    // Nothing is pending at an authority that decides at once.
    let at_once = ca::Capabilities {
        pends: false,
        polls_by_reference: false,
        ..KNOWS_ORDERS
    };
    let bench = Bench::with(&[], at_once, WhenUnknown::Fail);
    let csr = forged(&bench);
    tell(&bench, csr.clone(), pending(b"4711", 1));
    let End::Done(result) = bench.run().await else {
        panic!()
    };
    assert!(!check::is_for_key(result.certificate.as_slice(), &csr));
}

#[tokio::test]
async fn somebody_elses_certificate_is_refused_and_not_revoked() {
    let bench = Bench::new(&[]);
    let csr = forged(&bench);
    let somebodys = bench.workshop.csr("/CN=boss", "email:boss@example.com");
    for (what, certificate) in [
        (
            "somebody's own",
            bench.workshop.issue(&somebodys, Made::Well),
        ),
        // The serial number in it may be anybody's.
        ("made up", bench.workshop.issue(&csr, Made::ByStrangers)),
        ("none at all", b"\x30\x00".to_vec()),
    ] {
        tell(&bench, csr.clone(), issued(certificate));
        let (code, message) = failed(bench.run().await);
        assert_eq!(code, "issuedCertificateRefused", "{what}");
        assert!(message.contains("it was not revoked"), "{what}: {message}");
        assert_untouched(&bench);
    }
}

#[tokio::test]
async fn a_made_up_certificate_for_the_own_key_revokes_nobody() {
    let bench = Bench::new(&[Act::Pend]);
    assert!(matches!(bench.run().await, End::Waits));
    let csr = bench.told().unwrap().csr.0;
    let made_up = bench.workshop.issue(&csr, Made::ByStrangers);
    bench.lie(|told| told.reach(issued(made_up), u64::MAX));
    let (code, message) = failed(bench.run().await);
    assert_eq!(code, "issuedCertificateRefused");
    assert!(message.contains("it was not revoked"), "{message}");
    assert!(bench.scripted.revoked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn an_own_order_is_not_forgotten_for_one_that_is_made_up() {
    for step in [Step::KeyMade, Step::Ordered] {
        let bench = Bench::new(&[Act::Pend]);
        assert!(matches!(bench.run().await, End::Waits));
        tell(&bench, forged(&bench), step);
        // The authority knows the order's name, and has it under the own key.
        let end = bench.run_to_the_end().await;
        assert!(matches!(end, End::Done(_)), "{end:?}");
        assert_eq!(bench.scripted.enrolments.load(Ordering::SeqCst), 1);
        assert_eq!(bench.certificates(), 1);
    }
}

#[tokio::test]
async fn the_policy_comes_before_what_is_told_and_its_rule_is_the_policys_own() {
    let mut bench = Bench::new(&[]);
    bench.policy = IssuancePolicy::read("version = 1").unwrap();
    tell(&bench, forged(&bench), Step::Ordered);
    let (code, message) = failed(bench.run().await);
    assert_eq!(code, "policyDenied");
    assert!(message.contains("look at the authority"), "{message}");
    assert_untouched(&bench);
    assert!(bench.scripted.recoveries.lock().unwrap().is_empty());
    // A rule that lets the authority add what it likes is not the one that allows this request.
    let mut bench = Bench::new(&[]);
    let wide = super::bench::POLICY
        .replacen("[[rule]]", "", 1)
        .replace("version = 1", "[[rule]]")
        .replace(
            "name = \"smime\"",
            "name = \"a rule of the gateway's\"\nca_may_add = { CN = [\"*\"] }",
        )
        .replace("profiles = [\"smime\"]", "profiles = [\"other\"]");
    bench.policy = IssuancePolicy::read(&format!("{}\n{wide}", super::bench::POLICY)).unwrap();
    let csr = forged(&bench);
    let boss = bench.workshop.issue(&csr, Made::WithAnotherSubject);
    tell(&bench, csr, issued(boss));
    let (code, message) = failed(bench.run().await);
    assert_eq!(code, "issuedCertificateRefused");
    assert!(message.contains("CN=boss"), "{message}");
}
