//! What comes of a request.

use super::engine::{Engine, Options, PASSWORD, PATIENCE, exceptions_with, part};
use super::openssl::{KeyAlgorithm, Workshop};
use super::softhsm::SoftHsm;
use hsm::Padding;
use pfx_connector::encoding::Base64Bytes;
use pfx_connector::engine::api::{CmsFormat, FailureCode, RecryptRequest};
use pfx_connector::engine::client::{EngineClient, RecryptError};
use std::time::Duration;

pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

async fn refused(client: &EngineClient, request: RecryptRequest) -> (FailureCode, String) {
    match client.recrypt(request, DEADLINE).await {
        Err(RecryptError::Failed(failure)) => (failure.code, failure.message),
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn a_password_reaches_the_device_in_every_format_and_padding() {
    let workshop = Workshop::new();
    let authority = workshop.authority("Devices", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    let options = Options {
        exceptions: vec!["cms-des-ede3"],
        ..Options::default()
    };
    let engine = Engine::start(&token, &authority, &options);
    let client = engine.ready_client().await;
    let rsa = authority.device("phone", KeyAlgorithm::Rsa(2048));
    let ec = authority.device("tablet", KeyAlgorithm::P256);

    let cases = [
        (&rsa, CmsFormat::Modern, Padding::OaepSha1),
        (&rsa, CmsFormat::Compatible, Padding::OaepSha256),
        (&rsa, CmsFormat::CompatibleDesEde3, Padding::OaepSha384),
        (&ec, CmsFormat::Modern, Padding::OaepSha512),
    ];
    for (number, (device, format, padding)) in cases.into_iter().enumerate() {
        let mut request = engine.request(&format!("r-{number}"), &token, device.der());
        request.format = format;
        request.record.padding = padding;
        request.record.encrypted_password = Base64Bytes(token.encrypt(padding, PASSWORD));
        engine.sign(&mut request);
        let done = client.recrypt(request, DEADLINE).await.unwrap();
        assert_eq!(done.custody_key, token.fingerprint());
        assert_eq!(
            device.decrypt_cms(done.cms.as_slice()),
            PASSWORD,
            "{format:?} {padding}"
        );
    }

    let status = client.status().await.unwrap();
    assert_eq!(status.key_uses, 4);
    assert_eq!(status.answered, 4);
    assert_eq!(status.in_flight, 0);
    assert_eq!(status.exceptions, exceptions_with(&["cms-des-ede3"]));
    assert_eq!(status.module_version, fips::EXPECTED_VERSION);
    assert_eq!(status.keys.len(), 1);
    assert_eq!(status.keys[0].fingerprint, token.fingerprint());
    assert!(
        status.keys[0]
            .origin
            .starts_with("generated here, never extractable"),
        "{}",
        status.keys[0].origin
    );
    assert!(
        status.keys[0].problems.is_empty(),
        "{:?}",
        status.keys[0].problems
    );
    for name in ["supervisor", "custody", "formats"] {
        assert!(part(&status, name).pid.is_some());
        assert!(part(&status, name).resident_bytes.unwrap() > 100_000);
        assert_eq!(part(&status, name).restarts, 0);
    }
    assert!(
        !engine
            .log()
            .contains(std::str::from_utf8(PASSWORD).unwrap())
    );
}

#[tokio::test]
async fn what_no_importer_signed_or_no_authority_issued_is_refused_without_using_the_key() {
    let workshop = Workshop::new();
    let authority = workshop.authority("Devices", KeyAlgorithm::P256);
    let stranger = workshop.authority("Devices", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    let engine = Engine::start(&token, &authority, &Options::default());
    let client = engine.ready_client().await;
    let device = authority.device("phone", KeyAlgorithm::P256);
    let good = engine.request("good", &token, device.der());

    let mut swapped = good.clone();
    swapped.record.user_principal_name = "eve@example.org".to_owned();
    assert_eq!(
        refused(&client, swapped).await.0,
        FailureCode::RecordRefused
    );
    let mut other_pfx = good.clone();
    other_pfx.pfx = Base64Bytes(b"another PFX".to_vec());
    assert_eq!(
        refused(&client, other_pfx).await.0,
        FailureCode::RecordRefused
    );
    let mut unsigned = good.clone();
    unsigned.record.importer_signature = None;
    assert_eq!(
        refused(&client, unsigned).await.0,
        FailureCode::RecordRefused
    );

    let mut foreign = good.clone();
    foreign.device.certificate = Base64Bytes(stranger.device("eve", KeyAlgorithm::P256).der());
    assert_eq!(
        refused(&client, foreign).await.0,
        FailureCode::DeviceCertificateRefused
    );
    let mut expired = good.clone();
    expired.device.certificate = Base64Bytes(authority.expired_device("old").der());
    assert_eq!(
        refused(&client, expired).await.0,
        FailureCode::DeviceCertificateRefused
    );
    let mut garbage = good.clone();
    garbage.device.certificate = Base64Bytes(vec![0x30; 500]);
    assert_eq!(
        refused(&client, garbage).await.0,
        FailureCode::DeviceCertificateRefused
    );

    let mut rsa_only = good.clone();
    rsa_only.format = CmsFormat::Compatible;
    assert_eq!(
        refused(&client, rsa_only).await.0,
        FailureCode::FormatRefused
    );
    let mut des = good.clone();
    des.format = CmsFormat::CompatibleDesEde3;
    assert_eq!(refused(&client, des).await.0, FailureCode::FormatRefused);
    let mut nameless = good.clone();
    nameless.request_id = "a\nb".to_owned();
    assert_eq!(refused(&client, nameless).await.0, FailureCode::BadRequest);

    assert_eq!(client.status().await.unwrap().key_uses, 0);
    assert!(client.recrypt(good, DEADLINE).await.is_ok());
    assert_eq!(client.status().await.unwrap().key_uses, 1);
}

/// The list is read again while the engine runs; the key is not used for a revoked device, and the log says why.
#[tokio::test]
async fn a_revoked_device_gets_nothing_from_the_moment_its_authority_says_so() {
    let workshop = Workshop::new();
    let authority = workshop.authority("Devices", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    let (lost, other) = (
        authority.device("lost", KeyAlgorithm::Rsa(2048)),
        authority.device("other", KeyAlgorithm::P256),
    );
    let times = ("20260101000000Z", "20491231235959Z");
    let list = authority.revocation_list(&[], times, "");
    let options = Options {
        engine: format!("device_policy = {{ crls = [{list:?}] }}"),
        ..Options::default()
    };
    let engine = Engine::start(&token, &authority, &options);
    let client = engine.ready_client().await;
    let to_lost = engine.request("r-1", &token, lost.der());
    let done = client.recrypt(to_lost.clone(), DEADLINE).await.unwrap();
    assert_eq!(lost.decrypt_cms(done.cms.as_slice()), PASSWORD);

    std::fs::rename(authority.revocation_list(&[&lost], times, ""), &list).unwrap();
    let begun = std::time::Instant::now();
    let (code, message) = loop {
        match client.recrypt(to_lost.clone(), DEADLINE).await {
            Err(RecryptError::Failed(failure)) => break (failure.code, failure.message),
            answer => assert!(begun.elapsed() < PATIENCE, "still accepted: {answer:?}"),
        }
    };
    assert_eq!(code, FailureCode::DeviceCertificateRefused);
    assert!(message.contains("revoked"), "{message}");
    assert!(engine.log().contains("device_revoked"), "{}", engine.log());
    let used = client.status().await.unwrap().key_uses;
    refused(&client, to_lost).await;
    assert_eq!(client.status().await.unwrap().key_uses, used);
    let to_other = engine.request("r-2", &token, other.der());
    assert!(client.recrypt(to_other, DEADLINE).await.is_ok());
}

#[tokio::test]
async fn every_failed_decryption_is_told_alike_and_a_missing_key_by_name() {
    let workshop = Workshop::new();
    let authority = workshop.authority("Devices", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    let options = Options {
        engine: "oracle = { importer_failures_per_hour = 50 }".to_owned(),
        ..Options::default()
    };
    let engine = Engine::start(&token, &authority, &options);
    let client = engine.ready_client().await;
    let device = authority.device("phone", KeyAlgorithm::P256);
    let good = engine.request("good", &token, device.der());

    let mut told = Vec::new();
    for (padding, ciphertext) in [
        (Padding::OaepSha512, vec![0x11; 256]),
        (Padding::OaepSha512, vec![0xff; 256]),
        (Padding::OaepSha512, vec![0x11; 255]),
        (Padding::OaepSha512, Vec::new()),
        (
            Padding::OaepSha1,
            token.encrypt(Padding::OaepSha512, PASSWORD),
        ),
    ] {
        let mut bad = good.clone();
        bad.record.padding = padding;
        bad.record.encrypted_password = Base64Bytes(ciphertext);
        engine.sign(&mut bad);
        told.push(refused(&client, bad).await);
    }
    assert!(
        told.iter()
            .all(|(code, _)| *code == FailureCode::DecryptionFailed),
        "{told:?}"
    );
    told.dedup();
    assert_eq!(told.len(), 1);

    let mut other_key = good.clone();
    other_key.record.custody_key = Some("00".repeat(32));
    engine.sign(&mut other_key);
    assert_eq!(
        refused(&client, other_key).await.0,
        FailureCode::KeyNotFound
    );
    assert!(client.recrypt(good, DEADLINE).await.is_ok());
}

#[tokio::test]
async fn under_the_exceptions_records_from_intune_find_their_key_by_its_name() {
    let workshop = Workshop::new();
    let authority = workshop.authority("Devices", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    let options = Options {
        exceptions: vec!["unsigned-records", "no-device-anchors"],
        trusts_nobody: true,
        ..Options::default()
    };
    let engine = Engine::start(&token, &authority, &options);
    let client = engine.ready_client().await;
    let device = authority.device("phone", KeyAlgorithm::Rsa(2048));
    let mut request = engine.request("intune", &token, device.der());
    request.record.custody_key = None;
    request.record.importer_signature = None;
    let done = client.recrypt(request.clone(), DEADLINE).await.unwrap();
    assert_eq!(device.decrypt_cms(done.cms.as_slice()), PASSWORD);
    request.record.key_name = "another".to_owned();
    assert_eq!(refused(&client, request).await.0, FailureCode::KeyNotFound);
    let status = client.status().await.unwrap();
    assert_eq!(
        status.exceptions,
        exceptions_with(&["no-device-anchors", "unsigned-records"])
    );
}

#[tokio::test]
async fn many_requests_are_in_flight_over_one_connection() {
    let workshop = Workshop::new();
    let authority = workshop.authority("Devices", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    let engine = Engine::start(&token, &authority, &Options::default());
    let client = engine.ready_client().await;
    let device = authority.device("phone", KeyAlgorithm::P256).der();
    let mut running = Vec::new();
    for number in 0..100 {
        let request = engine.request(&format!("r-{number}"), &token, device.clone());
        let client = client.clone();
        running.push(tokio::spawn(async move {
            client.recrypt(request, DEADLINE).await
        }));
    }
    for request in running {
        assert!(request.await.unwrap().is_ok());
    }
    assert_eq!(client.status().await.unwrap().key_uses, 100);
}
