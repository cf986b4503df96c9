//! Importers' signatures over records: what a service that lies could change, and does not.

use super::openssl::{KeyAlgorithm, Workshop, openssl, text};
use fips::sign::{KeyKind, SigningKey};
use hsm::Padding;
use pfx_connector::config::ImporterConfig;
use pfx_connector::encoding::Base64Bytes;
use pfx_connector::engine::api::FailureCode;
use pfx_connector::engine::recrypt::importers::{
    self, Importer, ImporterKeyError, RecordRefusal, sign, verify,
};
use pfx_connector::record::Record;

const PFX: &[u8] = b"the PFX as stored";

fn record() -> Record {
    Record {
        user_principal_name: "ada@example.org".to_owned(),
        thumbprint: "00".repeat(20),
        provider_name: "pkcs11".to_owned(),
        key_name: "custody".to_owned(),
        custody_key: Some("11".repeat(32)),
        padding: Padding::OaepSha512,
        encrypted_password: Base64Bytes(vec![7; 384]),
        importer_signature: None,
    }
}

fn importer(name: &str, key: &SigningKey) -> Importer {
    let pem = der::pem::encode_string("PUBLIC KEY", der::pem::LineEnding::LF, key.spki_der());
    Importer::from_pem(name, pem.unwrap().as_bytes()).unwrap()
}

fn signed(key: &SigningKey) -> Record {
    let mut record = record();
    record.importer_signature = Some(sign(key, &record, PFX).unwrap());
    record
}

#[test]
fn records_of_every_kind_of_importer_key_verify() {
    for kind in [KeyKind::EcP256, KeyKind::EcP384, KeyKind::Rsa(2048)] {
        let key = SigningKey::generate(kind).unwrap();
        let other = SigningKey::generate(KeyKind::EcP256).unwrap();
        let importers = [importer("other", &other), importer("ada", &key)];
        let found = verify(&signed(&key), PFX, &importers, false).unwrap();
        assert_eq!(found.unwrap().name(), "ada");
    }
}

/// What a service changes in a record.
type Swap = (&'static str, fn(&mut Record));

#[test]
fn whatever_the_service_swaps_is_noticed() {
    let key = SigningKey::generate(KeyKind::EcP256).unwrap();
    let importers = [importer("ada", &key)];
    let good = signed(&key);
    let swaps: [Swap; 8] = [
        ("user", |r| {
            r.user_principal_name = "eve@example.org".to_owned()
        }),
        ("thumbprint", |r| r.thumbprint = "22".repeat(20)),
        ("provider", |r| r.provider_name = "other".to_owned()),
        ("key name", |r| r.key_name = "other".to_owned()),
        ("custody key", |r| r.custody_key = Some("33".repeat(32))),
        ("padding", |r| r.padding = Padding::OaepSha256),
        ("ciphertext", |r| r.encrypted_password.0[5] ^= 1),
        ("signature", |r| {
            let signature = r.importer_signature.as_mut().unwrap();
            let last = signature.signature.0.len() - 1;
            signature.signature.0[last] ^= 1;
        }),
    ];
    for (what, swap) in swaps {
        let mut changed = good.clone();
        swap(&mut changed);
        for allow_unsigned in [false, true] {
            let refusal = verify(&changed, PFX, &importers, allow_unsigned).unwrap_err();
            assert_eq!(refusal.code(), "record_not_what_was_signed", "{what}");
            assert_eq!(refusal.failure_code(), FailureCode::RecordRefused);
        }
    }
    let refusal = verify(&good, b"another PFX", &importers, true).unwrap_err();
    assert_eq!(refusal.code(), "record_not_what_was_signed");
}

#[test]
fn fields_cannot_be_moved_into_one_another() {
    let key = SigningKey::generate(KeyKind::EcP256).unwrap();
    let importers = [importer("ada", &key)];
    let mut changed = signed(&key);
    changed.provider_name = "pkcs".to_owned();
    changed.key_name = "11custody".to_owned();
    assert!(verify(&changed, PFX, &importers, false).is_err());
}

#[test]
fn unsigned_records_need_the_exception() {
    let key = SigningKey::generate(KeyKind::EcP256).unwrap();
    let importers = [importer("ada", &key)];
    let mut keyless = record();
    keyless.custody_key = None;
    for record in [record(), keyless] {
        let refusal = verify(&record, PFX, &importers, false).unwrap_err();
        assert_eq!(refusal, RecordRefusal::Unsigned);
        assert_eq!(verify(&record, PFX, &importers, true).unwrap(), None);
    }
}

#[test]
fn a_signed_record_whose_custody_key_was_taken_away_is_refused() {
    let key = SigningKey::generate(KeyKind::EcP256).unwrap();
    let importers = [importer("ada", &key)];
    let mut keyless = signed(&key);
    keyless.custody_key = None;
    let refusal = verify(&keyless, PFX, &importers, false).unwrap_err();
    assert_eq!(refusal, RecordRefusal::Unsigned);
    let refusal = verify(&keyless, PFX, &importers, true).unwrap_err();
    assert_eq!(refusal.code(), "record_not_what_was_signed");
}

#[test]
fn a_signature_of_somebody_else_is_refused() {
    let key = SigningKey::generate(KeyKind::EcP256).unwrap();
    let stranger = SigningKey::generate(KeyKind::EcP256).unwrap();
    let importers = [importer("ada", &key)];
    let refusal = verify(&signed(&stranger), PFX, &importers, true).unwrap_err();
    assert_eq!(refusal.code(), "record_unknown_importer");
    // With the right name on it.
    let mut forged = signed(&stranger);
    forged.importer_signature.as_mut().unwrap().importer = importers[0].fingerprint().to_owned();
    let refusal = verify(&forged, PFX, &importers, true).unwrap_err();
    assert_eq!(refusal.code(), "record_not_what_was_signed");
}

#[test]
fn importers_are_read_from_public_keys_and_certificates() {
    let workshop = Workshop::new();
    let authority = workshop.authority("Importer", KeyAlgorithm::P384);
    let public = workshop.fresh(".pub.pem");
    openssl(&[
        "pkey",
        "-in",
        text(&authority.key),
        "-pubout",
        "-out",
        text(&public),
    ]);
    let configured = |public_key: &std::path::Path| ImporterConfig {
        name: "ada".to_owned(),
        public_key: public_key.to_path_buf(),
    };
    let loaded =
        importers::load(&[configured(&public), configured(&authority.certificate)]).unwrap();
    assert_eq!(loaded[0].fingerprint(), loaded[1].fingerprint());
    assert!(loaded[0].certificate().is_none());
    assert!(loaded[1].certificate().is_some());

    for algorithm in [
        KeyAlgorithm::P521,
        KeyAlgorithm::Ed25519,
        KeyAlgorithm::Rsa(1024),
    ] {
        let key = workshop.key(algorithm);
        let pem = openssl(&["pkey", "-in", text(&key), "-pubout"]);
        assert_eq!(
            Importer::from_pem("ada", &pem).unwrap_err(),
            ImporterKeyError::Unsupported,
            "{algorithm:?}"
        );
    }
    assert_eq!(
        Importer::from_pem("ada", b"").unwrap_err(),
        ImporterKeyError::NotAKey
    );
    let private = std::fs::read(&authority.key).unwrap();
    assert_eq!(
        Importer::from_pem("ada", &private).unwrap_err(),
        ImporterKeyError::NotAKey
    );
    let twice = [
        std::fs::read(&public).unwrap(),
        std::fs::read(&public).unwrap(),
    ]
    .concat();
    assert_eq!(
        Importer::from_pem("ada", &twice).unwrap_err(),
        ImporterKeyError::Several
    );
    let missing = importers::load(&[configured(&workshop.path().join("missing"))]).unwrap_err();
    assert!(missing.to_string().contains("missing"), "{missing}");
}

#[test]
fn a_file_of_trusted_keys_that_everybody_may_change_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("anchors.pem");
    std::fs::write(&path, "").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o646)).unwrap();
    let refusal = pfx_connector::engine::recrypt::anchors::load(std::slice::from_ref(&path));
    assert!(refusal.unwrap_err().to_string().contains("mode 0646"));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let refusal = pfx_connector::engine::recrypt::anchors::load(&[path]);
    assert!(refusal.unwrap_err().to_string().contains("no certificate"));
}
