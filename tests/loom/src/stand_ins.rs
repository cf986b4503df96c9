//! Types that the program's files name and that take no part in the hand-over: as much of each as is named.

/// Of `hsm::Error`.
#[derive(Debug)]
pub(crate) enum Error {
    Token(TokenRefusal),
    Internal(&'static str),
    Overloaded,
    Deadline,
}

/// Of `hsm::Refusal`.
#[derive(Debug)]
pub(crate) struct TokenRefusal;

impl TokenRefusal {
    pub(crate) fn class(&self) -> classify::Class {
        classify::Class::Room
    }
}

pub(crate) mod classify {
    /// Of what a return value means.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) enum Class {
        Room,
        Other,
    }
}

pub(crate) mod custody {
    #[derive(Clone, Copy)]
    pub(crate) enum Operation {
        Decrypt,
        Encrypt,
        Generate,
        ListKeys,
        Sign,
        Agree,
    }
}

pub(crate) mod worker {
    use std::sync::Arc;

    use super::custody::Operation;

    /// Of a worker: that nobody has it twice, and that it comes out of the library whatever happens.
    pub(crate) struct Worker {
        inside: bool,
        shared: Arc<Shared>,
    }

    pub(crate) struct Shared {
        pub(crate) counters: Counters,
    }

    pub(crate) struct Counters;

    struct Busy;

    impl Drop for Busy {
        fn drop(&mut self) {}
    }

    impl Counters {
        pub(crate) fn begin(&self, _: usize, _: Operation) -> impl Drop + use<> {
            Busy
        }
    }

    impl Worker {
        pub(crate) fn new() -> Self {
            Self {
                inside: false,
                shared: Arc::new(Shared { counters: Counters }),
            }
        }

        pub(crate) fn shared(&self) -> &Arc<Shared> {
            &self.shared
        }

        pub(crate) fn enter(&mut self) {
            assert!(!self.inside, "it was left inside");
            self.inside = true;
        }

        pub(crate) fn leave(&mut self) {
            self.inside = false;
        }

        pub(crate) fn drop_session(&mut self) {}
    }
}

/// Of `fips::secret`.
pub(crate) mod secret {
    #[derive(Debug)]
    pub(crate) struct Password(Vec<u8>);

    impl Password {
        pub(crate) fn from_slice(bytes: &[u8]) -> Self {
            Self(bytes.to_vec())
        }

        pub(crate) fn expose(&self) -> &[u8] {
            &self.0
        }
    }
}

/// Of `hsm::KeyFingerprint`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct KeyFingerprint([u8; 32]);

impl KeyFingerprint {
    pub(crate) fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

/// Of `hsm::Padding`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Padding {
    OaepSha256,
}

/// Of what a caller of the engine is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FailureCode {
    DecryptionFailed,
    TokenUnavailable,
    EngineFault,
    Busy,
    DeadlineExceeded,
}

pub(crate) mod refusal {
    use super::FailureCode;

    #[derive(Debug, Clone)]
    pub(crate) struct Told {
        pub(crate) code: FailureCode,
    }

    #[derive(Debug, Clone)]
    pub(crate) struct Refusal {
        pub(crate) told: Told,
    }

    impl Refusal {
        pub(crate) fn open(code: FailureCode, _: &'static str, _: String) -> Self {
            Self {
                told: Told { code },
            }
        }

        pub(crate) fn fault(reason: &'static str, detail: String) -> Self {
            Self::open(FailureCode::EngineFault, reason, detail)
        }

        pub(crate) fn deadline() -> Self {
            Self::open(FailureCode::DeadlineExceeded, "deadline", String::new())
        }
    }
}
