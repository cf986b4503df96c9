//! `key rotate`: has the running engine re-encrypt the records of one custody key to another.

use super::rotation::{Outcome, Rotation};
use crate::cli::output::{Exit, Failure, Report};
use crate::cli::token::absolute;
use crate::cli::{Context, files};
use crate::clock::{Clock, SystemClock, rfc3339};
use crate::config::{self, EngineConfig, secret_file};
use crate::encoding::printable;
use crate::engine::api::{EngineStatus, KeyStatus};
use crate::engine::client::EngineClient;
use crate::intune::{RetryBudget, UserPfxClient};
use clap::Args;
use fips::secret::BearerToken;
use hsm::{KeyFingerprint, Padding};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::sync::Arc;

/// Failures that the text names; the report has them all.
const SHOWN: usize = 20;

/// `key rotate`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pfx-connector key rotate --config engine.toml --gateway https://gateway:8443 --gateway-ca ca.pem --token-file rotation.token \\
      --from 5f0c... --to 91d2... --dry-run
  pfx-connector key rotate --config engine.toml --gateway https://gateway:8443 --gateway-ca ca.pem --token-file rotation.token \\
      --from 5f0c... --to 91d2... --report rotated.json

Run it as the engine's user, on its host. Interrupt it as you like and run it again: what is done is not done twice.")]
pub(super) struct RotateArgs {
    /// Configuration of the engine, which has to run and have [engine.rotation]
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The gateway's address (https://host:port)
    #[arg(long, value_name = "URL")]
    gateway: String,
    /// PEM file with the certificates that the gateway's certificate must chain to
    #[arg(long, value_name = "FILE")]
    gateway_ca: PathBuf,
    /// File with a token of the role rotation that only its owner can read
    #[arg(long, value_name = "FILE")]
    token_file: PathBuf,
    /// Fingerprint of the old key
    #[arg(long, value_name = "HEX")]
    from: KeyFingerprint,
    /// Fingerprint of the new key
    #[arg(long, value_name = "HEX")]
    to: KeyFingerprint,
    /// Padding for the new key; without it the strongest that the tokens do by themselves
    #[arg(long, value_name = "PADDING")]
    padding: Option<Padding>,
    /// Stop after so many records
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// Write the report to this file as well (JSON); one that exists is not overwritten
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Look at both keys, count the records, and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// Runs it: exit code 1 when a record was left as it is for another reason than `--limit`.
pub(super) fn run(args: &RotateArgs, context: &Context) -> Result<Report, Failure> {
    let report_file = args.report.as_deref().map(absolute).transpose()?;
    if let Some(file) = &report_file {
        files::must_be_new(file)?;
    }
    if args.from == args.to {
        return Err(Failure::usage(
            "same_key",
            "`--from` and `--to` name the same key",
        ));
    }
    let whole = config::load(&args.config)?;
    let engine = whole.checked_engine_token("key rotate")?.into_inner();
    if engine.rotation.is_none() {
        return Err(Failure::usage(
            "rotation_not_configured",
            format!("{} has no section [engine.rotation]", args.config.display()),
        )
        .hint("make a key with `key generate-signing`, name it as `signing_key` there and its public half in `[[engine.importers]]`, and restart the engine"));
    }
    whole.start_module()?;
    let gateway = gateway(args)?;
    let started = SystemClock.now_ms();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed("runtime", error.to_string()))?;
    let (outcome, warnings) = runtime.block_on(async {
        let (client, status) = engine_status(&engine).await?;
        let warnings = both_keys(args, &status)?;
        let rotation = Rotation {
            gateway,
            engine: client,
            from: args.from,
            to: args.to,
            padding: args.padding,
            limit: args.limit,
        };
        let outcome = if args.dry_run {
            let found = rotation.count().await?;
            Outcome {
                found,
                remaining: Some(found),
                ..Outcome::default()
            }
        } else {
            rotation.run(&progress(context)).await?
        };
        Ok::<_, Failure>((outcome, warnings))
    })?;
    let json = as_json(args, &outcome, &warnings, started);
    if let Some(file) = &report_file {
        let mut bytes = serde_json::to_vec_pretty(&json)
            .map_err(|error| Failure::failed("report", error.to_string()))?;
        bytes.push(b'\n');
        files::write_new(file, &bytes, 0o644)?;
    }
    let limited = args.limit.is_some_and(|limit| outcome.reencrypted >= limit);
    let well = outcome.failed.is_empty() && (outcome.stopped.is_none() || limited);
    Ok(Report {
        text: as_text(args, &outcome, &warnings),
        json,
        exit: if well { Exit::Done } else { Exit::Failed },
    })
}

fn gateway(args: &RotateArgs) -> Result<UserPfxClient, Failure> {
    let bearer = BearerToken::new(secret_file::read(&args.token_file)?);
    let tls = crate::tls::client_config(&args.gateway_ca, None)?;
    Ok(UserPfxClient::new(
        &args.gateway,
        tls,
        &bearer,
        RetryBudget::default(),
        Arc::new(SystemClock),
    )?)
}

async fn engine_status(engine: &EngineConfig) -> Result<(EngineClient, EngineStatus), Failure> {
    let unavailable = |error: crate::engine::client::RecryptError| {
        Failure::failed("engine_unavailable", error.to_string())
            .hint("start the engine, and run this as its user: it is the engine that uses the keys")
    };
    let client = EngineClient::connect(&engine.socket)
        .await
        .map_err(unavailable)?;
    let status = client.status().await.map_err(unavailable)?;
    Ok((client, status))
}

/// Both keys have to be usable. Where the new one is on fewer tokens than the old one, that is a warning.
fn both_keys(args: &RotateArgs, status: &EngineStatus) -> Result<Vec<String>, Failure> {
    let old = usable(status, &args.from, "old")?;
    let new = usable(status, &args.to, "new")?;
    let lacking: Vec<_> = old
        .tokens
        .iter()
        .filter(|token| !new.tokens.contains(token))
        .map(String::as_str)
        .collect();
    if lacking.is_empty() {
        return Ok(Vec::new());
    }
    Ok(vec![format!(
        "the new key is not on every token that has the old one (not on {}): copy it there (`key replicate`)",
        lacking.join(", ")
    )])
}

fn usable<'a>(
    status: &'a EngineStatus,
    fingerprint: &KeyFingerprint,
    which: &str,
) -> Result<&'a KeyStatus, Failure> {
    let name = fingerprint.to_string();
    let Some(key) = status.keys.iter().find(|key| key.fingerprint == name) else {
        let why = status.token_problem.as_deref().unwrap_or("it is not there");
        return Err(Failure::failed(
            "key_not_found",
            format!("the running engine has no {which} key {name}: {}", printable(why)),
        )
        .hint("`key list` shows the token's keys; a key that was just made is seen by the engine once it lists them again"));
    };
    if key.problems.is_empty() {
        return Ok(key);
    }
    Err(Failure::failed(
        "key_refused",
        format!(
            "the engine does not use the {which} key {name}: {}",
            key.problems.join("; ")
        ),
    ))
}

/// A bar on a terminal, nothing elsewhere: the report says what was done.
fn progress(context: &Context) -> ProgressBar {
    let shown = std::io::stderr().is_terminal() && !context.global.json;
    let target = if shown {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let bar = ProgressBar::with_draw_target(None, target);
    // The template is constant; should it ever be wrong, indicatif's own style does.
    if let Ok(style) =
        ProgressStyle::with_template("{msg} {bar:30.green} {pos}/{len} {per_sec} {eta}")
    {
        bar.set_style(style.progress_chars("━╸─"));
    }
    bar.set_message("Re-encrypting");
    bar
}

fn as_json(args: &RotateArgs, outcome: &Outcome, warnings: &[String], started: i64) -> Value {
    let mut json = json!(outcome);
    if let Value::Object(fields) = &mut json {
        fields.insert("from".to_owned(), json!(args.from));
        fields.insert("to".to_owned(), json!(args.to));
        fields.insert("dryRun".to_owned(), json!(args.dry_run));
        fields.insert("started".to_owned(), json!(rfc3339(started)));
        fields.insert("ended".to_owned(), json!(rfc3339(SystemClock.now_ms())));
        fields.insert("warnings".to_owned(), json!(warnings));
    }
    json
}

fn as_text(args: &RotateArgs, outcome: &Outcome, warnings: &[String]) -> String {
    let mut text = if args.dry_run {
        format!(
            "{} records name the old key {}. Both keys are usable. Nothing was changed.",
            outcome.found, args.from
        )
    } else {
        format!(
            "Re-encrypted {} of {} records from {} to {}; {} were left as they are, {} were deleted meanwhile.",
            outcome.reencrypted,
            outcome.found,
            args.from,
            args.to,
            outcome.failed_records(),
            outcome.gone
        )
    };
    for failure in outcome.failures.iter().take(SHOWN) {
        let line = format!("{}  {}: {}", failure.id, failure.code, failure.message);
        let _ = write!(text, "\n  {}", printable(&line));
    }
    if outcome.failures.len() > SHOWN {
        let _ = write!(
            text,
            "\n  ... and {} more: `--report` and `--json` have them",
            outcome.failures.len() - SHOWN
        );
    }
    if let Some(why) = &outcome.stopped {
        let _ = write!(
            text,
            "\nStopped     {}. Run it again to go on.",
            printable(why)
        );
    }
    if !args.dry_run {
        let _ = match outcome.remaining {
            Some(0) => write!(
                text,
                "\nNo record names the old key any more. It stays on its tokens: keep it while backups of the gateway need it."
            ),
            Some(count) => write!(
                text,
                "\n{count} records still name the old key: both keys are needed."
            ),
            None => write!(
                text,
                "\nThe gateway did not say how many records still name the old key: both keys are needed."
            ),
        };
    }
    for warning in warnings {
        let _ = write!(text, "\nWarning     {}", printable(warning));
    }
    text
}
