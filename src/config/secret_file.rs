//! Files that hold a secret: read only when nobody else can read them.

use fips::secret::SecretBytes;
use rustix::fs::FileType;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The largest secret that is read, in bytes.
pub const MAX_BYTES: usize = 64 * 1024;

/// A file that holds a secret and cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretFileError {
    /// It cannot be opened or read.
    #[error("{} cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is a folder, a pipe or a device.
    #[error("{} is not a file", path.display())]
    NotAFile {
        /// The file.
        path: PathBuf,
    },
    /// Others than its owner may read or change it.
    #[error("{} holds a secret, but its mode {mode:04o} lets others than its owner use it", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It belongs to somebody else, who could read and change it.
    #[error("{} holds a secret, but it belongs to user {owner}, not to the user {expected} who runs this", path.display())]
    ForeignOwner {
        /// The file.
        path: PathBuf,
        /// Its owner's user id.
        owner: u32,
        /// The user id of this process.
        expected: u32,
    },
    /// It holds more than a secret can be long.
    #[error("{} holds more than {MAX_BYTES} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// There is nothing in it.
    #[error("{} is empty", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
}

impl SecretFileError {
    /// Stable code for machines.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "secret_file_unreadable",
            Self::NotAFile { .. } => "secret_file_not_a_file",
            Self::Exposed { .. } => "secret_file_exposed",
            Self::ForeignOwner { .. } => "secret_file_foreign_owner",
            Self::TooLarge { .. } => "secret_file_too_large",
            Self::Empty { .. } => "secret_file_empty",
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Exposed { path, .. } => format!("chmod 600 {}", path.display()),
            Self::ForeignOwner { path, expected, .. } => {
                format!("chown {expected} {}", path.display())
            }
            Self::Unreadable { .. } | Self::NotAFile { .. } => {
                "name a file that the user who runs this owns and can read".to_owned()
            }
            Self::TooLarge { .. } | Self::Empty { .. } => {
                "the file holds the secret and nothing else".to_owned()
            }
        }
    }
}

/// Reads a secret: a file that only its owner can use, owned by the user who runs this or by root. One line end at its end is dropped.
///
/// A file in systemd's own folder of credentials (`CREDENTIALS_DIRECTORY`, where the service manager gives secrets to one service) may
/// be readable by its group: systemd lets the service's user read it by an access list, which shows there.
///
/// # Errors
/// [`SecretFileError`] when it cannot be read, others can use it, it is empty or larger than [`MAX_BYTES`].
pub fn read(path: &Path) -> Result<SecretBytes, SecretFileError> {
    match read_told(path)? {
        (secret, None) => Ok(secret),
        (_, Some(exposed)) => Err(exposed),
    }
}

/// As [`read`], for tools that people use by hand: a file that others can use too is read, and told beside the secret.
///
/// # Errors
/// As [`read`], but for that.
pub fn read_told(path: &Path) -> Result<(SecretBytes, Option<SecretFileError>), SecretFileError> {
    let (mut file, exposed) = open(path)?;
    // One byte more than allowed, to see that there is more.
    let mut secret = SecretBytes::zeroed(MAX_BYTES + 1);
    let mut length = 0;
    loop {
        let free = secret.expose_mut().get_mut(length..).unwrap_or_default();
        if free.is_empty() {
            return Err(SecretFileError::TooLarge {
                path: path.to_owned(),
            });
        }
        match file.read(free) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(source) => {
                return Err(SecretFileError::Unreadable {
                    path: path.to_owned(),
                    source,
                });
            }
        }
    }
    let content = secret.expose().get(..length).unwrap_or_default();
    let trimmed = content
        .strip_suffix(b"\r\n")
        .or_else(|| content.strip_suffix(b"\n"))
        .unwrap_or(content);
    if trimmed.is_empty() {
        return Err(SecretFileError::Empty {
            path: path.to_owned(),
        });
    }
    Ok((SecretBytes::from_slice(trimmed), exposed))
}

/// Checks a file as [`read`] does, without reading it.
///
/// # Errors
/// [`SecretFileError`] as [`read`], except for what only its content tells.
pub fn check(path: &Path) -> Result<(), SecretFileError> {
    match open(path)? {
        (_, None) => Ok(()),
        (_, Some(exposed)) => Err(exposed),
    }
}

/// The opened file, and what is wrong with who can use it.
fn open(path: &Path) -> Result<(File, Option<SecretFileError>), SecretFileError> {
    let unreadable = |source| SecretFileError::Unreadable {
        path: path.to_owned(),
        source,
    };
    // O_NONBLOCK: opening a pipe must not wait for somebody to write into it.
    let file = std::fs::OpenOptions::new()
        .read(true)
        .custom_flags(libc_flags())
        .open(path)
        .map_err(unreadable)?;
    // The opened file is asked, not the path, so that it cannot be exchanged in between.
    let stat = rustix::fs::fstat(&file).map_err(|errno| unreadable(errno.into()))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(SecretFileError::NotAFile {
            path: path.to_owned(),
        });
    }
    let mode = stat.st_mode & 0o7777;
    let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
    if mode & forbidden(path, credentials.as_deref()) != 0 {
        let path = path.to_owned();
        return Ok((file, Some(SecretFileError::Exposed { path, mode })));
    }
    let expected = rustix::process::geteuid().as_raw();
    if stat.st_uid != expected && stat.st_uid != 0 {
        let foreign = SecretFileError::ForeignOwner {
            path: path.to_owned(),
            owner: stat.st_uid,
            expected,
        };
        return Ok((file, Some(foreign)));
    }
    Ok((file, None))
}

/// The rights that nobody may have on a secret there.
fn forbidden(path: &Path, credentials: Option<&Path>) -> u32 {
    let is_credential = credentials
        .filter(|folder| folder.is_absolute())
        .is_some_and(|folder| path.parent() == Some(folder));
    if is_credential { 0o037 } else { 0o077 }
}

fn libc_flags() -> i32 {
    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::CLOEXEC;
    i32::try_from(flags.bits()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn file(content: &[u8], mode: u32) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        (folder, path)
    }

    fn code(path: &Path) -> &'static str {
        read(path).map_or_else(|error| error.code(), |_| "read")
    }

    #[test]
    fn one_line_end_is_dropped_and_no_more() {
        for (content, secret) in [
            (&b"abc"[..], &b"abc"[..]),
            (b"abc\n", b"abc"),
            (b"abc\r\n", b"abc"),
            (b" a b \n\n", b" a b \n"),
        ] {
            let (_folder, path) = file(content, 0o600);
            assert_eq!(read(&path).unwrap().expose(), secret);
        }
    }

    #[test]
    fn any_right_of_others_is_refused() {
        for mode in [0o640, 0o604, 0o620, 0o601, 0o666] {
            let (_folder, path) = file(b"abc", mode);
            assert_eq!(code(&path), "secret_file_exposed", "{mode:o}");
            assert!(check(&path).is_err());
            let (secret, exposed) = read_told(&path).unwrap();
            assert_eq!(secret.expose(), b"abc");
            assert_eq!(exposed.unwrap().code(), "secret_file_exposed");
        }
        let (_folder, path) = file(b"abc", 0o400);
        assert!(read_told(&path).unwrap().1.is_none());
        assert_eq!(code(&path), "read");
    }

    #[test]
    fn a_group_may_read_nothing_but_systemds_credentials() {
        let folder = Path::new("/run/credentials/pfx-connector.service");
        let credential = folder.join("tls-key");
        assert_eq!(forbidden(&credential, Some(folder)), 0o037);
        for (path, folder) in [
            (credential.as_path(), None),
            (&folder.join("..").join("tls-key"), Some(folder)),
            (&folder.join("below").join("tls-key"), Some(folder)),
            (Path::new("/etc/pfx-connector/tls-key"), Some(folder)),
            (Path::new("tls-key"), Some(Path::new(""))),
        ] {
            assert_eq!(forbidden(path, folder), 0o077, "{path:?}");
        }
    }

    #[test]
    fn nothing_too_much_and_no_file_are_refused() {
        let (_folder, path) = file(b"\n", 0o600);
        assert_eq!(code(&path), "secret_file_empty");
        let (_folder, path) = file(&vec![b'x'; MAX_BYTES], 0o600);
        assert_eq!(code(&path), "read");
        let (folder, path) = file(&vec![b'x'; MAX_BYTES + 1], 0o600);
        assert_eq!(code(&path), "secret_file_too_large");
        assert_eq!(code(folder.path()), "secret_file_not_a_file");
        assert_eq!(code(&folder.path().join("none")), "secret_file_unreadable");
    }
}
