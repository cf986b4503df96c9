//! Keys that the engine made: what does not belong together is refused, each by what it is, and what only the custody key shows as one failure.

use super::engine::Engine;
use super::issuance::{made, options, refused, uses_of, usual};
use super::issuance_support::{Grant, issue, key_request, pack_request};
use super::openssl::{KeyAlgorithm, Workshop};
use super::requests::DEADLINE;
use super::softhsm::SoftHsm;
use audit::event::ResultClass;
use hsm::Padding;
use pfx_connector::encoding::Base64Bytes;
use pfx_connector::engine::api::keys::{
    KeyRecipient, KeyType, MadeKey, MakeKeyRequest, PackRequest,
};
use pfx_connector::engine::api::{CmsFormat, DeviceTarget, FailureCode};
use pfx_connector::engine::client::RecryptError;

/// Everything that a pack is asked with, changed one thing at a time.
#[tokio::test]
async fn what_does_not_belong_together_is_refused_by_what_it_is() {
    let workshop = Workshop::new();
    let devices = workshop.authority("Devices", KeyAlgorithm::P256);
    let people = workshop.authority("People", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    let engine = Engine::start(&token, &devices, &usual());
    let client = engine.ready_client().await;
    let phone = devices.device("phone", KeyAlgorithm::Rsa(2048));
    let one = made(&client, key_request("one", KeyType::EcP256)).await;
    let two = made(&client, key_request("two", KeyType::EcP256)).await;
    let grant =
        |made: &MadeKey, grant: &Grant<'_>| issue(&workshop, &people, made.csr.as_slice(), grant);
    let certificate = grant(&one, &Grant::default());
    let good = pack_request("one", &one, certificate.clone(), &[people.der()], &phone);
    let changed = |change: &dyn Fn(&mut PackRequest)| {
        let mut request = good.clone();
        change(&mut request);
        request
    };
    let with = |certificate: Vec<u8>| {
        changed(&|request| request.certificate = Base64Bytes(certificate.clone()))
    };

    use FailureCode::{
        BadRequest, DeviceCertificateRefused, FormatRefused, IssuedCertificateRefused,
        PlatformRefused, SealedKeyRefused,
    };
    let other_key = grant(&two, &Grant::default());
    let expired = grant(
        &one,
        &Grant {
            not_after: "20210101000000Z",
            ..Grant::default()
        },
    );
    let to_come = grant(
        &one,
        &Grant {
            not_before: "20480101000000Z",
            ..Grant::default()
        },
    );
    let authority = grant(
        &one,
        &Grant {
            extensions: "basicConstraints = critical, CA:TRUE",
            ..Grant::default()
        },
    );
    let more_names = grant(
        &one,
        &Grant {
            as_asked: false,
            extensions: "subjectAltName = email:ada@example.org, email:eve@example.org, otherName:1.3.6.1.4.1.311.20.2.3;UTF8:ada@corp.example.org",
            ..Grant::default()
        },
    );
    let fewer_names = grant(
        &one,
        &Grant {
            as_asked: false,
            extensions: "subjectAltName = email:ada@example.org",
            ..Grant::default()
        },
    );
    let other_subject = grant(
        &one,
        &Grant {
            subject: Some("/CN=Eve"),
            ..Grant::default()
        },
    );
    let self_signed = workshop.self_signed_device("phone", KeyAlgorithm::Rsa(2048));
    for (request, code, says) in [
        (
            with(other_key),
            IssuedCertificateRefused,
            "another public key",
        ),
        (with(expired), IssuedCertificateRefused, "not valid now"),
        (with(to_come), IssuedCertificateRefused, "not valid now"),
        (with(authority), IssuedCertificateRefused, "authority"),
        (
            with(more_names),
            IssuedCertificateRefused,
            "eve@example.org",
        ),
        (
            with(fewer_names),
            IssuedCertificateRefused,
            "ada@corp.example.org",
        ),
        (with(other_subject), IssuedCertificateRefused, "Eve"),
        (
            with(b"no certificate".to_vec()),
            IssuedCertificateRefused,
            "RFC 5280",
        ),
        (
            changed(&|request| request.request_id = "two".to_owned()),
            SealedKeyRefused,
            "another request",
        ),
        (
            changed(&|request| request.csr = two.csr.clone()),
            SealedKeyRefused,
            "another CSR",
        ),
        (
            changed(&|request| request.sealed_key = two.sealed_key.clone()),
            SealedKeyRefused,
            "another request",
        ),
        (
            changed(&|request| request.sealed_key = Base64Bytes(b"nothing sealed".to_vec())),
            SealedKeyRefused,
            "no sealed key",
        ),
        (
            changed(&|request| request.device.certificate = Base64Bytes(self_signed.der())),
            DeviceCertificateRefused,
            "anchor",
        ),
        (
            changed(&|request| request.platform = "chromeOs".to_owned()),
            PlatformRefused,
            "chromeOs",
        ),
        (
            changed(&|request| request.chain = vec![request.certificate.clone(); 9]),
            BadRequest,
            "chain",
        ),
        (
            changed(&|request| request.friendly_name = Some("a\nb".to_owned())),
            BadRequest,
            "friendlyName",
        ),
        (
            changed(&|request| request.apple_profile = Some("a\nb".to_owned())),
            BadRequest,
            "appleProfile",
        ),
        (
            changed(&|request| request.apple_profile = Some("mail".to_owned())),
            PlatformRefused,
            "Windows reads no configuration profile",
        ),
        (
            changed(&|request| {
                request.apple_profile = Some("mail".to_owned());
                request.platform = "ios".to_owned();
                request.format = CmsFormat::ModernGcm;
            }),
            FormatRefused,
            "EnvelopedData",
        ),
    ] {
        let (told, message) = refused(&client, request).await;
        assert_eq!(told, code, "{says}: {message}");
        assert!(message.contains(says), "{says}: {message}");
    }
    // None of it cost a use of the custody key.
    assert_eq!(client.status().await.unwrap().key_uses, 0);
    // An authority may say where somebody belongs.
    let belongs = grant(
        &one,
        &Grant {
            subject: Some("/C=GB/O=Engines of Ada/CN=Ada Lovelace"),
            ..Grant::default()
        },
    );
    assert!(client.pack(with(belongs), DEADLINE).await.is_ok());
    assert!(client.pack(good, DEADLINE).await.is_ok());
}

/// What shows only when the custody key is asked: one failure for all of it, recorded and counted.
#[tokio::test]
async fn a_sealed_key_that_was_changed_or_forged_fails_as_one_failure_and_counts() {
    let workshop = Workshop::new();
    let devices = workshop.authority("Devices", KeyAlgorithm::P256);
    let people = workshop.authority("People", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    let engine = Engine::start(&token, &devices, &usual());
    let client = engine.ready_client().await;
    let phone = devices.device("phone", KeyAlgorithm::Rsa(2048));
    let mut told = Vec::new();
    let mut whole = None;
    for id in ["moved", "wrapped", "encrypted"] {
        let one = made(&client, key_request(id, KeyType::EcP256)).await;
        let certificate = issue(&workshop, &people, one.csr.as_slice(), &Grant::default());
        let mut request = pack_request(id, &one, certificate, &[], &phone);
        if id == "wrapped" {
            whole = Some(request.clone());
        }
        let sealed = &mut request.sealed_key.0;
        match id {
            // As if it had been made for another request: the text in it is changed, and so is the request.
            "moved" => {
                let at = sealed.windows(5).position(|text| text == b"moved").unwrap();
                sealed[at..at + 5].copy_from_slice(b"stole");
                request.request_id = "stole".to_owned();
            }
            "wrapped" => *sealed.last_mut().unwrap() ^= 1,
            _ => {
                // Within the 256 bytes that are encrypted to the custody key.
                let at = sealed
                    .windows(4)
                    .position(|head| head == [0x04, 0x82, 1, 0])
                    .unwrap();
                sealed[at + 100] ^= 1;
            }
        }
        told.push(refused(&client, request).await);
    }
    assert_eq!(told[0].0, FailureCode::DecryptionFailed);
    assert!(told.iter().all(|one| *one == told[0]), "{told:?}");
    assert_eq!(
        uses_of(&engine, "stole")[0].result,
        ResultClass::PasswordRefused
    );
    assert_eq!(
        uses_of(&engine, "wrapped")[0].result,
        ResultClass::PasswordRefused
    );
    assert_eq!(
        uses_of(&engine, "encrypted")[0].result,
        ResultClass::BadCiphertext
    );
    let oracle = client.status().await.unwrap().oracle.unwrap();
    assert_eq!(oracle.quarantined, 3);
    let uid = rustix::process::geteuid().as_raw();
    assert_eq!(
        oracle.importers[0].name,
        Some(format!("keys made here, for user {uid}"))
    );
    assert_eq!(oracle.importers[0].failures_hour, 3);
    // The whole one has the ciphertext of its damaged copy, and is not quarantined with it.
    assert!(client.pack(whole.unwrap(), DEADLINE).await.is_ok());
}

/// The password of a record and the wrapping key of a sealed key are under one custody key; neither is taken for the other.
#[tokio::test]
async fn a_sealed_key_is_not_had_as_the_password_of_a_record() {
    let workshop = Workshop::new();
    let devices = workshop.authority("Devices", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    let engine = Engine::start(&token, &devices, &usual());
    let client = engine.ready_client().await;
    let phone = devices.device("phone", KeyAlgorithm::Rsa(2048));
    let one = made(&client, key_request("one", KeyType::EcP256)).await;
    let sealed =
        pfx_connector::engine::recrypt::sealed::SealedKey::read(one.sealed_key.as_slice()).unwrap();
    let mut record = engine.request("as-a-password", &token, phone.der());
    record.record.padding = sealed.binding().padding;
    record.record.encrypted_password = Base64Bytes(sealed.encrypted_key().to_vec());
    engine.sign(&mut record);
    match client.recrypt(record, DEADLINE).await {
        Err(RecryptError::Failed(failure)) => {
            assert_eq!(failure.code, FailureCode::DecryptionFailed);
        }
        other => panic!("not refused: {other:?}"),
    }
    assert!(engine.log().contains("other_kind_of_secret"));
    assert_eq!(sealed.binding().padding, Padding::OaepSha1, "SoftHSM's own");
}

#[tokio::test]
async fn a_form_that_is_not_approved_is_refused_by_name_with_its_exception() {
    let workshop = Workshop::new();
    let devices = workshop.authority("Devices", KeyAlgorithm::P256);
    let people = workshop.authority("People", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    let options = options(&[], "pfx = { form = \"compatible\" }\n");
    let engine = Engine::start(&token, &devices, &options);
    let client = engine.ready_client().await;
    let phone = devices.device("phone", KeyAlgorithm::Rsa(2048));
    let one = made(&client, key_request("one", KeyType::EcP384)).await;
    let certificate = issue(&workshop, &people, one.csr.as_slice(), &Grant::default());
    let mut request = pack_request("one", &one, certificate, &[], &phone);
    let (code, message) = refused(&client, request.clone()).await;
    assert_eq!(code, FailureCode::FormatRefused);
    assert!(message.contains("pkcs12-kdf-mac-write"), "{message}");
    request.format = CmsFormat::Compatible;
    assert_eq!(
        refused(&client, request).await.0,
        FailureCode::FormatRefused
    );
    assert_eq!(client.status().await.unwrap().key_uses, 0);
}

#[tokio::test]
async fn no_key_is_made_for_a_device_that_nothing_can_be_encrypted_to() {
    let workshop = Workshop::new();
    let devices = workshop.authority("Devices", KeyAlgorithm::P256);
    let strangers = workshop.authority("Devices", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    let engine = Engine::start(&token, &devices, &usual());
    let client = engine.ready_client().await;
    let request = |certificate: Vec<u8>, format| MakeKeyRequest {
        recipient: Some(KeyRecipient {
            device: DeviceTarget {
                certificate: certificate.into(),
                intermediates: Vec::new(),
            },
            format,
        }),
        ..key_request("for-a-device", KeyType::EcP256)
    };
    let (rsa, ec) = (KeyAlgorithm::Rsa(2048), KeyAlgorithm::P256);
    let phone = devices.device("phone", rsa);
    for (what, certificate, format) in [
        (
            "of another authority",
            strangers.device("phone", rsa).der(),
            CmsFormat::Modern,
        ),
        ("an authority", devices.der(), CmsFormat::Modern),
        ("none", b"none".to_vec(), CmsFormat::Modern),
        (
            "of a key that the format is not for",
            devices.device("tablet", ec).der(),
            CmsFormat::Compatible,
        ),
        (
            "a format that is not allowed",
            phone.der(),
            CmsFormat::CompatibleDesEde3,
        ),
    ] {
        match client
            .make_key(request(certificate, format), DEADLINE)
            .await
        {
            Err(RecryptError::Failed(failure)) => {
                assert!(!failure.code.is_transient(), "{what}: {}", failure.message);
                assert_eq!(
                    failure.code == FailureCode::FormatRefused,
                    what.contains("format"),
                    "{what}: {:?}",
                    failure.code
                );
            }
            other => panic!("{what}: {other:?}"),
        }
    }
    let made =
        |status: pfx_connector::engine::api::EngineStatus| status.issuance.unwrap().keys_made;
    assert_eq!(made(client.status().await.unwrap()), 0);
    let good = request(phone.der(), CmsFormat::Modern);
    client.make_key(good, DEADLINE).await.unwrap();
    assert_eq!(made(client.status().await.unwrap()), 1);
}
