//! The custody process: it holds the token's sessions and, for moments, clear passwords. Certificates are parsed and described by the
//! formats process; here only DER headers are followed to find the same places again, and keys and names read out of them.
//!
//! One thread reads and answers pings at once, [`request_threads`] threads work, a few make keys, one for each token opens it (and tries
//! again while it is not there), one reports, one watches: a call that hangs in the PKCS#11 module cannot be interrupted, only its process replaced.

mod approvals;
mod authorise;
mod authority;
mod client_key;
mod deliver;
mod ends;
mod flow;
mod formats;
mod judge;
mod key_making;
mod labels;
mod not_loaded;
mod operator;
mod oracle;
mod pace;
mod pack;
mod password_check;
mod pkcs1;
mod queue;
mod receipts;
mod refusal;
mod release;
mod report;
mod rotate;
mod sharing;
mod signing_token;
mod to_custody_key;
mod token;
mod tokens;
mod usage;
mod watchdog;

pub use report::CustodyReport;

use super::hardening::{self, Limits};
use super::ipc::blocking::{Incoming, read_frame};
use super::ipc::{self, Duplex, Frame, FrameError, Kind};
use super::policy::{EnginePolicy, PolicyError, text_of};
use super::recrypt::known::KnownDevices;
use super::sandboxing::{self, Sandboxing, Seen};
use crate::config::EngineConfig;
use crate::evidence::process::ProcessEvidence;
use approvals::{Approvals, Start};
use authority::Authorities;
use flow::Answer;
use hsm::clock::MonotonicClock;
use key_making::KeyMaking;
use oracle::Oracle;
use queue::{Calls, Job, Queue};
use receipts::{Book, Canaries, Folds};
use release::Release;
use rotate::Rotation;
use sharing::Sharing;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};
use tokens::Tokens;

/// What may wait to be written to the supervisor, besides one frame of the largest size from each of the threads.
const WRITE_LIMIT_BYTES: usize = 64 * 1024 * 1024;
/// Threads beyond those of the token: they wait for the formats process while others use the token.
const EXTRA_THREADS: usize = 2;

/// Requests that custody works on at once.
pub(crate) fn request_threads(config: &EngineConfig) -> usize {
    config
        .token_threads()
        .clamp(1, 128)
        .saturating_add(EXTRA_THREADS)
}

/// Why the process ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CustodyError {
    /// The configuration; starting again without a change is of no use.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// A token section names no source of the PIN, or two.
    #[error("engine.token: name exactly one of pin_file and pin_credential")]
    PinSource,
    /// The tokens are not what a group can be made of.
    #[error("engine.tokens: {0}")]
    Tokens(String),
    /// The log of uses of the key cannot be opened.
    #[error("engine.audit: {0}")]
    Audit(String),
    /// The policy was changed, and approvals in force say that this needs approval.
    #[error("{0}")]
    PolicyNotApproved(String),
    /// The approvals of this start could not be recorded; when the log can be written, they can.
    #[error("the approval of the changed policy cannot be recorded: {0}")]
    Unrecorded(String),
    /// The cryptographic module did not start.
    #[error("the cryptographic module did not start: {0}")]
    Module(#[from] fips::Error),
    /// Standard input is not the supervisor's socket, or it broke.
    #[error("the connection to the supervisor: {0}")]
    Connection(#[from] FrameError),
    /// The sandbox cannot be put in force.
    #[error(transparent)]
    Sandbox(#[from] sandbox::Refused),
    /// The system gave no thread or descriptor.
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

impl CustodyError {
    /// Whether only another configuration helps.
    #[must_use]
    pub fn is_configuration(&self) -> bool {
        matches!(
            self,
            Self::Policy(_)
                | Self::PolicyNotApproved(_)
                | Self::PinSource
                | Self::Tokens(_)
                | Self::Sandbox(sandbox::Refused::Kernel(_))
                | Self::Module(fips::Error::SystemRequiresFips | fips::Error::PolicyTaken)
        )
    }

    /// Whether the cryptographic module itself failed.
    #[must_use]
    pub fn is_module(&self) -> bool {
        matches!(self, Self::Module(_)) && !self.is_configuration()
    }
}

/// What the threads of this process share.
struct Shared {
    config: EngineConfig,
    policy: EnginePolicy,
    notes: Vec<String>,
    sandbox: sandbox::Report,
    /// Where the tokens were when the sandbox was put in force.
    seen: Seen,
    link: Duplex,
    queue: Queue,
    calls: Calls,
    tokens: Arc<Tokens>,
    /// The file that `config` was read from.
    config_path: PathBuf,
    sharing: Sharing,
    rotation: Rotation,
    key_making: KeyMaking,
    known_devices: KnownDevices,
    key_uses: AtomicU64,
    fault_told: AtomicBool,
    oracle: Oracle,
    release: Release,
    approvals: Approvals,
    authorities: Authorities,
    client_keys: pace::Pace,
    reminder: pkcs1::Reminder,
    /// Digest of the policy in force, for receipts.
    policy_digest: audit::Hash,
}

impl Shared {
    /// Tells the supervisor, once and unasked, that the module has failed in this process.
    fn tell_fault(&self) {
        if self.fault_told.swap(true, Ordering::Relaxed) {
            return;
        }
        if let Ok(frame) = Frame::json(Kind::Status, 0, &report::of_fault(self)) {
            self.link.send(frame);
        }
    }
}

/// Works for the supervisor on the other end of standard input until it closes.
///
/// # Errors
/// [`CustodyError`] when it cannot start or the connection breaks. The caller ends the process by
/// [`hardening::exit`], because a thread may be inside the PKCS#11 module.
pub fn run(
    config: EngineConfig,
    config_path: PathBuf,
    sandboxing: Sandboxing,
) -> Result<(), CustodyError> {
    hardening::end_on_panic("custody");
    hardening::ignore_terminal_signals()?;
    let notes = hardening::protect(Limits {
        lock_memory: true,
        open_files: Some(hardening::OPEN_FILES),
        ..Limits::default()
    });
    for note in &notes {
        tracing::warn!(part = "custody", "{note}");
    }
    fips::start(fips::policy::in_force())?;
    let policy = EnginePolicy::load(&config)?;
    let canaries = Canaries::default();
    let tokens = Arc::new(Tokens::new(&config, policy.extractable_keys, &canaries)?);
    let stream = hardening::supervisor_socket()?;
    let reading = stream.try_clone()?;
    let rules = text_of(&config, &policy, &fips::policy::in_force());
    tokens.load_modules();
    // What reports say of this machine is read once, and here: no such file can be opened afterwards.
    drop(ProcessEvidence::of_this("custody"));
    let seen = Seen::now(&config);
    // Before there is a second thread: Landlock does not reach those that are there already.
    let sandbox = sandboxing.apply(&sandboxing::custody(&config, &config_path))?;
    let folds = Folds::default();
    let book = Book::open(config.audit.as_ref(), &tokens, &folds, canaries, |last| {
        Start::admit(&config, &policy, &rules, last, &folds.memory)
    })?;
    let oracle = Oracle::new(
        folds.ledger,
        book,
        &config.oracle,
        policy.importers.clone(),
        request_threads(&config),
    );
    let write_limit = request_threads(&config)
        .saturating_mul(ipc::MAX_PAYLOAD_BYTES)
        .saturating_add(WRITE_LIMIT_BYTES);
    let shared = Arc::new(Shared {
        oracle,
        release: Release::new(
            MonotonicClock::start(),
            Duration::from_millis(config.oracle.grid_ms),
        ),
        approvals: Approvals::new(policy.approvals.clone(), folds.memory),
        authorities: Authorities::new(folds.issued),
        client_keys: pace::Pace::default(),
        policy_digest: rules.digest(),
        reminder: pkcs1::Reminder::default(),
        notes,
        sandbox,
        seen,
        link: Duplex::start("supervisor", stream, write_limit)?,
        queue: Queue::default(),
        calls: Calls::default(),
        tokens,
        config_path,
        sharing: Sharing::default(),
        rotation: Rotation::default(),
        key_making: KeyMaking::new(config.issuance.as_ref()),
        known_devices: KnownDevices::under(Arc::clone(&policy.rules)),
        key_uses: AtomicU64::new(0),
        fault_told: AtomicBool::new(false),
        policy,
        config,
    });
    shared.link.send(Frame::hello());
    serve(&shared, reading)
}

fn serve(shared: &Arc<Shared>, mut reading: UnixStream) -> Result<(), CustodyError> {
    for number in 0..request_threads(&shared.config) {
        let shared = Arc::clone(shared);
        std::thread::Builder::new()
            .name(format!("request-{number}"))
            .spawn(move || {
                while let Some(job) = shared.queue.take() {
                    let id = job.id;
                    let Answer { frame, on_grid } = flow::answer(&shared, &job);
                    shared.link.send(match on_grid {
                        true => shared.release.hold(job.received, frame),
                        false => frame,
                    });
                    shared.queue.finished(id);
                }
            })?;
    }
    let makers = shared
        .config
        .issuance
        .as_ref()
        .map_or(0, |issuance| issuance.key_threads);
    for number in 0..makers {
        let shared = Arc::clone(shared);
        std::thread::Builder::new()
            .name(format!("keys-{number}"))
            .spawn(move || key_making::work(&shared))?;
    }
    tokens::start(shared)?;
    let releasing = Arc::clone(shared);
    std::thread::Builder::new()
        .name("release".to_owned())
        .spawn(move || {
            releasing.release.run(
                |frame| {
                    releasing.link.send(frame);
                },
                || {
                    releasing.oracle.now_and_then();
                    releasing.reminder.now_and_then(&releasing);
                },
            )
        })?;
    let watching = Arc::clone(shared);
    std::thread::Builder::new()
        .name("watchdog".to_owned())
        .spawn(move || watchdog::watch(&watching))?;
    // One report is made at a time and one may wait; the token may hang over it.
    let (ask, asked) = sync_channel::<u64>(1);
    let reporting = Arc::clone(shared);
    std::thread::Builder::new()
        .name("report".to_owned())
        .spawn(move || {
            for id in asked {
                match Frame::json(Kind::Status, id, &report::make(&reporting)) {
                    Ok(frame) => reporting.link.send(frame),
                    Err(_) => false,
                };
            }
        })?;

    let mut greeted = false;
    loop {
        let frame = match read_frame(&mut reading)? {
            Incoming::Closed => {
                shared
                    .oracle
                    .book()
                    .close("the supervisor closed the connection");
                return Ok(());
            }
            Incoming::Idle => continue,
            Incoming::Frame(frame) => frame,
        };
        if !greeted {
            frame.expect_hello()?;
            greeted = true;
            continue;
        }
        match frame.kind {
            Kind::Ping => {
                shared.link.send(Frame::bare(Kind::Pong, frame.id));
            }
            Kind::Request => {
                let job = Job::new(frame, Instant::now(), shared.release.now());
                if let Err(job) = shared.queue.push(job) {
                    shared.link.send(Frame::bare(Kind::GivenBack, job.id));
                }
            }
            Kind::Return => shared.calls.answer(frame.id, Some(frame.payload)),
            Kind::GivenBack => shared.calls.answer(frame.id, None),
            Kind::Abandoned => {
                shared.calls.abandon(frame.id);
                if shared.queue.forget(frame.id) {
                    shared.link.send(Frame::bare(Kind::Reply, frame.id));
                }
            }
            Kind::Status => {
                // Full: the supervisor gets the report that is being made.
                let _ = ask.try_send(frame.id);
            }
            _ => {}
        }
    }
}
