//! `fips report`: writes an evidence bundle, or verifies one.

use super::status::gather;
use crate::cli::output::{Exit, Failure, Report};
use crate::cli::token::{self, TokenArgs, absolute};
use crate::cli::{Context, files, process, signing_key};
use crate::config::{self, Config};
use crate::encoding::printable;
use crate::evidence::bundle::{
    BundleError, Evidence, EvidenceError, SelfTestRun, Signer, Verified, Written, check_place,
    verify, write,
};
use crate::evidence::status::FipsStatus;
use clap::Args;
use fips::policy::Policy;
use serde_json::json;
use std::path::{Path, PathBuf};

/// The largest public key file.
const MAX_KEY_BYTES: usize = 16 * 1024;

/// Options of `fips report`.
#[derive(Debug, Clone, Args)]
pub(super) struct ReportArgs {
    /// Folder for the bundle; new or empty
    #[arg(long, value_name = "DIR", required_unless_present = "verify")]
    out: Option<PathBuf>,
    /// The configuration file of the running connector or engine, and of [fips]; without it, this program alone speaks for itself
    #[arg(long, value_name = "FILE", conflicts_with = "verify")]
    config: Option<PathBuf>,
    /// Verify the bundle in this folder instead; needs no configuration and no service
    #[arg(long, value_name = "DIR", conflicts_with = "out")]
    verify: Option<PathBuf>,
    /// Public key (PEM) that has to have signed it, from another source than the bundle
    #[arg(long, value_name = "FILE", conflicts_with_all = ["out", "config"])]
    public_key: Option<PathBuf>,
}

pub(super) fn run(args: &ReportArgs, context: &Context) -> Result<Report, Failure> {
    match (&args.verify, &args.out) {
        (Some(folder), _) => verify_in(folder, args.public_key.as_deref()),
        (None, Some(folder)) => make(folder, args.config.as_deref(), context),
        (None, None) => Err(Failure::usage("usage", "`--out DIR` or `--verify DIR`")),
    }
}

fn make(folder: &Path, config: Option<&Path>, context: &Context) -> Result<Report, Failure> {
    let folder = absolute(folder)?;
    check_place(&folder)?;
    let (config, text) = match config {
        Some(path) => {
            let (config, text) = config::load_redacted(path)?;
            (Some(config), Some(text))
        }
        None => (None, None),
    };
    let signer = match &config {
        Some(config) => signer(config, context)?,
        None => None,
    };
    fips::start(
        config
            .as_ref()
            .map_or(Policy::STRICT, |config| config.fips.policy()),
    )?;
    let self_test = SelfTestRun::now()?;
    let status = gather(config.as_ref())?;
    let report_key = signer.as_ref().map(Signer::describe);
    let evidence = Evidence::gather(status, text, self_test, report_key)?;
    let written = write(&folder, evidence.documents()?, signer.as_ref())?;
    Ok(made(&written, &evidence.status).with_fips())
}

/// The key that the configuration names. One on a token is found before anything is done.
fn signer(config: &Config, context: &Context) -> Result<Option<Signer>, Failure> {
    let fips = config.checked_fips()?.into_inner();
    if let Some(file) = &fips.report_key {
        process::protect_memory()?;
        // Nothing is read into a process whose module does not start.
        config.start_module()?;
        let key = signing_key::load(file, "fips.report_key")?;
        return Ok(Some(Signer::File(key)));
    }
    let Some(label) = &fips.report_token_key else {
        return Ok(None);
    };
    let token = TokenArgs {
        config: Some(config.file.clone()),
        // Of several tokens the first has the key.
        token: config
            .engine
            .as_ref()
            .and_then(|engine| engine.named_tokens().next())
            .map(|(name, _)| name.to_owned()),
        module: None,
        init_parameters: None,
        token_label: None,
        pin_file: None,
    };
    // May execute the program again, so it comes before all else.
    let settings = token.settings("fips report", &context.args)?;
    process::protect_memory()?;
    Ok(Some(Signer::on_token(token::open(settings)?, label)?))
}

fn made(written: &Written, status: &FipsStatus) -> Report {
    let mut text = format!(
        "Wrote an evidence bundle of {} files to {}: begin with report.html.\n{}.\n",
        written.files.len(),
        written.folder.display(),
        printable(&status.overall.says)
    );
    text.push_str(&match written.signed_by {
        Some(by) => format!(
            "Signed by key {} ({}).\nHand the public key to whoever verifies it by another way than the bundle.",
            by.fingerprint,
            by.algorithm.name()
        ),
        None => "NOT SIGNED: it holds digests only, and whoever changes a file can write them anew. A key is named by `report_key` or \
                 `report_token_key` of [fips]."
            .to_owned(),
    });
    for problem in &status.module_problems {
        // Formats parses what strangers made, and tells its fault in words of its own.
        text.push_str(&format!("\nNot healthy: {}", printable(problem)));
    }
    for silent in &status.silent {
        text.push_str(&format!("\nNot healthy: {silent} does not report"));
    }
    let json = json!({
        "folder": written.folder,
        "files": written.files,
        "manifestSha256": written.manifest_sha256,
        "signature": written.signed_by.map(|by| json!({
            "fingerprint": by.fingerprint,
            "algorithm": by.algorithm.name(),
        })),
        "overall": status.overall,
        "healthy": status.healthy,
    });
    Report {
        json,
        text,
        // As for `fips status`: the bundle is there all the same.
        exit: if status.healthy {
            Exit::Done
        } else {
            Exit::Unhealthy
        },
    }
}

fn verify_in(folder: &Path, public_key: Option<&Path>) -> Result<Report, Failure> {
    fips::start(Policy::STRICT)?;
    let key = public_key
        .map(|path| files::read(path, MAX_KEY_BYTES, "the public key"))
        .transpose()?;
    let verified = verify(folder, key.as_deref())?;
    let says = says(&verified);
    let json = json!({
        "folder": folder,
        "files": verified.files,
        "bytes": verified.bytes,
        "manifestSha256": verified.manifest_sha256,
        "signature": verified.signature.map(|found| json!({
            "fingerprint": found.by.fingerprint,
            "algorithm": found.by.algorithm.name(),
            "expectedKey": found.expected,
        })),
        "says": says,
    });
    let text = format!(
        "The bundle is whole: {} files with {} bytes are what MANIFEST says (SHA-256 of MANIFEST: {}).\n{says}",
        verified.files, verified.bytes, verified.manifest_sha256
    );
    Ok(Report::done(json, text))
}

fn says(verified: &Verified) -> String {
    match verified.signature {
        None => "It is NOT SIGNED: digests only. Whoever changed a file on purpose could have written them anew.".to_owned(),
        Some(found) if found.expected => {
            format!("It is signed by the given key {} ({}).", found.by.fingerprint, found.by.algorithm.name())
        }
        Some(found) => format!(
            "It is signed by key {} ({}). Whether that is the right key is known only if you compare it: give the key that you expect with \
             `--public-key`.",
            found.by.fingerprint,
            found.by.algorithm.name()
        ),
    }
}

impl From<BundleError> for Failure {
    fn from(error: BundleError) -> Self {
        let code = error.code();
        match error {
            BundleError::Token(error) => error.into(),
            BundleError::Module(error) => error.into(),
            error @ BundleError::PlaceTaken { .. } => {
                Self::usage(code, error.to_string()).hint("name another folder, or empty that one")
            }
            error => Self::failed(code, error.to_string()),
        }
    }
}

impl From<EvidenceError> for Failure {
    fn from(error: EvidenceError) -> Self {
        Self::failed("evidence", error.to_string())
    }
}
