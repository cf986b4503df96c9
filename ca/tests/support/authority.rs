//! An authority of the test's own, which says what the test wants it to: mostly what no honest one would.

use super::openssl::{Device, text};
use super::world::signing_key;
use pki::Signer as _;
use pki::algorithm::identifier_der;
use pki::cmp::{Kind, Message};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What it answers one request with.
pub(crate) enum Reply {
    /// A message, as CMP over HTTP has it.
    Message(Vec<u8>),
    /// Any HTTP answer, whole.
    Raw(Vec<u8>),
    /// Nothing: it closes the connection.
    Close,
}

/// A server on the loopback address; it serves until the process ends.
pub(crate) struct Server {
    pub(crate) url: String,
    requests: Arc<AtomicUsize>,
}

impl Server {
    /// Answers the n-th request (from 0), whatever it is, with what `answer` says; one after the other.
    pub(crate) fn new(answer: impl Fn(usize, &[u8]) -> Reply + Send + 'static) -> Self {
        let (listener, server) = Self::listen();
        let counted = Arc::clone(&server.requests);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                serve(stream.unwrap(), &counted, &answer);
            }
        });
        server
    }

    /// The same for many at once.
    pub(crate) fn threads(answer: impl Fn(usize, &[u8]) -> Reply + Send + Sync + 'static) -> Self {
        let (listener, server) = Self::listen();
        let counted = Arc::clone(&server.requests);
        let answer = Arc::new(answer);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (counted, answer) = (Arc::clone(&counted), Arc::clone(&answer));
                std::thread::spawn(move || serve(stream.unwrap(), &counted, &*answer));
            }
        });
        server
    }

    fn listen() -> (TcpListener, Self) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/.well-known/cmp", listener.local_addr().unwrap());
        let requests = Arc::default();
        (listener, Self { url, requests })
    }

    /// How many requests came.
    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

fn serve(mut stream: TcpStream, counted: &AtomicUsize, answer: &dyn Fn(usize, &[u8]) -> Reply) {
    let Some(body) = request(&stream) else {
        return;
    };
    let bytes = match answer(counted.fetch_add(1, Ordering::SeqCst), &body) {
        Reply::Message(message) => http("200 OK", "application/pkixcmp", &message),
        Reply::Raw(bytes) => bytes,
        Reply::Close => return,
    };
    // Who has read enough may be gone.
    let _ = stream.write_all(&bytes);
}

/// An HTTP answer.
pub(crate) fn http(status: &str, media_type: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {media_type}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn request(stream: &TcpStream) -> Option<Vec<u8>> {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(body)
}

/// DER.
pub(crate) fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let mut out = vec![tag];
    match content.len() {
        length @ 0..=127 => out.push(u8::try_from(length).unwrap()),
        length => {
            let octets = u32::try_from(length).unwrap().to_be_bytes();
            out.push(0x84);
            out.extend(octets);
            // The shortest form.
            let zeros = octets.iter().take_while(|octet| **octet == 0).count();
            out[1] -= u8::try_from(zeros).unwrap();
            out.drain(2..2 + zeros);
        }
    }
    out.extend(content);
    out
}

pub(crate) fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    element(0x30, parts)
}

pub(crate) fn number(value: u8) -> Vec<u8> {
    vec![0x02, 0x01, value]
}

/// The certReqId of a request of PKCS#10.
pub(crate) const MINUS_ONE: &[u8] = &[0x02, 0x01, 0xff];

/// PKIStatusInfo: a status, a text, a bit of PKIFailureInfo.
pub(crate) fn status(status: u8, failure: Option<u8>) -> Vec<u8> {
    let text = sequence(&[&element(0x0c, &[b"says the test"])]);
    let failure = failure.map_or_else(Vec::new, |bit| {
        let mut bits = vec![0; usize::from(bit / 8) + 1];
        bits[usize::from(bit / 8)] = 0x80 >> (bit % 8);
        element(0x03, &[&[7 - bit % 8], &bits])
    });
    sequence(&[&number(status), &text, &failure])
}

/// cp with one response.
pub(crate) fn cp(id: &[u8], status: &[u8], certificate: Option<&[u8]>) -> Vec<u8> {
    let pair = certificate.map_or_else(Vec::new, |der| sequence(&[&element(0xa0, &[der])]));
    let response = sequence(&[id, status, &pair]);
    body(Kind::Cp, &sequence(&[&sequence(&[&response])]))
}

pub(crate) fn poll_rep(id: &[u8], seconds: u8) -> Vec<u8> {
    let item = sequence(&[id, &number(seconds)]);
    body(Kind::PollRep, &sequence(&[&item]))
}

pub(crate) fn error(info: &[u8]) -> Vec<u8> {
    body(Kind::Error, &sequence(&[info]))
}

pub(crate) fn pki_conf() -> Vec<u8> {
    body(Kind::PkiConf, &[0x05, 0x00])
}

pub(crate) fn body(kind: Kind, content: &[u8]) -> Vec<u8> {
    element(0xa0 | kind.tag(), &[content])
}

/// How an answer differs from an honest one.
#[derive(Default, Clone)]
pub(crate) struct Lies {
    pub(crate) transaction: bool,
    pub(crate) nonce: bool,
    pub(crate) no_own_nonce: bool,
    pub(crate) unprotected: bool,
    pub(crate) signature: bool,
    pub(crate) version: Option<u8>,
    pub(crate) implicit: bool,
    pub(crate) extra: usize,
}

/// Somebody who answers for an authority.
#[derive(Clone)]
pub(crate) struct Speaker {
    certificate: Vec<u8>,
    subject: Vec<u8>,
    key: Arc<super::world::OwnKey>,
}

impl Speaker {
    pub(crate) fn of(device: &Device<'_>) -> Self {
        let certificate = device.der();
        Self {
            subject: subject_of(&certificate),
            certificate,
            key: signing_key(&device.key, None),
        }
    }

    /// The answer (DER) to a request, with this body.
    pub(crate) fn answer(&self, request: &[u8], body: &[u8], lies: &Lies) -> Vec<u8> {
        let request = Message::read(request).unwrap().header;
        let mut transaction = request.transaction_id.unwrap();
        let mut nonce = request.sender_nonce.unwrap();
        if lies.transaction {
            transaction[0] ^= 1;
        }
        if lies.nonce {
            nonce[0] ^= 1;
        }
        let octets =
            |number: u8, octets: &[u8]| element(0xa0 | number, &[&element(0x04, &[octets])]);
        let protection = match lies.unprotected {
            true => Vec::new(),
            false => element(0xa1, &[&identifier_der(self.key.algorithm())]),
        };
        let own = match lies.no_own_nonce {
            true => Vec::new(),
            false => octets(5, &[9; 16]),
        };
        let info = match lies.implicit {
            true => {
                let oid = [0x06, 0x08, 0x2b, 6, 1, 5, 5, 7, 4, 13];
                element(0xa8, &[&sequence(&[&sequence(&[&oid, &[0x05, 0x00]])])])
            }
            false => Vec::new(),
        };
        let header = sequence(&[
            &number(lies.version.unwrap_or(2)),
            &element(0xa4, &[&self.subject]),
            &element(0xa4, &[&sequence(&[])]),
            &protection,
            &octets(4, &transaction),
            &own,
            &octets(6, &nonce),
            &info,
        ]);
        if lies.unprotected {
            return sequence(&[&header, body]);
        }
        let mut signature = self.key.sign(&sequence(&[&header, body])).unwrap();
        if lies.signature {
            signature = self.key.sign(b"something else").unwrap();
        }
        let mut certificates = self.certificate.clone();
        for _ in 0..lies.extra {
            certificates.extend(&self.certificate);
        }
        sequence(&[
            &header,
            body,
            &element(0xa0, &[&element(0x03, &[&[0], &signature])]),
            &element(0xa1, &[&sequence(&[&certificates])]),
        ])
    }
}

/// The subject (Name, DER) of a certificate, where OpenSSL finds it.
pub(crate) fn subject_of(certificate: &[u8]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("certificate");
    std::fs::write(&file, certificate).unwrap();
    let listing = super::openssl::openssl(&["asn1parse", "-inform", "DER", "-in", text(&file)]);
    // Of tbsCertificate: version, serial, algorithm, issuer, validity, subject.
    let subject = String::from_utf8(listing)
        .unwrap()
        .lines()
        .filter(|line| line.contains(":d=2 "))
        .nth(5)
        .unwrap()
        .to_owned();
    let field = |name: &str| -> usize {
        let at = subject.find(name).unwrap() + name.len();
        let digits = subject[at..].trim_start();
        digits
            .chars()
            .take_while(char::is_ascii_digit)
            .collect::<String>()
            .parse()
            .unwrap()
    };
    let start: usize = subject.split(':').next().unwrap().trim().parse().unwrap();
    certificate[start..start + field("hl=") + field(" l=")].to_vec()
}
