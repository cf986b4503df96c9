//! `gateway status`: asks the running service, as an administrator.

use crate::calendar::table;
use crate::cli::output::{Failure, Report};
use crate::config::secret_file;
use crate::encoding::printable;
use crate::evidence::process::ProcessEvidence;
use crate::gateway::admin_api::{ConnectorStatus, ServiceStatus};
use crate::gateway::api::Collection;
use crate::telemetry::health::HealthState;
use crate::tls::CallFailure;
use clap::Args;
use fips::secret::BearerToken;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use serde::de::DeserializeOwned;
use serde_json::json;
use std::path::PathBuf;
use std::time::Duration;

/// The largest answer that is read, in bytes.
const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;
const TIMEOUT: Duration = Duration::from_secs(30);

/// Where the service is and who asks.
#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    /// The gateway's address (https://host:port)
    #[arg(long, value_name = "URL")]
    gateway: String,
    /// PEM file with the certificates that the gateway's certificate must chain to
    #[arg(long, value_name = "FILE")]
    gateway_ca: PathBuf,
    /// File with an administrator's token that only its owner can read
    #[arg(long, value_name = "FILE")]
    token_file: PathBuf,
}

fn failed(message: impl Into<String>) -> Failure {
    Failure::failed("gateway_status", message)
}

pub(super) fn run(args: &StatusArgs) -> Result<Report, Failure> {
    fips::start(fips::policy::Policy::STRICT)?;
    let token = secret_file::read(&args.token_file)?;
    let token = BearerToken::from_slice(token.expose().trim_ascii());
    let bearer = crate::bearer::header(&token)
        .ok_or_else(|| Failure::usage("usage", "the token holds control characters"))?;
    let http = client(args)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| failed(error.to_string()))?;
    let (status, connectors) = runtime.block_on(async {
        let status: ServiceStatus = ask(&http, args, &bearer, "/admin/v1/status").await?;
        let connectors: Collection<ConnectorStatus> =
            ask(&http, args, &bearer, "/admin/v1/connectors").await?;
        Ok::<_, Failure>((status, connectors.value))
    })?;
    let mut lines = vec![format!(
        "gateway {}: {} queued, {} leased, {} completed, {} failed; {} records",
        status.version,
        status.queued,
        status.leased,
        status.completed,
        status.failed,
        status.records
    )];
    lines.push(fips_words(&status.fips));
    lines.push(match status.health {
        HealthState::Healthy => "healthy".to_owned(),
        HealthState::Degraded => "DEGRADED: see what ends below".to_owned(),
        HealthState::Unhealthy => {
            "NOT HEALTHY: see what ended below, and the gateway's log".to_owned()
        }
    });
    let ends = table(&status.calendar);
    lines.extend(ends.into_iter().map(|line| format!("expiry {line}")));
    for connector in &connectors {
        let engine = match (&connector.revoked, connector.engine_healthy) {
            (Some(at), _) => format!("refused since {at}"),
            (None, Some(true)) => "engine answers".to_owned(),
            (None, Some(false)) => "engine does not answer".to_owned(),
            (None, None) => "no heartbeat yet".to_owned(),
        };
        lines.push(format!(
            "connector {} ({}): last contact {}, {} in flight, {engine}",
            connector.instance, connector.version, connector.last_contact, connector.in_flight
        ));
    }
    Ok(Report::done(
        json!({"service": status, "connectors": connectors}),
        lines.join("\n"),
    ))
}

fn fips_words(evidence: &ProcessEvidence) -> String {
    let fault = match &evidence.fault {
        Some(fault) => format!("; FAULT: {}", fault.message),
        None => String::new(),
    };
    let served = evidence.tls.as_ref().map_or(0, |tls| {
        tls.full_handshakes.saturating_add(tls.resumed_handshakes)
    });
    printable(&format!(
        "FIPS mode {}, {}: {} uses of anything not approved, {served} TLS connections served{fault}",
        evidence.mode, evidence.module.version, evidence.not_approved
    ))
}

fn unreachable(args: &StatusArgs, error: reqwest::Error) -> Failure {
    let failure = CallFailure::of(error);
    let message = format!("no answer from {}: {}", args.gateway, failure.text);
    match failure.problem {
        Some(problem) => Failure::failed(problem.code(), message).hint(problem.hint()),
        None => failed(message).hint(
            "check that the gateway runs, address and port, and that its certificate chains to `--gateway-ca` and names its host",
        ),
    }
}

fn client(args: &StatusArgs) -> Result<reqwest::Client, Failure> {
    let tls = crate::tls::client_config(&args.gateway_ca, None)
        .map_err(|error| Failure::usage("gateway_ca", error.to_string()))?;
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .https_only(true)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(TIMEOUT)
        .build()
        .map_err(|error| failed(error.to_string()))
}

async fn ask<T: DeserializeOwned>(
    http: &reqwest::Client,
    args: &StatusArgs,
    bearer: &HeaderValue,
    path: &str,
) -> Result<T, Failure> {
    let url = format!("{}{path}", args.gateway.trim_end_matches('/'));
    let mut response = http
        .get(url)
        .header(AUTHORIZATION, bearer.clone())
        .send()
        .await
        .map_err(|error| unreachable(args, error))?;
    let status = response.status();
    let mut body = Vec::new();
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|error| failed(error.without_url().to_string()))?
    {
        if body.len() + chunk.len() > MAX_ANSWER_BYTES {
            return Err(failed("the answer is too long"));
        }
        body.extend_from_slice(&chunk);
    }
    if !status.is_success() {
        let said: Option<crate::gateway::api::ErrorBody> = serde_json::from_slice(&body).ok();
        let said = said.map(|said| said.error.message).unwrap_or_default();
        return Err(failed(format!("the service answers {status}: {said}")));
    }
    serde_json::from_slice(&body)
        .map_err(|error| failed(format!("the answer is not the expected one: {error}")))
}
