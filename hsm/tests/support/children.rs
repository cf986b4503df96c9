//! Programs that a token needs, and that end with the test program however that ends.

use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a service may take until it answers.
const LIMIT: Duration = Duration::from_secs(30);

struct Order {
    command: Command,
    answer: Sender<std::io::Result<Child>>,
}

/// The thread that starts them. The signal for a parent's death (prctl, PR_SET_PDEATHSIG) is about the thread that forked, and a
/// test's thread ends with its test: so it is one that never ends.
static KEEPER: Mutex<Option<Sender<Order>>> = Mutex::new(None);

fn keep(orders: &Receiver<Order>) {
    while let Ok(mut order) = orders.recv() {
        let _ = order.answer.send(order.command.spawn());
    }
}

/// Starts `program`, which is killed at the latest when this process ends. `remedy`: what to do where it is not there.
pub fn spawn(program: &str, remedy: &str, prepare: impl FnOnce(&mut Command)) -> Child {
    super::tools::on_path(program, remedy);
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--", program]);
    prepare(&mut command);
    let mut keeper = KEEPER.lock().unwrap_or_else(PoisonError::into_inner);
    let orders = keeper.get_or_insert_with(|| {
        let (orders, received) = channel();
        std::thread::spawn(move || keep(&received));
        orders
    });
    let (answer, child) = channel();
    orders.send(Order { command, answer }).unwrap();
    child
        .recv()
        .unwrap()
        .unwrap_or_else(|error| panic!("setpriv (package util-linux): {error}"))
}

/// Ends a child at once, and waits for its end.
pub fn kill(child: &mut Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Waits until `is_ready` of a child's service; its end is a failure.
pub fn wait_until(child: &mut Child, what: &str, mut is_ready: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_ready() {
        if let Some(status) = child.try_wait().unwrap() {
            panic!("{what} ended: {status}");
        }
        assert!(start.elapsed() < LIMIT, "{what} does not answer");
        std::thread::sleep(Duration::from_millis(5));
    }
}
