//! The Basic Encoding Rules (X.690), read within bounds: turned into definite lengths where they are not, and walked element by element.
//!
//! ```text
//! bytes --normalise--> DER lengths, OCTET STRINGs in one piece --Elements--> tag, content, tag, content ...
//! ```
//!
//! [`normalise`] knows no schema: it rewrites lengths, and joins OCTET STRINGs that say by their own tag that they are in pieces. An
//! IMPLICIT tag hides that; [`Element::octets`] joins those, where the schema has an OCTET STRING. What is inside of an OCTET STRING is
//! not touched, so that a MAC or a signature over it is over the octets that were there.
//!
//! Nothing recurses: the depth of the input costs one entry of a bounded list. Each octet is looked at a fixed number of times.

mod walk;

use fips::secret::SecretBytes;
use walk::{Event, Walk};

/// Why bytes are not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BerError {
    /// Not BER: something is cut off, overlaps, or has a form that no rule allows.
    #[error("not one whole element of ASN.1 in BER or DER")]
    Malformed,
    /// More elements within elements than the limit.
    #[error("more elements within elements than {limit}")]
    TooDeep {
        /// The limit.
        limit: usize,
    },
}

/// Which forms of BER that DER does not have were seen (X.690 section 10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Forms {
    /// A length up to an end marker (section 8.1.3.6).
    pub indefinite_length: bool,
    /// A length in more octets than needed (section 8.1.3.5).
    pub long_length: bool,
    /// An OCTET STRING in pieces (section 8.7.3).
    pub string_in_pieces: bool,
}

impl Forms {
    /// Whether there was any.
    #[must_use]
    pub fn any(self) -> bool {
        self.indefinite_length || self.long_length || self.string_in_pieces
    }

    /// These, and others.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            indefinite_length: self.indefinite_length || other.indefinite_length,
            long_length: self.long_length || other.long_length,
            string_in_pieces: self.string_in_pieces || other.string_in_pieces,
        }
    }
}

/// One element with definite lengths throughout.
pub struct Normalised<'a> {
    bytes: Bytes<'a>,
    /// How many octets of the input it takes; what comes after them was not looked at.
    pub used: usize,
    /// What had to be rewritten.
    pub forms: Forms,
    /// Elements that were looked at, each as often as it was.
    pub steps: usize,
}

enum Bytes<'a> {
    AsTheyWere(&'a [u8]),
    /// What is read may be a key in clear, so every copy is kept like one.
    Rewritten(SecretBytes),
}

impl Normalised<'_> {
    /// The element: tag, length and content.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match &self.bytes {
            Bytes::AsTheyWere(bytes) => bytes,
            Bytes::Rewritten(bytes) => bytes.expose(),
        }
    }
}

/// Reads the element at the beginning of `bytes`, with at most `max_depth` elements within each other.
///
/// # Errors
/// [`BerError`].
pub fn normalise(bytes: &[u8], max_depth: usize) -> Result<Normalised<'_>, BerError> {
    let mut walk = Walk::new(bytes, max_depth);
    while walk.next_event()?.is_some() {}
    let (used, forms, steps) = (walk.position(), walk.forms(), walk.steps());
    let element = bytes.get(..used).ok_or(BerError::Malformed)?;
    if !forms.any() {
        return Ok(Normalised {
            bytes: Bytes::AsTheyWere(element),
            used,
            forms,
            steps,
        });
    }
    let (lengths, total) = lengths(element, max_depth)?;
    let rewritten = rewrite(element, max_depth, &lengths, total)?;
    Ok(Normalised {
        bytes: Bytes::Rewritten(rewritten),
        used,
        forms,
        steps: steps.saturating_mul(3),
    })
}

/// The length of the rewritten content of every constructed element, in the order in which they begin; and that of the whole.
fn lengths(element: &[u8], max_depth: usize) -> Result<(Vec<u32>, usize), BerError> {
    let mut lengths: Vec<u32> = Vec::new();
    // Index into `lengths`, `None` for an inner piece; length of the tag; content so far.
    let mut open: Vec<(Option<usize>, usize, usize)> = Vec::new();
    let mut total = 0_usize;
    let mut walk = Walk::new(element, max_depth);
    while let Some(event) = walk.next_event()? {
        let grown = match event {
            Event::Open { tag, inner_piece } => {
                let index = (!inner_piece).then_some(lengths.len());
                if !inner_piece {
                    lengths.push(0);
                }
                open.push((index, tag.len(), 0));
                continue;
            }
            Event::Leaf {
                tag,
                content,
                inner_piece,
            } => match inner_piece {
                true => content.len(),
                false => whole(tag.len(), content.len())?,
            },
            Event::Close => {
                let (index, tag, content) = open.pop().ok_or(BerError::Malformed)?;
                match index {
                    None => content,
                    Some(index) => {
                        *lengths.get_mut(index).ok_or(BerError::Malformed)? =
                            u32::try_from(content).map_err(|_| BerError::Malformed)?;
                        whole(tag, content)?
                    }
                }
            }
        };
        let sum = match open.last_mut() {
            Some((_, _, content)) => content,
            None => &mut total,
        };
        *sum = sum.checked_add(grown).ok_or(BerError::Malformed)?;
    }
    Ok((lengths, total))
}

fn rewrite(
    element: &[u8],
    max_depth: usize,
    lengths: &[u32],
    total: usize,
) -> Result<SecretBytes, BerError> {
    let mut out = SecretBytes::zeroed(total);
    let mut at = 0_usize;
    let mut put = |bytes: &[u8]| {
        let end = at.checked_add(bytes.len())?;
        out.expose_mut().get_mut(at..end)?.copy_from_slice(bytes);
        at = end;
        Some(())
    };
    let mut lengths = lengths.iter();
    let mut walk = Walk::new(element, max_depth);
    while let Some(event) = walk.next_event()? {
        let done = match event {
            Event::Open {
                inner_piece: true, ..
            }
            | Event::Close => Some(()),
            Event::Open { tag, .. } => lengths
                .next()
                .and_then(|length| usize::try_from(*length).ok())
                .and_then(|length| put_header(&mut put, tag, length)),
            Event::Leaf {
                content,
                inner_piece: true,
                ..
            } => put(content),
            Event::Leaf { tag, content, .. } => {
                put_header(&mut put, tag, content.len()).and_then(|()| put(content))
            }
        };
        done.ok_or(BerError::Malformed)?;
    }
    Ok(out)
}

/// Tag and length in the shortest form. A string that was in pieces has its primitive tag already.
fn put_header(put: &mut impl FnMut(&[u8]) -> Option<()>, tag: &[u8], length: usize) -> Option<()> {
    put(tag)?;
    if let Ok(short @ 0..=0x7f) = u8::try_from(length) {
        return put(&[short]);
    }
    let digits = length.to_be_bytes();
    let first = digits.iter().position(|digit| *digit != 0)?;
    let digits = digits.get(first..)?;
    put(&[0x80 | u8::try_from(digits.len()).ok()?])?;
    put(digits)
}

/// A SEQUENCE of these elements, in DER.
#[must_use]
pub fn sequence(elements: &[&[u8]]) -> Vec<u8> {
    let content: usize = elements.iter().map(|element| element.len()).sum();
    let mut out = Vec::with_capacity(content.saturating_add(8));
    let mut put = |bytes: &[u8]| {
        out.extend_from_slice(bytes);
        Some(())
    };
    put_header(&mut put, &[tag::SEQUENCE], content);
    for element in elements {
        out.extend_from_slice(element);
    }
    out
}

/// An element in DER with this tag and these contents, which are secret; `None` for what is too long to be counted.
#[must_use]
pub fn secret_element(tag: u8, elements: &[&[u8]]) -> Option<SecretBytes> {
    let content = elements
        .iter()
        .try_fold(0_usize, |sum, element| sum.checked_add(element.len()))?;
    let mut out = SecretBytes::zeroed(whole(1, content).ok()?);
    let mut at = 0_usize;
    let mut put = |bytes: &[u8]| {
        let end = at.checked_add(bytes.len())?;
        out.expose_mut().get_mut(at..end)?.copy_from_slice(bytes);
        at = end;
        Some(())
    };
    put_header(&mut put, &[tag], content)?;
    for element in elements {
        put(element)?;
    }
    Some(out)
}

/// Octets of an element with a tag and a content of these lengths.
fn whole(tag: usize, content: usize) -> Result<usize, BerError> {
    let length = match content {
        0..=0x7f => 1,
        _ => {
            let bits = usize::BITS.saturating_sub(content.leading_zeros());
            usize::try_from(bits.div_ceil(8))
                .unwrap_or(usize::MAX)
                .saturating_add(1)
        }
    };
    tag.checked_add(length)
        .and_then(|sum| sum.checked_add(content))
        .ok_or(BerError::Malformed)
}

/// One element of definite length.
#[derive(Clone, Copy)]
pub struct Element<'a> {
    /// First octet of its tag: class, constructed or not, and number (all ones for a number above 30).
    pub tag: u8,
    /// Its content.
    pub content: &'a [u8],
    /// Tag, length and content.
    pub raw: &'a [u8],
}

/// Tags of the universal class (X.680 section 8.4).
pub mod tag {
    /// INTEGER.
    pub const INTEGER: u8 = 0x02;
    /// BIT STRING.
    pub const BIT_STRING: u8 = 0x03;
    /// OCTET STRING.
    pub const OCTET_STRING: u8 = 0x04;
    /// OBJECT IDENTIFIER.
    pub const OBJECT_IDENTIFIER: u8 = 0x06;
    /// SEQUENCE.
    pub const SEQUENCE: u8 = 0x30;
    /// SET.
    pub const SET: u8 = 0x31;
    /// Context-specific, constructed, number 0.
    pub const CONTEXT_0: u8 = 0xa0;
}

impl<'a> Element<'a> {
    /// The one element that `bytes` are.
    ///
    /// # Errors
    /// [`BerError::Malformed`], also for octets after it.
    pub fn whole(bytes: &'a [u8]) -> Result<Self, BerError> {
        let mut elements = Elements::new(bytes);
        let element = elements.take()?;
        elements.finish()?;
        Ok(element)
    }

    /// Whether it consists of elements.
    #[must_use]
    pub fn is_constructed(&self) -> bool {
        self.tag & 0x20 != 0
    }

    /// The elements within.
    #[must_use]
    pub fn elements(&self) -> Elements<'a> {
        Elements::new(self.content)
    }

    /// The elements within, if it has this tag.
    ///
    /// # Errors
    /// [`BerError::Malformed`] when it has another one.
    pub fn within(&self, tag: u8) -> Result<Elements<'a>, BerError> {
        match self.tag == tag {
            true => Ok(self.elements()),
            false => Err(BerError::Malformed),
        }
    }

    /// The octets of an OCTET STRING under an IMPLICIT tag, whose pieces an indefinite length may have hidden from [`normalise`].
    ///
    /// # Errors
    /// [`BerError::Malformed`] when something else is within.
    pub fn octets(&self) -> Result<std::borrow::Cow<'a, [u8]>, BerError> {
        if !self.is_constructed() {
            return Ok(self.content.into());
        }
        let mut pieces = self.elements();
        let mut joined = Vec::new();
        let mut only: Option<&'a [u8]> = None;
        while let Some(piece) = pieces.next_element()? {
            if piece.tag != tag::OCTET_STRING {
                return Err(BerError::Malformed);
            }
            match (only, joined.is_empty()) {
                (None, true) => only = Some(piece.content),
                (first, _) => {
                    joined.extend_from_slice(first.unwrap_or_default());
                    only = None;
                    joined.extend_from_slice(piece.content);
                }
            }
        }
        Ok(match only {
            Some(only) => only.into(),
            None => joined.into(),
        })
    }
}

/// The elements of a content, one after the other.
#[derive(Clone)]
pub struct Elements<'a> {
    rest: &'a [u8],
}

impl<'a> Elements<'a> {
    /// Over octets that are elements of definite length. What is inside of them is not looked at.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The next element, `None` at the end.
    ///
    /// # Errors
    /// [`BerError::Malformed`].
    pub fn next_element(&mut self) -> Result<Option<Element<'a>>, BerError> {
        let Some(first) = self.rest.first() else {
            return Ok(None);
        };
        let header = walk::header(self.rest, 0).ok_or(BerError::Malformed)?;
        let end = header
            .length
            .and_then(|length| header.content.checked_add(length))
            .ok_or(BerError::Malformed)?;
        let (raw, rest) = self.rest.split_at_checked(end).ok_or(BerError::Malformed)?;
        self.rest = rest;
        Ok(Some(Element {
            tag: *first,
            content: raw.get(header.content..).unwrap_or_default(),
            raw,
        }))
    }

    /// The next element, which has to be there.
    ///
    /// # Errors
    /// [`BerError::Malformed`].
    pub fn take(&mut self) -> Result<Element<'a>, BerError> {
        self.next_element()?.ok_or(BerError::Malformed)
    }

    /// The next element, which has to have this tag.
    ///
    /// # Errors
    /// [`BerError::Malformed`].
    pub fn take_tag(&mut self, tag: u8) -> Result<Element<'a>, BerError> {
        let element = self.take()?;
        match element.tag == tag {
            true => Ok(element),
            false => Err(BerError::Malformed),
        }
    }

    /// The next element if it has this tag; otherwise it stays.
    ///
    /// # Errors
    /// [`BerError::Malformed`].
    pub fn take_if(&mut self, tag: u8) -> Result<Option<Element<'a>>, BerError> {
        match self.rest.first() {
            Some(first) if *first == tag => self.next_element(),
            _ => Ok(None),
        }
    }

    /// Whether all was taken.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.rest.is_empty()
    }

    /// That all was taken.
    ///
    /// # Errors
    /// [`BerError::Malformed`] when there is more.
    pub fn finish(&self) -> Result<(), BerError> {
        match self.is_finished() {
            true => Ok(()),
            false => Err(BerError::Malformed),
        }
    }
}
