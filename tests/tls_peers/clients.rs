//! Clients of others at the running gateway.

use super::gateway::Running;
use super::gateway_host::{DEADLINE, Host, Process};
use super::pki::Authority;
use super::tls_peer::{Peer, gnutls_asks};
use fips::tls::PeerProblem;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Output;
use std::time::{Duration, Instant};

/// A gateway, and how much of its log has been read.
struct Bench {
    host: Host,
    _process: Process,
    address: SocketAddr,
    read: usize,
}

impl Bench {
    fn new() -> Self {
        let host = Host::new();
        let (process, base) = host.start();
        let address = base.strip_prefix("https://").unwrap().parse().unwrap();
        Self {
            host,
            _process: process,
            address,
            read: 0,
        }
    }

    fn ask(&self, peer: Peer) -> Output {
        peer.ask(self.host.folder.path(), self.address)
    }

    /// The next line of the log that speaks of TLS.
    fn told(&mut self) -> String {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let log = std::fs::read_to_string(self.host.path("log")).unwrap();
            // A line counts when it is whole.
            let whole = log.rfind('\n').map_or(0, |end| end + 1);
            for line in log[self.read..whole].split_inclusive('\n') {
                self.read += line.len();
                if line.contains("TLS") {
                    return line.to_owned();
                }
            }
            assert!(Instant::now() < deadline, "nothing was told: {log}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The peer is refused, and the log says why, with where it came from and what to do.
    fn refused(&mut self, what: &str, answer: &Output, code: &str) {
        assert!(!is_served(answer), "{what}: {answer:?}");
        let line = self.told();
        assert!(line.contains(&format!("\"{code}\"")), "{what}: {line}");
        assert!(
            line.contains("127.0.0.1:") && line.contains("hint="),
            "{line}"
        );
    }
}

fn is_served(answer: &Output) -> bool {
    String::from_utf8_lossy(&answer.stdout).contains("HTTP/1.1 200")
}

const TLS12: &[&str] = &["-tls1_2"];
/// Debian's OpenSSL has no TLS 1.1 above level 0.
const TLS11: &[&str] = &["-tls1_1", "-cipher", "DEFAULT:@SECLEVEL=0"];
const CHACHA20_TLS12: &[&str] = &["-tls1_2", "-cipher", "ECDHE-ECDSA-CHACHA20-POLY1305"];
const CHACHA20_TLS13: &[&str] = &["-tls1_3", "-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"];
const CBC: &[&str] = &["-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-SHA384"];
const X25519_TLS12: &[&str] = &["-tls1_2", "-groups", "X25519"];
const X25519_TLS13: &[&str] = &["-tls1_3", "-groups", "X25519"];
const RSA_SIGNATURES: &[&str] = &["-tls1_3", "-sigalgs", "rsa_pss_rsae_sha256"];
const P256_TLS12: &[&str] = &["-tls1_2", "-groups", "P-256"];
const P384_TLS13: &[&str] = &["-tls1_3", "-groups", "P-384"];
const AES128_TLS13: &[&str] = &["-tls1_3", "-ciphersuites", "TLS_AES_128_GCM_SHA256"];

#[test]
fn a_client_that_cannot_is_refused_with_the_reason_in_the_log_and_a_good_one_is_served() {
    let mut bench = Bench::new();
    for (what, peer, code) in [
        (
            "TLS 1.2 without extended master secret",
            Peer::without_extended_master_secret(TLS12),
            "tls_no_extended_master_secret",
        ),
        ("TLS 1.1", Peer::with(TLS11), "tls_no_common_version"),
        (
            "ChaCha20, TLS 1.2",
            Peer::with(CHACHA20_TLS12),
            "tls_no_common_cipher_suite",
        ),
        (
            "ChaCha20, TLS 1.3",
            Peer::with(CHACHA20_TLS13),
            "tls_no_common_cipher_suite",
        ),
        ("CBC", Peer::with(CBC), "tls_no_common_cipher_suite"),
        (
            "X25519, TLS 1.2",
            Peer::with(X25519_TLS12),
            "tls_no_common_group",
        ),
        (
            "X25519, TLS 1.3",
            Peer::with(X25519_TLS13),
            "tls_no_common_group",
        ),
        (
            "signatures for RSA keys alone",
            Peer::with(RSA_SIGNATURES),
            "tls_no_common_signature",
        ),
    ] {
        let answer = bench.ask(peer);
        bench.refused(what, &answer, code);
    }
    for options in [TLS12, P256_TLS12, &["-tls1_3"], P384_TLS13, AES128_TLS13] {
        let answer = bench.ask(Peer::with(options));
        assert!(is_served(&answer), "{options:?}: {answer:?}");
    }
    // TLS 1.3 has no extended master secret and needs none.
    let answer = bench.ask(Peer::without_extended_master_secret(&[]));
    assert!(is_served(&answer), "{answer:?}");
}

#[test]
fn gnutls_is_served_and_without_extended_master_secret_it_is_not() {
    let mut bench = Bench::new();
    let authority = bench.host.authority.certificate();
    let ask = |priority: &str| gnutls_asks(priority, &authority, bench.address);
    for priority in [
        "NORMAL:-VERS-ALL:+VERS-TLS1.2",
        "NORMAL:-VERS-ALL:+VERS-TLS1.3",
    ] {
        let answer = ask(priority);
        assert!(is_served(&answer), "{priority}: {answer:?}");
    }
    let answer = ask("NORMAL:-VERS-ALL:+VERS-TLS1.2:%NO_SESSION_HASH");
    bench.refused("GnuTLS", &answer, "tls_no_extended_master_secret");
}

#[test]
fn certificates_that_are_not_accepted_are_told_apart_from_both_sides() {
    let mut bench = Bench::new();
    let folder = bench.host.folder.path().to_owned();
    let stranger = Authority::new(&folder, "stranger");
    stranger.client("intruder");
    bench.host.authority.server("server");

    let answer = bench.ask(Peer::with(&[
        "-cert",
        "intruder.pem",
        "-key",
        "intruder-key.pem",
    ]));
    bench.refused("its issuer", &answer, "tls_certificate_unknown_issuer");

    let answer = bench.ask(Peer::with(&[
        "-cert",
        "server.pem",
        "-key",
        "server-key.pem",
    ]));
    bench.refused("its purpose", &answer, "tls_certificate_unusable");

    let answer = bench.ask(Peer::with(&[
        "-verify_return_error",
        "-CAfile",
        "stranger.pem",
    ]));
    bench.refused("ours", &answer, "tls_certificate_refused");

    let answer = bench.ask(Peer::with(&[
        "-verify_return_error",
        "-CAfile",
        "authority.pem",
        "-cert",
        "connector-1.pem",
        "-key",
        "connector-1-key.pem",
    ]));
    assert!(is_served(&answer), "{answer:?}");
}

#[test]
fn plain_http_is_named_as_such() {
    let mut bench = Bench::new();
    let mut plain = TcpStream::connect(bench.address).unwrap();
    plain.set_read_timeout(Some(DEADLINE)).unwrap();
    plain
        .write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .unwrap();
    let mut answer = Vec::new();
    // It may be a reset: not all that was sent has been read.
    let _ = plain.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP"));
    let line = bench.told();
    assert!(
        line.contains("\"tls_not_tls\"") && line.contains("plain HTTP"),
        "{line}"
    );
}

/// In this process, so that the counts can be seen.
#[tokio::test]
async fn what_the_gateway_served_and_refused_is_evidence() {
    let running = Running::start(|_| {}).await;
    let before = fips::tls::state();
    assert_eq!(before.server_configurations, 1);
    assert_eq!(running.anybody().get("/healthz").await.status, 200);
    let address = running.address;
    let plain = tokio::task::spawn_blocking(move || {
        let mut plain = TcpStream::connect(address).unwrap();
        plain.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        let _ = plain.read_to_end(&mut Vec::new());
    });
    plain.await.unwrap();
    running.stop().await;
    let after = fips::tls::state();
    assert_eq!(after.served.full, before.served.full + 1);
    assert_eq!(after.served.tls13, before.served.tls13 + 1);
    assert!(after.groups.iter().any(|group| group.served > 0));
    let refused: Vec<_> = after
        .refused
        .iter()
        .map(|refused| (refused.problem, refused.count))
        .collect();
    assert_eq!(refused, [(PeerProblem::NotTls, 1)]);
}
