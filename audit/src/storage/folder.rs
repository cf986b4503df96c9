//! A folder of the file system, held by one writer.

use super::Storage;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
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
    /// others may write there or read it, and those of the system.
    pub fn open(path: &Path) -> io::Result<Self> {
        if !path.exists() {
            let mut builder = DirBuilder::new();
            #[cfg(unix)]
            std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
            builder.create(path)?;
            // Or a power cut takes the folder away, with all that was durable in it.
            #[cfg(unix)]
            if let Some(parent) = path.parent() {
                File::open(parent)?.sync_all()?;
            }
        }
        refuse_loose(path)?;
        let lock = private()
            .create(true)
            .truncate(false)
            .open(path.join(LOCK))?;
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
                let file = OpenOptions::new().append(true).open(self.path.join(name))?;
                let (_, file) = current.insert((name.to_owned(), file));
                act(file)
            }
        }
    }

    fn forget(&self) {
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// How files of the log are made: for their owner alone.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

#[cfg(unix)]
fn refuse_loose(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(path)?.permissions().mode() & 0o777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::PermissionDenied,
        format!(
            "{} has mode {mode:03o}: only its owner may read and write there (chmod 700)",
            path.display()
        ),
    ))
}

#[cfg(not(unix))]
fn refuse_loose(_: &Path) -> io::Result<()> {
    Ok(())
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
        Ok(Box::new(File::open(self.path.join(name))?))
    }

    fn create(&self, name: &str) -> io::Result<()> {
        self.for_writing()?;
        self.forget();
        private()
            .create(true)
            .truncate(true)
            .open(self.path.join(name))
            .map(drop)
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

    #[cfg(unix)]
    fn sync_names(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }

    #[cfg(not(unix))]
    fn sync_names(&self) -> io::Result<()> {
        // NTFS journals names; a folder cannot be opened for this.
        Ok(())
    }
}
