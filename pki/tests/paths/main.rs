//! Paths, after the cases of C2SP's x509-limbo and more: certificates made by OpenSSL, verified here and by `openssl verify`.
//!
//! What OpenSSL refuses is refused here, always. Where it accepts and this does not, the case says so.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

#[path = "../../../tests/support/openssl.rs"]
mod openssl;

mod authorities;
mod names;
mod purposes;
mod revocation;

use fips::policy::Policy;
use openssl::{AUTHORITY, Authority, Device, Issuance, KeyAlgorithm, Workshop, text, try_openssl};
use pki::path::{Certificate, PathError, Problem, Purpose, Verification};
use std::path::Path;

const KEY: KeyAlgorithm = KeyAlgorithm::P256;
/// 2026-11-27.
const AT: [u8; 14] = *b"20261127120000";
const AT_SECONDS: &str = "1795780800";

/// What has to come out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// Accepted by both.
    Good,
    /// Refused by both.
    Bad,
    /// Refused here, accepted by OpenSSL: deliberately.
    Stricter,
}
use Verdict::{Bad, Good, Stricter};

fn issuance(extensions: &str) -> Issuance {
    Issuance {
        extensions: extensions.to_owned(),
        ..Issuance::default()
    }
}

/// An authority with more lines among its extensions.
fn with(more: &str) -> String {
    format!("{AUTHORITY}\n{more}")
}

fn certificate(path: &Path) -> Certificate {
    Certificate::read(&openssl::der(path)).unwrap()
}

fn openssl_purpose(purpose: Purpose) -> &'static [&'static str] {
    match purpose {
        // OpenSSL knows no such purpose.
        Purpose::Any | Purpose::AttestationKey => &[],
        Purpose::Smime => &["-purpose", "smimesign"],
        Purpose::Client => &["-purpose", "sslclient"],
    }
}

/// Verifies with both, and holds the verdict.
fn hold(
    case: &str,
    verdict: Verdict,
    leaf: &Device<'_>,
    intermediates: &[&Authority<'_>],
    root: &Authority<'_>,
    purpose: Purpose,
) -> Option<PathError> {
    fips::start(Policy::STRICT).unwrap();
    let mut arguments = vec![
        "verify",
        "-attime",
        AT_SECONDS,
        "-no-CApath",
        "-no-CAstore",
        "-CAfile",
        text(&root.certificate),
    ];
    for intermediate in intermediates {
        arguments.extend(["-untrusted", text(&intermediate.certificate)]);
    }
    arguments.extend(openssl_purpose(purpose));
    arguments.push(text(&leaf.certificate));
    let theirs = try_openssl(&arguments);

    let roots = [certificate(&root.certificate)];
    let between: Vec<Certificate> = intermediates
        .iter()
        .map(|one| certificate(&one.certificate))
        .collect();
    let leaf = Certificate::read(&leaf.der());
    let ours = match &leaf {
        Ok(leaf) => {
            let verification = Verification {
                roots: &roots,
                intermediates: &between,
                purpose,
                at: AT,
                ..Verification::default()
            };
            verification
                .verify(leaf)
                .map(|path| path.certificates.len())
        }
        Err(problem) => Err(PathError {
            subject: String::new(),
            problem: problem.clone(),
        }),
    };
    let (here, there) = match verdict {
        Good => (true, true),
        Bad => (false, false),
        Stricter => (false, true),
    };
    assert_eq!(theirs.is_ok(), there, "{case}: OpenSSL: {theirs:?}");
    assert_eq!(ours.is_ok(), here, "{case}: {ours:?}");
    ours.err()
}

/// A root, intermediates with these extensions, the one next to the root first, and a leaf.
fn chain(
    case: &str,
    verdict: Verdict,
    root: &str,
    between: &[&str],
    leaf: &str,
    purpose: Purpose,
) -> Option<Problem> {
    chain_named(case, verdict, root, between, ("Ada", leaf), purpose)
}

fn chain_named(
    case: &str,
    verdict: Verdict,
    root: &str,
    between: &[&str],
    (name, leaf): (&str, &str),
    purpose: Purpose,
) -> Option<Problem> {
    let workshop = Workshop::new();
    let root = workshop.root_with("Root", &workshop.key(KEY), &issuance(root));
    let mut issuers: Vec<Authority<'_>> = Vec::new();
    for (place, extensions) in between.iter().enumerate() {
        let issuer = issuers.last().unwrap_or(&root);
        let next = issuer.intermediate_with(&format!("I{place}"), KEY, &issuance(extensions));
        issuers.push(next);
    }
    let leaf = issuers
        .last()
        .unwrap_or(&root)
        .device_with(name, KEY, &issuance(leaf));
    let intermediates: Vec<&Authority<'_>> = issuers.iter().collect();
    hold(case, verdict, &leaf, &intermediates, &root, purpose).map(|error| error.problem)
}

/// Extensions of a person's certificate, with these names.
fn person(names: &str) -> String {
    format!(
        "basicConstraints = critical, CA:FALSE\nkeyUsage = critical, digitalSignature, keyAgreement\nextendedKeyUsage = emailProtection, clientAuth\nsubjectAltName = {names}"
    )
}
