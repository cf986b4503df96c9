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
    /// The caller's own thread may make the call, where a session is free and nothing waits: two changes of threads less. Then a call that
    /// hangs holds the caller beyond its deadline, and no other token takes the request from it. So it is for callers who are replaced with
    /// their process then, and whose own callers are told by somebody else. Without a deadline, and where there are several tokens, it
    /// means nothing.
    pub own_thread: bool,
}

impl Terms {
    /// Interactive, with a deadline.
    #[must_use]
    pub const fn within(within: Duration) -> Self {
        Self {
            within: Some(within),
            lane: Lane::Interactive,
            elsewhere: false,
            own_thread: false,
        }
    }

    /// Batch work without a deadline.
    #[must_use]
    pub const fn batch() -> Self {
        Self {
            within: None,
            lane: Lane::Batch,
            elsewhere: false,
            own_thread: false,
        }
    }

    /// The same, and the caller's own thread may make the call ([`own_thread`](Self::own_thread)).
    #[must_use]
    pub const fn on_own_thread(self) -> Self {
        Self {
            own_thread: true,
            ..self
        }
    }
}
