//! The engine's first process: it listens, checks who calls, passes frames on and replaces the parts that die. It opens no token
//! and reads no payload that came from outside.

mod callers;
mod calls;
mod event;
mod lane;
mod listener;
mod manager;
mod module_fault;
mod part;
mod program;
mod requests;
mod router;
mod status;

pub(crate) use module_fault::EXIT_MODULE;
pub(crate) use part::EXIT_CONFIGURATION;

use super::policy::{EnginePolicy, PolicyError};
use super::sandboxing::{self, Sandboxing};
use crate::config::EngineConfig;
use crate::evidence::process::ProcessEvidence;
use crate::service_manager::Notifier;
use event::Event;
use listener::Listener;
use manager::Manager;
use part::{Launch, PartKind};
use program::Program;
use router::Router;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;

/// Events that wait for the routing thread; who brings more waits.
const EVENT_QUEUE: usize = 64;

/// Why the engine did not start, or stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SupervisorError {
    /// The configuration accepts anybody without saying so, or names a file that cannot be used.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The socket cannot be used.
    #[error("{}: {problem}", path.display())]
    Socket {
        /// Which.
        path: PathBuf,
        /// Why, and what to do.
        problem: String,
    },
    /// The sandbox cannot be put in force.
    #[error(transparent)]
    Sandbox(#[from] sandbox::Refused),
    /// A part refuses its configuration; its own log line says what is wrong.
    #[error("the part {0} refuses to start with this configuration: its message is above")]
    PartConfiguration(&'static str),
    /// The cryptographic module failed: nothing was done any more, and nothing will be before a restart.
    #[error("the cryptographic module has failed ({code}): {message}")]
    Module {
        /// Stable code: `integrity_failed`, `self_test_failed`, `indicator_disagrees`.
        code: String,
        /// In words, with the remedy.
        message: String,
    },
    /// The system gave no thread, descriptor or signal.
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

/// Runs the engine until SIGTERM or SIGINT: then it accepts nothing more, answers what is in flight within ten seconds, ends the
/// parts and returns. A second signal cuts that short.
///
/// When the cryptographic module fails before custody was ever ready, it returns at once; later it stays, refuses everything, says why in
/// every status, and returns [`SupervisorError::Module`] when it is stopped.
///
/// `config_path` is handed to the custody process, which reads it itself; `log` are the options that make the parts log as this process does.
///
/// # Errors
/// [`SupervisorError`] when it cannot start; what happens to the parts later is dealt with.
pub fn run(
    config: &EngineConfig,
    config_path: &Path,
    sandboxing: Sandboxing,
    log: &[OsString],
) -> Result<(), SupervisorError> {
    // Its socket is made before this process gives up the right to make any.
    let manager = Manager::new(Notifier::from_environment());
    // Only to refuse early and in words; custody loads it again.
    EnginePolicy::load(config)?;
    let config_path = std::path::absolute(config_path)?;
    let program = Program::running()?;
    let own = rustix::process::geteuid().as_raw();
    let others_may_call = config.allowed_uids.iter().any(|uid| *uid != own);
    let mut listener = Listener::bind(&config.socket, others_may_call)?;
    drop(ProcessEvidence::of_this("supervisor"));
    sandboxing::make_folders(config);
    // Before there is a second thread. The parts inherit it, so it leaves them what they need.
    let sandbox = sandboxing.apply(&sandboxing::supervisor(
        config,
        &config_path,
        program.file(),
    ))?;

    let (events, queue) = sync_channel(EVENT_QUEUE);
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP])?;
    let handle = signals.handle();
    let stopping = events.clone();
    let watching = std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            for signal in signals.forever() {
                if signal == SIGHUP {
                    tracing::warn!(
                        "SIGHUP changes nothing: anchors, importers and the token are read at the start; restart the engine"
                    );
                    continue;
                }
                if stopping.send(Event::Stop).is_err() {
                    return;
                }
            }
        })?;
    let launch = |kind| Launch::new(kind, &program, config, &config_path, sandboxing, log);
    let launches = (launch(PartKind::Custody), launch(PartKind::Formats));
    let mut router = Router::new(config, launches, &events, sandbox)
        .told_to(manager)
        .running(program.clone());
    listener.start(events)?;
    for exception in &config.exceptions {
        tracing::warn!(exception = exception.name(), "an exception is in force");
    }
    tracing::info!(socket = %config.socket.display(), "the engine listens");
    let mut stopped = false;
    let outcome = router.run(&queue, || {
        if !stopped {
            stopped = true;
            listener.unlink();
        }
    });
    // The threads that bring events find the queue closed and end.
    drop(router);
    drop(queue);
    listener.stop();
    handle.close();
    let _ = watching.join();
    tracing::info!("the engine has stopped");
    outcome
}
