//! Certificates in files: expired, soon to expire, of another key, in disorder.

use super::examined::{Examined, doctor};
use super::files::write_connector;
use super::openssl::{Authority, Issuance, KeyAlgorithm, Workshop};
use super::softhsm::SoftHsm;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// `YYYYMMDDHHMMSSZ`, so many days from now.
fn in_days(days: u64) -> String {
    let then = SystemTime::now() + Duration::from_secs(days * 86_400);
    let ms = then
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_millis();
    let text = pfx_connector::clock::rfc3339(i64::try_from(ms).unwrap());
    let digits: String = text.chars().filter(char::is_ascii_digit).take(14).collect();
    format!("{digits}Z")
}

fn copy(from: &Path, to: &Path, mode: u32) {
    std::fs::copy(from, to).unwrap();
    std::fs::set_permissions(to, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// A connector's folder whose certificate lasts until then.
fn connector(folder: &Path, authority: &Authority<'_>, not_after: &str) -> Examined {
    let issued = authority.device_with(
        "connector",
        KeyAlgorithm::P256,
        &Issuance {
            not_after: not_after.to_owned(),
            ..Issuance::default()
        },
    );
    copy(&authority.certificate, &folder.join("ca.pem"), 0o644);
    copy(&issued.certificate, &folder.join("connector.pem"), 0o644);
    copy(&issued.key, &folder.join("connector-key.pem"), 0o600);
    let config = write_connector(folder, "https://127.0.0.1:9", "ca.pem", "");
    doctor(&config, &["--only", "certificates"])
}

#[test]
fn a_certificate_is_judged_by_the_time_that_it_has_left() {
    let workshop = Workshop::new();
    let authority = workshop.authority("Root", KeyAlgorithm::P256);
    let folder = tempfile::tempdir().unwrap();
    let judged = |not_after: &str| {
        let examined = connector(folder.path(), &authority, not_after);
        let found = examined.about("certificates.expiry", "connector.certificate");
        (
            found["severity"].as_str().unwrap().to_owned(),
            examined.code,
        )
    };
    assert_eq!(judged("20210101000000Z"), ("error".to_owned(), 3));
    assert_eq!(judged(&in_days(10)), ("warning".to_owned(), 0));
    assert_eq!(judged(&in_days(60)), ("note".to_owned(), 0));
    assert_eq!(judged(&in_days(400)), ("ok".to_owned(), 0));
}

#[test]
fn a_key_of_another_certificate_does_not_fit() {
    let workshop = Workshop::new();
    let authority = workshop.authority("Root", KeyAlgorithm::P256);
    let folder = tempfile::tempdir().unwrap();
    connector(folder.path(), &authority, &in_days(400)).nothing_fails();
    let other = workshop.key(KeyAlgorithm::P256);
    copy(&other, &folder.path().join("connector-key.pem"), 0o600);
    let config = folder.path().join("connector.toml");
    doctor(&config, &["--only", "certificates"]).fails_of("certificates.key");
}

#[test]
fn a_chain_in_disorder_is_a_warning_and_no_certificate_an_error() {
    let workshop = Workshop::new();
    let authority = workshop.authority("Root", KeyAlgorithm::P256);
    let other = workshop.authority("Other", KeyAlgorithm::P256);
    let folder = tempfile::tempdir().unwrap();
    connector(folder.path(), &authority, &in_days(400)).nothing_fails();
    let chain = folder.path().join("connector.pem");
    let mut pem = std::fs::read(&chain).unwrap();
    pem.extend(std::fs::read(&other.certificate).unwrap());
    std::fs::write(&chain, pem).unwrap();
    let config = folder.path().join("connector.toml");
    let examined = doctor(&config, &["--only", "certificates"]);
    examined.nothing_fails();
    assert_eq!(
        examined.finding("certificates.chain")["severity"],
        "warning"
    );

    std::fs::write(&chain, "nothing\n").unwrap();
    let examined = doctor(&config, &["--only", "certificates"]);
    examined.fails_of("certificates.file");
}

#[test]
fn importing_for_another_key_than_the_pinned_one_is_an_error() {
    let token = SoftHsm::new();
    let workshop = Workshop::new();
    let authority = workshop.authority("Root", KeyAlgorithm::P256);
    let folder = tempfile::tempdir().unwrap();
    copy(&authority.certificate, &folder.path().join("ca.pem"), 0o644);
    let public = token.path().join("custody-key.public.pem");
    let bearer = folder.path().join("token");
    std::fs::write(&bearer, "secret\n").unwrap();
    std::fs::set_permissions(&bearer, std::fs::Permissions::from_mode(0o600)).unwrap();
    let config = folder.path().join("import.toml");
    let examine = |fingerprint: &str| {
        let text = format!(
            "[import]\ngateway = \"https://127.0.0.1:9\"\ngateway_ca = \"ca.pem\"\ntoken_file = \"token\"\n\
             custody_public_key = {public:?}\ncustody_fingerprint = \"{fingerprint}\"\nkey_name = \"k\"\n"
        );
        std::fs::write(&config, text).unwrap();
        doctor(&config, &["--only", "certificates", "--only", "files"])
    };
    examine(&token.fingerprint()).nothing_fails();
    let examined = examine(&"ab".repeat(32));
    examined.fails_of("certificates.custody");
    assert_eq!(
        examined.finding("certificates.custody")["code"],
        "custody_key_mismatch"
    );
}
