//! Keys that the engine makes, and the certificates that come back for them: what a device gets.

use super::engine::{Engine, FIPS_EXCEPTIONS, Options, crash, part};
use super::issuance_support::{
    Grant, issue, key_request, opened_by_device, pack_request, pfx_content, public_of_key,
    verified_csr,
};
use super::openssl::{Authority, Device, KeyAlgorithm, Workshop};
use super::requests::DEADLINE;
use super::softhsm::SoftHsm;
use audit::event::{Event, KeyUse, Packing, Purpose, ResultClass};
use audit::storage::Folder;
use audit::{Entry, Hash};
use pfx_connector::encoding::Base64Bytes;
use pfx_connector::engine::api::FailureCode;
use pfx_connector::engine::api::keys::{
    CsrSignature, KeyType, MadeKey, MakeKeyRequest, PackRequest, Platform,
};
use pfx_connector::engine::client::{EngineClient, RecryptError};
use rustix::process::Signal;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;

/// RSA-4096 on a busy machine.
const LONG: Duration = Duration::from_secs(120);

pub(crate) fn options(fips: &[&str], engine: &str) -> Options {
    Options {
        fips: Some(format!("exceptions = {fips:?}")),
        engine: format!("issuance = {{ key_threads = 1 }}\n{engine}"),
        ..Options::default()
    }
}

/// Reads EC devices and OpenSSL 3.0, which knows no PBMAC1.
pub(crate) fn usual() -> Options {
    let mut named = FIPS_EXCEPTIONS.to_vec();
    named.push("pkcs12-kdf-mac-write");
    options(&named, "")
}

pub(crate) async fn made(client: &EngineClient, request: MakeKeyRequest) -> MadeKey {
    client.make_key(request, LONG).await.unwrap()
}

pub(crate) async fn refused(client: &EngineClient, request: PackRequest) -> (FailureCode, String) {
    match client.pack(request, DEADLINE).await {
        Err(RecryptError::Failed(failure)) => (failure.code, failure.message),
        other => panic!("not refused: {other:?}"),
    }
}

pub(crate) fn entries(engine: &Engine) -> Vec<Entry> {
    let log = Folder::for_reading(&engine.path().join("audit")).unwrap();
    let mut entries = Vec::new();
    audit::read::entries(&log, |_, entry, _| {
        entries.push(entry.clone());
        ControlFlow::Continue(())
    })
    .unwrap();
    entries
}

pub(crate) fn uses_of(engine: &Engine, request: &str) -> Vec<KeyUse> {
    let used = |entry: Entry| match entry.event {
        Event::KeyUse(used) if used.request == request => Some(*used),
        _ => None,
    };
    entries(engine).into_iter().filter_map(used).collect()
}

/// Asserts that a device opens what was packed, and finds this key with this certificate.
fn assert_arrives(
    workshop: &Workshop,
    device: &Device<'_>,
    packed: &pfx_connector::engine::api::Packed,
    made: &MadeKey,
    certificates: usize,
) {
    let (pfx, password) = opened_by_device(device, packed);
    let found = pfx_content(workshop, &pfx, &password);
    let public = public_of_key(workshop, &found);
    assert_eq!(Hash::of(&public).to_string(), made.public_key);
    assert_eq!(found.matches("BEGIN CERTIFICATE").count(), certificates);
    assert!(found.contains("friendlyName: Mail"), "{found}");
}

#[tokio::test]
async fn every_kind_of_key_is_made_certified_and_arrives() {
    let workshop = Workshop::new();
    let devices = workshop.authority("Devices", KeyAlgorithm::P256);
    let root = workshop.authority("People", KeyAlgorithm::P384);
    let issuer = root.intermediate("People 1", KeyAlgorithm::Rsa(2048));
    let token = SoftHsm::new();
    let engine = Engine::start(&token, &devices, &usual());
    let client = engine.ready_client().await;
    let phone = devices.device("phone", KeyAlgorithm::Rsa(2048));
    let tablet = devices.device("tablet", KeyAlgorithm::P256);
    for (number, key) in KeyType::ALL.into_iter().enumerate() {
        let id = format!("request-{}", key.name());
        let one = made(&client, key_request(&id, key)).await;
        assert_eq!(one.custody_key, token.fingerprint());
        let said = verified_csr(&workshop, one.csr.as_slice());
        for wanted in [
            "CN = Ada Lovelace",
            "O = \"Engines, Inc.\"",
            "email:ada@example.org",
            "ada@corp.example.org",
            "Digital Signature",
            "E-mail Protection",
        ] {
            assert!(said.contains(wanted), "{wanted}: {said}");
        }
        let certificate = issue(&workshop, &issuer, one.csr.as_slice(), &Grant::default());
        // The order is the caller's to get wrong, and strangers among them are left out.
        let chain = [root.der(), devices.der(), issuer.der()];
        let device = if number % 2 == 0 { &phone } else { &tablet };
        let mut request = pack_request(&id, &one, certificate.clone(), &chain, device);
        request.platform = Platform::ALL[number % Platform::ALL.len()]
            .name()
            .to_owned();
        let packed = client.pack(request, DEADLINE).await.unwrap();
        assert_eq!(
            (packed.form.as_str(), packed.chain_certificates),
            ("compatible", 2)
        );
        assert_arrives(&workshop, device, &packed, &one, 3);

        // The log joins the two, and names what they were about.
        let entries = entries(&engine);
        let made = entries
            .iter()
            .find_map(|entry| match &entry.event {
                Event::KeyMade(made) if made.request == id => Some(made),
                _ => None,
            })
            .unwrap();
        assert_eq!(made.kind, key.name());
        assert_eq!(made.csr, Hash::of(one.csr.as_slice()));
        assert_eq!(made.key.to_string(), token.fingerprint());
        let used = uses_of(&engine, &id);
        assert_eq!(used.len(), 1, "one use of the custody key");
        assert_eq!(used[0].record, made.sealed);
        assert_eq!(
            used[0].purpose,
            Purpose::Pack(Packing {
                device: Hash::of(&device.der()),
                certificate: Hash::of(&certificate),
            })
        );
        assert_eq!(used[0].result, ResultClass::Decrypted);
    }
    let issuance = client.status().await.unwrap().issuance.unwrap();
    assert_eq!((issuance.keys_made, issuance.packed), (6, 6));
}

#[tokio::test]
async fn a_csr_is_signed_as_it_is_asked_for() {
    let workshop = Workshop::new();
    let devices = workshop.authority("Devices", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    let engine = Engine::start(&token, &devices, &usual());
    let client = engine.ready_client().await;
    for (signature, says) in [
        (CsrSignature::Usual, "sha256WithRSAEncryption"),
        (CsrSignature::Pkcs1Sha512, "sha512WithRSAEncryption"),
        (CsrSignature::PssSha256, "rsassaPss"),
        (CsrSignature::PssSha384, "sha384"),
    ] {
        let request = MakeKeyRequest {
            signature,
            ..key_request("signed", KeyType::Rsa2048)
        };
        let one = made(&client, request).await;
        let said = verified_csr(&workshop, one.csr.as_slice());
        assert!(said.contains(says), "{signature:?}: {said}");
    }
    let wrong = MakeKeyRequest {
        signature: CsrSignature::PssSha256,
        ..key_request("signed", KeyType::EcP256)
    };
    let told = client.make_key(wrong, DEADLINE).await;
    assert!(
        matches!(&told, Err(RecryptError::Failed(failure)) if failure.code == FailureCode::BadRequest),
        "{told:?}"
    );
}

#[tokio::test]
async fn a_key_outlives_restarts_and_the_death_of_every_process() {
    let workshop = Workshop::new();
    let devices = workshop.authority("Devices", KeyAlgorithm::P256);
    let people = workshop.authority("People", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    let mut engine = Engine::start(&token, &devices, &usual());
    let phone = devices.device("phone", KeyAlgorithm::Rsa(2048));
    let mut client = engine.ready_client().await;
    for id in ["custody killed", "all killed", "stopped"] {
        let name = id.replace(' ', "-");
        let one = made(&client, key_request(&name, KeyType::Rsa2048)).await;
        let certificate = issue(&workshop, &people, one.csr.as_slice(), &Grant::default());
        match id {
            "custody killed" => {
                let status = client.status().await.unwrap();
                crash(part(&status, "custody").pid.unwrap(), Signal::KILL);
            }
            "all killed" => {
                engine.signal(Signal::KILL);
                engine.wait();
                engine.launch();
            }
            _ => {
                engine.signal(Signal::TERM);
                engine.wait();
                engine.launch();
            }
        }
        client = engine.ready_client().await;
        let request = pack_request(&name, &one, certificate, &[people.der()], &phone);
        let packed = client.pack(request, LONG).await.unwrap();
        assert_arrives(&workshop, &phone, &packed, &one, 2);
    }
}

/// What is known of a private key once it has arrived: looked for in everything that the engine has written.
#[tokio::test]
async fn nothing_of_the_key_is_on_the_disk_or_in_a_log() {
    let workshop = Workshop::new();
    let devices = workshop.authority("Devices", KeyAlgorithm::P256);
    let people = workshop.authority("People", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    let engine = Engine::start(&token, &devices, &usual());
    let client = engine.ready_client().await;
    let phone = devices.device("phone", KeyAlgorithm::Rsa(2048));
    for key in [KeyType::EcP256, KeyType::Rsa2048] {
        let one = made(&client, key_request(key.name(), key)).await;
        let certificate = issue(&workshop, &people, one.csr.as_slice(), &Grant::default());
        let request = pack_request(key.name(), &one, certificate, &[], &phone);
        let packed = client.pack(request, DEADLINE).await.unwrap();
        let (pfx, password) = opened_by_device(&phone, &packed);
        let pem = pfx_content(&workshop, &pfx, &password);
        let file = workshop.file(pem.as_bytes());
        let arguments = [
            "pkey",
            "-in",
            super::openssl::text(&file),
            "-outform",
            "DER",
        ];
        let der = super::openssl::openssl(&arguments);
        // RSA: a piece out of the middle, where private numbers are. EC: the scalar, behind its OCTET STRING's header.
        let secret = match key {
            KeyType::EcP256 => {
                let at = der
                    .windows(2)
                    .position(|head| head == [0x04, 0x20])
                    .unwrap();
                der[at + 2..at + 34].to_vec()
            }
            _ => der[der.len() / 2..der.len() / 2 + 32].to_vec(),
        };
        assert!(!found(one.sealed_key.as_slice(), &secret));
        assert_nowhere(engine.path(), &secret);
        assert_nowhere(engine.path(), password.as_bytes());
    }
}

fn found(bytes: &[u8], secret: &[u8]) -> bool {
    let base64 = Base64Bytes(secret.to_vec()).encode();
    // Of a base64 text only its middle does not depend on what stands before it; three offsets make every one.
    let hex = pfx_connector::encoding::hex(secret);
    [
        secret,
        hex.as_bytes(),
        base64.trim_end_matches('=').as_bytes(),
    ]
    .iter()
    .any(|needle| bytes.windows(needle.len()).any(|at| at == *needle))
}

fn assert_nowhere(folder: &Path, secret: &[u8]) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            assert_nowhere(&path, secret);
        } else if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            assert!(!found(&bytes, secret), "{}", path.display());
        }
    }
}

/// Strict FIPS mode without any exception: RSA devices, and a PFX of the approved form, which our own reader opens.
#[tokio::test]
async fn strict_mode_does_all_of_it_without_an_exception_and_says_who_does_not_read_the_result() {
    let workshop = Workshop::new();
    let devices = workshop.authority("Devices", KeyAlgorithm::P256);
    let people = workshop.authority("People", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    let engine = Engine::start(&token, &devices, &options(&[], ""));
    let client = engine.ready_client().await;
    let phone = devices.device("phone", KeyAlgorithm::Rsa(2048));
    let one = made(&client, key_request("one", KeyType::Rsa3072)).await;
    verified_csr(&workshop, one.csr.as_slice());
    let certificate = issue(&workshop, &people, one.csr.as_slice(), &Grant::default());
    let request = pack_request("one", &one, certificate, &[people.der()], &phone);
    let packed = client.pack(request.clone(), DEADLINE).await.unwrap();
    assert_eq!(packed.form, "approved");
    let warnings = packed.warnings.join("\n");
    assert!(
        warnings.contains("PBMAC1") && warnings.contains("pkcs12-kdf-mac-write"),
        "{warnings}"
    );
    let (pfx, password) = opened_by_device(&phone, &packed);
    fips::start(fips::policy::Policy::OFF).unwrap();
    let opened = formats::pfx::read(
        &pfx,
        &fips::secret::SecretBytes::from_slice(password.as_bytes()),
        &formats::pfx::PfxLimits::default(),
    )
    .unwrap();
    let public = fips::pkcs8_public(opened.keys()[0].pkcs8().expose()).unwrap();
    assert_eq!(Hash::of(&public).to_string(), one.public_key);
    assert_eq!(opened.certificates().len(), 2);

    // An EC device takes an exception, which is named.
    let tablet = devices.device("tablet", KeyAlgorithm::P256);
    let mut to_tablet = request;
    to_tablet.device.certificate = Base64Bytes(tablet.der());
    let (code, message) = refused(&client, to_tablet).await;
    assert_eq!(code, FailureCode::FormatRefused);
    assert!(message.contains("cms-ecdh-static"), "{message}");
}

/// Keys are made beside the requests: while the one maker is busy with large ones, re-encryptions go on, and what would wait too long is shed.
#[tokio::test]
async fn large_keys_hold_nothing_up_and_too_many_of_them_are_shed() {
    let workshop = Workshop::new();
    let devices = workshop.authority("Devices", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    let mut options = usual();
    options.engine = "issuance = { key_threads = 1, key_queue = 8 }\n".to_owned();
    let engine = Engine::start(&token, &devices, &options);
    let client = engine.ready_client().await;
    let phone = devices.device("phone", KeyAlgorithm::Rsa(2048));
    let wanted: Vec<_> = (0..24)
        .map(|number| {
            let client = client.clone();
            tokio::spawn(async move {
                let request = key_request(&format!("large-{number}"), KeyType::Rsa4096);
                client.make_key(request, LONG).await
            })
        })
        .collect();
    let status = engine
        .wait_for(&client, "a full queue", |status| {
            status
                .issuance
                .is_some_and(|issuance| issuance.keys_shed > 0 && issuance.keys_waiting > 4)
        })
        .await;
    assert_eq!(status.issuance.unwrap().keys_in_making, 1);
    // More than the custody process has threads for requests, and than the supervisor hands out at once.
    for number in 0..12 {
        let request = engine.request(&format!("between-{number}"), &token, phone.der());
        client.recrypt(request, DEADLINE).await.unwrap();
    }
    let status = client.status().await.unwrap().issuance.unwrap();
    assert!(
        status.keys_waiting > 0,
        "they were made meanwhile: {status:?}"
    );
    let mut shed = 0;
    for one in wanted {
        if !one.is_finished() {
            // Nobody waits for the others; the engine ends with the test.
            one.abort();
            continue;
        }
        match one.await.unwrap() {
            Ok(_) => {}
            Err(RecryptError::Failed(failure)) => {
                assert_eq!(failure.code, FailureCode::Busy, "{failure:?}");
                shed += 1;
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert!(shed > 0);
    // What cannot be made in time is told in time.
    let late = key_request("late", KeyType::EcP256);
    let told = client.make_key(late, Duration::from_millis(1)).await;
    assert!(
        matches!(&told, Err(RecryptError::Failed(failure)) if matches!(failure.code, FailureCode::DeadlineExceeded | FailureCode::Busy)),
        "{told:?}"
    );
}

#[tokio::test]
async fn an_engine_that_was_not_told_to_makes_no_keys() {
    let workshop = Workshop::new();
    let devices = workshop.authority("Devices", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    let engine = Engine::start(&token, &devices, &Options::default());
    let client = engine.ready_client().await;
    match client
        .make_key(key_request("one", KeyType::EcP256), DEADLINE)
        .await
    {
        Err(RecryptError::Failed(failure)) => {
            assert_eq!(failure.code, FailureCode::BadRequest);
            assert!(failure.message.contains("[engine.issuance]"), "{failure:?}");
        }
        other => panic!("not refused: {other:?}"),
    }
    assert!(client.status().await.unwrap().issuance.is_none());
}

/// With two custody keys the engine does not guess; what was sealed to one is opened by it, whichever is named later.
#[tokio::test]
async fn of_several_custody_keys_the_named_one_is_sealed_to() {
    let workshop = Workshop::new();
    let devices = workshop.authority("Devices", KeyAlgorithm::P256);
    let people: Authority<'_> = workshop.authority("People", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    let second = pfx_connector::encoding::hex(&token.add_key("second").fingerprint());
    let engine = Engine::start(&token, &devices, &usual());
    let client = engine.ready_client().await;
    let phone = devices.device("phone", KeyAlgorithm::Rsa(2048));
    let unnamed = key_request("one", KeyType::EcP256);
    match client.make_key(unnamed.clone(), DEADLINE).await {
        Err(RecryptError::Failed(failure)) => {
            assert_eq!(failure.code, FailureCode::BadRequest);
            assert!(
                failure.message.contains("engine.issuance.custody_key"),
                "{failure:?}"
            );
        }
        other => panic!("not refused: {other:?}"),
    }
    for key in [token.fingerprint(), second] {
        let request = MakeKeyRequest {
            custody_key: Some(key.clone()),
            ..unnamed.clone()
        };
        let one = made(&client, request).await;
        assert_eq!(one.custody_key, key);
        let certificate = issue(&workshop, &people, one.csr.as_slice(), &Grant::default());
        let request = pack_request("one", &one, certificate, &[], &phone);
        let packed = client.pack(request, DEADLINE).await.unwrap();
        assert_eq!(packed.custody_key, key);
        assert_arrives(&workshop, &phone, &packed, &one, 1);
    }
}
