//! What the engine tells the service manager, by the thread that routes: when it serves, what keeps it from serving, and that it is alive.

use crate::service_manager::Notifier;
use std::time::Instant;

/// Beats in one period of the watchdog.
const BEATS_A_PERIOD: u32 = 4;
/// A part that has not been ready for so many periods of the watchdog is beyond what this process can mend by starting it again.
const PATIENCE_PERIODS: u32 = 8;

/// Not that a token is open: custody is ready as well when it has tried each of them in vain, and goes on trying. `status` tells.
const READY: &str = "custody and formats take requests";

/// What the routing thread sees of its parts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen<'a> {
    /// Whether custody takes work.
    pub(super) custody: bool,
    /// Whether formats takes work.
    pub(super) formats: bool,
    /// Why the cryptographic module does nothing any more, if so.
    pub(super) module_fault: Option<&'a str>,
    /// Whether the engine is to stop.
    pub(super) stopping: bool,
}

impl Seen<'_> {
    fn serves(&self) -> bool {
        self.custody && self.formats
    }

    fn missing(&self) -> &'static str {
        match (self.custody, self.formats) {
            (false, false) => "custody and formats",
            (false, true) => "custody",
            (true, _) => "formats",
        }
    }
}

/// The engine's side of it.
#[derive(Debug, Default)]
pub(super) struct Manager {
    notifier: Notifier,
    ready_told: bool,
    stop_told: bool,
    next_beat: Option<Instant>,
    /// Since when not both parts have been ready.
    lacking_since: Option<Instant>,
}

impl Manager {
    /// Tells this one.
    pub(super) fn new(notifier: Notifier) -> Self {
        Self {
            notifier,
            ..Self::default()
        }
    }

    /// Looks at what there is to tell; called in each round of the routing thread, so that one that hangs tells nothing.
    pub(super) fn look(&mut self, seen: Seen<'_>, now: Instant) {
        if !self.notifier.is_heard() {
            return;
        }
        self.lacking_since = match self.lacking_since {
            _ if seen.serves() => None,
            Some(since) => Some(since),
            None => Some(now),
        };
        if seen.stopping {
            self.next_beat = None;
            self.stop_told =
                self.stop_told || self.notifier.stopping("finishing what is in flight");
            return;
        }
        let gives_up = self.gives_up(seen, now);
        self.tell(seen, gives_up);
        // Before it is ready nobody minds, and the start has a limit of its own.
        if gives_up {
            self.next_beat = None;
        } else if let Some(watchdog) = self.notifier.watchdog()
            && self.next_beat.is_none_or(|at| at <= now)
        {
            self.notifier.beat();
            self.next_beat = Some(now + watchdog / BEATS_A_PERIOD);
        }
    }

    /// When there is something to tell again, besides what events bring.
    pub(super) fn next(&self) -> Option<Instant> {
        self.next_beat
    }

    /// Whether a part is away for so long that another start of the whole engine is to be tried. A module that failed is none of these
    /// cases: the engine stays and refuses everything, until somebody has looked at it.
    fn gives_up(&self, seen: Seen<'_>, now: Instant) -> bool {
        let (Some(watchdog), Some(since)) = (self.notifier.watchdog(), self.lacking_since) else {
            return false;
        };
        seen.module_fault.is_none()
            && now.duration_since(since) >= watchdog.saturating_mul(PATIENCE_PERIODS)
    }

    fn tell(&mut self, seen: Seen<'_>, gives_up: bool) {
        if let Some(fault) = seen.module_fault {
            self.notifier.status(&format!(
                "THE CRYPTOGRAPHIC MODULE HAS FAILED ({fault}): every request is refused until a restart"
            ));
        } else if gives_up {
            self.notifier.status(&format!(
                "{} cannot be kept ready: the watchdog is not fed any more",
                seen.missing()
            ));
        } else if !seen.serves() {
            self.notifier
                .status(&format!("waiting for {}", seen.missing()));
        } else if self.ready_told {
            self.notifier.status(READY);
        } else {
            self.ready_told = self.notifier.ready(READY);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        missing_docs
    )]
    use super::*;
    use std::os::unix::net::UnixDatagram;
    use std::time::Duration;

    const SECOND: Duration = Duration::from_secs(1);
    const SERVING: Seen<'static> = Seen {
        custody: true,
        formats: true,
        module_fault: None,
        stopping: false,
    };
    const STARTING: Seen<'static> = Seen {
        custody: false,
        ..SERVING
    };

    struct Scene {
        _folder: tempfile::TempDir,
        socket: UnixDatagram,
        manager: Manager,
        now: Instant,
    }

    impl Scene {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("notify");
            let socket = UnixDatagram::bind(&path).unwrap();
            socket.set_nonblocking(true).unwrap();
            let notifier = Notifier::to(path.as_os_str(), Some(4 * SECOND)).unwrap();
            Self {
                _folder: folder,
                socket,
                manager: Manager::new(notifier),
                now: Instant::now(),
            }
        }

        /// One round of the routing thread each second; what was told.
        fn rounds(&mut self, count: u32, seen: Seen<'_>) -> Vec<String> {
            let mut told = Vec::new();
            for _ in 0..count {
                self.manager.look(seen, self.now);
                self.now += SECOND;
                let mut buffer = [0; 1024];
                while let Ok(length) = self.socket.recv(&mut buffer) {
                    told.push(String::from_utf8(buffer[..length].to_vec()).unwrap());
                }
            }
            told
        }
    }

    fn beats(told: &[String]) -> usize {
        told.iter().filter(|said| *said == "WATCHDOG=1").count()
    }

    #[test]
    fn ready_is_told_once_both_parts_are_and_once_only() {
        let mut scene = Scene::new();
        let starting = scene.rounds(3, STARTING);
        assert_eq!(starting[0], "STATUS=waiting for custody");
        assert!(!starting.iter().any(|said| said.contains("READY=1")));
        let served = scene.rounds(3, SERVING);
        assert_eq!(served[0], format!("READY=1\nSTATUS={READY}"));
        assert_eq!(served.len(), 1 + beats(&served), "{served:?}");
        // A part that is replaced does not make the start of the engine undone.
        scene.rounds(3, STARTING);
        let again = scene.rounds(3, SERVING);
        assert_eq!(again[0], format!("STATUS={READY}"));
        assert!(!again.iter().any(|said| said.contains("READY=1")));
    }

    #[test]
    fn the_watchdog_is_fed_in_time_while_a_part_is_replaced_and_no_longer() {
        let mut scene = Scene::new();
        assert_eq!(beats(&scene.rounds(40, SERVING)), 40);
        assert_eq!(beats(&scene.rounds(32, STARTING)), 32);
        let given_up = scene.rounds(10, STARTING);
        assert_eq!(
            given_up,
            ["STATUS=custody cannot be kept ready: the watchdog is not fed any more"]
        );
        // Should it come after all.
        assert_eq!(beats(&scene.rounds(2, SERVING)), 2);
    }

    #[test]
    fn a_failed_module_is_told_and_does_not_start_the_engine_again() {
        let mut scene = Scene::new();
        scene.rounds(2, SERVING);
        let failed = Seen {
            custody: false,
            module_fault: Some("self_test_failed"),
            ..SERVING
        };
        let told = scene.rounds(100, failed);
        assert_eq!(beats(&told), 100);
        let status = told
            .iter()
            .find(|said| said.starts_with("STATUS="))
            .unwrap();
        assert!(status.contains("(self_test_failed)"), "{status}");
    }

    #[test]
    fn stopping_is_told_once_and_ends_the_beats() {
        let mut scene = Scene::new();
        scene.rounds(2, SERVING);
        let stopping = Seen {
            stopping: true,
            ..SERVING
        };
        assert_eq!(
            scene.rounds(5, stopping),
            ["STOPPING=1\nSTATUS=finishing what is in flight"]
        );
    }
}
