//! Who may have written, or may read, a file that custody relies on.

use std::fs::{File, Metadata};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use fips::secret::SecretBytes;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::Error;
use crate::error::FileProblem;

/// Bits of the mode that let group or others write.
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// The bit of a folder's mode that lets nobody but an entry's owner (and the folder's) rename or remove the entry.
const STICKY: u32 = 0o1000;

fn refused(path: &Path, problem: FileProblem) -> Error {
    Error::File {
        path: path.to_owned(),
        problem,
    }
}

/// A regular file of root or of this process's user, without any of the `forbidden` bits in its mode.
fn check(metadata: &Metadata, forbidden: u32) -> Result<(), FileProblem> {
    if !metadata.is_file() {
        return Err(FileProblem::NotRegular);
    }
    if metadata.uid() != 0 && metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(FileProblem::WrongOwner);
    }
    let mode = metadata.mode() & 0o7777;
    if mode & forbidden == 0 {
        Ok(())
    } else {
        Err(FileProblem::Mode(mode))
    }
}

/// The canonical path of a PKCS#11 module: a regular file of root or of the caller that nobody else can write.
///
/// Links are followed, for distributions use them; what counts is the file that is loaded in the end. Who could put another file
/// in its place is what [`exchangeable_at`] tells.
///
/// # Errors
/// [`Error::File`] with what is wrong.
pub fn check_module(path: &Path) -> Result<PathBuf, Error> {
    if !path.is_absolute() {
        return Err(refused(path, FileProblem::NotAbsolute));
    }
    let unreadable = |error: std::io::Error| refused(path, FileProblem::Unreadable(error.kind()));
    let canonical = path.canonicalize().map_err(unreadable)?;
    let metadata = std::fs::metadata(&canonical).map_err(unreadable)?;
    check(&metadata, WRITABLE_BY_OTHERS).map_err(|problem| refused(&canonical, problem))?;
    Ok(canonical)
}

/// A folder on the way to a file in which somebody else could put another file in the place of what is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeakFolder {
    /// The folder.
    pub path: PathBuf,
    /// What is wrong with it.
    pub problem: FileProblem,
}

/// The folders in which somebody else than root and the caller could exchange the file at `path`, or a link or folder on the way to
/// it: those that belong to another user, or that group or others may write. With the sticky bit, as on `/tmp`, only the owner of
/// an entry may exchange it, and the entries on the way are checked themselves: such a folder is none of them.
///
/// Both ways are looked at, the one that is written and the one that it leads to when links are followed.
///
/// # Errors
/// [`Error::File`] if the path is relative, or something on the way cannot be looked at.
pub fn exchangeable_at(path: &Path) -> Result<Vec<WeakFolder>, Error> {
    if !path.is_absolute() {
        return Err(refused(path, FileProblem::NotAbsolute));
    }
    let unreadable =
        |path: &Path, error: std::io::Error| refused(path, FileProblem::Unreadable(error.kind()));
    let canonical = path
        .canonicalize()
        .map_err(|error| unreadable(path, error))?;
    let mut folders: Vec<PathBuf> = Vec::new();
    for way in [path, canonical.as_path()] {
        for folder in way.ancestors().skip(1) {
            let folder = folder
                .canonicalize()
                .map_err(|error| unreadable(folder, error))?;
            // What a link leads to has a way of its own.
            for step in folder.ancestors() {
                if !folders.iter().any(|known| known == step) {
                    folders.push(step.to_owned());
                }
            }
        }
    }
    let mut weak = Vec::new();
    for folder in folders {
        let metadata = std::fs::metadata(&folder).map_err(|error| unreadable(&folder, error))?;
        let ours = metadata.uid() == 0 || metadata.uid() == rustix::process::geteuid().as_raw();
        let mode = metadata.mode() & 0o7777;
        let problem = if !ours {
            FileProblem::WrongOwner
        } else if mode & WRITABLE_BY_OTHERS != 0 && mode & STICKY == 0 {
            FileProblem::Mode(mode)
        } else {
            continue;
        };
        weak.push(WeakFolder {
            path: folder,
            problem,
        });
    }
    Ok(weak)
}

/// Reads a secret of at most `limit` bytes from a file without any of the `forbidden` bits in its mode.
///
/// The file that was checked is the file that is read: it is opened first (no symbolic link as the last component, and
/// without waiting, should it be a pipe), and checked by its descriptor.
pub(crate) fn read_secret(path: &Path, forbidden: u32, limit: usize) -> Result<SecretBytes, Error> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let descriptor = rustix::fs::open(path, flags, Mode::empty()).map_err(|errno| {
        let problem = if errno == Errno::LOOP {
            FileProblem::SymbolicLink
        } else {
            FileProblem::Unreadable(std::io::Error::from(errno).kind())
        };
        refused(path, problem)
    })?;
    let mut file = File::from(descriptor);
    let unreadable = |error: std::io::Error| refused(path, FileProblem::Unreadable(error.kind()));
    let metadata = file.metadata().map_err(unreadable)?;
    check(&metadata, forbidden).map_err(|problem| refused(path, problem))?;

    // One byte more than allowed, to see whether there is more; the buffer never grows, so no copy is left behind.
    let mut secret = SecretBytes::zeroed(limit + 1);
    let mut filled = 0;
    while let Some(rest) = secret.expose_mut().get_mut(filled..) {
        match file.read(rest) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(unreadable(error)),
        }
    }
    if filled > limit {
        return Err(refused(path, FileProblem::TooLong(limit)));
    }
    secret.truncate(filled);
    Ok(secret)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, missing_docs)]
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn file(mode: u32, content: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        (folder, path)
    }

    fn problem<T>(result: Result<T, Error>) -> FileProblem {
        match result {
            Err(Error::File { problem, .. }) => problem,
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("accepted"),
        }
    }

    #[test]
    fn a_secret_in_a_private_file_is_read() {
        let (_folder, path) = file(0o600, b"secret");
        assert_eq!(read_secret(&path, 0o077, 16).unwrap().expose(), b"secret");
    }

    #[test]
    fn a_secret_that_others_can_read_is_refused() {
        for mode in [0o640, 0o604, 0o620, 0o601, 0o644] {
            let (_folder, path) = file(mode, b"secret");
            assert_eq!(
                problem(read_secret(&path, 0o077, 16)),
                FileProblem::Mode(mode)
            );
        }
    }

    #[test]
    fn a_secret_longer_than_the_limit_is_refused() {
        let (_folder, path) = file(0o600, &[b'x'; 17]);
        assert_eq!(
            problem(read_secret(&path, 0o077, 16)),
            FileProblem::TooLong(16)
        );
    }

    #[test]
    fn links_pipes_and_directories_are_refused_without_waiting() {
        let (folder, path) = file(0o600, b"secret");
        let link = folder.path().join("link");
        symlink(&path, &link).unwrap();
        assert_eq!(
            problem(read_secret(&link, 0o077, 16)),
            FileProblem::SymbolicLink
        );
        let pipe = folder.path().join("pipe");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &pipe,
            rustix::fs::FileType::Fifo,
            Mode::RUSR | Mode::WUSR,
            0,
        )
        .unwrap();
        assert_eq!(
            problem(read_secret(&pipe, 0o077, 16)),
            FileProblem::NotRegular
        );
        assert_eq!(
            problem(read_secret(folder.path(), 0, 16)),
            FileProblem::NotRegular
        );
    }

    #[test]
    fn a_module_that_others_can_write_is_refused() {
        let (_folder, path) = file(0o775, b"");
        assert_eq!(problem(check_module(&path)), FileProblem::Mode(0o775));
        let (_folder, path) = file(0o755, b"");
        assert!(check_module(&path).is_ok());
        assert_eq!(
            problem(check_module(Path::new("module.so"))),
            FileProblem::NotAbsolute
        );
    }
    #[test]
    fn a_folder_in_which_others_could_exchange_the_module_is_named() {
        let (folder, path) = file(0o755, b"");
        let inner = folder.path().join("inner");
        std::fs::create_dir(&inner).unwrap();
        let module = inner.join("module.so");
        std::fs::rename(&path, &module).unwrap();
        let set = |path: &Path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        set(&inner, 0o755);
        assert_eq!(exchangeable_at(&module).unwrap(), []);
        set(&inner, 0o775);
        let weak = WeakFolder {
            path: inner.canonicalize().unwrap(),
            problem: FileProblem::Mode(0o775),
        };
        assert_eq!(
            exchangeable_at(&module).unwrap(),
            std::slice::from_ref(&weak)
        );
        // Sticky: only the owner of the module can exchange it.
        set(&inner, 0o1777);
        assert_eq!(exchangeable_at(&module).unwrap(), []);
        // A safe folder with a link into the other one is no safer.
        set(&inner, 0o775);
        let link = folder.path().join("link.so");
        symlink(&module, &link).unwrap();
        assert_eq!(exchangeable_at(&link).unwrap(), [weak]);
    }

    #[test]
    fn a_link_that_others_could_exchange_is_no_safe_way_to_a_safe_module() {
        let (folder, path) = file(0o755, b"");
        let open = folder.path().join("open");
        std::fs::create_dir(&open).unwrap();
        let link = open.join("link.so");
        symlink(&path, &link).unwrap();
        std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o777)).unwrap();
        assert_eq!(
            exchangeable_at(&link).unwrap(),
            [WeakFolder {
                path: open.canonicalize().unwrap(),
                problem: FileProblem::Mode(0o777),
            }]
        );
        assert_eq!(exchangeable_at(&path).unwrap(), []);
    }
}
