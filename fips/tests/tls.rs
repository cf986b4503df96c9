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

use common::{Temporary, openssl};
use fips::sign::{KeyKind, SigningKey};
use fips::tls;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, ConnectionCommon, ProtocolVersion, RootCertStore, ServerConfig,
    ServerConnection, SideData,
};
use std::ops::DerefMut;
use std::sync::Arc;

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

fn configurations(kind: KeyKind) -> (ClientConfig, ServerConfig) {
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
    let client = tls::client_config(servers, Some(client), &[]).unwrap();
    let clients = tls::ClientCertificates::Demanded(clients);
    let server = tls::server_config(server, clients, &[]).unwrap();
    (client, server)
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

#[test]
fn both_sides_agree_with_rsa_and_with_ec_certificates_on_the_modules_algorithms() {
    for kind in [KeyKind::EcP256, KeyKind::EcP384, KeyKind::Rsa(2048)] {
        let (client, server) = configurations(kind);
        tls::assert_fips_client(&client).unwrap();
        tls::assert_fips_server(&server).unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let mut client = ClientConnection::new(Arc::new(client), name).unwrap();
        let mut server = ServerConnection::new(Arc::new(server)).unwrap();
        for _ in 0..8 {
            deliver(&mut client, &mut server);
            deliver(&mut server, &mut client);
        }
        assert!(!client.is_handshaking() && !server.is_handshaking());
        assert!(client.fips() && server.fips());
        assert_eq!(server.protocol_version(), Some(ProtocolVersion::TLSv1_3));
        assert_eq!(server.peer_certificates().map(<[_]>::len), Some(1));
        let group = server.negotiated_key_exchange_group().unwrap();
        assert!(group.fips(), "{group:?}");
        assert!(server.negotiated_cipher_suite().unwrap().fips());
    }
}
