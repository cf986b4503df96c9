//! Authorities that lie, and networks in between.

use super::authority::{self, Lies, MINUS_ONE, Reply, Server, Speaker, http, status};
use super::openssl::{KeyAlgorithm, Workshop};
use super::strict;
use super::world::{World, client};
use ca::cmp::{Cmp, Credential};
use ca::{CertificationAuthority as _, Enrolment, ErrorClass, Order};
use pki::cmp::{MAX_MESSAGE_BYTES, Message};
use std::time::Duration;

/// What an order gets from a server that answers each request with this body, lying like this.
async fn lied_to(world: &World<'_>, body: Vec<u8>, lies: Lies) -> Result<Enrolment, ca::Error> {
    let speaker = Speaker::of(&world.speaker);
    let server = Server::new(move |number, request| {
        let body = if number == 0 {
            body.clone()
        } else {
            authority::pki_conf()
        };
        let lies = if number == 0 {
            lies.clone()
        } else {
            Lies::default()
        };
        Reply::Message(speaker.answer(request, &body, &lies))
    });
    world.client(&server.url).enroll(&world.order()).await
}

#[tokio::test]
async fn an_honest_answer_passes_and_each_lie_does_not() {
    strict();
    let workshop = Workshop::new();
    let world = World::new(&workshop, KeyAlgorithm::P256);
    let certificate = world.device.der();
    let cp = authority::cp(MINUS_ONE, &status(0, None), Some(&certificate));
    let honest = lied_to(&world, cp.clone(), Lies::default()).await.unwrap();
    assert!(matches!(honest, Enrolment::Issued(_)));
    let granted = lied_to(
        &world,
        cp.clone(),
        Lies {
            implicit: true,
            ..Lies::default()
        },
    )
    .await;
    assert!(matches!(granted, Ok(Enrolment::Issued(_))));
    for (lies, why) in [
        (
            Lies {
                transaction: true,
                ..Lies::default()
            },
            "transactionID",
        ),
        (
            Lies {
                nonce: true,
                ..Lies::default()
            },
            "recipNonce",
        ),
        (
            Lies {
                no_own_nonce: true,
                ..Lies::default()
            },
            "senderNonce",
        ),
        (
            Lies {
                unprotected: true,
                ..Lies::default()
            },
            "no protection",
        ),
        (
            Lies {
                signature: true,
                ..Lies::default()
            },
            "does not verify",
        ),
        (
            Lies {
                version: Some(1),
                ..Lies::default()
            },
            "version",
        ),
        (
            Lies {
                version: Some(4),
                ..Lies::default()
            },
            "version",
        ),
        (
            Lies {
                extra: 32,
                ..Lies::default()
            },
            "more than 32 certificates",
        ),
    ] {
        let error = lied_to(&world, cp.clone(), lies).await.unwrap_err();
        // The authority may have issued all the same.
        assert_eq!(error.class(), ErrorClass::Unknown, "{error}");
        assert!(error.to_string().contains(why), "{why}: {error}");
    }
}

#[tokio::test]
async fn answers_to_something_else_are_no_answers() {
    strict();
    let workshop = Workshop::new();
    let world = World::new(&workshop, KeyAlgorithm::P256);
    let certificate = world.device.der();
    let accepted = status(0, None);
    let seven = authority::number(7);
    let ip = authority::cp(MINUS_ONE, &accepted, Some(&certificate));
    let ip = [&[0xa1], &ip[1..]].concat();
    let none = authority::body(
        pki::cmp::Kind::Cp,
        &authority::sequence(&[&authority::sequence(&[])]),
    );
    for body in [
        authority::cp(&seven, &accepted, Some(&certificate)),
        authority::cp(MINUS_ONE, &accepted, None),
        authority::cp(MINUS_ONE, &accepted, Some(&[0x30, 0x00])),
        authority::cp(MINUS_ONE, &status(5, None), Some(&certificate)),
        authority::poll_rep(&seven, 1),
        authority::pki_conf(),
        ip,
        none,
    ] {
        let error = lied_to(&world, body.clone(), Lies::default())
            .await
            .unwrap_err();
        let classes = [ErrorClass::Unknown, ErrorClass::Protocol];
        assert!(classes.contains(&error.class()), "{body:02x?}: {error}");
    }
}

#[tokio::test]
async fn a_certificate_of_another_key_is_turned_down_confirmed_or_not() {
    strict();
    let workshop = Workshop::new();
    let world = World::new(&workshop, KeyAlgorithm::P256);
    let other = world.connector.der();
    let cp = authority::cp(MINUS_ONE, &status(0, None), Some(&other));
    for (implicit, words) in [
        (false, "was told and has to revoke"),
        (true, "somebody has to revoke"),
    ] {
        let lies = Lies {
            implicit,
            ..Lies::default()
        };
        let error = lied_to(&world, cp.clone(), lies).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Misissued, "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[tokio::test]
async fn what_is_no_message_says_what_the_way_to_the_authority_says() {
    strict();
    let workshop = Workshop::new();
    let world = World::new(&workshop, KeyAlgorithm::P256);
    let pkixcmp = "application/pkixcmp";
    let endless = b"HTTP/1.1 200 OK\r\nContent-Type: application/pkixcmp\r\n\r\n".to_vec();
    let endless = [endless, vec![0x30; MAX_MESSAGE_BYTES + 1]].concat();
    let announced = b"HTTP/1.1 200 OK\r\nContent-Type: application/pkixcmp\r\nContent-Length: 99999999999\r\n\r\n";
    let cut =
        b"HTTP/1.1 200 OK\r\nContent-Type: application/pkixcmp\r\nContent-Length: 100\r\n\r\n0";
    let busy = b"HTTP/1.1 503 Busy\r\nRetry-After: 30\r\nContent-Length: 0\r\n\r\n";
    let moved = b"HTTP/1.1 307 Moved\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n";
    for (answer, class, words) in [
        (
            http("200 OK", pkixcmp, b"garbage"),
            ErrorClass::Unknown,
            "malformed",
        ),
        (
            http("200 OK", pkixcmp, b""),
            ErrorClass::Unknown,
            "malformed",
        ),
        (
            http("200 OK", "text/html", b"<html>"),
            ErrorClass::Unknown,
            "no CMP message",
        ),
        (
            http("500 Oops", "text/plain", b""),
            ErrorClass::Unknown,
            "500",
        ),
        (
            http("404 Not Found", "text/plain", b""),
            ErrorClass::Unsupported,
            "address",
        ),
        (
            http("403 Forbidden", "text/plain", b""),
            ErrorClass::Credential,
            "does not allow",
        ),
        (busy.to_vec(), ErrorClass::Unavailable, "busy"),
        (moved.to_vec(), ErrorClass::Unknown, "sends us elsewhere"),
        (endless, ErrorClass::Unknown, "longer than"),
        (announced.to_vec(), ErrorClass::Unknown, "broke"),
        (cut.to_vec(), ErrorClass::Unknown, "broke"),
        (b"no HTTP".to_vec(), ErrorClass::Unknown, "broke"),
    ] {
        let server = Server::new(move |_, _| Reply::Raw(answer.clone()));
        let error = world.client(&server.url).enroll(&world.order()).await;
        let error = error.unwrap_err();
        assert_eq!(error.class(), class, "{words}: {error}");
        assert!(error.to_string().contains(words), "{words}: {error}");
        if class == ErrorClass::Unavailable {
            assert_eq!(error.retry_after(), Some(Duration::from_secs(30)));
        }
        assert_eq!(server.requests(), 1);
    }
}

#[tokio::test]
async fn a_call_ends_by_its_deadline_and_says_that_the_outcome_is_unknown() {
    strict();
    let workshop = Workshop::new();
    let world = World::new(&workshop, KeyAlgorithm::P256);
    let (release, held) = std::sync::mpsc::channel::<()>();
    let server = Server::new(move |_, _| {
        let _ = held.recv();
        Reply::Close
    });
    let mut settings = world.settings(&server.url);
    settings.deadline = Duration::from_millis(300);
    let error = client(settings).enroll(&world.order()).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Unknown, "{error}");
    assert!(error.to_string().contains("in time"), "{error}");
    drop(release);
}

#[tokio::test]
async fn a_lost_confirmation_is_sent_again() {
    strict();
    let workshop = Workshop::new();
    let world = World::new(&workshop, KeyAlgorithm::P256);
    let speaker = Speaker::of(&world.speaker);
    let cp = authority::cp(MINUS_ONE, &status(0, None), Some(&world.device.der()));
    let server = Server::new(move |number, request| {
        let body = match number {
            0 => cp.clone(),
            1 => return Reply::Close,
            // The first confirmation had arrived.
            _ => authority::error(&status(2, Some(11))),
        };
        Reply::Message(speaker.answer(request, &body, &Lies::default()))
    });
    let answer = world.client(&server.url).enroll(&world.order()).await;
    assert!(matches!(answer, Ok(Enrolment::Issued(_))), "{answer:?}");
    assert_eq!(server.requests(), 3);
}

#[tokio::test]
async fn orders_and_settings_that_are_none_are_refused_before_anything_is_sent() {
    strict();
    let workshop = Workshop::new();
    let world = World::new(&workshop, KeyAlgorithm::P256);
    let server = Server::new(|_, _| panic!("something was sent"));
    let order = world.order();
    for bad in [
        Order {
            id: "short".to_owned(),
            ..order.clone()
        },
        Order {
            id: "with spaces in the name".to_owned(),
            ..order.clone()
        },
        Order {
            csr_der: b"none".to_vec(),
            ..order.clone()
        },
    ] {
        let error = world.client(&server.url).enroll(&bad).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Rejected, "{error}");
    }
    for url in [
        "ca.example",
        "ftp://ca.example/",
        "https://u@ca.example/",
        "http://ca.example/?a",
    ] {
        let refused = Cmp::new(world.settings(url), super::world::http());
        assert_eq!(refused.err().unwrap().setting, "url", "{url}");
    }
    let refused = |credential: Credential| {
        let mut settings = world.settings(&server.url);
        settings.credential = credential;
        let Err(error) = Cmp::new(settings, super::world::http()) else {
            panic!("taken")
        };
        assert_eq!(error.setting, "certificate", "{error}");
    };
    let Credential::Signature { signer, trust, .. } = world.signature(world.trust()) else {
        panic!("no signature")
    };
    for certificate_der in [world.device.der(), b"none".to_vec()] {
        refused(Credential::Signature {
            certificate_der,
            chain: Vec::new(),
            signer: signer.clone(),
            trust: trust.clone(),
        });
    }
}

#[tokio::test]
async fn requests_name_the_profile_where_the_settings_say() {
    strict();
    let workshop = Workshop::new();
    let world = World::new(&workshop, KeyAlgorithm::P256);
    let (tell, told) = std::sync::mpsc::channel();
    let server = Server::new(move |_, request| {
        tell.send(Message::read(request).unwrap().header).unwrap();
        Reply::Close
    });
    let order = Order {
        profile: Some("smime".to_owned()),
        ..world.order()
    };
    let _ = world.client(&server.url).enroll(&order).await;
    let header = told.recv().unwrap();
    assert_eq!(header.general_info, [pki::cmp::Info::cert_profile("smime")]);
    assert_eq!(header.transaction_id.unwrap().len(), 16);
    assert_eq!(header.sender_nonce.unwrap().len(), 16);
    assert!(header.recipient_nonce.is_none());
    assert!(header.sender_key_id.is_some() && header.time.is_some());
}
