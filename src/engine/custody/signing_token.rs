//! A signing key, on whichever of the tokens has it.
//!
//! The tokens are asked one after the other until one does it. Where none does, what is told is the answer that leaves most open: that a
//! token does not have the key says nothing of the others, and a key is missing for good only when every token was asked and said so.

use super::Shared;
use super::refusal::Refusal;
use super::token::describe;
use hsm::Terms;
use hsm::pkcs11::Pkcs11Custody;
use std::time::Instant;

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

/// As [`on_a_token`], until a deadline, on the terms that each token is given, the one called `first` before the others; with the name of the
/// token that did it. A token in trouble is waited for only where there is no other.
///
/// # Errors
/// As told there.
pub(super) fn on_a_token_within<'a, T>(
    shared: &'a Shared,
    section: &str,
    deadline: Instant,
    first: Option<&str>,
    ask: impl Fn(&Pkcs11Custody, Terms) -> Result<T, hsm::Error>,
) -> Result<(&'a str, T), Refusal> {
    let is_one_of_several = shared.tokens.keepers.len() > 1;
    let tokens = shared.tokens.in_order(first);
    let tokens = tokens.map(|keeper| (keeper.name.as_str(), keeper.custody()));
    first_that_does(section, tokens, |custody| {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(hsm::Error::Deadline);
        }
        let terms = Terms {
            elsewhere: is_one_of_several,
            ..Terms::within(left)
        };
        ask(custody, terms)
    })
}

/// Asks the tokens one after the other until one does it. `section`: the part of the configuration that names the key.
///
/// # Errors
/// What is over when a token comes back (one that is not open, in trouble, or has no time) before what is for good.
pub(super) fn on_a_token<T>(
    shared: &Shared,
    section: &str,
    ask: impl Fn(&Pkcs11Custody) -> Result<T, hsm::Error>,
) -> Result<T, Refusal> {
    let keepers = shared.tokens.keepers.iter();
    let tokens = keepers.map(|keeper| (keeper.name.as_str(), keeper.custody()));
    first_that_does(section, tokens, ask).map(|(_, done)| done)
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
