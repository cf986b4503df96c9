//! Lines of a file, one at a time and none longer than [`MAX_LINE_BYTES`].

use crate::entry::MAX_LINE_BYTES;
use std::io::{self, BufRead, BufReader, Read};

/// How a line ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// By its newline, which is not in the line's bytes.
    Whole,
    /// The file ends before it does.
    Torn,
    /// It goes on beyond the limit.
    TooLong,
}

pub(crate) struct Lines<R> {
    reader: BufReader<R>,
    /// Bytes of the file before the next line.
    offset: u64,
    line: Vec<u8>,
    ended_whole: bool,
    skipped: bool,
}

impl<R: Read> Lines<R> {
    pub(crate) fn new(reader: R) -> Self {
        Self {
            reader: BufReader::with_capacity(128 * 1024, reader),
            offset: 0,
            line: Vec::new(),
            ended_whole: false,
            skipped: false,
        }
    }

    /// Bytes of the file that were read as lines.
    pub(crate) const fn offset(&self) -> u64 {
        self.offset
    }

    /// The line that was read last.
    pub(crate) fn line(&self) -> &[u8] {
        &self.line
    }

    /// Whether that line had its newline.
    pub(crate) const fn ended_whole(&self) -> bool {
        self.ended_whole
    }

    /// Reads the next line; `None` at the end of the file. After [`Ending::TooLong`] the place in the file is within a line.
    pub(crate) fn next(&mut self) -> io::Result<Option<Ending>> {
        if self.skipped {
            return Ok(None);
        }
        self.line.clear();
        let most = u64::try_from(MAX_LINE_BYTES)
            .unwrap_or(u64::MAX)
            .saturating_add(1);
        let read = (&mut self.reader)
            .take(most)
            .read_until(b'\n', &mut self.line)?;
        self.offset = self
            .offset
            .saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
        self.ended_whole = self.line.last() == Some(&b'\n');
        Ok(match self.line.last() {
            None => None,
            Some(b'\n') => {
                self.line.pop();
                Some(Ending::Whole)
            }
            Some(_) if self.line.len() > MAX_LINE_BYTES => Some(Ending::TooLong),
            Some(_) => Some(Ending::Torn),
        })
    }

    /// There are no more lines, whatever follows.
    pub(crate) const fn skip_all(&mut self) {
        self.skipped = true;
    }

    /// What comes after the lines read so far, unread: for counting and hashing an end that is no entry.
    pub(crate) fn rest(self) -> impl Read {
        self.reader
    }
}
