//! `cert verify`.

use super::source;
use crate::cli::csr::LABEL;
use crate::cli::output::{self, Failure, Report};
use crate::cli::page::{Colour, Page};
use clap::{Args, ValueEnum};
use fips::policy::Policy;
use pki::inspect::CertificateReport;
use pki::path::{PathError, Purpose, Verification, VerifiedPath};
use serde_json::json;
use std::path::PathBuf;

/// `cert verify`.
#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// The certificate (PEM or DER); further ones in a PEM file are intermediates
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Certificates of the authorities that are trusted (PEM or DER)
    #[arg(long, value_name = "FILE", required = true)]
    roots: Vec<PathBuf>,
    /// Certificates that may be between
    #[arg(long, value_name = "FILE")]
    intermediates: Vec<PathBuf>,
    /// Revocation lists (PEM or DER); with one, the certificate must be covered by a current list of its issuer
    #[arg(long, value_name = "FILE")]
    crl: Vec<PathBuf>,
    /// What the certificate has to be for
    #[arg(long, value_enum, default_value = "any")]
    purpose: PurposeChoice,
    /// The time to verify for (RFC 3339), now without it
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// The e-mail address that the certificate has to name
    #[arg(long, value_name = "ADDRESS")]
    email: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PurposeChoice {
    /// Signing or encryption of mail (RFC 8550)
    Smime,
    /// Client authentication with TLS
    Client,
    /// Uses and purposes are not looked at
    Any,
}

impl From<PurposeChoice> for Purpose {
    fn from(choice: PurposeChoice) -> Self {
        match choice {
            PurposeChoice::Smime => Self::Smime,
            PurposeChoice::Client => Self::Client,
            PurposeChoice::Any => Self::Any,
        }
    }
}

/// Runs it.
pub(super) fn run(args: &VerifyArgs) -> Result<Report, Failure> {
    fips::start(Policy::STRICT)?;
    let at = source::time(args.at.as_deref())?;
    let given = source::certificates(&args.file, "the certificate")?;
    let (roots, mut notes) = source::readable_of(&args.roots, "the roots")?;
    let (mut intermediates, more) = source::readable_of(&args.intermediates, "the intermediates")?;
    notes.extend(more);
    intermediates.extend(given.iter().skip(1).cloned());
    let lists = source::lists(&args.crl)?;
    let leaf = given
        .first()
        .ok_or_else(|| Failure::failed("cert_malformed", "there is no certificate"))?;
    let verification = Verification {
        roots: &roots,
        intermediates: &intermediates,
        lists: &lists,
        purpose: args.purpose.into(),
        email: args.email.as_deref(),
        at,
    };
    let path = verification.verify(leaf).map_err(|error| refused(&error))?;
    if lists.is_empty() {
        notes.push("revocation was not looked at: name the authority's list by `--crl`".to_owned());
    }
    let steps: Vec<CertificateReport> = path
        .certificates
        .iter()
        .map(|certificate| CertificateReport::of(certificate, &at))
        .collect();
    Ok(report(args, &path, &steps, &notes, &at))
}

fn refused(error: &PathError) -> Failure {
    Failure::failed(format!("cert_{}", error.problem.code()), error.to_string())
}

fn report(
    args: &VerifyArgs,
    path: &VerifiedPath<'_>,
    steps: &[CertificateReport],
    notes: &[String],
    at: &[u8; 14],
) -> Report {
    let json = json!({
        "file": args.file,
        "verified": true,
        "purpose": Purpose::from(args.purpose),
        "email": args.email,
        "at": pki::time::text(at),
        "path": steps,
        "revocation_checked": path.revocation_checked,
        "notes": notes,
    });
    let mut page = Page::with_colours(output::colours());
    page.coloured_row(
        &[("Certificate", LABEL), ("verified", 10)],
        Some(Colour::Good),
        &format!("{}, for {}", args.file.display(), pki::time::text(at)),
    );
    for (place, step) in steps.iter().enumerate() {
        let label = match place {
            0 => "Path",
            _ => "",
        };
        let checked = match path.revocation_checked.get(place) {
            Some(true) => " (not revoked)",
            Some(false) => " (no revocation list of its issuer)",
            None => "",
        };
        page.row(
            &[(label, LABEL)],
            &format!("{}{checked}", step.common.subject),
        );
    }
    for note in notes {
        page.row(&[("Note", LABEL)], note);
    }
    Report::done(json, page.finish()).with_fips()
}
