//! What the set-up of a token needs of this machine: a missing thing is named, with what to do about it.

use std::path::PathBuf;
use std::process::Command;

/// A module: where the variable says, or in its usual place.
pub fn module(variable: &str, usual: impl Into<PathBuf>, remedy: &str) -> PathBuf {
    let path = std::env::var_os(variable).map_or_else(|| usual.into(), PathBuf::from);
    assert!(
        path.exists(),
        "{} is missing: {remedy}, or set {variable}",
        path.display()
    );
    path
}

/// A library in the folder where Debian has those of this machine's kind.
pub fn library(name: &str) -> PathBuf {
    PathBuf::from(format!(
        "/usr/lib/{}-linux-gnu/{name}",
        std::env::consts::ARCH
    ))
}

/// Runs a program to its end; it has to succeed.
pub fn run(command: &mut Command, remedy: &str) {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}: {remedy}"));
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// A program that has to be there, where root's programs are or anybody's.
pub fn on_path(program: &str, remedy: &str) {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"].map(PathBuf::from);
    assert!(
        std::env::split_paths(&path)
            .chain(usual)
            .any(|folder| folder.join(program).exists()),
        "{program} is missing: {remedy}"
    );
}
