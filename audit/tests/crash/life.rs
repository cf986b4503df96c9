//! What is done to the log in one life: starts, uses of the key by several threads at once, and ends.

use crate::recorder::Recorder;
use audit::event::{Canary, Opened};
use audit::ledger::{Alarm, Ledger, Release};
use audit::{
    AuditKey, Caller, Entry, Event, Fold, Hash, KeyUse, Log, Options, Purpose, Receipts,
    ResultClass,
};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const THREADS: usize = 3;
const USES: usize = 6;

/// How often an importer's input was at fault: what a budget is made of.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Counter {
    failures: u64,
    uses: u64,
}

impl Counter {
    /// By the text of the lines: cheaper than to read each as an entry.
    pub(crate) fn of<'a>(lines: impl Iterator<Item = &'a str>) -> Self {
        let uses: Vec<&str> = lines
            .filter(|line| line.contains("\"event\":\"keyUse\""))
            .collect();
        let at_fault = |line: &&&str| line.contains("\"result\":\"badCiphertext\"");
        Self {
            failures: uses.iter().filter(at_fault).count() as u64,
            uses: uses.len() as u64,
        }
    }
}

impl Fold for Counter {
    fn apply(&mut self, entry: &Entry) {
        if let Event::KeyUse(key_use) = &entry.event {
            self.uses += 1;
            self.failures += u64::from(key_use.result.is_input_at_fault());
        }
    }

    fn snapshot(&self) -> Value {
        json!([self.failures, self.uses])
    }

    fn restore(&mut self, snapshot: &Value) -> Result<(), String> {
        let number = |index: usize| snapshot.get(index).and_then(Value::as_u64);
        self.failures = number(0).ok_or("no number")?;
        self.uses = number(1).ok_or("no number")?;
        Ok(())
    }
}

/// Small files, so that many are begun, and seals in between.
pub(crate) fn options(counter: &Arc<Mutex<Counter>>, ledger: &Arc<Mutex<Ledger>>) -> Options {
    Options {
        max_file_bytes: 8 * 1024,
        seal_entries: 8,
        seal_after: Duration::from_millis(2),
        retry_pause: Duration::from_millis(1),
        ..Options::default()
    }
    .with_fold("counter", Arc::clone(counter))
    .with_fold("ledger", Arc::clone(ledger))
}

pub(crate) fn opened() -> Event {
    Event::Opened(Box::new(Opened {
        program: "0.1.0".to_owned(),
        policy: Some(Hash::of(b"policy")),
        ..Opened::default()
    }))
}

fn key_use(name: &str, importer: usize, result: ResultClass) -> Event {
    Event::KeyUse(Box::new(KeyUse {
        request: name.to_owned(),
        caller: Caller {
            uid: u32::try_from(importer).ok(),
            connector: None,
        },
        importer: Some(importer_of(importer)),
        user: format!("{name}@example.org"),
        record: Hash::of(name.as_bytes()),
        key: Hash::of(b"key"),
        padding: "oaepSha512".to_owned(),
        pfx_check: None,
        ciphertext: Hash::of(name.as_bytes()),
        purpose: Purpose::Device(Hash::of(b"device")),
        delivery: "password".to_owned(),
        policy: Hash::of(b"policy"),
        result,
        reason: None,
    }))
}

/// One of few, so that each has something to count.
fn importer_of(number: usize) -> Hash {
    Hash::of(&[u8::try_from(number % THREADS).unwrap_or_default()])
}

/// From start to end. Each entry that a ticket says is durable is noted.
pub(crate) fn live(storage: &Arc<Recorder>, key: &Arc<AuditKey>, life: usize) {
    let (counter, ledger) = (Arc::default(), Arc::default());
    let log = Log::open(storage.clone(), options(&counter, &ledger)).unwrap();
    let receipts = log.start(key.clone()).unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    record(storage, &receipts, opened(), deadline);
    // An operator lets one of the importers go, and is told of another.
    let importer = Some(importer_of(life));
    let release = Release::Importer {
        importer,
        quarantine: true,
    };
    record(storage, &receipts, release.entry(Some(0)), deadline);
    let importer = Some(importer_of(life + 1));
    let alarm = Alarm::ImporterSuspended { importer };
    record(storage, &receipts, alarm.entry(), deadline);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let receipts = receipts.clone();
            scope.spawn(move || {
                for number in 0..USES {
                    let result = match number % 4 {
                        0 => ResultClass::BadCiphertext,
                        _ => ResultClass::Decrypted,
                    };
                    let name = format!("{life}-{thread}-{number}");
                    record(storage, &receipts, key_use(&name, thread, result), deadline);
                }
                // Nobody waits for these.
                receipts.note(Event::Canary(Canary {
                    token: "token".to_owned(),
                    key: Hash::of(b"key"),
                    worked: 1,
                    failed: 0,
                }));
            });
        }
    });
    assert!(receipts.close("the end of a life", deadline));
}

fn record(storage: &Recorder, receipts: &Receipts, event: Event, deadline: Instant) {
    let written = receipts.record(event).wait(deadline).unwrap();
    storage.mark(format!("{} {}", written.seq, written.hash));
}

/// Entries until a file has nearly this size.
pub(crate) fn fill(storage: &Arc<Recorder>, key: &Arc<AuditKey>, bytes: u64) {
    let log = Log::open(storage.clone(), Options::default()).unwrap();
    let receipts = log.start(key.clone()).unwrap();
    let deadline = Instant::now() + Duration::from_secs(600);
    let mut written = 0;
    while written < bytes - bytes / 100 {
        let tickets: Vec<_> = (0..256)
            .map(|number| receipts.record(key_use(&format!("{number}"), 0, ResultClass::Decrypted)))
            .collect();
        for ticket in tickets {
            ticket.wait(deadline).unwrap();
        }
        written = storage.files().values().map(|file| file.len() as u64).sum();
    }
    assert!(receipts.close("full", deadline));
}
