//! Every line of a log, file after file, as it stands there.

use crate::files;
use crate::lines::{Ending, Lines};
use crate::storage::Storage;
use std::collections::VecDeque;
use std::io::{self, Read};

/// Where a line is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file's name.
    pub file: String,
    /// The line, from 1 on; 0: the file as a whole.
    pub line: u64,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            0 => f.write_str(&self.file),
            line => write!(f, "{}, line {line}", self.file),
        }
    }
}

/// What comes next.
pub(crate) enum Step {
    /// A line; its bytes are in [`Walk::bytes`].
    Line {
        place: Place,
        number: u64,
        ending: Ending,
    },
    /// A file with nothing in it.
    Empty { place: Place, number: u64 },
}

pub(crate) struct Walk<'a> {
    storage: &'a dyn Storage,
    numbers: VecDeque<u64>,
    file: Option<Current<'a>>,
}

struct Current<'a> {
    number: u64,
    lines: Lines<Box<dyn Read + 'a>>,
    count: u64,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(storage: &'a dyn Storage) -> io::Result<Self> {
        Ok(Self {
            storage,
            numbers: files::numbers(storage)?.into(),
            file: None,
        })
    }

    /// Numbers of the files that were not begun yet.
    pub(crate) const fn numbers(&self) -> &VecDeque<u64> {
        &self.numbers
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.file.as_ref().map_or(&[], |file| file.lines.line())
    }

    /// The next line; after one that is too long, the next file's.
    pub(crate) fn next(&mut self) -> io::Result<Option<Step>> {
        loop {
            let Some(current) = &mut self.file else {
                let Some(number) = self.numbers.pop_front() else {
                    return Ok(None);
                };
                self.file = Some(Current {
                    number,
                    lines: Lines::new(self.storage.read(&files::name(number))?),
                    count: 0,
                });
                continue;
            };
            let number = current.number;
            let place = |line| Place {
                file: files::name(number),
                line,
            };
            match current.lines.next()? {
                None if current.count == 0 => {
                    self.file = None;
                    return Ok(Some(Step::Empty {
                        place: place(0),
                        number,
                    }));
                }
                None => self.file = None,
                Some(ending) => {
                    current.count = current.count.saturating_add(1);
                    let place = place(current.count);
                    if ending == Ending::TooLong {
                        // The rest of the file is within a line.
                        current.lines.skip_all();
                    }
                    return Ok(Some(Step::Line {
                        place,
                        number,
                        ending,
                    }));
                }
            }
        }
    }
}
