//! Certification authorities: away, refusing, or without revocation.

use super::examined::doctor;
use super::files::connector;
use std::path::{Path, PathBuf};

const POLICY: &str = "version = 1\n[[rule]]\nname = \"all\"\nca = [\"company\"]\nprofiles = [\"*\"]\nkeys = [\"ecP256\"]\n\
                      key_usage = [\"digitalSignature\"]\nextended_key_usage = [\"emailProtection\"]\nsubject = { CN = [\"*\"] }\n\
                      alt_names = { email = [\"*@example.com\"] }\nmax_validity_days = 400\n";

/// A connector's configuration with this authority.
fn with(folder: &Path, authority: &str) -> PathBuf {
    std::fs::write(folder.join("issuance.toml"), POLICY).unwrap();
    connector(
        folder,
        "https://127.0.0.1:9",
        &format!(
            "[connector.pkcs]\npolicy = \"issuance.toml\"\n[[connector.ca]]\nname = \"company\"\nroots = \"authority.pem\"\n{authority}"
        ),
    )
}

/// Nobody listens there: the port was ours a moment ago.
fn nobody() -> std::net::SocketAddr {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    free.local_addr().unwrap()
}

#[test]
fn an_authority_that_does_not_answer_would_fail() {
    let folder = tempfile::tempdir().unwrap();
    let config = with(
        folder.path(),
        &format!(
            "kind = \"cmp\"\nurl = \"http://{}/\"\ncertificate = \"connector.pem\"\nprivate_key = \"connector-key.pem\"\n",
            nobody()
        ),
    );
    let examined = doctor(&config, &["--only", "authorities"]);
    examined.fails_of("authorities.reachable");
    let found = examined.about("authorities.reachable", "connector.ca.company");
    assert_eq!(found["code"], "unreachable");
    // Its rights are not guessed.
    assert!(examined.findings("authorities.enroll").is_empty());
    // Its files are looked at with the others.
    let examined = doctor(&config, &["--only", "certificates"]);
    examined.nothing_fails();
    for key in ["roots", "certificate"] {
        let subject = format!("connector.ca.company.{key}");
        let found = examined.about("certificates.expiry", &subject);
        assert_eq!(found["severity"], "ok");
    }
    let calendar = examined.finding("certificates.calendar");
    assert_eq!(calendar["facts"]["entries"].as_array().unwrap().len(), 4);
}

#[test]
fn what_an_authority_cannot_be_asked_is_said_and_one_without_revocation_is_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    let adcs = format!(
        "kind = \"adcs\"\nurl = \"https://{}/CES\"\nserver_ca = \"authority.pem\"\ncertificate = \"connector.pem\"\n\
         private_key = \"connector-key.pem\"\n",
        nobody()
    );
    let examined = doctor(&with(folder.path(), &adcs), &["--only", "authorities"]);
    examined.nothing_fails();
    for id in ["authorities.reachable", "authorities.enroll"] {
        let found = examined.finding(id);
        assert_eq!(
            (&found["severity"], &found["code"]),
            (&"note".into(), &"cannot_be_asked".into())
        );
    }
    let found = examined.finding("authorities.revoke");
    assert_eq!(
        (&found["severity"], &found["code"]),
        (&"warning".into(), &"no_revocation".into())
    );
    assert!(found["remedy"].as_str().unwrap().contains("revoke_command"));
}

#[test]
fn a_credential_that_cannot_be_used_is_an_error_before_anybody_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    let config = with(
        folder.path(),
        &format!(
            "kind = \"cmp\"\nurl = \"http://{}/\"\ncertificate = \"authority.pem\"\nprivate_key = \"connector-key.pem\"\n",
            nobody()
        ),
    );
    let examined = doctor(&config, &["--only", "authorities"]);
    examined.fails_of("authorities.reachable");
    assert_eq!(
        examined.finding("authorities.reachable")["code"],
        "configuration"
    );
}

#[test]
fn an_authority_beside_the_connector_is_warned_of_also_while_its_engine_does_not_run() {
    let folder = tempfile::tempdir().unwrap();
    let local = "kind = \"local\"\n[[local_ca]]\nname = \"company\"\nengine_socket = \"engine.sock\"\ncertificate = \"authority.pem\"\n\
                 folder = \"ca\"\n";
    let examined = doctor(&with(folder.path(), local), &["--only", "authorities"]);
    examined.nothing_fails();
    let beside = examined.finding("authorities.colocated");
    assert_eq!(
        (&beside["severity"], &beside["code"]),
        (&"warning".into(), &"co-located-ca".into())
    );
    assert_eq!(
        examined.finding("authorities.reachable")["code"],
        "not_running"
    );
    assert!(!folder.path().join("ca").exists(), "doctor makes nothing");
}
