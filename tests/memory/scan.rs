//! Looking for secrets in the memory of a process, and in what a debugger writes of it.

use super::needles::Needles;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

const PAGE: usize = 4096;
const CHUNK: usize = 4 << 20;
/// Bytes that a piece of memory is looked at with the end of the one before it.
const OVERLAP: usize = 1024;

/// A secret that was found.
pub(crate) struct Found {
    pub(crate) what: String,
    /// The process that may have it.
    pub(crate) holder: Option<&'static str>,
    /// The address, or the place in a file.
    pub(crate) at: u64,
    /// `[heap]`, a file, or nothing for a mapping without a name; with the system's flags of it (`lo` locked, `dd` not dumped).
    pub(crate) mapping: String,
}

impl std::fmt::Display for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at {:#x} in {}", self.what, self.at, self.mapping)
    }
}

/// What was looked through.
pub(crate) struct Looked {
    pub(crate) found: Vec<Found>,
    pub(crate) bytes: u64,
}

/// Many needles at once: by their first four bytes, through a table of what the first two may be.
pub(crate) struct Search<'a> {
    needles: &'a Needles,
    first_two: Vec<bool>,
    by_four: Vec<(u32, usize)>,
}

fn four(bytes: &[u8]) -> u32 {
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

impl<'a> Search<'a> {
    pub(crate) fn new(needles: &'a Needles) -> Self {
        let mut first_two = vec![false; 1 << 16];
        let mut by_four = Vec::new();
        for (number, needle) in needles.0.iter().enumerate() {
            assert!(needle.bytes.len() < OVERLAP);
            first_two[usize::from(u16::from_le_bytes([needle.bytes[0], needle.bytes[1]]))] = true;
            by_four.push((four(&needle.bytes), number));
        }
        by_four.sort_unstable();
        Self {
            needles,
            first_two,
            by_four,
        }
    }

    /// Calls `each` with the place and the number of every needle in `bytes`. What is nothing but zeros, most of a core, takes no time.
    fn look(&self, bytes: &[u8], mut each: impl FnMut(usize, usize)) {
        let zeros = [0; PAGE];
        let is_empty = |page: usize| {
            let page = bytes.chunks(PAGE).nth(page);
            page.is_none_or(|page| page == &zeros[..page.len()])
        };
        let mut from = None;
        for page in 0..=bytes.len().div_ceil(PAGE) {
            // The neighbours too: a needle may begin or end with zeros.
            let empty = page * PAGE >= bytes.len()
                || (is_empty(page) && is_empty(page + 1) && (page == 0 || is_empty(page - 1)));
            match (from, empty) {
                (None, false) => from = Some(page * PAGE),
                (Some(start), true) => {
                    let run = &bytes[start..bytes.len().min(page * PAGE)];
                    self.look_closely(run, |at, number| each(start + at, number));
                    from = None;
                }
                _ => {}
            }
        }
    }

    fn look_closely(&self, bytes: &[u8], mut each: impl FnMut(usize, usize)) {
        for at in 0..bytes.len().saturating_sub(7) {
            if !self.first_two[usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]))] {
                continue;
            }
            let begins = four(&bytes[at..]);
            let from = self.by_four.partition_point(|(four, _)| *four < begins);
            for (_, number) in self.by_four[from..]
                .iter()
                .take_while(|(four, _)| *four == begins)
            {
                if bytes[at..].starts_with(&self.needles.0[*number].bytes) {
                    each(at, *number);
                }
            }
        }
    }

    /// All of what a process may write to, and what it has of its own otherwise.
    pub(crate) fn process(&self, pid: u32) -> Looked {
        let maps = std::fs::read_to_string(format!("/proc/{pid}/smaps"))
            .unwrap_or_else(|error| panic!("the maps of process {pid}: {error}"));
        let memory = File::open(format!("/proc/{pid}/mem")).unwrap();
        let mut looked = Looked {
            found: Vec::new(),
            bytes: 0,
        };
        for mapping in mappings(&maps) {
            let mut at = mapping.start;
            while at < mapping.end {
                let len = usize::try_from(mapping.end - at).unwrap().min(CHUNK);
                let mut bytes = vec![0; len];
                // Guard pages and the system's own cannot be read.
                if memory.read_exact_at(&mut bytes, at).is_err() {
                    break;
                }
                looked.bytes += bytes
                    .chunks(PAGE)
                    .filter(|page| page.iter().any(|byte| *byte != 0))
                    .count() as u64
                    * PAGE as u64;
                self.look(&bytes, |place, number| {
                    looked.found.push(Found {
                        what: self.needles.0[number].what.clone(),
                        holder: self.needles.0[number].holder,
                        at: at + place as u64,
                        mapping: mapping.name.clone(),
                    });
                });
                at += (len.saturating_sub(if at + (len as u64) < mapping.end {
                    OVERLAP
                } else {
                    0
                })) as u64;
            }
        }
        looked
    }

    /// A file, such as a core.
    pub(crate) fn file(&self, path: &Path) -> Looked {
        let bytes = std::fs::read(path).unwrap();
        let mut found = Vec::new();
        self.look(&bytes, |place, number| {
            found.push(Found {
                what: self.needles.0[number].what.clone(),
                holder: self.needles.0[number].holder,
                at: place as u64,
                mapping: path.display().to_string(),
            });
        });
        Looked {
            found,
            bytes: bytes.len() as u64,
        }
    }
}

struct Mapping {
    start: u64,
    end: u64,
    name: String,
}

/// The readable mappings that are no file's unchanged content.
fn mappings(smaps: &str) -> Vec<Mapping> {
    let mut all: Vec<Mapping> = Vec::new();
    for line in smaps.lines() {
        let mut words = line.split_whitespace();
        let first = words.next().unwrap_or_default();
        if let Some(flags) = line.strip_prefix("VmFlags:") {
            if let Some(mapping) = all.last_mut() {
                let flags: Vec<_> = flags
                    .split_whitespace()
                    .filter(|flag| ["lo", "dd", "wf"].contains(flag))
                    .collect();
                mapping.name = format!("{} {flags:?}", mapping.name);
            }
        } else if let Some((start, end)) = first.split_once('-') {
            let (Ok(start), Ok(end)) =
                (u64::from_str_radix(start, 16), u64::from_str_radix(end, 16))
            else {
                continue;
            };
            let rights = words.next().unwrap_or_default();
            let name = words.nth(3).unwrap_or("(no name)").to_owned();
            // What is not readable, or is a file as it is on the disk, is skipped by its range.
            let skip = !rights.starts_with('r') || (!rights.contains('w') && name.starts_with('/'));
            all.push(Mapping {
                start,
                end: if skip { start } else { end },
                name: format!("{rights} {name}"),
            });
        }
    }
    all
}

/// A core of a process, forced by a debugger although the process forbids it.
pub(crate) fn forced_core(pid: u32, folder: &Path) -> std::path::PathBuf {
    let prefix = folder.join("core");
    let output = Command::new("gcore")
        .args(["-o", prefix.to_str().unwrap(), &pid.to_string()])
        .output()
        .unwrap_or_else(|error| {
            panic!("this test needs the program `gcore` (Debian package gdb): {error}")
        });
    let core = folder.join(format!("core.{pid}"));
    assert!(
        core.is_file(),
        "no core of process {pid}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    core
}
