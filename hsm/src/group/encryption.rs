//! One encryption through a group, on the caller's thread: by one token after the other.

use super::course::{is_final, keep};
use super::member::Member;
use super::{Inner, add};
use crate::{Capabilities, Error, ErrorClass, Label, Padding, SecretBytes, Terms};

/// What is to be encrypted, and how.
pub(super) struct Asked<'a> {
    pub(super) public_key_spki: &'a [u8],
    pub(super) padding: Padding,
    pub(super) label: &'a Label,
    pub(super) plaintext: &'a SecretBytes,
}

impl Inner {
    /// By any token that does the padding; the next one if that is in trouble, or has not answered in half of the time that is left. If
    /// all were asked and some were in trouble, each is asked once more, to go on trying: the one may be well before the other.
    pub(super) fn encrypt(&self, asked: &Asked<'_>, terms: Terms) -> Result<Vec<u8>, Error> {
        let all = || (0..self.members.len()).collect::<Vec<usize>>();
        let until = terms
            .within
            .map(|within| self.clock.now().saturating_add(within));
        let mut error: Option<Error> = None;
        let mut left = all();
        let mut asked_so_far = 0_usize;
        let mut persisting = false;
        loop {
            let now = self.clock.now();
            if until.is_some_and(|until| until <= now) {
                return Err(error.unwrap_or(Error::Deadline));
            }
            let mut able = left.clone();
            able.retain(|place| self.encrypts(*place, asked.padding));
            let in_trouble = error
                .as_ref()
                .is_some_and(|error| error.class() == ErrorClass::Token);
            let may_go_back = !persisting && in_trouble && until.is_some();
            let others = able.len() > 1;
            let Some(place) = self.well_or_any(able) else {
                if may_go_back && asked_so_far > 1 {
                    persisting = true;
                    left = all();
                    continue;
                }
                return Err(error.unwrap_or_else(|| self.why_none_encrypts(asked.padding)));
            };
            left.retain(|other| *other != place);
            let goes_on = others || may_go_back;
            let terms = Terms {
                within: until.map(|until| {
                    let left = until.saturating_sub(now);
                    if goes_on { left / 2 } else { left }
                }),
                elsewhere: goes_on && !persisting,
                own_thread: terms.own_thread && self.members.len() == 1,
                ..terms
            };
            let Some((member, attempt)) = self
                .members
                .get(place)
                .and_then(|member| Some((member, member.begin(None, now)?)))
            else {
                continue;
            };
            asked_so_far += 1;
            let result = attempt.custody.encrypt_with_label(
                asked.public_key_spki,
                asked.padding,
                asked.label,
                asked.plaintext,
                terms,
            );
            member.end(&attempt, result.as_ref().err(), self.clock.now());
            match result {
                Err(problem) if !is_final(&problem) => {
                    add(&self.failovers);
                    keep(&mut error, problem);
                }
                result => return result,
            }
        }
    }

    /// Whether this token serves and was seen to do the padding.
    fn encrypts(&self, place: usize, padding: Padding) -> bool {
        let custody = self.members.get(place).and_then(Member::serves);
        custody.is_some_and(|custody| {
            let capabilities = custody.capabilities();
            capabilities == Capabilities::default()
                || capabilities.encrypt_native.contains(&padding)
        })
    }

    /// The one of these whose turn it is: of those that are well, if any is.
    fn well_or_any(&self, places: Vec<usize>) -> Option<usize> {
        let now = self.clock.now();
        let mut well = places.clone();
        well.retain(|place| self.members.get(*place).is_some_and(|m| m.admits(now)));
        self.whose_turn(if well.is_empty() { places } else { well }, now)
    }

    fn why_none_encrypts(&self, padding: Padding) -> Error {
        if self.members.iter().any(|member| member.serves().is_some()) {
            Error::PaddingNotSupported(padding)
        } else {
            Error::NoTokenServes
        }
    }
}
