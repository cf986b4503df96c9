//! One append-only file of whole lines: repaired when opened, cut back when a write fails half-way.

use super::LogError;
use crate::telemetry::event::Event;
use fips::secret::file::{self, Access, Rights};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// A file that holds whole lines only.
#[derive(Debug)]
pub(super) struct LineFile {
    path: PathBuf,
    file: File,
    length: u64,
    /// A failed write could not be cut back: the next write tries again first.
    dirty: bool,
}

impl LineFile {
    /// Opens or creates the file (0640) and repairs a torn last line: a whole event without its line feed gets it, anything else
    /// after the last line feed is cut off, because it was never confirmed to anybody.
    ///
    /// # Errors
    /// [`LogError::Io`].
    pub(super) fn open(path: &Path) -> Result<Self, LogError> {
        let mut file = file::open(path, Access::Append, Rights::GroupReads)
            .map_err(|error| LogError::io("open", path)(error.into()))?;
        let length = repair(&mut file).map_err(LogError::io("repair", path))?;
        Ok(Self {
            path: path.to_owned(),
            file,
            length,
            dirty: false,
        })
    }

    /// Bytes in the file.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Appends one line; on failure nothing of it stays.
    ///
    /// # Errors
    /// [`LogError::Io`].
    pub(super) fn append(&mut self, line: &[u8]) -> Result<(), LogError> {
        if self.dirty {
            self.cut_back()?;
        }
        if let Err(error) = self.file.write_all(line) {
            self.dirty = true;
            let _ = self.cut_back();
            return Err(LogError::io("write", &self.path)(error));
        }
        self.length += u64::try_from(line.len()).unwrap_or(0);
        Ok(())
    }

    /// Makes everything appended durable. On failure the file goes back to `confirmed` bytes: what was not confirmed is written
    /// again later and must not be there twice.
    ///
    /// # Errors
    /// [`LogError::Io`].
    pub(super) fn sync(&mut self, confirmed: u64) -> Result<(), LogError> {
        if let Err(error) = self.file.sync_data() {
            self.length = confirmed;
            self.dirty = true;
            let _ = self.cut_back();
            return Err(LogError::io("sync", &self.path)(error));
        }
        Ok(())
    }

    fn cut_back(&mut self) -> Result<(), LogError> {
        self.file
            .set_len(self.length)
            .map_err(LogError::io("cut back", &self.path))?;
        self.dirty = false;
        Ok(())
    }

    /// Another handle on the file as it is now, for readers; valid up to [`Self::length`] bytes.
    ///
    /// # Errors
    /// [`LogError::Io`].
    pub(super) fn reader(&self) -> Result<File, LogError> {
        File::open(&self.path).map_err(LogError::io("open", &self.path))
    }

    /// Renames the file to `archived` and goes on with a new, empty one.
    ///
    /// # Errors
    /// [`LogError::Io`]; the file is then still the old one.
    pub(super) fn rotate(&mut self, archived: &Path) -> Result<(), LogError> {
        if self.dirty {
            self.cut_back()?;
        }
        self.file
            .sync_data()
            .map_err(LogError::io("sync", &self.path))?;
        std::fs::rename(&self.path, archived).map_err(LogError::io("rename", &self.path))?;
        match Self::open(&self.path) {
            Ok(next) => {
                *self = next;
                Ok(())
            }
            Err(error) => {
                // Lines must go on to a file that a reader finds.
                let _ = std::fs::rename(archived, &self.path);
                Err(error)
            }
        }
    }
}

/// Returns the length of the file after the repair.
fn repair(file: &mut File) -> std::io::Result<u64> {
    const BLOCK: u64 = 64 * 1024;
    let length = file.metadata()?.len();
    let mut tail = Vec::new();
    let mut start = length;
    let whole = loop {
        if let Some(at) = tail.iter().rposition(|byte| *byte == b'\n') {
            break start + u64::try_from(at).unwrap_or(0) + 1;
        }
        // A line is a few KiB at most; what has no line feed for this long is no log line.
        if start == 0 || length - start > 16 * BLOCK {
            break if start == 0 { 0 } else { start };
        }
        let from = start.saturating_sub(BLOCK);
        let mut block = vec![0; usize::try_from(start - from).unwrap_or(0)];
        file.seek(SeekFrom::Start(from))?;
        file.read_exact(&mut block)?;
        block.append(&mut tail);
        tail = block;
        start = from;
    };
    if whole == length {
        return Ok(length);
    }
    let torn = tail
        .get(usize::try_from(whole - start).unwrap_or(0)..)
        .unwrap_or_default();
    if serde_json::from_slice::<Event>(torn).is_ok() {
        file.write_all(b"\n")?;
        file.sync_data()?;
        return Ok(length + 1);
    }
    file.set_len(whole)?;
    file.sync_data()?;
    Ok(whole)
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
    use crate::telemetry::catalogue::EventKind;
    use crate::telemetry::event::Draft;

    fn line(text: &str) -> Vec<u8> {
        Draft::new(EventKind::StepDetail, text)
            .finish(0, "i")
            .line()
    }

    #[test]
    fn half_a_line_is_cut_off_at_any_byte() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.log");
        let (first, second) = (line("first"), line("second"));
        for cut in 0..second.len() - 1 {
            let mut content = first.clone();
            content.extend_from_slice(&second[..cut]);
            std::fs::write(&path, &content).unwrap();
            LineFile::open(&path).unwrap();
            assert_eq!(
                std::fs::read(&path).unwrap(),
                first,
                "cut after {cut} bytes"
            );
        }
    }

    #[test]
    fn a_whole_event_without_its_line_feed_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.log");
        let content = line("only");
        std::fs::write(&path, &content[..content.len() - 1]).unwrap();
        let mut file = LineFile::open(&path).unwrap();
        file.append(&line("next")).unwrap();
        assert_eq!(
            std::fs::read(&path).unwrap(),
            [content, line("next")].concat()
        );
    }

    #[test]
    fn zeros_that_a_power_cut_left_are_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.log");
        let mut content = line("first");
        content.extend_from_slice(&[0; 5000]);
        std::fs::write(&path, &content).unwrap();
        assert_eq!(
            LineFile::open(&path).unwrap().length(),
            line("first").len() as u64
        );
    }
}
