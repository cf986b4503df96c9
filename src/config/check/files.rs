//! Files and folders that keys name.

use super::Findings;
use crate::config::NamedPath;
use std::path::Path;

/// What is wrong with the files and folders that a section names.
pub(super) fn all(paths: &[NamedPath], findings: &mut Findings) {
    for problem in paths.iter().filter_map(|path| path.check().err()) {
        findings.add(problem);
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
