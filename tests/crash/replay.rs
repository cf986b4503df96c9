//! Plays every end that a recorded program may have met, and looks what its successor finds.

use crate::power::{Disk, End, Files, Op, Random};
use crate::record::{Recording, memory_folder};
use crate::rows::Rows;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

/// What is known at the moment of an end.
pub(crate) struct Known<'a> {
    /// The rows after the last step whose end was told; before the first, those that it was to make.
    told: &'a Rows,
    /// Those after the step that was begun.
    begun: Option<&'a Rows>,
    /// Whether that step is there as a whole or not at all.
    whole: bool,
}

impl Known<'_> {
    /// Nothing that was told is lost, nothing that was not begun is there, and nothing is there by half.
    pub(crate) fn compare(&self, found: &Rows) -> Result<(), String> {
        let begun = self.begun.unwrap_or(self.told);
        if found == self.told || found == begun {
            return Ok(());
        }
        let lost: Vec<_> = (self.told.intersection(begun))
            .filter(|row| !found.contains(*row))
            .collect();
        let strange: Vec<_> = found
            .iter()
            .filter(|row| !self.told.contains(*row) && !begun.contains(*row))
            .collect();
        if !self.whole && lost.is_empty() && strange.is_empty() {
            return Ok(());
        }
        Err(format!(
            "lost: {lost:#?}; not known: {strange:#?}; or a step by half"
        ))
    }
}

/// What opens a store in a folder and looks whether all is well; says how long the opening took.
pub(crate) type Check = fn(&Path, &Known<'_>, &mut Random) -> Result<Duration, String>;

/// How many ends of each recording are played, unless `CRASH_STATES` says another number (`make soak`).
const STATES: usize = 800;

/// One end: after so many operations, with chance from this seed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Point {
    at: usize,
    seed: usize,
}

fn number(name: &str) -> Option<usize> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is no number")),
    )
}

/// Ends of this number are played in addition at each moment before a folder is synced: names are where orders go wrong.
const BEFORE_NAMES: usize = 12;

/// Every moment in turn where there are enough ends to play, else moments by chance.
fn points(ops: &[Op]) -> Vec<Point> {
    let moments = ops.len() + 1;
    if let Some(seed) = number("CRASH_SEED") {
        return (0..moments).map(|at| Point { at, seed }).collect();
    }
    let first = number("CRASH_FIRST").unwrap_or(0);
    let count = number("CRASH_STATES").unwrap_or(STATES);
    let mut points: Vec<Point> = (first..first + count)
        .map(|seed| Point {
            at: if count >= moments {
                seed % moments
            } else {
                Random::new(seed as u64).below(moments)
            },
            seed,
        })
        .collect();
    for (at, op) in ops.iter().enumerate() {
        if matches!(op, Op::SyncFolder { .. }) {
            points.extend((first..first + BEFORE_NAMES).map(|seed| Point { at, seed }));
        }
    }
    points.sort();
    points
}

/// Plays ends of a recording, none of which may be found wrong. `CRASH_SEED=7` plays those of one seed again, at every moment.
pub(crate) fn play(name: &str, recording: &Recording, check: Check) {
    let (wrong, problems) = wrong_ends(name, recording, check);
    assert_eq!(wrong, 0, "{name}: {problems:#?}");
}

/// Plays ends of a recording and says how many were found wrong, and what is wrong with the first of them.
pub(crate) fn wrong_ends(name: &str, recording: &Recording, check: Check) -> (usize, Vec<String>) {
    let points = points(&recording.ops);
    let wrong = Mutex::new((0, Vec::new()));
    let longest = Mutex::new(Duration::ZERO);
    std::thread::scope(|scope| {
        for part in points.chunks(points.len().div_ceil(2)) {
            let (wrong, longest) = (&wrong, &longest);
            scope.spawn(move || {
                let took = play_part(recording, part, check, &|point, problem| {
                    let mut wrong = wrong.lock().unwrap();
                    wrong.0 += 1;
                    // The first few say enough.
                    if wrong.1.len() < 3 {
                        let op = recording.ops.get(point.at).map(ToString::to_string);
                        wrong.1.push(format!("{point:?}, before {op:?}: {problem}"));
                    }
                });
                let mut longest = longest.lock().unwrap();
                *longest = took.max(*longest);
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    println!(
        "{name}: {} ends at {} moments played, {} found wrong; the longest recovery took {:?}",
        points.len(),
        recording.ops.len() + 1,
        wrong.0,
        longest.into_inner().unwrap()
    );
    wrong
}

fn play_part(
    recording: &Recording,
    points: &[Point],
    check: Check,
    wrong: &dyn Fn(Point, String),
) -> Duration {
    let folder = memory_folder();
    let mut disk = Disk::new(&recording.start, &recording.ops);
    let (mut told, mut begun, mut whole) = (None, None, true);
    let mut longest = Duration::ZERO;
    for point in points {
        while disk.at() < point.at {
            if let Some(Op::Mark(text)) = disk.advance() {
                let words: Vec<&str> = text.split(' ').collect();
                match words[..] {
                    ["begin", step, kind] => {
                        begun = Some(&recording.rows[step.parse::<usize>().unwrap()]);
                        whole = kind == "whole";
                    }
                    ["end", _] => told = begun.take(),
                    _ => {}
                }
            }
        }
        let mut random = Random::new(point.seed as u64);
        let end = match random.below(4) {
            0 => End::Kill,
            _ => End::PowerCut,
        };
        let files = disk.after(end, &mut random);
        // Each in a folder of its own: a thread that closes the last one's database may still be at its files.
        let state = folder.path().join(format!("{}-{}", point.at, point.seed));
        write(&state, &files);
        let known = Known {
            // Whoever opens the store does what the first step was to do.
            told: told.or(begun).unwrap_or(&recording.rows[0]),
            begun,
            whole,
        };
        match check(&state, &known, &mut random) {
            Ok(took) => longest = took.max(longest),
            Err(problem) => wrong(*point, format!("{end:?}: {problem}")),
        }
        while state.exists() && std::fs::remove_dir_all(&state).is_err() {}
    }
    longest
}

pub(crate) fn write(folder: &Path, files: &Files) {
    std::fs::create_dir(folder).unwrap();
    for (name, content) in files {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        crate::record::make_private(&path);
    }
}
