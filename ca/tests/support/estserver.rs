//! estserver, the server of libest: software that we did not write. scripts/estserver.sh builds it.
#![allow(dead_code)]

use super::support::openssl::{Authority, Workshop, text};
use super::support::{DEADLINE, server_certificate};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

/// An estserver with an authority of its own, in a folder of its own; gone when dropped.
pub(crate) struct EstServer {
    child: Child,
    pub(crate) port: u16,
    home: PathBuf,
}

impl EstServer {
    /// Starts one that issues with `root`, certificates with these extensions (lines of OpenSSL's), and takes TLS certificates of `root`'s.
    pub(crate) fn start(
        workshop: &Workshop,
        root: &Authority<'_>,
        extensions: &str,
        options: &[&str],
    ) -> Self {
        let program =
            PathBuf::from(env!("CARGO_TARGET_TMPDIR")).with_file_name("tools/estserver/estserver");
        assert!(
            program.is_file(),
            "this test needs libest's estserver: `make bootstrap` (scripts/estserver.sh) makes it as {}",
            program.display()
        );
        let home = workshop.fresh(".est");
        std::fs::create_dir_all(home.join("new")).unwrap();
        std::fs::write(home.join("index"), "").unwrap();
        std::fs::write(home.join("serial"), "1000\n").unwrap();
        let config = home.join("ca.cnf");
        std::fs::write(
            &config,
            format!(
                "[ca]\ndefault_ca = CA_default\n[CA_default]\ndatabase = {home}/index\nnew_certs_dir = {home}/new\nserial = {home}/serial\n\
                 certificate = {certificate}\nprivate_key = {key}\ndefault_days = 30\ndefault_md = sha256\npolicy = policy_any\n\
                 unique_subject = no\nx509_extensions = client_cert\n[policy_any]\ncommonName = supplied\n[client_cert]\n\
                 basicConstraints = CA:FALSE\nkeyUsage = digitalSignature\n{extensions}\n",
                home = home.display(),
                certificate = root.certificate.display(),
                key = root.key.display(),
            ),
        )
        .unwrap();
        let own = server_certificate(root);
        // It takes a number and no other port: one that was free a moment ago may not be so any more.
        for _ in 0..8 {
            let port = TcpListener::bind("127.0.0.1:0")
                .unwrap()
                .local_addr()
                .unwrap()
                .port();
            let child = Command::new(&program)
                .args([
                    "-c",
                    text(&own.certificate),
                    "-k",
                    text(&own.key),
                    "-r",
                    "estrealm",
                ])
                .args(["-p", &port.to_string()])
                .args(options)
                .current_dir(&home)
                .env("EST_TRUSTED_CERTS", &root.certificate)
                .env("EST_CACERTS_RESP", &root.certificate)
                .env("EST_OPENSSL_CACONFIG", &config)
                // challengePassword, and a key on P-384.
                .env(
                    "EST_CSR_ATTR",
                    "MB8GCSqGSIb3DQEJBzASBgcqhkjOPQIBMQcGBSuBBAAi",
                )
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let mut server = Self {
                child,
                port,
                home: home.clone(),
            };
            if server.is_up() {
                return server;
            }
        }
        panic!("estserver does not come up");
    }

    fn is_up(&mut self) -> bool {
        let start = Instant::now();
        while start.elapsed() < DEADLINE && self.child.try_wait().unwrap().is_none() {
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return true;
            }
            std::thread::yield_now();
        }
        false
    }

    pub(crate) fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// How many certificates it has issued, by its own index.
    pub(crate) fn issued(&self) -> usize {
        let index = std::fs::read_to_string(self.home.join("index")).unwrap();
        index.lines().count()
    }
}

impl Drop for EstServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
