//! How every test begins, the loaders of test vectors, and the one way to run programs such as `openssl`.
// Every test file compiles its own copy and none needs all of it.
#![allow(dead_code)]

pub(crate) mod vectors;

use serde_json::Value;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::{env, fs, io::Write};

/// What every test of this crate's functions as such calls first: with the mode off all of them work.
pub(crate) fn begin() {
    fips::start(fips::policy::Policy::OFF).unwrap();
}

/// The bytes of a field in hexadecimal.
pub(crate) fn bytes(object: &Value, field: &str) -> Vec<u8> {
    unhex(object[field].as_str().unwrap())
}

/// What should become of a vector.
pub(crate) fn is_valid(vector: &Value) -> bool {
    vector["result"] == "valid"
}

/// A name for messages.
pub(crate) fn name(vector: &Value) -> String {
    format!("vector {}: {}", vector["tcId"], vector["comment"])
}

pub(crate) fn unhex(hex: &str) -> Vec<u8> {
    base16ct::mixed::decode_vec(hex.trim()).unwrap()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    base16ct::lower::encode_string(bytes)
}

/// Runs `openssl` with `input`, and gives its output. Fails, with a message that names the program, if it cannot.
pub(crate) fn openssl(arguments: &[&str], input: &[u8]) -> Vec<u8> {
    run("openssl", "3.0 or newer", arguments, input)
}

/// Runs a program with `input`, and gives its output. Fails, with a message that names the program, if it cannot.
pub(crate) fn run(program: &str, version: &str, arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| {
            panic!("this test needs the program `{program}` ({version}): {error}")
        });
    // All inputs here are smaller than a pipe; a program that does not read its input closes it early.
    let _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

/// A file that is gone when the test is over.
pub(crate) struct Temporary(PathBuf);

impl Temporary {
    pub(crate) fn new(content: &[u8]) -> Self {
        let name = format!("fips-test-{}", fips::random::uuid_v4().unwrap());
        let path = env::temp_dir().join(name);
        fs::write(&path, content).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
