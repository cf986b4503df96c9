//! What a service tells the manager that started it: systemd's notification protocol (sd_notify(3)), one datagram for each message
//! to the socket that `NOTIFY_SOCKET` names. Without one nothing is told, and everything else is as it would be with one.
//!
//! `READY=1` is told when requests are served, not when the process has started. `WATCHDOG=1` is never told by a clock alone: the
//! engine's routing thread tells it while its parts can be kept ready (`engine::supervisor`), and connector and gateway tell it from
//! the loop that does the work, through [`Beats`].

mod beats;

pub use beats::Beats;

use std::ffi::OsStr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The longest status that is told, in bytes; systemd refuses much longer datagrams as a whole.
const MAX_STATUS_BYTES: usize = 500;

/// Speaks to the service manager, or to nobody. No call of it waits.
#[derive(Debug, Default)]
pub struct Notifier {
    socket: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
    /// The status that was told last: the same is not told again.
    told: Mutex<Option<String>>,
}

impl Notifier {
    /// To whom the environment says (`NOTIFY_SOCKET`), with the watchdog that it says (`WATCHDOG_USEC`, `WATCHDOG_PID`:
    /// sd_watchdog_enabled(3)). What cannot be used is logged, and nothing is told then.
    #[must_use]
    pub fn from_environment() -> Self {
        let Some(name) = std::env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty()) else {
            return Self::default();
        };
        let watchdog = watchdog(
            std::env::var("WATCHDOG_USEC").ok().as_deref(),
            std::env::var("WATCHDOG_PID").ok().as_deref(),
        );
        Self::to(&name, watchdog).unwrap_or_else(|error| {
            tracing::warn!(%error, "NOTIFY_SOCKET cannot be used: the service manager is told nothing");
            Self::default()
        })
    }

    /// To the socket of this name: a path, or `@` and the name of an abstract socket.
    ///
    /// # Errors
    /// When it is no name of a socket, or the system has no descriptor to give.
    pub fn to(name: &OsStr, watchdog: Option<Duration>) -> std::io::Result<Self> {
        let address = match name.as_bytes().split_first() {
            Some((b'@', name)) => SocketAddr::from_abstract_name(name)?,
            _ => SocketAddr::from_pathname(name)?,
        };
        let socket = UnixDatagram::unbound()?;
        // Whoever serves must not wait for somebody who does not read.
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket: Some((socket, address)),
            watchdog,
            told: Mutex::default(),
        })
    }

    /// Whether anybody listens, as far as the environment says.
    #[must_use]
    pub fn is_heard(&self) -> bool {
        self.socket.is_some()
    }

    /// After how long without [`beat`](Self::beat) the manager takes this process for hanging; none when it does not watch.
    #[must_use]
    pub fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// It serves. `false` when that could not be told: then it is to be told again.
    pub fn ready(&self, status: &str) -> bool {
        self.with_status("READY=1", status)
    }

    /// It reads its configuration again; [`ready`](Self::ready) ends that.
    pub fn reloading(&self) -> bool {
        self.with_status("RELOADING=1", "reading the configuration again")
    }

    /// It is about to end.
    pub fn stopping(&self, status: &str) -> bool {
        self.with_status("STOPPING=1", status)
    }

    /// What it is doing, in one line, for `systemctl status`.
    pub fn status(&self, status: &str) {
        let status = one_line(status);
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.as_deref() != Some(&status) && self.send(&format!("STATUS={status}")) {
            *told = Some(status);
        }
    }

    /// It is alive. Only for who knows that it is.
    pub fn beat(&self) -> bool {
        self.send("WATCHDOG=1")
    }

    fn with_status(&self, state: &str, status: &str) -> bool {
        let status = one_line(status);
        let sent = self.send(&format!("{state}\nSTATUS={status}"));
        if sent {
            *self.told.lock().unwrap_or_else(PoisonError::into_inner) = Some(status);
        }
        sent
    }

    /// One datagram; `true` also when nobody is there to be told.
    fn send(&self, message: &str) -> bool {
        let Some((socket, address)) = &self.socket else {
            return true;
        };
        match socket.send_to_addr(message.as_bytes(), address) {
            Ok(_) => true,
            Err(error) => {
                tracing::debug!(%error, "the service manager cannot be told");
                false
            }
        }
    }
}

/// A line of a message ends it: what comes after a line end would be a message of its own.
fn one_line(text: &str) -> String {
    let mut line: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let mut end = MAX_STATUS_BYTES.min(line.len());
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    line.truncate(end);
    line
}

/// What the manager's two variables say together.
fn watchdog(usec: Option<&str>, pid: Option<&str>) -> Option<Duration> {
    let ours = pid.is_none_or(|pid| pid.parse() == Ok(std::process::id()));
    let micros = usec?.parse().ok().filter(|micros| *micros > 0 && ours)?;
    Some(Duration::from_micros(micros))
}

#[cfg(test)]
mod tests;
