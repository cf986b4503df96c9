//! General messages: chain, health, the update of a root, the template of requests.

use super::authority::{self, Lies, Reply, Server, Speaker, element, sequence, status};
use super::mock::MockServer;
use super::openssl::{KeyAlgorithm, Workshop};
use super::strict;
use super::world::{SPEAKING_AUTHORITY, World, extensions};
use ca::{CertificationAuthority as _, ErrorClass};
use pki::cmp::{KeySpec, Kind};

/// id-it and a number.
fn id_it(number: u8) -> [u8; 10] {
    [0x06, 0x08, 0x2b, 6, 1, 5, 5, 7, 4, number]
}

fn genp(number: u8, value: &[u8]) -> Vec<u8> {
    authority::body(
        Kind::Genp,
        &sequence(&[&sequence(&[&id_it(number), value])]),
    )
}

fn answering(world: &World<'_>, body: Vec<u8>) -> Server {
    let speaker = Speaker::of(&world.speaker);
    Server::new(move |_, request| Reply::Message(speaker.answer(request, &body, &Lies::default())))
}

#[tokio::test]
async fn openssl_answers_that_it_is_there_and_its_certificates_come_along() {
    strict();
    let workshop = Workshop::new();
    let world = World::new(&workshop, KeyAlgorithm::P256);
    let server = MockServer::signing(
        (&world.speaker.certificate, &world.speaker.key),
        &world.root.certificate,
        &world.device.certificate,
        &[],
    );
    let client = world.client(&server.url);
    let health = client.health().await.unwrap();
    assert_eq!((health.may_enroll, health.may_revoke), (None, None));
    assert!(health.credential_expires.is_some(), "{}", health.note);
    let chain = client.chain().await.unwrap();
    assert!(chain.contains(&world.speaker.der()));
}

#[tokio::test]
async fn the_authoritys_certificates_are_those_that_it_names() {
    strict();
    let workshop = Workshop::new();
    let world = World::new(&workshop, KeyAlgorithm::P256);
    let named = genp(17, &sequence(&[&world.root.der()]));
    let server = answering(&world, named);
    let chain = world.client(&server.url).chain().await.unwrap();
    assert_eq!(chain, [world.root.der()]);
}

#[tokio::test]
async fn health_says_what_a_refusal_of_the_question_says() {
    strict();
    let workshop = Workshop::new();
    let world = World::new(&workshop, KeyAlgorithm::P256);
    for (failure, expected) in [
        (2, Ok(None)),
        (23, Ok(None)),
        (20, Ok(Some(false))),
        (1, Ok(Some(false))),
        (24, Err(ErrorClass::Unavailable)),
    ] {
        let server = answering(&world, authority::error(&status(2, Some(failure))));
        let health = world.client(&server.url).health().await;
        let told = health
            .map(|health| health.may_enroll)
            .map_err(|error| error.class());
        assert_eq!(told, expected, "{failure}");
    }
}

#[tokio::test]
async fn a_new_root_is_told_only_when_the_old_one_vouches_for_it() {
    strict();
    let workshop = Workshop::new();
    let world = World::new(&workshop, KeyAlgorithm::P256);
    let key = workshop.key(KeyAlgorithm::P256);
    let new = workshop.authority_with_key("New Root", &key);
    let issuance = extensions(SPEAKING_AUTHORITY);
    let link = world.root.device_with_key("New Root", key, &issuance).der();
    let impostor = workshop.authority("New Root", KeyAlgorithm::P256);
    let old = world.root.der();
    for (new_root, link, vouched) in [
        (new.der(), Some(&link), true),
        (impostor.der(), Some(&link), false),
        (new.der(), None, false),
        (new.der(), Some(&new.der()), false),
    ] {
        let link = link.map_or_else(Vec::new, |link| element(0xa0, &[link]));
        let server = answering(&world, genp(18, &sequence(&[&new_root, &link])));
        let told = world.client(&server.url).root_update(&old).await;
        match told {
            Ok(Some(update)) => assert!(vouched && update.new_with_new == new_root),
            Ok(None) => panic!("no update"),
            Err(error) => {
                assert!(!vouched, "{error}");
                assert_eq!(error.class(), ErrorClass::Credential, "{error}");
            }
        }
    }
    let server = answering(&world, genp(18, &[]));
    let told = world.client(&server.url).root_update(&old).await;
    assert_eq!(told.unwrap(), None);
}

#[tokio::test]
async fn the_template_of_requests_is_read() {
    strict();
    let workshop = Workshop::new();
    let world = World::new(&workshop, KeyAlgorithm::P256);
    let subject = authority::subject_of(&world.root.der());
    let reg_ctrl = |number: u8| [0x06, 0x09, 0x2b, 6, 1, 5, 5, 7, 5, 1, number];
    let bits = sequence(&[&reg_ctrl(12), &[0x02, 0x02, 0x0c, 0x00]]);
    let algorithm = [0x30, 0x03, 0x06, 0x01, 0x2a];
    let other = sequence(&[&reg_ctrl(11), &algorithm]);
    let content = sequence(&[
        &sequence(&[&element(0xa5, &[&subject])]),
        &sequence(&[&bits, &other]),
    ]);
    let server = answering(&world, genp(19, &content));
    let template = world.client(&server.url).request_template().await.unwrap();
    let template = template.unwrap();
    assert_eq!(template.subject_der, Some(subject));
    assert_eq!(
        template.keys,
        [
            KeySpec::RsaBits(3072),
            KeySpec::Algorithm(algorithm.to_vec())
        ]
    );
}
