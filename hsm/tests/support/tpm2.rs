//! tpm2-pkcs11 on a software TPM, from the distribution's packages.
//!
//! swtpm is the TPM, tpm2-abrmd its resource manager: without one the TPM has room for three objects. The two talk through a socket,
//! module and resource manager over a D-Bus of their own. Each of the three is a child of the test program, and ends with it.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use super::{children, tools};

/// Longest path of a unix socket, with a margin (unix(7): 108 bytes).
const MAX_SOCKET_PATH: usize = 100;

const BUS_CONFIGURATION: &str = r#"<busconfig>
  <type>session</type>
  <listen>unix:path=SOCKET</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*"/>
    <allow receive_sender="*"/>
    <allow own="*"/>
  </policy>
</busconfig>
"#;

pub struct Tpm2 {
    pub module: PathBuf,
    /// Where the module keeps what it does not keep in the TPM.
    pub store: PathBuf,
    pub environment: Vec<(&'static str, String)>,
}

/// The TPM and the bus, which live as long as the test program, and the resource manager.
struct Running {
    tpm_socket: PathBuf,
    bus_address: String,
    _others: [Child; 2],
    manager: Option<Child>,
}

static RUNNING: Mutex<Option<Running>> = Mutex::new(None);

/// A TPM that is like new, with everything below `folder`. Tokens are made by C_InitToken.
pub fn set_up(folder: &Path) -> Tpm2 {
    let module = tools::module(
        "TPM2_MODULE",
        tools::library("libtpm2_pkcs11.so.1"),
        "install the package libtpm2-pkcs11-1",
    );
    let library = tools::library("libtss2-tcti-tabrmd.so.0");
    assert!(
        library.exists(),
        "{} is missing: install the package libtss2-tcti-tabrmd0",
        library.display()
    );
    let [state, store] = ["state", "store"].map(|name| folder.join(name));
    for folder in [&state, &store] {
        std::fs::create_dir(folder).unwrap();
    }
    let tpm_socket = folder.join("tpm");
    let bus_socket = folder.join("bus");
    assert!(
        tpm_socket.as_os_str().len() + ".ctrl".len() <= MAX_SOCKET_PATH,
        "{} is too long for a socket: set CARGO_TARGET_DIR to a shorter one",
        tpm_socket.display()
    );

    let control = folder.join("tpm.ctrl");
    let mut tpm = children::spawn("swtpm", "install the package swtpm", |command| {
        command
            .args(["socket", "--tpm2", "--flags", "not-need-init,startup-clear"])
            // An absolute path: with another one the TPM fails.
            .args(["--tpmstate", &format!("dir={}", state.display())])
            .args([
                "--server",
                &format!("type=unixio,path={}", tpm_socket.display()),
            ])
            .args(["--ctrl", &format!("type=unixio,path={}", control.display())]);
        silence(command);
    });
    children::wait_until(&mut tpm, "swtpm", || UnixStream::connect(&control).is_ok());

    // As manufacturers set it, three wrong PINs lock the TPM for a quarter of an hour, whatever tokens they were for and whatever
    // happens between them: fewer than the tests try. What custody tries of its own accord is counted by the tests.
    tools::run(
        Command::new("tpm2_dictionarylockout")
            .args([
                "--setup-parameters",
                "--max-tries=1000",
                "--recovery-time=1",
            ])
            .args(["--lockout-recovery-time=1", "--clear-lockout"])
            .arg(format!("--tcti=swtpm:path={}", tpm_socket.display())),
        "install the package tpm2-tools",
    );

    let configuration = folder.join("bus.conf");
    let text = BUS_CONFIGURATION.replace("SOCKET", &bus_socket.display().to_string());
    std::fs::write(&configuration, text).unwrap();
    let mut bus = children::spawn(
        "dbus-daemon",
        "install the package dbus-daemon",
        |command| {
            command
                .arg("--nofork")
                .arg(format!("--config-file={}", configuration.display()));
            silence(command);
        },
    );
    children::wait_until(&mut bus, "dbus-daemon", || {
        UnixStream::connect(&bus_socket).is_ok()
    });

    let bus_address = format!("unix:path={}", bus_socket.display());
    *RUNNING.lock().unwrap_or_else(PoisonError::into_inner) = Some(Running {
        tpm_socket,
        bus_address: bus_address.clone(),
        _others: [tpm, bus],
        manager: None,
    });
    start_manager();
    Tpm2 {
        module,
        environment: vec![
            ("TPM2_PKCS11_STORE", store.display().to_string()),
            ("TPM2_PKCS11_TCTI", "tabrmd:bus_type=session".to_owned()),
            ("DBUS_SESSION_BUS_ADDRESS", bus_address),
            // What the TSS says of a bad ciphertext.
            ("TSS2_LOG", "all+NONE".to_owned()),
        ],
        store,
    }
}

fn silence(command: &mut Command) {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
}

/// Starts tpm2-abrmd, and waits until it has its name on the bus.
pub fn start_manager() {
    let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    let running = running.as_mut().expect("there is no TPM");
    assert!(running.manager.is_none(), "there is one");
    let address = running.bus_address.clone();
    let mut manager = children::spawn("tpm2-abrmd", "install the package tpm2-abrmd", |command| {
        command
            .args(["--session", "--allow-root", "--flush-all"])
            .arg(format!(
                "--tcti=swtpm:path={}",
                running.tpm_socket.display()
            ))
            .env("DBUS_SESSION_BUS_ADDRESS", &address);
        silence(command);
    });
    tools::on_path("dbus-send", "install the package dbus-bin");
    children::wait_until(&mut manager, "tpm2-abrmd", || {
        let output = Command::new("dbus-send")
            .args([
                "--session",
                "--print-reply",
                "--dest=org.freedesktop.DBus",
                "/",
            ])
            .args([
                "org.freedesktop.DBus.NameHasOwner",
                "string:com.intel.tss2.Tabrmd",
            ])
            .env("DBUS_SESSION_BUS_ADDRESS", &address)
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).contains("boolean true")
    });
    running.manager = Some(manager);
}

/// Kills tpm2-abrmd as a crash would.
pub fn kill_manager() {
    let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    let manager = running.as_mut().and_then(|running| running.manager.take());
    children::kill(&mut manager.expect("there is none"));
}
