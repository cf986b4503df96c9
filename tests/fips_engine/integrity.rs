//! One byte of the module changed in the program file: it does not start, and a supervisor that runs already says what it is.

use super::engine::{Engine, Options, part, send_signal};
use super::openssl::{KeyAlgorithm, Workshop};
use super::softhsm::SoftHsm;
use super::{refused, request};
use object::{Object, ObjectSection, ObjectSymbol};
use pfx_connector::engine::api::FailureCode;
use rustix::process::Signal;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;

const PROGRAM: &str = env!("CARGO_BIN_EXE_pfx-connector");
/// The linker script of the module's build marks its first and its last byte with these.
const MODULE_STARTS: &str = "BORINGSSL_bcm_text_start";
const MODULE_ENDS: &str = "BORINGSSL_bcm_text_end";

/// A copy of the program with one bit of the module's code changed.
fn damaged(to: &Path) {
    let mut bytes = std::fs::read(PROGRAM).unwrap();
    let offset = {
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
            .find(|section| {
                (section.address()..section.address() + section.size()).contains(&middle)
            })
            .unwrap();
        let (in_file, _) = section.file_range().unwrap();
        usize::try_from(in_file + (middle - section.address())).unwrap()
    };
    bytes[offset] ^= 1;
    std::fs::write(to, bytes).unwrap();
    let mode = std::fs::metadata(PROGRAM).unwrap().permissions();
    std::fs::set_permissions(to, mode).unwrap();
}

#[tokio::test]
async fn a_program_whose_module_was_changed_does_not_serve_and_the_supervisor_says_integrity() {
    let workshop = Workshop::new();
    let authority = workshop.authority("Devices", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    let device = authority.device("phone", KeyAlgorithm::Rsa(2048));
    let folder = tempfile::tempdir().unwrap();
    let (program, changed) = (
        folder.path().join("pfx-connector"),
        folder.path().join("changed"),
    );
    std::fs::copy(PROGRAM, &program).unwrap();
    damaged(&changed);

    // By itself it aborts before it does anything.
    let output = Command::new(&changed).arg("version").output().unwrap();
    assert_eq!(output.status.signal(), Some(6), "{output:?}");
    assert!(output.stdout.is_empty());
    assert!(String::from_utf8_lossy(&output.stderr).contains("integrity test failed"));

    // Under a supervisor that was started from the file while it was whole.
    let options = Options {
        fips: Some(String::new()),
        program: Some(program.clone()),
        // In the sandbox another file under the program's name is not executed at all (Landlock goes by the file).
        engine: "sandbox = \"off\"\n".to_owned(),
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
    std::fs::rename(&changed, &program).unwrap();
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
}
