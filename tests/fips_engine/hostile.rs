//! Strangers who would like the engine to believe that its module has failed.

use super::engine::{Engine, Options};
use super::openssl::{KeyAlgorithm, Workshop, openssl, text};
use super::softhsm::SoftHsm;
use super::{DEADLINE, refused, request};
use pfx_connector::encoding::Base64Bytes;
use pfx_connector::engine::api::FailureCode;

/// The signature of a device's certificate is verified with its issuer's key before anybody knows whose that is. For RSA keys of an odd
/// number of bits the module's indicator stands still over a signature that is right.
#[tokio::test]
async fn a_device_certificate_with_an_issuers_key_that_the_module_does_not_approve_is_refused_and_no_fault()
 {
    let workshop = Workshop::new();
    let authority = workshop.authority("Devices", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    let options = Options {
        fips: Some(String::new()),
        ..Options::default()
    };
    let engine = Engine::start(&token, &authority, &options);
    let client = engine.ready_client().await;

    let key = workshop.fresh(".key.pem");
    let pkcs8 = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/data/rsa-2049-bits.pkcs8.der"
    );
    openssl(&["pkey", "-inform", "DER", "-in", pkcs8, "-out", text(&key)]);
    let strangers = workshop.authority_with_key("Strangers", &key);
    let device = strangers.device("theirs", KeyAlgorithm::Rsa(2048));
    let mut theirs = request(&engine, "theirs", &token, device.der());
    theirs.device.intermediates = vec![Base64Bytes(strangers.der())];
    let failure = refused(&client, theirs).await;
    assert_eq!(
        failure.code,
        FailureCode::DeviceCertificateRefused,
        "{failure:?}"
    );

    let status = client.status().await.unwrap();
    assert_eq!(status.module_fault, None);
    for process in &status.fips {
        assert_eq!(process.fault, None, "{}", process.process);
    }
    let ours = authority.device("ours", KeyAlgorithm::Rsa(2048));
    let done = client
        .recrypt(request(&engine, "ours", &token, ours.der()), DEADLINE)
        .await;
    assert!(done.is_ok(), "{done:?}");
}
