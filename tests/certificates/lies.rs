//! An authority that issues something else than what was asked: nothing of it gets to a device, the operator is told, and what can be revoked
//! is revoked.

use super::adcs;
use super::company::{Company, Twist};
use super::contract::{self, What};
use super::openssl::{KeyAlgorithm, Workshop};
use super::partner::{Fault, Partner, Plan};
use super::site::{Issuing, Setup};
use super::support::{Server, server_certificate};
use super::world::World;
use pki::cmp::Kind;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What the final failure has to say of a lie.
fn words(twist: Twist) -> &'static str {
    match twist {
        Twist::OtherKey => "another key",
        Twist::MoreNames => "not asked for",
        Twist::Sha1 => "its signature algorithm is not accepted",
        Twist::Expired => "expired",
        Twist::WrongChain => "none of the configured roots and known intermediates signed it",
        other => panic!("{other:?} is no lie about somebody's certificate"),
    }
}

#[test]
fn what_an_authority_by_cmp_issues_beside_the_order_is_refused_and_revoked_where_it_can_be() {
    let workshop = Workshop::new();
    let world = World::new(&workshop, KeyAlgorithm::P256);
    let next = std::sync::Arc::new(AtomicUsize::new(0));
    let turn = std::sync::Arc::clone(&next);
    let partner = Partner::start(&world, move |_, _| Plan {
        twist: Twist::LIES[turn.load(Ordering::SeqCst)],
        ..Plan::default()
    });
    let issuing = Issuing::with(Setup::strict(format!(
        "[[connector.ca]]\nname = \"company\"\n{}",
        partner.settings()
    )));
    let running = issuing.start();
    issuing.enrol();
    let device = issuing.device(0);
    for (number, twist) in Twist::LIES.into_iter().enumerate() {
        next.store(number, Ordering::SeqCst);
        let revoked = partner.revoked();
        let request = issuing.ask_as(
            "anna@example.com",
            &device,
            "smime-windows",
            &format!("{twist:?}"),
        );
        let (code, message) = issuing.failure(&request);
        let revoked = partner.revoked() - revoked;
        match twist {
            // The client itself turns it down, and the authority revokes what is turned down (RFC 9483 section 4.1.1).
            Twist::OtherKey => {
                assert_eq!(partner.confirmed(), (0, 1));
                assert_eq!(revoked, 0, "somebody else's certificate");
            }
            // No certificate of this authority: it cannot be revoked there.
            Twist::WrongChain => assert_eq!(revoked, 0),
            _ => assert_eq!(revoked, 1, "{twist:?}: {message}"),
        }
        assert_eq!(code, "issuedCertificateRefused", "{twist:?}: {message}");
        assert!(message.contains(words(twist)), "{twist:?}: {message}");
        assert!(message.contains("revoke"), "{twist:?}: {message}");
        issuing.event_of("admin", 1060, &request);
        issuing.event_of("operational", 1052, &request);
        issuing.event_of("admin", 1001, &request);
    }
    assert_eq!(partner.issued(), Twist::LIES.len());
    assert!(issuing.events("admin", 1000).is_empty());
    running.stop();
}

#[test]
fn what_is_refused_while_the_authority_is_away_is_revoked_when_it_is_back() {
    let workshop = Workshop::new();
    let world = World::new(&workshop, KeyAlgorithm::P256);
    let asked = std::sync::Arc::new(AtomicUsize::new(0));
    let counted = std::sync::Arc::clone(&asked);
    let partner = Partner::start(&world, move |_, kind| {
        let fault = match kind {
            Kind::Rr => match counted.fetch_add(1, Ordering::SeqCst) {
                0 => Fault::Busy,
                1 => Fault::Cut,
                2 => Fault::Lost,
                _ => Fault::None,
            },
            _ => Fault::None,
        };
        Plan {
            fault,
            twist: Twist::MoreNames,
            ..Plan::default()
        }
    });
    let issuing = Issuing::with(Setup::strict(format!(
        "[[connector.ca]]\nname = \"company\"\n{}",
        partner.settings()
    )));
    let running = issuing.start();
    issuing.enrol();
    let device = issuing.device(0);
    let request = issuing.ask_as("anna@example.com", &device, "smime-windows", "away");
    let (code, message) = issuing.failure(&request);
    assert_eq!(code, "issuedCertificateRefused", "{message}");
    assert!(message.contains("it was revoked"), "{message}");
    assert_eq!((partner.revoked(), partner.issued()), (1, 1));
    assert_eq!(asked.load(Ordering::SeqCst), 4);
    issuing.event_of("admin", 1060, &request);
    running.stop();
}

#[test]
fn where_nothing_can_be_revoked_the_failure_says_that_somebody_has_to() {
    let workshop = Workshop::new();
    let root = workshop.authority("Company Root", KeyAlgorithm::P256);
    let company = Company::of(&root);
    let lies = Mutex::new(Twist::LIES.iter());
    let signer = (root.certificate.clone(), root.key.clone());
    let server = Server::start(&server_certificate(&root), None, move |seen| {
        let asked = contract::read_request(seen);
        let What::Issue(csr, _) = &asked.what else {
            panic!("nothing is pending")
        };
        let twist = *lies.lock().unwrap().next().unwrap();
        let certificate = company.issue(csr, twist);
        let message = contract::full_response((&signer.0, &signer.1), &certificate);
        contract::issued(&asked, &certificate, &message)
    });
    let settings = adcs::settings(&workshop, &root, &server.url());
    let issuing = Issuing::with(Setup::strict(settings));
    let running = issuing.start();
    issuing.enrol();
    let device = issuing.device(0);
    for twist in Twist::LIES {
        let key = format!("{twist:?}");
        let request = issuing.ask_as("anna@example.com", &device, "smime-windows", &key);
        let (code, message) = issuing.failure(&request);
        assert_eq!(code, "issuedCertificateRefused", "{twist:?}: {message}");
        assert!(message.contains(words(twist)), "{twist:?}: {message}");
        assert!(message.contains("revoke"), "{twist:?}: {message}");
        issuing.event_of("operational", 1052, &request);
        issuing.event_of("admin", 1060, &request);
        issuing.event_of("admin", 1001, &request);
    }
    assert_eq!(server.seen().len(), Twist::LIES.len(), "each asked once");
    assert!(issuing.events("admin", 1000).is_empty());
    running.stop();
}
