//! Ends by kill and by power cut at every write of the audit log.
//!
//! The log is kept in a storage that writes down what is done to it, through several lives: each ends at a moment by chance, by a kill
//! (what was written is there for the next life, durable or not) or by a power cut. Then every moment of every life is played as the
//! last one, with what was not synced lost, torn and reordered by chance, and the log is opened again.
//! `AUDIT_ENDS=1000000` plays so many ends, `AUDIT_FIRST=7` other ones.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    missing_docs
)]

mod folded;
mod life;
#[path = "../../../tests/support/power.rs"]
mod power;
mod recorder;

use audit::verify::{Expected, verify};
use audit::{AuditKey, Event, Hash, Log};
use folded::Folded;
use life::{Counter, live, opened, options};
use power::{Disk, End, Files, Op, Random};
use recorder::Recorder;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Ends that are played, unless `AUDIT_ENDS` says another number.
const ENDS: usize = 30_000;
/// One in so many is also gone on from, and verified to the last seal.
const WHOLE: usize = 32;
const LIVES: usize = 8;

/// One life after the other on one disk, since the power was last cut.
struct Recording {
    start: Files,
    /// Entries whose tickets had been told before: number and hash.
    told: BTreeMap<u64, String>,
    ops: Vec<Op>,
    /// Where the last life begins; the moments before are played in another recording.
    from: usize,
}

fn number(name: &str) -> Option<usize> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is no number")),
    )
}

/// What had been told up to an operation.
fn told(recording: &Recording, at: usize) -> BTreeMap<u64, String> {
    let mut told = recording.told.clone();
    for op in &recording.ops[..at] {
        tell(&mut told, op);
    }
    told
}

fn tell(told: &mut BTreeMap<u64, String>, op: &Op) {
    if let Op::Mark(text) = op {
        let (seq, hash) = text.split_once(' ').unwrap();
        told.insert(seq.parse().unwrap(), hash.to_owned());
    }
}

/// Lives that end by chance. Each recording begins after a power cut.
fn lives(key: &Arc<AuditKey>, first: u64) -> Vec<Recording> {
    let mut random = Random::new(first);
    let mut recordings: Vec<Recording> = Vec::new();
    let mut current = Recording {
        start: Files::new(),
        told: BTreeMap::new(),
        ops: Vec::new(),
        from: 0,
    };
    for life in 0..LIVES {
        let before = current.ops.len();
        let storage = Arc::new(Recorder::after(&current.start, current.ops.clone()));
        live(&storage, key, life);
        current.ops = storage.ops();
        // Somewhere in this life.
        let at = before + random.below(current.ops.len() + 1 - before);
        if random.below(3) == 0 {
            let mut disk = Disk::new(&current.start, &current.ops);
            while disk.at() < at {
                disk.advance();
            }
            let next = Recording {
                start: disk.after(End::PowerCut, &mut random),
                told: told(&current, at),
                ops: Vec::new(),
                from: 0,
            };
            recordings.push(std::mem::replace(&mut current, next));
        } else {
            // The whole life is played too; the next one goes on from the middle of it.
            let next = Recording {
                start: current.start.clone(),
                told: current.told.clone(),
                ops: current.ops[..at].to_vec(),
                from: at,
            };
            recordings.push(std::mem::replace(&mut current, next));
        }
    }
    recordings
}

#[test]
fn every_end_leaves_a_log_that_opens_by_itself_with_all_that_was_told() {
    let key = Arc::new(AuditKey::generate().unwrap());
    let first = number("AUDIT_FIRST").unwrap_or(1);
    let recordings = lives(&key, first as u64);
    let moments: usize = recordings
        .iter()
        .map(|one| one.ops.len() + 1 - one.from)
        .sum();
    let rounds = number("AUDIT_ENDS").unwrap_or(ENDS).div_ceil(moments);
    let longest = Mutex::new(Duration::ZERO);
    let (half, other) = recordings.split_at(recordings.len() / 2);
    std::thread::scope(|scope| {
        for part in [half, other] {
            let (key, longest) = (&key, &longest);
            scope.spawn(move || {
                for (index, recording) in part.iter().enumerate() {
                    let took = play(recording, rounds, (first + index) as u64, key);
                    let mut longest = longest.lock().unwrap();
                    *longest = took.max(*longest);
                }
            });
        }
    });
    println!(
        "audit log: {} ends at {moments} moments of {} lives played; the longest recovery took {:?}",
        moments * rounds,
        recordings.len(),
        longest.into_inner().unwrap()
    );
}

fn play(recording: &Recording, rounds: usize, seed: u64, key: &Arc<AuditKey>) -> Duration {
    let mut random = Random::new(seed.wrapping_mul(0x1000_0000_01b3));
    let mut disk = Disk::new(&recording.start, &recording.ops);
    let mut told = told(recording, recording.from);
    while disk.at() < recording.from {
        disk.advance();
    }
    let mut longest = Duration::ZERO;
    let mut folded = Folded::default();
    loop {
        for round in 0..rounds {
            let end = if round == 0 { End::Kill } else { End::PowerCut };
            let files = disk.after(end, &mut random);
            let started = Instant::now();
            let whole = random.below(WHOLE) == 0;
            let checked = check(&files, &told, whole, key, &mut folded);
            longest = longest.max(started.elapsed());
            if let Err(problem) = checked {
                let left = tempfile::tempdir().unwrap().keep();
                for (name, content) in &files {
                    std::fs::write(left.join(name), content).unwrap();
                }
                panic!(
                    "{end:?} at {}, {}: {problem}; the log is in {}",
                    disk.at(),
                    recording
                        .ops
                        .get(disk.at())
                        .map_or_else(String::new, |op| format!("before {op}")),
                    left.display()
                );
            }
        }
        match disk.advance() {
            Some(op) => tell(&mut told, op),
            None => return longest,
        }
    }
}

/// What an end left is a log with everything in it that was told.
fn check(
    files: &Files,
    told: &BTreeMap<u64, String>,
    whole: bool,
    key: &Arc<AuditKey>,
    folded: &mut Folded,
) -> Result<(), String> {
    let storage = Arc::new(Recorder::after(files, Vec::new()));
    let (counter, ledger) = (Arc::<Mutex<Counter>>::default(), Arc::default());
    let log = Log::open(storage.clone(), options(&counter, &ledger)).map_err(|e| e.to_string())?;
    let seq = log.seq();
    let found = entries(files);
    holds(&found, told)?;
    // What is computed from the log is what its entries say: from the snapshot and the newest file as from all of them.
    let all = Counter::of(found.range(..=seq).map(|(_, line)| line.as_str()));
    if *counter.lock().unwrap() != all {
        return Err(format!("{all:?} became {:?}", counter.lock().unwrap()));
    }
    // And so are budgets and quarantine: nobody is let go by an end, and nobody is held who was not.
    folded.agrees(&ledger, found.range(..=seq))?;
    if !whole {
        return Ok(());
    }
    // It goes on, and then verifies from its first line to its last.
    let receipts = log.start(key.clone()).map_err(|e| e.to_string())?;
    let deadline = Instant::now() + Duration::from_secs(60);
    receipts
        .record(opened())
        .wait(deadline)
        .map_err(|e| e.to_string())?;
    if !receipts.close("the end", deadline) {
        return Err("it does not close".to_owned());
    }
    let expected = Expected {
        keys: vec![key.spki_der().to_vec()],
        ..Expected::default()
    };
    let report = verify(&*storage, &expected).map_err(|e| e.to_string())?;
    if !report.is_sound() {
        return Err(format!("{:?}", report.findings));
    }
    let after = entries(&storage.files());
    holds(&after, told)?;
    let kept = after.range(..=seq).eq(found.range(..=seq));
    let cut = found_bytes(files) != lines_bytes(found.range(..=seq));
    let recovered = after.range(seq + 1..).any(|(_, line)| {
        matches!(audit::Entry::from_line(line), Ok(entry) if matches!(entry.event, Event::Recovered(_)))
    });
    match (kept, cut == recovered) {
        (true, true) => Ok(()),
        _ => Err(format!(
            "kept: {kept}; something was cut off: {cut}, and told: {recovered}"
        )),
    }
}

/// Everything that was told is there, unchanged.
fn holds(found: &BTreeMap<u64, String>, told: &BTreeMap<u64, String>) -> Result<(), String> {
    for (seq, hash) in told {
        let line = found.get(seq).ok_or(format!("{seq} is lost"))?;
        if Hash::of(line.as_bytes()).to_string() != *hash {
            return Err(format!("{seq} is changed: {line}"));
        }
    }
    Ok(())
}

/// The whole lines that follow one on the other, by their numbers.
fn entries(files: &Files) -> BTreeMap<u64, String> {
    let mut entries = BTreeMap::new();
    let mut prev = Hash::NONE;
    for content in receipts(files) {
        for line in content.split_inclusive(|byte| *byte == b'\n') {
            let Some(line) = line.strip_suffix(b"\n") else {
                break;
            };
            let Ok(line) = std::str::from_utf8(line) else {
                break;
            };
            // Cheaper than to read each of them as an entry.
            let seq = entries.len() as u64 + 1;
            if !line.starts_with(&format!("{{\"v\":1,\"seq\":{seq},"))
                || !line.contains(&format!("\"prev\":\"{prev}\""))
            {
                break;
            }
            prev = Hash::of(line.as_bytes());
            entries.insert(seq, line.to_owned());
        }
    }
    entries
}

fn receipts(files: &Files) -> impl Iterator<Item = &Vec<u8>> {
    files
        .iter()
        .filter(|(name, _)| name.ends_with(".receipts"))
        .map(|(_, content)| content)
}

fn found_bytes(files: &Files) -> usize {
    receipts(files).map(Vec::len).sum()
}

fn lines_bytes<'a>(lines: impl Iterator<Item = (&'a u64, &'a String)>) -> usize {
    lines.map(|(_, line)| line.len() + 1).sum()
}

#[test]
fn a_disk_that_does_not_sync_is_found_out() {
    let key = Arc::new(AuditKey::generate().unwrap());
    let storage = Arc::new(Recorder::after(&Files::new(), Vec::new()));
    live(&storage, &key, 0);
    let syncs = |op: &Op| matches!(op, Op::Sync { .. } | Op::SyncFolder { .. });
    let ops: Vec<Op> = storage.ops().into_iter().filter(|op| !syncs(op)).collect();
    let start = Files::new();
    let mut disk = Disk::new(&start, &ops);
    let (mut told, mut random, mut wrong) = (BTreeMap::new(), Random::new(3), 0);
    while let Some(op) = disk.advance() {
        tell(&mut told, op);
        let files = disk.after(End::PowerCut, &mut random);
        let mut folded = Folded::default();
        wrong += usize::from(check(&files, &told, false, &key, &mut folded).is_err());
    }
    assert!(wrong > ops.len() / 4, "{wrong} of {}", ops.len());
}

/// How long this thread has had a processor: on a busy machine a clock says nothing.
fn on_processor() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = text.split(' ').next().and_then(|text| text.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or_default())
}

/// The most that a start has to read: a file that is about to be followed by another one, with an unfinished write at its end.
#[test]
fn the_time_of_the_longest_recovery_is_told() {
    let key = Arc::new(AuditKey::generate().unwrap());
    let storage = Arc::new(Recorder::after(&Files::new(), Vec::new()));
    life::fill(&storage, &key, audit::Options::default().max_file_bytes);
    let mut files = storage.files();
    let newest = files.values_mut().next_back().unwrap();
    newest.extend_from_slice(b"{\"v\":1,\"seq\":");
    let bytes = newest.len();
    let storage = Arc::new(Recorder::after(&files, Vec::new()));
    let (started, busy) = (Instant::now(), on_processor());
    let log = Log::open(storage, audit::Options::default()).unwrap();
    let entries = log.seq();
    let receipts = log.start(key).unwrap();
    println!(
        "audit log: {entries} entries in a file of {bytes} bytes are read and an unfinished one cut off in {:?}, {:?} of it on a processor",
        started.elapsed(),
        on_processor() - busy
    );
    let deadline = Instant::now() + Duration::from_secs(60);
    let written = receipts.record(opened()).wait(deadline).unwrap();
    assert_eq!(
        written.seq,
        entries + 2,
        "after the one that tells of the cut"
    );
    assert!(receipts.close("the end", deadline));
}
