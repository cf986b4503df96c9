//! Property lists, read by Python's plistlib: software that we did not write.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs
)]

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};

const READER: &str = r#"
import plistlib, sys
def walk(path, value):
    if isinstance(value, dict):
        for key, inner in value.items(): walk(path + "/" + key, inner)
    elif isinstance(value, list):
        for number, inner in enumerate(value): walk(path + "/" + str(number), inner)
    elif isinstance(value, bytes): print(path + "\tdata\t" + value.hex())
    elif isinstance(value, str): print(path + "\tstring\t" + value.encode().hex())
    else: print(path + "\t" + type(value).__name__ + "\t" + str(value).encode().hex())
walk("", plistlib.loads(sys.stdin.buffer.read(), fmt=plistlib.FMT_XML))
"#;

/// Every leaf of a property list by its path (`/0/PayloadType`), as its type and its bytes.
pub fn leaves(list: &[u8]) -> BTreeMap<String, (String, Vec<u8>)> {
    let mut python = Command::new("python3")
        .args(["-c", READER])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("this test needs the program `python3`: {error}"));
    python.stdin.take().unwrap().write_all(list).unwrap();
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success(), "plistlib does not read the list");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .map(|line| {
            let mut fields = line.split('\t');
            let mut next = || fields.next().unwrap().to_owned();
            let (path, kind, hex) = (next(), next(), next());
            (path, (kind, base16ct::lower::decode_vec(hex).unwrap()))
        })
        .collect()
}

/// The text at a path.
pub fn string(leaves: &BTreeMap<String, (String, Vec<u8>)>, path: &str) -> String {
    let (kind, bytes) = leaves
        .get(path)
        .unwrap_or_else(|| panic!("nothing at {path}: {:?}", leaves.keys()));
    assert_eq!(kind, "string", "{path}");
    String::from_utf8(bytes.clone()).unwrap()
}

/// The data at a path.
pub fn data(leaves: &BTreeMap<String, (String, Vec<u8>)>, path: &str) -> Vec<u8> {
    let (kind, bytes) = leaves
        .get(path)
        .unwrap_or_else(|| panic!("nothing at {path}: {:?}", leaves.keys()));
    assert_eq!(kind, "data", "{path}");
    bytes.clone()
}
