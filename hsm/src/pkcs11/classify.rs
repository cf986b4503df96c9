//! What a return value means: for every function of PKCS#11 and every CK_RV, who has to act, what heals it and whether to try
//! again. The only place where that is decided; the rules themselves are data, in [`table`].

mod table;
#[cfg(test)]
mod tests;

use cryptoki::context::Function;
use cryptoki::error::{Rv, RvError};

use crate::error::{PinProblem, Refusal};

pub(super) use table::{Group, class_of, group_of};

/// Where healing begins. Each level contains the ones before it, and the next one is tried when a level did not help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// The keys are looked up again by their fingerprints.
    Handles,
    /// A new session.
    Session,
    /// A new login (C_Logout and C_Login).
    Login,
    /// C_Finalize and C_Initialize, in this process.
    Module,
    /// A new process.
    Process,
}

/// Who has to act on a return value, when what is [done](Healing) about it does not help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Actor {
    /// Nobody: it heals by itself, here, in another process or on another token.
    Nobody,
    /// The caller: the input is bad.
    Caller,
    /// The operator: configuration, PIN, token or key have to be changed.
    Operator,
    /// The authors of this program.
    Authors,
}

/// What is done about a return value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Healing {
    /// Nothing.
    Nothing,
    /// The level to begin with; higher ones follow as long as the request has time.
    From(Level),
    /// A ciphertext with a known answer decides: if the token decrypts it, the input is bad and nothing is done; if not, it is as
    /// `From(Level::Session)`.
    AskCanary,
}

/// Whether the request is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Retry {
    /// It has not failed.
    NotNeeded,
    /// After the healing, by this process.
    AfterHealing,
    /// As the canary says.
    AsTheCanarySays,
    /// Not before somebody has changed something.
    AfterAChange,
}

/// What a return value means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// What was asked for is so, or nothing depends on it.
    Done,
    /// The session is in an operation that nothing ends, or in none. Replacing it is no sign of a token in trouble: a peer may have
    /// caused it by a bad ciphertext (measured: tpm2-pkcs11).
    Stuck,
    /// The session is gone.
    Session,
    /// The handle of an object is not good any more.
    Handles,
    /// The user is not logged in.
    Login,
    /// The token, or the way to it, is in trouble.
    Device,
    /// There is no room for one more session or object at the moment.
    Room,
    /// The library has to be initialised again.
    Library,
    /// The token does not do this with this key, now or ever. With a key with which it was seen to do it, it is
    /// [`Class::Device`]: a token does not unlearn.
    Unsupported,
    /// The token does not take the attributes, or does not allow it.
    Refused,
    /// The library cannot be used as it is configured.
    Unusable,
    /// Setting up a token failed; nobody tries that again but the person who did.
    SetUp,
    /// The PIN does not open the token.
    Pin(PinProblem),
    /// A call that is wrong by the standard. Libraries answer so when they are confused as well, so it is healed like
    /// [`Class::Device`] first.
    Misuse,
    /// Bad data or a token in trouble: libraries use the same values for both.
    AskCanary,
    /// The function is never called.
    NeverCalled,
}

impl Class {
    /// Who has to act, if what is done does not help.
    #[must_use]
    pub const fn actor(self) -> Actor {
        match self {
            Self::Done
            | Self::Stuck
            | Self::Session
            | Self::Handles
            | Self::Login
            | Self::Device
            | Self::Room
            | Self::Library => Actor::Nobody,
            Self::AskCanary => Actor::Caller,
            Self::Unsupported | Self::Refused | Self::Unusable | Self::SetUp | Self::Pin(_) => {
                Actor::Operator
            }
            Self::Misuse | Self::NeverCalled => Actor::Authors,
        }
    }

    /// What is done.
    #[must_use]
    pub const fn healing(self) -> Healing {
        match self {
            Self::Handles => Healing::From(Level::Handles),
            Self::Stuck | Self::Session | Self::Device | Self::Room | Self::Misuse => {
                Healing::From(Level::Session)
            }
            Self::Login => Healing::From(Level::Login),
            Self::Library => Healing::From(Level::Module),
            Self::AskCanary => Healing::AskCanary,
            Self::Done
            | Self::Unsupported
            | Self::Refused
            | Self::Unusable
            | Self::SetUp
            | Self::Pin(_)
            | Self::NeverCalled => Healing::Nothing,
        }
    }

    /// What it means, in one line.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Done => "nothing was to be done, or nothing depends on it",
            Self::Stuck => {
                "the session is in an operation that nothing ends, or in none: it is replaced, which is no reconnect"
            }
            Self::Session => "the session is gone",
            Self::Handles => "a handle is not good any more",
            Self::Login => "nobody is logged in",
            Self::Device => "the token, or the way to it, is in trouble",
            Self::Room => "no room for one more session or object at the moment",
            Self::Library => "the library has to be initialised again",
            Self::Unsupported => {
                "the token does not do this with this key; of a key with which it was seen to do it: the token is in trouble"
            }
            Self::Refused => "the token does not take the attributes, or does not allow it",
            Self::Unusable => "the library cannot be used as it is configured",
            Self::SetUp => "the token was not set up",
            Self::Pin(_) => {
                "the PIN does not open the token, and is not tried again before its source has changed"
            }
            Self::Misuse => {
                "wrong by the standard; libraries say so when they are confused, so it is healed first"
            }
            Self::AskCanary => {
                "bad data or a token in trouble: a ciphertext with a known answer decides"
            }
            Self::NeverCalled => "the function is never called",
        }
    }

    /// Whether it is tried again.
    #[must_use]
    pub const fn retry(self) -> Retry {
        match (self, self.healing()) {
            (Self::Done, _) => Retry::NotNeeded,
            (_, Healing::From(_)) => Retry::AfterHealing,
            (_, Healing::AskCanary) => Retry::AsTheCanarySays,
            (_, Healing::Nothing) => Retry::AfterAChange,
        }
    }
}

/// One cell of the table.
#[derive(Clone, Copy, Debug)]
pub struct Classified {
    /// The function and its return value.
    pub refusal: Refusal,
    /// What that means.
    pub class: Class,
    /// The code of the [`Error`](crate::Error) that it ends in when it is not healed; empty for [`Class::Done`].
    pub code: &'static str,
}

/// What the return value `rv` of `function` means.
pub(super) fn classify(function: Function, rv: RvError) -> Classified {
    let group = group_of(function);
    let class = class_of(group, rv);
    Classified {
        refusal: Refusal::new(function, rv),
        class,
        code: code(group, class),
    }
}

const fn code(group: Group, class: Class) -> &'static str {
    match class {
        Class::Done => "",
        Class::Stuck
        | Class::Session
        | Class::Handles
        | Class::Login
        | Class::Device
        | Class::Room
        | Class::Library
        | Class::Misuse => "token_failed",
        Class::Unsupported => "mechanism_not_supported",
        Class::Refused => match group {
            Group::Make => "generation_refused",
            _ => "token_failed",
        },
        Class::Unusable => "module_refused",
        Class::SetUp => "initialization_refused",
        Class::Pin(problem) => problem.code(),
        Class::AskCanary => match group {
            Group::Encrypt | Group::EncryptInit | Group::Create => "invalid_public_key",
            _ => "decryption_failed",
        },
        Class::NeverCalled => "internal",
    }
}

impl Refusal {
    /// What this return value of this function means.
    #[must_use]
    pub fn class(&self) -> Class {
        class_of(group_of(self.raw_function()), self.rv())
    }

    /// True if the token does not do this with this key, now or ever.
    pub(crate) fn means_unsupported(&self) -> bool {
        self.class() == Class::Unsupported
    }

    /// True if, whatever the function, the session, the login, a handle, the library or a token that is not there is what is wrong.
    pub(crate) fn is_never_about_data(&self) -> bool {
        class_of(Group::Decrypt, self.rv()) != Class::AskCanary
    }

    /// True if the token does not do this or does not take it, as opposed to "not at the moment". For data and keys of our own: what is
    /// ambiguous with those of others is not with them.
    pub(crate) fn refuses(&self) -> bool {
        let class = match self.class() {
            Class::AskCanary => table::general(self.rv()),
            class => class,
        };
        matches!(class, Class::Unsupported | Class::Refused)
    }
}

/// The whole table: every function that is called, by this crate or by cryptoki on its behalf, and every return value that any
/// version of the standard names; one of the vendor's own and one that nobody has named stand for the rest.
pub fn classification() -> impl Iterator<Item = Classified> {
    table::FUNCTIONS
        .iter()
        .filter(|function| group_of(**function) != Group::NeverCalled)
        .flat_map(|function| every_return_value().map(move |rv| classify(*function, rv)))
}

/// Every return value but CKR_OK that is named, and one each of those that are not.
pub(super) fn every_return_value() -> impl Iterator<Item = RvError> {
    /// The highest number that has a name, and some more.
    const END: cryptoki_sys::CK_RV = 0x400;
    /// Not given to anybody.
    const UNKNOWN: cryptoki_sys::CK_RV = 0x3ff;
    (1..END)
        .chain([cryptoki_sys::CKR_VENDOR_DEFINED + 1])
        .filter_map(|code| match Rv::from(code) {
            Rv::Ok => None,
            Rv::Error(RvError::UnknownErrorCode(code)) => (code == UNKNOWN
                || crate::error::later_name(code).is_some())
            .then_some(RvError::UnknownErrorCode(code)),
            Rv::Error(known) => Some(known),
        })
}
