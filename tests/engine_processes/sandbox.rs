//! The engine's sandbox, from outside and from inside: what the kernel says of its processes, and what a hostile PKCS#11 module gets done.

use super::engine::{Engine, Options, crash, part, wait_until};
use super::openssl::{KeyAlgorithm, Workshop};
use super::requests::DEADLINE;
use super::softhsm::{SoftHsm, TOKEN_LABEL};
use ::sandbox::{Family, HIGHEST_TRIED_ABI, Kernel, Violation, Want};
use pfx_connector::engine::api::EngineStatus;
use rustix::process::Signal;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

/// EPERM and EACCES (errno(3)).
const DENIED: [i32; 2] = [1, 13];

/// A status in which all three parts have spoken.
fn complete(status: &EngineStatus) -> bool {
    status.parts.iter().all(|part| part.sandbox.is_some())
        && (status.token.is_some() || status.token_problem.is_some())
}

fn field(text: &str, name: &str) -> String {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap().trim_start_matches(':').trim().to_owned()
}

#[tokio::test]
async fn every_thread_of_every_process_is_in_its_sandbox_and_the_status_says_so() {
    let workshop = Workshop::new();
    let authority = workshop.authority("Devices", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    let engine = Engine::start(&token, &authority, &Options::default());
    let client = engine.ready_client().await;
    let status = engine
        .wait_for(&client, "word of all parts", complete)
        .await;
    for name in ["supervisor", "custody", "formats"] {
        let found = part(&status, name);
        let said = found.sandbox.as_ref().unwrap();
        assert!(said.is_in_force(), "{name}: {said:?}");
        assert_eq!(said.want, Want::Available);
        assert_eq!(said.lacking, Vec::<String>::new(), "{name}");
        assert_eq!(said.absent, Vec::<PathBuf>::new(), "{name}");
        assert!(!said.families.contains(&Family::Inet), "{name}");
        assert!(found.is_filtered(), "{name}: {:?}", found.kernel);
        let threads = std::fs::read_dir(format!("/proc/{}/task", found.pid.unwrap())).unwrap();
        for thread in threads {
            // One that has just ended.
            let Ok(text) = std::fs::read_to_string(thread.unwrap().path().join("status")) else {
                continue;
            };
            assert_eq!(field(&text, "Seccomp"), "2", "{name}");
            assert_eq!(field(&text, "NoNewPrivs"), "1", "{name}");
        }
    }
    let custody = part(&status, "custody").sandbox.as_ref().unwrap();
    assert_eq!(custody.profile, "custody (softhsm)");
    assert!(!custody.maps_code);
    assert!(custody.families.is_empty());
    assert!(custody.calls <= 68, "{}", custody.calls);
    let formats = part(&status, "formats").sandbox.as_ref().unwrap();
    assert_eq!((formats.paths, formats.violation), (0, Violation::Kill));
    assert!(formats.calls <= 38, "{}", formats.calls);
}

/// An engine whose PKCS#11 module tries to get out, and what came of it.
async fn attempts_of_a_hostile_module(arguments: Vec<&'static str>) -> Vec<(String, i32)> {
    let workshop = Workshop::new();
    let authority = workshop.authority("Devices", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    let (inside, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let secret = outside.path().join("secret");
    std::fs::write(&secret, "a secret").unwrap();
    symlink(&secret, inside.path().join("link")).unwrap();
    let programs = std::env::current_exe().unwrap();
    let module = programs
        .ancestors()
        .nth(2)
        .unwrap()
        .join("examples/libhostile_pkcs11.so");
    assert!(
        module.exists(),
        "{} is missing: run `cargo build -p hsm --examples`",
        module.display()
    );
    let mut victim = Command::new("/bin/sleep").arg("600").spawn().unwrap();
    let options = Options {
        token: Some(format!(
            "[engine.token]\nmodule = {:?}\nlabel = {TOKEN_LABEL:?}\npin_file = {:?}\nsandbox_profile = \"softhsm\"\nsandbox_paths = [{:?}]\n\
             [engine.token.environment]\nHOSTILE_OUTSIDE = \"at:{}\"\nHOSTILE_INSIDE = \"at:{}\"\nHOSTILE_VICTIM = \"{}\"\n",
            module.canonicalize().unwrap(),
            token.pin_file(),
            inside.path(),
            secret.display(),
            inside.path().display(),
            victim.id(),
        )),
        arguments,
        ..Options::default()
    };
    let engine = Engine::start(&token, &authority, &options);
    let report = inside.path().join("attempts");
    wait_until("the module reports nothing", || report.exists());
    drop(engine);
    victim.kill().unwrap();
    victim.wait().unwrap();
    assert_eq!(std::fs::read(&secret).unwrap(), b"a secret");
    std::fs::read_to_string(report)
        .unwrap()
        .lines()
        .filter_map(|line| line.split_once('\t'))
        .map(|(name, outcome)| (name.to_owned(), outcome.parse().unwrap()))
        .collect()
}

/// Custody's standard input is its connection, which is no file to be opened.
const NOT_OF_THIS_PROCESS: &str = "open file opened anew by /proc/self/fd";

#[tokio::test]
async fn a_hostile_module_gets_out_of_the_real_custody_process_by_no_way() {
    for arguments in [vec![], vec!["--landlock-abi", "2"]] {
        let all = attempts_of_a_hostile_module(arguments.clone()).await;
        assert!(all.len() >= 40, "{all:?}");
        for (name, outcome) in all {
            if name != NOT_OF_THIS_PROCESS {
                assert!(
                    DENIED.contains(&outcome),
                    "{arguments:?}: {name}: {outcome}"
                );
            }
        }
    }
}

#[tokio::test]
async fn without_the_sandbox_the_hostile_module_gets_out_and_every_status_says_that_it_is_off() {
    let workshop = Workshop::new();
    let authority = workshop.authority("Devices", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    let options = Options {
        engine: "sandbox = \"off\"\n".to_owned(),
        ..Options::default()
    };
    let engine = Engine::start(&token, &authority, &options);
    let client = engine.ready_client().await;
    let status = engine
        .wait_for(&client, "word of all parts", complete)
        .await;
    assert!(status.exceptions.iter().any(|name| name == "sandbox-off"));
    for name in ["supervisor", "custody", "formats"] {
        let found = part(&status, name);
        assert!(!found.is_filtered(), "{name}");
        assert_eq!(found.sandbox.as_ref().unwrap().words(), "off");
    }
}

#[tokio::test]
async fn as_on_debian_12s_own_kernel_the_engine_works_and_says_what_that_lacks() {
    let workshop = Workshop::new();
    let authority = workshop.authority("Devices", KeyAlgorithm::P256);
    let device = authority.device("phone", KeyAlgorithm::Rsa(2048));
    let token = SoftHsm::new();
    let options = Options {
        engine: "sandbox = \"required\"\n".to_owned(),
        arguments: vec!["--landlock-abi", "2"],
        ..Options::default()
    };
    let engine = Engine::start(&token, &authority, &options);
    let client = engine.ready_client().await;
    let request = engine.request("one", &token, device.der());
    assert!(client.recrypt(request, DEADLINE).await.is_ok());
    let status = engine
        .wait_for(&client, "word of all parts", complete)
        .await;
    for found in &status.parts {
        let said = found.sandbox.as_ref().unwrap();
        assert_eq!((said.landlock_abi, said.want), (2, Want::Required));
        assert_eq!(said.lacking.len(), 4, "{said:?}");
    }
}

#[test]
fn an_engine_whose_sandbox_is_required_does_not_start_on_a_kernel_that_lacks_it() {
    let workshop = Workshop::new();
    let authority = workshop.authority("Devices", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    let options = Options {
        engine: "sandbox = \"required\"\n".to_owned(),
        arguments: vec!["--landlock-abi", "0"],
        ..Options::default()
    };
    let mut engine = Engine::start(&token, &authority, &options);
    assert_eq!(engine.wait().code(), Some(2), "{}", engine.log());
    let log = engine.log();
    assert!(
        log.contains("the sandbox is required and this kernel lacks Landlock"),
        "{log}"
    );
}

#[tokio::test]
async fn a_part_that_broke_its_sandbox_is_named_in_the_log_and_replaced() {
    let workshop = Workshop::new();
    let authority = workshop.authority("Devices", KeyAlgorithm::P256);
    let device = authority.device("phone", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    let engine = Engine::start(&token, &authority, &Options::default());
    let client = engine.ready_client().await;
    let status = engine
        .wait_for(&client, "word of all parts", complete)
        .await;
    // As the kernel does it.
    crash(part(&status, "formats").pid.unwrap(), Signal::SYS);
    wait_until("the log does not tell", || {
        engine
            .log()
            .contains("a system call that its sandbox does not allow")
    });
    let request = engine.request("after", &token, device.der());
    assert!(client.recrypt(request, DEADLINE).await.is_ok());
}

#[tokio::test]
async fn what_was_left_open_to_the_engine_reaches_none_of_its_processes() {
    let workshop = Workshop::new();
    let authority = workshop.authority("Devices", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("engine.sh");
    let left_open = folder.path().join("left-open");
    std::fs::write(&left_open, "").unwrap();
    let program = env!("CARGO_BIN_EXE_pfx-connector");
    std::fs::write(
        &script,
        format!(
            "#!/bin/sh\nexec 9<{}\nexec {program} \"$@\"\n",
            left_open.display()
        ),
    )
    .unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let options = Options {
        program: Some(script),
        ..Options::default()
    };
    let engine = Engine::start(&token, &authority, &options);
    let client = engine.ready_client().await;
    let status = engine
        .wait_for(&client, "word of all parts", complete)
        .await;
    for found in &status.parts {
        let open = std::fs::read_dir(format!("/proc/{}/fd", found.pid.unwrap())).unwrap();
        for descriptor in open {
            let target = std::fs::read_link(descriptor.unwrap().path()).unwrap_or_default();
            assert_ne!(target, left_open, "{}", found.name);
        }
        let limits =
            std::fs::read_to_string(format!("/proc/{}/limits", found.pid.unwrap())).unwrap();
        let most = |name: &str| {
            let line = limits.lines().find(|line| line.starts_with(name)).unwrap();
            line[name.len()..]
                .split_whitespace()
                .nth(1)
                .unwrap()
                .to_owned()
        };
        let files: u64 = most("Max open files").parse().unwrap();
        assert!(files <= 4096, "{}: {files}", found.name);
        assert_eq!(most("Max core file size"), "0", "{}", found.name);
    }
    assert!(Path::new(&format!("/proc/{}/fd", engine.pid())).exists());
}

#[test]
fn this_kernel_has_what_the_tests_of_the_sandbox_need() {
    let kernel = Kernel::running();
    assert!(
        kernel.landlock_abi() == HIGHEST_TRIED_ABI && kernel.has_seccomp(),
        "the tests of the sandbox need a kernel with seccomp and Landlock ABI {HIGHEST_TRIED_ABI} (Linux 6.15): this one has ABI {}",
        kernel.landlock_abi()
    );
}
