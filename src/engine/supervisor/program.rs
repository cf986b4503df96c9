//! The program that the parts are started from: the file that this process runs, whatever is under its name by now.
//!
//! An upgrade puts another file under the name while the engine runs. The parts go on being started from the old one: it speaks the same
//! messages as this process, and the sandbox lets it be executed, since Landlock goes by the file and not by its name. The new one runs once the
//! service is restarted; until then the status says that there is another.

use crate::engine::api::{OnDisk, ProgramStatus};
use crate::evidence::program;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What the kernel puts behind the name of a file that is gone (proc(5), `/proc/PID/exe`).
const DELETED: &str = " (deleted)";

/// The running program.
#[derive(Debug, Clone)]
pub(super) struct Program {
    file: PathBuf,
    name: PathBuf,
    identity: (u64, u64),
}

impl Program {
    /// The one that this process runs.
    ///
    /// # Errors
    /// When the system does not tell which that is.
    pub(super) fn running() -> io::Result<Self> {
        Self::of(program::path()?, std::env::current_exe()?)
    }

    /// `file` is executed, and is `name` to people.
    pub(super) fn of(file: PathBuf, name: PathBuf) -> io::Result<Self> {
        let identity = identity(&file)?;
        // Replaced before this process looked.
        let gone = name.to_str().and_then(|name| name.strip_suffix(DELETED));
        let name = match gone {
            Some(before) if !name.exists() => PathBuf::from(before),
            _ => name,
        };
        Ok(Self {
            file,
            name,
            identity,
        })
    }

    /// What is executed. To a child that is about to take it up it is the same file: it runs what its parent runs.
    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// Its name, for lists of processes.
    pub(super) fn name(&self) -> &Path {
        &self.name
    }

    /// What is under its name now.
    pub(super) fn status(&self) -> ProgramStatus {
        let on_disk = match identity(&self.name) {
            // The number is not given to another file as long as this one runs.
            Ok(found) if found == self.identity => OnDisk::Same,
            Ok(_) => OnDisk::Another,
            Err(error) if error.kind() == io::ErrorKind::NotFound => OnDisk::Missing,
            Err(_) => OnDisk::Unknown,
        };
        ProgramStatus {
            path: self.name.display().to_string(),
            on_disk,
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let found = std::fs::metadata(path)?;
    Ok((found.dev(), found.ino()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;

    #[test]
    fn another_file_under_the_name_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let (kept, name) = (folder.path().join("kept"), folder.path().join("name"));
        std::fs::write(&kept, "old").unwrap();
        std::fs::hard_link(&kept, &name).unwrap();
        let gone = PathBuf::from(format!("{}{DELETED}", name.display()));
        for shown in [name.clone(), gone] {
            let program = Program::of(kept.clone(), shown).unwrap();
            assert_eq!(program.status().on_disk, OnDisk::Same);
            std::fs::remove_file(&name).unwrap();
            assert_eq!(program.status().on_disk, OnDisk::Missing);
            std::fs::write(&name, "new").unwrap();
            let status = program.status();
            assert_eq!(status.on_disk, OnDisk::Another);
            assert_eq!(status.path, name.display().to_string());
            std::fs::remove_file(&name).unwrap();
            std::fs::hard_link(&kept, &name).unwrap();
        }
    }

    #[test]
    fn the_running_program_is_the_one_under_its_name() {
        let program = Program::running().unwrap();
        assert_eq!(program.status().on_disk, OnDisk::Same);
        assert_eq!(program.name(), std::env::current_exe().unwrap());
    }
}
