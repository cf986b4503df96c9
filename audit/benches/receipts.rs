//! What a receipt costs: entries made durable per second with so many who wait for theirs at once, and how many of them share one
//! fdatasync. On the file system of the system's temporary folder, which has to be a disk for this to mean anything (TMPDIR).
#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a program whose answer is its standard output"
)]

use audit::event::{Caller, Event, KeyUse, Purpose, ResultClass};
use audit::storage::Folder;
use audit::{AuditKey, Hash, Log, Options};
use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

const THREADS: [u64; 6] = [1, 2, 4, 8, 16, 64];
const TIME: Duration = Duration::from_secs(3);
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> Result<(), Box<dyn Error>> {
    if !std::env::args().any(|argument| argument == "--bench") {
        println!("Measures only when `cargo bench` starts it.");
        return Ok(());
    }
    fips::start(fips::policy::Policy::STRICT)?;
    println!("who wait   entries/s   entries per fdatasync   ms per commit   bytes per entry");
    for threads in THREADS {
        measure(threads)?;
    }
    Ok(())
}

fn measure(threads: u64) -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let log = folder.path().join("log");
    let receipts = Log::open(Arc::new(Folder::open(&log)?), Options::default())?
        .start(Arc::new(AuditKey::generate()?))?;
    let begun = Instant::now();
    let done: u64 = std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|thread| {
                let receipts = receipts.clone();
                scope.spawn(move || {
                    let mut done = 0_u64;
                    while begun.elapsed() < TIME {
                        let ticket = receipts.record(key_use(thread, done));
                        if ticket.wait(Instant::now() + PATIENCE).is_err() {
                            break;
                        }
                        done += 1;
                    }
                    done
                })
            })
            .collect();
        running
            .into_iter()
            .map(|thread| thread.join().unwrap_or_default())
            .sum()
    });
    let took = begun.elapsed().as_secs_f64();
    let status = receipts.status();
    let bytes: u64 = std::fs::read_dir(&log)?
        .filter_map(|entry| Some(entry.ok()?.metadata().ok()?.len()))
        .sum();
    println!(
        "{threads:>8}   {:>9.0}   {:>21.1}   {:>13.2}   {:>15.0}",
        done as f64 / took,
        status.entries as f64 / status.commits as f64,
        status.commit_us as f64 / 1000.0 / status.commits as f64,
        bytes as f64 / status.entries as f64,
    );
    let _ = receipts.close("measured", Instant::now() + PATIENCE);
    Ok(())
}

fn key_use(thread: u64, number: u64) -> Event {
    let hash = |what: &str| Hash::of(format!("{what} {thread} {number}").as_bytes());
    Event::KeyUse(Box::new(KeyUse {
        request: format!("request-{thread}-{number}"),
        caller: Caller {
            uid: Some(1000),
            connector: Some(Hash::of(b"connector")),
        },
        importer: Some(Hash::of(b"importer")),
        user: "somebody@example.test".to_owned(),
        record: hash("record"),
        key: Hash::of(b"key"),
        padding: "oaepSha512".to_owned(),
        ciphertext: hash("ciphertext"),
        purpose: Purpose::Device(hash("device")),
        delivery: "password".to_owned(),
        pfx_check: None,
        policy: Hash::of(b"policy"),
        result: ResultClass::Decrypted,
        reason: None,
    }))
}
