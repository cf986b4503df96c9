//! A whole handshake, in memory, with certificates on both sides: what is negotiated comes from the module.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    missing_docs
)]

mod common;

use common::{Temporary, begin, openssl};
use fips::sign::{KeyKind, SigningKey};
use fips::tls;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::version::TLS12;
use rustls::{
    ClientConfig, ClientConnection, ConnectionCommon, HandshakeKind, ProtocolVersion,
    RootCertStore, ServerConfig, ServerConnection, SideData,
};
use std::ops::DerefMut;
use std::sync::{Arc, Mutex};

/// Held by tests that make what is counted in the whole process.
static COUNTED: Mutex<()> = Mutex::new(());

/// A key and a certificate that it signed itself.
fn identity(kind: KeyKind) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
    let key = SigningKey::generate(kind).unwrap().pkcs8_der().unwrap();
    let file = Temporary::new(key.expose());
    let certificate = openssl(
        &[
            "req",
            "-x509",
            "-new",
            "-key",
            file.path(),
            "-keyform",
            "DER",
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=DNS:localhost",
            "-addext",
            "basicConstraints=critical,CA:FALSE",
            "-days",
            "2",
            "-outform",
            "DER",
        ],
        b"",
    );
    let key = PrivatePkcs8KeyDer::from(key.expose().to_vec());
    (CertificateDer::from(certificate), key.into())
}

/// A client and a server that trust each other, and what the client trusts.
fn configurations(kind: KeyKind) -> (ClientConfig, ServerConfig, RootCertStore) {
    let (server_certificate, server_key) = identity(kind);
    let (client_certificate, client_key) = identity(kind);
    let mut servers = RootCertStore::empty();
    servers.add(server_certificate.clone()).unwrap();
    let mut clients = RootCertStore::empty();
    clients.add(client_certificate.clone()).unwrap();
    let client = tls::Identity {
        chain: vec![client_certificate],
        private_key: client_key,
    };
    let server = tls::Identity {
        chain: vec![server_certificate],
        private_key: server_key,
    };
    let client = tls::client_config(servers.clone(), Some(client), &[]).unwrap();
    let clients = tls::ClientCertificates::Demanded(clients);
    let server = tls::server_config(server, clients, &[]).unwrap();
    (client, server, servers)
}

/// The same client without TLS 1.3.
fn only_tls12(client: &ClientConfig, roots: RootCertStore) -> ClientConfig {
    let mut config = ClientConfig::builder_with_provider(tls::provider())
        .with_protocol_versions(&[&TLS12])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.client_auth_cert_resolver = Arc::clone(&client.client_auth_cert_resolver);
    config
}

/// Moves what `from` has to say to `to`.
fn deliver<A: SideData, B: SideData>(
    from: &mut impl DerefMut<Target = ConnectionCommon<A>>,
    to: &mut impl DerefMut<Target = ConnectionCommon<B>>,
) {
    let mut flight = Vec::new();
    while from.wants_write() {
        from.write_tls(&mut flight).unwrap();
    }
    let mut flight = flight.as_slice();
    while !flight.is_empty() {
        to.read_tls(&mut flight).unwrap();
        to.process_new_packets().unwrap();
    }
}

/// A whole handshake.
fn shake_hands(
    client: &ClientConfig,
    server: &ServerConfig,
) -> (ClientConnection, ServerConnection) {
    let name = ServerName::try_from("localhost").unwrap();
    let mut client = ClientConnection::new(Arc::new(client.clone()), name).unwrap();
    let mut server = ServerConnection::new(Arc::new(server.clone())).unwrap();
    for _ in 0..8 {
        deliver(&mut client, &mut server);
        deliver(&mut server, &mut client);
    }
    assert!(!client.is_handshaking() && !server.is_handshaking());
    (client, server)
}

/// How many connections an algorithm has served.
fn served(offered: &[tls::Algorithm], name: &str) -> u64 {
    offered
        .iter()
        .find(|algorithm| algorithm.name == name)
        .unwrap()
        .served
}

#[test]
fn both_sides_agree_with_rsa_and_with_ec_certificates_on_the_modules_algorithms() {
    begin();
    let _counted = COUNTED.lock().unwrap();
    for kind in [KeyKind::EcP256, KeyKind::EcP384, KeyKind::Rsa(2048)] {
        let (client, server, _) = configurations(kind);
        let (client, server) = shake_hands(&client, &server);
        assert!(client.fips() && server.fips());
        assert_eq!(server.protocol_version(), Some(ProtocolVersion::TLSv1_3));
        assert_eq!(server.peer_certificates().map(<[_]>::len), Some(1));
        let group = server.negotiated_key_exchange_group().unwrap();
        assert!(group.fips(), "{group:?}");
        assert!(server.negotiated_cipher_suite().unwrap().fips());
    }
}

#[test]
fn what_is_made_served_and_refused_is_counted() {
    begin();
    let _counted = COUNTED.lock().unwrap();
    let before = tls::state();
    let (client, server, roots) = configurations(KeyKind::EcP256);
    for resumed in [false, true] {
        let (_, connection) = shake_hands(&client, &server);
        let kind = connection.handshake_kind();
        assert_eq!(kind == Some(HandshakeKind::Resumed), resumed, "{kind:?}");
        tls::record_served(&connection).unwrap();
    }
    let (_, connection) = shake_hands(&only_tls12(&client, roots), &server);
    assert_eq!(
        connection.protocol_version(),
        Some(ProtocolVersion::TLSv1_2)
    );
    tls::record_served(&connection).unwrap();
    tls::record_refused(tls::PeerProblem::NoCommonGroup);
    tls::record_call_failed(tls::PeerProblem::PeerAlert);

    let after = tls::state();
    assert_eq!(
        after.client_configurations,
        before.client_configurations + 1
    );
    assert_eq!(
        after.server_configurations,
        before.server_configurations + 1
    );
    assert_eq!(after.refused_configurations, before.refused_configurations);
    let counts = |served: tls::Served| [served.full, served.resumed, served.tls12, served.tls13];
    let more: Vec<_> = counts(after.served)
        .into_iter()
        .zip(counts(before.served))
        .map(|(after, before)| after - before)
        .collect();
    assert_eq!(more, [2, 1, 1, 2]);
    let suite = "TLS_AES_256_GCM_SHA384";
    assert_eq!(served(&after.cipher_suites, suite), 2);
    let suite = "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384";
    assert_eq!(served(&after.cipher_suites, suite), 1);
    assert_eq!(served(&after.groups, "X25519MLKEM768"), 2);
    assert_eq!(served(&after.groups, "secp256r1"), 1);
    let counted = |problem| vec![tls::Refusal { problem, count: 1 }];
    assert_eq!(after.refused, counted(tls::PeerProblem::NoCommonGroup));
    assert_eq!(after.failed_calls, counted(tls::PeerProblem::PeerAlert));
}
