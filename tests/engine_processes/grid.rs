//! When answers leave. That one is not there before the grid's first multiple is a property of the engine, not of how fast it is.

use super::deliveries::{self, OPENS, person, stored};
use super::engine::{Engine, Options, PASSWORD};
use super::issuance::made;
use super::issuance_support::{Grant, issue, key_request, pack_request};
use super::openssl::{Device, KeyAlgorithm, Workshop};
use super::pkcs1;
use super::requests::DEADLINE;
use super::softhsm::{SoftHsm, encrypt_pkcs1};
use hsm::Padding;
use pfx_connector::encoding::Base64Bytes;
use pfx_connector::engine::api::keys::KeyType;
use pfx_connector::engine::api::{Delivery, FailureCode, PackRequest, RecryptRequest, StoredPfx};
use pfx_connector::engine::client::{EngineClient, RecryptError};
use std::time::{Duration, Instant};

/// Much longer than a request takes, so that a property that is lost shows.
const GRID_MS: u64 = 3000;

/// Every kind of request that asks for a use of the custody key.
enum Asked {
    Recrypt(Box<RecryptRequest>),
    Deliver(Delivery, Vec<StoredPfx>),
    Pack(Box<PackRequest>),
}

/// An engine with such a grid, that does everything.
fn options(release: &str) -> Options {
    let mut options = deliveries::options("");
    options.engine.push_str(&format!(
        "issuance = {{ key_threads = 1 }}\n[engine.oracle]\ncheck_password = \"always\"\ngrid_ms = {GRID_MS}\nrelease = \"{release}\"\n"
    ));
    options
}

struct Scene<'a> {
    engine: Engine,
    client: EngineClient,
    token: SoftHsm,
    workshop: &'a Workshop,
    phone: Device<'a>,
    person: Device<'a>,
}

impl<'a> Scene<'a> {
    async fn start(workshop: &'a Workshop, release: &str) -> Self {
        let authority = workshop.authority("Devices", KeyAlgorithm::P256);
        let token = SoftHsm::new();
        let engine = Engine::start(&token, &authority, &options(release));
        let client = engine.ready_client().await;
        Self {
            client,
            token,
            workshop,
            phone: authority.device("phone", KeyAlgorithm::Rsa(2048)),
            person: person(&authority, "ada@example.org", "20240101000000Z"),
            engine,
        }
    }

    /// A record of this password, for the delivery `password`.
    fn recrypt(&self, password: &str, change: impl FnOnce(&mut [u8])) -> Box<RecryptRequest> {
        let mut request = self.engine.request("grid", &self.token, self.phone.der());
        let stored = self.file(password, change);
        (request.record, request.pfx) = (stored.record, stored.pfx);
        Box::new(request)
    }

    fn file(&self, password: &str, change: impl FnOnce(&mut [u8])) -> StoredPfx {
        let stored = stored(&self.engine, &self.token, &self.person, password);
        let mut request = self.engine.request("unused", &self.token, Vec::new());
        (request.record, request.pfx) = (stored.record, stored.pfx);
        change(request.record.encrypted_password.0.as_mut_slice());
        self.engine.sign(&mut request);
        StoredPfx {
            record: request.record,
            pfx: request.pfx,
        }
    }

    /// A key that was made here, with its certificate; its wrapping key is changed or not.
    async fn pack(&self, id: &str, changed: bool) -> Asked {
        let people = self.workshop.authority("People", KeyAlgorithm::P256);
        let one = made(&self.client, key_request(id, KeyType::EcP256)).await;
        let certificate = issue(
            self.workshop,
            &people,
            one.csr.as_slice(),
            &Grant::default(),
        );
        let mut request = pack_request(id, &one, certificate, &[], &self.phone);
        if changed {
            *request.sealed_key.0.last_mut().unwrap() ^= 1;
        }
        Asked::Pack(Box::new(request))
    }

    /// What came of it, and how long that took.
    async fn ask(&self, asked: Asked) -> (Option<FailureCode>, Duration) {
        let begun = Instant::now();
        let outcome = match asked {
            Asked::Recrypt(request) => self.client.recrypt(*request, DEADLINE).await.map(drop),
            Asked::Deliver(delivery, files) => {
                let request = deliveries::request(delivery, files, &self.phone);
                self.client.deliver(request, DEADLINE).await.map(drop)
            }
            Asked::Pack(request) => self.client.pack(*request, DEADLINE).await.map(drop),
        };
        let took = begun.elapsed();
        match outcome {
            Ok(()) => (None, took),
            Err(RecryptError::Failed(failure)) => (Some(failure.code), took),
            Err(error) => panic!("{error}"),
        }
    }

    async fn waits(&self, what: &str, asked: Asked, expected: Option<FailureCode>) {
        let (code, took) = self.ask(asked).await;
        assert_eq!(code, expected, "{what}");
        assert!(took >= Duration::from_millis(GRID_MS), "{what}: {took:?}");
    }
}

const FAILED: Option<FailureCode> = Some(FailureCode::DecryptionFailed);

fn as_it_is(_: &mut [u8]) {}

fn damaged(ciphertext: &mut [u8]) {
    *ciphertext.last_mut().unwrap() ^= 1;
}

#[tokio::test]
async fn every_failing_answer_that_follows_a_decryption_leaves_on_the_grid() {
    let workshop = Workshop::new();
    let scene = Scene::start(&workshop, "failures").await;
    let bad = scene.recrypt(OPENS, damaged);
    let file = scene.file(OPENS, as_it_is);
    let once_more = Asked::Recrypt(bad.clone());
    let wrong = scene.recrypt("wrong", as_it_is);
    let rewrap = |file| Asked::Deliver(Delivery::Rewrap, vec![file]);
    for (what, asked) in [
        ("bad padding", Asked::Recrypt(bad)),
        ("in quarantine", once_more),
        ("wrong password", Asked::Recrypt(wrong)),
        ("rewrap, bad padding", rewrap(scene.file(OPENS, damaged))),
        (
            "profile, wrong password after a right one",
            Asked::Deliver(
                Delivery::AppleProfile,
                vec![file, scene.file("another", as_it_is)],
            ),
        ),
        ("pack", scene.pack("packed", true).await),
    ] {
        scene.waits(what, asked, FAILED).await;
    }
    let oracle = scene.client.status().await.unwrap().oracle.unwrap();
    assert_eq!(oracle.grid_ms, GRID_MS);
    assert_eq!(oracle.quarantined, 5);
}

#[tokio::test]
async fn a_refusal_after_another_record_was_decrypted_leaves_on_the_grid() {
    let workshop = Workshop::new();
    let scene = Scene::start(&workshop, "failures").await;
    // Of two records the second is of another user than its certificate: only the opened file shows it.
    let (first, mut other) = (scene.file(OPENS, as_it_is), scene.file(OPENS, as_it_is));
    other.record.thumbprint = "ab".repeat(20);
    let mut request = scene.engine.request("unused", &scene.token, Vec::new());
    (request.record, request.pfx) = (other.record, other.pfx);
    scene.engine.sign(&mut request);
    let other = StoredPfx {
        record: request.record,
        pfx: request.pfx,
    };
    let asked = Asked::Deliver(Delivery::AppleProfile, vec![first, other]);
    let refused = Some(FailureCode::PfxRefused);
    scene.waits("not the certificate", asked, refused).await;
}

#[tokio::test]
async fn where_all_answers_wait_those_that_worked_and_those_that_used_no_key_do_too() {
    let workshop = Workshop::new();
    let scene = Scene::start(&workshop, "all").await;
    let unsigned = {
        let mut request = scene.recrypt(OPENS, as_it_is);
        request.record.importer_signature = None;
        Asked::Recrypt(request)
    };
    let refused = Some(FailureCode::RecordRefused);
    let rewrap = Asked::Deliver(Delivery::Rewrap, vec![scene.file(OPENS, as_it_is)]);
    for (what, asked, expected) in [
        (
            "password",
            Asked::Recrypt(scene.recrypt(OPENS, as_it_is)),
            None,
        ),
        ("rewrap", rewrap, None),
        ("pack", scene.pack("packed", false).await, None),
        (
            "bad padding",
            Asked::Recrypt(scene.recrypt(OPENS, damaged)),
            FAILED,
        ),
        ("nobody signed it", unsigned, refused),
    ] {
        scene.waits(what, asked, expected).await;
    }
}

/// Of old imports: the message of chance that takes the place of a bad block.
#[tokio::test]
async fn a_bad_block_of_pkcs1_leaves_on_the_grid_as_a_wrong_password_does() {
    let workshop = Workshop::new();
    let authority = workshop.authority("Devices", KeyAlgorithm::P256);
    let device = authority.device("phone", KeyAlgorithm::Rsa(2048));
    let token = SoftHsm::new();
    let options = Options {
        fips: Some("mode = \"off\"".to_owned()),
        engine: format!("[engine.oracle]\ngrid_ms = {GRID_MS}\n"),
        importers: pkcs1::named(&token.fingerprint(), "2999-12-31"),
        ..Options::default()
    };
    let engine = Engine::start(&token, &authority, &options);
    let client = engine.ready_client().await;
    let pfx = device.pfx(std::str::from_utf8(PASSWORD).unwrap(), &[]);
    let mut bad = encrypt_pkcs1(token.public_key(), PASSWORD);
    bad[100] ^= 1;
    for ciphertext in [encrypt_pkcs1(token.public_key(), b"wrong"), bad] {
        let request = pkcs1::old(&engine, "old", (&token, &device), &pfx, ciphertext);
        let begun = Instant::now();
        assert_eq!(super::oracle::ask(&client, request).await, FAILED);
        let took = begun.elapsed();
        assert!(took >= Duration::from_millis(GRID_MS), "{took:?}");
    }
}

#[tokio::test]
async fn an_answer_that_was_not_there_for_the_first_multiple_is_counted() {
    let workshop = Workshop::new();
    let authority = workshop.authority("Devices", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    let mut options = deliveries::options("");
    // A key derivation of a million rounds is no matter of a millisecond anywhere.
    options
        .engine
        .push_str("[engine.oracle]\ncheck_password = \"always\"\ngrid_ms = 1\n");
    let engine = Engine::start(&token, &authority, &options);
    let client = engine.ready_client().await;
    let device = authority.device("phone", KeyAlgorithm::P256);
    let mut request = engine.request("late", &token, device.der());
    request.pfx = Base64Bytes(device.pfx("another", &["-iter", "1000000"]));
    request.record.padding = Padding::OaepSha512;
    engine.sign(&mut request);
    assert_eq!(super::oracle::ask(&client, request).await, FAILED);
    let oracle = client.status().await.unwrap().oracle.unwrap();
    assert_eq!(oracle.late_answers, 1);
}
