//! One byte of the module changed in the program file: it does not start, and a supervisor that runs already says what it is.
//!
//! The system lets nobody write to a file that runs, and under another file of that name a supervisor's parts are not started. So the program
//! runs from an overlay, whose lower layer is damaged, as a disk would do it.

use super::engine::{Engine, Options, part, send_signal};
use super::openssl::{KeyAlgorithm, Workshop};
use super::softhsm::SoftHsm;
use super::{refused, request};
use object::{Object, ObjectSection, ObjectSymbol};
use pfx_connector::engine::api::FailureCode;
use rustix::process::Signal;
use std::fs::File;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;

const PROGRAM: &str = env!("CARGO_BIN_EXE_pfx-connector");
/// The linker script of the module's build marks its first and its last byte with these.
const MODULE_STARTS: &str = "BORINGSSL_bcm_text_start";
const MODULE_ENDS: &str = "BORINGSSL_bcm_text_end";

/// Where in the program file there is code of the module.
fn place_in_module() -> u64 {
    let bytes = std::fs::read(PROGRAM).unwrap();
    let file = object::File::parse(&*bytes).unwrap();
    let address = |wanted: &str| {
        file.symbols()
            .find(|symbol| symbol.name().is_ok_and(|name| name.ends_with(wanted)))
            .unwrap_or_else(|| panic!("no symbol {wanted}"))
            .address()
    };
    let middle = u64::midpoint(address(MODULE_STARTS), address(MODULE_ENDS));
    let section = file
        .sections()
        .find(|section| (section.address()..section.address() + section.size()).contains(&middle))
        .unwrap();
    let (in_file, _) = section.file_range().unwrap();
    in_file + (middle - section.address())
}

/// Changes one bit of it in a copy of the program.
fn damage(copy: &Path) {
    let file = File::options().read(true).write(true).open(copy).unwrap();
    let (at, mut byte) = (place_in_module(), [0]);
    file.read_exact_at(&mut byte, at).unwrap();
    byte[0] ^= 1;
    file.write_all_at(&byte, at).unwrap();
}

/// A program that runs the one in `layer` by way of an overlay, which only it and its children see.
fn over(layer: &Path, folder: &Path) -> PathBuf {
    let (empty, seen) = (folder.join("empty"), folder.join("seen"));
    std::fs::create_dir(&empty).unwrap();
    std::fs::create_dir(&seen).unwrap();
    let script = folder.join("engine.sh");
    // Who is not root becomes it in a namespace of users.
    let text = format!(
        "#!/bin/sh\n\
         test $(id -u) = 0 || users=--map-root-user\n\
         exec unshare --mount $users /bin/sh -c '\n\
         mount -t overlay overlay -o lowerdir={}:{} {seen} || exit 1\n\
         exec {seen}/pfx-connector \"$@\"' engine \"$@\"\n",
        layer.display(),
        empty.display(),
        seen = seen.display(),
    );
    std::fs::write(&script, text).unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    script
}

#[tokio::test]
async fn a_program_whose_module_was_changed_does_not_serve_and_the_supervisor_says_integrity() {
    let workshop = Workshop::new();
    let authority = workshop.authority("Devices", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    let device = authority.device("phone", KeyAlgorithm::Rsa(2048));
    let folder = tempfile::tempdir().unwrap();
    let layer = folder.path().join("layer");
    std::fs::create_dir(&layer).unwrap();
    let program = layer.join("pfx-connector");
    std::fs::copy(PROGRAM, &program).unwrap();

    // Under a supervisor that was started from the file while it was whole.
    let options = Options {
        fips: Some(String::new()),
        program: Some(over(&layer, folder.path())),
        ..Options::default()
    };
    let mut engine = Engine::start(&token, &authority, &options);
    let client = engine.ready_client().await;
    let done = client
        .recrypt(
            request(&engine, "whole", &token, device.der()),
            super::DEADLINE,
        )
        .await;
    assert!(done.is_ok(), "{done:?}");
    damage(&program);
    let status = client.status().await.unwrap();
    send_signal(part(&status, "custody").pid.unwrap(), Signal::KILL);
    let status = engine
        .wait_for(&client, "fault", |status| status.module_fault.is_some())
        .await;
    let fault = status.module_fault.unwrap();
    assert_eq!(fault.code, "integrity_failed");
    assert!(fault.message.contains("integrity test"), "{fault:?}");
    let failure = refused(&client, request(&engine, "changed", &token, device.der())).await;
    assert_eq!(failure.code, FailureCode::ModuleOutOfService);
    engine.signal(Signal::TERM);
    assert_eq!(engine.wait().code(), Some(3));
    assert!(
        engine.log().contains("integrity_failed"),
        "{}",
        engine.log()
    );

    // By itself it aborts before it does anything.
    let output = Command::new(&program).arg("version").output().unwrap();
    assert_eq!(output.status.signal(), Some(6), "{output:?}");
    assert!(output.stdout.is_empty());
    assert!(String::from_utf8_lossy(&output.stderr).contains("integrity test failed"));
}
