//! `cert inspect`.

use super::{human, source};
use crate::cli::output::{self, Failure, Report};
use clap::Args;
use fips::policy::Policy;
use pki::inspect::CertificateReport;
use serde_json::json;
use std::path::PathBuf;

/// `cert inspect`.
#[derive(Debug, Args)]
pub(super) struct InspectArgs {
    /// The certificates (PEM, or one in DER)
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Runs it.
pub(super) fn run(args: &InspectArgs) -> Result<Report, Failure> {
    fips::start(Policy::STRICT)?;
    let at = source::time(None)?;
    let reports: Vec<CertificateReport> = source::certificates(&args.file, "the certificates")?
        .iter()
        .map(|certificate| CertificateReport::of(certificate, &at))
        .collect();
    let json = json!({ "file": args.file, "certificates": reports });
    let text = human::certificates(&args.file, &reports, output::colours());
    Ok(Report::done(json, text).with_fips())
}
