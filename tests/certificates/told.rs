//! A gateway in a stranger's hand, which tells what it likes about how far requests got: written into its database while no connector runs.
//! Nothing is ordered that a connector's own engine did not ask for, and nothing is revoked.

use super::site::Issuing;
use base64ct::{Base64, Encoding};
use pfx_connector::gateway::api::State;
use rusqlite::{Connection, params};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

fn openssl(arguments: &[&str]) -> Vec<u8> {
    let output = Command::new("openssl")
        .args(arguments)
        .output()
        .expect("openssl (scripts/bootstrap.sh)");
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    output.stdout
}

/// A CSR as an engine would make it, of a key that the stranger holds.
fn forged(folder: &Path, user: &str) -> Vec<u8> {
    let subject = format!("/CN={user}");
    let name = format!("subjectAltName=email:{user}@example.com");
    let key = folder.join(format!("{user}.key"));
    openssl(&[
        "req",
        "-new",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-keyout",
        key.to_str().unwrap(),
        "-subj",
        &subject,
        "-addext",
        &name,
        "-addext",
        "keyUsage=critical,digitalSignature",
        "-addext",
        "extendedKeyUsage=emailProtection",
        "-outform",
        "DER",
    ])
}

/// The SubjectPublicKeyInfo (DER) of P-256 that a CSR or certificate has: 91 octets that begin like this.
fn key_in(der: &[u8]) -> &[u8] {
    const HEAD: [u8; 10] = [0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce];
    let at = der.windows(HEAD.len()).position(|window| window == HEAD);
    &der[at.unwrap()..][..91]
}

fn told(csr: &[u8], step: Value) -> Vec<u8> {
    let progress = json!({
        "version": 1, "ca": "company", "rule": "smime", "policy": "",
        "csr": Base64::encode_string(csr), "sealedKey": Base64::encode_string(b"a stranger's"),
        "fence": 1_000_000, "step": step,
    });
    serde_json::to_vec(&progress).unwrap()
}

#[test]
fn a_gateway_that_lies_about_progress_has_nothing_ordered_and_nobody_revoked() {
    let issuing = Issuing::new();
    let stack = &issuing.site.stack;
    let engine = stack.start_engine().unwrap();
    let gateway = stack.start_gateway().unwrap();
    let connector = stack.start_connector(0).unwrap();
    issuing.enrol();
    let device = issuing.device(0);
    let anna = issuing.ask("anna@example.com", &device, "windows");
    assert_eq!(issuing.settled(&anna).state, State::Completed);
    connector.stop().unwrap();

    let certificates = || -> Vec<Vec<u8>> {
        let store = Connection::open(stack.path("ca/ca.db")).unwrap();
        let mut rows = store
            .prepare("SELECT certificate FROM orders WHERE certificate IS NOT NULL")
            .unwrap();
        let rows = rows.query_map([], |row| row.get(0)).unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    };
    let annas = certificates().remove(0);
    let folder = tempfile::tempdir().unwrap();
    let pending =
        json!({ "pending": { "reference": Base64::encode_string(b"4711"), "sinceMs": 1 } });
    let issued =
        json!({ "issued": { "certificate": Base64::encode_string(&annas), "others": [] } });
    // Whom it is for, whose names are in the CSR, and what is told; the code of the final failure, where there is one.
    let cases = [
        ("bob", "bob", json!("keyMade"), None),
        ("carol", "carol", json!("ordered"), None),
        ("dave", "dave", pending, None),
        ("erin", "boss", json!("ordered"), Some("progressRefused")),
        ("frank", "frank", issued, Some("issuedCertificateRefused")),
    ];
    let database = Connection::open(stack.path("gateway/gateway.db")).unwrap();
    database.busy_timeout(Duration::from_secs(10)).unwrap();
    let mut asked = Vec::new();
    let mut strangers = Vec::new();
    for (user, named, step, failure) in cases {
        let request = issuing.ask(&format!("{user}@example.com"), &device, "windows");
        let csr = forged(folder.path(), named);
        let written = database
            .execute(
                "UPDATE pkcs_requests SET progress = ?1 WHERE request = (SELECT seq FROM requests WHERE id = ?2)",
                params![told(&csr, step), request],
            )
            .unwrap();
        assert_eq!(written, 1);
        strangers.push(csr);
        asked.push((user, request, failure));
    }
    drop(database);

    let connector = stack.start_connector(0).unwrap();
    for (user, request, failure) in asked {
        let state = issuing.settled(&request);
        let code = state.failure.as_ref().map(|failure| failure.code.as_str());
        assert_eq!(code, failure, "{user}: {state:?}");
        if let Some(failure) = &state.failure {
            assert!(failure.message.contains("evoked"), "{user}: {failure:?}");
        } else {
            issuing.open(&request, &device);
        }
    }
    let made = certificates();
    assert_eq!(made.len(), 4, "Anna's, Bob's, Carol's and Dave's");
    for csr in &strangers {
        assert!(made.iter().all(|one| key_in(one) != key_in(csr)));
    }
    let store = Connection::open(stack.path("ca/ca.db")).unwrap();
    let revoked: i64 = store
        .query_row("SELECT count(*) FROM revocations", [], |row| row.get(0))
        .unwrap();
    assert_eq!(revoked, 0);
    connector.stop().unwrap();
    gateway.stop().unwrap();
    engine.stop().unwrap();
}
