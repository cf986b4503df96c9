//! Revocations at OpenSSL's mock server, and at one that has done it already.

use super::authority::{self, Lies, Reply, Server, Speaker, http, sequence, status};
use super::mock::MockServer;
use super::openssl::{KeyAlgorithm, Workshop};
use super::strict;
use super::world::World;
use ca::{CertificationAuthority as _, ErrorClass, RevocationReason, Revoked};
use pki::cmp::{Body, Kind, Message};
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[tokio::test]
async fn a_certificate_is_revoked_by_issuer_and_serial_number() {
    strict();
    let workshop = Workshop::new();
    let world = World::new(&workshop, KeyAlgorithm::P256);
    let server = MockServer::signing(
        (&world.speaker.certificate, &world.speaker.key),
        &world.root.certificate,
        &world.device.certificate,
        &[],
    );
    for reason in RevocationReason::ALL {
        let mut revocation = world.revocation();
        revocation.reason = reason;
        let revoked = world.client(&server.url).revoke(&revocation).await;
        assert_eq!(revoked.unwrap(), Revoked::Now, "{reason:?}");
    }
    // One that is not the server's.
    let mut revocation = world.revocation();
    revocation.serial = vec![0x05];
    let error = world.client(&server.url).revoke(&revocation).await;
    let error = error.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Rejected, "{error}");
}

#[tokio::test]
async fn answers_to_revocations_mean_what_they_say() {
    strict();
    let workshop = Workshop::new();
    let world = World::new(&workshop, KeyAlgorithm::P256);
    let other = sequence(&[&sequence(&[
        &authority::element(0xa4, &[&world.revocation().issuer_der]),
        &[0x02, 0x01, 0x05],
    ])]);
    let about_another = authority::element(0xa0, &[&other]);
    let rp = |parts: &[&[u8]]| authority::body(Kind::Rp, &sequence(parts));
    let one = |info: Vec<u8>| rp(&[&sequence(&[&info])]);
    let hold = RevocationReason::RemoveFromCrl;
    let reason = RevocationReason::KeyCompromise;
    for (body, reason, expected) in [
        (one(status(0, None)), reason, Ok(Revoked::Now)),
        (one(status(4, None)), reason, Ok(Revoked::Now)),
        (one(status(5, None)), reason, Ok(Revoked::Now)),
        (one(status(2, Some(10))), reason, Ok(Revoked::Already)),
        (
            authority::error(&status(2, Some(10))),
            reason,
            Ok(Revoked::Already),
        ),
        (one(status(2, Some(10))), hold, Err(ErrorClass::Rejected)),
        (one(status(2, Some(4))), reason, Err(ErrorClass::Rejected)),
        (
            one(status(2, Some(23))),
            reason,
            Err(ErrorClass::Credential),
        ),
        (one(status(3, None)), reason, Err(ErrorClass::Unavailable)),
        (one(status(6, None)), reason, Err(ErrorClass::Unknown)),
        (rp(&[&sequence(&[])]), reason, Err(ErrorClass::Unknown)),
        (
            rp(&[&sequence(&[&status(0, None)]), &about_another]),
            reason,
            Err(ErrorClass::Unknown),
        ),
        (authority::pki_conf(), reason, Err(ErrorClass::Unknown)),
    ] {
        let speaker = Speaker::of(&world.speaker);
        let sent = body.clone();
        let server = Server::new(move |_, request| {
            Reply::Message(speaker.answer(request, &sent, &Lies::default()))
        });
        let mut revocation = world.revocation();
        revocation.reason = reason;
        let answer = world.client(&server.url).revoke(&revocation).await;
        let is_unknown = answer
            .as_ref()
            .err()
            .is_some_and(ca::Error::is_unknown_certificate);
        assert_eq!(is_unknown, body == one(status(2, Some(4))), "{body:02x?}");
        assert_eq!(
            answer.map_err(|error| error.class()),
            expected,
            "{body:02x?}"
        );
    }
}

/// Kinds and transactions of what came.
type Seen = Arc<Mutex<Vec<(Kind, Vec<u8>)>>>;

/// An authority that answers the n-th message with this body, and notes what came.
fn authority_that(
    world: &World<'_>,
    answer: impl Fn(usize, Kind) -> Vec<u8> + Send + 'static,
) -> (Server, Seen) {
    let (speaker, seen) = (Speaker::of(&world.speaker), Seen::default());
    let noted = Arc::clone(&seen);
    let server = Server::new(move |number, request| {
        let message = Message::read(request).unwrap();
        let Body::Request(kind) = message.body else {
            panic!("no request")
        };
        let transaction = message.header.transaction_id.unwrap();
        noted.lock().unwrap().push((kind, transaction));
        Reply::Message(speaker.answer(request, &answer(number, kind), &Lies::default()))
    });
    (server, seen)
}

fn rp(info: &[u8]) -> Vec<u8> {
    authority::body(Kind::Rp, &sequence(&[&sequence(&[info])]))
}

fn named(world: &World<'_>) -> ca::Revocation {
    ca::Revocation {
        id: Some("request-1".to_owned()),
        ..world.revocation()
    }
}

/// Whoever approves revocations there gets one case, however often it is asked (RFC 9483, section 4.4).
#[tokio::test]
async fn a_revocation_that_is_decided_later_is_polled_for_in_its_transaction_and_not_asked_again() {
    strict();
    let workshop = Workshop::new();
    let world = World::new(&workshop, KeyAlgorithm::P256);
    for waiting in [authority::error(&status(3, None)), rp(&status(3, None))] {
        let (server, seen) = authority_that(&world, move |number, kind| match (number, kind) {
            (0, Kind::Rr) => waiting.clone(),
            (1 | 2, Kind::PollReq) => authority::poll_rep(authority::MINUS_ONE, 9),
            (3, Kind::PollReq) => waiting.clone(),
            (4, Kind::PollReq) => rp(&status(0, None)),
            other => panic!("{other:?}"),
        });
        let client = world.client(&server.url);
        for wait in [9, 9, 60] {
            let error = client.revoke(&named(&world)).await.unwrap_err();
            assert!(error.is_undecided(), "{error}");
            assert_eq!(error.class(), ErrorClass::Unavailable);
            assert_eq!(error.retry_after(), Some(Duration::from_secs(wait)));
        }
        let revoked = client.revoke(&named(&world)).await;
        assert_eq!(revoked.unwrap(), Revoked::Now);
        let seen = seen.lock().unwrap();
        assert_eq!(seen.len(), 5);
        assert!(
            seen.iter()
                .all(|(_, transaction)| *transaction == seen[0].1)
        );
    }
}

#[tokio::test]
async fn after_a_restart_the_authority_says_that_it_has_the_revocation_and_is_asked_how_it_fares() {
    strict();
    let workshop = Workshop::new();
    let world = World::new(&workshop, KeyAlgorithm::P256);
    let (server, seen) = authority_that(&world, |number, kind| match (number, kind) {
        (0, Kind::Rr) => authority::error(&status(3, None)),
        (1, Kind::PollReq) => authority::poll_rep(authority::MINUS_ONE, 9),
        (2, Kind::Rr) => authority::error(&status(2, Some(21))),
        (3, Kind::PollReq) => rp(&status(2, Some(10))),
        other => panic!("{other:?}"),
    });
    let error = world.client(&server.url).revoke(&named(&world)).await;
    assert!(error.unwrap_err().is_undecided());
    let revoked = world.client(&server.url).revoke(&named(&world)).await;
    assert_eq!(revoked.unwrap(), Revoked::Already);
    let seen = seen.lock().unwrap();
    assert!(
        seen.iter()
            .all(|(_, transaction)| *transaction == seen[0].1)
    );
}

#[tokio::test]
async fn an_authority_that_has_forgotten_a_revocation_is_asked_in_a_new_transaction() {
    strict();
    let workshop = Workshop::new();
    let world = World::new(&workshop, KeyAlgorithm::P256);
    let (server, seen) = authority_that(&world, |number, kind| match (number, kind) {
        (0, Kind::Rr) => authority::error(&status(3, None)),
        (1, Kind::PollReq) => authority::poll_rep(authority::MINUS_ONE, 9),
        (2, Kind::PollReq) => authority::error(&status(2, Some(2))),
        (3, Kind::Rr) => rp(&status(2, Some(10))),
        // Another certificate under the same name is another transaction.
        (4, Kind::Rr) => rp(&status(0, None)),
        other => panic!("{other:?}"),
    });
    let client = world.client(&server.url);
    assert!(
        client
            .revoke(&named(&world))
            .await
            .unwrap_err()
            .is_undecided()
    );
    assert_eq!(
        client.revoke(&named(&world)).await.unwrap(),
        Revoked::Already
    );
    let mut other = named(&world);
    other.serial = vec![5];
    assert_eq!(client.revoke(&other).await.unwrap(), Revoked::Now);
    let mut seen: Vec<_> = seen
        .lock()
        .unwrap()
        .iter()
        .map(|one| one.1.clone())
        .collect();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 3);
}

#[tokio::test]
async fn no_status_of_http_ends_a_revocation_for_good_and_a_message_of_the_authority_does_with_any()
{
    strict();
    let workshop = Workshop::new();
    let world = World::new(&workshop, KeyAlgorithm::P256);
    for (status, class) in [
        ("307 Moved", ErrorClass::Unknown),
        ("400 Bad Request", ErrorClass::Unavailable),
        ("403 Forbidden", ErrorClass::Credential),
        // What a server says whose CMP service is not there yet.
        ("404 Not Found", ErrorClass::Unavailable),
        ("405 Method Not Allowed", ErrorClass::Unavailable),
        ("410 Gone", ErrorClass::Unavailable),
        ("429 Too Many Requests", ErrorClass::Unavailable),
        ("500 Oops", ErrorClass::Unknown),
        ("501 Not Implemented", ErrorClass::Unavailable),
        ("503 Busy", ErrorClass::Unavailable),
        ("504 Gateway Timeout", ErrorClass::Unknown),
    ] {
        let server = Server::new(move |_, _| Reply::Raw(http(status, "text/plain", b"proxy")));
        let answer = world.client(&server.url).revoke(&world.revocation()).await;
        let error = answer.unwrap_err();
        assert_eq!(error.class(), class, "{status}: {error}");
        assert!(!error.is_unknown_certificate(), "{status}: {error}");
        assert!(
            error.to_string().contains(&status[..3]),
            "{status}: {error}"
        );
    }
    // RFC 9811, section 3.5: an error message may come with such a status. Its protection says whose it is.
    for (unprotected, expected) in [(false, ErrorClass::Rejected), (true, ErrorClass::Unknown)] {
        let speaker = Speaker::of(&world.speaker);
        let server = Server::new(move |_, request| {
            let lies = Lies {
                unprotected,
                ..Lies::default()
            };
            let body = authority::error(&status(2, Some(4)));
            let message = speaker.answer(request, &body, &lies);
            Reply::Raw(http("404 Not Found", "application/pkixcmp", &message))
        });
        let answer = world.client(&server.url).revoke(&world.revocation()).await;
        let error = answer.unwrap_err();
        assert_eq!(error.class(), expected, "{error}");
        assert_eq!(error.is_unknown_certificate(), !unprotected, "{error}");
    }
}
