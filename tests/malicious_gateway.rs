//! A gateway in a stranger's hand: whatever it changes, exchanges or makes up, the engine refuses before the custody key is used. What it can
//! tell a connector about certificates on request is in `certificates/told.rs`, and in the tests of src/connector/pkcs (`lies`, `world`).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]
#![forbid(unsafe_code)]

#[path = "support/engine.rs"]
mod engine;
#[path = "support/openssl.rs"]
mod openssl;
#[path = "support/softhsm.rs"]
mod softhsm;

use engine::{Engine, Options, PASSWORD, PATIENCE};
use fips::sign::{KeyKind, SigningKey};
use hsm::Padding;
use openssl::{Authority, Device, KeyAlgorithm, Workshop};
use pfx_connector::encoding::{Base64Bytes, hex};
use pfx_connector::engine::api::{FailureCode, RecryptRequest};
use pfx_connector::engine::client::{EngineClient, RecryptError};
use pfx_connector::engine::recrypt::importers::sign;
use softhsm::{KEY_LABEL, SoftHsm};

async fn key_uses(client: &EngineClient) -> u64 {
    client.status().await.unwrap().key_uses
}

async fn assert_refused(
    client: &EngineClient,
    what: &str,
    request: RecryptRequest,
    expected: FailureCode,
) {
    let before = key_uses(client).await;
    match client.recrypt(request, PATIENCE).await {
        Err(RecryptError::Failed(failure)) => {
            assert_eq!(failure.code, expected, "{what}: {}", failure.message);
            assert!(!failure.message.is_empty(), "{what}");
        }
        other => panic!("{what}: not refused: {other:?}"),
    }
    assert_eq!(key_uses(client).await, before, "{what}: the key was used");
}

/// An honest request still works, and uses the key exactly once.
async fn assert_delivered(client: &EngineClient, request: RecryptRequest, device: &Device<'_>) {
    let before = key_uses(client).await;
    let done = client.recrypt(request, PATIENCE).await.unwrap();
    assert_eq!(device.decrypt_cms(done.cms.as_slice()), PASSWORD);
    assert_eq!(key_uses(client).await, before + 1);
}

fn devices(workshop: &Workshop) -> Authority<'_> {
    workshop.authority("Devices", KeyAlgorithm::P256)
}

#[tokio::test]
async fn a_device_certificate_of_its_own_is_refused_before_the_key_is_used() {
    let workshop = Workshop::new();
    let authority = devices(&workshop);
    let token = SoftHsm::new();
    let engine = Engine::start(&token, &authority, &Options::default());
    let client = engine.ready_client().await;
    let device = authority.device("phone", KeyAlgorithm::Rsa(2048));
    let good = engine.request("good", &token, device.der());

    // The same name as the configured authority, another key.
    let impostor = devices(&workshop);
    let between = impostor.intermediate("Issuing", KeyAlgorithm::P256);
    let not_an_authority = authority.device("tablet", KeyAlgorithm::P256);
    let below_a_device = workshop.authority_of(
        not_an_authority.certificate.clone(),
        not_an_authority.key.clone(),
    );
    let own = impostor.device("phone", KeyAlgorithm::Rsa(2048)).der();
    let cases = [
        ("of its own authority", own.clone(), Vec::new()),
        (
            "of its own authority, with that one's certificate",
            own.clone(),
            vec![impostor.der()],
        ),
        (
            "of its own authority, with the configured one's certificate",
            own,
            vec![authority.der()],
        ),
        (
            "of an authority below its own, with the whole chain",
            between.device("phone", KeyAlgorithm::P256).der(),
            vec![between.der(), impostor.der()],
        ),
        (
            "self-signed",
            workshop
                .self_signed_device("phone", KeyAlgorithm::Rsa(2048))
                .der(),
            Vec::new(),
        ),
        (
            "its own authority itself",
            impostor.der(),
            vec![authority.der()],
        ),
        (
            "issued by a real device that is no authority",
            below_a_device.device("eve", KeyAlgorithm::P256).der(),
            vec![not_an_authority.der()],
        ),
    ];
    for (what, certificate, intermediates) in cases {
        let mut request = good.clone();
        request.device.certificate = Base64Bytes(certificate);
        request.device.intermediates = intermediates.into_iter().map(Base64Bytes).collect();
        assert_refused(
            &client,
            what,
            request,
            FailureCode::DeviceCertificateRefused,
        )
        .await;
    }
    assert_delivered(&client, good, &device).await;
}

#[tokio::test]
async fn a_record_that_is_not_what_a_configured_importer_signed_is_refused_before_the_key_is_used()
{
    let workshop = Workshop::new();
    let authority = devices(&workshop);
    let token = SoftHsm::new();
    let second = token.add_key("second");
    let engine = Engine::start(&token, &authority, &Options::default());
    let client = engine.ready_client().await;
    let device = authority.device("phone", KeyAlgorithm::P256);
    let good = engine.request("good", &token, device.der());
    // Another record that the same importer signed: everything in it is genuine, but not for this one.
    let mut other = engine.request("other", &token, device.der());
    other.record.user_principal_name = "eve@example.org".to_owned();
    other.record.thumbprint = "cd".repeat(20);
    other.record.padding = Padding::OaepSha1;
    other.record.encrypted_password = Base64Bytes(token.encrypt(Padding::OaepSha1, b"eve's own"));
    other.pfx = Base64Bytes(b"eve's own PFX".to_vec());
    engine.sign(&mut other);
    let stranger = SigningKey::generate(KeyKind::EcP256).unwrap();

    type Change<'a> = Box<dyn Fn(&mut RecryptRequest) + 'a>;
    let (from, key) = (&other, &second);
    let cases: Vec<(&str, Change<'_>)> = vec![
        (
            "ciphertext",
            Box::new(|request| {
                request.record.encrypted_password = from.record.encrypted_password.clone();
            }),
        ),
        (
            "one bit of the ciphertext",
            Box::new(|request| request.record.encrypted_password.0[255] ^= 1),
        ),
        ("PFX", Box::new(|request| request.pfx = from.pfx.clone())),
        (
            "user",
            Box::new(|request| {
                request.record.user_principal_name = from.record.user_principal_name.clone();
            }),
        ),
        (
            "user in another case",
            Box::new(|request| request.record.user_principal_name = "Ada@example.org".to_owned()),
        ),
        (
            "thumbprint",
            Box::new(|request| request.record.thumbprint = from.record.thumbprint.clone()),
        ),
        (
            "padding",
            Box::new(|request| request.record.padding = from.record.padding),
        ),
        (
            "name of the key",
            Box::new(|request| request.record.key_name = "second".to_owned()),
        ),
        (
            "name of the provider",
            Box::new(|request| request.record.provider_name = "another".to_owned()),
        ),
        (
            "custody key, another one of the token",
            Box::new(|request| request.record.custody_key = Some(hex(&key.fingerprint()))),
        ),
        (
            "custody key, one that is nowhere",
            Box::new(|request| request.record.custody_key = Some("00".repeat(32))),
        ),
        (
            "custody key, left out",
            Box::new(|request| request.record.custody_key = None),
        ),
        (
            "border between two fields",
            Box::new(|request| {
                request.record.provider_name.push('c');
                request.record.key_name.remove(0);
            }),
        ),
        (
            "signature of another record",
            Box::new(|request| {
                request.record.importer_signature = from.record.importer_signature.clone();
            }),
        ),
        (
            "signature of an importer that is not configured",
            Box::new(|request| {
                let signature = sign(&stranger, &request.record, request.pfx.as_slice()).unwrap();
                request.record.importer_signature = Some(signature);
            }),
        ),
        (
            "the same, under the configured importer's name",
            Box::new(|request| {
                let mut signature =
                    sign(&stranger, &request.record, request.pfx.as_slice()).unwrap();
                let named = request.record.importer_signature.as_ref().unwrap();
                signature.importer = named.importer.clone();
                request.record.importer_signature = Some(signature);
            }),
        ),
        (
            "no signature",
            Box::new(|request| request.record.importer_signature = None),
        ),
        (
            "empty signature",
            Box::new(|request| {
                let signature = request.record.importer_signature.as_mut().unwrap();
                signature.signature = Base64Bytes(Vec::new());
            }),
        ),
    ];
    for (what, change) in cases {
        let mut request = good.clone();
        change(&mut request);
        assert_refused(&client, what, request, FailureCode::RecordRefused).await;
    }
    assert_delivered(&client, good, &device).await;
}

#[tokio::test]
async fn a_replayed_record_of_another_key_is_refused_before_the_key_is_used() {
    let workshop = Workshop::new();
    let authority = devices(&workshop);
    let token = SoftHsm::new();
    let second = token.add_key("second");
    let elsewhere = SoftHsm::new();
    let engine = Engine::start(&token, &authority, &Options::default());
    let client = engine.ready_client().await;
    let device = authority.device("phone", KeyAlgorithm::Rsa(2048));
    let good = engine.request("good", &token, device.der());

    // Genuine in every way, but of a key of another token: an old one, or another site's.
    let foreign = engine.request("foreign", &elsewhere, device.der());
    assert_refused(
        &client,
        "a key that is not here",
        foreign.clone(),
        FailureCode::KeyNotFound,
    )
    .await;
    // The name of a key that is here does not help.
    assert_eq!(foreign.record.key_name, KEY_LABEL);
    for fingerprint in ["", "zz", &"00".repeat(31), &"00".repeat(33)] {
        let mut odd = good.clone();
        odd.record.custody_key = Some(fingerprint.to_owned());
        engine.sign(&mut odd);
        assert_refused(
            &client,
            "no fingerprint at all",
            odd,
            FailureCode::BadRequest,
        )
        .await;
    }
    // A genuine record of the token's second key, sent as one of the first.
    let mut of_second = good.clone();
    of_second.record.key_name = "second".to_owned();
    of_second.record.custody_key = Some(hex(&second.fingerprint()));
    of_second.record.encrypted_password =
        Base64Bytes(softhsm::encrypt(&second, Padding::OaepSha512, PASSWORD));
    engine.sign(&mut of_second);
    let mut moved = of_second.clone();
    moved.record.custody_key = good.record.custody_key.clone();
    assert_refused(
        &client,
        "a record moved to another key",
        moved,
        FailureCode::RecordRefused,
    )
    .await;

    // As what it is, it is used with its own key.
    let before = key_uses(&client).await;
    let done = client.recrypt(of_second, PATIENCE).await.unwrap();
    assert_eq!(done.custody_key, hex(&second.fingerprint()));
    assert_eq!(device.decrypt_cms(done.cms.as_slice()), PASSWORD);
    assert_eq!(key_uses(&client).await, before + 1);
    assert_delivered(&client, good, &device).await;
}
