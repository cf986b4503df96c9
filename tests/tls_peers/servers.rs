//! Our clients at servers of others.

use super::pki::{Authority, Identity};
use super::tls_peer::{Peer, Server};
use pfx_connector::tls::{CallFailure, client_config};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::{Command, Output};

/// Certificates, and a server's among them.
struct Bench {
    folder: tempfile::TempDir,
    authority: Authority,
    server: Identity,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new(folder.path(), "authority");
        let server = authority.server("server");
        Self {
            folder,
            authority,
            server,
        }
    }

    fn serve(&self, peer: Peer) -> Server {
        let Identity {
            certificate,
            private_key,
        } = &self.server;
        peer.serve(self.folder.path(), certificate, private_key)
    }

    /// As every client of the program calls.
    async fn call(&self, address: SocketAddr) -> Result<u16, CallFailure> {
        self.call_as("localhost", address).await
    }

    /// By a name for the server.
    async fn call_as(&self, name: &str, address: SocketAddr) -> Result<u16, CallFailure> {
        let tls = client_config(&self.authority.certificate(), None).unwrap();
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .no_proxy()
            .resolve(name, address)
            .build()
            .unwrap();
        let url = format!("https://{name}:{}/", address.port());
        let answer = client.get(url).send().await;
        let answer = answer.map_err(CallFailure::of)?;
        let status = answer.status().as_u16();
        // With TLS 1.3 a server may say only now that it wants a certificate.
        answer.bytes().await.map_err(CallFailure::of)?;
        Ok(status)
    }

    async fn refused(&self, what: &str, address: SocketAddr, code: &str) {
        let failure = self.call(address).await.expect_err(what);
        let problem = failure
            .problem
            .unwrap_or_else(|| panic!("{what}: {failure:?}"));
        assert_eq!(problem.code(), code, "{what}: {failure:?}");
        assert!(failure.text.contains(code), "{failure:?}");
        let seen = fips::tls::state().failed_calls;
        assert!(
            seen.iter().any(|seen| seen.problem == problem),
            "{what}: {seen:?}"
        );
    }
}

const TLS12: &[&str] = &["-tls1_2"];
const TLS11: &[&str] = &["-tls1_1", "-cipher", "DEFAULT:@SECLEVEL=0"];
const CHACHA20: &[&str] = &["-tls1_2", "-cipher", "ECDHE-ECDSA-CHACHA20-POLY1305"];
const X25519: &[&str] = &["-groups", "X25519"];
const WANTS_A_CERTIFICATE: &[&str] = &["-Verify", "1", "-verify_return_error"];

#[tokio::test]
async fn a_server_that_cannot_is_not_spoken_to_and_a_good_one_is() {
    let bench = Bench::new();
    for options in [TLS12, &["-tls1_3"], &["-groups", "P-384"]] {
        let server = bench.serve(Peer::with(options));
        let answer = bench.call(server.address).await;
        assert_eq!(answer, Ok(200), "{options:?}");
    }
    for (what, peer, code) in [
        (
            "no extended master secret",
            Peer::without_extended_master_secret(TLS12),
            "tls_no_extended_master_secret",
        ),
        // This one the server's alert says.
        ("TLS 1.1", Peer::with(TLS11), "tls_no_common_version"),
        // Of these it says that the handshake failed, and no more.
        ("ChaCha20", Peer::with(CHACHA20), "tls_peer_alert"),
        ("X25519", Peer::with(X25519), "tls_peer_alert"),
        (
            "it wants a certificate",
            Peer::with(WANTS_A_CERTIFICATE),
            "tls_certificate_refused",
        ),
    ] {
        let server = bench.serve(peer);
        bench.refused(what, server.address, code).await;
    }
}

#[tokio::test]
async fn certificates_of_servers_are_told_apart() {
    let mut bench = Bench::new();
    let stranger = Authority::new(bench.folder.path(), "stranger");
    bench.server = stranger.server("another");
    let server = bench.serve(Peer::with(&[]));
    bench
        .refused(
            "its issuer",
            server.address,
            "tls_certificate_unknown_issuer",
        )
        .await;

    bench.server = bench.authority.server("server");
    let server = bench.serve(Peer::with(&[]));
    let failure = bench.call_as("other.example", server.address).await;
    assert_eq!(
        failure.unwrap_err().problem.unwrap().code(),
        "tls_certificate_wrong_name"
    );

    // Made for clients.
    bench.server = bench.authority.client("client");
    let server = bench.serve(Peer::with(&[]));
    let failure = bench.call(server.address).await.unwrap_err();
    assert_eq!(
        failure.problem.unwrap().code(),
        "tls_certificate_unusable",
        "{failure:?}"
    );
}

#[tokio::test]
async fn a_server_of_plain_http_is_named_as_such() {
    let bench = Bench::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let answering = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 1024]);
        stream
            .write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
            .unwrap();
    });
    bench.refused("plain", address, "tls_not_tls").await;
    answering.join().unwrap();
}

#[tokio::test]
async fn nobody_there_is_no_matter_of_tls() {
    let bench = Bench::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let failure = bench.call(address).await.unwrap_err();
    assert_eq!(failure.problem, None, "{failure:?}");
}

/// The command's answer for machines, of a server that is not good enough.
#[test]
fn a_command_says_code_and_remedy() {
    let bench = Bench::new();
    let token = bench.folder.path().join("token");
    std::fs::write(&token, "secret").unwrap();
    let restrict = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&token, restrict).unwrap();
    let server = bench.serve(Peer::without_extended_master_secret(TLS12));
    let Output { status, stderr, .. } = Command::new(env!("CARGO_BIN_EXE_pfx-connector"))
        .args(["gateway", "status", "--json", "--log", "off", "--gateway"])
        .arg(format!("https://{}", server.address))
        .arg("--gateway-ca")
        .arg(bench.authority.certificate())
        .arg("--token-file")
        .arg(token)
        .output()
        .unwrap();
    assert_eq!(status.code(), Some(1));
    let said: serde_json::Value = serde_json::from_slice(&stderr).unwrap();
    assert_eq!(said["error"]["code"], "tls_no_extended_master_secret");
    let hint = said["error"]["hint"].as_str().unwrap();
    assert!(hint.contains("RFC 7627"), "{hint}");
}
