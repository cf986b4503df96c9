//! `ca issue` and `ca revoke`.

use super::link::{WhichArgs, refused};
use crate::cli::files;
use crate::cli::output::{Failure, Report};
use crate::cli::token::absolute;
use crate::encoding::hex;
use ca::{CertificationAuthority, Enrolment, Order, Revocation, RevocationReason, Revoked};
use clap::{Args, ValueEnum};
use der::pem::{LineEnding, encode_string};
use der::{Decode, Encode};
use fips::digest::{Hash, digest};
use serde_json::json;
use std::path::PathBuf;
use x509_cert::Certificate;

/// The largest file that is read.
const MAX_BYTES: usize = 64 * 1024;
/// Characters of an order's id that is made from the request.
const ORDER_CHARACTERS: usize = 48;

/// Options of `ca issue`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pfx-connector ca issue --config engine.toml --profile mail-signing --csr anna.csr --out anna.pem

The same request for the same profile gets the same certificate again, unless another --order says otherwise.")]
pub(super) struct IssueArgs {
    #[command(flatten)]
    which: WhichArgs,
    /// The request (PKCS#10, PEM or DER)
    #[arg(long, value_name = "FILE")]
    csr: PathBuf,
    /// Profile of the authority
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// Id of the order, 16 to 64 letters, digits and `-`: it stands for this request for ever. Without it one is made from request and profile
    #[arg(long, value_name = "ID")]
    order: Option<String>,
    /// The file for the certificate (PEM); one that exists is not overwritten
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

pub(super) fn issue(args: &IssueArgs) -> Result<Report, Failure> {
    let out = absolute(&args.out)?;
    files::must_be_new(&out)?;
    let bytes = files::read(&args.csr, MAX_BYTES, "request")?;
    args.which.with("ca issue", |ca, section| async move {
        let profile = args.profile.clone().or(section.profile);
        let csr = pki::csr::Csr::read_pem_or_der(&bytes)
            .map_err(|error| Failure::failed("csr", error.to_string()))?;
        let csr_der = csr.der().to_vec();
        let order = Order {
            id: args
                .order
                .clone()
                .unwrap_or_else(|| order_of(&csr_der, profile.as_deref())),
            csr_der,
            profile,
        };
        let Enrolment::Issued(issued) = ca.enroll(&order).await.map_err(refused)? else {
            return Err(Failure::failed("unknown", "the authority did not issue"));
        };
        let der = issued.certificate_der;
        let (serial, subject, until) = facts(&der)?;
        let pem = encode_string("CERTIFICATE", LineEnding::LF, &der)
            .map_err(|error| Failure::failed("encoding", error.to_string()))?;
        files::write_new(&out, pem.as_bytes(), 0o644)?;
        Ok(Report::done(
            json!({"order": order.id, "serial": serial, "subject": subject, "notAfter": until, "file": out}),
            format!(
                "Issued {serial} to {subject}, valid until {until}: {}\nOrder {}",
                out.display(),
                order.id
            ),
        ))
    })
}

/// The same request for the same profile is the same order.
fn order_of(csr_der: &[u8], profile: Option<&str>) -> String {
    let message = [profile.unwrap_or_default().as_bytes(), &[0], csr_der].concat();
    let mut id = hex(digest(Hash::Sha256, &message).as_ref());
    id.truncate(ORDER_CHARACTERS);
    id
}

/// Serial number, subject and end of a certificate.
fn facts(der: &[u8]) -> Result<(String, String, String), Failure> {
    let certificate = Certificate::from_der(der)
        .map_err(|error| Failure::failed("certificate", error.to_string()))?;
    let tbs = certificate.tbs_certificate();
    Ok((
        hex(tbs.serial_number().as_bytes()),
        pki::name::rfc4514(tbs.subject()),
        tbs.validity().not_after.to_string(),
    ))
}

/// Reasons, by the names of RFC 5280.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Reason {
    /// No reason is told
    Unspecified,
    /// The private key is in somebody else's hand, or may be
    KeyCompromise,
    /// The holder is with another part of the organisation
    AffiliationChanged,
    /// There is another certificate in its place
    Superseded,
    /// It is not needed any more
    CessationOfOperation,
    /// For now: `remove-from-crl` takes it back
    CertificateHold,
    /// A hold is taken back
    RemoveFromCrl,
    /// The holder may not have what it says any more
    PrivilegeWithdrawn,
}

impl From<Reason> for RevocationReason {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::Unspecified => Self::Unspecified,
            Reason::KeyCompromise => Self::KeyCompromise,
            Reason::AffiliationChanged => Self::AffiliationChanged,
            Reason::Superseded => Self::Superseded,
            Reason::CessationOfOperation => Self::CessationOfOperation,
            Reason::CertificateHold => Self::CertificateHold,
            Reason::RemoveFromCrl => Self::RemoveFromCrl,
            Reason::PrivilegeWithdrawn => Self::PrivilegeWithdrawn,
        }
    }
}

/// Options of `ca revoke`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pfx-connector ca revoke --config engine.toml --certificate anna.pem --reason key-compromise
  pfx-connector ca revoke --config engine.toml --serial 01c5...")]
pub(super) struct RevokeArgs {
    #[command(flatten)]
    which: WhichArgs,
    /// The certificate (PEM or DER)
    #[arg(
        long,
        value_name = "FILE",
        required_unless_present = "serial",
        conflicts_with = "serial"
    )]
    certificate: Option<PathBuf>,
    /// Its serial number (hexadecimal)
    #[arg(long, value_name = "HEX")]
    serial: Option<String>,
    /// Why
    #[arg(long, value_enum, default_value_t = Reason::Unspecified)]
    reason: Reason,
}

pub(super) fn revoke(args: &RevokeArgs) -> Result<Report, Failure> {
    let named = match (&args.certificate, &args.serial) {
        (Some(file), _) => {
            let bytes = files::read(file, MAX_BYTES, "certificate")?;
            let mut found =
                files::certificates(&bytes).map_err(|why| Failure::usage("certificate", why))?;
            let der = found.drain(..).next().unwrap_or_default();
            let certificate = Certificate::from_der(&der)
                .map_err(|error| Failure::usage("certificate", error.to_string()))?;
            let tbs = certificate.tbs_certificate();
            let issuer = tbs
                .issuer()
                .to_der()
                .map_err(|error| Failure::usage("certificate", error.to_string()))?;
            (Some(issuer), tbs.serial_number().as_bytes().to_vec())
        }
        (None, Some(serial)) => {
            let serial: String = serial.chars().filter(|one| *one != ':').collect();
            let octets = base16ct::mixed::decode_vec(&serial)
                .ok()
                .filter(|octets| (1..=21).contains(&octets.len()))
                .ok_or_else(|| {
                    Failure::usage("serial", "--serial takes 1 to 21 octets in hexadecimal")
                })?;
            (None, octets)
        }
        (None, None) => return Err(Failure::usage("serial", "nothing is named")),
    };
    args.which.with("ca revoke", |ca, _| async move {
        let (issuer, serial) = named;
        let own = Certificate::from_der(ca.certificate_der())
            .and_then(|certificate| certificate.tbs_certificate().subject().to_der())
            .map_err(|error| Failure::failed("certificate", error.to_string()))?;
        let revocation = Revocation {
            id: None,
            issuer_der: issuer.unwrap_or(own),
            serial: serial.clone(),
            certificate_der: None,
            reason: args.reason.into(),
        };
        let revoked = ca.revoke(&revocation).await.map_err(refused)?;
        let serial = hex(&serial);
        let text = match revoked {
            Revoked::Now => format!("Done: {serial}. The new revocation list is published."),
            Revoked::Already => format!("It was so already: {serial}."),
        };
        Ok(Report::done(
            json!({"serial": serial, "now": revoked == Revoked::Now}),
            text,
        ))
    })
}
