//! What strict mode says of shared secrets: a key that is derived is refused with the remedy, one that is the key itself is approved.
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
#[path = "../../tests/support/openssl.rs"]
mod openssl;
#[path = "support/secret.rs"]
mod secret;
#[path = "support/world.rs"]
mod world;

use ca::cmp::{Cmp, Credential, Settings};
use fips::policy::Policy;
use openssl::{KeyAlgorithm, Workshop};
use pki::cmp::{MacScheme, Message, Verifier};
use secret::{SECRET, credential, shared};
use std::sync::Arc;
use world::World;

#[test]
fn derived_keys_are_refused_before_anything_is_sent_and_the_secret_itself_is_approved() {
    fips::start(Policy::STRICT).unwrap();
    let workshop = Workshop::new();
    let world = World::new(&workshop, KeyAlgorithm::P256);
    let made = |credential: Credential| {
        let settings = Settings {
            credential,
            ..world.settings("http://127.0.0.1:9/")
        };
        Cmp::new(settings, world::http())
    };
    for scheme in [MacScheme::Pbmac1, MacScheme::PasswordBasedMac] {
        let Err(error) = made(credential(scheme)) else {
            panic!("{scheme:?} is taken")
        };
        assert_eq!(error.setting, "secret");
        let words = error.to_string();
        assert!(words.contains("cmp-shared-secret"), "{words}");
        assert!(words.contains("sign its messages"), "{words}");
    }
    assert!(made(credential(MacScheme::Hmac)).is_ok());
    for (reference, secret) in [("", SECRET), ("r", ""), ("r", "13 octets....")] {
        let refused = made(Credential::Secret {
            reference: reference.as_bytes().to_vec(),
            secret: Arc::new(shared(secret)),
            scheme: MacScheme::Hmac,
        });
        assert!(refused.is_err(), "{reference:?} {secret:?}");
    }
}

#[test]
fn hmac_with_the_secret_verifies_and_nothing_else_does() {
    fips::start(Policy::STRICT).unwrap();
    let message = Message::read(&secret::message(MacScheme::Hmac, SECRET)).unwrap();
    let verified = |secret: &str| {
        let secret = shared(secret);
        message.verify(&Verifier::Secret { secret: &secret })
    };
    verified(SECRET).unwrap();
    assert!(verified("another secret of enough octets").is_err());
}
