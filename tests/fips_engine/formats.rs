//! The formats process by itself, when the module fails in it.

use super::openssl::{KeyAlgorithm, Workshop};
use pfx_connector::encoding::Base64Bytes;
use pfx_connector::engine::api::{API_VERSION, DeviceTarget};
use pfx_connector::engine::formats::device::DevicePolicy;
use pfx_connector::engine::formats_process::{FormatsCall, FormatsReturn};
use pfx_connector::engine::ipc::blocking::{Incoming, read_frame, write_frame};
use pfx_connector::engine::ipc::{Frame, Kind};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

/// Exit code by which a part says that its module failed.
const EXIT_MODULE: i32 = 77;

/// What the process answers about a good device, if it answers, and how it ends.
fn asked_about_a_good_device(fault: Option<&str>) -> (Option<FormatsReturn>, ExitStatus) {
    let workshop = Workshop::new();
    let authority = workshop.authority("Devices", KeyAlgorithm::P256);
    let device = authority.device("phone", KeyAlgorithm::Rsa(2048));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let call = FormatsCall::CheckDevice {
        device: DeviceTarget {
            certificate: Base64Bytes(device.der()),
            intermediates: Vec::new(),
        },
        policy: DevicePolicy {
            anchors: vec![Base64Bytes(authority.der())],
            require_anchor: true,
            now_ms: i64::try_from(now.as_millis()).unwrap(),
        },
    };
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    ours.set_read_timeout(Some(super::DEADLINE)).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_pfx-connector"))
        .arg("engine-formats")
        .env_clear()
        .envs(fault.map(|fault| ("PFX_FIPS_TEST_FAULT", fault)))
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    assert_eq!(Frame::hello().id, u64::from(API_VERSION));
    write_frame(&mut ours, &Frame::hello()).unwrap();
    write_frame(&mut ours, &Frame::json(Kind::Call, 1, &call).unwrap()).unwrap();
    let mut answer = None;
    while answer.is_none() {
        match read_frame(&mut ours) {
            Ok(Incoming::Frame(frame)) if frame.kind == Kind::Return => {
                answer = Some(serde_json::from_slice(&frame.payload).unwrap());
            }
            Ok(Incoming::Frame(_)) => {}
            // It ended, which may show as a broken connection.
            Ok(Incoming::Closed) | Err(_) => break,
            Ok(Incoming::Idle) => panic!("formats neither answers nor ends"),
        }
    }
    drop(ours);
    (answer, child.wait().unwrap())
}

#[test]
fn a_module_that_fails_in_formats_is_not_taken_for_a_bad_certificate() {
    let (answer, ended) = asked_about_a_good_device(None);
    assert!(
        matches!(answer, Some(FormatsReturn::Device(_))),
        "{answer:?}"
    );
    assert!(ended.success(), "{ended:?}");

    let (answer, ended) = asked_about_a_good_device(Some("signature-verification"));
    assert_eq!(answer, None, "it says nothing rather than what is wrong");
    assert_eq!(ended.code(), Some(EXIT_MODULE), "{ended:?}");
}

#[test]
fn a_module_that_fails_its_tests_when_formats_starts_is_told_by_the_exit_code() {
    let (answer, ended) = asked_about_a_good_device(Some("self-test"));
    assert_eq!(answer, None);
    assert_eq!(ended.code(), Some(EXIT_MODULE), "{ended:?}");
}
