//! What a part of the engine does to itself before it touches anything that matters.

use rustix::fd::AsFd;
use rustix::process::{DumpableBehavior, Resource, Rlimit, Signal};
use std::ffi::OsString;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// What lists of processes call this one: started by `/proc/self/exe`, it would be `exe`.
const NAME: &std::ffi::CStr = c"pfx-connector";

/// Files and connections that custody and the supervisor may have open: threads of the largest pool with what their tokens open, and a
/// few for each connection. One that leaks ends at this instead of at the system's.
pub const OPEN_FILES: u64 = 4096;

/// Bounds of a process; `None` leaves the system's.
#[derive(Debug, Clone, Copy, Default)]
pub struct Limits {
    /// RLIMIT_AS in bytes.
    pub address_space_bytes: Option<u64>,
    /// RLIMIT_CPU in seconds.
    pub cpu_seconds: Option<u64>,
    /// RLIMIT_NOFILE.
    pub open_files: Option<u64>,
    /// Keep all memory, now and later, out of swap.
    pub lock_memory: bool,
    /// Live on when the process that started this one is gone: for the first process.
    pub outlives_parent: bool,
}

/// Set in the environment of the process that was started anew by [`leave_inherited_behind`].
const STARTED_ANEW: &str = "PFX_CONNECTOR_STARTED_ANEW";

/// Gets rid of descriptors that whoever started this program has left open, beside the three standard ones: they are marked, and the program
/// takes its own place, which closes them. Does nothing when there are none. Before anything is opened, with the arguments of the process.
///
/// Returns a sentence when the system did not allow it.
#[must_use]
pub fn leave_inherited_behind(arguments: &[OsString]) -> Option<String> {
    let is_second = std::env::var_os(STARTED_ANEW).is_some();
    // One is the folder that is being read.
    let open = std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    if let Err(error) = hsm::descriptors::keep_from_other_programs() {
        return Some(format!(
            "descriptors that were inherited stay open, in the engine's parts too: {error}"
        ));
    }
    if open <= 4 || is_second {
        return None;
    }
    let program = std::env::current_exe().ok()?;
    let error = Command::new(program)
        .args(arguments.iter().skip(1))
        .env(STARTED_ANEW, "1")
        .exec();
    Some(format!(
        "descriptors that were inherited stay open in the supervisor: {error}"
    ))
}

/// Makes this process unreadable to others of the same user (not dumpable, so neither core file nor debugger), unable to gain
/// rights by exec, dead when its parent dies, and bounded. Returns a sentence for each measure that the system did not allow.
#[must_use]
pub fn protect(limits: Limits) -> Vec<String> {
    let mut notes = Vec::new();
    // A name is for people: nothing depends on it.
    let _ = rustix::thread::set_name(NAME);
    let mut note = |what: &str, done: rustix::io::Result<()>| {
        if let Err(error) = done {
            notes.push(format!("{what}: {error}"));
        }
    };
    note("core dumps are not switched off", limit(Resource::Core, 0));
    note(
        "other processes of the same user may read its memory",
        rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable),
    );
    note(
        "it may gain rights by exec",
        rustix::thread::set_no_new_privs(true),
    );
    if !limits.outlives_parent {
        note(
            "it does not die at once with its parent",
            rustix::process::set_parent_process_death_signal(Some(Signal::KILL)),
        );
    }
    if let Some(bytes) = limits.address_space_bytes {
        note(
            "its address space is not bounded",
            limit(Resource::As, bytes),
        );
    }
    if let Some(seconds) = limits.cpu_seconds {
        note(
            "its processor time is not bounded",
            limit(Resource::Cpu, seconds),
        );
    }
    if let Some(files) = limits.open_files {
        note(
            "its open files are not bounded",
            limit(Resource::Nofile, files),
        );
    }
    if limits.lock_memory {
        note(
            "its memory may be swapped out (raise LimitMEMLOCK)",
            lock_memory(),
        );
    }
    notes
}

/// Locks all memory, but only where no limit can make a later allocation fail because of it.
fn lock_memory() -> rustix::io::Result<()> {
    use rustix::mm::{MlockAllFlags, mlockall};
    let unlimited = rustix::process::getrlimit(Resource::Memlock)
        .current
        .is_none();
    if !unlimited && !rustix::process::geteuid().is_root() {
        return Err(rustix::io::Errno::PERM);
    }
    mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT)
}

fn limit(resource: Resource, value: u64) -> rustix::io::Result<()> {
    // Never above what somebody has set already.
    let maximum = rustix::process::getrlimit(resource).maximum;
    let value = maximum.map_or(value, |maximum| maximum.min(value));
    rustix::process::setrlimit(
        resource,
        Rlimit {
            current: Some(value),
            maximum: Some(value),
        },
    )
}

/// Has this process ignore what a terminal or a service manager sends to the whole group: the supervisor decides when it ends, by
/// closing the connection. A file that may not grow any more (RLIMIT_FSIZE) is a write that fails, like that of a full disk.
///
/// # Errors
/// When the system does not allow it.
pub fn ignore_terminal_signals() -> std::io::Result<()> {
    for signal in [
        signal_hook::consts::SIGINT,
        signal_hook::consts::SIGTERM,
        signal_hook::consts::SIGHUP,
        signal_hook::consts::SIGXFSZ,
    ] {
        signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false)))?;
    }
    Ok(())
}

/// The supervisor's socket, which was passed as standard input.
///
/// # Errors
/// When standard input is something else: then nobody started this process as it has to be started.
pub fn supervisor_socket() -> std::io::Result<UnixStream> {
    let input = std::io::stdin();
    let is_socket = rustix::net::sockopt::socket_domain(input.as_fd())
        .is_ok_and(|domain| domain == rustix::net::AddressFamily::UNIX);
    if !is_socket {
        return Err(std::io::Error::other(
            "standard input is not the supervisor's socket: this is started by the command engine, not by hand",
        ));
    }
    Ok(UnixStream::from(input.as_fd().try_clone_to_owned()?))
}

/// Ends this process for certain: the ordinary way first, and by a signal if that hangs in somebody else's clean-up.
pub fn exit(code: i32) -> ! {
    // A thread inside the PKCS#11 module may hold what the module's own exit handler wants.
    let last_resort = std::thread::Builder::new().spawn(|| {
        std::thread::sleep(std::time::Duration::from_secs(2));
        let _ = rustix::process::kill_process(rustix::process::getpid(), Signal::KILL);
    });
    if last_resort.is_err() {
        let _ = rustix::process::kill_process(rustix::process::getpid(), Signal::KILL);
    }
    std::process::exit(code)
}

/// Has a panic of any thread end this process, so that the supervisor replaces it: a thread that is missing would be noticed by
/// nobody. The panic's message is not logged, because it may quote what was being worked on.
pub fn end_on_panic(part: &'static str) {
    std::panic::set_hook(Box::new(move |panic| {
        let place = panic.location().map(ToString::to_string);
        tracing::error!(
            part,
            place,
            "a thread panicked: this process ends and is replaced"
        );
        std::process::abort();
    }));
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        missing_docs
    )]
    use super::*;

    /// Set for the process in which the panic happens.
    const INNER: &str = "PFX_CONNECTOR_TEST_PANIC";

    #[test]
    fn a_panic_in_a_thread_ends_the_process_and_does_not_tell_its_message() {
        if std::env::var_os(INNER).is_some() {
            let _ = protect(Limits::default());
            end_on_panic("test");
            let _ = std::thread::spawn(|| panic!("the secret is hunter2")).join();
            return;
        }
        let output = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "--nocapture",
                "engine::hardening::tests::a_panic_in_a_thread_ends_the_process_and_does_not_tell_its_message",
            ])
            .env(INNER, "1")
            .output()
            .unwrap();
        assert_eq!(output.status.code(), None, "{:?}", output.status);
        let told = [output.stdout, output.stderr].concat();
        assert!(!String::from_utf8_lossy(&told).contains("hunter2"));
    }
}
