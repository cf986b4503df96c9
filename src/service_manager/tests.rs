#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]
use super::beats::UNWATCHED;
use super::*;
use std::io::ErrorKind;
use std::sync::Arc;

/// The manager's side: a socket in a folder of the test.
struct Manager {
    folder: tempfile::TempDir,
    socket: UnixDatagram,
}

impl Manager {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = UnixDatagram::bind(folder.path().join("notify")).unwrap();
        socket.set_nonblocking(true).unwrap();
        Self { folder, socket }
    }

    fn notifier(&self, watchdog: Option<Duration>) -> Arc<Notifier> {
        let path = self.folder.path().join("notify");
        Arc::new(Notifier::to(path.as_os_str(), watchdog).unwrap())
    }

    /// The next message that is there already.
    fn heard(&self) -> Option<String> {
        let mut buffer = [0; 4096];
        match self.socket.recv(&mut buffer) {
            Ok(length) => Some(String::from_utf8(buffer[..length].to_vec()).unwrap()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            Err(error) => panic!("{error}"),
        }
    }

    fn count(&self, message: &str) -> usize {
        std::iter::from_fn(|| self.heard())
            .filter(|heard| heard == message)
            .count()
    }
}

#[test]
fn every_state_is_one_datagram_with_its_status() {
    let manager = Manager::new();
    let notifier = manager.notifier(None);
    assert!(notifier.ready("serving"));
    assert_eq!(manager.heard().unwrap(), "READY=1\nSTATUS=serving");
    assert!(notifier.reloading());
    assert_eq!(
        manager.heard().unwrap(),
        "RELOADING=1\nSTATUS=reading the configuration again"
    );
    assert!(notifier.beat());
    assert_eq!(manager.heard().unwrap(), "WATCHDOG=1");
    assert!(notifier.stopping("stopping"));
    assert_eq!(manager.heard().unwrap(), "STOPPING=1\nSTATUS=stopping");
    assert_eq!(manager.heard(), None);
}

#[test]
fn the_same_status_is_told_once() {
    let manager = Manager::new();
    let notifier = manager.notifier(None);
    notifier.ready("serving");
    manager.heard().unwrap();
    notifier.status("serving");
    assert_eq!(manager.heard(), None);
    notifier.status("waiting");
    notifier.status("waiting");
    assert_eq!(manager.heard().unwrap(), "STATUS=waiting");
    assert_eq!(manager.heard(), None);
}

#[test]
fn a_status_cannot_say_anything_but_a_status_and_is_bounded() {
    let manager = Manager::new();
    let notifier = manager.notifier(None);
    notifier.status("from a peer\nREADY=1\nMAINPID=1");
    assert_eq!(
        manager.heard().unwrap(),
        "STATUS=from a peer READY=1 MAINPID=1"
    );
    notifier.status(&"é".repeat(10_000));
    assert_eq!(manager.heard().unwrap().len(), "STATUS=".len() + 500);
}

#[test]
fn an_abstract_socket_is_told_too_and_nobody_is_no_error() {
    let folder = tempfile::tempdir().unwrap();
    let name = folder.path().as_os_str().as_bytes();
    let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(name).unwrap()).unwrap();
    let named = [b"@", name].concat();
    let notifier = Notifier::to(OsStr::from_bytes(&named), None).unwrap();
    assert!(notifier.ready("serving"));
    let mut buffer = [0; 64];
    let length = socket.recv(&mut buffer).unwrap();
    assert_eq!(&buffer[..length], b"READY=1\nSTATUS=serving");
    let silent = Notifier::default();
    assert!(silent.ready("serving") && silent.beat() && !silent.is_heard());
}

#[test]
fn what_could_not_be_told_is_said_so_and_told_again() {
    let manager = Manager::new();
    let notifier = manager.notifier(None);
    drop(manager.socket);
    assert!(!notifier.ready("serving"));
    let path = manager.folder.path().join("notify");
    std::fs::remove_file(&path).unwrap();
    let socket = UnixDatagram::bind(&path).unwrap();
    notifier.status("serving");
    let mut buffer = [0; 64];
    let length = socket.recv(&mut buffer).unwrap();
    assert_eq!(&buffer[..length], b"STATUS=serving");
}

#[test]
fn the_watchdog_is_the_managers_word_to_this_process() {
    let own = std::process::id().to_string();
    let second = Some(Duration::from_secs(1));
    assert_eq!(watchdog(Some("1000000"), None), second);
    assert_eq!(watchdog(Some("1000000"), Some(&own)), second);
    assert_eq!(watchdog(Some("1000000"), Some("1")), None);
    assert_eq!(watchdog(Some("0"), Some(&own)), None);
    assert_eq!(watchdog(Some("soon"), None), None);
    assert_eq!(watchdog(None, Some(&own)), None);
}

/// The loop of a service, for so many turns of the clock.
async fn serve(beats: &mut Beats, turns: usize, probe: impl Fn() -> bool) {
    for _ in 0..turns {
        beats.due().await;
        let hangs = probe();
        beats.beat(async move {
            if hangs {
                std::future::pending::<()>().await;
            }
        });
        // The probe gets its turn.
        tokio::task::yield_now().await;
    }
}

/// A watchdog that is fed each millisecond.
const SOON: Duration = Duration::from_millis(4);

#[tokio::test]
async fn the_watchdog_is_fed_until_a_probe_hangs_and_never_again() {
    let manager = Manager::new();
    let mut beats = Beats::new(manager.notifier(Some(SOON)));
    serve(&mut beats, 5, || false).await;
    assert_eq!(manager.count("WATCHDOG=1"), 5);
    // The one that sends the hanging probe out is the last.
    serve(&mut beats, 20, || true).await;
    assert_eq!(manager.count("WATCHDOG=1"), 1);
}

#[tokio::test]
async fn beats_are_due_more_often_than_the_watchdog_asks_for() {
    let manager = Manager::new();
    let beats = |watchdog| Beats::new(manager.notifier(watchdog)).period();
    assert_eq!(
        beats(Some(Duration::from_secs(60))),
        Some(Duration::from_secs(15))
    );
    assert_eq!(
        beats(Some(Duration::from_micros(1))),
        Some(Duration::from_millis(1))
    );
    assert_eq!(beats(None), Some(UNWATCHED));
}

#[tokio::test]
async fn nobody_is_fed_who_does_not_watch() {
    let manager = Manager::new();
    let mut beats = Beats::new(manager.notifier(None));
    // Only the first is due at once; the others would be a matter of time.
    serve(&mut beats, 1, || false).await;
    assert_eq!(manager.heard(), None);
    let mut alone = Beats::new(Arc::new(Notifier::default()));
    assert_eq!(alone.period(), None);
    let due = std::pin::pin!(alone.due());
    assert!(futures_poll(due).is_pending());
}

/// What a future says at once.
fn futures_poll<F: Future>(future: std::pin::Pin<&mut F>) -> std::task::Poll<F::Output> {
    future.poll(&mut std::task::Context::from_waker(std::task::Waker::noop()))
}
