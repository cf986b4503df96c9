//! openCryptoki with its soft token, from the distribution's package.
//!
//! Its paths are fixed: /etc/opencryptoki, /var/lib/opencryptoki, /run, /dev/shm and a key for shared memory. So the whole test program
//! runs in a mount namespace and an IPC namespace of its own, in which these are empty and belong to nobody else: it executes itself
//! again in there, and everything is gone with its last process.

use std::io::Write as _;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use super::{children, tools};

const REMEDY: &str = "install the package opencryptoki";
/// Set in the namespace.
const INSIDE: &str = "PFX_TEST_OPENCRYPTOKI";
/// What a token has before anybody has set its security officer's PIN (openCryptoki documentation, pkcsconf).
const FIRST_SO_PIN: &str = "87654321";

/// Makes the fixed places private ones, then becomes the program. The group that the service gives its files to is root's own, since
/// in a user namespace there is no other.
const PRIVATE_PLACES: &str = r#"
set -e
for place in /run /dev/shm /etc/opencryptoki /var/lib/opencryptoki; do
    mount -t tmpfs -o mode=0755 private "$place"
done
printf 'root:x:0:\npkcs11:x:0:root\n' >/run/group
mount --bind /run/group /etc/group
exec "$@"
"#;

pub struct OpenCryptoki {
    pub module: PathBuf,
    /// Where the token is.
    pub token: PathBuf,
}

static DAEMON: Mutex<Option<Child>> = Mutex::new(None);

/// Goes on in the namespace. To be called before this process has done anything that has to last: it begins anew.
pub fn enter() {
    if std::env::var_os(INSIDE).is_some() {
        return;
    }
    tools::on_path("pkcsslotd", REMEDY);
    let own: &[&str] = if rustix::process::geteuid().is_root() {
        &["--mount", "--ipc"]
    } else {
        &["--map-root-user", "--mount", "--ipc"]
    };
    tools::run(
        Command::new("unshare")
            .args(own)
            .args(["mount", "-t", "tmpfs", "private", "/run"]),
        "openCryptoki's paths are fixed, so its tests need a mount namespace of their own: run them as root with CAP_SYS_ADMIN (a \
         container needs that capability), or where users may have namespaces",
    );
    let error = Command::new("unshare")
        .args(own)
        .args(["sh", "-c", PRIVATE_PLACES, "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(std::env::args_os().skip(1))
        .env(INSIDE, "yes")
        .exec();
    panic!("unshare (package util-linux): {error}");
}

/// The service with one token, `test-0`. Only in the namespace.
///
/// One, because several soft tokens in one process share what they should not: a login to one is a login to all.
pub fn set_up(so_pin: &str, user_pin: &str) -> OpenCryptoki {
    let module = tools::module(
        "OPENCRYPTOKI_MODULE",
        tools::library("opencryptoki/libopencryptoki.so.0"),
        REMEDY,
    );
    for folder in [
        "/run/lock/opencryptoki/token",
        "/var/lib/opencryptoki/token/TOK_OBJ",
    ] {
        std::fs::create_dir_all(folder).unwrap();
    }
    std::fs::write(
        "/etc/opencryptoki/opencryptoki.conf",
        "version opencryptoki-3.1\nslot 0\n{\nstdll = libpkcs11_sw.so\ntokname = token\n}\n",
    )
    .unwrap();
    start_daemon();
    initialise(so_pin, user_pin);
    OpenCryptoki {
        module,
        token: "/var/lib/opencryptoki/token".into(),
    }
}

/// pkcsconf asks for what is not given; nothing is left to ask for but the label.
fn pkcsconf(arguments: &[&str], input: &str) {
    let mut child = Command::new("pkcsconf")
        .args(["-c", "0"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("pkcsconf: {error}: {REMEDY}"));
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).unwrap();
    drop(stdin);
    let status = child.wait().unwrap();
    assert!(status.success(), "pkcsconf {arguments:?}: {status}");
}

/// The first PINs are to be changed before anything else works; a user PIN that the security officer has set, too.
fn initialise(so_pin: &str, user_pin: &str) {
    const FIRST_USER_PIN: &str = "1234567";
    pkcsconf(&["-I", "-S", FIRST_SO_PIN], "test-0\n");
    pkcsconf(&["-P", "-S", FIRST_SO_PIN, "-n", so_pin], "");
    pkcsconf(&["-u", "-S", so_pin, "-n", FIRST_USER_PIN], "");
    pkcsconf(&["-p", "-U", FIRST_USER_PIN, "-n", user_pin], "");
}

/// Starts pkcsslotd, and waits until it answers.
pub fn start_daemon() {
    let mut daemon = DAEMON.lock().unwrap_or_else(PoisonError::into_inner);
    assert!(daemon.is_none(), "there is one");
    let mut child = children::spawn("pkcsslotd", REMEDY, |command| {
        command
            .arg("-f")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
    });
    // Its socket is there before it answers: its own tool is the one that knows.
    children::wait_until(&mut child, "pkcsslotd", || {
        let mut ask = Command::new("pkcsconf");
        ask.arg("-i").stdout(Stdio::null()).stderr(Stdio::null());
        ask.status().is_ok_and(|status| status.success())
    });
    *daemon = Some(child);
}

/// Kills pkcsslotd as a crash would.
pub fn kill_daemon() {
    let mut daemon = DAEMON.lock().unwrap_or_else(PoisonError::into_inner);
    children::kill(&mut daemon.take().expect("there is none"));
}
