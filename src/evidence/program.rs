//! The file of the running program.

use crate::encoding::hex;
use fips::digest::{Hash, Hasher};
use serde::Serialize;
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

/// The file that the running program was started from: what a build of the same sources has to be equal to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProgramFile {
    /// SHA-256, as `sha256sum` says it.
    pub sha256: String,
    /// Its size.
    pub bytes: u64,
}

/// Where it is: also when another file has meanwhile been put in its place.
pub(crate) fn path() -> io::Result<PathBuf> {
    if cfg!(target_os = "linux") {
        Ok(PathBuf::from("/proc/self/exe"))
    } else {
        std::env::current_exe()
    }
}

impl ProgramFile {
    /// Reads the file of the running program.
    ///
    /// # Errors
    /// What the system says.
    pub fn of_this_program() -> io::Result<Self> {
        let mut file = File::open(path()?)?;
        let mut hasher = Hasher::new(Hash::Sha256);
        let mut bytes = 0;
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let read = match file.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            hasher.update(buffer.get(..read).unwrap_or_default());
            bytes += read as u64;
        }
        Ok(Self {
            sha256: hex(hasher.finish().as_ref()),
            bytes,
        })
    }
}
