//! `csr inspect`.

use super::{human, refusal};
use crate::cli::files;
use crate::cli::output::{self, Failure, Report};
use clap::Args;
use fips::policy::Policy;
use pki::csr::{Csr, MAX_CSR_BYTES};
use pki::inspect::CsrReport;
use serde_json::json;
use std::path::PathBuf;

/// `csr inspect`.
#[derive(Debug, Args)]
pub(super) struct InspectArgs {
    /// The request (PEM or DER)
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Runs it.
pub(super) fn run(args: &InspectArgs) -> Result<Report, Failure> {
    fips::start(Policy::STRICT)?;
    let bytes = files::read(&args.file, 2 * MAX_CSR_BYTES, "the request")?;
    let csr =
        Csr::read_pem_or_der(&bytes).map_err(|error| refusal(&error).doing(args.file.display()))?;
    let report = CsrReport::of(&csr);
    let json = json!({ "file": args.file, "request": report });
    let text = format!(
        "Request       {}\n{}",
        args.file.display(),
        human::request(&report, output::colours())
    );
    Ok(Report::done(json, text).with_fips())
}
