//! Orders that take longer, and orders whose answers were lost.

use super::authority::{self, Lies, MINUS_ONE, Reply, Server, Speaker};
use super::mock::MockServer;
use super::openssl::{KeyAlgorithm, Workshop};
use super::strict;
use super::world::World;
use ca::{CertificationAuthority as _, Enrolment, ErrorClass, Recovered};
use pki::cmp::{Body, Kind, Message};
use std::time::Duration;

fn server(world: &World<'_>, more: &[&str]) -> MockServer {
    MockServer::signing(
        (&world.speaker.certificate, &world.speaker.key),
        &world.root.certificate,
        &world.device.certificate,
        more,
    )
}

#[tokio::test]
async fn a_pending_order_is_polled_for_until_it_is_issued_by_clients_that_remember_nothing() {
    strict();
    let workshop = Workshop::new();
    let world = World::new(&workshop, KeyAlgorithm::P256);
    let server = server(&world, &["-poll_count", "3", "-check_after", "7"]);
    let order = world.order();
    let mut answer = world.client(&server.url).enroll(&order).await.unwrap();
    let mut polls = 0;
    while let Enrolment::Pending(pending) = &answer {
        assert_eq!(pending.ask_again_in, Duration::from_secs(7));
        assert!(pending.reference.len() <= 4096);
        polls += 1;
        // As after a restart.
        answer = world
            .client(&server.url)
            .poll(&order, pending)
            .await
            .unwrap();
    }
    assert!(polls >= 2, "{polls}");
    let Enrolment::Issued(issued) = answer else {
        panic!("neither issued nor pending")
    };
    assert_eq!(issued.certificate_der, world.device.der());
}

#[tokio::test]
async fn a_pending_order_whose_answer_was_lost_is_recovered() {
    strict();
    let workshop = Workshop::new();
    let world = World::new(&workshop, KeyAlgorithm::P256);
    let server = server(&world, &["-poll_count", "2", "-check_after", "1"]);
    let order = world.order();
    let Enrolment::Pending(pending) = world.client(&server.url).enroll(&order).await.unwrap()
    else {
        panic!("not pending")
    };
    let mut recovered = world
        .client(&server.url)
        .recover(&order, Some(&pending))
        .await;
    for _ in 0..4 {
        match recovered.unwrap() {
            Recovered::Known(Enrolment::Issued(issued)) => {
                assert_eq!(issued.certificate_der, world.device.der());
                return;
            }
            Recovered::Known(Enrolment::Pending(pending)) => {
                recovered = world
                    .client(&server.url)
                    .recover(&order, Some(&pending))
                    .await;
            }
            other => panic!("{other:?}"),
        }
    }
    panic!("pending for ever");
}

#[tokio::test]
async fn an_authority_that_knows_no_such_transaction_cannot_tell() {
    strict();
    let workshop = Workshop::new();
    let world = World::new(&workshop, KeyAlgorithm::P256);
    let server = server(&world, &[]);
    let recovered = world
        .client(&server.url)
        .recover(&world.order(), None)
        .await;
    assert_eq!(recovered.unwrap(), Recovered::CannotTell);
}

/// The transaction and the kind of a request.
fn seen(request: &[u8]) -> (Vec<u8>, Kind) {
    let message = Message::read(request).unwrap();
    let Body::Request(kind) = message.body else {
        panic!("no request")
    };
    (message.header.transaction_id.unwrap(), kind)
}

#[tokio::test]
async fn the_same_order_is_the_same_transaction_and_is_asked_about_where_it_is_in_use() {
    strict();
    let workshop = Workshop::new();
    let world = World::new(&workshop, KeyAlgorithm::P256);
    let speaker = Speaker::of(&world.speaker);
    let certificate = world.device.der();
    let transactions = std::sync::Mutex::new(Vec::new());
    let server = Server::new(move |number, request| {
        let (transaction, kind) = seen(request);
        let mut all = transactions.lock().unwrap();
        all.push(transaction);
        assert!(all.windows(2).all(|pair| pair[0] == pair[1]));
        let body = match (number, kind) {
            // The first answer is lost: as if the connector had crashed.
            (0, Kind::P10cr) => return Reply::Close,
            (1, Kind::P10cr) => authority::error(&authority::status(2, Some(21))),
            (2, Kind::PollReq) => {
                authority::cp(MINUS_ONE, &authority::status(0, None), Some(&certificate))
            }
            (3, Kind::CertConf) => authority::pki_conf(),
            other => panic!("{other:?}"),
        };
        Reply::Message(speaker.answer(request, &body, &Lies::default()))
    });
    let order = world.order();
    let lost = world.client(&server.url).enroll(&order).await.unwrap_err();
    assert_eq!(lost.class(), ErrorClass::Unknown, "{lost}");
    let Enrolment::Issued(issued) = world.client(&server.url).enroll(&order).await.unwrap() else {
        panic!("not issued")
    };
    assert_eq!(issued.certificate_der, world.device.der());
    assert_eq!(server.requests(), 4);
}

#[tokio::test]
async fn a_recovery_finds_what_was_issued_and_reports_what_it_does_not_reach() {
    strict();
    let workshop = Workshop::new();
    let world = World::new(&workshop, KeyAlgorithm::P256);
    let speaker = Speaker::of(&world.speaker);
    let certificate = world.device.der();
    let server = Server::new(move |number, request| {
        let body = match (number, seen(request).1) {
            (0, Kind::PollReq) => return Reply::Close,
            (1, Kind::PollReq) => authority::error(&authority::status(2, Some(24))),
            (2, Kind::PollReq) => authority::poll_rep(MINUS_ONE, 9),
            (3, Kind::PollReq) => {
                authority::cp(MINUS_ONE, &authority::status(1, None), Some(&certificate))
            }
            (4, Kind::CertConf) => authority::pki_conf(),
            other => panic!("{other:?}"),
        };
        Reply::Message(speaker.answer(request, &body, &Lies::default()))
    });
    let (client, order) = (world.client(&server.url), world.order());
    for _ in 0..2 {
        let error = client.recover(&order, None).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Unavailable, "{error}");
    }
    let Recovered::Known(Enrolment::Pending(pending)) = client.recover(&order, None).await.unwrap()
    else {
        panic!("not pending")
    };
    assert_eq!(pending.ask_again_in, Duration::from_secs(9));
    let recovered = client.recover(&order, Some(&pending)).await.unwrap();
    let Recovered::Known(Enrolment::Issued(issued)) = recovered else {
        panic!("not issued")
    };
    assert_eq!(issued.certificate_der, world.device.der());
}

#[tokio::test]
async fn a_recovery_whose_nonce_is_out_of_date_asks_without_one() {
    strict();
    let workshop = Workshop::new();
    let world = World::new(&workshop, KeyAlgorithm::P256);
    let speaker = Speaker::of(&world.speaker);
    let server = Server::new(move |number, request| {
        let nonce = Message::read(request).unwrap().header.recipient_nonce;
        assert_eq!(nonce.is_some(), number == 1, "{number}");
        let body = match number {
            0 | 2 => authority::poll_rep(MINUS_ONE, 5),
            _ => authority::error(&authority::status(2, Some(13))),
        };
        Reply::Message(speaker.answer(request, &body, &Lies::default()))
    });
    let (client, order) = (world.client(&server.url), world.order());
    let Enrolment::Pending(pending) = client.enroll(&order).await.unwrap() else {
        panic!("not pending")
    };
    let recovered = client.recover(&order, Some(&pending)).await.unwrap();
    assert!(matches!(recovered, Recovered::Known(Enrolment::Pending(_))));
    assert_eq!(server.requests(), 3);
}

#[tokio::test]
async fn an_order_that_is_turned_down_while_it_waits_is_rejected() {
    strict();
    let workshop = Workshop::new();
    let world = World::new(&workshop, KeyAlgorithm::P256);
    let speaker = Speaker::of(&world.speaker);
    let server = Server::new(move |number, request| {
        let body = match number {
            // A whole transaction that waits (RFC 9483, section 4.4).
            0 => authority::error(&authority::status(3, None)),
            1 => authority::poll_rep(MINUS_ONE, 60),
            _ => authority::cp(MINUS_ONE, &authority::status(2, Some(15)), None),
        };
        Reply::Message(speaker.answer(request, &body, &Lies::default()))
    });
    let (client, order) = (world.client(&server.url), world.order());
    let Enrolment::Pending(pending) = client.enroll(&order).await.unwrap() else {
        panic!("not pending")
    };
    let error = client.poll(&order, &pending).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Rejected, "{error}");
    assert!(error.to_string().contains("unacceptedPolicy"), "{error}");
}

#[tokio::test]
async fn a_certificate_of_another_key_in_a_transaction_that_was_there_is_neither_confirmed_nor_turned_down()
 {
    strict();
    let workshop = Workshop::new();
    let world = World::new(&workshop, KeyAlgorithm::P256);
    let speaker = Speaker::of(&world.speaker);
    // Somebody's order of the same name: it is theirs to confirm.
    let somebodys = world.connector.der();
    let server = Server::new(move |_, request| {
        let body = match seen(request).1 {
            Kind::P10cr => authority::error(&authority::status(2, Some(21))),
            Kind::PollReq => {
                authority::cp(MINUS_ONE, &authority::status(0, None), Some(&somebodys))
            }
            other => panic!("{other:?}"),
        };
        Reply::Message(speaker.answer(request, &body, &Lies::default()))
    });
    let (client, order) = (world.client(&server.url), world.order());
    let Recovered::Known(recovered) = client.recover(&order, None).await.unwrap() else {
        panic!("not known")
    };
    for found in [recovered, client.enroll(&order).await.unwrap()] {
        let Enrolment::Issued(issued) = found else {
            panic!("not issued")
        };
        assert_eq!(issued.certificate_der, world.connector.der());
    }
    assert_eq!(server.requests(), 3);
}
