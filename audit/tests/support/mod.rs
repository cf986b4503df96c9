//! Logs for tests: written by the real writer, in real folders.
#![allow(dead_code, unreachable_pub)]

use audit::event::{Caller, Event, KeyUse, Opened, Purpose, ResultClass};
use audit::storage::Folder;
use audit::verify::{Expected, Report, verify};
use audit::{AuditKey, Hash, Log, Options, Receipts};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The module, in strict mode.
pub fn module() {
    fips::start(fips::policy::Policy::STRICT).unwrap();
}

pub fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

/// A use of the key; each number is another one.
pub fn key_use(number: u64) -> Event {
    let hash = |what: &str| Hash::of(format!("{what} {number}").as_bytes());
    Event::KeyUse(Box::new(KeyUse {
        request: format!("request-{number}"),
        caller: Caller {
            uid: Some(1000),
            connector: None,
        },
        importer: Some(Hash::of(b"importer")),
        user: format!("user{}@example.test", number % 7),
        record: hash("record"),
        key: Hash::of(b"key"),
        padding: "oaepSha512".to_owned(),
        ciphertext: hash("ciphertext"),
        purpose: Purpose::Device(hash("device")),
        delivery: "password".to_owned(),
        policy: Hash::of(b"policy"),
        pfx_check: None,
        result: ResultClass::Decrypted,
        reason: None,
    }))
}

pub fn opened() -> Event {
    Event::Opened(Box::new(Opened {
        program: "0.1.0".to_owned(),
        policy: Some(Hash::of(b"policy")),
        ..Opened::default()
    }))
}

pub fn open(folder: &Path, key: &Arc<AuditKey>, options: Options) -> Receipts {
    let storage = Arc::new(Folder::open(folder).unwrap());
    Log::open(storage, options)
        .unwrap()
        .start(Arc::clone(key) as Arc<dyn audit::Signer>)
        .unwrap()
}

/// A log of so many uses, closed.
pub fn write(folder: &Path, key: &Arc<AuditKey>, options: Options, uses: std::ops::Range<u64>) {
    let receipts = open(folder, key, options);
    receipts.record(opened()).wait(soon()).unwrap();
    for number in uses {
        receipts.record(key_use(number)).wait(soon()).unwrap();
    }
    assert!(receipts.close("the test is over", soon()));
}

pub fn check(folder: &Path, expected: &Expected) -> Report {
    verify(&Folder::for_reading(folder).unwrap(), expected).unwrap()
}

pub fn expecting(key: &AuditKey) -> Expected {
    Expected {
        keys: vec![key.spki_der().to_vec()],
        ..Expected::default()
    }
}

pub fn codes(report: &Report) -> Vec<&'static str> {
    report
        .findings
        .iter()
        .map(|finding| finding.what.code())
        .collect()
}

/// A folder of which only its owner may know what is in it.
pub fn folder() -> tempfile::TempDir {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
    builder.tempdir().unwrap()
}
