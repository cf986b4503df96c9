//! Where the PIN comes from at this moment, and which PINs were refused.
//!
//! What a token refused is not tried again before its source says something else: in this process by a salted hash of the PIN; in the
//! next one, which has forgotten that, by a [file](Memory) that holds nothing of the PIN, only which state of its source it was.
//!
//! An attempt whose answer was lost may have been counted by the token as one with a wrong PIN. What the token's flags say then:
//!
//! | flags (CKF_USER_PIN_COUNT_LOW, CKF_USER_PIN_FINAL_TRY, CKF_USER_PIN_LOCKED) | the PIN |
//! |---|---|
//! | one shows that was not there before the attempt | counts as refused, until its source is written anew |
//! | none shows, and the token is known to show them ([`Quirks::counts_pin_tries`](super::quirks::Quirks::counts_pin_tries)) | was not counted: it is tried again as if nothing were |
//! | anything else | is tried [once](ONCE_MORE) more, or, if the token took it before, some [more](TAKEN_MORE) times, at growing pauses; then not before its source is written anew |
//!
//! The flags are read after the attempt, if the token answers, and before the next one. Such attempts are counted over processes.

mod memory;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use fips::digest::{Hash, Hasher};

use crate::Error;
use crate::error::{PinProblem, Refusal};
use crate::pin::{Pin, PinSource, PinStamp};
use crate::token::TokenFlags;
use memory::{Memory, Outcome};

/// How long after an attempt whose answer was lost the next one may follow, for each that may: two in all, of the three that few tokens
/// have less than.
const ONCE_MORE: &[Duration] = &[Duration::from_secs(30)];
/// The same for a PIN that the token has taken before, which is most likely right still: four in all.
const TAKEN_MORE: &[Duration] = &[
    Duration::ZERO,
    Duration::from_secs(30),
    Duration::from_secs(120),
];

/// Module path, serial number and label of the token: some modules give all their tokens the same serial number.
pub(super) type TokenId = (PathBuf, String, String);

/// What this process knows of the PINs of tokens.
static PAST: Mutex<Option<HashMap<TokenId, Past>>> = Mutex::new(None);

#[derive(Clone, Default)]
struct Past {
    last: Option<Last>,
    lost: Option<Lost>,
}

/// The hash of the PIN that a token took or refused last.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    Taken([u8; 32]),
    Refused([u8; 32]),
}

/// Attempts with one PIN of which nobody knows what the token said to it.
#[derive(Clone)]
struct Lost {
    hash: [u8; 32],
    /// The state of its source.
    stamp: Option<String>,
    attempts: u32,
    /// The token took it before them.
    taken: bool,
    /// Before the last of them.
    flags: TokenFlags,
    /// The last of them and what was said instead, if that was in this process.
    last: Option<(Duration, Refusal)>,
    /// The token has shown that one of them was counted.
    counted: bool,
}

/// Whether a try has gone between the one state and the other.
const fn is_counted(before: TokenFlags, now: TokenFlags) -> bool {
    (now.user_pin_count_low && !before.user_pin_count_low)
        || (now.user_pin_final_try && !before.user_pin_final_try)
        || (now.user_pin_locked && !before.user_pin_locked)
}

/// How a token stands before an attempt.
#[derive(Clone, Copy)]
pub(super) struct Standing {
    pub(super) flags: TokenFlags,
    /// It is known to show which tries are gone.
    pub(super) shows_tries: bool,
    /// By custody's clock.
    pub(super) now: Duration,
}

impl Standing {
    /// No try is gone, and these flags prove it.
    const fn is_clean(self, flags: TokenFlags) -> bool {
        self.shows_tries
            && !flags.user_pin_count_low
            && !flags.user_pin_final_try
            && !flags.user_pin_locked
    }
}

/// What came of an attempt.
#[derive(Debug)]
pub(super) enum Answer {
    Taken,
    /// The token's opinion of the PIN.
    Refused(PinProblem),
    /// The PIN was not looked at.
    Unjudged(Error),
    /// Nobody knows whether it was; and the token's flags after that, if it could be asked.
    Lost(Refusal, Option<TokenFlags>),
}

/// What an attempt is made with.
pub(super) struct Attempt<'a> {
    pub(super) entry: Entry<'a>,
    /// The PIN is the one that the token took last.
    pub(super) is_taken: bool,
}

/// The PIN of a custody's token.
pub(super) struct Credentials {
    source: PinSource,
    /// Kept only if the source cannot be asked twice.
    kept: Option<Pin>,
    memory: Option<Memory>,
    /// Logins of the user that were needed.
    logins: AtomicU64,
}

/// A PIN for one attempt, or that it is entered at the token.
pub(super) enum Entry<'a> {
    Pin(&'a Pin),
    AtTheToken,
}

impl Credentials {
    /// # Errors
    /// [`Error::File`] if a source that can be asked only once has no PIN.
    pub(super) fn new(source: PinSource, memory: Option<PathBuf>) -> Result<Self, Error> {
        // In locked memory, where the system allows it: the status of the process tells.
        let kept = if source.is_readable_again() {
            None
        } else {
            Some(source.read()?)
        };
        Ok(Self {
            source,
            kept,
            memory: memory.map(Memory),
            logins: AtomicU64::new(0),
        })
    }

    /// How often somebody had to log in: when it has changed, the login was gone in between.
    pub(super) fn logins(&self) -> u64 {
        self.logins.load(Ordering::SeqCst)
    }

    pub(super) fn count_login(&self) {
        self.logins.fetch_add(1, Ordering::SeqCst);
    }

    /// True if the PIN stays in memory between logins.
    pub(super) const fn keeps_pin(&self) -> bool {
        self.kept.is_some()
    }

    /// Has `attempt` try the PIN, unless that was refused before, or too many answers to it were lost.
    ///
    /// # Errors
    /// [`Error::Pin`], [`Error::File`] if it cannot be read, [`Error::Token`] or what else `attempt` says where the PIN was not judged.
    pub(super) fn try_once(
        &self,
        token: &TokenId,
        standing: Standing,
        attempt: impl FnOnce(Attempt<'_>) -> Answer,
    ) -> Result<(), Error> {
        if self.source == PinSource::AtTheToken {
            return self.remember(token, standing, salted_hash(&[])?, None, |is_taken| {
                attempt(Attempt {
                    entry: Entry::AtTheToken,
                    is_taken,
                })
            });
        }
        let read;
        let (pin, stamp) = match &self.kept {
            Some(pin) => (pin, None),
            None => {
                read = self.source.read_stamped()?;
                (&read.0, read.1.as_ref())
            }
        };
        let hash = salted_hash(pin.expose())?;
        self.remember(token, standing, hash, stamp, |is_taken| {
            attempt(Attempt {
                entry: Entry::Pin(pin),
                is_taken,
            })
        })
    }

    fn remember(
        &self,
        token: &TokenId,
        standing: Standing,
        hash: [u8; 32],
        stamp: Option<&PinStamp>,
        attempt: impl FnOnce(bool) -> Answer,
    ) -> Result<(), Error> {
        let memory = self.memory.as_ref().zip(stamp);
        let write = |outcome: Option<Outcome>| {
            if let Some((memory, stamp)) = memory {
                memory.set(token, outcome.map(|outcome| (outcome, stamp)));
            }
        };
        let Past { last, lost } = past(|map| map.get(token).cloned()).unwrap_or_default();
        if last == Some(Last::Refused(hash)) {
            return Err(BEFORE);
        }
        // What the token took before it will take again, most likely: nothing is written down for each use of a key.
        let is_taken = last == Some(Last::Taken(hash));
        let stamp = stamp.map(ToString::to_string);
        let was_lost = lost.is_some();
        let mut lost = lost.filter(|lost| lost.hash == hash && lost.stamp == stamp);
        if lost.is_none() && !is_taken {
            match memory.and_then(|(memory, _)| memory.of(token)) {
                Some((Outcome::Refused, then)) if Some(&then) == stamp.as_ref() => {
                    return Err(BEFORE);
                }
                // A process ended in the midst of it, or without having heard what came of it.
                Some((Outcome::Begun { attempts, taken }, then))
                    if Some(&then) == stamp.as_ref() =>
                {
                    lost = Some(Lost {
                        hash,
                        stamp: stamp.clone(),
                        attempts,
                        taken,
                        flags: TokenFlags::default(),
                        last: None,
                        counted: false,
                    });
                }
                _ => {}
            }
        }
        let earlier = match lost {
            Some(lost) => still_lost(lost, standing, |counted| {
                write(Some(Outcome::Refused));
                past(|map| map.entry(token.clone()).or_default().lost = Some(counted));
            })?,
            None => None,
        };
        let begun = Lost {
            hash,
            stamp,
            attempts: 1 + earlier.as_ref().map_or(0, |lost| lost.attempts),
            taken: is_taken || earlier.as_ref().is_some_and(|lost| lost.taken),
            flags: standing.flags,
            last: None,
            counted: false,
        };
        let is_written_down = !is_taken || was_lost;
        if is_written_down {
            write(Some(begun.outcome()));
        }
        let answer = attempt(is_taken);
        let (last, lost, written, result) = match answer {
            // The PIN was not judged. A token that is locked or has none keeps the next attempt back by its flags.
            Answer::Refused(problem @ (PinProblem::Locked | PinProblem::NotInitialized)) => {
                let written = earlier.as_ref().map(Lost::outcome);
                (last, earlier, written, Err(Error::Pin(problem)))
            }
            Answer::Unjudged(error) => {
                let written = earlier.as_ref().map(Lost::outcome);
                (last, earlier, written, Err(error))
            }
            Answer::Refused(problem) => (
                Some(Last::Refused(hash)),
                None,
                Some(Outcome::Refused),
                Err(Error::Pin(problem)),
            ),
            Answer::Taken => (Some(Last::Taken(hash)), None, None, Ok(())),
            Answer::Lost(refusal, now) => {
                let trouble = Err(Error::Token(refusal));
                match now {
                    Some(now) if is_counted(standing.flags, now) => {
                        tracing::warn!(%refusal, "the token counts a failed login: the PIN is taken for wrong");
                        let counted = Lost {
                            counted: true,
                            ..begun
                        };
                        let wrong = Err(Error::Pin(PinProblem::Incorrect));
                        (last, Some(counted), Some(Outcome::Refused), wrong)
                    }
                    Some(now) if standing.is_clean(now) => (last, None, None, trouble),
                    _ => {
                        let lost = Lost {
                            last: Some((standing.now, refusal)),
                            ..begun
                        };
                        let written = lost.outcome();
                        (last, Some(lost), Some(written), trouble)
                    }
                }
            }
        };
        past(|map| map.insert(token.clone(), Past { last, lost }));
        if is_written_down || written.is_some() {
            write(written);
        }
        result
    }
}

const BEFORE: Error = Error::Pin(PinProblem::RefusedBefore);

impl Lost {
    const fn outcome(&self) -> Outcome {
        Outcome::Begun {
            attempts: self.attempts,
            taken: self.taken,
        }
    }
}

/// The attempts of before, if they are still in question and another one may follow; `None` if none of them was counted. `keep` is told
/// if one was.
fn still_lost(
    lost: Lost,
    standing: Standing,
    keep: impl FnOnce(Lost),
) -> Result<Option<Lost>, Error> {
    if lost.counted {
        return Err(BEFORE);
    }
    if is_counted(lost.flags, standing.flags) {
        tracing::warn!("the token counts a failed login since: the PIN is taken for wrong");
        keep(Lost {
            counted: true,
            ..lost
        });
        return Err(BEFORE);
    }
    if standing.is_clean(standing.flags) {
        return Ok(None);
    }
    let pauses = if lost.taken { TAKEN_MORE } else { ONCE_MORE };
    let before = usize::try_from(lost.attempts.saturating_sub(1)).unwrap_or(usize::MAX);
    let Some(pause) = pauses.get(before) else {
        tracing::error!(
            attempts = lost.attempts,
            "what the token said to the PIN was lost too often: if the PIN is right, write it to its source again"
        );
        return Err(BEFORE);
    };
    match lost.last {
        Some((at, refusal)) if standing.now.saturating_sub(at) < *pause => {
            Err(Error::Token(refusal))
        }
        _ => Ok(Some(lost)),
    }
}

fn past<T>(action: impl FnOnce(&mut HashMap<TokenId, Past>) -> T) -> T {
    let mut map = PAST.lock().unwrap_or_else(PoisonError::into_inner);
    action(map.get_or_insert_default())
}

/// SHA-256 of a random salt of this process and the PIN: enough to see that a PIN has not changed, and gone with the process.
fn salted_hash(pin: &[u8]) -> Result<[u8; 32], Error> {
    static SALT: OnceLock<[u8; 32]> = OnceLock::new();
    let salt = match SALT.get() {
        Some(salt) => salt,
        None => {
            let mut salt = [0; 32];
            fips::random::fill(&mut salt).map_err(|_| Error::Internal("no random bytes"))?;
            SALT.get_or_init(|| salt)
        }
    };
    Ok(sha256(&[salt, pin]))
}

fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Hasher::new(Hash::Sha256);
    for part in parts {
        hasher.update(part);
    }
    let digest = hasher.finish();
    let mut hash = [0; 32];
    for (to, from) in hash.iter_mut().zip(digest.as_ref()) {
        *to = *from;
    }
    hash
}

#[cfg(test)]
mod tests;
