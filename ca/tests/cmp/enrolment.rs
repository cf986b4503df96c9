//! Certificates of OpenSSL's mock server, with every kind of request and of key.

use super::authority::{Lies, MINUS_ONE, Reply, Server, Speaker, cp, pki_conf, status};
use super::mock::MockServer;
use super::openssl::{Issuance, KeyAlgorithm, Workshop};
use super::strict;
use super::world::{World, client, signing_key};
use ca::cmp::{Confirmation, Credential};
use ca::{CertificationAuthority as _, Enrolment, ErrorClass};
use fips::sign::SignatureAlgorithm;
use pki::cmp::{CertificateRequest, Message, RequestKind};

fn issued(enrolment: Enrolment) -> ca::Issued {
    match enrolment {
        Enrolment::Issued(issued) => issued,
        Enrolment::Pending(pending) => panic!("pending: {pending:?}"),
    }
}

fn server(world: &World<'_>, more: &[&str]) -> MockServer {
    MockServer::signing(
        (&world.speaker.certificate, &world.speaker.key),
        &world.root.certificate,
        &world.device.certificate,
        more,
    )
}

#[tokio::test]
async fn a_request_of_pkcs10_is_answered_and_confirmed_with_every_kind_of_key() {
    strict();
    for algorithm in [
        KeyAlgorithm::P256,
        KeyAlgorithm::P384,
        KeyAlgorithm::P521,
        KeyAlgorithm::Rsa(2048),
    ] {
        let workshop = Workshop::new();
        let world = World::new(&workshop, algorithm);
        let root = world.root.certificate.to_str().unwrap().to_owned();
        let server = server(&world, &["-rsp_extracerts", &root]);
        let answer = world.client(&server.url).enroll(&world.order()).await;
        let issued = issued(answer.unwrap());
        assert_eq!(issued.certificate_der, world.device.der(), "{algorithm:?}");
        assert!(issued.others.contains(&world.root.der()), "{algorithm:?}");
    }
}

#[tokio::test]
async fn signatures_of_pss_are_made_and_read() {
    strict();
    let workshop = Workshop::new();
    let world = World::new(&workshop, KeyAlgorithm::Rsa(2048));
    let server = server(&world, &[]);
    let mut settings = world.settings(&server.url);
    settings.credential = Credential::Signature {
        certificate_der: world.connector.der(),
        chain: Vec::new(),
        signer: signing_key(&world.connector.key, Some(SignatureAlgorithm::RsaPssSha256)),
        trust: world.trust(),
    };
    let answer = client(settings).enroll(&world.order()).await;
    assert_eq!(issued(answer.unwrap()).certificate_der, world.device.der());
}

#[tokio::test]
async fn nobody_confirms_where_the_authority_grants_that() {
    strict();
    let workshop = Workshop::new();
    let world = World::new(&workshop, KeyAlgorithm::P256);
    // One message and no more: a confirmation would find nobody.
    let mut server = server(&world, &["-grant_implicitconf", "-max_msgs", "1"]);
    let mut settings = world.settings(&server.url);
    settings.confirmation = Confirmation::ImplicitIfGranted;
    let answer = client(settings).enroll(&world.order()).await;
    assert_eq!(issued(answer.unwrap()).certificate_der, world.device.der());
    server.wait();
}

#[tokio::test]
async fn a_server_that_dies_before_the_confirmation_leaves_the_outcome_unknown() {
    strict();
    let workshop = Workshop::new();
    let world = World::new(&workshop, KeyAlgorithm::P256);
    let mut server = server(&world, &["-max_msgs", "1"]);
    let client = world.client(&server.url);
    let error = client.enroll(&world.order()).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Unknown, "{error}");
    server.wait();
    // Nobody is there any more: nothing is sent, so nothing can have been issued by that.
    let error = client.enroll(&world.order()).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Unavailable, "{error}");
}

#[tokio::test]
async fn initial_further_and_update_requests_prove_their_key_by_a_signature() {
    strict();
    let workshop = Workshop::new();
    let world = World::new(&workshop, KeyAlgorithm::P256);
    // The key of the certificate that the server gives out.
    let key = signing_key(&world.device.key, None);
    let server = server(&world, &[]);
    let asked = CertificateRequest {
        subject_der: super::authority::subject_of(&world.device.der()),
        extensions_der: None,
        replaces: None,
    };
    for kind in [RequestKind::Initial, RequestKind::Further] {
        let client = world.client(&server.url);
        let answer = client.request("order-1-of-this-test", None, kind, &asked, &*key);
        assert_eq!(
            issued(answer.await.unwrap()).certificate_der,
            world.device.der()
        );
    }
    // An update is signed with what it replaces.
    let update = CertificateRequest {
        replaces: Some(world.device.der()),
        ..asked
    };
    let mut settings = world.settings(&server.url);
    settings.credential = Credential::Signature {
        certificate_der: world.device.der(),
        chain: Vec::new(),
        signer: key.clone(),
        trust: world.trust(),
    };
    let client = client(settings);
    let answer = client.request(
        "order-2-of-this-test",
        None,
        RequestKind::Update,
        &update,
        &*key,
    );
    assert_eq!(
        issued(answer.await.unwrap()).certificate_der,
        world.device.der()
    );
}

#[tokio::test]
async fn a_certificate_of_another_key_is_turned_down_and_not_given_out() {
    strict();
    let workshop = Workshop::new();
    let world = World::new(&workshop, KeyAlgorithm::P256);
    let other = world.root.device("somebody", KeyAlgorithm::P256);
    let server = MockServer::signing(
        (&world.speaker.certificate, &world.speaker.key),
        &world.root.certificate,
        &other.certificate,
        &[],
    );
    let error = world.client(&server.url).enroll(&world.order()).await;
    let error = error.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Misissued, "{error}");
    assert!(error.to_string().contains("another key"), "{error}");
    assert!(error.to_string().contains("was told"), "{error}");
}

#[tokio::test]
async fn refusals_have_the_class_that_the_authority_means() {
    strict();
    let workshop = Workshop::new();
    let world = World::new(&workshop, KeyAlgorithm::P256);
    for (failure, class) in [
        ("19", ErrorClass::Rejected),
        ("23", ErrorClass::Credential),
        ("24", ErrorClass::Unavailable),
        ("26", ErrorClass::Unknown),
    ] {
        let text = ["-statusstring", "ask the help desk"];
        let more = [&["-pkistatus", "2", "-failure", failure][..], &text].concat();
        let server = server(&world, &more);
        let error = world.client(&server.url).enroll(&world.order()).await;
        let error = error.unwrap_err();
        assert_eq!(error.class(), class, "{failure}: {error}");
        assert!(error.to_string().contains("ask the help desk"), "{error}");
    }
    // An error message, whose failure OpenSSL chooses.
    let server = server(&world, &["-send_error"]);
    let error = world.client(&server.url).enroll(&world.order()).await;
    let error = error.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Rejected, "{error}");
    assert!(error.to_string().contains("badRequest"), "{error}");
}

#[tokio::test]
async fn a_refusal_of_our_certificate_has_the_words_of_openssl() {
    strict();
    let workshop = Workshop::new();
    let world = World::new(&workshop, KeyAlgorithm::P256);
    let stranger = workshop.authority("Somebody Else", KeyAlgorithm::P256);
    let server = MockServer::signing(
        (&world.speaker.certificate, &world.speaker.key),
        &stranger.certificate,
        &world.device.certificate,
        &[],
    );
    let error = world.client(&server.url).enroll(&world.order()).await;
    let error = error.unwrap_err();
    // For OpenSSL this is a bad request like any other; its words say what it is.
    assert_eq!(error.class(), ErrorClass::Rejected, "{error}");
    assert!(
        error.to_string().contains("no suitable sender cert"),
        "{error}"
    );
}

#[tokio::test]
async fn a_certificate_whose_signature_says_no_known_hash_is_confirmed_with_one_that_is_named() {
    strict();
    let workshop = Workshop::new();
    let world = World::new(&workshop, KeyAlgorithm::P256);
    let speaker = Speaker::of(&world.speaker);
    // SHA-1: whoever ordered it refuses it later.
    let issuance = Issuance {
        digest: "sha1".to_owned(),
        ..Issuance::default()
    };
    let key = world.device.key.clone();
    let weak = world.root.device_with_key("somebody", key, &issuance).der();
    let strong = world.device.der();
    for (certificate, version) in [(strong, 2), (weak, 3)] {
        let speaker = speaker.clone();
        let server = Server::new(move |number, request| {
            let body = match number {
                0 => cp(MINUS_ONE, &status(0, None), Some(&certificate)),
                _ => {
                    let said = Message::read(request).unwrap().header.version;
                    assert_eq!(said, version);
                    pki_conf()
                }
            };
            Reply::Message(speaker.answer(request, &body, &Lies::default()))
        });
        issued(
            world
                .client(&server.url)
                .enroll(&world.order())
                .await
                .unwrap(),
        );
        assert_eq!(server.requests(), 2);
    }
}
