//! Keeps one token open. A token that is not there is tried again with growing pauses; a wrong PIN only once it has changed, because
//! tokens lock themselves.

use super::not_loaded::NotLoaded;
use crate::config::{EngineConfig, TokenSection};
use hsm::group::Group;
use hsm::pin::{PinSource, PinStamp};
use hsm::pkcs11::{CanaryObserver, Pkcs11Custody, TokenConfig};
use hsm::{Custody, ErrorClass, PinProblem};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// The first pause before a token is tried again, doubled up to the longest: at the pace at which an open one is healed (`hsm`, the ladder), so
/// that a token that is back serves within a second.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// What is said again and again is logged so often.
const SAID_AGAIN: Duration = Duration::from_secs(30);

/// Opens one token of the group.
pub(super) struct Keeper {
    pub(super) name: String,
    config: TokenConfig,
    /// Since when an attempt has been running.
    opening: Mutex<Option<Instant>>,
    /// The token itself once it is open, for what a group does not do.
    custody: OnceLock<Arc<Pkcs11Custody>>,
    /// Its library, if it could not be loaded.
    not_loaded: OnceLock<NotLoaded>,
    /// It was not opened for a reason that somebody has to do something about.
    needs_somebody: AtomicBool,
}

impl Keeper {
    /// `pin_memory` is a file of this token's own. `None` when the section names no source of the PIN, or two.
    pub(super) fn new(
        name: &str,
        section: &TokenSection,
        engine: &EngineConfig,
        extractable_keys: bool,
        canaries: CanaryObserver,
    ) -> Option<Self> {
        let pin = match (&section.pin_file, &section.pin_credential) {
            (Some(path), None) => PinSource::File(path.clone()),
            (None, Some(name)) => PinSource::Credential(name.clone()),
            _ => return None,
        };
        Some(Self {
            name: name.to_owned(),
            config: TokenConfig {
                init_parameters: section.init_parameters.clone(),
                token_label: Some(section.label.clone()),
                // A process that is replaced must not try a wrong PIN again.
                pin_memory: Some(engine.pin_memory(name)),
                threads: section.threads,
                allow_extractable_keys: extractable_keys,
                pkcs1_keys: engine
                    .pkcs1_keys
                    .iter()
                    .map(|key| key.fingerprint)
                    .collect(),
                canary_observer: Some(canaries),
                ..TokenConfig::new(section.module.clone(), pin)
            },
            opening: Mutex::new(Some(Instant::now())),
            custody: OnceLock::new(),
            not_loaded: OnceLock::new(),
            needs_somebody: AtomicBool::new(false),
        })
    }

    /// Loads its library, without C_Initialize.
    pub(super) fn load_module(&self) {
        let load = |module: &Path| hsm::pkcs11::preload(module).map_err(|error| describe(&error));
        let module = &self.config.module;
        if let Some(not_loaded) = NotLoaded::unless(module, Instant::now(), load) {
            tracing::error!(name = self.name, "{}", not_loaded.problem);
            let _ = self.not_loaded.set(not_loaded);
        }
    }

    /// Its library, if it could not be loaded.
    pub(super) fn not_loaded(&self) -> Option<&NotLoaded> {
        self.not_loaded.get()
    }

    /// Says why this token is not opened in this process at all.
    pub(super) fn stay_away(&self, group: &Group, not_loaded: &NotLoaded) {
        group.failed(&self.name, not_loaded.problem.clone());
        self.needs_somebody.store(true, Ordering::Relaxed);
        self.set_opening(None);
    }

    /// Whether it is not open yet only because it is not there, or is being opened.
    pub(super) fn may_be_there_soon(&self) -> bool {
        self.custody.get().is_none() && !self.needs_somebody.load(Ordering::Relaxed)
    }

    /// The token, if it is open.
    pub(super) fn custody(&self) -> Option<&Pkcs11Custody> {
        self.custody.get().map(|custody| &**custody)
    }

    /// Since when an attempt to open the token has been running.
    pub(super) fn opening_since(&self) -> Option<Instant> {
        *self.opening.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_opening(&self, since: Option<Instant>) {
        *self.opening.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }

    /// Opens the token, trying until it works; `tried` is called once, after the first attempt.
    ///
    /// `hopeless` tells why this process cannot succeed any more, if that is so: then it is given back, and the process is to be replaced.
    pub(super) fn keep_open(
        &self,
        group: &Group,
        tried: impl FnOnce(),
        hopeless: impl Fn() -> Option<String>,
    ) -> Option<String> {
        let mut tried = Some(tried);
        let mut pause = FIRST_PAUSE;
        let mut said = None;
        loop {
            group.opening(&self.name);
            self.set_opening(Some(Instant::now()));
            let pin_before = self.config.pin.stamp();
            let outcome = self.open(group, &mut said);
            self.set_opening(None);
            if let Some(tried) = tried.take() {
                tried();
            }
            let Err(pin_is_wrong) = outcome else {
                return None;
            };
            if let Some(reason) = hopeless() {
                return Some(reason);
            }
            std::thread::sleep(pause);
            pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
            if pin_is_wrong {
                self.wait_for_another_pin(pin_before.as_ref());
            }
        }
    }

    /// One attempt; an error says whether another one needs another PIN. `said`: what was logged last, and when.
    fn open(&self, group: &Group, said: &mut Option<(String, Instant)>) -> Result<(), bool> {
        let opened = Pkcs11Custody::open(self.config.clone()).and_then(|custody| {
            let label = custody.token().label;
            let custody = Arc::new(custody);
            group.opened(&self.name, Arc::clone(&custody) as Arc<dyn Custody>)?;
            // It is opened once: what goes wrong afterwards is healed inside of it.
            let _ = self.custody.set(custody);
            Ok(label)
        });
        match opened {
            Ok(label) => {
                tracing::info!(name = self.name, token = %label, "the token is open");
                Ok(())
            }
            Err(error) => {
                let described = describe(&error);
                let is_new = said
                    .as_ref()
                    .is_none_or(|(last, at)| *last != described || at.elapsed() >= SAID_AGAIN);
                if is_new {
                    *said = Some((described.clone(), Instant::now()));
                    let hint = error.hint().unwrap_or_default();
                    tracing::error!(
                        name = self.name,
                        code = error.code(),
                        hint,
                        "the token cannot be opened: {error}"
                    );
                }
                group.failed(&self.name, described);
                let needs_somebody = error.class() != ErrorClass::Token;
                self.needs_somebody.store(needs_somebody, Ordering::Relaxed);
                // Locked, at its final try or without a PIN: somebody repairs the token, and looking costs no try.
                Err(matches!(
                    error,
                    hsm::Error::Pin(
                        PinProblem::Incorrect
                            | PinProblem::RefusedBefore
                            | PinProblem::Expired
                            | PinProblem::LockedUnseen
                    )
                ))
            }
        }
    }

    /// A wrong PIN costs one of the token's few tries, and each start of this process would cost another: so it waits here.
    fn wait_for_another_pin(&self, before: Option<&PinStamp>) {
        while self.config.pin.stamp().as_ref() == before {
            std::thread::sleep(FIRST_PAUSE);
        }
    }
}

/// The error and what to do about it, in one line.
pub(super) fn describe(error: &hsm::Error) -> String {
    match error.hint() {
        Some(hint) => format!("{error}: {hint}"),
        None => error.to_string(),
    }
}
