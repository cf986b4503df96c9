//! One pass over an element in BER: where each element within begins and ends.

use super::{BerError, Forms};

/// OCTET STRING, primitive and in pieces.
const STRING: u8 = 0x04;
const STRING_IN_PIECES: u8 = 0x24;

/// What a pass comes by.
pub(super) enum Event<'a> {
    /// A constructed element begins; it is closed by [`Event::Close`].
    Open {
        /// Its tag; that of a primitive OCTET STRING for one in pieces.
        tag: &'a [u8],
        /// Whether it is a piece of a string that is open already.
        inner_piece: bool,
    },
    /// A primitive element.
    Leaf {
        tag: &'a [u8],
        content: &'a [u8],
        /// Whether it is a piece of a string.
        inner_piece: bool,
    },
    /// The innermost open element ends.
    Close,
}

struct Open {
    /// Where it ends; `None` for an end marker.
    end: Option<usize>,
    /// Where everything within has to end: the nearest definite end.
    bound: usize,
    /// Whether it is an OCTET STRING in pieces, or a piece of one.
    string: bool,
}

pub(super) struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
    open: Vec<Open>,
    max_depth: usize,
    forms: Forms,
    steps: usize,
    done: bool,
}

impl<'a> Walk<'a> {
    pub(super) fn new(bytes: &'a [u8], max_depth: usize) -> Self {
        Self {
            bytes,
            at: 0,
            open: Vec::new(),
            max_depth,
            forms: Forms::default(),
            steps: 0,
            done: false,
        }
    }

    /// Offset of the first octet that was not looked at.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    pub(super) fn forms(&self) -> Forms {
        self.forms
    }

    /// Events so far.
    pub(super) fn steps(&self) -> usize {
        self.steps
    }

    /// `None` after the end of the outermost element.
    pub(super) fn next_event(&mut self) -> Result<Option<Event<'a>>, BerError> {
        if self.done {
            return Ok(None);
        }
        self.steps = self.steps.saturating_add(1);
        if self.at_an_end()? {
            self.open.pop();
            self.done = self.open.is_empty();
            return Ok(Some(Event::Close));
        }
        let start = self.at;
        let header = header(self.bytes, start).ok_or(BerError::Malformed)?;
        let tag = self
            .bytes
            .get(start..header.tag_end)
            .ok_or(BerError::Malformed)?;
        let bound = self.open.last().map_or(self.bytes.len(), |open| open.bound);
        let end = match header.length {
            None => None,
            Some(length) => Some(
                header
                    .content
                    .checked_add(length)
                    .filter(|end| *end <= bound)
                    .ok_or(BerError::Malformed)?,
            ),
        };
        let inner_piece = self.open.last().is_some_and(|open| open.string);
        if inner_piece && !matches!(tag, [STRING | STRING_IN_PIECES]) {
            return Err(BerError::Malformed);
        }
        self.forms.long_length |= !header.shortest;
        let constructed = tag.first().is_some_and(|first| first & 0x20 != 0);
        if !constructed {
            let end = end.ok_or(BerError::Malformed)?;
            self.at = end;
            self.done = self.open.is_empty();
            return Ok(Some(Event::Leaf {
                tag,
                content: self
                    .bytes
                    .get(header.content..end)
                    .ok_or(BerError::Malformed)?,
                inner_piece,
            }));
        }
        if self.open.len() >= self.max_depth {
            return Err(BerError::TooDeep {
                limit: self.max_depth,
            });
        }
        let string = tag == [STRING_IN_PIECES];
        self.forms.string_in_pieces |= string;
        self.forms.indefinite_length |= end.is_none();
        self.open.push(Open {
            end,
            bound: end.unwrap_or(bound),
            string,
        });
        self.at = header.content;
        Ok(Some(Event::Open {
            tag: if string { &[STRING] } else { tag },
            inner_piece,
        }))
    }

    /// Whether the innermost open element ends here; an end marker is passed.
    fn at_an_end(&mut self) -> Result<bool, BerError> {
        let Some(innermost) = self.open.last() else {
            return Ok(false);
        };
        match innermost.end {
            Some(end) => Ok(self.at == end),
            None => {
                let after = self.at.checked_add(2).ok_or(BerError::Malformed)?;
                let marker = self.bytes.get(self.at..after) == Some(&[0, 0]);
                if marker && after <= innermost.bound {
                    self.at = after;
                    return Ok(true);
                }
                Ok(false)
            }
        }
    }
}

/// The beginning of an element (X.690 section 8.1).
pub(super) struct Header {
    /// Offset of the first octet of the length.
    pub(super) tag_end: usize,
    /// Offset of the first octet of the content.
    pub(super) content: usize,
    /// `None` when it is indefinite.
    pub(super) length: Option<usize>,
    /// Whether the length takes no more octets than it has to.
    pub(super) shortest: bool,
}

/// Reads the header at `at`. `None` where there is none; an end marker is none either.
pub(super) fn header(bytes: &[u8], at: usize) -> Option<Header> {
    /// Octets of a tag number above 30, which is as large as any in use.
    const LONGEST_TAG: usize = 4;
    let first = *bytes.get(at)?;
    let mut tag_end = at.checked_add(1)?;
    if first & 0x1f == 0x1f {
        loop {
            let octet = *bytes.get(tag_end)?;
            tag_end = tag_end.checked_add(1)?;
            if octet & 0x80 == 0 {
                break;
            }
            if tag_end.checked_sub(at)? > LONGEST_TAG {
                return None;
            }
        }
    } else if first == 0 {
        return None;
    }
    let length = *bytes.get(tag_end)?;
    let after = tag_end.checked_add(1)?;
    let header = |content, length, shortest| {
        Some(Header {
            tag_end,
            content,
            length,
            shortest,
        })
    };
    match length {
        0..=0x7f => header(after, Some(usize::from(length)), true),
        0x80 => header(after, None, true),
        0xff => None,
        _ => {
            let content = after.checked_add(usize::from(length & 0x7f))?;
            let digits = bytes.get(after..content)?;
            let mut value = 0_usize;
            for digit in digits {
                value = value.checked_mul(256)?.checked_add(usize::from(*digit))?;
            }
            let shortest = digits.first() != Some(&0) && value > 0x7f;
            header(content, Some(value), shortest)
        }
    }
}
