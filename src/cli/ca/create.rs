//! `ca create`: an authority's key, made on the token, and its certificate or the request for one.

use crate::cli::key::{SigningKind, printable_label};
use crate::cli::output::{Failure, Report};
use crate::cli::token::{TokenArgs, absolute, open};
use crate::cli::{Context, files};
use clap::Args;
use der::pem::{LineEnding, encode_string};
use fips::sign::SignatureAlgorithm;
use hsm::pkcs11::{GenerateSigningKey, Pkcs11Custody};
use hsm::{Custody, SigningKeyInfo, SigningKeyName};
use pki::issue::{self, AuthorityRequest};
use pki::name::{Lengths, SubjectTemplate};
use pki::template::Values;
use pki::{SignError, Signer, csr, extension};
use serde_json::json;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};
use x509_cert::ext::pkix::KeyUsages;
use x509_cert::name::Name;

/// Options of `ca create`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pfx-connector ca create --config engine.toml --key-label ca-issuing --ocsp-key-label ca-issuing-ocsp \\
      --subject 'CN=Example Issuing CA,O=Example' --out ca-issuing.pem
  pfx-connector ca create --config engine.toml --key-label ca-issuing --subject 'CN=Example Issuing CA,O=Example' --csr --out ca-issuing.csr
      for an authority above it: put its certificate, and those above, into the file that [[engine.ca]] names

This is done on the token itself, by whoever has its PIN: the engine is not asked, and its log does not show the self-signature.")]
pub(super) struct CreateArgs {
    #[command(flatten)]
    token: TokenArgs,
    /// Label of the authority's new key
    #[arg(long, value_name = "LABEL")]
    key_label: String,
    /// Kind of the key; answers of OCSP are signed by a key of the same kind
    #[arg(long, value_enum, default_value_t = SigningKind::P384)]
    kind: SigningKind,
    /// Subject, such as `CN=Example Issuing CA,O=Example,C=DE` (RFC 4514)
    #[arg(long, value_name = "NAME")]
    subject: String,
    /// Make a request (PKCS#10) to an authority above it, instead of a self-signed certificate
    #[arg(long)]
    csr: bool,
    /// Years that the self-signed certificate is valid
    #[arg(long, value_name = "YEARS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=30), conflicts_with = "csr")]
    years: u32,
    /// How many authorities may stand beneath it
    #[arg(long, value_name = "NUMBER", default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=9), conflicts_with = "csr")]
    path_length: u8,
    /// It issues for e-mail addresses in this domain only (name constraint; `.example.com`: every host beneath it); may be repeated
    #[arg(long, value_name = "DOMAIN", conflicts_with = "csr")]
    permit_email: Vec<String>,
    /// It issues for DNS names in this domain only (name constraint); may be repeated
    #[arg(long, value_name = "DOMAIN", conflicts_with = "csr")]
    permit_dns: Vec<String>,
    /// Make the key of its OCSP responder, too, under this label
    #[arg(long, value_name = "LABEL")]
    ocsp_key_label: Option<String>,
    /// The file for the certificate or request (PEM); one that exists is not overwritten
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// A key on an open token.
struct OnToken<'a> {
    custody: &'a Pkcs11Custody,
    key: &'a SigningKeyInfo,
}

impl Signer for OnToken<'_> {
    fn algorithm(&self) -> SignatureAlgorithm {
        self.key.algorithm
    }

    fn spki_der(&self) -> &[u8] {
        &self.key.spki_der
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let name = SigningKeyName::Fingerprint(self.key.fingerprint);
        self.custody
            .sign(&name, message)
            .map(|signed| signed.signature)
            .map_err(|error| SignError::Holder {
                problem: error.to_string(),
            })
    }
}

pub(super) fn run(args: &CreateArgs, context: &Context) -> Result<Report, Failure> {
    printable_label(&args.key_label)?;
    if let Some(label) = &args.ocsp_key_label {
        printable_label(label)?;
        if *label == args.key_label {
            return Err(Failure::usage(
                "label",
                "the OCSP responder needs a key of its own: --ocsp-key-label is --key-label",
            ));
        }
    }
    let subject = subject(&args.subject)?;
    let out = absolute(&args.out)?;
    files::must_be_new(&out)?;
    let constraints = issue::permitted(&args.permit_email, &args.permit_dns)
        .map_err(|error| Failure::usage("constraints", error.to_string()))?;

    let custody = open(args.token.settings("ca create", &context.args)?)?;
    let generate = |label: &str| {
        custody.generate_signing_key(&GenerateSigningKey {
            label: label.to_owned(),
            kind: args.kind.into(),
        })
    };
    let key = generate(&args.key_label)?;
    let signer = OnToken {
        custody: &custody,
        key: &key,
    };
    let (pem_label, der) = if args.csr {
        ("CERTIFICATE REQUEST", request(subject, &signer)?)
    } else {
        let wanted = AuthorityRequest {
            subject,
            path_len: Some(args.path_length),
            constraints,
        };
        let days = u64::from(args.years).saturating_mul(365);
        let lasts = Duration::from_secs(days.saturating_mul(86_400));
        let serial = issue::new_serial().map_err(not_issued)?;
        let made =
            issue::root(&wanted, &serial, lasts, SystemTime::now(), &signer).map_err(not_issued)?;
        ("CERTIFICATE", made.der)
    };
    let pem = encode_string(pem_label, LineEnding::LF, &der)
        .map_err(|error| Failure::failed("encoding", error.to_string()))?;
    files::write_new(&out, pem.as_bytes(), 0o644)?;
    let ocsp = args
        .ocsp_key_label
        .as_deref()
        .map(generate)
        .transpose()?
        .map(|key| key.fingerprint.to_string());
    let what = if args.csr { "request" } else { "certificate" };
    let text = format!(
        "Made the key {:?} ({}, {}) on the token {}, and wrote its {what} to {}.\n\
         Name both in [[engine.ca]] and restart the engine; docs/local-ca.md goes on from there.",
        key.label,
        key.algorithm.name(),
        key.fingerprint,
        custody.token().label,
        out.display()
    );
    Ok(Report::done(
        json!({
            "key": key,
            "ocspKey": ocsp,
            "file": out,
            "form": what,
        }),
        text,
    )
    .with_fips())
}

fn not_issued(error: issue::IssueError) -> Failure {
    Failure::failed("not_issued", error.to_string())
        .hint("the key is on the token already: destroy it by the token's own tools, or take another label")
}

/// A subject without variables.
fn subject(text: &str) -> Result<Name, Failure> {
    let wrong = |why: String| {
        Failure::usage("subject", why)
            .hint("write it as in RFC 4514: 'CN=Example Issuing CA,O=Example,C=DE'")
    };
    let name = SubjectTemplate::parse(text)
        .map_err(|error| wrong(error.to_string()))?
        .fill(&Values::new(), Lengths::Rfc5280)
        .map_err(|error| wrong(error.to_string()))?;
    if name.is_empty() {
        return Err(wrong("an authority needs a subject".to_owned()));
    }
    Ok(name)
}

/// What else it becomes is for the authority above it to say.
fn request(subject: Name, signer: &dyn Signer) -> Result<Vec<u8>, Failure> {
    let request = csr::Request {
        subject,
        extensions: extension::Extensions {
            key_usage: Some(KeyUsages::KeyCertSign | KeyUsages::CRLSign),
            ..extension::Extensions::default()
        },
        challenge_password: None,
    };
    csr::create(&request, signer).map_err(|error| Failure::failed("csr", error.to_string()))
}
