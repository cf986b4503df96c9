//! A local authority that has a store on each of two hosts, which is no way to have one: what one of them does with the other's certificates.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    dead_code,
    missing_docs
)]

#[path = "support/openssl.rs"]
mod openssl;

use ca::{CertificationAuthority as _, Error, ErrorClass, Revocation, RevocationReason};
use openssl::{KeyAlgorithm, Workshop};
use pfx_connector::ca::local::{LocalCa, Settings};
use pfx_connector::engine::client::EngineClient;
use pki::path::Certificate;

fn refused(ca: &LocalCa, der: &[u8], is_told: bool) -> Error {
    let certificate = Certificate::read(der).unwrap();
    let revocation = Revocation {
        id: None,
        issuer_der: certificate.issuer_der().to_vec(),
        serial: certificate.serial().to_vec(),
        certificate_der: is_told.then(|| der.to_vec()),
        reason: RevocationReason::KeyCompromise,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(ca.revoke(&revocation)).unwrap_err()
}

#[test]
fn what_was_issued_with_another_store_is_left_to_the_one_that_has_it_and_nothing_else_is() {
    fips::start(fips::policy::Policy::STRICT).unwrap();
    let shop = Workshop::new();
    let folder = tempfile::tempdir().unwrap();
    let own = shop.authority("issuing", KeyAlgorithm::P256);
    // Of the same name, with another key.
    let strange = shop.authority("issuing", KeyAlgorithm::P256);
    let settings = Settings {
        name: "issuing".to_owned(),
        folder: folder.path().join("store"),
        publish: None,
        chain: vec![own.der()],
        profile: None,
    };
    let engine = EngineClient::unconnected(&folder.path().join("engine.sock"));
    let ca = LocalCa::open(settings, engine).unwrap();
    let elsewhere = own.device("anna", KeyAlgorithm::P256).der();
    let error = refused(&ca, &elsewhere, true);
    assert_eq!(error.class(), ErrorClass::Unavailable, "{error}");
    assert!(
        error.is_undecided() && !error.is_unknown_certificate(),
        "{error}"
    );
    // By its number alone nobody can tell; and what somebody else signed was never issued here.
    let theirs = strange.device("anna", KeyAlgorithm::P256).der();
    for (der, is_told) in [(&elsewhere, false), (&theirs, true)] {
        let error = refused(&ca, der, is_told);
        assert!(error.is_unknown_certificate(), "{error}");
    }
}
