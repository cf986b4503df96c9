//! CMP with a shared secret: against the mock server of `openssl cmp` and an authority of the test's own. A process of its own, whose
//! policy has the exception `cmp-shared-secret`; what strict mode says without it is in `cmp_secret_strict.rs`.
#![forbid(unsafe_code)]
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

#[path = "support/authority.rs"]
mod authority;
#[path = "support/mock.rs"]
mod mock;
#[path = "../../tests/support/openssl.rs"]
mod openssl;
#[path = "support/secret.rs"]
mod secret;
#[path = "support/world.rs"]
mod world;

use authority::{Lies, Reply, Server, Speaker};
use ca::cmp::Settings;
use ca::{CertificationAuthority as _, Enrolment, ErrorClass, Revoked};
use fips::policy::{Exception, Policy};
use mock::MockServer;
use openssl::{KeyAlgorithm, Workshop};
use pki::cmp::{MacScheme, Message, Verifier};
use secret::{REFERENCE, SECRET, credential, shared};
use world::{World, client};

fn permitted() {
    fips::start(Policy::strict_except([Exception::CmpSharedSecret])).unwrap();
}

fn settings(world: &World<'_>, url: &str, scheme: MacScheme) -> Settings {
    Settings {
        credential: credential(scheme),
        ..world.settings(url)
    }
}

#[tokio::test]
async fn openssl_issues_polls_and_revokes_under_a_password_based_mac() {
    permitted();
    let workshop = Workshop::new();
    let world = World::new(&workshop, KeyAlgorithm::P256);
    let result = &world.device.certificate;
    // OpenSSL 3 answers with HMAC-SHA1 unless it is told otherwise.
    for more in [&[][..], &["-mac", "hmacWithSHA256"]] {
        let server = MockServer::sharing(REFERENCE, SECRET, result, more);
        let client = client(settings(&world, &server.url, MacScheme::PasswordBasedMac));
        let Enrolment::Issued(issued) = client.enroll(&world.order()).await.unwrap() else {
            panic!("not issued")
        };
        assert_eq!(issued.certificate_der, world.device.der());
        let revoked = client.revoke(&world.revocation()).await;
        assert_eq!(revoked.unwrap(), Revoked::Now);
        assert!(client.health().await.unwrap().credential_expires.is_none());
    }
    let server = MockServer::sharing(REFERENCE, SECRET, result, &["-poll_count", "2"]);
    let client = client(settings(&world, &server.url, MacScheme::PasswordBasedMac));
    let first = client.enroll(&world.order()).await.unwrap();
    assert!(matches!(first, Enrolment::Pending(_)));
}

#[tokio::test]
async fn another_secret_is_told_from_ours_on_both_sides() {
    permitted();
    let workshop = Workshop::new();
    let world = World::new(&workshop, KeyAlgorithm::P256);
    let server = MockServer::sharing(REFERENCE, "another secret", &world.device.certificate, &[]);
    let client = client(settings(&world, &server.url, MacScheme::PasswordBasedMac));
    let error = client.health().await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Credential, "{error}");
    assert!(!error.to_string().contains(SECRET), "{error}");
}

#[tokio::test]
async fn each_scheme_protects_a_message_that_the_same_secret_verifies_and_no_other() {
    permitted();
    for scheme in MacScheme::ALL {
        let message = secret::message(scheme, SECRET);
        let read = Message::read(&message).unwrap();
        let (ours, others) = (shared(SECRET), shared("another secret"));
        read.verify(&Verifier::Secret { secret: &ours }).unwrap();
        assert!(read.verify(&Verifier::Secret { secret: &others }).is_err());
        assert_eq!(
            read.header.sender_key_id.as_deref(),
            Some(REFERENCE.as_bytes())
        );
        // Whatever is changed in what is protected, or in the code, shows.
        for at in 0..message.len() {
            let mut changed = message.clone();
            changed[at] ^= 0x01;
            if let Ok(read) = Message::read(&changed) {
                let verified = read.verify(&Verifier::Secret { secret: &ours });
                assert!(verified.is_err(), "{scheme:?}: octet {at} may change");
            }
        }
    }
}

/// OpenSSL 3.0 has PBKDF2 and HMAC, though not PBMAC1 for CMP: the code is computed with those, from what stands in the message.
#[test]
fn the_code_of_pbmac1_is_what_openssl_computes_from_the_parameters_in_the_message() {
    permitted();
    let message = secret::message(MacScheme::Pbmac1, SECRET);
    let parts = secret::inside(secret::content(&message));
    let (header, body, protection) = (parts[0], parts[1], parts[2]);
    let bits = secret::content(protection);
    let code = &bits[bits.len() - 32..];
    // PBKDF2, then its parameters: the salt of 16 octets and the iterations.
    let pbkdf2 = [
        0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0c,
    ];
    let at = header.windows(11).position(|w| w == pbkdf2).unwrap() + 11;
    assert_eq!(header[at + 2..at + 4], [0x04, 16]);
    let salt = &header[at + 4..at + 20];
    assert_eq!(header[at + 20..at + 24], [0x02, 0x02, 0x27, 0x10]);

    let hex = |bytes: &[u8]| -> String { bytes.iter().map(|b| format!("{b:02x}")).collect() };
    let workshop = Workshop::new();
    let options = [format!("pass:{SECRET}"), format!("hexsalt:{}", hex(salt))];
    let key = openssl::openssl(&[
        "kdf",
        "-keylen",
        "32",
        "-kdfopt",
        "digest:SHA256",
        "-kdfopt",
        &options[0],
        "-kdfopt",
        &options[1],
        "-kdfopt",
        "iter:10000",
        "-binary",
        "PBKDF2",
    ]);
    let protected = authority::sequence(&[header, body]);
    let file = workshop.file(&protected);
    let key = format!("hexkey:{}", hex(&key));
    let computed = openssl::openssl(&[
        "dgst",
        "-sha256",
        "-mac",
        "HMAC",
        "-macopt",
        &key,
        "-binary",
        openssl::text(&file),
    ]);
    assert_eq!(computed, code);
}

#[tokio::test]
async fn a_signature_does_not_answer_what_a_secret_protected() {
    permitted();
    let workshop = Workshop::new();
    let world = World::new(&workshop, KeyAlgorithm::P256);
    let speaker = Speaker::of(&world.speaker);
    let server = Server::new(move |_, request| {
        Reply::Message(speaker.answer(request, &authority::pki_conf(), &Lies::default()))
    });
    let client = client(settings(&world, &server.url, MacScheme::Pbmac1));
    let error = client.health().await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Credential, "{error}");
    assert!(error.to_string().contains("not accepted"), "{error}");
}

#[tokio::test]
async fn an_authority_that_asks_for_endless_iterations_is_refused_at_once() {
    permitted();
    let message = secret::message(MacScheme::PasswordBasedMac, SECRET);
    // 10000 iterations: INTEGER 0x2710.
    let at = message
        .windows(4)
        .position(|w| w == [0x02, 0x02, 0x27, 0x10]);
    let at = at.unwrap();
    // The header, the algorithm and both of its SEQUENCEs grow by two octets.
    let grown = secret::with_longer_integer(&message, at, &[0x7f, 0xff, 0xff, 0xff]);
    let read = Message::read(&grown).unwrap();
    let ours = shared(SECRET);
    let error = read
        .verify(&Verifier::Secret { secret: &ours })
        .unwrap_err();
    assert!(error.to_string().contains("iterations"), "{error}");
}
