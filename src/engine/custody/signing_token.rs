//! A signing key, on whichever of the tokens has it.
//!
//! The tokens are asked one after the other until one does it. Where none does, what is told is the answer that leaves most open: that a
//! token does not have the key says nothing of the others, and a key is missing for good only when every token was asked and said so.

use super::Shared;
use super::refusal::Refusal;
use super::token::describe;
use hsm::Terms;
use hsm::pkcs11::Pkcs11Custody;
use std::cell::Cell;
use std::time::{Duration, Instant};

/// How much an answer leaves open, the least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Weight {
    /// The token does not have the key.
    NotHere,
    /// The token has something of this name, and it will not do.
    Unfit,
    /// The token is not open: nobody knows what it has.
    NotOpen,
    /// The token was asked, and is in trouble or has no time.
    InTrouble,
}

/// Asks the tokens one after the other until one does it or the time is over, on the terms that each is given, the one called `first` before
/// the others; with the name of the token that did it. `section`: the part of the configuration that names the key.
///
/// Each gets its share of the time that is left, so that one that hangs does not keep the next from being asked. A token in trouble is waited
/// for only where there is no other.
///
/// # Errors
/// What is over when a token comes back (one that is not open, in trouble, or has no time) before what is for good.
pub(super) fn on_a_token_within<'a, T>(
    shared: &'a Shared,
    section: &str,
    deadline: Instant,
    first: Option<&str>,
    ask: impl Fn(&Pkcs11Custody, Terms) -> Result<T, hsm::Error>,
) -> Result<(&'a str, T), Refusal> {
    // What is wrong is told below.
    let _ = shared.tokens.get_by(deadline);
    let is_one_of_several = shared.tokens.keepers.len() > 1;
    let tokens: Vec<_> = shared
        .tokens
        .in_order(first)
        .map(|keeper| (keeper.name.as_str(), keeper.custody()))
        .collect();
    let open = tokens.iter().filter(|(_, custody)| custody.is_some());
    let shares = Shares::new(deadline, open.count());
    first_that_does(section, tokens.into_iter(), |custody| {
        let terms = Terms {
            elsewhere: is_one_of_several,
            ..Terms::within(shares.next(Instant::now())?)
        };
        ask(custody, terms)
    })
}

/// The time until a deadline, shared among those that are asked one after the other.
struct Shares {
    deadline: Instant,
    /// Those that have not been asked.
    left: Cell<u32>,
}

impl Shares {
    fn new(deadline: Instant, among: usize) -> Self {
        Self {
            deadline,
            left: Cell::new(u32::try_from(among).unwrap_or(u32::MAX)),
        }
    }

    /// How long the next one has.
    ///
    /// # Errors
    /// [`hsm::Error::Deadline`]: no time is left.
    fn next(&self, now: Instant) -> Result<Duration, hsm::Error> {
        let share = self.deadline.saturating_duration_since(now) / self.left.get().max(1);
        self.left.set(self.left.get().saturating_sub(1));
        if share.is_zero() {
            return Err(hsm::Error::Deadline);
        }
        Ok(share)
    }
}

fn first_that_does<'a, K: 'a, T>(
    section: &str,
    tokens: impl Iterator<Item = (&'a str, Option<&'a K>)>,
    ask: impl Fn(&K) -> Result<T, hsm::Error>,
) -> Result<(&'a str, T), Refusal> {
    let mut heaviest: Option<(Weight, Refusal)> = None;
    for (name, custody) in tokens {
        let (weight, refusal) = match custody.map(&ask) {
            Some(Ok(done)) => return Ok((name, done)),
            Some(Err(error)) => {
                tracing::debug!(name, section, "{error}");
                weigh(section, error)
            }
            None => (
                Weight::NotOpen,
                Refusal::token_unavailable(
                    "token_not_open",
                    format!("the token `{name}` is not open, and may have the key of `{section}`"),
                ),
            ),
        };
        // The first of those that weigh the same.
        if heaviest.as_ref().is_none_or(|(known, _)| *known < weight) {
            heaviest = Some((weight, refusal));
        }
    }
    Err(heaviest.map_or_else(
        || Refusal::token_unavailable("token_not_open", "no token is open".to_owned()),
        |(_, refusal)| refusal,
    ))
}

fn weigh(section: &str, error: hsm::Error) -> (Weight, Refusal) {
    use hsm::Error as E;
    let weight = match &error {
        E::SigningKeyNotFound(_) => Weight::NotHere,
        E::SigningKeyAmbiguous { .. }
        | E::KeyRefused { .. }
        | E::MechanismNotSupported { .. }
        | E::Policy(fips::Error::NotApproved { .. }) => Weight::Unfit,
        _ => Weight::InTrouble,
    };
    let refusal = match &error {
        E::Policy(_) => error.into(),
        error if weight < Weight::NotOpen => {
            Refusal::bad_request(&format!("`{section}`: {}", describe(error)))
        }
        _ => error.into(),
    };
    (weight, refusal)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, missing_docs)]
    use super::*;
    use crate::engine::api::FailureCode;
    use hsm::SigningKeyName;

    /// What a token answers.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    enum Says {
        Done,
        NotHere,
        Unfit,
        Deadline,
        Overloaded,
        Broken,
    }

    fn ask(says: &Says) -> Result<u8, hsm::Error> {
        let name = || SigningKeyName::Label("ca".to_owned());
        Err(match says {
            Says::Done => return Ok(7),
            Says::NotHere => hsm::Error::SigningKeyNotFound(name()),
            Says::Unfit => hsm::Error::SigningKeyAmbiguous {
                name: name(),
                count: 2,
            },
            Says::Deadline => hsm::Error::Deadline,
            Says::Overloaded => hsm::Error::Overloaded,
            Says::Broken => hsm::Error::TokenErrorState,
        })
    }

    fn of(tokens: &[Option<Says>]) -> Result<u8, FailureCode> {
        let named = tokens.iter().map(|says| ("token", says.as_ref()));
        first_that_does("engine.ca.x", named, ask)
            .map(|(_, done)| done)
            .map_err(|refusal| refusal.told.code)
    }

    #[test]
    fn a_token_without_the_key_never_hides_that_another_one_is_only_away() {
        let passing = [
            (Some(Says::Deadline), FailureCode::DeadlineExceeded),
            (Some(Says::Overloaded), FailureCode::Busy),
            (Some(Says::Broken), FailureCode::TokenUnavailable),
            (None, FailureCode::TokenUnavailable),
        ];
        for (away, code) in passing {
            assert!(code.is_transient());
            for lasting in [Says::NotHere, Says::Unfit] {
                for order in [[away, Some(lasting)], [Some(lasting), away]] {
                    assert_eq!(of(&order), Err(code), "{order:?}");
                }
            }
        }
    }

    #[test]
    fn it_is_for_good_once_every_token_said_so() {
        let not_here = [Some(Says::NotHere); 3];
        assert_eq!(of(&not_here), Err(FailureCode::BadRequest));
        let unfit = [Some(Says::NotHere), Some(Says::Unfit), Some(Says::NotHere)];
        let named = unfit.iter().map(|says| ("token", says.as_ref()));
        let refusal = first_that_does("engine.ca.x", named, ask).unwrap_err();
        assert!(
            refusal.told.message.contains("2 signing keys"),
            "{refusal:?}"
        );
        assert_eq!(of(&[]), Err(FailureCode::TokenUnavailable));
    }

    #[test]
    fn one_that_takes_all_its_time_leaves_the_others_theirs() {
        let now = Instant::now();
        let at = |ms| now + Duration::from_millis(ms);
        let shares = Shares::new(at(9000), 3);
        let next = |ms| shares.next(at(ms)).ok().map(|share| share.as_millis());
        assert_eq!(next(0), Some(3000));
        assert_eq!(next(3000), Some(3000));
        // The last one has whatever is left, and one more than was thought of too.
        assert_eq!(next(3500), Some(5500));
        assert_eq!(next(4000), Some(5000));
        assert!(matches!(shares.next(at(9000)), Err(hsm::Error::Deadline)));
    }

    #[test]
    fn one_that_does_it_is_enough_whatever_the_others_say() {
        for other in [
            None,
            Some(Says::NotHere),
            Some(Says::Deadline),
            Some(Says::Unfit),
        ] {
            assert_eq!(of(&[other, Some(Says::Done)]), Ok(7));
            assert_eq!(of(&[Some(Says::Done), other]), Ok(7));
        }
    }
}
