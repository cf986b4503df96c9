//! Records of old imports (PKCS#1 v1.5): only with a key that is named for them, for some time, and never as an oracle.

use super::engine::{Engine, FIPS_EXCEPTIONS, Options, PASSWORD};
use super::openssl::{Authority, Device, KeyAlgorithm, Workshop};
use super::oracle::{ask, raw_answer, status};
use super::receipts::uses;
use super::requests::DEADLINE;
use super::softhsm::{PIN, SoftHsm, TOKEN_LABEL, encrypt_pkcs1, module};
use audit::event::{PfxCheck, ResultClass};
use hsm::Padding;
use pfx_connector::encoding::Base64Bytes;
use pfx_connector::engine::api::{FailureCode, RecryptRequest, ReencryptRequest};
use pfx_connector::engine::client::{EngineClient, RecryptError};
use std::process::Command;

const OFF: &str = "mode = \"off\"";

pub(super) fn named(fingerprint: &str, until: &str) -> String {
    format!("[[engine.pkcs1_keys]]\nfingerprint = \"{fingerprint}\"\nuntil = \"{until}\"\n")
}

/// An engine in mode off with these keys, and further lines of its configuration.
fn start(token: &SoftHsm, authority: &Authority<'_>, keys: &str) -> Engine {
    let options = Options {
        fips: Some(OFF.to_owned()),
        importers: keys.to_owned(),
        ..Options::default()
    };
    Engine::start(token, authority, &options)
}

/// A request for a record of an old import whose ciphertext is this one, and whose PFX has the usual password.
pub(super) fn old(
    engine: &Engine,
    id: &str,
    (token, device): (&SoftHsm, &Device<'_>),
    pfx: &[u8],
    ciphertext: Vec<u8>,
) -> RecryptRequest {
    let mut request = engine.request(id, token, device.der());
    request.pfx = Base64Bytes(pfx.to_vec());
    request.record.padding = Padding::Pkcs1;
    request.record.encrypted_password = Base64Bytes(ciphertext);
    engine.sign(&mut request);
    request
}

fn pfx_of(device: &Device<'_>) -> Vec<u8> {
    device.pfx(std::str::from_utf8(PASSWORD).unwrap(), &[])
}

async fn refused(client: &EngineClient, request: RecryptRequest) -> (FailureCode, String) {
    match client.recrypt(request, DEADLINE).await {
        Err(RecryptError::Failed(failure)) => (failure.code, failure.message),
        other => panic!("not refused: {other:?}"),
    }
}

const FAILED: Option<FailureCode> = Some(FailureCode::DecryptionFailed);

#[tokio::test]
async fn a_record_of_an_old_import_is_delivered_and_its_receipt_names_the_padding() {
    let workshop = Workshop::new();
    let authority = workshop.authority("Devices", KeyAlgorithm::P256);
    let device = authority.device("phone", KeyAlgorithm::Rsa(2048));
    let token = SoftHsm::new();
    let engine = start(
        &token,
        &authority,
        &named(&token.fingerprint(), "2999-12-31"),
    );
    let client = engine.ready_client().await;
    let pfx = pfx_of(&device);
    let ciphertext = encrypt_pkcs1(token.public_key(), PASSWORD);
    let request = old(&engine, "old", (&token, &device), &pfx, ciphertext);
    let done = client.recrypt(request, DEADLINE).await.unwrap();
    assert_eq!(device.decrypt_cms(done.cms.as_slice()), PASSWORD);

    let said = client.status().await.unwrap();
    assert_eq!(said.pkcs1_keys.len(), 1);
    assert_eq!(said.pkcs1_keys[0].fingerprint, token.fingerprint());
    assert_eq!(said.pkcs1_keys[0].until, "2999-12-31");
    assert!(said.pkcs1_keys[0].days_left.unwrap() > 300_000);
    let capabilities = said.capabilities.unwrap();
    assert_eq!(capabilities["pkcs1Software"][0], token.fingerprint());

    let uses = uses(&engine);
    let used = &uses["old"][0];
    assert_eq!(used.padding, "pkcs1");
    assert_eq!(used.result, ResultClass::Decrypted);
    // Whatever `engine.oracle.check_password` says.
    assert_eq!(used.pfx_check, Some(PfxCheck::Opened));
}

#[tokio::test]
async fn every_failing_answer_is_the_same_bytes_whatever_the_padding_was_and_counts() {
    let workshop = Workshop::new();
    let authority = workshop.authority("Devices", KeyAlgorithm::P256);
    let device = authority.device("phone", KeyAlgorithm::Rsa(2048));
    let token = SoftHsm::new();
    let engine = start(
        &token,
        &authority,
        &named(&token.fingerprint(), "2999-12-31"),
    );
    let client = engine.ready_client().await;
    let pfx = pfx_of(&device);
    let request = |ciphertext| old(&engine, "r", (&token, &device), &pfx, ciphertext);
    let good = encrypt_pkcs1(token.public_key(), PASSWORD);
    let mut changed = good.clone();
    changed[100] ^= 1;
    let requests = [
        // Padding that is right, and a password that is not.
        request(encrypt_pkcs1(token.public_key(), b"wrong")),
        // Padding that is not.
        request(changed),
        request(token.encrypt(Padding::OaepSha256, PASSWORD)),
        request(vec![0; 256]),
    ];
    let mut answers = Vec::new();
    for request in requests.iter().chain(&requests[1..2]) {
        answers.push(raw_answer(&engine, request).await);
    }
    assert!(
        answers.windows(2).all(|pair| pair[0] == pair[1]),
        "{answers:?}"
    );
    let (used, oracle) = status(&client).await;
    assert_eq!(oracle.importers[0].failures_hour, 4);
    assert_eq!(oracle.quarantined, 4);
    // Another one's failure stands for no use of the key; what is quarantined is not tried again.
    assert_eq!(used, 4);
    let results: Vec<_> = uses(&engine)["r"].iter().map(|used| used.result).collect();
    assert_eq!(results, [ResultClass::PasswordRefused; 4], "one class");
    // The budget is the same as for everything else.
    let fifth = request(encrypt_pkcs1(token.public_key(), b"also wrong"));
    assert_eq!(ask(&client, fifth).await, FAILED);
    let suspended = Some(FailureCode::ImporterSuspended);
    assert_eq!(ask(&client, request(good)).await, suspended);
}

#[tokio::test]
async fn without_a_key_that_is_named_and_after_its_last_day_nothing_is_decrypted() {
    let workshop = Workshop::new();
    let authority = workshop.authority("Devices", KeyAlgorithm::P256);
    let device = authority.device("phone", KeyAlgorithm::Rsa(2048));
    let token = SoftHsm::new();
    let pfx = pfx_of(&device);
    for (keys, word) in [
        (String::new(), "does not name"),
        (named(&"ab".repeat(32), "2999-12-31"), "does not name"),
        (named(&token.fingerprint(), "2020-01-01"), "2020-01-01"),
    ] {
        let engine = start(&token, &authority, &keys);
        let client = engine.ready_client().await;
        let ciphertext = encrypt_pkcs1(token.public_key(), PASSWORD);
        let request = old(&engine, "old", (&token, &device), &pfx, ciphertext);
        let (code, message) = refused(&client, request).await;
        assert_eq!(code, FailureCode::BadRequest, "{message}");
        for part in [word, "engine.pkcs1_keys", "OAEP"] {
            assert!(message.contains(part), "{message}");
        }
        let (used, oracle) = status(&client).await;
        assert_eq!((used, oracle.quarantined), (0, 0));
        // Everything else goes on.
        let request = engine.request("new", &token, device.der());
        assert_eq!(ask(&client, request).await, None);
        if word == "2020-01-01" {
            let said = client.status().await.unwrap();
            assert_eq!(said.pkcs1_keys[0].days_left, None);
            let log = engine.log();
            assert!(log.contains("which is over"), "{log}");
        }
    }
}

#[test]
fn in_strict_mode_neither_the_configuration_nor_the_engine_takes_such_a_key() {
    let workshop = Workshop::new();
    let authority = workshop.authority("Devices", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    let options = Options {
        fips: Some(format!("exceptions = {FIPS_EXCEPTIONS:?}")),
        importers: named(&token.fingerprint(), "2999-12-31"),
        ..Options::default()
    };
    let mut engine = Engine::prepare(&token, &authority, &options);
    let config = engine.path().join("config.toml");
    let output = Command::new(env!("CARGO_BIN_EXE_pfx-connector"))
        .args(["config", "check", "--config"])
        .arg(&config)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned()
        + &String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success(), "{said}");
    engine.launch();
    assert!(!engine.wait().success());
    for text in [said, engine.log()] {
        for part in ["engine.pkcs1_keys", "strict", "OAEP", "key rotate"] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}

#[tokio::test]
async fn a_record_of_an_old_import_is_re_encrypted_if_its_password_opens_the_pfx() {
    let workshop = Workshop::new();
    let authority = workshop.authority("Devices", KeyAlgorithm::P256);
    let device = authority.device("phone", KeyAlgorithm::Rsa(2048));
    let token = SoftHsm::new();
    let second = token.add_key("second");
    let signer = token.path().join("rotation.pem");
    let made = Command::new(env!("CARGO_BIN_EXE_pfx-connector"))
        .args(["key", "generate-signing", "--key-label", "pfx-rotation"])
        .args(["--token-label", TOKEN_LABEL, "--out-public"])
        .arg(&signer)
        .arg("--module")
        .arg(module())
        .arg("--pin-file")
        .arg(token.pin_file())
        .env("SOFTHSM2_CONF", token.configuration())
        .output()
        .unwrap();
    assert!(made.status.success(), "{PIN}: {made:?}");
    let keys = named(&token.fingerprint(), "2999-12-31")
        + &format!(
            "[engine.rotation]\nsigning_key = \"pfx-rotation\"\n[[engine.importers]]\nname = \"rotation\"\npublic_key = {signer:?}\n"
        );
    let engine = start(&token, &authority, &keys);
    let client = engine.ready_client().await;
    let pfx = pfx_of(&device);
    let reencrypt = |id: &str, ciphertext| {
        let RecryptRequest { record, pfx, .. } =
            old(&engine, id, (&token, &device), &pfx, ciphertext);
        ReencryptRequest {
            request_id: id.to_owned(),
            record,
            pfx,
            to: pfx_connector::encoding::hex(&second.fingerprint()),
            padding: None,
        }
    };
    let good = reencrypt("good", encrypt_pkcs1(token.public_key(), PASSWORD));
    let done = client.reencrypt(good.clone(), DEADLINE).await.unwrap();
    assert!(Padding::OAEP.contains(&done.padding));
    // The new record is delivered like any other.
    let mut request = engine.request("new", &token, device.der());
    request.pfx = Base64Bytes(pfx.clone());
    request.record = done;
    let delivered = client.recrypt(request, DEADLINE).await.unwrap();
    assert_eq!(device.decrypt_cms(delivered.cms.as_slice()), PASSWORD);

    let mut changed = encrypt_pkcs1(token.public_key(), PASSWORD);
    changed[100] ^= 1;
    for bad in [changed, encrypt_pkcs1(token.public_key(), b"wrong")] {
        match client.reencrypt(reencrypt("bad", bad), DEADLINE).await {
            Err(RecryptError::Failed(failure)) => {
                assert_eq!(Some(failure.code), FAILED, "{failure:?}");
            }
            other => panic!("not refused: {other:?}"),
        }
    }
    let back = ReencryptRequest {
        padding: Some(Padding::Pkcs1),
        ..good
    };
    match client.reencrypt(back, DEADLINE).await {
        Err(RecryptError::Failed(failure)) => {
            assert_eq!(failure.code, FailureCode::BadRequest, "{failure:?}");
        }
        other => panic!("not refused: {other:?}"),
    }
}
