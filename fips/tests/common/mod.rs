//! The one loader of test vectors, and the one way to run the `openssl` program.
// Every test file compiles its own copy and none needs all of it.
#![allow(dead_code)]

use fips::policy::Policy;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs, io::Write};

/// To be called first by every test of this crate's functions as such: with the mode off all of them work.
pub(crate) fn begin() {
    fips::start(Policy::OFF).unwrap();
}

/// Runs `check` on every vector of a Wycheproof file, and fails if it says of none that it was executed.
///
/// `check` gets the group and the vector, and returns whether the vector is for us.
pub(crate) fn wycheproof(file: &str, mut check: impl FnMut(&Value, &Value) -> bool) {
    begin();
    let Some(corpora) = corpora() else { return };
    let path = corpora.join("wycheproof").join(file);
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let vectors: Value = serde_json::from_str(&text).unwrap();
    let (mut executed, mut skipped) = (0, 0);
    for group in vectors["testGroups"].as_array().unwrap() {
        for vector in group["tests"].as_array().unwrap() {
            if check(group, vector) {
                executed += 1;
            } else {
                skipped += 1;
            }
        }
    }
    println!("{file}: {executed} vectors executed, {skipped} are for other parameters");
    assert!(executed > 0, "{file}: no vector was executed");
    let total = vectors["numberOfTests"].as_u64().unwrap();
    assert_eq!(total, executed + skipped, "{file}: vectors are missing");
}

fn corpora() -> Option<PathBuf> {
    let folder = env::var_os("CORPORA_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpora"),
        PathBuf::from,
    );
    if folder.is_dir() {
        return Some(folder);
    }
    let missing = format!(
        "no folder {}: set CORPORA_DIR to the test vectors",
        folder.display()
    );
    assert!(env::var("CI").as_deref() != Ok("true"), "{missing}");
    println!("NOT RUN: {missing}");
    None
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
    let mut child = Command::new("openssl")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program `openssl` (3.0 or newer) is needed for this test");
    // All inputs here are smaller than a pipe; a program that does not read its input closes it early.
    let _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "openssl {arguments:?}: {}",
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
