//! Each sandbox from inside: what has to be refused is tried, system call by system call, in a process of its own that has put the profile in
//! force; as on this kernel, and as on one with the Landlock ABI of Debian 12's own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::symlink;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};

use sandbox::{HIGHEST_TRIED_ABI, Kernel};

/// EPERM and EACCES (errno(3)).
const DENIED: [i32; 2] = [1, 13];
/// SIGSYS.
const BAD_CALL: i32 = 31;

/// Cargo builds the examples of a package for its tests, next to their programs' folder.
fn program() -> PathBuf {
    let programs = std::env::current_exe().unwrap();
    let path = programs
        .ancestors()
        .nth(2)
        .unwrap()
        .join("examples/attempts");
    assert!(
        path.exists(),
        "{} is missing: run `cargo build -p hsm --examples`",
        path.display()
    );
    path
}

/// A folder that the profile lets write, another that it does not, and a process to attack.
struct Scene {
    folder: tempfile::TempDir,
    victim: Child,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["inside", "outside"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        let outside = folder.path().join("outside/secret");
        std::fs::write(&outside, "a secret").unwrap();
        symlink(&outside, folder.path().join("inside/link")).unwrap();
        let victim = Command::new("/bin/sleep").arg("600").spawn().unwrap();
        Self { folder, victim }
    }

    fn outside(&self) -> PathBuf {
        self.folder.path().join("outside/secret")
    }

    fn attempt(&self, profile: &str, abi: u8, only: Option<&str>) -> Output {
        Command::new(program())
            .args([profile, &abi.to_string()])
            .arg(self.outside())
            .arg(self.folder.path().join("inside"))
            .arg(self.victim.id().to_string())
            .args(only)
            .stdin(File::open(self.outside()).unwrap())
            .output()
            .unwrap()
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = self.victim.kill();
        let _ = self.victim.wait();
    }
}

/// What came of each attempt: 0 or the error number.
fn outcomes(output: &Output) -> BTreeMap<String, i32> {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| line.split_once('\t'))
        .map(|(name, outcome)| (name.to_owned(), outcome.parse().unwrap()))
        .collect()
}

fn names() -> Vec<String> {
    let scene = Scene::new();
    let all = outcomes(&scene.attempt("custody-softhsm", HIGHEST_TRIED_ABI, None));
    assert!(all.len() >= 45, "{all:?}");
    all.into_keys().collect()
}

/// The kernels that are tried: this one, and one like Debian 12's own.
fn kernels() -> [u8; 2] {
    let abi = Kernel::running().landlock_abi();
    assert!(
        abi >= 2 && Kernel::running().has_seccomp(),
        "this test needs a kernel with Landlock (ABI 2 or newer) and seccomp: it has {abi}"
    );
    [abi, 2]
}

/// What is left to a profile on purpose, among the attempts.
fn allowed(profile: &str) -> &'static [&'static str] {
    match profile {
        "custody-opencryptoki" | "custody-tpm2" => &["unix socket"],
        "custody-network" => &["unix socket", "inet socket", "inet6 datagram socket"],
        _ => &[],
    }
}

fn everything_is_refused(profile: &str, abi: u8) {
    let scene = Scene::new();
    for (name, outcome) in outcomes(&scene.attempt(profile, abi, None)) {
        let denied = DENIED.contains(&outcome);
        assert_eq!(
            denied,
            !allowed(profile).contains(&name.as_str()),
            "{profile}, Landlock ABI {abi}: {name}: {outcome}"
        );
    }
    assert_eq!(std::fs::read(scene.outside()).unwrap(), b"a secret");
}

#[test]
fn without_a_sandbox_none_of_the_attempts_is_denied() {
    const FOR_ROOT: [&str; 5] = ["packet socket", "mount", "chroot", "bpf", "perf_event_open"];
    let is_root = rustix::process::geteuid().is_root();
    for name in names() {
        // Each in a process and a folder of its own, for they change both.
        let scene = Scene::new();
        let outcome = outcomes(&scene.attempt("none", 0, Some(&name)))[&name];
        if is_root || !FOR_ROOT.contains(&name.as_str()) {
            assert!(!DENIED.contains(&outcome), "{name}: {outcome}");
        }
        if name == "mount" && outcome == 0 {
            let inside = scene.folder.path().join("inside");
            let status = Command::new("umount").arg(&inside).status().unwrap();
            assert!(status.success());
        }
    }
}

#[test]
fn custody_with_a_token_of_files_is_refused_everything() {
    for abi in kernels() {
        for kind in ["softhsm", "kryoptic"] {
            everything_is_refused(&format!("custody-{kind}"), abi);
        }
    }
}

#[test]
fn custody_with_a_module_that_loads_others_late_is_refused_everything_too() {
    for abi in kernels() {
        everything_is_refused("custody-nss", abi);
    }
}

#[test]
fn custody_with_a_daemon_has_unix_sockets_and_nothing_else() {
    for abi in kernels() {
        for kind in ["opencryptoki", "tpm2"] {
            everything_is_refused(&format!("custody-{kind}"), abi);
        }
    }
}

#[test]
fn custody_with_a_token_in_the_network_has_sockets_and_nothing_else() {
    for abi in kernels() {
        everything_is_refused("custody-network", abi);
    }
}

#[test]
fn the_formats_process_is_killed_over_each_of_them() {
    for abi in kernels() {
        for name in names() {
            let scene = Scene::new();
            let output = scene.attempt("formats", abi, Some(&name));
            let denied = outcomes_before_death(&output).get(&name).copied();
            // clone3 is answered like by an old kernel, for the C library's sake.
            let spared = name == "clone3" && denied == Some(1);
            assert!(
                spared || output.status.signal() == Some(BAD_CALL),
                "Landlock ABI {abi}: {name}: {output:?}"
            );
        }
    }
}

fn outcomes_before_death(output: &Output) -> BTreeMap<String, i32> {
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| line.split_once('\t'))
        .map(|(name, outcome)| (name.to_owned(), outcome.parse().unwrap()))
        .collect()
}

#[test]
fn the_supervisor_reaches_no_network_and_no_file_outside_and_becomes_no_other_program() {
    for abi in kernels() {
        let scene = Scene::new();
        let found = outcomes(&scene.attempt("supervisor-softhsm", abi, None));
        for name in [
            "inet socket",
            "inet6 datagram socket",
            "unix socket",
            "netlink socket",
            "packet socket",
            "file read",
            "file written",
            "file made",
            "folder listed",
            "file by a symbolic link",
            "file by /proc/self/root",
            "file moved in",
            "link to a file",
            "process_vm_readv",
            "process_vm_writev",
            "ptrace",
            "mount",
            "unshare",
            "setns",
            "io_uring_setup",
            "bpf",
            "keyctl",
            "memory that is written and run",
            "memory made executable",
        ] {
            assert!(
                DENIED.contains(&found[name]),
                "ABI {abi}: {name}: {}",
                found[name]
            );
        }
    }
}

#[test]
fn a_program_outside_of_the_list_cannot_be_started_by_the_supervisors_profile() {
    // execve(2) itself is allowed to it, so that Landlock is what refuses: EACCES for a program that is there.
    assert!(Path::new("/bin/true").exists());
    for abi in kernels() {
        let profile = {
            let custody = sandbox::engine::custody(&[sandbox::modules::named("softhsm").unwrap()]);
            sandbox::engine::supervisor(&custody)
        };
        let kernel = Kernel::running().with_landlock_abi_at_most(abi);
        // On a thread of its own, and Landlock alone: seccomp would be for all threads of this test.
        let kernel = kernel.without_seccomp();
        let error = std::thread::spawn(move || {
            sandbox::apply(&profile, &kernel, sandbox::Want::Available).unwrap();
            Command::new("/bin/true").status().unwrap_err()
        })
        .join()
        .unwrap();
        assert_eq!(error.raw_os_error(), Some(13), "{error}");
    }
}
