//! A log that somebody has touched is found out: ten thousand random manipulations, each a single one, and each of them found.
//!
//! What is left out is what nobody could find: an end that was cut off after the last anchor and the last seal. The log here was closed, so
//! its last line is a seal, and an anchor of it was kept elsewhere.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

mod support;

use audit::storage::Storage;
use audit::verify::{Expected, verify};
use audit::{Anchor, AuditKey, Options};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use support::{codes, expecting, module, write};

/// Files in memory, as an auditor has them.
#[derive(Clone, PartialEq)]
struct Copy(BTreeMap<String, Vec<u8>>);

impl Copy {
    fn of(folder: &Path) -> Self {
        let files = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        Self(
            files
                .filter(|path| {
                    path.extension()
                        .is_some_and(|extension| extension == "receipts")
                })
                .map(|path| {
                    let name = path.file_name().unwrap().to_str().unwrap().to_owned();
                    (name, fs::read(path).unwrap())
                })
                .collect(),
        )
    }

    /// Every line with its newline, file by file.
    fn lines(&self, file: &str) -> Vec<Vec<u8>> {
        self.0[file]
            .split_inclusive(|byte| *byte == b'\n')
            .map(<[u8]>::to_vec)
            .collect()
    }

    /// The same log, as it was before its very last line was written.
    fn without_last_line(&self) -> Self {
        let mut shorter = self.clone();
        let last = self.0.keys().last().unwrap();
        let lines = self.lines(last);
        shorter.set_lines(last, &lines[..lines.len() - 1]);
        shorter
    }

    fn set_lines(&mut self, file: &str, lines: &[Vec<u8>]) {
        self.0.insert(file.to_owned(), lines.concat());
    }
}

impl Storage for Copy {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.0.keys().cloned().collect())
    }
    fn read(&self, name: &str) -> io::Result<Box<dyn io::Read + '_>> {
        Ok(Box::new(
            self.0.get(name).ok_or(io::ErrorKind::NotFound)?.as_slice(),
        ))
    }
    fn create(&self, _: &str) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }
    fn append(&self, _: &str, _: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }
    fn truncate(&self, _: &str, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }
    fn sync(&self, _: &str) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }
    fn rename(&self, _: &str, _: &str) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }
    fn sync_names(&self) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }
}

/// xorshift64*: the same manipulations in every run.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(limit.max(1)).unwrap()).unwrap()
    }
}

const KINDS: [&str; 16] = [
    "a bit flipped",
    "a byte replaced",
    "a byte taken out",
    "a byte put in",
    "a digit or letter exchanged for another",
    "a line taken out",
    "a line twice",
    "two lines exchanged",
    "a line moved",
    "a line of another log put in",
    "a line replaced by one of another log",
    "cut off within a line",
    "cut off after a line",
    "a file taken out",
    "a file of another log in its place",
    "the end of another log behind a line",
];

/// Touches `log` once; `other` is a log of the same audit key.
fn manipulate(log: &Copy, other: &Copy, kind: &str, dice: &mut Dice) -> Copy {
    let mut changed = log.clone();
    let names: Vec<&String> = log.0.keys().collect();
    let file = names[dice.below(names.len())].clone();
    let bytes = log.0[&file].clone();
    let at = dice.below(bytes.len());
    let mut lines = log.lines(&file);
    let line = dice.below(lines.len());
    let of_other = |dice: &mut Dice| {
        let names: Vec<&String> = other.0.keys().collect();
        let lines = other.lines(names[dice.below(names.len())]);
        lines[dice.below(lines.len())].clone()
    };
    let mut touched = bytes;
    match kind {
        "a bit flipped" => touched[at] ^= 1 << dice.below(8),
        "a byte replaced" => touched[at] = u8::try_from(dice.below(256)).unwrap(),
        "a byte taken out" => drop(touched.remove(at)),
        "a byte put in" => touched.insert(at, u8::try_from(32 + dice.below(95)).unwrap()),
        "a digit or letter exchanged for another" => {
            let place = (0..touched.len())
                .map(|step| (at + step) % touched.len())
                .find(|place| touched[*place].is_ascii_alphanumeric())
                .unwrap();
            touched[place] = b"0123456789abcdefXYZ"[dice.below(19)];
        }
        "a line taken out" => drop(lines.remove(line)),
        "a line twice" => lines.insert(line, lines[line].clone()),
        "two lines exchanged" => {
            let with = dice.below(lines.len());
            lines.swap(line, with);
        }
        "a line moved" => {
            let taken = lines.remove(line);
            lines.insert(dice.below(lines.len() + 1), taken);
        }
        "a line of another log put in" => lines.insert(line, of_other(dice)),
        "a line replaced by one of another log" => lines[line] = of_other(dice),
        "cut off within a line" => touched.truncate(at),
        "cut off after a line" => lines.truncate(line),
        "a file taken out" => drop(changed.0.remove(&file)),
        "a file of another log in its place" => {
            drop(changed.0.insert(file.clone(), other.0[&file].clone()))
        }
        "the end of another log behind a line" => {
            let of_other = other.lines(&file);
            let from = dice.below(of_other.len());
            lines.truncate(line);
            lines.extend_from_slice(&of_other[from..]);
        }
        _ => panic!("{kind}"),
    }
    match kind {
        "a file taken out" | "a file of another log in its place" => {}
        "a bit flipped"
        | "a byte replaced"
        | "a byte taken out"
        | "a byte put in"
        | "a digit or letter exchanged for another"
        | "cut off within a line" => drop(changed.0.insert(file, touched)),
        _ => changed.set_lines(&file, &lines),
    }
    changed
}

fn small() -> Options {
    Options {
        max_file_bytes: 3 * 1024,
        ..Options::default()
    }
}

/// Two logs of one key and of the same length, and what an auditor of the first has.
fn logs() -> (Copy, Copy, Expected) {
    module();
    let key = Arc::new(AuditKey::generate().unwrap());
    let (first, second, elsewhere) = (support::folder(), support::folder(), support::folder());
    let anchors = elsewhere.path().join("anchors");
    let anchored = Options {
        anchor_file: Some(anchors.clone()),
        ..small()
    };
    write(first.path(), &key, anchored, 0..10);
    write(second.path(), &key, small(), 0..10);
    let mut expected = expecting(&key);
    for line in fs::read_to_string(anchors).unwrap().lines() {
        expected.anchors.push(Anchor::from_line(line).unwrap());
    }
    (Copy::of(first.path()), Copy::of(second.path()), expected)
}

#[test]
fn ten_thousand_single_manipulations_are_all_found() {
    let (log, other, expected) = logs();
    let sound = verify(&log, &expected).unwrap();
    assert!(sound.is_sound(), "{:?}", sound.findings);
    assert!(sound.files >= 3 && sound.anchors >= 2, "{sound:?}");
    let mut dice = Dice(0x5eed_0006);
    let mut tried = BTreeMap::<&str, u64>::new();
    // The last line is a seal. Cut off, the log ends as one that crashed before its last seal did, and the anchor is of what is still there.
    let without_last_seal = log.without_last_line();
    let mut last_seals_missed = 0;
    let mut missed = Vec::new();
    while tried.values().sum::<u64>() < 10_000 {
        let kind = KINDS[dice.below(KINDS.len())];
        let changed = manipulate(&log, &other, kind, &mut dice);
        // A byte replaced by itself, or a line exchanged with itself.
        if changed == log {
            continue;
        }
        *tried.entry(kind).or_default() += 1;
        let report = verify(&changed, &expected).unwrap();
        if !report.is_sound() {
            continue;
        }
        if changed == without_last_seal {
            last_seals_missed += 1;
        } else {
            missed.push(kind);
        }
    }
    assert_eq!(tried.len(), KINDS.len(), "{tried:?}");
    assert!(missed.is_empty(), "not found: {missed:?}");
    // What is forgiven is rare, or nothing was looked for.
    let ends = tried["a line taken out"] + tried["cut off after a line"];
    assert!(
        last_seals_missed < ends / 4,
        "{last_seals_missed} of {ends}"
    );
}

#[test]
fn without_anchors_only_a_cut_at_the_end_stays_hidden() {
    let (log, _, mut expected) = logs();
    expected.anchors.clear();
    let cut = log.without_last_line();
    assert!(verify(&cut, &expected).unwrap().is_sound());
    assert!(verify(&cut, &expected).unwrap().unsealed > 0);
    // A file that is not the last is missed by the one after it.
    let mut cut = log.clone();
    let first = log.0.keys().next().unwrap().clone();
    let lines = log.lines(&first);
    cut.set_lines(&first, &lines[..lines.len() - 1]);
    assert_eq!(codes(&verify(&cut, &expected).unwrap())[0], "chain_broken");
}

#[test]
fn a_log_of_another_key_and_one_without_seals_are_found() {
    let (log, _, expected) = logs();
    let stranger = AuditKey::generate().unwrap();
    let report = verify(&log, &expecting(&stranger)).unwrap();
    assert!(codes(&report).contains(&"seal_of_other_key"), "{report:?}");
    assert!(codes(&report).contains(&"no_seal"));
    // Who has no key can still write lines; a whole log of them has no seal.
    module();
    let folder = support::folder();
    write(folder.path(), &Arc::new(stranger), small(), 0..3);
    let forged = verify(&Copy::of(folder.path()), &expected).unwrap();
    assert!(codes(&forged).contains(&"no_seal"), "{forged:?}");
    assert!(codes(&forged).contains(&"not_as_anchored"), "{forged:?}");
}

#[test]
fn findings_say_where_and_what() {
    let (log, _, expected) = logs();
    let first = "00000001.receipts";
    let mut changed = log.clone();
    let text = String::from_utf8(log.0[first].clone()).unwrap();
    changed.0.insert(
        first.to_owned(),
        text.replacen("user1@", "user2@", 1).into_bytes(),
    );
    let line = text
        .lines()
        .position(|line| line.contains("user1@"))
        .unwrap()
        + 1;
    let report = verify(&changed, &expected).unwrap();
    // The line itself is still an entry; the one after it was written after another one.
    let expected_place = format!(
        "{first}, line {}: it was written after a line with the hash",
        line + 1
    );
    assert!(
        report.findings[0].to_string().starts_with(&expected_place),
        "{}",
        report.findings[0]
    );
}
