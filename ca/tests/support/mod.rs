//! A server of the test's own, over TLS, that answers as the test says; and what clients and servers need to find each other.
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

#[path = "../../../tests/support/openssl.rs"]
pub mod openssl;

use fips::tls::{ClientCertificates, Identity};
use openssl::{Authority, Device, Issuance, KeyAlgorithm, Workshop, text};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Longer than any answer takes; only so that a fault ends the test.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// Starts the module, once for the process.
pub fn start() {
    fips::start(fips::policy::Policy::STRICT).unwrap();
}

/// A request as the server saw it.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Whether a TLS certificate was shown, and accepted.
    pub client_certificate: bool,
}

impl Request {
    /// The only header of this name, in lower case; `None` without one.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(known, _)| known == name);
        let value = found.next().map(|(_, value)| value.as_str());
        assert!(found.next().is_none(), "{name} more than once");
        value
    }
}

/// What the server does with a request.
pub enum Reply {
    /// Status, headers and body.
    Answer(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// Keeps the connection and says nothing.
    Silence,
    /// Closes the connection.
    Goodbye,
    /// A success whose body has no end.
    Endless,
}

impl Reply {
    pub fn ok(kind: &str, body: impl Into<Vec<u8>>) -> Self {
        Self::Answer(200, vec![("content-type", kind.to_owned())], body.into())
    }

    pub fn status(status: u16) -> Self {
        Self::Answer(status, Vec::new(), Vec::new())
    }
}

type Handler = dyn Fn(&Request) -> Reply + Send + Sync;

/// A server on a port of its own.
pub struct Server {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// Serves with this certificate. `clients`: the file of authorities (PEM) of which a client has to show a certificate.
    pub fn start(
        certificate: &Device<'_>,
        clients: Option<&Path>,
        handler: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        start();
        let clients = match clients {
            Some(file) => ClientCertificates::Demanded(roots(file)),
            None => ClientCertificates::Wanted(roots(&certificate.certificate)),
        };
        let identity = identity(&certificate.certificate, &certificate.key);
        let config = Arc::new(fips::tls::server_config(identity, clients, &[b"http/1.1"]).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let handler: Arc<Handler> = Arc::new(handler);
        let log = Arc::clone(&seen);
        // Ends with the test's process: it waits for connections, and nobody waits for it.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (config, handler, log) =
                    (Arc::clone(&config), Arc::clone(&handler), Arc::clone(&log));
                std::thread::spawn(move || {
                    let connection = rustls::ServerConnection::new(config).unwrap();
                    serve(rustls::StreamOwned::new(connection, stream), &handler, &log);
                });
            }
        });
        Self { address, seen }
    }

    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// The requests so far.
    pub fn seen(&self) -> Vec<Request> {
        self.seen.lock().unwrap().clone()
    }
}

type Tls = rustls::StreamOwned<rustls::ServerConnection, TcpStream>;

fn serve(stream: Tls, handler: &Arc<Handler>, log: &Mutex<Vec<Request>>) {
    let mut reader = BufReader::new(stream);
    let Some(request) = read(&mut reader) else {
        return;
    };
    log.lock().unwrap().push(request.clone());
    let reply = handler(&request);
    let mut stream = reader.into_inner();
    match reply {
        Reply::Answer(status, headers, body) => {
            let mut head = format!(
                "HTTP/1.1 {status} x\r\nconnection: close\r\ncontent-length: {}\r\n",
                body.len()
            );
            for (name, value) in headers {
                head.push_str(&format!("{name}: {value}\r\n"));
            }
            head.push_str("\r\n");
            let _ = stream.write_all(head.as_bytes());
            let _ = stream.write_all(&body);
            let _ = stream.flush();
            stream.conn.send_close_notify();
            let _ = stream.flush();
        }
        Reply::Silence => {
            let _ = stream.read(&mut [0; 1]);
        }
        Reply::Goodbye => {}
        Reply::Endless => {
            let _ = stream.write_all(b"HTTP/1.1 200 x\r\nconnection: close\r\n\r\n");
            while stream.write_all(&[b'A'; 4096]).is_ok() {}
        }
    }
}

fn read(reader: &mut BufReader<Tls>) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, path) = (words.next()?, words.next()?);
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers
        .iter()
        .find(|(name, _)| name == "content-length")
        .map_or(0, |(_, value)| value.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request {
        method,
        path,
        headers,
        body,
        client_certificate: reader.get_ref().conn.peer_certificates().is_some(),
    })
}

pub fn roots(file: &Path) -> RootCertStore {
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).unwrap() {
        store.add(certificate.unwrap()).unwrap();
    }
    store
}

pub fn identity(certificate: &Path, key: &Path) -> Identity {
    Identity {
        chain: vec![CertificateDer::from_pem_file(certificate).unwrap()],
        private_key: PrivateKeyDer::from_pem_file(key).unwrap(),
    }
}

/// An HTTP client as the program makes it: trusts this file, and shows this certificate.
pub fn http(trusted: &Path, own: Option<&Device<'_>>) -> reqwest::Client {
    start();
    let own = own.map(|device| identity(&device.certificate, &device.key));
    let tls = fips::tls::client_config(roots(trusted), own, &[b"http/1.1"]).unwrap();
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .https_only(true)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .build()
        .unwrap()
}

/// A certificate for a server on the loopback address.
pub fn server_certificate<'a>(authority: &Authority<'a>) -> Device<'a> {
    let issuance = Issuance {
        extensions: "basicConstraints = CA:FALSE\nkeyUsage = critical, digitalSignature\nextendedKeyUsage = serverAuth\n\
                     subjectAltName = IP:127.0.0.1"
            .to_owned(),
        ..Issuance::default()
    };
    authority.device_with("server", KeyAlgorithm::P256, &issuance)
}

/// A request (PKCS#10, DER), made with OpenSSL.
pub fn request(workshop: &Workshop, name: &str) -> Vec<u8> {
    let key = workshop.key(KeyAlgorithm::P256);
    let subject = format!("/CN={name}");
    openssl::openssl(&[
        "req",
        "-new",
        "-key",
        text(&key),
        "-subj",
        &subject,
        "-outform",
        "DER",
    ])
}

/// A certificate (DER) that OpenSSL issues for a request.
pub fn issue(workshop: &Path, authority: (&Path, &Path), request: &[u8]) -> Vec<u8> {
    let file = unique(workshop);
    std::fs::write(&file, request).unwrap();
    openssl::openssl(&[
        "x509",
        "-req",
        "-inform",
        "DER",
        "-in",
        text(&file),
        "-CA",
        text(authority.0),
        "-CAkey",
        text(authority.1),
        "-days",
        "30",
        "-outform",
        "DER",
    ])
}

fn unique(folder: &Path) -> PathBuf {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    folder.join(format!("unique-{}", NEXT.fetch_add(1, Ordering::Relaxed)))
}

/// Runs what a client does, on a runtime of its own.
pub fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(work)
}
