//! The commands' side of the control socket (blocking).

use super::protocol::{
    CONTROL_VERSION, Greeting, MAX_ANSWER_BYTES, Reply, Request, RevocationReport, Status,
};
use crate::telemetry::Event;
use crate::telemetry::log::Filter;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long the service may take for a line of its answer.
const PATIENCE: Duration = Duration::from_secs(15);

/// Why the running service could not be asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// Nobody listens, or not to this user.
    #[error("no running connector answers at {}: {source}", path.display())]
    NotRunning {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It listens but does not answer as it should.
    #[error("the running connector does not answer as it should: {0}")]
    Protocol(String),
    /// It is another release.
    #[error(
        "the running connector speaks version {found} of the control protocol, this program {CONTROL_VERSION}"
    )]
    Version {
        /// Its version.
        found: u16,
    },
    /// It says that it cannot.
    #[error("{message}")]
    Refused {
        /// Stable code.
        code: String,
        /// In words.
        message: String,
    },
}

impl ControlError {
    /// Stable code for machines.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::NotRunning { .. } => "not_running",
            Self::Protocol(_) => "control_protocol",
            Self::Version { .. } => "control_version",
            Self::Refused { code, .. } => code,
        }
    }
}

/// How the running connector stands.
///
/// # Errors
/// [`ControlError`] when it cannot be asked.
pub fn status(path: &Path) -> Result<Status, ControlError> {
    let mut lines = ask(path, &Request::Status)?;
    match next(&mut lines)? {
        Some(Reply::Status { status }) => Ok(*status),
        Some(Reply::Error { code, message }) => Err(ControlError::Refused { code, message }),
        _ => Err(ControlError::Protocol("no status came".to_owned())),
    }
}

/// Lets so many more certificates be revoked than the thresholds do (0: none), and says how the brake stands.
///
/// # Errors
/// [`ControlError`] when it cannot be asked, or revokes nothing.
pub fn release_revocations(path: &Path, count: u32) -> Result<RevocationReport, ControlError> {
    let mut lines = ask(path, &Request::ReleaseRevocations { count })?;
    match next(&mut lines)? {
        Some(Reply::Revocation { revocation }) => Ok(revocation),
        Some(Reply::Error { code, message }) => Err(ControlError::Refused { code, message }),
        _ => Err(ControlError::Protocol("no brake came".to_owned())),
    }
}

/// Calls `take` with every wanted event until it returns `false`, all are told, or (following) the service ends.
///
/// # Errors
/// [`ControlError`] when it cannot be asked or an answer breaks off.
pub fn events(
    path: &Path,
    filter: &Filter,
    follow: bool,
    mut take: impl FnMut(Event) -> bool,
) -> Result<(), ControlError> {
    let request = Request::Events {
        filter: filter.clone(),
        follow,
    };
    let mut lines = ask(path, &request)?;
    if follow {
        let _ = lines.get_ref().set_read_timeout(None);
    }
    loop {
        match next(&mut lines)? {
            Some(Reply::Event { event }) => {
                if !take(*event) {
                    return Ok(());
                }
            }
            Some(Reply::End) => return Ok(()),
            // The service stopped: for a follower that is an end like any other.
            None if follow => return Ok(()),
            None => return Err(ControlError::Protocol("the answer broke off".to_owned())),
            Some(Reply::Error { code, message }) => {
                return Err(ControlError::Refused { code, message });
            }
            Some(Reply::Missed { .. }) => {}
            Some(Reply::Status { .. } | Reply::Revocation { .. }) => {
                return Err(ControlError::Protocol(
                    "a status came instead of events".to_owned(),
                ));
            }
        }
    }
}

fn ask(path: &Path, request: &Request) -> Result<BufReader<UnixStream>, ControlError> {
    let not_running = |source| ControlError::NotRunning {
        path: path.to_owned(),
        source,
    };
    let stream = UnixStream::connect(path).map_err(not_running)?;
    stream
        .set_read_timeout(Some(PATIENCE))
        .map_err(not_running)?;
    stream
        .set_write_timeout(Some(PATIENCE))
        .map_err(not_running)?;
    let mut lines = BufReader::new(stream);
    let greeting: Greeting = line(&mut lines)?.ok_or_else(|| {
        ControlError::Protocol(
            "it closed the connection: the socket is for its own user and root".to_owned(),
        )
    })?;
    if greeting.control != CONTROL_VERSION {
        return Err(ControlError::Version {
            found: greeting.control,
        });
    }
    let mut text =
        serde_json::to_vec(request).map_err(|error| ControlError::Protocol(error.to_string()))?;
    text.push(b'\n');
    lines.get_mut().write_all(&text).map_err(not_running)?;
    Ok(lines)
}

fn next(lines: &mut BufReader<UnixStream>) -> Result<Option<Reply>, ControlError> {
    line(lines)
}

fn line<T: serde::de::DeserializeOwned>(
    lines: &mut BufReader<UnixStream>,
) -> Result<Option<T>, ControlError> {
    let mut text = Vec::new();
    let protocol = |error: &dyn std::fmt::Display| ControlError::Protocol(error.to_string());
    let read = lines
        .take(MAX_ANSWER_BYTES)
        .read_until(b'\n', &mut text)
        .map_err(|error| protocol(&error))?;
    if read == 0 {
        return Ok(None);
    }
    serde_json::from_slice(&text)
        .map(Some)
        .map_err(|error| protocol(&error))
}
