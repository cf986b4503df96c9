//! What strict mode does and refuses.

use super::engine::{Engine, Options, PASSWORD, part, send_signal};
use super::openssl::{KeyAlgorithm, Workshop};
use super::softhsm::SoftHsm;
use super::{DEADLINE, evidence, padded, refusals, refused, request};
use fips::policy::{Exception, Service};
use hsm::Padding;
use pfx_connector::engine::api::{CmsFormat, FailureCode};
use rustix::process::Signal;

fn strict() -> Options {
    Options {
        fips: Some(String::new()),
        exceptions: vec!["cms-des-ede3"],
        ..Options::default()
    }
}

#[tokio::test]
async fn without_any_exception_the_token_does_both_ends_and_nothing_is_not_approved() {
    let workshop = Workshop::new();
    let authority = workshop.authority("Devices", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    let engine = Engine::start(&token, &authority, &strict());
    let client = engine.ready_client().await;
    let before = client.status().await.unwrap();
    let transported = evidence(&before, "custody").performed(Service::TokenOaepEncrypt);

    for (number, bits) in [2048, 3072, 4096].into_iter().enumerate() {
        let device = authority.device("phone", KeyAlgorithm::Rsa(bits));
        let request = request(&engine, &format!("r-{number}"), &token, device.der());
        let done = client.recrypt(request, DEADLINE).await.unwrap();
        assert_eq!(device.decrypt_cms(done.cms.as_slice()), PASSWORD);
        // SoftHSM encrypts with SHA-1 alone, which is the default that DER leaves out; the module would have taken SHA-256.
        let printed = workshop.print_cms(done.cms.as_slice());
        assert!(printed.contains("rsaesOaep"), "{printed}");
        assert!(!printed.contains("sha256"), "{printed}");
    }

    let status = client.status().await.unwrap();
    let custody = evidence(&status, "custody");
    assert_eq!(custody.mode, "strict");
    assert!(custody.exceptions.is_empty());
    // One C_Encrypt for each delivery, and none in the module.
    assert_eq!(
        custody.performed(Service::TokenOaepEncrypt),
        transported + 3
    );
    assert_eq!(custody.performed(Service::RsaOaepEncrypt), 0);
    assert_eq!(custody.performed(Service::AesCbc), 3);
    for process in &status.fips {
        assert_eq!(process.not_approved, 0, "{process:?}");
        assert_eq!(process.fault, None);
        assert!(
            process
                .services
                .iter()
                .all(|service| service.disagreed == 0)
        );
    }
    let test = custody.module.self_test.as_ref().unwrap();
    assert!(test.integrity_passed && test.known_answers_passed);
    assert!(evidence(&status, "formats").performed(Service::SignatureVerification) > 0);
    assert_eq!(evidence(&status, "supervisor").mode, "strict");
}

#[tokio::test]
async fn what_is_not_approved_is_refused_before_the_key_is_used_with_algorithm_and_remedy() {
    let workshop = Workshop::new();
    let authority = workshop.authority("Devices", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    let engine = Engine::start(&token, &authority, &strict());
    let client = engine.ready_client().await;
    let rsa = authority.device("phone", KeyAlgorithm::Rsa(2048));
    let ec = authority.device("tablet", KeyAlgorithm::P384);

    let cases = [
        (&ec, CmsFormat::Modern, Service::Ecdh, "ECDH"),
        (
            &rsa,
            CmsFormat::Compatible,
            Service::RsaPkcs1v15Encrypt,
            "RSAES-PKCS1-v1_5",
        ),
        (
            &rsa,
            CmsFormat::CompatibleDesEde3,
            Service::RsaPkcs1v15Encrypt,
            "RSAES-PKCS1-v1_5",
        ),
    ];
    for (number, (device, format, service, algorithm)) in cases.into_iter().enumerate() {
        let mut request = request(&engine, &format!("r-{number}"), &token, device.der());
        request.format = format;
        let failure = refused(&client, request).await;
        assert_eq!(failure.code, FailureCode::FormatRefused, "{failure:?}");
        for part in [service.name(), algorithm, service.entry().remedy] {
            assert!(failure.message.contains(part), "{part}: {failure:?}");
        }
        let status = client.status().await.unwrap();
        assert!(refusals(evidence(&status, "custody"), service) > 0);
    }
    for padding in [Padding::OaepSha256, Padding::OaepSha512] {
        let request = padded(&engine, "padding", &token, rsa.der(), padding);
        let failure = refused(&client, request).await;
        assert_eq!(failure.code, FailureCode::BadRequest, "{failure:?}");
        assert!(
            failure.message.contains("oaep-unpadding-in-software"),
            "{failure:?}"
        );
    }
    let status = client.status().await.unwrap();
    assert_eq!(status.key_uses, 0);
    for process in &status.fips {
        assert_eq!(process.not_approved, 0, "{process:?}");
    }
}

#[tokio::test]
async fn each_works_under_its_exception_and_is_counted_by_name() {
    let workshop = Workshop::new();
    let authority = workshop.authority("Devices", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    let rsa = authority.device("phone", KeyAlgorithm::Rsa(2048));
    let ec = authority.device("tablet", KeyAlgorithm::P256);
    let cases: [(&[Exception], _, _, _, &[Service]); 4] = [
        (
            &[Exception::CmsEcdhStatic],
            &ec,
            CmsFormat::Modern,
            Padding::OaepSha1,
            &[Service::Ecdh, Service::X963Kdf],
        ),
        (
            &[Exception::CmsRsaPkcs1v15],
            &rsa,
            CmsFormat::Compatible,
            Padding::OaepSha1,
            &[Service::RsaPkcs1v15Encrypt],
        ),
        (
            &[Exception::CmsRsaPkcs1v15, Exception::TripleDesEncryption],
            &rsa,
            CmsFormat::CompatibleDesEde3,
            Padding::OaepSha1,
            &[Service::RsaPkcs1v15Encrypt, Service::TripleDesEncrypt],
        ),
        (
            &[Exception::OaepUnpaddingInSoftware],
            &rsa,
            CmsFormat::Modern,
            Padding::OaepSha512,
            &[Service::TokenRawRsaOaep],
        ),
    ];
    for (exceptions, device, format, padding, services) in cases {
        let names: Vec<_> = exceptions.iter().map(|named| named.name()).collect();
        let options = Options {
            fips: Some(format!("exceptions = {names:?}")),
            ..strict()
        };
        let engine = Engine::start(&token, &authority, &options);
        let client = engine.ready_client().await;
        let mut request = padded(&engine, "r", &token, device.der(), padding);
        request.format = format;
        let done = client.recrypt(request, DEADLINE).await.unwrap();
        assert_eq!(
            device.decrypt_cms(done.cms.as_slice()),
            PASSWORD,
            "{names:?}"
        );
        let status = client.status().await.unwrap();
        let custody = evidence(&status, "custody");
        assert_eq!(custody.exceptions, names);
        assert!(custody.not_approved > 0);
        for service in services {
            assert!(custody.performed(*service) > 0, "{}", service.name());
        }
        for name in names {
            assert!(
                status.exceptions.iter().any(|shown| shown == name),
                "{name}"
            );
        }
    }
}

/// Custody reads the configuration at each of its starts. A mode that was changed in the file must wait for the engine's restart, and not
/// come into force with a crash.
#[tokio::test]
async fn a_mode_that_was_changed_in_the_file_is_not_taken_up_by_a_custody_that_starts_again() {
    let workshop = Workshop::new();
    let authority = workshop.authority("Devices", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    let engine = Engine::start(&token, &authority, &strict());
    let client = engine.ready_client().await;
    let first = part(&client.status().await.unwrap(), "custody")
        .pid
        .unwrap();

    let file = engine.path().join("config.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let changed = text.replacen("[fips]\n", "[fips]\nmode = \"off\"\n", 1);
    assert_ne!(text, changed);
    std::fs::write(&file, changed).unwrap();
    send_signal(first, Signal::KILL);
    let status = engine
        .wait_for(&client, "another custody", |status| {
            status.token.is_some() && part(status, "custody").pid != Some(first)
        })
        .await;
    assert_eq!(evidence(&status, "custody").mode, "strict");
    assert!(
        engine
            .log()
            .contains("[fips] of the configuration was changed")
    );
    let ec = authority.device("tablet", KeyAlgorithm::P256);
    let failure = refused(&client, request(&engine, "ec", &token, ec.der())).await;
    assert_eq!(failure.code, FailureCode::FormatRefused, "{failure:?}");
}
