//! The open token, or why there is none. A token that is not there is tried again with growing pauses; a wrong PIN only once it
//! has changed, because tokens lock themselves.

use crate::config::EngineConfig;
use crate::engine::api::TOKEN_OPENING;
use hsm::Custody;
use hsm::PinProblem;
use hsm::pin::PinSource;
use hsm::pkcs11::{Pkcs11Custody, TokenConfig};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The first pause before a token is tried again, doubled up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

enum State {
    Opening { since: Instant },
    Open(Arc<Pkcs11Custody>),
    Failed { problem: String },
    Waiting { problem: String },
}

/// The one token of this process.
pub(super) struct TokenHolder {
    config: TokenConfig,
    pin_file: Option<PathBuf>,
    state: Mutex<State>,
}

impl TokenHolder {
    /// `None` when the configuration names no source of the PIN, or two.
    pub(super) fn new(config: &EngineConfig, extractable_keys: bool) -> Option<Self> {
        let section = &config.token;
        let pin = match (&section.pin_file, &section.pin_credential) {
            (Some(path), None) => PinSource::File(path.clone()),
            (None, Some(name)) => PinSource::Credential(name.clone()),
            _ => return None,
        };
        Some(Self {
            pin_file: section.pin_file.clone(),
            config: TokenConfig {
                init_parameters: section.init_parameters.clone(),
                token_label: Some(section.label.clone()),
                threads: section.threads,
                allow_extractable_keys: extractable_keys,
                ..TokenConfig::new(section.module.clone(), pin)
            },
            state: Mutex::new(State::Opening {
                since: Instant::now(),
            }),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The token.
    ///
    /// # Errors
    /// Why it is not open, for the operator.
    pub(super) fn get(&self) -> Result<Arc<Pkcs11Custody>, String> {
        match &*self.lock() {
            State::Open(custody) => Ok(Arc::clone(custody)),
            State::Failed { problem } | State::Waiting { problem } => Err(problem.clone()),
            State::Opening { .. } => Err(TOKEN_OPENING.to_owned()),
        }
    }

    /// Since when an attempt to open the token has been running.
    pub(super) fn opening_since(&self) -> Option<Instant> {
        match &*self.lock() {
            State::Opening { since } => Some(*since),
            _ => None,
        }
    }

    /// Opens the token, trying until it works; `tried` is called once, after the first attempt.
    pub(super) fn keep_open(&self, tried: impl FnOnce()) {
        let mut tried = Some(tried);
        let mut pause = FIRST_PAUSE;
        loop {
            *self.lock() = State::Opening {
                since: Instant::now(),
            };
            let pin_before = self.pin_stamp();
            let opened = Pkcs11Custody::open(self.config.clone());
            let failure = match opened {
                Ok(custody) => {
                    tracing::info!(token = %custody.token().label, "the token is open");
                    *self.lock() = State::Open(Arc::new(custody));
                    None
                }
                Err(error) => {
                    let hint = error.hint().unwrap_or_default();
                    tracing::error!(
                        code = error.code(),
                        hint,
                        "the token cannot be opened: {error}"
                    );
                    *self.lock() = State::Failed {
                        problem: describe(&error),
                    };
                    // Locked, at its final try or without a PIN: somebody repairs the token, and looking costs no try.
                    Some(matches!(
                        error,
                        hsm::Error::Pin(
                            PinProblem::Incorrect | PinProblem::RefusedBefore | PinProblem::Expired
                        )
                    ))
                }
            };
            if let Some(tried) = tried.take() {
                tried();
            }
            let Some(pin_is_wrong) = failure else {
                return;
            };
            std::thread::sleep(pause);
            pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
            if pin_is_wrong {
                self.wait_for_another_pin(pin_before);
            }
        }
    }

    /// A wrong PIN costs one of the token's few tries, and each start of this process would cost another: so it waits here.
    fn wait_for_another_pin(&self, before: Option<(i64, i64, u64, u64)>) {
        {
            let mut state = self.lock();
            if let State::Failed { problem } = &*state {
                *state = State::Waiting {
                    problem: problem.clone(),
                };
            }
        }
        while self.pin_file.is_none() || self.pin_stamp() == before {
            std::thread::sleep(FIRST_PAUSE);
        }
    }

    /// What changes when somebody writes the PIN file; nothing of its content.
    fn pin_stamp(&self) -> Option<(i64, i64, u64, u64)> {
        let found = std::fs::metadata(self.pin_file.as_ref()?).ok()?;
        Some((found.mtime(), found.mtime_nsec(), found.ino(), found.len()))
    }
}

/// The error and what to do about it, in one line.
pub(super) fn describe(error: &hsm::Error) -> String {
    match error.hint() {
        Some(hint) => format!("{error}: {hint}"),
        None => error.to_string(),
    }
}
