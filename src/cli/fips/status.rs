//! `fips status`: asks the running service, and says what can be claimed.

use super::human;
use crate::cli::output::{Exit, Failure, Report};
use crate::cli::status::unanswered;
use crate::config::{self, Config};
use crate::connector::control::client;
use crate::engine::client::{EngineClient, RecryptError};
use crate::evidence::status::FipsStatus;
use clap::Args;
use fips::policy::Policy;
use std::path::{Path, PathBuf};

/// Options of `fips status`.
#[derive(Debug, Clone, Args)]
pub(super) struct StatusArgs {
    /// The configuration file of the running connector or engine; without it, this program alone speaks for itself
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

pub(super) fn run(args: &StatusArgs) -> Result<Report, Failure> {
    let config = args.config.as_deref().map(config::load).transpose()?;
    let status = gather(config.as_ref())?;
    let json = serde_json::to_value(&status)
        .map_err(|error| Failure::failed("fips_status", error.to_string()))?;
    Ok(Report {
        json,
        text: human::page(&status),
        exit: if status.healthy {
            Exit::Done
        } else {
            Exit::Unhealthy
        },
    })
}

/// The status of the service of a configuration: of its connector, which asks its engine, or else of its engine. Without either,
/// what this program knows of itself.
///
/// # Errors
/// [`Failure`] when the service does not answer.
pub(super) fn gather(config: Option<&Config>) -> Result<FipsStatus, Failure> {
    let Some(config) = config else {
        return own(Policy::STRICT);
    };
    if let Some(connector) = &config.connector {
        let status = client::status(&connector.control_socket).map_err(unanswered)?;
        return Ok(FipsStatus::of_connector(
            status.fips.as_ref(),
            status.engine.as_ref(),
        ));
    }
    match &config.engine {
        Some(engine) => ask_engine(&engine.socket),
        None => own_of(config),
    }
}

fn ask_engine(socket: &Path) -> Result<FipsStatus, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed("fips_status", error.to_string()))?;
    let status = runtime.block_on(async { EngineClient::connect(socket).await?.status().await });
    match status {
        Ok(status) => Ok(FipsStatus::of_engine(&status)),
        Err(error @ RecryptError::Unavailable(_)) => Err(Failure::failed(
            "not_running",
            error.to_string(),
        )
        .hint(
            "start the engine (`engine`) with this configuration file, and ask as its own user, root or one of `allowed_uids`",
        )),
        Err(error) => Err(Failure::failed("fips_status", error.to_string())),
    }
}

fn own_of(config: &Config) -> Result<FipsStatus, Failure> {
    own(config.fips.policy())
}

fn own(policy: Policy) -> Result<FipsStatus, Failure> {
    match fips::start(policy) {
        // A module that does not start is what the status is there to tell.
        Ok(_)
        | Err(
            fips::Error::SelfTestFailed
            | fips::Error::FipsModeOff
            | fips::Error::WrongModule { .. },
        ) => Ok(FipsStatus::of_this_command()),
        Err(error) => Err(error.into()),
    }
}
