//! A small service around custody: what the engine, its supervisor, the connector and the operator do when the token is in
//! trouble, without their processes and on simulated time.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use hsm::pkcs11::{Pkcs11Custody, TokenConfig};
use hsm::{Custody, Error, ErrorClass, PinProblem};

use super::module::ChaosModule;
use super::script::{Fault, ROTATED, Script};
use super::support::{TestToken, USER_PIN, write_pin};

/// Tries of one request, with growing pauses: minutes of simulated time.
const TRIES: u32 = 200;
const LONGEST_PAUSE_MS: u64 = 1000;
/// As `call_limit_ms` of the engine.
const CALL_LIMIT_MS: u64 = 10_000;

/// How often what happened.
#[derive(Default)]
pub struct Counts {
    pub requests: AtomicU64,
    pub retries: AtomicU64,
    /// Custody was closed and opened again because a call hung: the engine replaces the process then.
    pub replaced_after_hang: AtomicU64,
    /// The same, because custody asked for it.
    pub restarts_asked: AtomicU64,
    pub openings: AtomicU64,
}

fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Calls that hung in this process.
static HANGS: AtomicU64 = AtomicU64::new(0);

struct Open {
    custody: Pkcs11Custody,
    hangs_before: u64,
}

pub struct Service<'a> {
    chaos: ChaosModule,
    token: &'a TestToken,
    config: TokenConfig,
    /// Held for reading during a request; whoever replaces custody waits for all of them, as the end of a process would end
    /// them.
    open: RwLock<Option<Open>>,
    /// Whether the script gives the operator something to do.
    has_pin_faults: bool,
    pin: String,
    /// How often custody asked for another process.
    restarts: AtomicU64,
    pub counts: &'a Counts,
}

/// The PIN at the start of a script.
pub fn pin_of(script: &Script) -> String {
    script.pin.clone().unwrap_or_else(|| USER_PIN.to_owned())
}

/// Writes the PIN file in one step: a login must never see half of it.
pub fn put_pin(token: &TestToken, pin: &str) {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let fresh = token.pin_file.with_extension(format!("{number}.new"));
    write_pin(&fresh, pin);
    std::fs::rename(fresh, &token.pin_file).unwrap();
}

/// The watchdog, for as long as the process lives: whatever hangs is ended.
pub fn watch(chaos: ChaosModule, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        if chaos.waits_for_hang(5) {
            chaos.advance(CALL_LIMIT_MS);
            HANGS.fetch_add(1, Ordering::SeqCst);
            chaos.replace_process();
        }
    }
}

impl<'a> Service<'a> {
    pub fn new(
        chaos: ChaosModule,
        token: &'a TestToken,
        config: TokenConfig,
        script: &Script,
        counts: &'a Counts,
    ) -> Self {
        let has_pin_faults = script.events.iter().any(|event| {
            matches!(
                event.fault,
                Fault::RotatePin
                    | Fault::CountLow { .. }
                    | Fault::FinalTry { .. }
                    | Fault::Locked { .. }
            )
        });
        Self {
            chaos,
            token,
            config,
            open: RwLock::new(None),
            has_pin_faults,
            pin: pin_of(script),
            restarts: AtomicU64::new(0),
            counts,
        }
    }

    /// Opens custody if it is not, and replaces one whose call hung or that asks for it.
    fn ready(&self) -> Result<(), Error> {
        let is_good = |open: &Open| {
            open.hangs_before == HANGS.load(Ordering::SeqCst)
                && !open.custody.health().needs_restart
        };
        {
            let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
            if open.as_ref().is_some_and(is_good) {
                return Ok(());
            }
        }
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        if open.as_ref().is_some_and(is_good) {
            return Ok(());
        }
        if let Some(old) = open.take() {
            if old.hangs_before == HANGS.load(Ordering::SeqCst) {
                add(&self.counts.restarts_asked);
                add(&self.restarts);
                // The engine replaces its custody process then.
                self.chaos.replace_process();
            } else {
                add(&self.counts.replaced_after_hang);
            }
        }
        let hangs_before = HANGS.load(Ordering::SeqCst);
        let custody = Pkcs11Custody::open(self.config.clone())?;
        add(&self.counts.openings);
        *open = Some(Open {
            custody,
            hangs_before,
        });
        Ok(())
    }

    /// Does `action` until it succeeds or fails for good, as a connector does, and the operator beside it.
    ///
    /// # Errors
    /// Why it failed for good, in words.
    pub fn request<T>(
        &self,
        action: impl Fn(&Pkcs11Custody) -> Result<T, Error>,
    ) -> Result<T, String> {
        add(&self.counts.requests);
        let mut pause_ms = 5;
        let mut last = String::new();
        for _ in 0..TRIES {
            let result = self.ready().and_then(|()| {
                let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
                match &*open {
                    Some(open) => action(&open.custody),
                    // Somebody else has just closed it.
                    None => Err(Error::Overloaded),
                }
            });
            let error = match result {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            last = format!("{} ({error})", error.code());
            match (error.class(), &error) {
                (ErrorClass::Token | ErrorClass::Busy, _) => {}
                (ErrorClass::Configuration, Error::Pin(problem)) if self.has_pin_faults => {
                    self.operate(*problem);
                }
                _ => return Err(last),
            }
            add(&self.counts.retries);
            if error.class() == ErrorClass::Busy {
                // Others are served. Simulated time must not run ahead of the real threads that do it.
                self.chaos.advance(1);
                std::thread::sleep(Duration::from_millis(1));
                continue;
            }
            self.chaos.advance(pause_ms);
            pause_ms = (pause_ms * 2).min(LONGEST_PAUSE_MS);
            std::thread::yield_now();
        }
        Err(format!("lost: after {TRIES} tries still {last}"))
    }

    /// What the operator does about a PIN that does not open the token: puts the right one into its file. Everything else he
    /// waits for.
    fn operate(&self, problem: PinProblem) {
        if matches!(
            problem,
            PinProblem::Incorrect | PinProblem::RefusedBefore | PinProblem::Expired
        ) {
            let rotated = self.chaos.report().number("rotated") == 1;
            let suffix = if rotated { ROTATED } else { "" };
            put_pin(self.token, &format!("{}{suffix}", self.pin));
        }
    }

    /// How often custody asked for another process.
    pub fn restarts(&self) -> u64 {
        self.restarts.load(Ordering::Relaxed)
    }

    /// Counters of the custody that is open.
    pub fn health(&self) -> Option<hsm::Health> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        open.as_ref().map(|open| open.custody.health())
    }

    /// Ends it as an orderly stop does.
    pub fn close(&self) {
        drop(
            self.open
                .write()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
    }
}
