//! Where the PIN of a token comes from. Never an argument, never the environment.

use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

pub mod notes;

pub use fips::secret::Pin;
use fips::secret::SecretBytes;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use crate::error::FileProblem;
use crate::{Error, files};

/// Longest PIN in bytes. PKCS#11 has no limit; real tokens stay far below.
const MAX_PIN_BYTES: usize = 255;

/// Where a PIN is read from, each time it is needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PinSource {
    /// A regular file of root or of the caller, without any right for group or others, that is no symbolic link.
    File(PathBuf),
    /// A systemd credential: the name of a file below `$CREDENTIALS_DIRECTORY`. systemd gives the service's user access
    /// through a group bit (or an access list that shows as one), so that bit alone may be set.
    Credential(String),
    /// The terminal of the process, without echo. Asked once, when custody is opened; a later login would have nobody to
    /// ask, so the PIN is kept in memory.
    Prompt,
    /// The token itself asks for it (CKF_PROTECTED_AUTHENTICATION_PATH), at a PIN pad of its own: C_Login without a PIN.
    AtTheToken,
}

/// What changes when somebody writes the file that a PIN is read from. Nothing of its content but the length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PinStamp {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
}

impl std::fmt::Display for PinStamp {
    /// One word.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (seconds, nanos) = self.modified;
        write!(
            f,
            "{}:{}:{}:{seconds}.{nanos:09}",
            self.device, self.inode, self.bytes
        )
    }
}

impl PinSource {
    /// The present state of the source, to see whether it has changed: of a file or a credential. `None` if there is none at the
    /// moment, and for sources that are no files.
    #[must_use]
    pub fn stamp(&self) -> Option<PinStamp> {
        let (path, _) = self.file().ok()??;
        let found = std::fs::metadata(path).ok()?;
        Some(PinStamp {
            device: found.dev(),
            inode: found.ino(),
            bytes: found.len(),
            modified: (found.mtime(), found.mtime_nsec()),
        })
    }

    /// The PIN, and the state of the source that it was read from; `None` if that is no file, or was written all the while.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub(crate) fn read_stamped(&self) -> Result<(Pin, Option<PinStamp>), Error> {
        /// More often nobody writes a file by chance.
        const TRIES: usize = 8;
        let mut before = self.stamp();
        let mut pin = self.read()?;
        for _ in 0..TRIES {
            // Read in between from another state than the one seen: what is said about the one must not be noted for the other.
            let after = self.stamp();
            if after == before {
                return Ok((pin, after));
            }
            before = after;
            pin = self.read()?;
        }
        Ok((pin, None))
    }

    /// The file that the PIN is read from, and the rights that group and others must not have on it.
    fn file(&self) -> Result<Option<(PathBuf, u32)>, Error> {
        match self {
            Self::File(path) => {
                if !path.is_absolute() {
                    return Err(refused(path, FileProblem::NotAbsolute));
                }
                Ok(Some((path.clone(), 0o077)))
            }
            Self::Credential(name) => {
                if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']) {
                    return Err(refused(Path::new(name), FileProblem::NotACredentialName));
                }
                let folder = std::env::var_os("CREDENTIALS_DIRECTORY")
                    .ok_or_else(|| refused(Path::new(name), FileProblem::NoCredentialsDirectory))?;
                Ok(Some((Path::new(&folder).join(name), 0o037)))
            }
            Self::Prompt | Self::AtTheToken => Ok(None),
        }
    }

    /// Reads the PIN. One line end behind it (LF or CR LF) is not part of it. A source that is no file is asked for at the terminal.
    ///
    /// # Errors
    /// [`Error::File`] with what is wrong.
    pub fn read(&self) -> Result<Pin, Error> {
        match self.file()? {
            Some((path, forbidden)) => read_file(&path, forbidden),
            None => prompt(),
        }
    }

    /// True if the source can be read again without a person.
    pub(crate) fn is_readable_again(&self) -> bool {
        !matches!(self, Self::Prompt)
    }
}

fn refused(path: &Path, problem: FileProblem) -> Error {
    Error::File {
        path: path.to_owned(),
        problem,
    }
}

fn read_file(path: &Path, forbidden: u32) -> Result<Pin, Error> {
    let mut secret = files::read_secret(path, forbidden, MAX_PIN_BYTES + 2)?;
    let line = secret.expose();
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let len = line.strip_suffix(b"\r").unwrap_or(line).len();
    secret.truncate(len);
    if secret.is_empty() {
        return Err(refused(path, FileProblem::Empty));
    }
    if secret.len() > MAX_PIN_BYTES {
        return Err(refused(path, FileProblem::TooLong(MAX_PIN_BYTES)));
    }
    Ok(Pin::new(secret))
}

const TERMINAL: &str = "/dev/tty";

/// Gives a terminal its old modes back, whatever happens in between.
struct EchoOff<'a> {
    terminal: &'a std::fs::File,
    before: Termios,
}

impl<'a> EchoOff<'a> {
    fn new(terminal: &'a std::fs::File) -> Result<Self, Error> {
        let no_terminal = |_| refused(Path::new(TERMINAL), FileProblem::NoTerminal);
        let before = tcgetattr(terminal).map_err(no_terminal)?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(terminal, OptionalActions::Flush, &silent).map_err(no_terminal)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for EchoOff<'_> {
    fn drop(&mut self) {
        // Nothing can be done about a terminal that is gone.
        let _ = tcsetattr(self.terminal, OptionalActions::Now, &self.before);
    }
}

fn prompt() -> Result<Pin, Error> {
    let no_terminal = |_| refused(Path::new(TERMINAL), FileProblem::NoTerminal);
    let mut terminal = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(TERMINAL)
        .map_err(no_terminal)?;
    let reader = terminal.try_clone().map_err(no_terminal)?;
    let echo = EchoOff::new(&reader)?;
    terminal
        .write_all(b"PIN of the token: ")
        .map_err(no_terminal)?;
    let pin = read_line(&reader);
    drop(echo);
    terminal.write_all(b"\n").map_err(no_terminal)?;
    pin
}

/// One line, byte by byte into a buffer that never grows: no copy is left behind in a reader's buffer.
fn read_line(mut terminal: &std::fs::File) -> Result<Pin, Error> {
    let path = Path::new(TERMINAL);
    let mut pin = SecretBytes::zeroed(MAX_PIN_BYTES);
    let mut byte = SecretBytes::zeroed(1);
    let mut len = 0;
    loop {
        let read = terminal
            .read(byte.expose_mut())
            .map_err(|error| refused(path, FileProblem::Unreadable(error.kind())))?;
        match byte.expose().first() {
            Some(b'\n' | b'\r') | None => break,
            _ if read == 0 => break,
            Some(entered) => match pin.expose_mut().get_mut(len) {
                Some(slot) => *slot = *entered,
                None => return Err(refused(path, FileProblem::TooLong(MAX_PIN_BYTES))),
            },
        }
        len += 1;
    }
    pin.truncate(len);
    if pin.is_empty() {
        return Err(refused(path, FileProblem::Empty));
    }
    Ok(Pin::new(pin))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, missing_docs)]
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn pin_of(content: &[u8]) -> Result<Vec<u8>, Error> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pin");
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o400)).unwrap();
        PinSource::File(path)
            .read()
            .map(|pin| pin.expose().to_vec())
    }

    #[test]
    fn one_line_end_is_not_part_of_the_pin() {
        assert_eq!(pin_of(b"1234").unwrap(), b"1234");
        assert_eq!(pin_of(b"1234\n").unwrap(), b"1234");
        assert_eq!(pin_of(b"1234\r\n").unwrap(), b"1234");
        assert_eq!(pin_of(b" 12 34 \n\n").unwrap(), b" 12 34 \n");
    }

    #[test]
    fn an_empty_and_an_endless_pin_are_refused() {
        for (content, expected) in [
            (&b""[..], FileProblem::Empty),
            (b"\n", FileProblem::Empty),
            (&[b'1'; 256], FileProblem::TooLong(255)),
            (&[b'1'; 4096], FileProblem::TooLong(257)),
        ] {
            match pin_of(content) {
                Err(Error::File { problem, .. }) => assert_eq!(problem, expected),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(pin_of(&[b'1'; 255]).unwrap().len(), 255);
    }

    #[test]
    fn a_credential_cannot_name_a_file_elsewhere() {
        for name in ["", ".", "..", "../pin", "/etc/passwd", "a/b"] {
            match PinSource::Credential(name.into()).read() {
                Err(Error::File { problem, .. }) => {
                    assert_eq!(problem, FileProblem::NotACredentialName);
                }
                _ => panic!("{name} accepted"),
            }
        }
    }

    #[test]
    fn a_source_that_is_written_has_another_stamp() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pin");
        let source = PinSource::File(path.clone());
        assert_eq!(source.stamp(), None);
        std::fs::write(&path, "1234").unwrap();
        let first = source.stamp();
        assert!(first.is_some());
        assert_eq!(source.stamp(), first);
        std::fs::write(&path, "12345").unwrap();
        let second = source.stamp();
        assert_ne!(second, first);
        // Replaced by another file of the same length.
        std::fs::write(folder.path().join("next"), "54321").unwrap();
        std::fs::rename(folder.path().join("next"), &path).unwrap();
        assert_ne!(source.stamp(), second);
        assert_eq!(PinSource::Prompt.stamp(), None);
    }

    #[test]
    fn a_relative_path_is_refused() {
        match PinSource::File("pin".into()).read() {
            Err(Error::File { problem, .. }) => assert_eq!(problem, FileProblem::NotAbsolute),
            _ => panic!("accepted"),
        }
    }
}
