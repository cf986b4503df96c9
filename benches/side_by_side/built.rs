//! Programs and modules of the crate `hsm` that a measurement needs: built by cargo, with the settings of this program.

use super::Fallible;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Has cargo build the target of this name, and learns where it is.
pub(crate) fn built(name: &str, arguments: &[&str]) -> Fallible<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(arguments)
        .args(["--locked", "--message-format=json"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::null())
        .output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(format!("cargo does not build {name}: {said}").into());
    }
    output
        .stdout
        .split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice::<serde_json::Value>(line).ok())
        .filter(|message| {
            message
                .pointer("/target/name")
                .and_then(|target| target.as_str())
                == Some(name)
        })
        .find_map(|message| {
            // A library has no executable, but files.
            let file = message.get("executable").filter(|file| !file.is_null());
            let file = file.or_else(|| message.pointer("/filenames/0"))?;
            Some(PathBuf::from(file.as_str()?))
        })
        .ok_or_else(|| format!("cargo does not say where {name} is").into())
}
