//! One C_Initialize per process and module.
//!
//! PKCS#11 libraries keep one state per process, however often they are loaded: a second C_Initialize fails, and a
//! C_Finalize ends everybody's sessions. Several libraries even have a race within C_Initialize. So every library is
//! initialised here, under a lock, by its canonical path, and finalised when its last user is gone.
//!
//! Some libraries find a token that was away only after C_Finalize and C_Initialize (measured: SoftHSM, tpm2-pkcs11).
//! [`Module::renew`] does that while nobody is inside of the library; see [`super::gate`].
//!
//! A process must not fork after this: children of an initialised library share or break its state. Start other programs
//! before, or by spawning them (exec).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};

use super::classify::{Class, classify};
use super::gate::{After, Denied, Gate};
use super::parameters::InitParameters;
use super::raw::Functions;
use super::softhsm;
use crate::clock::Clock;
use crate::error::Refusal;
use crate::{Error, files};

static MODULES: Mutex<BTreeMap<PathBuf, Entry>> = Mutex::new(BTreeMap::new());

/// Modules whose last C_Finalize failed: they are initialised still, and to end that is ours.
static UNFINISHED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

fn unfinished() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Entry {
    loaded: Arc<Loaded>,
    users: usize,
}

/// A library, and what its state in this process is.
pub(super) struct Loaded {
    path: PathBuf,
    context: Pkcs11,
    functions: Functions,
    /// Alive as long as the library is initialised, should it keep the pointer.
    parameters: Option<InitParameters>,
    /// False if something else in this process had initialised the library: then it is not ours to finalise.
    initialised_here: bool,
    gate: Gate,
}

/// The use of an initialised module. Everything made with it has to be dropped before it.
pub(super) struct Module {
    path: PathBuf,
    loaded: Arc<Loaded>,
}

/// The right to call the library; its state stays of one generation meanwhile. A thread has one at a time.
pub(super) struct Pass {
    loaded: Arc<Loaded>,
    generation: u64,
}

impl Pass {
    /// The generation of the library's state.
    pub(super) const fn generation(&self) -> u64 {
        self.generation
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.loaded.gate.leave();
    }
}

/// What became of a renewal.
#[derive(Debug)]
pub(super) enum Renewal {
    /// The library's state is new: by this call, or by somebody else's.
    Done,
    /// C_Initialize failed; it has to be tried again before the library can be used.
    Failed(Error),
    /// A call inside of the library does not come back.
    Occupied,
    /// Something else in this process has initialised the library.
    NotOurs,
}

impl Module {
    /// Loads and initialises the module at `path`, or joins those that use it already. `parameters`: what C_Initialize is told.
    ///
    /// # Errors
    /// [`Error::File`] if the file is not safe to load, [`Error::Module`] if it is no PKCS#11 module, [`Error::InitParameters`]
    /// if they are unusable or the module is in use here with others, [`Error::Token`] if C_Initialize fails.
    pub(super) fn acquire(path: &Path, parameters: Option<&str>) -> Result<Self, Error> {
        let path = files::check_module(path)?;
        let parameters = parameters.map(InitParameters::new).transpose()?;
        let mut modules = MODULES.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = modules.get_mut(&path) {
            if entry.loaded.parameters != parameters {
                return Err(Error::InitParameters(
                    "are others than those with which this process uses the module already",
                ));
            }
            entry.users += 1;
            return Ok(Self {
                loaded: Arc::clone(&entry.loaded),
                path,
            });
        }
        let loaded = Arc::new(Loaded::new(&path, parameters)?);
        modules.insert(
            path.clone(),
            Entry {
                loaded: Arc::clone(&loaded),
                users: 1,
            },
        );
        Ok(Self { path, loaded })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn context(&self) -> &Pkcs11 {
        &self.loaded.context
    }

    pub(super) fn functions(&self) -> &Functions {
        &self.loaded.functions
    }

    pub(super) const fn loaded(&self) -> &Arc<Loaded> {
        &self.loaded
    }

    /// What an error of cryptoki's means, where no other meaning is known.
    pub(super) fn error(&self, error: cryptoki::error::Error) -> Error {
        into_error(error, &self.path)
    }

    /// Goes inside of the library; waits while its state is renewed.
    pub(super) fn enter(&self) -> Pass {
        Pass {
            generation: self.loaded.gate.enter(),
            loaded: Arc::clone(&self.loaded),
        }
    }

    /// The generation of the library's state: how often it was initialised.
    pub(super) fn generation(&self) -> u64 {
        self.loaded.gate.generation()
    }

    /// C_Finalize and C_Initialize, unless the generation that was `seen` to be bad is not the present one any more. The caller has
    /// no [`Pass`].
    pub(super) fn renew(&self, seen: u64, clock: &dyn Clock) -> Renewal {
        if !self.loaded.initialised_here {
            return Renewal::NotOurs;
        }
        let mut failure = None;
        let renewed = self.loaded.gate.renew(seen, clock, || {
            let (after, error) = self.loaded.initialise_again();
            failure = error;
            after
        });
        match (renewed, failure) {
            (Ok(()), Some(error)) => Renewal::Failed(error),
            (Ok(()), None) | (Err(Denied::Newer), _) => Renewal::Done,
            (Err(Denied::Occupied), _) => Renewal::Occupied,
        }
    }
}

impl Loaded {
    fn new(path: &Path, parameters: Option<InitParameters>) -> Result<Self, Error> {
        let context = Pkcs11::new(path).map_err(|error| into_error(error, path))?;
        let mut loaded = Self {
            path: path.to_owned(),
            functions: Functions::load(path)?,
            context,
            parameters,
            initialised_here: true,
            gate: Gate::new(),
        };
        let unfinished_here = unfinished().contains(path);
        if unfinished_here && let Err(error) = loaded.context.clone().finalize() {
            // Whether it is initialised shows in a moment.
            tracing::warn!(module = %path.display(), %error, "C_Finalize failed again");
        }
        // If it is initialised still, that is ours as before.
        loaded.initialised_here = loaded.initialise()? || unfinished_here;
        unfinished().remove(path);
        Ok(loaded)
    }

    /// C_Initialize. False: the library was initialised already.
    fn initialise(&self) -> Result<bool, Error> {
        softhsm::guard(&self.path);
        let flags = CInitializeFlags::OS_LOCKING_OK;
        let arguments = self.parameters.as_ref().map_or_else(
            || CInitializeArgs::new(flags),
            |parameters| parameters.arguments(flags),
        );
        match self.context.initialize(arguments) {
            Ok(()) => Ok(true),
            Err(cryptoki::error::Error::Pkcs11(rv, function)) => {
                let refusal = Refusal::new(function, rv);
                match classify(function, rv).class {
                    Class::Done => Ok(false),
                    Class::Unusable => Err(Error::Module {
                        path: self.path.clone(),
                        reason: refusal.to_string(),
                    }),
                    _ => Err(Error::Token(refusal)),
                }
            }
            Err(other) => Err(into_error(other, &self.path)),
        }
    }

    /// Alone inside of the gate.
    fn initialise_again(&self) -> (After, Option<Error>) {
        if self.gate.is_up()
            && let Err(error) = self.context.clone().finalize()
        {
            tracing::warn!(module = %self.path.display(), %error, "C_Finalize failed");
        }
        match self.initialise() {
            Ok(true) => (After::Up, None),
            // C_Finalize has done nothing; then neither has this.
            Ok(false) => {
                let error = Error::Module {
                    path: self.path.clone(),
                    reason: "it cannot be finalised".into(),
                };
                (After::Same, Some(error))
            }
            Err(error) => (After::Down, Some(error)),
        }
    }

    /// Closes a session of `generation`, if it is there still.
    pub(super) fn close(&self, session: cryptoki_sys::CK_SESSION_HANDLE, generation: u64) {
        self.at_the_end_of(generation, || {
            if let Err(refusal) = self.functions.close_session(session) {
                tracing::debug!(%refusal, "a session was not closed");
            }
        });
    }

    /// Does what belongs to the end of a session of `generation`, if that is there still.
    pub(super) fn at_the_end_of(&self, generation: u64, action: impl FnOnce()) {
        if self.gate.enter_to_close(generation) {
            action();
            self.gate.leave();
        }
    }
}

impl Drop for Module {
    fn drop(&mut self) {
        // Under the lock, so that nobody initialises before the finalisation is done.
        let mut modules = MODULES.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(entry) = modules.get_mut(&self.path) else {
            return;
        };
        entry.users = entry.users.saturating_sub(1);
        if entry.users > 0 {
            return;
        }
        modules.remove(&self.path);
        if self.loaded.initialised_here
            && self.loaded.gate.is_up()
            && let Err(error) = self.loaded.context.clone().finalize()
        {
            tracing::warn!(module = %self.path.display(), %error, "C_Finalize failed");
            unfinished().insert(self.path.clone());
        }
    }
}

fn into_error(error: cryptoki::error::Error, path: &Path) -> Error {
    match error {
        cryptoki::error::Error::Pkcs11(rv, function) => Error::Token(Refusal::new(function, rv)),
        other => Error::Module {
            path: path.to_owned(),
            reason: other.to_string(),
        },
    }
}
