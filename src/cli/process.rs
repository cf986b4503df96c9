//! What a command does with its own process before it touches a secret or loads a token's module.

use super::output::Failure;
use super::pin_memory::{STATE_VARIABLE, state_variable};
use rustix::mm::MlockAllFlags;
use rustix::process::{DumpableBehavior, Resource, Rlimit};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt;

/// Keeps what this process holds out of core dumps, out of reach of debuggers of the same user, and, where the limits allow it, out of
/// swap space.
///
/// # Errors
/// [`Failure`] when core dumps cannot be switched off: a secret must not be read then.
pub fn protect_memory() -> Result<(), Failure> {
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    rustix::process::setrlimit(Resource::Core, none)
        .and_then(|()| rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable))
        .map_err(|errno| {
            Failure::failed(
                "memory_protection",
                format!("core dumps of this process cannot be switched off: {errno}"),
            )
        })?;
    // With a limit on locked memory, MCL_FUTURE would make later allocations fail instead of leaving them unlocked.
    let unlimited = rustix::process::getrlimit(Resource::Memlock)
        .current
        .is_none();
    let locked = if unlimited || rustix::process::geteuid().is_root() {
        let flags = MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT;
        rustix::mm::mlockall(flags).is_ok()
    } else {
        false
    };
    if !locked {
        tracing::info!(
            "memory is not locked (limit on locked memory): have encrypted swap space or none"
        );
    }
    Ok(())
}

/// Starts the module for a command that was given no configuration: with the FIPS mode off, which its report says, unless the system
/// itself demands FIPS mode.
///
/// # Errors
/// Those of [`fips::start`].
pub fn start_module_without_configuration() -> Result<(), Failure> {
    let policy = match fips::policy::system::setting() {
        fips::policy::system::Setting::Required => fips::policy::Policy::STRICT,
        _ => fips::policy::Policy::OFF,
    };
    fips::start(policy)?;
    Ok(())
}

/// Variables that stay beside those of the configuration: the terminal's, where systemd puts credentials, and where this program
/// remembers something for its user.
const KEPT: [&str; 6] = [
    "CREDENTIALS_DIRECTORY",
    "LANG",
    "LC_ALL",
    "NO_COLOR",
    STATE_VARIABLE,
    "TERM",
];

/// Gives this process exactly the environment that a token section asks for, by executing the program again where it has another one:
/// a module is loaded into this process, and what works here must also work in the engine, whose environment is not the shell's.
///
/// # Errors
/// [`Failure`] when the program cannot be executed again.
pub fn with_environment(
    wanted: &BTreeMap<String, String>,
    args: &[OsString],
) -> Result<(), Failure> {
    let kept = |name: &OsStr| KEPT.iter().any(|kept| name == OsStr::new(kept));
    let present = |name: &String, value: &String| {
        std::env::var_os(name).as_deref() == Some(OsStr::new(value))
    };
    let foreign = std::env::vars_os()
        .any(|(name, _)| !kept(&name) && !wanted.keys().any(|w| name == OsStr::new(w)));
    if !foreign && wanted.iter().all(|(name, value)| present(name, value)) {
        return Ok(());
    }
    let failed = |error: std::io::Error| {
        Failure::failed(
            "environment",
            format!("the program cannot be executed again with the token's environment: {error}"),
        )
    };
    let program = std::env::current_exe().map_err(failed)?;
    let mut command = std::process::Command::new(program);
    command
        .args(args.iter().skip(1))
        .env_clear()
        .envs(std::env::vars_os().filter(|(name, _)| kept(name)))
        .envs(state_variable())
        .envs(wanted);
    // Only comes back when it failed.
    Err(failed(command.exec()))
}
