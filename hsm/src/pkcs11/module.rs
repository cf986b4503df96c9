//! One C_Initialize per process and module.
//!
//! PKCS#11 libraries keep one state per process, however often they are loaded: a second C_Initialize fails, and a
//! C_Finalize ends everybody's sessions. Several libraries even have a race within C_Initialize. So every library is
//! initialised here, by its canonical path, one call at a time, and finalised when its last user is gone. One that hangs in
//! C_Initialize keeps only its own users waiting ([`super::turns`]).
//!
//! Some libraries find a token that was away only after C_Finalize and C_Initialize (measured: SoftHSM, tpm2-pkcs11).
//! [`Module::renew`] does that while nobody is inside of the library; see [`super::gate`].
//!
//! A process must not fork after this: children of an initialised library share or break its state. Start other programs
//! before, or by spawning them (exec).

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::Error as CryptokiError;

use super::classify::{Class, classify};
use super::gate::{After, Denied, Gate};
use super::parameters::InitParameters;
use super::raw::Functions;
use super::softhsm;
use super::turns::Turns;
use crate::clock::Clock;
use crate::error::{FileProblem, Refusal};
use crate::{Error, files};

/// What this process knows of libraries, by canonical path. Never locked during a call into one, nor while it is loaded.
static MODULES: Mutex<BTreeMap<PathBuf, Known>> = Mutex::new(BTreeMap::new());

fn modules() -> MutexGuard<'static, BTreeMap<PathBuf, Known>> {
    MODULES.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Known {
    /// Device and inode: the loader makes one library of all paths that lead to one file.
    file: (u64, u64),
    turns: Arc<Turns>,
    entry: Option<Entry>,
    /// The one whose C_Finalize failed: the library is initialised still, and to end that is ours. It may use what it was told at
    /// C_Initialize, so that has to live.
    unfinished: Option<Arc<Loaded>>,
}

struct Entry {
    loaded: Arc<Loaded>,
    users: usize,
}

/// The turns of the library at `path`, which are those of every path to the same file.
fn turns_of(path: &Path) -> Result<Arc<Turns>, Error> {
    let found = std::fs::metadata(path).map_err(|error| Error::File {
        path: path.to_owned(),
        problem: FileProblem::Unreadable(error.kind()),
    })?;
    let file = (found.dev(), found.ino());
    let mut modules = modules();
    // Also if the file was exchanged since: what is in use is the one from before.
    if let Some(known) = modules.get(path) {
        return Ok(Arc::clone(&known.turns));
    }
    let turns = modules
        .values()
        .find(|known| known.file == file)
        .map(|known| Arc::clone(&known.turns))
        .unwrap_or_default();
    let known = Known {
        file,
        turns: Arc::clone(&turns),
        entry: None,
        unfinished: None,
    };
    modules.insert(path.to_owned(), known);
    Ok(turns)
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
    /// C_Initialize has worked with these parameters.
    told: AtomicBool,
    /// The last C_Finalize failed, and no C_Initialize has worked since: it may be initialised still.
    unfinished: AtomicBool,
    gate: Gate,
    turns: Arc<Turns>,
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
        if let Some(joined) = Self::join(&path, parameters.as_ref())? {
            return Ok(joined);
        }
        let turns = turns_of(&path)?;
        let _turn = turns.life();
        // Somebody else may have initialised it meanwhile.
        if let Some(joined) = Self::join(&path, parameters.as_ref())? {
            return Ok(joined);
        }
        let loaded = Arc::new(Loaded::new(&path, parameters, Arc::clone(&turns))?);
        if let Some(known) = modules().get_mut(&path) {
            known.entry = Some(Entry {
                loaded: Arc::clone(&loaded),
                users: 1,
            });
        }
        Ok(Self { path, loaded })
    }

    /// Joins those that use the module, if there are any.
    fn join(path: &Path, parameters: Option<&InitParameters>) -> Result<Option<Self>, Error> {
        let mut modules = modules();
        let Some(entry) = modules.get_mut(path).and_then(|known| known.entry.as_mut()) else {
            return Ok(None);
        };
        if entry.loaded.parameters.as_ref() != parameters {
            return Err(Error::InitParameters(
                "are others than those with which this process uses the module already",
            ));
        }
        entry.users += 1;
        Ok(Some(Self {
            path: path.to_owned(),
            loaded: Arc::clone(&entry.loaded),
        }))
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

    /// Whose turn it is with the library.
    pub(super) fn turns(&self) -> &Turns {
        &self.loaded.turns
    }

    /// What an error of cryptoki's means, where no other meaning is known.
    pub(super) fn error(&self, error: CryptokiError) -> Error {
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
    /// By whoever has the turn.
    fn new(
        path: &Path,
        parameters: Option<InitParameters>,
        turns: Arc<Turns>,
    ) -> Result<Self, Error> {
        let context = Pkcs11::new(path).map_err(|error| into_error(error, path))?;
        let mut loaded = Self {
            path: path.to_owned(),
            functions: Functions::load(path)?,
            context,
            parameters,
            initialised_here: true,
            told: AtomicBool::new(false),
            unfinished: AtomicBool::new(false),
            gate: Gate::new(),
            turns,
        };
        let before = modules()
            .get(path)
            .and_then(|known| known.unfinished.clone());
        // Whether it is initialised still shows in a moment.
        let mut is_ended = before.is_none() || loaded.finalise();
        let initialised = loaded.initialise()?;
        is_ended |= initialised;
        // If it is initialised still, that is ours as before.
        loaded.initialised_here = initialised || before.is_some();
        if is_ended {
            let ended = modules()
                .get_mut(path)
                .and_then(|known| known.unfinished.take());
            // Not under the lock: unloading runs code of the library's.
            drop(ended);
        }
        Ok(loaded)
    }

    fn is_to_be_finalised(&self) -> bool {
        self.gate.is_up() || self.unfinished.load(Ordering::Relaxed)
    }

    /// C_Finalize. False: it may be initialised still.
    fn finalise(&self) -> bool {
        let ended = self.context.clone().finalize();
        if let Err(error) = &ended {
            tracing::warn!(module = %self.path.display(), %error, "C_Finalize failed");
        }
        self.unfinished.store(ended.is_err(), Ordering::Relaxed);
        ended.is_ok()
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
            Ok(()) => {
                self.told.store(true, Ordering::Relaxed);
                self.unfinished.store(false, Ordering::Relaxed);
                Ok(true)
            }
            Err(CryptokiError::Pkcs11(rv, function)) => {
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
        let _turn = self.turns.life();
        if self.is_to_be_finalised() {
            self.finalise();
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
        let is_last = |entry: &mut Entry| {
            entry.users = entry.users.saturating_sub(1);
            entry.users == 0
        };
        {
            let mut modules = modules();
            let entry = modules
                .get_mut(&self.path)
                .and_then(|known| known.entry.as_mut());
            if entry.is_none_or(|entry| entry.users > 1 && !is_last(entry)) {
                return;
            }
        }
        // So that nobody initialises before the finalisation is done.
        let _turn = self.loaded.turns.life();
        {
            let mut modules = modules();
            let Some(known) = modules.get_mut(&self.path) else {
                return;
            };
            // Somebody may have joined meanwhile.
            if !known.entry.as_mut().is_none_or(is_last) {
                return;
            }
            known.entry = None;
        }
        let loaded = &self.loaded;
        if !loaded.initialised_here || !loaded.is_to_be_finalised() {
            return;
        }
        let is_ended = loaded.finalise();
        let mut modules = modules();
        let Some(known) = modules.get_mut(&self.path) else {
            return;
        };
        let before = if is_ended {
            known.unfinished.take()
        } else if known.unfinished.is_none() || loaded.told.load(Ordering::Relaxed) {
            known.unfinished.replace(Arc::clone(loaded))
        } else {
            // The library has what the one before has told it.
            None
        };
        // Unloading runs code of the library's: not under the lock.
        drop(modules);
        drop(before);
    }
}

fn into_error(error: CryptokiError, path: &Path) -> Error {
    match error {
        CryptokiError::Pkcs11(rv, function) => Error::Token(Refusal::new(function, rv)),
        other => Error::Module {
            path: path.to_owned(),
            reason: other.to_string(),
        },
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;

    #[test]
    fn turns_are_those_of_a_file_by_whatever_path_and_of_no_other_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("module.so"), "one").unwrap();
        std::fs::hard_link(path("module.so"), path("same.so")).unwrap();
        std::fs::copy(path("module.so"), path("copy.so")).unwrap();
        let turns = turns_of(&path("module.so")).unwrap();
        assert!(Arc::ptr_eq(&turns, &turns_of(&path("same.so")).unwrap()));
        assert!(!Arc::ptr_eq(&turns, &turns_of(&path("copy.so")).unwrap()));
        // What is loaded is loaded, whatever is put in its place.
        std::fs::write(path("next.so"), "two").unwrap();
        std::fs::rename(path("next.so"), path("module.so")).unwrap();
        assert!(Arc::ptr_eq(&turns, &turns_of(&path("module.so")).unwrap()));
    }
}
