//! What can be wrong with the files and the PIN that custody needs.

/// What is wrong with a file that custody relies on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FileProblem {
    /// The path is relative: it would depend on the working directory.
    #[error("the path is not absolute")]
    NotAbsolute,
    /// There is no such file, or it cannot be opened or read.
    #[error("it cannot be read ({0})")]
    Unreadable(std::io::ErrorKind),
    /// A directory, a device, a pipe ...
    #[error("it is not a regular file")]
    NotRegular,
    /// The last component is a symbolic link, whose target somebody else may exchange.
    #[error("it is a symbolic link")]
    SymbolicLink,
    /// It belongs neither to root nor to the user of this process.
    #[error("it belongs to another user")]
    WrongOwner,
    /// Group or others have more rights than they may have.
    #[error("group or others have rights on it (mode {0:o})")]
    Mode(u32),
    /// It is empty.
    #[error("it is empty")]
    Empty,
    /// It is longer than what it is for.
    #[error("it is longer than {0} bytes")]
    TooLong(usize),
    /// The name of a credential is empty or holds a `/`.
    #[error("it is not the name of a credential")]
    NotACredentialName,
    /// `CREDENTIALS_DIRECTORY` is not set: the process was not started by systemd with a credential.
    #[error("there is no CREDENTIALS_DIRECTORY")]
    NoCredentialsDirectory,
    /// There is no terminal to ask at.
    #[error("there is no terminal")]
    NoTerminal,
}

/// Why a token's PIN was not even tried, or why it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum PinProblem {
    /// The token says it is wrong. It will not be tried again.
    #[error("the token refused it")]
    Incorrect,
    /// The same PIN was refused before, or may have been, since what the token said to it was lost; trying again could lock the token.
    #[error(
        "it was refused before, or what the token said to it was lost, and it has not changed since"
    )]
    RefusedBefore,
    /// One more wrong PIN locks the token (CKF_USER_PIN_FINAL_TRY): somebody else has used up the tries.
    #[error("the token is at its final try")]
    FinalTry,
    /// The token is locked (CKF_USER_PIN_LOCKED).
    #[error("the token is locked")]
    Locked,
    /// The token said at the login that it is locked (CKR_PIN_LOCKED), and its flags do not show that: it would have to be asked again to
    /// see a change. It is treated as one that refused the PIN.
    #[error("the token says that it is locked, though its flags do not")]
    LockedUnseen,
    /// The token has no user PIN yet.
    #[error("the token has no user PIN")]
    NotInitialized,
    /// The PIN has expired (CKR_PIN_EXPIRED).
    #[error("it has expired")]
    Expired,
}

impl PinProblem {
    /// The stable name, as in [`Error::code`].
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::Incorrect => "pin_incorrect",
            Self::RefusedBefore => "pin_refused_before",
            Self::FinalTry => "pin_final_try",
            Self::Locked | Self::LockedUnseen => "pin_locked",
            Self::NotInitialized => "pin_not_initialized",
            Self::Expired => "pin_expired",
        }
    }
}
