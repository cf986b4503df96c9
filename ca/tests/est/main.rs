//! The EST client against a server of the test's own, which is strict where RFC 7030 and RFC 8951 are; OpenSSL makes and reads the CMS.
//! tests/est_libest.rs speaks to a server that we did not write.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

mod answers;
mod enrolment;
#[path = "../support/estserver.rs"]
mod estserver;
mod libest;
#[path = "../support/mod.rs"]
mod support;

use base64ct::{Base64, Encoding};
use ca::est::{Est, EstSettings};
use ca::{
    CertificationAuthority, Enrolment, Error, ErrorClass, Issued, Login, Order, Recovered,
    Revocation, RevocationReason,
};
use fips::secret::Password;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use support::openssl::{Authority, KeyAlgorithm, Workshop, der, openssl, text};
use support::{DEADLINE, Reply, Request, Server, http, issue, request, run, server_certificate};

const PKCS7: &str = "application/pkcs7-mime; smime-type=certs-only";

/// Everything that a server issues with.
struct Bench {
    workshop: Workshop,
}

impl Bench {
    fn new() -> Self {
        Self {
            workshop: Workshop::new(),
        }
    }

    fn root(&self) -> Authority<'_> {
        self.workshop.authority("EST Root", KeyAlgorithm::P256)
    }

    /// A server that issues with this authority.
    fn issuing(
        &self,
        root: &Authority<'_>,
        reply: impl Fn(Vec<u8>) -> Reply + Send + Sync + 'static,
    ) -> Server {
        let folder = self.workshop.path().to_owned();
        let issuer = (root.certificate.clone(), root.key.clone());
        Server::start(&server_certificate(root), None, move |seen| {
            let csr = strict_request(seen, "/.well-known/est/simpleenroll");
            reply(issue(&folder, (&issuer.0, &issuer.1), &csr))
        })
    }
}

fn settings(server: &Server, root: &Authority<'_>) -> EstSettings {
    EstSettings {
        name: "est".to_owned(),
        server: server.url(),
        label: None,
        login: None,
        anchors: vec![root.der()],
        deadline: DEADLINE,
        credential_expires: None,
    }
}

fn client(server: &Server, root: &Authority<'_>) -> Est {
    Est::new(settings(server, root), http(&root.certificate, None)).unwrap()
}

fn order(csr_der: Vec<u8>) -> Order {
    Order {
        id: "0123456789abcdef".to_owned(),
        csr_der,
        profile: None,
    }
}

/// What RFC 8951 says of a request to enrol; its CSR, verified by OpenSSL.
fn strict_request(seen: &Request, path: &str) -> Vec<u8> {
    assert_eq!((seen.method.as_str(), seen.path.as_str()), ("POST", path));
    assert_eq!(seen.header("content-type"), Some("application/pkcs10"));
    assert_eq!(seen.header("content-transfer-encoding"), None);
    let lines = std::str::from_utf8(&seen.body).unwrap();
    assert!(lines.ends_with('\n') && lines.lines().all(|line| (1..=64).contains(&line.len())));
    let csr = Base64::decode_vec(&lines.replace('\n', "")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("csr");
    std::fs::write(&file, &csr).unwrap();
    openssl(&[
        "req",
        "-inform",
        "DER",
        "-in",
        text(&file),
        "-verify",
        "-noout",
    ]);
    csr
}

/// A certs-only message, by OpenSSL, in the order of the certificates (DER).
fn pkcs7(certificates: &[&[u8]]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pem");
    let mut pem = Vec::new();
    for certificate in certificates {
        let der = folder.path().join("der");
        std::fs::write(&der, certificate).unwrap();
        pem.extend(openssl(&["x509", "-inform", "DER", "-in", text(&der)]));
    }
    std::fs::write(&file, pem).unwrap();
    openssl(&[
        "crl2pkcs7",
        "-nocrl",
        "-outform",
        "DER",
        "-certfile",
        text(&file),
    ])
}

fn base64(bytes: &[u8]) -> String {
    Base64::encode_string(bytes)
}

fn issued(enrolment: Result<Enrolment, Error>) -> Issued {
    match enrolment.unwrap() {
        Enrolment::Issued(issued) => issued,
        Enrolment::Pending(pending) => panic!("pending: {pending:?}"),
    }
}

fn class(result: Result<impl Sized, Error>) -> ErrorClass {
    match result {
        Ok(_) => panic!("it worked"),
        Err(error) => {
            assert!(!error.to_string().is_empty());
            error.class()
        }
    }
}

/// The public key of a certificate or request (DER), by OpenSSL.
fn public_key(kind: &str, der: &[u8]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("der");
    std::fs::write(&file, der).unwrap();
    openssl(&[
        kind,
        "-inform",
        "DER",
        "-in",
        text(&file),
        "-noout",
        "-pubkey",
    ])
}

fn verifies(root: &Path, certificate: &[u8]) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("der");
    std::fs::write(&file, certificate).unwrap();
    openssl(&["verify", "-CAfile", text(root), text(&file)]);
}
