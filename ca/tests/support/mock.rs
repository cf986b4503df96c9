//! The mock server of `openssl cmp`: a real implementation of the protocol that we did not write.

use super::openssl::text;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running server; it ends when dropped. It serves one connection at a time.
pub(crate) struct MockServer {
    process: Child,
    pub(crate) url: String,
}

impl MockServer {
    /// A server that signs with this certificate and key (PEM), believes whom `trusted` issued, and issues `result`.
    pub(crate) fn signing(
        (certificate, key): (&Path, &Path),
        trusted: &Path,
        result: &Path,
        more: &[&str],
    ) -> Self {
        let mut arguments = vec!["-srv_cert", text(certificate), "-srv_key", text(key)];
        arguments.extend(["-srv_trusted", text(trusted), "-rsp_cert", text(result)]);
        arguments.extend(more);
        Self::start(&arguments)
    }

    /// A server that knows a shared secret.
    pub(crate) fn sharing(reference: &str, secret: &str, result: &Path, more: &[&str]) -> Self {
        let secret = format!("pass:{secret}");
        let mut arguments = vec!["-srv_ref", reference, "-srv_secret", &secret];
        arguments.extend(["-rsp_cert", text(result)]);
        arguments.extend(more);
        Self::start(&arguments)
    }

    fn start(arguments: &[&str]) -> Self {
        let mut process = Command::new("openssl")
            .args(["cmp", "-config", "", "-port", "0"])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap_or_else(|error| panic!("this test needs the program `openssl`: {error}"));
        // "ACCEPT [::]:43419 PID=22927": it chooses the port.
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let port = lines
            .map_while(Result::ok)
            .find_map(|line| {
                let address = line.strip_prefix("ACCEPT ")?.split(' ').next()?.to_owned();
                address.rsplit(':').next().map(str::to_owned)
            })
            .unwrap_or_else(|| panic!("`openssl cmp -port` (OpenSSL 3) says no port"));
        Self {
            process,
            url: format!("http://127.0.0.1:{port}/pkix/"),
        }
    }

    /// Waits until it has ended by itself (`-max_msgs`).
    pub(crate) fn wait(&mut self) {
        let until = Instant::now() + Duration::from_secs(30);
        while self.process.try_wait().unwrap().is_none() {
            assert!(Instant::now() < until, "the server goes on");
            std::thread::yield_now();
        }
    }
}

impl Drop for MockServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
