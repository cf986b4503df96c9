//! One C_Initialize per process and module.
//!
//! PKCS#11 libraries keep one state per process, however often they are loaded: a second C_Initialize fails, and a
//! C_Finalize ends everybody's sessions. Several libraries even have a race within C_Initialize. So every library is
//! initialised here, under a lock, by its canonical path, and finalised when its last user is gone.
//!
//! A process must not fork after this: children of an initialised library share or break its state. Start other programs
//! before, or by spawning them (exec).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Function, Pkcs11};
use cryptoki::error::RvError;

use super::raw::Functions;
use super::softhsm;
use crate::error::Refusal;
use crate::{Error, files};

static MODULES: Mutex<BTreeMap<PathBuf, Entry>> = Mutex::new(BTreeMap::new());

/// Modules whose C_Finalize failed: they are still initialised, and that is ours to end.
static UNFINISHED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

fn unfinished() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Entry {
    loaded: Arc<Loaded>,
    users: usize,
}

struct Loaded {
    context: Pkcs11,
    functions: Functions,
    /// False if something else in this process had initialised the library: then it is not ours to finalise.
    initialised_here: bool,
}

/// The use of an initialised module. Everything made with it has to be dropped before it.
pub(super) struct Module {
    path: PathBuf,
    loaded: Arc<Loaded>,
}

impl Module {
    /// Loads and initialises the module at `path`, or joins those that use it already.
    ///
    /// # Errors
    /// [`Error::File`] if the file is not safe to load, [`Error::Module`] if it is no PKCS#11 module, [`Error::Token`] if
    /// C_Initialize fails.
    pub(super) fn acquire(path: &Path) -> Result<Self, Error> {
        let path = files::check_module(path)?;
        let mut modules = MODULES.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = modules.get_mut(&path) {
            entry.users += 1;
            return Ok(Self {
                loaded: Arc::clone(&entry.loaded),
                path,
            });
        }
        let loaded = Arc::new(Loaded::new(&path)?);
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

    /// What an error of cryptoki's means, where no other meaning is known.
    pub(super) fn error(&self, error: cryptoki::error::Error) -> Error {
        into_error(error, &self.path)
    }
}

impl Loaded {
    fn new(path: &Path) -> Result<Self, Error> {
        softhsm::guard(path);
        let context = Pkcs11::new(path).map_err(|error| into_error(error, path))?;
        let functions = Functions::load(path)?;
        let arguments = CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK);
        if unfinished().remove(path)
            && let Err(error) = context.clone().finalize()
        {
            // Whether it is initialised shows in a moment.
            tracing::warn!(module = %path.display(), %error, "C_Finalize failed again");
        }
        let initialised_here = match context.initialize(arguments) {
            Ok(()) => true,
            Err(cryptoki::error::Error::Pkcs11(
                RvError::CryptokiAlreadyInitialized,
                Function::Initialize,
            )) => false,
            Err(error) => return Err(into_error(error, path)),
        };
        Ok(Self {
            context,
            functions,
            initialised_here,
        })
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
