//! How an authority fares, as `status`, `doctor` and the metrics tell it.

use crate::clock::rfc3339;
use crate::config::AuthorityKind;
use ca::{Capabilities, Error, ErrorClass, Health};
use serde::{Deserialize, Serialize};
use std::time::{SystemTime, UNIX_EPOCH};

/// Whether an authority that kept failing is left alone for a while.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum BreakerState {
    /// It is asked.
    #[default]
    Closed,
    /// It is left alone.
    Open,
    /// Its pause is over: the next order tries, or one is trying.
    Probing,
}

impl BreakerState {
    /// For people.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "OPEN",
            Self::Probing => "probing",
        }
    }
}

/// What an authority answered when it was asked how it fares. Nothing in it is secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Asked {
    /// When (RFC 3339).
    pub at: String,
    /// Whether it answers; null: nothing can be asked of it without ordering.
    pub reachable: Option<bool>,
    /// Whether the credential may enrol; null: cannot be asked, or nobody answered.
    pub may_enroll: Option<bool>,
    /// Whether the credential may revoke; null: cannot be asked, or nobody answered.
    pub may_revoke: Option<bool>,
    /// The end of the credential (RFC 3339), where it has one.
    pub credential_expires: Option<String>,
    /// From when until when its newest revocation list says anything, in milliseconds since 1970, where it is made here.
    #[serde(default)]
    pub revocation_list_ms: Option<(i64, i64)>,
    /// What it said, in words.
    pub note: String,
    /// Why it is not well; null where nothing says so.
    pub problem: Option<String>,
}

fn ms(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_millis()).ok())
        .unwrap_or(0)
}

impl Asked {
    /// Of an answer at this time (milliseconds since 1970).
    #[must_use]
    pub fn of(answer: Result<Health, Error>, now_ms: i64) -> Self {
        let at = rfc3339(now_ms);
        match answer {
            Ok(health) => Self {
                at,
                reachable: health.answered.then_some(true),
                may_enroll: health.may_enroll,
                may_revoke: health.may_revoke,
                credential_expires: health.credential_expires.map(|end| rfc3339(ms(end))),
                revocation_list_ms: health
                    .revocation_list
                    .map(|list| (ms(list.this_update), ms(list.next_update))),
                problem: (health.may_enroll == Some(false)).then(|| health.note.clone()),
                note: health.note,
            },
            Err(error) => {
                // It answered, and will not have us.
                let refused = error.class() == ErrorClass::Credential;
                Self {
                    at,
                    reachable: Some(refused),
                    may_enroll: refused.then_some(false),
                    may_revoke: refused.then_some(false),
                    problem: Some(error.to_string()),
                    ..Self::default()
                }
            }
        }
    }
}

/// An authority in a status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuthorityState {
    /// Its name in the configuration.
    pub name: String,
    /// How it is spoken to: `local`, `est`, `cmp`, `adcs`.
    pub kind: String,
    /// It has revocation at all.
    pub revokes: bool,
    /// It can be asked what became of an order.
    pub recovers: bool,
    /// What it answered when it was asked last; null: not yet.
    pub asked: Option<Asked>,
    /// Whether it is left alone with orders.
    pub breaker: BreakerState,
    /// Whether it is left alone with revocations, which have a breaker of their own.
    #[serde(default)]
    pub revocation_breaker: BreakerState,
    /// For how much longer it gets no orders, in milliseconds; 0 where it does.
    pub left_alone_ms: u64,
    /// Failures in a row.
    pub failures_in_a_row: u32,
    /// Calls under way.
    pub in_flight: u32,
    /// Calls at once, at most.
    pub concurrency: u32,
    /// Orders that it decides later, as far as this connector's journal knows.
    pub pending: u64,
    /// Requests whose certificate was delivered by this process.
    pub issued: u64,
    /// Requests for it that failed for good in this process, refused by the policy among them.
    pub failed: u64,
}

impl AuthorityState {
    /// One of which nothing is known but what it is.
    #[must_use]
    pub fn new(name: &str, kind: AuthorityKind, can: Capabilities) -> Self {
        Self {
            name: name.to_owned(),
            kind: kind.name().to_owned(),
            revokes: can.revokes,
            recovers: can.recovers,
            asked: None,
            breaker: BreakerState::Closed,
            revocation_breaker: BreakerState::Closed,
            left_alone_ms: 0,
            failures_in_a_row: 0,
            in_flight: 0,
            concurrency: 0,
            pending: 0,
            issued: 0,
            failed: 0,
        }
    }

    /// Why certificates of this authority do not come; `None` where nothing says so.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        let name = &self.name;
        if let Some(asked) = &self.asked
            && let Some(problem) = &asked.problem
        {
            let what = if asked.reachable == Some(false) {
                "does not answer"
            } else {
                "does not let this connector enrol"
            };
            return Some(format!("the authority {name} {what}: {problem}"));
        }
        (self.breaker == BreakerState::Open).then(|| {
            format!(
                "the authority {name} failed {} times in a row and is left alone for {} s",
                self.failures_in_a_row,
                self.left_alone_ms.div_ceil(1000)
            )
        })
    }
}

/// What is known of a right, for people.
#[must_use]
pub const fn right(known: Option<bool>) -> &'static str {
    match known {
        Some(true) => "yes",
        Some(false) => "NO",
        None => "cannot be asked",
    }
}

#[cfg(test)]
mod tests {
    #![allow(missing_docs)]
    use super::*;

    fn state(answer: Result<Health, Error>) -> AuthorityState {
        let can = Capabilities {
            revokes: true,
            pends: false,
            polls_by_reference: false,
            recovers: true,
        };
        AuthorityState {
            asked: Some(Asked::of(answer, 0)),
            ..AuthorityState::new("company", AuthorityKind::Cmp, can)
        }
    }

    fn health(may_enroll: Option<bool>) -> Health {
        Health {
            answered: true,
            may_enroll,
            may_revoke: None,
            credential_expires: Some(UNIX_EPOCH),
            revocation_list: None,
            note: "so it is".to_owned(),
        }
    }

    #[test]
    fn what_cannot_be_asked_is_no_trouble_and_a_refused_credential_is_an_answer() {
        for may_enroll in [None, Some(true)] {
            assert_eq!(state(Ok(health(may_enroll))).trouble(), None);
        }
        let trouble = |answer| state(answer).trouble().unwrap_or_default();
        assert!(trouble(Ok(health(Some(false)))).contains("enrol: so it is"));
        let refused = || Error::new(ErrorClass::Credential, "who are you");
        assert!(trouble(Err(refused())).contains("enrol: who are you"));
        let asked = Asked::of(Err(refused()), 0);
        assert_eq!(
            (asked.reachable, asked.may_enroll, asked.may_revoke),
            (Some(true), Some(false), Some(false))
        );
        let away = || Error::new(ErrorClass::Unavailable, "no route");
        let mut silent = health(None);
        silent.answered = false;
        assert_eq!(Asked::of(Ok(silent.clone()), 0).reachable, None);
        assert_eq!(state(Ok(silent)).trouble(), None, "nothing is known");
        assert!(trouble(Err(away())).contains("does not answer: no route"));
        let asked = Asked::of(Err(away()), 0);
        assert_eq!(
            (asked.reachable, asked.may_enroll, asked.may_revoke),
            (Some(false), None, None)
        );
    }

    #[test]
    fn an_authority_that_is_left_alone_is_in_trouble() {
        let mut left = state(Ok(health(None)));
        left.breaker = BreakerState::Open;
        left.failures_in_a_row = 5;
        left.left_alone_ms = 9_001;
        assert!(
            left.trouble()
                .is_some_and(|why| why.contains("5 times") && why.contains("10 s"))
        );
        left.breaker = BreakerState::Probing;
        assert_eq!(left.trouble(), None);
    }
}
