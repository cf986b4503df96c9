//! One C_Initialize per process and module.
//!
//! PKCS#11 libraries keep one state per process, however often they are loaded: a second C_Initialize fails, and a
//! C_Finalize ends everybody's sessions. Several libraries even have a race within C_Initialize. So every library is
//! initialised here, under a lock, by its canonical path, and finalised when its last user is gone.
//!
//! A process must not fork after this: children of an initialised library share or break its state. Start other programs
//! before, or by spawning them (exec).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Function, Pkcs11};
use cryptoki::error::RvError;

use super::parameters::InitParameters;
use super::raw::Functions;
use super::softhsm;
use crate::error::Refusal;
use crate::{Error, files};

static MODULES: Mutex<BTreeMap<PathBuf, Entry>> = Mutex::new(BTreeMap::new());

struct Entry {
    loaded: Arc<Loaded>,
    users: usize,
}

struct Loaded {
    context: Pkcs11,
    functions: Functions,
    /// Alive as long as the library is initialised, should it keep the pointer.
    parameters: Option<InitParameters>,
    /// False if something else in this process had initialised the library: then it is not ours to finalise.
    initialised_here: bool,
}

/// The use of an initialised module. Everything made with it has to be dropped before it.
pub(super) struct Module {
    path: PathBuf,
    loaded: Arc<Loaded>,
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

    /// What an error of cryptoki's means, where no other meaning is known.
    pub(super) fn error(&self, error: cryptoki::error::Error) -> Error {
        into_error(error, &self.path)
    }
}

impl Loaded {
    fn new(path: &Path, parameters: Option<InitParameters>) -> Result<Self, Error> {
        softhsm::guard(path);
        let context = Pkcs11::new(path).map_err(|error| into_error(error, path))?;
        let functions = Functions::load(path)?;
        let flags = CInitializeFlags::OS_LOCKING_OK;
        let arguments = parameters.as_ref().map_or_else(
            || CInitializeArgs::new(flags),
            |parameters| parameters.arguments(flags),
        );
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
            parameters,
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
