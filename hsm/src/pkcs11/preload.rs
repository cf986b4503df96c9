//! Loading a library apart from C_Initialize: for a process that gives up the right to load code in between.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::raw::Functions;
use crate::{Error, files};

/// What was loaded, by canonical path. It stays loaded, so that the loader finds it again without a look at the file.
static LOADED: Mutex<BTreeMap<PathBuf, Functions>> = Mutex::new(BTreeMap::new());

/// Loads the library at `path` and keeps it loaded as long as this process lives. Its initialisers run (dlopen(3)), C_Initialize is not called.
/// Opening a token of it afterwards reads nothing of the file. Loading it twice is loading it once.
///
/// # Errors
/// [`Error::File`] if the file is not safe to load, [`Error::Module`] if it is no PKCS#11 module.
pub fn preload(path: &Path) -> Result<(), Error> {
    let path = files::check_module(path)?;
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Entry::Vacant(place) = loaded.entry(path) {
        let functions = Functions::load(place.key())?;
        place.insert(functions);
    }
    Ok(())
}
