//! A folder of the file system, held by one writer.

use super::Storage;
use fips::secret::file::{self, Access, FileError, Rights};
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// The file that whoever writes the log has locked.
const LOCK: &str = "lock";

/// A folder, and the lock on it. The lock goes with this value, also when the process is killed.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    /// None: for reading alone.
    lock: Option<File>,
    /// The file that was appended to last, kept open.
    current: Mutex<Option<(String, File)>>,
}

impl Folder {
    /// Opens the folder for writing; makes it where it is not there, for its owner alone.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if another process (or another part of this one) writes there, [`io::ErrorKind::PermissionDenied`] if
    /// others may write there or read it, it is somebody else's or a link is in its place, and those of the system.
    pub fn open(path: &Path) -> io::Result<Self> {
        if fs::symlink_metadata(path).is_err() {
            DirBuilder::new()
                .mode(Rights::Owner.folder_mode())
                .create(path)?;
            // Or a power cut takes the folder away, with all that was durable in it.
            file::sync_folder_of(path)?;
        }
        file::check_own_folder(path)?;
        let lock = file::open(&path.join(LOCK), Access::ReadWrite, Rights::Owner)
            .map_err(|error| named(LOCK, error))?;
        lock.try_lock().map_err(|error| match error {
            fs::TryLockError::WouldBlock => io::Error::new(
                io::ErrorKind::WouldBlock,
                "another process is writing this audit log",
            ),
            fs::TryLockError::Error(error) => error,
        })?;
        Ok(Self {
            path: path.to_path_buf(),
            lock: Some(lock),
            current: Mutex::new(None),
        })
    }

    /// Opens the folder, or a copy of it, for reading: it is not locked, its modes do not matter, and every write is refused.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotADirectory`] and others of the system.
    pub fn for_reading(path: &Path) -> io::Result<Self> {
        if !fs::metadata(path)?.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        Ok(Self {
            path: path.to_path_buf(),
            lock: None,
            current: Mutex::new(None),
        })
    }

    fn for_writing(&self) -> io::Result<()> {
        match self.lock {
            Some(_) => Ok(()),
            None => Err(io::ErrorKind::ReadOnlyFilesystem.into()),
        }
    }

    fn with<T>(&self, name: &str, act: impl FnOnce(&mut File) -> io::Result<T>) -> io::Result<T> {
        self.for_writing()?;
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        match current.as_mut() {
            Some((open, file)) if open == name => act(file),
            _ => {
                // Without making it: one that was taken away is not gone on with from its middle.
                let file =
                    file::open_existing(&self.path.join(name), Access::Append, Rights::Owner)
                        .map_err(|error| named(name, error))?;
                let (_, file) = current.insert((name.to_owned(), file));
                act(file)
            }
        }
    }

    fn forget(&self) {
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// What is wrong with a file, with its name.
fn named(name: &str, error: FileError) -> io::Error {
    match error {
        FileError::System(error) => error,
        other => io::Error::new(io::ErrorKind::PermissionDenied, format!("{name}: {other}")),
    }
}

impl Storage for Folder {
    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            if let Ok(name) = entry?.file_name().into_string()
                && name != LOCK
            {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn read(&self, name: &str) -> io::Result<Box<dyn Read + '_>> {
        let path = self.path.join(name);
        // Whoever goes on with a log believes no file that somebody else could have written.
        let file = match self.lock {
            Some(_) => file::open_existing(&path, Access::Read, Rights::Owner)
                .map_err(|error| named(name, error))?,
            None => File::open(path)?,
        };
        Ok(Box::new(file))
    }

    fn create(&self, name: &str) -> io::Result<()> {
        self.for_writing()?;
        self.forget();
        file::open(&self.path.join(name), Access::ReadWrite, Rights::Owner)
            .map_err(|error| named(name, error))?
            .set_len(0)
    }

    fn append(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.with(name, |file| file.write_all(bytes))
    }

    fn truncate(&self, name: &str, len: u64) -> io::Result<()> {
        self.with(name, |file| file.set_len(len))
    }

    fn sync(&self, name: &str) -> io::Result<()> {
        self.with(name, |file| file.sync_data())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.for_writing()?;
        self.forget();
        fs::rename(self.path.join(from), self.path.join(to))
    }

    fn sync_names(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }
}
