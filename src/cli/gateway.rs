//! `gateway`: serves; tokens, backup, restore, purge on its database.

mod revocations;
mod status;

use super::Context;
use super::output::{Exit, Failure, Report};
use crate::clock::{Clock, SystemClock, rfc3339};
use crate::config::{self, GatewayConfig, LocalCaConfig};
use crate::gateway::auth::Role;
use crate::gateway::store::{self, Actor, Store, StoreError};
use crate::gateway::{Gateway, GatewayError};
use crate::service_manager::Notifier;
use clap::{Args, Subcommand, ValueEnum};
use fips::secret::file::{self, Rights};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const DAY_MS: i64 = 86_400_000;
const HOUR_MS: i64 = 3_600_000;

/// `gateway`.
#[derive(Debug, Args)]
pub struct GatewayArgs {
    /// Configuration file
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<GatewayCommand>,
}

#[derive(Debug, Subcommand)]
enum GatewayCommand {
    /// Bearer tokens of importers, device management, administrators and key rotation
    #[command(subcommand)]
    Token(TokenCommand),
    /// Revocations that the brake against mass revocation holds: list, release, drop
    #[command(subcommand)]
    Revocations(revocations::RevocationsCommand),
    /// Write a consistent copy of the database while the gateway runs
    Backup {
        /// File to write; it must not exist
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
    },
    /// Put a backup in the place of the database of a stopped gateway
    Restore {
        /// The backup
        #[arg(long, value_name = "FILE")]
        from: PathBuf,
    },
    /// What the running service does: its queue and its connectors, over its administrators' API
    Status(status::StatusArgs),
    /// Delete now what is over its time, as the running gateway does every minute
    Purge,
}

#[derive(Debug, Subcommand)]
enum TokenCommand {
    /// Make a token; it is shown once
    Create {
        /// What it may do
        #[arg(long, value_enum)]
        role: RoleName,
        /// What to call it in lists and in the audit trail
        #[arg(long, required_unless_present = "instance")]
        name: Option<String>,
        /// How many days it is valid
        #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(u32).range(1..=3650))]
        days: u32,
        /// Of the role `enrolment`: the connector (`connector.instance`) whose certificate it is for
        #[arg(long, value_name = "NAME", conflicts_with_all = ["name", "days"])]
        instance: Option<String>,
        /// Of the role `enrolment`: how many hours it is valid
        #[arg(long, default_value_t = 24, requires = "instance", value_parser = clap::value_parser!(u32).range(1..=168))]
        hours: u32,
        /// Write the token to this file (mode 0600, must not exist) instead of standard output
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// List every token, never its secret
    List,
    /// End a token at once
    Revoke {
        /// Its id, as `list` shows it
        id: String,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum RoleName {
    Importer,
    Mdm,
    Administrator,
    /// For `key rotate`: reads encrypted passwords and replaces them
    Rotation,
    /// For `enroll`: gets one connector its first certificate
    Enrolment,
}

impl From<RoleName> for Role {
    fn from(name: RoleName) -> Self {
        match name {
            RoleName::Importer => Self::Importer,
            RoleName::Mdm => Self::Mdm,
            RoleName::Administrator => Self::Administrator,
            RoleName::Rotation => Self::Rotation,
            RoleName::Enrolment => Self::Enrolment,
        }
    }
}

impl GatewayArgs {
    /// Whether this is the service itself and not a command beside it.
    #[must_use]
    pub fn is_service(&self) -> bool {
        self.command.is_none()
    }
}

/// Runs it.
///
/// # Errors
/// [`Failure`] when the service does not start or the command does not do what it was asked for.
pub fn run(args: &GatewayArgs, _context: &Context) -> Result<Report, Failure> {
    if let Some(GatewayCommand::Status(options)) = &args.command {
        // Neither the configuration nor the database: it speaks to the running service.
        return status::run(options);
    }
    let path = args.config.as_ref().ok_or_else(|| {
        Failure::usage("usage", "`gateway` needs a configuration file")
            .hint("such as `pfx-connector gateway --config /etc/pfx-gateway/config.toml`")
    })?;
    let whole = config::load(path)?;
    let config = || {
        whole.gateway.as_ref().ok_or_else(|| {
            Failure::usage(
                "config_section",
                format!("{} has no section [gateway]", path.display()),
            )
        })
    };
    whole.start_module()?;
    match &args.command {
        None => serve(
            &whole.checked_gateway("gateway")?.into_inner(),
            &whole.local_ca,
        ),
        Some(GatewayCommand::Token(command)) => token(command, config()?),
        Some(GatewayCommand::Revocations(command)) => revocations::run(command, &open(config()?)?),
        Some(GatewayCommand::Backup { to }) => backup(config()?, to),
        Some(GatewayCommand::Restore { from }) => restore(config()?, from),
        Some(GatewayCommand::Status(options)) => status::run(options),
        Some(GatewayCommand::Purge) => purge(config()?),
    }
}

fn failed(code: &str) -> impl FnOnce(StoreError) -> Failure {
    let code = code.to_owned();
    move |error| Failure::failed(code, error.to_string())
}

impl From<GatewayError> for Failure {
    fn from(error: GatewayError) -> Self {
        match error {
            GatewayError::SecretFile(error) => error.into(),
            GatewayError::File { .. } | GatewayError::Certificates(_) => {
                Self::usage("gateway_files", error.to_string())
            }
            GatewayError::Authority(_) => Self::usage("gateway_enrolment", error.to_string()),
            GatewayError::Listen { .. } => Self::failed("gateway_listen", error.to_string())
                .hint("end what uses the address, or choose another one with `gateway.listen`"),
            other => Self::failed("gateway_start", other.to_string()),
        }
    }
}

fn serve(config: &GatewayConfig, local: &[LocalCaConfig]) -> Result<Report, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        // Each waits for one database: more would only wait more.
        .max_blocking_threads(64)
        .build()
        .map_err(GatewayError::Runtime)?;
    runtime.block_on(async {
        let stop = stop_signals().map_err(GatewayError::Runtime)?;
        let gateway = Gateway::bind_with(config, local, Arc::new(SystemClock)).await?;
        let address = gateway.address().map_err(GatewayError::Runtime)?;
        tracing::info!(%address, version = crate::VERSION, "the gateway listens");
        if let Some(metrics) = gateway.metrics_address() {
            tracing::info!(%metrics, "health and metrics");
        }
        gateway
            .told_to(Notifier::from_environment())
            .run(stop)
            .await;
        tracing::info!("the gateway stopped");
        Ok(Report::done(json!({"stopped": true}), "stopped"))
    })
}

/// Over with the first SIGTERM, SIGINT or SIGHUP (there is no reload: a hang-up ends it in order, too).
pub(super) fn stop_signals() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = hangup.recv() => {}
        }
    })
}

fn open(config: &GatewayConfig) -> Result<Store, Failure> {
    Store::open(&config.database, Arc::new(SystemClock)).map_err(failed("gateway_database"))
}

fn local_actor(action: &'static str) -> Actor {
    Actor {
        who: format!("local:{}", rustix::process::getuid().as_raw()),
        role: "local",
        action,
    }
}

fn token(command: &TokenCommand, config: &GatewayConfig) -> Result<Report, Failure> {
    let store = open(config)?;
    match command {
        TokenCommand::Create {
            role,
            name,
            days,
            instance,
            hours,
            out,
        } => {
            let role = Role::from(*role);
            if (role == Role::Enrolment) != instance.is_some() {
                return Err(Failure::usage(
                    "usage",
                    "`--instance` belongs to `--role enrolment`, which needs it",
                ));
            }
            let lifetime_ms = match instance {
                Some(_) => i64::from(*hours) * HOUR_MS,
                None => i64::from(*days) * DAY_MS,
            };
            let name = instance.as_ref().or(name.as_ref());
            let name = name.map(String::as_str).unwrap_or_default();
            create_token(&store, role, name, lifetime_ms, out.as_ref())
        }
        TokenCommand::List => {
            let tokens = store.tokens().map_err(failed("gateway_database"))?;
            let now = SystemClock.now_ms();
            let lines: Vec<String> = tokens
                .iter()
                .map(|token| {
                    let state = match token.revoked_ms {
                        Some(at) => format!("revoked {}", rfc3339(at)),
                        None if token.expires_ms <= now => "expired".to_owned(),
                        None => format!("until {}", rfc3339(token.expires_ms)),
                    };
                    format!(
                        "{}  {:<13}  {}  {state}",
                        token.id,
                        token.role.name(),
                        token.name
                    )
                })
                .collect();
            let json: Vec<_> = tokens
                .iter()
                .map(|token| {
                    json!({
                        "id": token.id,
                        "role": token.role.name(),
                        "name": token.name,
                        "created": rfc3339(token.created_ms),
                        "expires": rfc3339(token.expires_ms),
                        "revoked": token.revoked_ms.map(rfc3339)
                    })
                })
                .collect();
            let text = if lines.is_empty() {
                "no tokens".to_owned()
            } else {
                lines.join("\n")
            };
            Ok(Report::done(json!({ "tokens": json }), text))
        }
        TokenCommand::Revoke { id } => {
            store
                .revoke_token(&local_actor("revokeToken"), id)
                .map_err(failed("gateway_token"))?;
            Ok(Report::done(
                json!({"revoked": id}),
                format!("{id} is revoked"),
            ))
        }
    }
}

fn create_token(
    store: &Store,
    role: Role,
    name: &str,
    lifetime_ms: i64,
    out: Option<&PathBuf>,
) -> Result<Report, Failure> {
    if name.is_empty() || name.len() > 128 || name.contains(char::is_control) {
        return Err(Failure::usage(
            "usage",
            "`--name`: 1 to 128 bytes without control characters",
        ));
    }
    // The file first: a token that nobody ever saw would be of no use.
    let file = out.map(|path| private_file(path)).transpose()?;
    let token = store
        .create_token(&local_actor("createToken"), role, name, lifetime_ms)
        .map_err(failed("gateway_token"))?;
    let expires = rfc3339(token.expires_ms);
    let mut json = json!({"id": token.id, "role": role.name(), "name": name, "expires": expires});
    let note = format!(
        "token {} ({}), valid until {expires}",
        token.id,
        role.name()
    );
    let (Some(path), Some(mut file)) = (out, file) else {
        if let Some(json) = json.as_object_mut() {
            json.insert("token".to_owned(), json!(token.secret));
        }
        let text = format!("{}\n{note}; it is not shown again", token.secret);
        return Ok(Report::done(json, text));
    };
    use std::io::Write;
    writeln!(file, "{}", token.secret)
        .and_then(|()| file.sync_all())
        .map_err(|error| {
            Failure::failed("gateway_token", format!("{}: {error}", path.display()))
        })?;
    Ok(Report::done(
        json,
        format!("{note}, written to {}", path.display()),
    ))
}

fn private_file(path: &Path) -> Result<std::fs::File, Failure> {
    file::create_new(path, Rights::Owner)
        .map_err(|error| Failure::failed("gateway_token", format!("{}: {error}", path.display())))
}

fn backup(config: &GatewayConfig, to: &PathBuf) -> Result<Report, Failure> {
    let report = open(config)?.backup(to).map_err(failed("gateway_backup"))?;
    Ok(Report::done(
        json!({"backup": to, "bytes": report.bytes, "version": report.version}),
        format!(
            "{}: {} bytes, schema version {}, checked",
            to.display(),
            report.bytes,
            report.version
        ),
    ))
}

fn restore(config: &GatewayConfig, from: &PathBuf) -> Result<Report, Failure> {
    let report =
        store::restore(from, &config.database, &SystemClock).map_err(failed("gateway_restore"))?;
    Ok(Report {
        json: json!({"restored": from, "version": report.version, "openRequests": report.open_requests}),
        text: format!(
            "restored from {}; {} requests are open and will be done (those delivered since the backup: again).\n\
             Tokens and connectors that were revoked after the backup are not revoked in it: look at `gateway token list`.",
            from.display(),
            report.open_requests
        ),
        exit: Exit::Done,
    })
}

fn purge(config: &GatewayConfig) -> Result<Report, Failure> {
    let purged = open(config)?
        .purge(&config.retention)
        .map_err(failed("gateway_purge"))?;
    Ok(Report::done(
        json!({
            "requests": purged.requests,
            "records": purged.records,
            "auditEntries": purged.audit_entries,
            "tokens": purged.tokens
        }),
        format!(
            "deleted: {} requests with their results, {} records, {} audit entries, {} tokens",
            purged.requests, purged.records, purged.audit_entries, purged.tokens
        ),
    ))
}
