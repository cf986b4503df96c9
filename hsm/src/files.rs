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

/// The canonical path of a PKCS#11 module that nobody but root and the caller can exchange.
///
/// Links are followed, for distributions use them; what counts is the file that is loaded in the end.
pub(crate) fn check_module(path: &Path) -> Result<PathBuf, Error> {
    if !path.is_absolute() {
        return Err(refused(path, FileProblem::NotAbsolute));
    }
    let unreadable = |error: std::io::Error| refused(path, FileProblem::Unreadable(error.kind()));
    let canonical = path.canonicalize().map_err(unreadable)?;
    let metadata = std::fs::metadata(&canonical).map_err(unreadable)?;
    check(&metadata, WRITABLE_BY_OTHERS).map_err(|problem| refused(&canonical, problem))?;
    Ok(canonical)
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
}
