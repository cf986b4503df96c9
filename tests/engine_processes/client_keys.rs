//! Connectors' own keys: what they sign, what they refuse to sign, and what the log says of it.

use super::engine::{Engine, Options};
use super::issuance::entries;
use super::issuance_support::{Grant, issue};
use super::openssl::{KeyAlgorithm, Workshop, openssl, text};
use super::pki_files;
use super::requests::DEADLINE;
use super::softhsm::{SoftHsm, TOKEN_LABEL, module};
use super::tls_peer::Peer;
use audit::Hash;
use audit::event::{ClientAct, ClientKeyUse, Event};
use fips::sign::{SignatureAlgorithm, verify};
use pfx_connector::encoding::{Base64Bytes, hex};
use pfx_connector::engine::api::{FailureCode, SignClientCsrRequest, SignTlsRequest};
use pfx_connector::engine::client::{EngineClient, RecryptError};
use pfx_connector::tls::{EngineKey, client_config_with_engine_key, roots};
use rustls::pki_types::CertificateDer;
use std::process::Command;

const KEYS: [(&str, &str, SignatureAlgorithm); 3] = [
    ("p256", "p256", SignatureAlgorithm::EcdsaP256Sha256),
    ("p384", "p384", SignatureAlgorithm::EcdsaP384Sha384),
    ("rsa", "rsa3072", SignatureAlgorithm::RsaPssSha256),
];

pub(crate) fn make_key(token: &SoftHsm, label: &str, kind: &str) {
    let made = Command::new(env!("CARGO_BIN_EXE_pfx-connector"))
        .args(["key", "generate-signing", "--kind", kind])
        .args([
            "--token-label",
            TOKEN_LABEL,
            "--key-label",
            label,
            "--module",
        ])
        .arg(module())
        .arg("--pin-file")
        .arg(token.pin_file())
        .env("SOFTHSM2_CONF", token.configuration())
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
}

fn section(name: &str, label: &str, more: &str) -> String {
    format!(
        "[[engine.client_keys]]\nname = \"{name}\"\nsigning_key = \"{label}\"\ncommon_name = \"connector-{name}\"\n{more}\n"
    )
}

fn content(transcript: &[u8]) -> Vec<u8> {
    [
        &[0x20; 64][..],
        b"TLS 1.3, client CertificateVerify\0",
        transcript,
    ]
    .concat()
}

fn handshake(id: &str, key: &str, content: Vec<u8>) -> SignTlsRequest {
    SignTlsRequest {
        request_id: id.to_owned(),
        key: key.to_owned(),
        content: Base64Bytes(content),
    }
}

async fn refused(client: &EngineClient, request: SignTlsRequest) -> (FailureCode, String) {
    match client.sign_tls(request, DEADLINE).await {
        Err(RecryptError::Failed(failure)) => (failure.code, failure.message),
        other => panic!("not refused: {other:?}"),
    }
}

fn uses(engine: &Engine) -> Vec<ClientKeyUse> {
    entries(engine)
        .into_iter()
        .filter_map(|entry| match entry.event {
            Event::ClientKeyUse(used) => Some(*used),
            _ => None,
        })
        .collect()
}

#[tokio::test]
async fn a_client_key_signs_handshakes_and_its_own_request_in_strict_mode_and_each_use_is_recorded()
{
    let workshop = Workshop::new();
    let devices = workshop.authority("Devices", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    let mut tables = String::new();
    for (name, kind, _) in KEYS {
        make_key(&token, name, kind);
        tables.push_str(&section(name, name, ""));
    }
    let options = Options {
        fips: Some(String::new()),
        importers: tables,
        ..Options::default()
    };
    let engine = Engine::start(&token, &devices, &options);
    let client = engine.ready_client().await;
    for (name, _, algorithm) in KEYS {
        let request = SignClientCsrRequest {
            request_id: format!("csr-{name}"),
            key: name.to_owned(),
        };
        let made = client.sign_client_csr(request, DEADLINE).await.unwrap();
        assert_eq!(made.common_name, format!("connector-{name}"));
        let file = workshop.file(made.csr.as_slice());
        let said = openssl(&[
            "req",
            "-inform",
            "DER",
            "-verify",
            "-noout",
            "-subject",
            "-in",
            text(&file),
        ]);
        let said = String::from_utf8(said).unwrap();
        assert!(said.contains(&format!("CN = connector-{name}")), "{said}");

        for hash in [32, 48] {
            let transcript = vec![0x5a; hash];
            let covered = content(&transcript);
            let id = format!("tls-{name}-{hash}");
            let signed = client
                .sign_tls(handshake(&id, name, covered.clone()), DEADLINE)
                .await
                .unwrap();
            assert_eq!(signed.public_key, made.public_key);
            verify(
                algorithm,
                signed.public_key.as_slice(),
                &covered,
                signed.signature.as_slice(),
            )
            .unwrap();
            let used = uses(&engine)
                .into_iter()
                .find(|used| used.request == id)
                .unwrap();
            assert_eq!(used.name, name);
            assert_eq!(used.key, Hash::of(signed.public_key.as_slice()));
            assert_eq!(used.caller.uid, Some(rustix::process::getuid().as_raw()));
            assert_eq!(
                used.signed,
                ClientAct::Handshake {
                    transcript: hex(&transcript)
                }
            );
        }
        let used = uses(&engine)
            .into_iter()
            .find(|used| used.request == format!("csr-{name}"))
            .unwrap();
        let expected = ClientAct::Request {
            common_name: made.common_name,
            csr: Hash::of(made.csr.as_slice()),
        };
        assert_eq!(used.signed, expected);
    }
}

#[tokio::test]
async fn a_client_key_signs_nothing_else_for_nobody_else_and_not_without_end() {
    let workshop = Workshop::new();
    let devices = workshop.authority("Devices", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    for label in ["a", "b", "c"] {
        make_key(&token, label, "p256");
    }
    let tables = [
        section("often", "a", "per_minute = 2"),
        section("theirs", "b", "uids = [64123]"),
        section("mine", "c", ""),
        section("gone", "no-such-label", ""),
    ]
    .concat();
    let options = Options {
        engine: "allowed_uids = [64123]".to_owned(),
        importers: tables,
        ..Options::default()
    };
    let engine = Engine::start(&token, &devices, &options);
    let client = engine.ready_client().await;
    let server = [
        &[0x20; 64][..],
        b"TLS 1.3, server CertificateVerify\0",
        &[1; 32],
    ]
    .concat();
    for (content, id) in [
        (b"0\x82\x01\x00tbsCertificate".to_vec(), "der"),
        (server, "server"),
        (content(&[1; 33]), "long"),
    ] {
        let (code, why) = refused(&client, handshake(id, "mine", content)).await;
        assert_eq!(code, FailureCode::BadRequest);
        assert!(why.contains("nothing else"), "{why}");
    }
    for (key, remedy) in [
        ("nobodys", "client_keys"),
        ("gone", "engine.client_keys.gone"),
    ] {
        let (code, why) = refused(&client, handshake(key, key, content(&[1; 32]))).await;
        assert_eq!(code, FailureCode::BadRequest, "{why}");
        assert!(why.contains(remedy), "{why}");
    }
    // The engine's own user may, whatever `uids` says.
    client
        .sign_tls(handshake("own", "theirs", content(&[1; 32])), DEADLINE)
        .await
        .unwrap();
    for number in 0..2 {
        client
            .sign_tls(
                handshake(&format!("n{number}"), "often", content(&[2; 32])),
                DEADLINE,
            )
            .await
            .unwrap();
    }
    let (code, why) = refused(&client, handshake("n2", "often", content(&[2; 32]))).await;
    assert_eq!(code, FailureCode::Busy);
    assert!(why.contains("per_minute"), "{why}");
    client
        .sign_tls(handshake("other", "mine", content(&[3; 48])), DEADLINE)
        .await
        .unwrap();
    let recorded: Vec<_> = uses(&engine).into_iter().map(|used| used.request).collect();
    assert_eq!(
        recorded,
        ["own", "n0", "n1", "other"],
        "what was refused used no key"
    );
}

/// What OpenSSL's server answers to a client with this certificate and this key.
async fn shown(
    engine: &Engine,
    key: &str,
    der: Vec<u8>,
    server: &super::tls_peer::Server,
    authority: &std::path::Path,
) -> Result<String, reqwest::Error> {
    let key = EngineKey {
        socket: engine.socket(),
        name: key.to_owned(),
        deadline: DEADLINE,
    };
    let chain = vec![CertificateDer::from(der)];
    let tls =
        client_config_with_engine_key(roots(authority).unwrap(), &key, chain, authority).unwrap();
    fips::tls::assert_fips_client(&tls).unwrap();
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .build()
        .unwrap();
    let url = format!("https://localhost:{}/", server.address.port());
    client.get(url).send().await?.text().await
}

#[tokio::test(flavor = "multi_thread")]
async fn openssl_verifies_the_clients_handshake_and_sees_its_certificate() {
    let workshop = Workshop::new();
    let devices = workshop.authority("Devices", KeyAlgorithm::P256);
    let connectors = workshop.authority("Connectors", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    let mut tables = String::new();
    for (name, kind, _) in KEYS {
        make_key(&token, name, kind);
        tables.push_str(&section(name, name, ""));
    }
    let options = Options {
        fips: Some(String::new()),
        importers: tables,
        ..Options::default()
    };
    let engine = Engine::start(&token, &devices, &options);
    let client = engine.ready_client().await;
    let folder = tempfile::tempdir().unwrap();
    let authority = pki_files::Authority::new(folder.path(), "authority");
    let own = authority.server("server");
    std::fs::copy(&connectors.certificate, folder.path().join("clients.pem")).unwrap();
    let demanded = &[
        "-Verify",
        "1",
        "-verify_return_error",
        "-CAfile",
        "clients.pem",
    ];
    let server = Peer::with(demanded).serve(folder.path(), &own.certificate, &own.private_key);
    let grant = Grant {
        as_asked: false,
        extensions: "basicConstraints = critical, CA:FALSE\nextendedKeyUsage = clientAuth",
        ..Grant::default()
    };
    let mut certificates = Vec::new();
    for (name, ..) in KEYS {
        let request = SignClientCsrRequest {
            request_id: format!("csr-{name}"),
            key: name.to_owned(),
        };
        let made = client.sign_client_csr(request, DEADLINE).await.unwrap();
        let der = issue(&workshop, &connectors, made.csr.as_slice(), &grant);
        certificates.push(der.clone());
        let page = shown(&engine, name, der, &server, &authority.certificate())
            .await
            .unwrap();
        assert!(page.contains(&format!("connector-{name}")), "{page}");
        assert!(page.contains("TLSv1.3"), "{page}");
    }
    // A certificate of one key, and the other one signs: found here, before the server is told.
    let other = shown(
        &engine,
        "p384",
        certificates[0].clone(),
        &server,
        &authority.certificate(),
    )
    .await;
    assert!(other.is_err());
}
