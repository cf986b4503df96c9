//! Other TLS software as a peer: the programs `openssl` and `gnutls-cli`.
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// Only so that a fault ends the test; nothing is measured.
const DEADLINE: Duration = Duration::from_secs(60);

/// How OpenSSL is set up.
#[derive(Clone, Copy)]
pub struct Peer {
    /// More options of `s_client` or `s_server`.
    pub options: &'static [&'static str],
    /// TLS 1.2 with extended master secret, as usual.
    pub extended_master_secret: bool,
}

impl Peer {
    pub const fn with(options: &'static [&'static str]) -> Self {
        Self {
            options,
            extended_master_secret: true,
        }
    }

    pub const fn without_extended_master_secret(options: &'static [&'static str]) -> Self {
        Self {
            options,
            extended_master_secret: false,
        }
    }

    /// There is no option for the extended master secret, but a setting (SSL_CONF_cmd(3)).
    fn openssl(self, folder: &Path, mode: &str) -> Command {
        let settings = folder.join("peer.cnf");
        let options = if self.extended_master_secret {
            "ExtendedMasterSecret"
        } else {
            "-ExtendedMasterSecret"
        };
        std::fs::write(
            &settings,
            format!(
                "openssl_conf = conf\n[conf]\nssl_conf = ssl\n[ssl]\nsystem_default = tls\n[tls]\nOptions = {options}\n"
            ),
        )
        .unwrap();
        let mut command = Command::new("openssl");
        command
            .env("OPENSSL_CONF", settings)
            .current_dir(folder)
            .arg(mode)
            .args(self.options);
        command
    }

    /// Asks the server for `/healthz`; what comes back.
    pub fn ask(self, folder: &Path, server: SocketAddr) -> Output {
        let mut command = self.openssl(folder, "s_client");
        command.args(["-quiet", "-connect", &server.to_string()]);
        converse(command, "openssl")
    }

    /// A server with this certificate that answers every request with a page.
    pub fn serve(self, folder: &Path, certificate: &Path, private_key: &Path) -> Server {
        let mut command = self.openssl(folder, "s_server");
        command.args(["-accept", "127.0.0.1:0", "-www", "-cert"]);
        command.arg(certificate).arg("-key").arg(private_key);
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("this test needs the program `openssl`: {error}"));
        Server::announced(child)
    }
}

/// GnuTLS asks the server for `/healthz`.
pub fn gnutls_asks(priority: &str, authority: &Path, server: SocketAddr) -> Output {
    let mut command = Command::new("gnutls-cli");
    command
        .arg(format!("--priority={priority}"))
        .arg(format!("--x509cafile={}", authority.display()))
        .arg("--logfile=/dev/null")
        .arg(format!("--port={}", server.port()))
        .arg(server.ip().to_string());
    converse(command, "gnutls-cli")
}

fn converse(mut command: Command, program: &str) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("this test needs the program `{program}`: {error}"));
    let mut stdin = child.stdin.take().unwrap();
    // Who is refused may be gone already. Standard input stays open until the other side has closed.
    let _ =
        stdin.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let _ = stdin.flush();
    let output = ended(child);
    drop(stdin);
    output
}

/// What the child said, when it is over; killed when that takes too long.
fn ended(mut child: Child) -> Output {
    let mut pipes = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let (done, wait) = mpsc::channel();
    let reading = std::thread::spawn(move || {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        std::io::copy(&mut pipes.0, &mut stdout).unwrap();
        std::io::copy(&mut pipes.1, &mut stderr).unwrap();
        let _ = done.send(());
        (stdout, stderr)
    });
    let in_time = wait.recv_timeout(DEADLINE).is_ok();
    if !in_time {
        child.kill().unwrap();
    }
    let (stdout, stderr) = reading.join().unwrap();
    let status = child.wait().unwrap();
    let output = Output {
        status,
        stdout,
        stderr,
    };
    assert!(in_time, "the peer did not end: {output:?}");
    output
}

/// A server of others; gone when the test is over.
pub struct Server {
    child: Child,
    pub address: SocketAddr,
}

impl Server {
    /// `s_server` says on which address it accepts.
    fn announced(mut child: Child) -> Self {
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = loop {
            let line = lines.next().expect("s_server ended").unwrap();
            if let Some(address) = line.strip_prefix("ACCEPT ") {
                break address.parse().unwrap();
            }
        };
        // It must not stop at a full pipe.
        std::thread::spawn(move || for _ in lines.map_while(Result::ok) {});
        Self { child, address }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
