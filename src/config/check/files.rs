//! Files and folders that keys name.

use super::Findings;
use crate::config::secret_file;
use std::path::Path;

/// A file that must be there and readable.
pub(super) fn readable(path: &Path, key: &str, findings: &mut Findings) {
    match std::fs::File::open(path).and_then(|file| file.metadata()) {
        Ok(metadata) if metadata.is_file() => {}
        Ok(_) => findings.add(format!("`{key}`: {} is not a file", path.display())),
        Err(error) => findings.add(format!(
            "`{key}`: {} cannot be read: {error}",
            path.display()
        )),
    }
}

/// A file with a secret: nobody but its owner may use it.
pub(super) fn secret(path: &Path, key: &str, findings: &mut Findings) {
    if let Err(error) = secret_file::check(path) {
        findings.add(format!("`{key}`: {error} (remedy: {})", error.hint()));
    }
}

/// A file or socket that will be made: the folder that it goes into must be there.
pub(super) fn folder_of(path: &Path, key: &str, findings: &mut Findings) {
    let Some(folder) = path.parent() else {
        return findings.add(format!("`{key}`: {} is no file name", path.display()));
    };
    if !folder.is_dir() {
        findings.add(format!(
            "`{key}`: the folder {} does not exist",
            folder.display()
        ));
    }
}

/// A unix socket: its path must fit into an address (`sun_path` has 108 bytes with the NUL at the end).
pub(super) fn socket(path: &Path, key: &str, findings: &mut Findings) {
    let length = path.as_os_str().len();
    if length > 107 {
        findings.add(format!(
            "`{key}`: {} is {length} bytes long; a unix socket's path holds 107 at most",
            path.display()
        ));
    }
}
