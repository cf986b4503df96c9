//! Archives: rotated files, compressed by a thread of their own, the oldest removed when the cap is reached.

use super::LogError;
use fips::secret::file::{self, Rights};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

/// A rotated file in the folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Archive {
    pub(super) path: PathBuf,
    /// File name up to the first `.log`: log, time of rotation, number. Sorts by time within a log.
    pub(super) stem: String,
    pub(super) bytes: u64,
    pub(super) compressed: bool,
}

impl Archive {
    /// `admin`, `operational` or `debug`.
    pub(super) fn log(&self) -> &str {
        self.stem.split('-').next().unwrap_or_default()
    }

    /// The time part of the name, which sorts as it reads.
    pub(super) fn when(&self) -> &str {
        self.stem.split_once('-').map_or("", |(_, when)| when)
    }
}

/// The name of a file that is rotated now: `admin-20260131T235959123Z-0001.log`; the number keeps two of one millisecond apart.
pub(super) fn archived_path(directory: &Path, log: &str, now_ms: i64) -> PathBuf {
    let when: String = crate::clock::rfc3339(now_ms)
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .collect();
    // Times with and without a fraction must sort alike.
    let (day, fraction) = when.trim_end_matches('Z').split_at(15.min(when.len() - 1));
    for number in 0..u32::MAX {
        let stem = format!("{log}-{day}{fraction:0<9}Z-{number:04}");
        let path = directory.join(format!("{stem}.log"));
        if !path.exists() && !directory.join(format!("{stem}.log.gz")).exists() {
            return path;
        }
    }
    directory.join(format!("{log}-{day}Z.log"))
}

/// All archives of the folder, oldest first. Where a crash left both forms of one, the uncompressed one counts.
///
/// # Errors
/// [`LogError::Io`].
pub(super) fn list(directory: &Path) -> Result<Vec<Archive>, LogError> {
    let mut archives: Vec<Archive> = Vec::new();
    let entries = std::fs::read_dir(directory).map_err(LogError::io("read", directory))?;
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        let (stem, compressed) = match (name.strip_suffix(".log"), name.strip_suffix(".log.gz")) {
            (Some(stem), _) => (stem, false),
            (_, Some(stem)) => (stem, true),
            _ => continue,
        };
        if !["admin-", "operational-", "debug-"]
            .iter()
            .any(|log| stem.starts_with(log))
        {
            continue;
        }
        archives.push(Archive {
            path: entry.path(),
            stem: stem.to_owned(),
            bytes: entry.metadata().map_or(0, |metadata| metadata.len()),
            compressed,
        });
    }
    archives
        .sort_by(|a, b| (a.when(), a.log(), a.compressed).cmp(&(b.when(), b.log(), b.compressed)));
    archives.dedup_by(|later, earlier| later.stem == earlier.stem);
    Ok(archives)
}

/// Compresses a rotated file. The uncompressed one goes only when the compressed one is durable; `guard` is held for the exchange,
/// so that a reader sees exactly one of the two.
///
/// # Errors
/// [`LogError::Io`]; the uncompressed file then stays and is tried again at the next start.
pub(super) fn compress(path: &Path, guard: &std::sync::Mutex<()>) -> Result<PathBuf, LogError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".gz");
    let target = PathBuf::from(name);
    let mut name = target.as_os_str().to_owned();
    name.push(".tmp");
    let scratch = PathBuf::from(name);
    let written = write_compressed(path, &scratch);
    if let Err(error) = written {
        let _ = std::fs::remove_file(&scratch);
        return Err(error);
    }
    let _exchange = guard
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    std::fs::rename(&scratch, &target).map_err(LogError::io("rename", &scratch))?;
    if let Some(directory) = path.parent() {
        sync_directory(directory)?;
    }
    std::fs::remove_file(path).map_err(LogError::io("remove", path))?;
    Ok(target)
}

fn write_compressed(path: &Path, scratch: &Path) -> Result<(), LogError> {
    let mut source = File::open(path).map_err(LogError::io("open", path))?;
    let target = file::remove_if_there(scratch)
        .and_then(|()| file::create_new(scratch, Rights::GroupReads))
        .map_err(LogError::io("create", scratch))?;
    let mut encoder = GzEncoder::new(std::io::BufWriter::new(target), Compression::default());
    std::io::copy(&mut source, &mut encoder).map_err(LogError::io("compress", path))?;
    let mut buffered = encoder.finish().map_err(LogError::io("compress", path))?;
    buffered.flush().map_err(LogError::io("write", scratch))?;
    buffered
        .get_ref()
        .sync_all()
        .map_err(LogError::io("sync", scratch))
}

/// Makes names in a folder durable.
///
/// # Errors
/// [`LogError::Io`].
pub(super) fn sync_directory(directory: &Path) -> Result<(), LogError> {
    File::open(directory)
        .and_then(|folder| folder.sync_all())
        .map_err(LogError::io("sync", directory))
}

/// Removes the oldest archives until all together are within `max_bytes`, and returns those removed.
///
/// # Errors
/// [`LogError::Io`].
pub(super) fn enforce_cap(
    directory: &Path,
    max_bytes: u64,
    guard: &std::sync::Mutex<()>,
) -> Result<Vec<Archive>, LogError> {
    let _exchange = guard
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let archives = list(directory)?;
    let mut total: u64 = archives.iter().map(|archive| archive.bytes).sum();
    let mut removed = Vec::new();
    for archive in archives {
        if total <= max_bytes {
            break;
        }
        std::fs::remove_file(&archive.path).map_err(LogError::io("remove", &archive.path))?;
        total = total.saturating_sub(archive.bytes);
        removed.push(archive);
    }
    Ok(removed)
}

/// Removes what a crash left half-written.
pub(super) fn remove_scratch(directory: &Path) {
    if let Ok(entries) = std::fs::read_dir(directory) {
        for entry in entries.flatten() {
            if entry.file_name().to_string_lossy().ends_with(".log.gz.tmp") {
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        missing_docs
    )]
    use super::*;

    #[test]
    fn names_sort_by_time_whatever_the_fraction() {
        let folder = tempfile::tempdir().unwrap();
        let names: Vec<String> = [0, 1, 10, 999, 1_000, 61_000]
            .iter()
            .map(|ms| {
                let path = archived_path(folder.path(), "admin", *ms);
                std::fs::write(&path, b"x").unwrap();
                path.file_name().unwrap().to_string_lossy().into_owned()
            })
            .collect();
        let mut sorted = names.clone();
        sorted.sort();
        assert_eq!(names, sorted);
        assert_ne!(
            archived_path(folder.path(), "admin", 0)
                .file_name()
                .unwrap()
                .to_string_lossy(),
            names[0]
        );
    }

    #[test]
    fn the_cap_removes_the_oldest_and_says_which() {
        let folder = tempfile::tempdir().unwrap();
        for ms in [1_000, 2_000, 3_000] {
            std::fs::write(archived_path(folder.path(), "admin", ms), [b'x'; 100]).unwrap();
        }
        let guard = std::sync::Mutex::new(());
        let removed = enforce_cap(folder.path(), 150, &guard).unwrap();
        assert_eq!(removed.len(), 2);
        assert!(removed[0].when() < removed[1].when());
        assert_eq!(list(folder.path()).unwrap().len(), 1);
    }
}
