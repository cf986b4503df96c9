//! The AD CS client against a contract server: one that holds requests to what MS-XCEP, MS-WSTEP, SOAP 1.2, WS-Addressing and WS-Security
//! say, and answers as they say. It was made from the published protocols; no Microsoft authority was asked.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

mod answers;
mod contract;
mod enrolment;
mod revocation;
#[path = "../support/mod.rs"]
mod support;

use ca::adcs::{Adcs, AdcsSettings, RevokeCommand};
use ca::{
    CertificationAuthority, Enrolment, Error, ErrorClass, Issued, Login, Order, Pending, Recovered,
    Revocation, RevocationReason, Revoked,
};
use contract::{Asked, Fault, Policy, full_response, read_policies, read_request};
use fips::secret::Password;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use support::openssl::{Authority, Device, KeyAlgorithm, Workshop, openssl, text};
use support::{DEADLINE, Reply, Server, http, issue, request, run, server_certificate};

fn settings(server: &Server, root: &Authority<'_>) -> AdcsSettings {
    AdcsSettings {
        name: "adcs".to_owned(),
        enrollment: format!("{}/CA_CES/service.svc/CES", server.url()),
        policy: Some(format!("{}/CEP/service.svc/CEP", server.url())),
        template: Some("SmimeUser".to_owned()),
        login: None,
        anchors: vec![root.der()],
        deadline: DEADLINE,
        ask_again_in: Duration::from_secs(600),
        revoke: None,
        credential_expires: None,
    }
}

fn client(server: &Server, root: &Authority<'_>) -> Adcs {
    Adcs::new(settings(server, root), http(&root.certificate, None)).unwrap()
}

fn order(csr_der: Vec<u8>) -> Order {
    Order {
        id: "0123456789abcdef".to_owned(),
        csr_der,
        profile: None,
    }
}

fn issued(enrolment: Enrolment) -> Issued {
    match enrolment {
        Enrolment::Issued(issued) => issued,
        Enrolment::Pending(pending) => panic!("pending: {pending:?}"),
    }
}

fn pending(enrolment: Enrolment) -> Pending {
    match enrolment {
        Enrolment::Pending(pending) => pending,
        Enrolment::Issued(issued) => panic!("issued: {issued:?}"),
    }
}

fn class(result: Result<impl Sized, Error>) -> ErrorClass {
    match result {
        Ok(_) => panic!("it worked"),
        Err(error) => error.class(),
    }
}

/// An authority that issues, as a server's handler needs it.
struct Issuing {
    folder: std::path::PathBuf,
    certificate: std::path::PathBuf,
    key: std::path::PathBuf,
}

impl Issuing {
    fn of(workshop: &Workshop, root: &Authority<'_>) -> Self {
        Self {
            folder: workshop.path().to_owned(),
            certificate: root.certificate.clone(),
            key: root.key.clone(),
        }
    }

    fn issue(&self, csr: &[u8]) -> Vec<u8> {
        issue(&self.folder, (&self.certificate, &self.key), csr)
    }

    fn response(&self, certificate: &[u8]) -> Vec<u8> {
        full_response((&self.certificate, &self.key), certificate)
    }
}
