//! HAProxy before an EST server: TLS 1.3 alone, and a certificate of the authority's is demanded. To the server behind it speaks TLS 1.2 with a
//! certificate of its own, as a registration authority does. estserver itself goes no further than TLS 1.2.

use super::estserver::EstServer;
use super::openssl::{Authority, KeyAlgorithm, Workshop, text};
use super::support::{DEADLINE, server_certificate};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

/// A running HAProxy; gone when dropped.
pub(crate) struct Front {
    child: Child,
    port: u16,
}

/// Certificate and key in one file, as HAProxy takes them.
fn both(workshop: &Workshop, certificate: &Path, key: &Path) -> PathBuf {
    let file = workshop.fresh(".both.pem");
    let mut pem = std::fs::read(certificate).unwrap();
    pem.extend(std::fs::read(key).unwrap());
    std::fs::write(&file, pem).unwrap();
    file
}

impl Front {
    pub(crate) fn start(workshop: &Workshop, root: &Authority<'_>, behind: &EstServer) -> Self {
        let own = server_certificate(root);
        let own = both(workshop, &own.certificate, &own.key);
        let to_server = root.device("front", KeyAlgorithm::P256);
        let to_server = both(workshop, &to_server.certificate, &to_server.key);
        let (config, log) = (workshop.fresh(".cfg"), workshop.fresh(".log"));
        // A port that was free a moment ago may not be so any more.
        for _ in 0..8 {
            let free = TcpListener::bind("127.0.0.1:0").unwrap();
            let port = free.local_addr().unwrap().port();
            drop(free);
            std::fs::write(
                &config,
                format!(
                    "defaults\n mode http\n timeout connect 60s\n timeout client 60s\n timeout server 60s\n\
                     frontend front\n bind 127.0.0.1:{port} ssl crt {own} ca-file {root} verify required ssl-min-ver TLSv1.3\n default_backend est\n\
                     backend est\n server est 127.0.0.1:{behind} ssl verify required ca-file {root} crt {to_server} ssl-max-ver TLSv1.2\n",
                    own = text(&own),
                    root = text(&root.certificate),
                    behind = behind.port,
                    to_server = text(&to_server),
                ),
            )
            .unwrap();
            let told = std::fs::File::create(&log).unwrap();
            let child = Command::new("haproxy")
                .env("PATH", "/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
                .args(["-db", "-f", text(&config)])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(told)
                .spawn()
                .expect("this test needs haproxy (scripts/bootstrap.sh installs it)");
            let mut front = Self { child, port };
            if front.is_up() {
                return front;
            }
        }
        panic!("{}", std::fs::read_to_string(log).unwrap());
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
}

impl Drop for Front {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
