//! The service's side of the control socket.

use super::protocol::{
    Counters, Greeting, MAX_REQUEST_BYTES, Reply, Request, RevocationReport, Status,
};
use crate::clock::rfc3339;
use crate::connector::error::StartError;
use crate::connector::expiry;
use crate::connector::shared::{Phase, Shared};
use crate::evidence::process::ProcessEvidence;
use crate::telemetry::Event;
use crate::telemetry::log::Filter;
use crate::telemetry::metrics::{Attempt, Outcome};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, broadcast, mpsc};

/// Connections at once; further ones wait.
const AT_ONCE: usize = 32;
/// How long a client may take to ask or to read.
const PATIENCE: Duration = Duration::from_secs(30);

/// Binds the socket (0600). A socket that an ended process left is replaced: that it has ended is known, because the journal's lock
/// is ours.
///
/// # Errors
/// [`StartError::System`] when something else is there or the socket cannot be bound.
pub(in crate::connector) fn bind(path: &Path) -> Result<UnixListener, StartError> {
    if let Ok(found) = std::fs::symlink_metadata(path) {
        if !found.file_type().is_socket() {
            return Err(StartError::Setting {
                key: "control_socket",
                problem: format!("{} is something else than a socket", path.display()),
            });
        }
        std::fs::remove_file(path).map_err(StartError::system("remove the old control socket"))?;
    }
    let listener =
        UnixListener::bind(path).map_err(StartError::system("bind the control socket"))?;
    // Who came before this is turned away by the peer check.
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
        .map_err(StartError::system("protect the control socket"))?;
    Ok(listener)
}

/// Answers until the task is dropped.
pub(in crate::connector) async fn serve(listener: UnixListener, shared: Arc<Shared>) {
    let limit = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        let Ok(permit) = Arc::clone(&limit).acquire_owned().await else {
            return;
        };
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors: give some time to get some back.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let own = rustix::process::geteuid().as_raw();
        let allowed = stream
            .peer_cred()
            .is_ok_and(|peer| peer.uid() == own || peer.uid() == 0);
        if !allowed {
            continue;
        }
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let _ = answer(stream, &shared).await;
            drop(permit);
        });
    }
}

async fn answer(stream: UnixStream, shared: &Arc<Shared>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    send(&mut stream, &Greeting::ours()).await?;
    let mut line = Vec::new();
    let mut bounded = (&mut stream).take(MAX_REQUEST_BYTES);
    tokio::time::timeout(PATIENCE, bounded.read_until(b'\n', &mut line)).await??;
    match serde_json::from_slice(&line) {
        Ok(Request::Status) => {
            let status = Box::new(status(shared).await);
            send(&mut stream, &Reply::Status { status }).await
        }
        Ok(Request::ReleaseRevocations { count }) => {
            let reply = release_revocations(shared, count).await;
            send(&mut stream, &reply).await
        }
        Ok(Request::Events { filter, follow }) => events(&mut stream, shared, filter, follow).await,
        Err(error) => {
            let reply = Reply::Error {
                code: "bad_request".to_owned(),
                message: error.to_string(),
            };
            send(&mut stream, &reply).await
        }
    }
}

/// How the brake against mass revocation stands; `None` where nothing is revoked, or the journal cannot be read.
async fn revocation(shared: &Shared) -> Option<RevocationReport> {
    let limits = shared.config().revoking()?;
    Some(RevocationReport {
        per_hour: limits.per_hour,
        per_day: limits.per_day,
        braked: shared.revoking.is_braked(),
        figures: shared.journal.brake().await.ok()?,
    })
}

async fn release_revocations(shared: &Shared, count: u32) -> Reply {
    let refused = |code: &str, message: String| Reply::Error {
        code: code.to_owned(),
        message,
    };
    if shared.config().revoking().is_none() {
        return refused(
            "no_revocation",
            "this connector has no authority ([[connector.ca]]), so it revokes nothing".to_owned(),
        );
    }
    if count > 0 {
        match shared.journal.release_revocations(count).await {
            Ok(figures) => shared.revoking.released(shared, count, figures).await,
            Err(error) => return refused("journal", error.to_string()),
        }
    }
    match revocation(shared).await {
        Some(revocation) => Reply::Revocation { revocation },
        None => refused("journal", "the journal cannot be read".to_owned()),
    }
}

async fn events(
    stream: &mut BufReader<UnixStream>,
    shared: &Shared,
    filter: Filter,
    follow: bool,
) -> std::io::Result<()> {
    let followed = match shared.log.follow().await {
        Ok(followed) => followed,
        Err(error) => {
            let reply = Reply::Error {
                code: "log_unreadable".to_owned(),
                message: error.to_string(),
            };
            return send(stream, &reply).await;
        }
    };
    let (sender, mut found) = mpsc::channel::<Event>(256);
    let (wanted, snapshot) = (filter.clone(), followed.snapshot);
    // Ends by itself when the receiver is gone.
    tokio::task::spawn_blocking(move || {
        snapshot.read(&wanted, |event| sender.blocking_send(event).is_ok())
    });
    while let Some(event) = found.recv().await {
        let event = Box::new(event);
        send(stream, &Reply::Event { event }).await?;
    }
    let mut next = followed.next;
    let mut byte = [0_u8; 1];
    if !follow {
        return send(stream, &Reply::End).await;
    }
    loop {
        let event = tokio::select! {
            event = next.recv() => event,
            // The client closed its end.
            _ = stream.read(&mut byte) => return Ok(()),
        };
        match event {
            Ok(event) if filter.wants(&event) => {
                let event = Box::new(event);
                send(stream, &Reply::Event { event }).await?;
            }
            Ok(_) => {}
            Err(broadcast::error::RecvError::Lagged(count)) => {
                send(stream, &Reply::Missed { count }).await?;
            }
            Err(broadcast::error::RecvError::Closed) => return send(stream, &Reply::End).await,
        }
    }
}

async fn send(
    stream: &mut BufReader<UnixStream>,
    message: &impl serde::Serialize,
) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    tokio::time::timeout(PATIENCE, stream.get_mut().write_all(&line)).await?
}

async fn status(shared: &Arc<Shared>) -> Status {
    // Asked now, not remembered: a report claims no more than is known.
    shared.engine.look().await;
    expiry::take(shared);
    let engine = shared.engine.last_status();
    let config = shared.config();
    let last_contact = shared.last_contact_ms.load(Ordering::Relaxed);
    let metrics = &shared.metrics;
    Status {
        version: crate::VERSION.to_owned(),
        instance: config.instance.clone(),
        pid: std::process::id(),
        state: match shared.phase() {
            Phase::Running => "running",
            Phase::Draining | Phase::Releasing => "draining",
        }
        .to_owned(),
        started_at: rfc3339(shared.started_at_ms),
        uptime_ms: u64::try_from(shared.started.elapsed().as_millis()).unwrap_or(u64::MAX),
        gateway: config.gateway.clone(),
        last_contact: (last_contact > 0).then(|| rfc3339(last_contact)),
        in_flight: u64::try_from(shared.in_flight()).unwrap_or(u64::MAX),
        concurrency: config.concurrency,
        counters: Counters {
            delivered: metrics.counted(Outcome::Delivered),
            failed: metrics.counted(Outcome::Failed),
            parked: metrics.counted(Outcome::Parked),
            requeued: metrics.counted(Outcome::Requeued),
            superseded: metrics.counted(Outcome::Superseded),
            offered_again: metrics.counted(Outcome::OfferedAgain),
            attempts_succeeded: metrics.attempts(Attempt::Succeeded),
            attempts_transient: metrics.attempts(Attempt::Transient),
            attempts_permanent: metrics.attempts(Attempt::Permanent),
        },
        health: shared.health(),
        calendar: shared.calendar(),
        authorities: shared.authorities(),
        fips: Some(ProcessEvidence::of_this("connector")),
        exceptions: engine
            .as_ref()
            .map(|engine| engine.exceptions.clone())
            .unwrap_or_default(),
        engine,
        journal: shared.journal.figures().await.ok(),
        log: shared.log.figures(),
        revocation: revocation(shared).await,
    }
}
