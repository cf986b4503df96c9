//! Whether a log is what was written: for whoever has the folder (or a copy), the public half of the audit key, and the anchors that were
//! kept elsewhere. Nothing else is needed, and memory is bounded whatever the log's size.
//!
//! What is found, given that the audit key signed only for the writer: every changed, missing, added or moved line before the last seal;
//! every missing file; a file or an end of another log; seals of another key; a log that was cut off before an anchor. What cannot be found: that lines
//! after the last seal and after the last anchor were cut off or replaced (at most the last seconds of a log that ended in a crash).

mod finding;
mod report;

pub use finding::{Finding, What};
pub use report::Report;

use crate::chain::Chain;
use crate::entry::Entry;
use crate::event::{Event, Seal};
use crate::lines::Ending;
use crate::seal::{Anchor, MAX_SEAL_DISTANCE, Statement};
use crate::storage::Storage;
use crate::text::Hash;
use crate::walk::{Place, Step, Walk};
use std::collections::{BTreeMap, VecDeque};
use std::io;

/// Findings that are told one by one; more are counted.
const MAX_FINDINGS: usize = 100;

/// What a log is held against.
#[derive(Debug, Clone, Default)]
pub struct Expected {
    /// Public halves of the audit keys (DER SubjectPublicKeyInfo): of the one in use, and of those before it.
    pub keys: Vec<Vec<u8>>,
    /// Anchors that were kept elsewhere.
    pub anchors: Vec<Anchor>,
    /// The first file that has to be there; those before it are kept elsewhere, and are not verified here.
    pub first_file: Option<u64>,
}

/// Reads the whole log and says all that is wrong with it.
///
/// # Errors
/// Those of the storage: what cannot be read is not verified.
pub fn verify(storage: &dyn Storage, expected: &Expected) -> io::Result<Report> {
    let mut walk = Walk::new(storage)?;
    let mut verifier = Verifier::new(expected);
    verifier.files(walk.numbers());
    while let Some(step) = walk.next()? {
        match step {
            Step::Empty { place, number } => {
                verifier.skip_to(number);
                verifier.find(place, What::EmptyFile);
            }
            Step::Line {
                place,
                number,
                ending,
            } => verifier.line(place, number, ending, walk.bytes()),
        }
    }
    Ok(verifier.finish())
}

struct Verifier<'a> {
    expected: &'a Expected,
    /// By the fingerprints of the keys.
    keys: BTreeMap<Hash, &'a [u8]>,
    anchors: BTreeMap<u64, Vec<&'a Anchor>>,
    chain: Chain,
    /// Hashes of the last entries, the newest last, and whether they are seals.
    recent: VecDeque<(Hash, bool)>,
    report: Report,
}

impl<'a> Verifier<'a> {
    fn new(expected: &'a Expected) -> Self {
        let mut anchors = BTreeMap::<u64, Vec<&Anchor>>::new();
        for anchor in &expected.anchors {
            anchors.entry(anchor.upto).or_default().push(anchor);
        }
        Self {
            expected,
            keys: expected
                .keys
                .iter()
                .map(|spki| (Hash::of(spki), spki.as_slice()))
                .collect(),
            anchors,
            chain: Chain::START,
            recent: VecDeque::new(),
            report: Report::default(),
        }
    }

    fn find(&mut self, place: Place, what: What) {
        self.report.problems = self.report.problems.saturating_add(1);
        if self.report.findings.len() < MAX_FINDINGS {
            self.report.findings.push(Finding { place, what });
        }
    }

    fn whole(&mut self, what: What) {
        let place = Place {
            file: "the log".to_owned(),
            line: 0,
        };
        self.find(place, what);
    }

    fn files(&mut self, numbers: &VecDeque<u64>) {
        self.report.files = u64::try_from(numbers.len()).unwrap_or(u64::MAX);
        let mut next = self.expected.first_file.unwrap_or(1);
        if numbers.is_empty() {
            self.whole(What::NoFiles);
        }
        for number in numbers {
            if *number > next {
                self.whole(What::MissingFiles {
                    from: next,
                    to: number.saturating_sub(1),
                });
            }
            next = number.saturating_add(1);
        }
    }

    /// What is before this file is taken as it is: it was told already, or is kept elsewhere.
    fn skip_to(&mut self, number: u64) {
        self.chain.file = number;
    }

    fn line(&mut self, place: Place, number: u64, ending: Ending, bytes: &[u8]) {
        let is_first = place.line == 1;
        match ending {
            Ending::Whole => {}
            Ending::Torn => return self.find(place, What::EndsWithinALine),
            Ending::TooLong => return self.find(place, What::TooLong),
        }
        let Ok(text) = std::str::from_utf8(bytes) else {
            return self.find(place, What::NotText);
        };
        let entry = match Entry::from_line(text) {
            Ok(entry) => entry,
            Err(error) => return self.find(place, What::NotAnEntry(error)),
        };
        let starts_here = is_first
            && self.chain == Chain::START
            && self
                .expected
                .first_file
                .is_some_and(|first| first == number && first > 1);
        if let (true, Event::Begin(begin)) = (starts_here, &entry.event) {
            self.chain = Chain::before(&entry, begin);
        }
        if let Err(fault) = self.chain.follows(&entry, number, is_first) {
            self.find(place.clone(), What::Chain(fault));
            // What was remembered is of other entries.
            self.recent.clear();
        }
        if let Event::Seal(seal) = &entry.event {
            self.seal(&place, &entry, seal);
        }
        self.chain.advance(&entry, bytes);
        self.recent
            .push_back((self.chain.head, matches!(entry.event, Event::Seal(_))));
        if u64::try_from(self.recent.len())
            .is_ok_and(|count| count > MAX_SEAL_DISTANCE.saturating_add(16 * 1024))
        {
            self.recent.pop_front();
        }
        self.anchored(&place);
        self.report.count(&entry, self.chain.head);
    }

    /// The hash of an entry that was read not long ago.
    fn hash_of(&self, seq: u64) -> Option<Hash> {
        let back = usize::try_from(self.chain.seq.checked_sub(seq)?).ok()?;
        self.recent.iter().rev().nth(back).map(|(hash, _)| *hash)
    }

    /// Entries after this one, seals apart.
    fn entries_after(&self, seq: u64) -> u64 {
        let newer = usize::try_from(self.chain.seq.saturating_sub(seq)).unwrap_or(usize::MAX);
        let others = self
            .recent
            .iter()
            .rev()
            .take(newer)
            .filter(|(_, is_seal)| !is_seal);
        u64::try_from(others.count()).unwrap_or(u64::MAX)
    }

    fn seal(&mut self, place: &Place, entry: &Entry, seal: &Seal) {
        let Some(spki) = self.keys.get(&seal.key).copied() else {
            return self.find(place.clone(), What::OtherKey(seal.key));
        };
        let log = self.chain.log.clone().unwrap_or_default();
        if !Statement::of(&log, entry, seal).is_signed_by(spki, &seal.signature) {
            return self.find(place.clone(), What::BadSeal);
        }
        // Of an entry before the first file that is here nothing is known.
        let is_before = self.report.entries == 0 || seal.upto < self.report.first_seq;
        match self.hash_of(seal.upto) {
            Some(hash) if hash == seal.head => {
                self.report.seals = self.report.seals.saturating_add(1);
                self.report.sealed_upto = self.report.sealed_upto.max(seal.upto);
                self.report.unsealed = self.entries_after(self.report.sealed_upto);
            }
            None if is_before => {}
            _ => self.find(place.clone(), What::SealOfOthers { upto: seal.upto }),
        }
    }

    fn anchored(&mut self, place: &Place) {
        let Some(anchors) = self.anchors.remove(&self.chain.seq) else {
            return;
        };
        for anchor in anchors {
            let is_ours = self.chain.log.as_deref() == Some(anchor.log.as_str());
            let known = self.keys.get(&anchor.key).copied();
            if known.is_none_or(|spki| !anchor.is_signed_by(spki)) {
                self.find(place.clone(), What::BadAnchor { upto: anchor.upto });
            } else if !is_ours || anchor.head != self.chain.head {
                self.find(place.clone(), What::NotAsAnchored { upto: anchor.upto });
            } else {
                self.report.anchors = self.report.anchors.saturating_add(1);
                self.report.anchored_upto = self.report.anchored_upto.max(anchor.upto);
            }
        }
    }

    fn finish(mut self) -> Report {
        let first = self.report.first_seq;
        for (upto, anchors) in std::mem::take(&mut self.anchors) {
            for anchor in anchors {
                let known = self.keys.get(&anchor.key).copied();
                if known.is_none_or(|spki| !anchor.is_signed_by(spki)) {
                    self.whole(What::BadAnchor { upto });
                } else if self.chain.log.as_deref() != Some(anchor.log.as_str()) {
                    self.whole(What::NotAsAnchored { upto });
                } else if upto < first {
                    self.report.anchors_before = self.report.anchors_before.saturating_add(1);
                } else {
                    self.whole(What::CutOff {
                        anchored: upto,
                        last: self.chain.seq,
                    });
                }
            }
        }
        if self.report.entries > 0 && self.report.sealed_upto == 0 {
            self.whole(What::NoSeal);
        }
        self.report.log = self.chain.log.unwrap_or_default();
        self.report
    }
}
