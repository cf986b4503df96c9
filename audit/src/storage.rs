//! Where the files of a log are: one seam, so that tests can record, lose, tear and reorder writes. [`Folder`] is the real one.

mod folder;

pub use folder::Folder;

use std::io::{self, Read};

/// A flat folder of files. What is said to be durable survives a power cut; everything else may be there, in part or not at all,
/// and in any order, until it was made durable.
pub trait Storage: Send + Sync {
    /// Names of the files, in any order.
    ///
    /// # Errors
    /// Those of the system, here and below.
    fn list(&self) -> io::Result<Vec<String>>;

    /// A file from its beginning.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] and others.
    fn read(&self, name: &str) -> io::Result<Box<dyn Read + '_>>;

    /// Makes an empty file; one of that name is emptied.
    ///
    /// # Errors
    /// Those of the system.
    fn create(&self, name: &str) -> io::Result<()>;

    /// Writes `bytes` behind what is in the file. After an error a part of them may be there.
    ///
    /// # Errors
    /// Those of the system, such as a full disk.
    fn append(&self, name: &str, bytes: &[u8]) -> io::Result<()>;

    /// Cuts the file off after `len` bytes.
    ///
    /// # Errors
    /// Those of the system.
    fn truncate(&self, name: &str, len: u64) -> io::Result<()>;

    /// Makes the file's content and length durable (fdatasync). After an error nothing is known of what was appended since the last success.
    ///
    /// # Errors
    /// Those of the system.
    fn sync(&self, name: &str) -> io::Result<()>;

    /// Gives a file another name, atomically; durable after [`Storage::sync_names`].
    ///
    /// # Errors
    /// Those of the system.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Makes durable which files there are and how they are called (fsync of the folder).
    ///
    /// # Errors
    /// Those of the system.
    fn sync_names(&self) -> io::Result<()>;
}
