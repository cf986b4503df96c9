//! On which terms a request is done: until when, and with whom it shares the token.

use std::time::Duration;

use serde::Serialize;

/// Work that shares a token is kept apart, so that the one kind does not delay the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Lane {
    /// Somebody waits for it: a device that asked for its certificates.
    #[default]
    Interactive,
    /// Nobody waits: re-encryption to a new key, checks, reports, generation of keys.
    Batch,
}

impl Lane {
    /// Every lane, the more urgent first.
    pub const ALL: [Self; 2] = [Self::Interactive, Self::Batch];
}

/// The terms of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// Time from now after which nobody wants the answer. `None`: it is waited for however long it takes.
    ///
    /// A request that cannot begin before is given up without the token being asked. A call that has begun is not interrupted:
    /// PKCS#11 has no way to do so.
    pub within: Option<Duration>,
    /// The lane.
    pub lane: Lane,
    /// Another custody could do it as well: a token in trouble is not waited for until the deadline, but given up as soon as
    /// everything was tried once.
    pub elsewhere: bool,
}

impl Terms {
    /// Interactive, with a deadline.
    #[must_use]
    pub const fn within(within: Duration) -> Self {
        Self {
            within: Some(within),
            lane: Lane::Interactive,
            elsewhere: false,
        }
    }

    /// Batch work without a deadline.
    #[must_use]
    pub const fn batch() -> Self {
        Self {
            within: None,
            lane: Lane::Batch,
            elsewhere: false,
        }
    }
}
