//! The running connector: start, tasks, signals, reload, end.

use super::control;
use super::error::StartError;
use super::gateway_client::GatewayClient;
use super::identity;
use super::journal::Journal;
use super::manager::Manager;
use super::pkcs::{self, Issuance};
use super::revoke::{self, Revoker};
use super::shared::{Phase, Shared};
use super::{again, expiry, poll, sweep};
use crate::calendar::{self, Dated, Source};
use crate::clock::Clock;
use crate::config::{self, ConnectorConfig, LocalCaConfig};
use crate::telemetry::catalogue::EventKind;
use crate::telemetry::http::{self, Pages};
use crate::telemetry::{Draft, EventLog};
use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;

/// Pause between two signs of life to the gateway.
const HEARTBEAT: Duration = Duration::from_secs(30);
/// How long giving back and the last uploads may take after the drain's time is over.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Runs the connector until SIGTERM or SIGINT.
///
/// # Errors
/// [`StartError`] when it cannot start; once it runs, faults are events and it goes on.
pub(super) fn run(config_path: &Path, clock: Arc<dyn Clock>) -> Result<(), StartError> {
    let (config, local) = load(config_path)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(StartError::system("start the asynchronous runtime"))?;
    let result = runtime.block_on(serve(config_path, config, &local, clock));
    // A call that hangs must not keep the process.
    runtime.shutdown_timeout(Duration::from_secs(1));
    result
}

/// `[connector]`, and the authorities that are this program's own.
fn load(path: &Path) -> Result<(ConnectorConfig, Vec<LocalCaConfig>), StartError> {
    let whole = config::load(path)?;
    let config = whole.checked_connector("run")?.into_inner();
    if let Some(address) = config.metrics_listen
        && !address.ip().is_loopback()
    {
        return Err(StartError::Setting {
            key: "metrics_listen",
            problem: format!(
                "{address} is not a loopback address; health and metrics have no authentication"
            ),
        });
    }
    if let Some(engine) = &whole.engine
        && let Some(problem) = engine.restart.too_little_time(config.engine_timeout_ms)
    {
        tracing::warn!("`connector.engine_timeout_ms`: {problem}");
    }
    // A reload with another mode or other exceptions is refused here: they are the process's for good.
    whole
        .start_module()
        .map_err(|error| StartError::Module(error.to_string()))?;
    Ok((config, whole.local_ca))
}

async fn serve(
    path: &Path,
    config: ConnectorConfig,
    local: &[LocalCaConfig],
    clock: Arc<dyn Clock>,
) -> Result<(), StartError> {
    let mut terminate =
        signal(SignalKind::terminate()).map_err(StartError::system("handle SIGTERM"))?;
    let mut interrupt =
        signal(SignalKind::interrupt()).map_err(StartError::system("handle SIGINT"))?;
    let mut hangup = signal(SignalKind::hangup()).map_err(StartError::system("handle SIGHUP"))?;

    let gateway = GatewayClient::new(&config)?;
    let issuance = Issuance::new(&config, local)?.map(Arc::new);
    let revoker = match &issuance {
        Some(issuance) => Revoker::new(&config, local, Arc::clone(issuance))?,
        None => None,
    };
    // The journal's lock comes first: everything after it belongs to one process only.
    let journal = Journal::open(
        &config.journal,
        config.journal_max_bytes,
        Arc::clone(&clock),
    )?;
    let log = EventLog::open(&config.log, &config.instance, Arc::clone(&clock))?;
    let control = control::server::bind(&config.control_socket)?;
    let control_socket = config.control_socket.clone();
    let pages = match config.metrics_listen {
        None => None,
        Some(address) => Some(
            http::bind(address)
                .await
                .map_err(StartError::system("listen on `metrics_listen`"))?,
        ),
    };
    let instance = config.instance.clone();
    let ends = ends_of_files(&config, local);
    let shared = Shared::new(config, gateway, journal, log, clock);
    shared.calendar.set(Source::Files, ends);
    if let Some(issuance) = &issuance {
        shared.issues_by(Arc::clone(issuance));
    }

    let mut background = JoinSet::new();
    background.spawn(control::server::serve(control, Arc::clone(&shared)));
    let mut started = Draft::new(EventKind::ConnectorStarted, "the connector started")
        .field("version", crate::VERSION)
        .field("instance", instance)
        .field("pid", std::process::id());
    if let Some(listener) = pages {
        if let Ok(address) = listener.local_addr() {
            started = started.field("metrics", address.to_string());
        }
        background.spawn(http::serve(listener, pages_of(&shared)));
    }
    shared.log.record(started).await;
    {
        let shared = Arc::clone(&shared);
        background.spawn(async move {
            shared
                .engine
                .watch(&shared.log, shared.config().retry)
                .await
        });
    }
    background.spawn(heartbeat(Arc::clone(&shared)));
    if let Some(identity) = shared.config().identity.clone() {
        background.spawn(identity::keep(Arc::clone(&shared), identity));
    }
    background.spawn(expiry::watch(Arc::clone(&shared)));
    if let Some(issuance) = &issuance {
        background.spawn(pkcs::watch(Arc::clone(&shared), Arc::clone(issuance)));
    }
    let (again, offered_again) = again::channel();
    background.spawn(again::answer(Arc::clone(&shared), offered_again));

    let reloaded = issuance.clone();
    let work = {
        let shared = Arc::clone(&shared);
        async move {
            // What an earlier life left over comes before anything new.
            tokio::select! {
                () = sweep::pass(&shared) => {}
                () = shared.until_phase(|phase| phase != Phase::Running) => {}
            }
            let sweeper = tokio::spawn(sweep::run(Arc::clone(&shared)));
            let certificates = async {
                match issuance {
                    Some(issuance) if shared.config().pkcs.is_some() => {
                        pkcs::poll(Arc::clone(&shared), issuance, again.clone()).await
                    }
                    _ => JoinSet::new(),
                }
            };
            let revocations = async {
                match revoker {
                    Some(revoker) => {
                        revoke::poll(Arc::clone(&shared), Arc::new(revoker), again.clone()).await
                    }
                    None => JoinSet::new(),
                }
            };
            let (mut tasks, mut orders, mut revoking) = tokio::join!(
                poll::poll(Arc::clone(&shared), again.clone()),
                certificates,
                revocations
            );
            while tasks.join_next().await.is_some() {}
            while orders.join_next().await.is_some() {}
            while revoking.join_next().await.is_some() {}
            sweeper.abort();
        }
    };
    let mut work = tokio::spawn(work);
    let mut manager = Manager::from_environment();
    manager.ready(&shared);
    let asked = loop {
        tokio::select! {
            _ = terminate.recv() => break true,
            _ = interrupt.recv() => break true,
            _ = hangup.recv() => {
                manager.reloading();
                reload(&shared, reloaded.as_deref(), path).await;
                manager.ready(&shared);
            }
            () = manager.due() => manager.tell(&shared),
            // It ends only with the connector; should it fail, stopping in order is all that is left.
            _ = &mut work => break false,
        }
    };
    manager.stopping();
    drop(manager);
    drain(&shared, work).await;
    background.shutdown().await;
    let _ = std::fs::remove_file(control_socket);
    shared
        .log
        .record(Draft::new(
            EventKind::ConnectorStopped,
            "the connector stopped",
        ))
        .await;
    shared.log.close().await;
    if asked {
        Ok(())
    } else {
        // Whoever supervises the process starts it again.
        let source = std::io::Error::other("its task ended by itself");
        Err(StartError::system("go on with the work")(source))
    }
}

/// The ends of what the configuration names. That of the certificate that is renewed here is told by whoever renews it.
fn ends_of_files(config: &ConnectorConfig, local: &[LocalCaConfig]) -> Vec<Dated> {
    let mut ends = calendar::connector(config, local);
    ends.retain(|end| !end.name.starts_with("connector.identity"));
    ends
}

async fn drain(shared: &Arc<Shared>, mut work: tokio::task::JoinHandle<()>) {
    shared.phase.send_replace(Phase::Draining);
    if work.is_finished() {
        return;
    }
    shared
        .log
        .record(
            Draft::new(
                EventKind::ConnectorDraining,
                "the connector finishes what it has in flight",
            )
            .field("inFlight", shared.in_flight()),
        )
        .await;
    let limit = Duration::from_millis(shared.config().drain_ms);
    if tokio::time::timeout(limit, &mut work).await.is_err() {
        shared.phase.send_replace(Phase::Releasing);
        if tokio::time::timeout(LAST_WORDS, &mut work).await.is_err() {
            // What is left is in the journal, or returns when its lease expires.
            work.abort();
        }
    }
}

async fn reload(shared: &Arc<Shared>, issuance: Option<&Issuance>, path: &Path) {
    let path = path.to_owned();
    let current = shared.config();
    let loaded = tokio::task::spawn_blocking(move || {
        let (config, local) = load(&path)?;
        fixed(&current, &config)?;
        let gateway = GatewayClient::new(&config)?;
        let policy = pkcs::policy(&config)?;
        let ends = ends_of_files(&config, &local);
        Ok::<_, StartError>((config, gateway, policy, ends))
    })
    .await;
    let draft = match loaded {
        Ok(Ok((config, gateway, policy, ends))) => {
            shared.calendar.set(Source::Files, ends);
            if let (Some(issuance), Some(policy)) = (issuance, policy) {
                issuance.replace_policy(policy);
            }
            let before = shared.config().concurrency.max(1);
            let after = config.concurrency.max(1);
            shared.log.reconfigure(&config.log).await;
            *shared
                .config
                .write()
                .unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
            shared.engine.state_certificate(gateway.certificate()).await;
            shared.take_gateway(gateway);
            let difference =
                |more: u32, less: u32| usize::try_from(more.saturating_sub(less)).unwrap_or(0);
            shared.slots.add_permits(difference(after, before));
            shed_slots(shared, difference(before, after));
            shared.freed.notify_one();
            Draft::new(
                EventKind::ConfigurationReloaded,
                "the configuration was read again and is in force",
            )
        }
        Ok(Err(error)) => refused(&error.to_string()),
        Err(error) => refused(&error.to_string()),
    };
    shared.log.record(draft).await;
}

fn refused(reason: &str) -> Draft {
    Draft::new(
        EventKind::ConfigurationRefused,
        "the configuration was read again and is refused; the old one stays in force",
    )
    .field("reason", reason)
}

/// Permits in use are taken when they come back.
fn shed_slots(shared: &Arc<Shared>, count: usize) {
    let left = count.saturating_sub(shared.slots.forget_permits(count));
    if left > 0 {
        let shared = Arc::clone(shared);
        tokio::spawn(async move {
            if let Ok(permits) = shared
                .slots
                .acquire_many(u32::try_from(left).unwrap_or(u32::MAX))
                .await
            {
                permits.forget();
            }
        });
    }
}

/// What cannot change while the connector runs.
fn fixed(current: &ConnectorConfig, new: &ConnectorConfig) -> Result<(), StartError> {
    let changed = [
        ("instance", current.instance != new.instance),
        ("engine_socket", current.engine_socket != new.engine_socket),
        ("journal", current.journal != new.journal),
        (
            "journal_max_bytes",
            current.journal_max_bytes != new.journal_max_bytes,
        ),
        (
            "control_socket",
            current.control_socket != new.control_socket,
        ),
        (
            "metrics_listen",
            current.metrics_listen != new.metrics_listen,
        ),
        ("log.directory", current.log.directory != new.log.directory),
        ("identity", current.identity != new.identity),
        ("pkcs", current.pkcs != new.pkcs),
        ("ca", current.ca != new.ca),
    ];
    match changed.iter().find(|(_, changed)| *changed) {
        None => Ok(()),
        Some((key, _)) => Err(StartError::Setting {
            key,
            problem: "cannot change while the connector runs; restart it".to_owned(),
        }),
    }
}

async fn heartbeat(shared: Arc<Shared>) {
    loop {
        let in_flight = u32::try_from(shared.in_flight()).unwrap_or(u32::MAX);
        let answer = shared
            .gateway()
            .heartbeat(
                in_flight,
                shared.engine.is_up(),
                &shared.engine.deliveries(),
            )
            .await;
        match answer {
            Ok(()) => shared.service_answered().await,
            Err(error) => shared.service_failed(&error).await,
        }
        tokio::time::sleep(HEARTBEAT).await;
    }
}

fn pages_of(shared: &Arc<Shared>) -> Pages {
    let (for_health, for_metrics) = (Arc::clone(shared), Arc::clone(shared));
    Pages {
        health: Arc::new(move || for_health.health()),
        metrics: Arc::new(move || {
            let shared = &for_metrics;
            shared.metrics.take_log_figures(&shared.log.figures());
            shared
                .metrics
                .engine_up
                .set(i64::from(shared.engine.is_up()));
            shared.metrics.take_fips_status(&shared.fips_status());
            let engine = shared.engine.last_status();
            shared.metrics.take_tokens(engine.as_ref());
            shared.metrics.take_calendar(&shared.calendar());
            shared.metrics.take_authorities(&shared.authorities());
            shared.metrics.encode()
        }),
    }
}
