//! The unix socket that callers connect to: who may, and that there is one engine on it.

use super::SupervisorError;
use super::event::Event;
use audit::verb::CallerKind;
use fips::secret::file::{self, Rights};
use rustix::fs::{FlockOperation, Mode, flock};
use std::fs::Permissions;
use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::thread::JoinHandle;
use std::time::Duration;

/// Pause after an accept that failed for lack of something (descriptors, memory), so as not to spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The listening socket. While it exists no other engine can listen at the same path.
#[derive(Debug)]
pub(super) struct Listener {
    socket: Arc<UnixListener>,
    path: PathBuf,
    accepting: Option<JoinHandle<()>>,
    // Held open: the lock goes with the descriptor, so also when this process is killed.
    _lock: OwnedFd,
}

impl Listener {
    /// Binds `path`. The folder must be ours or root's and not open for others to write; a socket that a dead engine left is
    /// replaced, anything else in its place is refused.
    ///
    /// The socket has mode 0600; when users other than ours may call it has 0666, because connecting needs the right to write,
    /// and every caller is checked by what the kernel says of it.
    pub(super) fn bind(path: &Path, others_may_call: bool) -> Result<Self, SupervisorError> {
        let refuse = |problem: String| SupervisorError::Socket {
            path: path.to_owned(),
            problem,
        };
        let folder = path
            .parent()
            .filter(|folder| path.is_absolute() && !folder.as_os_str().is_empty())
            .ok_or_else(|| refuse("the path must be absolute".to_owned()))?;
        check_folder(folder).map_err(refuse)?;
        let lock = lock(path).map_err(refuse)?;
        match std::fs::symlink_metadata(path) {
            // We hold the lock, so nobody listens on it.
            Ok(found) if found.file_type().is_socket() => std::fs::remove_file(path)
                .map_err(|error| refuse(format!("cannot remove the old socket: {error}")))?,
            Ok(_) => {
                return Err(refuse(
                    "something that is no socket is in its place".to_owned(),
                ));
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(refuse(error.to_string())),
        }
        // The socket must never be there with more rights than it ends up with.
        let umask = rustix::process::umask(Mode::from_bits_truncate(0o177));
        let bound = UnixListener::bind(path);
        rustix::process::umask(umask);
        let socket = bound.map_err(|error| refuse(format!("cannot listen: {error}")))?;
        if others_may_call {
            std::fs::set_permissions(path, Permissions::from_mode(0o666))
                .map_err(|error| refuse(error.to_string()))?;
        }
        Ok(Self {
            socket: Arc::new(socket),
            path: path.to_owned(),
            accepting: None,
            _lock: lock,
        })
    }

    /// Starts to accept; each new connection becomes an event with the user id that the kernel vouches for.
    pub(super) fn start(&mut self, events: SyncSender<Event>) -> std::io::Result<()> {
        let socket = Arc::clone(&self.socket);
        let thread = std::thread::Builder::new()
            .name("accept".to_owned())
            .spawn(move || accept(&socket, &events))?;
        self.accepting = Some(thread);
        Ok(())
    }

    /// Removes the socket: whoever comes now is told that nobody is there. Does not wait for the thread that accepts, which may
    /// itself wait for the one that calls this.
    pub(super) fn unlink(&self) {
        let _ = std::fs::remove_file(&self.path);
        self.wake();
    }

    /// Ends the thread that accepts; the queue of events must be closed or read by somebody else.
    pub(super) fn stop(&mut self) {
        self.unlink();
        if let Some(thread) = self.accepting.take() {
            let _ = thread.join();
        }
    }

    fn wake(&self) {
        // On Linux this wakes the thread that accepts, with EINVAL (unix(7), af_unix.c unix_accept).
        let _ = rustix::net::shutdown(&*self.socket, rustix::net::Shutdown::Both);
    }
}

fn accept(socket: &UnixListener, events: &SyncSender<Event>) {
    loop {
        match socket.accept() {
            Ok((stream, _)) => {
                let Ok(peer) = rustix::net::sockopt::socket_peercred(&stream) else {
                    continue;
                };
                let uid = peer.uid.as_raw();
                if events.send(Event::ClientNew(stream, uid)).is_err() {
                    return;
                }
            }
            Err(error) => match error.kind() {
                ErrorKind::InvalidInput => return,
                ErrorKind::Interrupted | ErrorKind::ConnectionAborted => {}
                _ => {
                    tracing::warn!(%error, "cannot accept a connection");
                    std::thread::sleep(ACCEPT_PAUSE);
                }
            },
        }
    }
}

fn check_folder(folder: &Path) -> Result<(), String> {
    let shown = folder.display();
    let found = std::fs::metadata(folder).map_err(|error| {
        format!("{shown}: {error}; create it, owned by the engine's user, mode 0700 or 0755")
    })?;
    if !found.is_dir() {
        return Err(format!("{shown} is not a folder"));
    }
    let us = rustix::process::geteuid().as_raw();
    if found.uid() != us && found.uid() != 0 {
        return Err(format!(
            "{shown} belongs to user {}: it must be the engine's or root's",
            found.uid()
        ));
    }
    if found.mode() & 0o022 != 0 {
        return Err(format!(
            "others may write to {shown} (mode {:o}): take that right away, or use a folder of its own",
            found.mode() & 0o7777
        ));
    }
    Ok(())
}

fn lock(path: &Path) -> Result<OwnedFd, String> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let shown = Path::new(&name).display().to_string();
    let file = file::open(Path::new(&name), file::Access::ReadWrite, Rights::Owner)
        .map_err(|error| format!("{shown}: {error}"))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file.into()),
        Err(rustix::io::Errno::WOULDBLOCK) => Err("another engine is running on it".to_owned()),
        Err(error) => Err(format!("{shown}: {error}")),
    }
}

/// Who that user is to this engine.
pub(super) fn caller_of(uid: u32, allowed: &[u32]) -> CallerKind {
    CallerKind::of(Some(uid), rustix::process::geteuid().as_raw(), allowed)
}

/// Reads the frames of one caller into events until it closes, breaks the rules or stalls inside a frame.
pub(super) fn read_client(id: u64, stream: UnixStream, events: &SyncSender<Event>) {
    use crate::engine::ipc::blocking::{Incoming, read_frame};
    let mut stream = stream;
    loop {
        match read_frame(&mut stream) {
            Ok(Incoming::Frame(frame)) => {
                if events.send(Event::ClientFrame(id, frame)).is_err() {
                    return;
                }
            }
            Ok(Incoming::Idle) => {}
            Ok(Incoming::Closed) => break,
            Err(error) => {
                tracing::warn!(client = id, %error, "connection of a caller ended");
                break;
            }
        }
    }
    // When nobody receives it, the supervisor is ending.
    let _ = events.send(Event::ClientGone(id));
}
