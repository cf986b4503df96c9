//! The other side of systemd's notification protocol: a socket of the test in the place of the service manager's.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::{Duration, Instant};

/// Longer than anything takes on a busy machine: reaching it is a failure.
const PATIENCE: Duration = Duration::from_secs(90);

pub const BEAT: &str = "WATCHDOG=1";

/// Hears what one process tells.
pub struct ServiceManager {
    folder: tempfile::TempDir,
    socket: UnixDatagram,
    watchdog: Duration,
}

impl ServiceManager {
    /// One that wants to be told something this often.
    pub fn new(watchdog: Duration) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = UnixDatagram::bind(folder.path().join("notify")).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self {
            folder,
            socket,
            watchdog,
        }
    }

    /// Gives a process the environment that systemd would give it.
    pub fn watches<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command
            .env("NOTIFY_SOCKET", self.folder.path().join("notify"))
            .env("WATCHDOG_USEC", self.watchdog.as_micros().to_string())
    }

    /// The next message.
    pub fn next(&self) -> String {
        let mut buffer = [0; 4096];
        let length = self.socket.recv(&mut buffer).expect("nothing is told");
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    /// Everything up to the message that is as wanted, which is the last.
    pub fn until(&self, what: &str, wanted: impl Fn(&str) -> bool) -> Vec<String> {
        let until = Instant::now() + PATIENCE;
        let mut heard = Vec::new();
        loop {
            heard.push(self.next());
            if wanted(heard.last().unwrap()) {
                return heard;
            }
            assert!(Instant::now() < until, "{what} is not told: {heard:?}");
        }
    }

    /// Everything that has been told already.
    pub fn told(&self) -> Vec<String> {
        self.socket.set_nonblocking(true).unwrap();
        let mut buffer = [0; 4096];
        let mut heard = Vec::new();
        while let Ok(length) = self.socket.recv(&mut buffer) {
            heard.push(String::from_utf8(buffer[..length].to_vec()).unwrap());
        }
        self.socket.set_nonblocking(false).unwrap();
        heard
    }
}

pub fn beats(heard: &[String]) -> usize {
    heard.iter().filter(|message| *message == BEAT).count()
}
