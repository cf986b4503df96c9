//! The formats process: parses what strangers made, for custody. It has no token, no files and no network, and is expected to die
//! over a bad input rather than to be clever about it: the supervisor starts another.

use super::api::DeviceTarget;
use super::formats::device::{DevicePolicy, DeviceRefusal, check_device};
use super::formats::opening::{self, PfxRefusal, Unchecked};
use super::hardening::{self, Limits};
use super::ipc::blocking::{Incoming, read_frame};
use super::ipc::{Duplex, Frame, FrameError, Kind, Payload};
use super::recrypt::chain::CheckedDevice;
use super::sandboxing::Sandboxing;
use super::supervisor::EXIT_MODULE;
use crate::encoding::Base64Bytes;
use crate::evidence::process::ProcessEvidence;
use fips::policy::Policy;
use serde::{Deserialize, Serialize};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

/// Threads that parse; the supervisor hands out no more calls at once.
pub(crate) const THREADS: usize = 2;
/// Threads that derive keys from passwords; the supervisor hands out no more long calls at once.
pub(crate) const LONG_THREADS: usize = 2;
const WRITE_LIMIT_BYTES: usize = 16 * 1024 * 1024;
/// Address space: several times what the largest frames need.
const ADDRESS_SPACE_BYTES: u64 = 2 * 1024 * 1024 * 1024;
/// Processor time in all; at a millisecond for a certificate this is millions of them, and then a fresh process is no loss.
const CPU_SECONDS: u64 = 6 * 3600;
/// Descriptors: the three standard ones and the connection, with room for what the standard library opens at start.
const OPEN_FILES: u64 = 16;

/// What custody asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "call", rename_all = "camelCase")]
pub enum FormatsCall {
    /// Parse and judge a device certificate and find its path.
    CheckDevice {
        /// The certificates.
        device: DeviceTarget,
        /// What they are held against.
        policy: DevicePolicy,
    },
    /// Look at a PFX from the outside, before the custody key is used for it.
    LookAtPfx {
        /// The PFX.
        pfx: Base64Bytes,
        /// Iterations of key derivation at most.
        max_iterations: u64,
    },
}

/// What the formats process says. To custody it is a claim: see [`super::recrypt::chain::verify`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "result", content = "value", rename_all = "camelCase")]
pub enum FormatsReturn {
    /// The path that it found.
    Device(CheckedDevice),
    /// Why there is none.
    DeviceRefused(DeviceRefusal),
    /// Nothing speaks against the PFX from the outside; its integrity can be checked, or why not.
    PfxFits(Option<Unchecked>),
    /// What does.
    PfxRefused(PfxRefusal),
    /// The call itself was not understood.
    NotUnderstood,
}

/// Why the process ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FormatsError {
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

impl FormatsError {
    /// Whether the cryptographic module itself failed.
    #[must_use]
    pub fn is_module(&self) -> bool {
        matches!(
            self,
            Self::Module(error)
                if !matches!(error, fips::Error::SystemRequiresFips | fips::Error::PolicyTaken)
        )
    }
}

/// Works for the supervisor on the other end of standard input until it closes.
///
/// # Errors
/// [`FormatsError`] when it cannot start or the connection breaks.
pub fn run(policy: Policy, sandboxing: Sandboxing) -> Result<(), FormatsError> {
    hardening::end_on_panic("formats");
    hardening::ignore_terminal_signals()?;
    for note in hardening::protect(Limits {
        address_space_bytes: Some(ADDRESS_SPACE_BYTES),
        cpu_seconds: Some(CPU_SECONDS),
        open_files: Some(OPEN_FILES),
        // PFX files are opened here: the clear password and key of one are in this memory for a moment.
        lock_memory: true,
        outlives_parent: false,
    }) {
        tracing::warn!(part = "formats", "{note}");
    }
    fips::start(policy)?;
    let stream = hardening::supervisor_socket()?;
    // Reports are made of what was read here, since no file can be opened afterwards.
    fips::policy::system::keep();
    drop(ProcessEvidence::of_this("formats"));
    // From here on nothing but the connection, memory and time; anything else ends this process.
    let sandbox = sandboxing.apply(&sandbox::engine::formats())?;
    serve(stream, &sandbox)
}

/// What this process says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FormatsReport {
    /// Its cryptography.
    pub(crate) fips: ProcessEvidence,
    /// What is left to it.
    pub(crate) sandbox: sandbox::Report,
}

fn serve(stream: UnixStream, sandbox: &sandbox::Report) -> Result<(), FormatsError> {
    let mut reading = stream.try_clone()?;
    let link = Arc::new(Duplex::start("supervisor", stream, WRITE_LIMIT_BYTES)?);
    let quick = start("formats", THREADS, &link, |payload| json(&answer(payload)))?;
    let long = start("formats-long", LONG_THREADS, &link, opening::answer)?;
    link.send(Frame::hello());
    link.send(Frame::bare(Kind::Ready, 0));
    let mut greeted = false;
    loop {
        match read_frame(&mut reading)? {
            Incoming::Closed => return Ok(()),
            Incoming::Idle => {}
            Incoming::Frame(frame) if !greeted => {
                frame.expect_hello()?;
                greeted = true;
            }
            Incoming::Frame(frame) => match frame.kind {
                Kind::Ping => {
                    link.send(Frame::bare(Kind::Pong, frame.id));
                }
                Kind::Status => {
                    let report = FormatsReport {
                        fips: ProcessEvidence::of_this("formats"),
                        sandbox: sandbox.clone(),
                    };
                    if let Ok(frame) = Frame::json(Kind::Status, frame.id, &report) {
                        link.send(frame);
                    }
                }
                // The threads that take from it never end before this one.
                Kind::Call => drop(quick.send(frame)),
                Kind::LongCall => drop(long.send(frame)),
                _ => {}
            },
        }
    }
}

/// Starts threads that answer what is put into the queue.
fn start(
    name: &str,
    threads: usize,
    link: &Arc<Duplex>,
    answer: fn(&[u8]) -> Payload,
) -> std::io::Result<Sender<Frame>> {
    let (queue, calls) = channel::<Frame>();
    let calls = Arc::new(Mutex::new(calls));
    for number in 0..threads {
        let (calls, link) = (Arc::clone(&calls), Arc::clone(link));
        std::thread::Builder::new()
            .name(format!("{name}-{number}"))
            .spawn(move || work(&calls, &link, answer))?;
    }
    Ok(queue)
}

fn work(calls: &Mutex<Receiver<Frame>>, link: &Duplex, answer: fn(&[u8]) -> Payload) {
    loop {
        let call = calls.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(call) = call else {
            return;
        };
        let answer = answer(&call.payload);
        if let Some(fault) = fips::policy::fault() {
            // The answer says nothing: a signature that "does not verify" now is not a bad certificate. Another process is asked.
            tracing::error!(part = "formats", code = fault.code(), "{fault}");
            hardening::exit(EXIT_MODULE);
        }
        link.send(Frame::with_payload(Kind::Return, call.id, answer));
        drop(call);
        fips::secret::clear_registers();
    }
}

fn json(answer: &FormatsReturn) -> Payload {
    serde_json::to_vec(answer).unwrap_or_default().into()
}

/// The whole of what a stranger's bytes reach in a quick call: one call in, one answer out. A long one: [`opening::answer`].
#[must_use]
pub fn answer(payload: &[u8]) -> FormatsReturn {
    match serde_json::from_slice(payload) {
        Ok(FormatsCall::CheckDevice { device, policy }) => match check_device(&device, &policy) {
            Ok(checked) => FormatsReturn::Device(checked),
            Err(refusal) => FormatsReturn::DeviceRefused(refusal),
        },
        Ok(FormatsCall::LookAtPfx {
            pfx,
            max_iterations,
        }) => match opening::look_at(pfx.as_slice(), max_iterations) {
            Ok(()) => FormatsReturn::PfxFits(opening::unchecked_because(pfx.as_slice())),
            Err(refusal) => FormatsReturn::PfxRefused(refusal),
        },
        Err(_) => FormatsReturn::NotUnderstood,
    }
}
