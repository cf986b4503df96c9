//! `enroll`: the connector's first certificate, by a one-time token.

use super::output::{Exit, Failure, Report};
use super::token::absolute;
use crate::clock::{SystemClock, rfc3339};
use crate::config::{self, secret_file};
use crate::connector::identity::{EnrolError, Enrolment, enrol};
use clap::Args;
use fips::secret::BearerToken;
use serde_json::json;
use std::path::PathBuf;

/// Options of `enroll`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:
  pfx-gateway$   pfx-connector gateway --config gateway.toml token create --role enrolment --instance connector-1 --out connector-1.token
  connector-1$   pfx-connector enroll --config connector.toml --token-file connector-1.token

The engine has to run: it has the key. When the answer is lost, or the authority has not decided, run the same command again with the same
token: nothing is issued twice. From then on the connector renews its certificate by itself.")]
pub struct EnrollArgs {
    /// The connector's configuration file
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// File with the one-time token that only its owner can read
    #[arg(long, value_name = "FILE")]
    pub token_file: PathBuf,
}

/// Enrols the connector.
///
/// # Errors
/// [`Failure`] when it is not enrolled afterwards, and the authority has said no, or nothing.
pub fn run(args: &EnrollArgs) -> Result<Report, Failure> {
    let whole = config::load(&args.config)?;
    let config = whole.checked_connector("enroll")?.into_inner();
    whole.start_module()?;
    let token = BearerToken::new(secret_file::read(&absolute(&args.token_file)?)?);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::failed("runtime", error.to_string()))?;
    match runtime.block_on(enrol(&config, &token, &SystemClock))? {
        Enrolment::Done {
            certificate,
            not_after_ms,
            file,
        } => {
            let until = rfc3339(not_after_ms);
            let text = format!(
                "{} is enrolled: {} is valid until {until} and renewed by itself.\nThe token has done its work: remove its file. `pfx-connector run` can start.",
                config.instance,
                file.display()
            );
            let json = json!({"enrolled": true, "instance": config.instance, "certificate": certificate, "notAfter": until, "file": file});
            Ok(Report::done(json, text).with_fips())
        }
        Enrolment::Pending(pause) => Ok(Report {
            json: json!({"enrolled": false, "instance": config.instance, "askAgainSeconds": pause.as_secs()}),
            text: format!(
                "The gateway's authority has not decided: run the same command again in {} s or later, with the same token.",
                pause.as_secs()
            ),
            exit: Exit::Unhealthy,
        }),
    }
}

impl From<EnrolError> for Failure {
    fn from(error: EnrolError) -> Self {
        let message = error.to_string();
        match error {
            EnrolError::Start(error) => Self::usage(error.code(), message),
            EnrolError::Enrolled { .. } => Self::usage("already_enrolled", message),
            EnrolError::AnotherName { .. } => Self::usage("common_name", message),
            EnrolError::Token => Self::usage("token_file", message),
            EnrolError::Folder(_) => Self::failed("identity_folder", message),
            EnrolError::Engine(_) => Self::failed("engine", message)
                .hint("is the engine running, and is `client_key` in its [[engine.client_keys]] for this user?"),
            EnrolError::Over(_) => Self::failed("certificate_refused", message)
                .hint("the gateway's administrators have why in their audit trail; another certificate needs a new token"),
            EnrolError::Gateway(_) => Self::failed("gateway", message)
                .hint("run the same command again with the same token: nothing is issued twice"),
        }
    }
}
