//! What can go wrong in custody, by who has to act.

mod problem;

use std::fmt;
use std::path::PathBuf;

pub use problem::{FileProblem, PinProblem};

use crate::{KeyFingerprint, KeyLifeProblem, KeyProblem, Padding, SigningKeyName};

/// Who has to act on an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// The caller: the input can never work. Do not retry. The token is well.
    BadInput,
    /// Nobody yet: the token or the way to it is in trouble. Retry later, elsewhere, or in a new process.
    Token,
    /// Nobody: there was no time for it. The token is well, as far as is known, and was not asked. Retry later or elsewhere.
    Busy,
    /// The operator: nothing works until the configuration, a file or the token is changed. Do not retry by yourself.
    Configuration,
    /// The authors.
    Bug,
}

/// A return value (CK_RV) other than CKR_OK, together with the function that gave it.
#[derive(Clone, Copy)]
pub struct Refusal {
    function: cryptoki::context::Function,
    rv: cryptoki::error::RvError,
}

impl Refusal {
    pub(crate) const fn new(
        function: cryptoki::context::Function,
        rv: cryptoki::error::RvError,
    ) -> Self {
        Self { function, rv }
    }

    pub(crate) const fn raw_function(&self) -> cryptoki::context::Function {
        self.function
    }

    /// Whether it is the same return value of the same function.
    pub(crate) fn is_same(self, other: Self) -> bool {
        self.function() == other.function() && self.rv == other.rv
    }

    /// The return value.
    #[must_use]
    pub const fn rv(&self) -> cryptoki::error::RvError {
        self.rv
    }

    /// The function, for example `C_DecryptInit`.
    #[must_use]
    pub fn function(&self) -> String {
        format!("C_{:?}", self.function)
    }

    /// The return value as the standard writes it, for example `CKR_GENERAL_ERROR`.
    #[must_use]
    pub fn rv_name(&self) -> String {
        use cryptoki::error::RvError;
        match self.rv {
            RvError::VendorDefined(code) => format!("CKR_VENDOR_DEFINED({code:#x})"),
            RvError::UnknownErrorCode(code) => {
                later_name(code).map_or_else(|| format!("CKR({code:#x})"), str::to_owned)
            }
            known => format!("{known:?}")
                .chars()
                .fold(String::from("CKR"), |mut name, letter| {
                    if letter.is_ascii_uppercase() {
                        name.push('_');
                    }
                    name.push(letter.to_ascii_uppercase());
                    name
                }),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.function(), self.rv_name())
    }
}

impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Refusal({self})")
    }
}

/// The names of return values that cryptoki 0.12 does not know: those of PKCS#11 3.0 to 3.2.
pub(crate) const fn later_name(code: cryptoki_sys::CK_RV) -> Option<&'static str> {
    use cryptoki_sys as sys;
    Some(match code {
        sys::CKR_AEAD_DECRYPT_FAILED => "CKR_AEAD_DECRYPT_FAILED",
        sys::CKR_TOKEN_RESOURCE_EXCEEDED => "CKR_TOKEN_RESOURCE_EXCEEDED",
        sys::CKR_OPERATION_CANCEL_FAILED => "CKR_OPERATION_CANCEL_FAILED",
        sys::CKR_KEY_EXHAUSTED => "CKR_KEY_EXHAUSTED",
        sys::CKR_PENDING => "CKR_PENDING",
        sys::CKR_SESSION_ASYNC_NOT_SUPPORTED => "CKR_SESSION_ASYNC_NOT_SUPPORTED",
        sys::CKR_SEED_RANDOM_REQUIRED => "CKR_SEED_RANDOM_REQUIRED",
        sys::CKR_OPERATION_NOT_VALIDATED => "CKR_OPERATION_NOT_VALIDATED",
        sys::CKR_TOKEN_NOT_INITIALIZED => "CKR_TOKEN_NOT_INITIALIZED",
        sys::CKR_PARAMETER_SET_NOT_SUPPORTED => "CKR_PARAMETER_SET_NOT_SUPPORTED",
        _ => return None,
    })
}

/// Everything that can go wrong in this crate. No variant holds a secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The ciphertext does not decrypt with this key and padding; one variant without reasons, so that nothing above can
    /// tell them apart. A known ciphertext was decrypted afterwards, so the token is well.
    #[error("the ciphertext does not decrypt with this key and padding")]
    Decryption,
    /// The ciphertext has not the length of the modulus. The token was not asked.
    #[error("the ciphertext has {actual} bytes, the key needs {expected}")]
    CiphertextLength {
        /// Length of the modulus in bytes.
        expected: usize,
        /// Length of the ciphertext in bytes.
        actual: usize,
    },
    /// The message is longer than key and padding allow.
    #[error("the message has {actual} bytes, key and padding allow {limit}")]
    PlaintextTooLong {
        /// The limit in bytes.
        limit: usize,
        /// Length of the message in bytes.
        actual: usize,
    },
    /// Not a public RSA key in a form and of a size that custody takes.
    #[error("not a public RSA key that custody takes: {0}")]
    InvalidPublicKey(&'static str),
    /// Not an uncompressed point of the curve of the key. The token was not asked to use it.
    #[error("not an uncompressed point (SEC 1, section 2.3.3) of the key's curve")]
    InvalidPoint,
    /// A modulus length that is not generated.
    #[error("{0} is no length for a key: 2048, 3072 or 4096 bits")]
    ModulusBits(u32),
    /// The token has no such key. One that was there before is among these once nothing can bring it back: the token shows other private
    /// keys, and the module was initialised again in vain. Until then it is [`Error::KeyVanished`].
    #[error("the token has no key {0}")]
    UnknownKey(KeyFingerprint),

    /// A function of the module failed, and a new session did not help where one could have.
    #[error("the token failed: {0}")]
    Token(Refusal),
    /// A key that was on the token is not there any more, although the token answers. It may be hidden, as all private keys are that a
    /// token in trouble does not show; of a key that somebody has destroyed it is said until the module was initialised again in vain.
    #[error("the key {0} was on the token and is not found any more")]
    KeyVanished(KeyFingerprint),
    /// No token fits, or it is not there at the moment.
    #[error("no token {wanted} in any slot of the module")]
    TokenNotFound {
        /// What was looked for.
        wanted: String,
    },
    /// The token is there and has failed its self-test (CKF_ERROR_STATE).
    #[error("the token reports that its self-test failed")]
    TokenErrorState,
    /// No token that could do it is open and takes requests.
    #[error("none of the tokens serves")]
    NoTokenServes,
    /// There was no answer before the request's deadline. The token was not asked, unless a call to it was running by then.
    #[error("there was no answer before the deadline")]
    Deadline,
    /// More waits for the token than it can do in the time that the request has. The token was not asked.
    #[error("too much waits for the token")]
    Overloaded,

    /// More than one token fits.
    #[error("{count} tokens fit {wanted}")]
    TokenAmbiguous {
        /// What was looked for.
        wanted: String,
        /// How many fit.
        count: usize,
    },
    /// The key must not be used for what was asked.
    #[error("the key {fingerprint} is refused: {}", list(.problems))]
    KeyRefused {
        /// The key.
        fingerprint: KeyFingerprint,
        /// Why.
        problems: Vec<KeyProblem>,
    },
    /// The token does this padding neither itself nor through raw RSA.
    #[error("the token cannot do {0}")]
    PaddingNotSupported(Padding),
    /// A label is longer than custody takes.
    #[error("an OAEP label of {actual} bytes, over the limit of {limit}")]
    LabelTooLong {
        /// The longest label in bytes.
        limit: usize,
        /// The length of this one.
        actual: usize,
    },
    /// The token does this padding, and ignores or refuses a label.
    #[error("the token cannot do {0} with a label")]
    LabelNotSupported(Padding),
    /// The token has no such key that may sign.
    #[error("the token has no signing key {0}")]
    SigningKeyNotFound(SigningKeyName),
    /// More than one key that may sign fits.
    #[error("{count} signing keys fit: {name}")]
    SigningKeyAmbiguous {
        /// What was looked for.
        name: SigningKeyName,
        /// How many fit.
        count: usize,
    },
    /// The token does not do a mechanism at all, or not with this key.
    #[error("the token does not do {mechanism}: {refusal}")]
    MechanismNotSupported {
        /// The mechanism, as the standard writes it.
        mechanism: &'static str,
        /// What the token said.
        refusal: Refusal,
    },
    /// The kind of token is known not to do a mechanism with a key that is for nothing else. It was not tried.
    #[error("this kind of token does not do {0} with a key that is for nothing else")]
    MechanismNotOffered(&'static str),
    /// The token gave a signature that does not verify with the public key that it shows for the key. It was thrown away.
    #[error("the token's signature does not verify with the public key {0}")]
    WrongSignature(KeyFingerprint),
    /// The token gave a shared secret that is not the one of the public key that it shows for the key. It was thrown away.
    #[error("the token's shared secret is not that of the public key {0}")]
    WrongSecret(KeyFingerprint),
    /// The token has a key of this label.
    #[error("the token has a key with the label {0:?} already")]
    LabelInUse(String),
    /// The token has a private key of this CKA_ID: a second one would take its place on some tokens.
    #[error("the token has a private key with the identifier {0} already")]
    IdInUse(String),
    /// The token refuses to generate a key as custody needs it.
    #[error("the token refuses to generate such a key: {0}")]
    Generation(Refusal),
    /// The token generated a key other than it was asked for; the key was destroyed.
    #[error("the token generated a key that is refused: {}", list(.0))]
    GeneratedKeyRefused(Vec<KeyProblem>),
    /// The token cannot be initialised.
    #[error("the token cannot be initialised: {0}")]
    Initialization(Refusal),
    /// A file that custody relies on is not as it has to be.
    #[error("{path}: {problem}", path = .path.display())]
    File {
        /// The file, or the name of the credential.
        path: PathBuf,
        /// What is wrong.
        problem: FileProblem,
    },
    /// The PIN does not open the token.
    #[error("the PIN does not open the token: {0}")]
    Pin(PinProblem),
    /// The module cannot be loaded, or does not follow the standard.
    #[error("{path} is not a PKCS#11 module that works: {reason}", path = .path.display())]
    Module {
        /// The module.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A group of no tokens, of too many, or of two with one name; or it has none of this name.
    #[error("no group of tokens: 1 to 16, each with a name of its own")]
    Members,
    /// The parameters for C_Initialize cannot be given to the module.
    #[error("the parameters for C_Initialize {0}")]
    InitParameters(&'static str),
    /// Another token of the module is in use in this process, and the library does not keep the two apart.
    #[error(
        "the token {present:?} of this module is in use, and the library does not keep two tokens of one process apart"
    )]
    SecondToken {
        /// The label of the token that is in use.
        present: String,
    },
    /// The configuration asks for no or too many threads.
    #[error("{0} threads; 1 to 64 are possible")]
    Threads(usize),

    /// A key cannot be copied, sealed or destroyed as asked.
    #[error(transparent)]
    Life(#[from] KeyLifeProblem),
    /// The FIPS policy of this process refuses it, or the module is out of service.
    #[error(transparent)]
    Policy(#[from] fips::Error),

    /// This crate broke a rule of its own, or the validated module did.
    #[error("internal error: {0}")]
    Internal(&'static str),
}

fn list(problems: &[KeyProblem]) -> String {
    let texts: Vec<_> = problems.iter().map(ToString::to_string).collect();
    texts.join(", ")
}

impl Error {
    /// The stable name of this error, for logs and JSON.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Decryption => "decryption_failed",
            Self::CiphertextLength { .. } => "ciphertext_length",
            Self::PlaintextTooLong { .. } => "plaintext_too_long",
            Self::InvalidPublicKey(_) => "invalid_public_key",
            Self::InvalidPoint => "invalid_point",
            Self::ModulusBits(_) => "modulus_bits",
            Self::UnknownKey(_) => "unknown_key",
            Self::Token(_) => "token_failed",
            Self::KeyVanished(_) => "key_vanished",
            Self::TokenNotFound { .. } => "token_not_found",
            Self::TokenErrorState => "token_error_state",
            Self::NoTokenServes => "no_token_serves",
            Self::Deadline => "deadline",
            Self::Overloaded => "overloaded",
            Self::TokenAmbiguous { .. } => "token_ambiguous",
            Self::KeyRefused { .. } => "key_refused",
            Self::PaddingNotSupported(_) => "padding_not_supported",
            Self::LabelTooLong { .. } => "label_too_long",
            Self::LabelNotSupported(_) => "label_not_supported",
            Self::SigningKeyNotFound(_) => "signing_key_not_found",
            Self::SigningKeyAmbiguous { .. } => "signing_key_ambiguous",
            Self::MechanismNotSupported { .. } | Self::MechanismNotOffered(_) => {
                "mechanism_not_supported"
            }
            Self::WrongSignature(_) => "wrong_signature",
            Self::WrongSecret(_) => "wrong_secret",
            Self::LabelInUse(_) => "label_in_use",
            Self::IdInUse(_) => "id_in_use",
            Self::Generation(_) => "generation_refused",
            Self::GeneratedKeyRefused(_) => "generated_key_refused",
            Self::Initialization(_) => "initialization_refused",
            Self::File { .. } => "file_refused",
            Self::Pin(problem) => problem.code(),
            Self::Module { .. } => "module_refused",
            Self::Members => "members",
            Self::InitParameters(_) => "init_parameters",
            Self::SecondToken { .. } => "second_token",
            Self::Threads(_) => "threads",
            Self::Life(problem) => problem.code(),
            Self::Policy(error) => error.code(),
            Self::Internal(_) => "internal",
        }
    }

    /// Who has to act.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Decryption
            | Self::CiphertextLength { .. }
            | Self::PlaintextTooLong { .. }
            | Self::LabelTooLong { .. }
            | Self::InvalidPublicKey(_)
            | Self::InvalidPoint
            | Self::ModulusBits(_)
            | Self::UnknownKey(_) => ErrorClass::BadInput,
            Self::Token(_)
            | Self::KeyVanished(_)
            | Self::TokenNotFound { .. }
            | Self::TokenErrorState
            | Self::NoTokenServes => ErrorClass::Token,
            Self::Deadline | Self::Overloaded => ErrorClass::Busy,
            Self::TokenAmbiguous { .. }
            | Self::KeyRefused { .. }
            | Self::PaddingNotSupported(_)
            | Self::LabelNotSupported(_)
            | Self::SigningKeyNotFound(_)
            | Self::SigningKeyAmbiguous { .. }
            | Self::MechanismNotSupported { .. }
            | Self::MechanismNotOffered(_)
            | Self::WrongSignature(_)
            | Self::WrongSecret(_)
            | Self::LabelInUse(_)
            | Self::IdInUse(_)
            | Self::Generation(_)
            | Self::GeneratedKeyRefused(_)
            | Self::Initialization(_)
            | Self::File { .. }
            | Self::Pin(_)
            | Self::Module { .. }
            | Self::Life(_)
            | Self::Policy(_)
            | Self::Members
            | Self::InitParameters(_)
            | Self::SecondToken { .. }
            | Self::Threads(_) => ErrorClass::Configuration,
            Self::Internal(_) => ErrorClass::Bug,
        }
    }

    /// What to do about it, for the operator.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Token(_) | Self::KeyVanished(_) => {
                "check the token and the way to it: every request tries again, up to initialising the module anew"
            }
            Self::TokenNotFound { .. } => {
                "compare label and serial number with the list of tokens; check that the token is connected and that the \
                 module's own configuration is the one this process sees"
            }
            Self::NoTokenServes => {
                "look at the state of each token: one that failed says why, one that is drained waits to be taken into service again"
            }
            Self::TokenErrorState => "have the token's self-test looked at by whoever supports it",
            Self::Deadline | Self::Overloaded => {
                "ask again later; if it stays so, use a faster token, more tokens with the same key, or fewer callers"
            }
            Self::TokenAmbiguous { .. } => "name the token by its serial number",
            Self::UnknownKey(_) => {
                "the record was made for another custody key, or for one that was destroyed or has yet to be copied to this token: import \
                 that key's token, or import the record again"
            }
            Self::KeyRefused { .. } => {
                "generate a new key on the token: sensitive, not extractable, and for decryption (a custody key), for \
                 signatures (a signing key) or for key agreement alone"
            }
            Self::PaddingNotSupported(_) => {
                "use a padding that the capabilities list, or a token that does this one"
            }
            Self::LabelTooLong { .. } => "use a shorter label, such as the hash of this one",
            Self::LabelNotSupported(_) => {
                "use the empty label, or a token that does labels; SoftHSM and TPMs do not, and in strict mode the label's padding is not \
                 removed outside of the token without the exception oaep-unpadding-in-software"
            }
            Self::SigningKeyNotFound(_) => {
                "generate a signing key on the token, or name one that is there; custody keys do not sign"
            }
            Self::SigningKeyAmbiguous { .. } => "name the key by its fingerprint",
            Self::MechanismNotSupported { .. } | Self::MechanismNotOffered(_) => {
                "use another kind of key, or have the mechanism switched on at the token"
            }
            Self::WrongSignature(_) | Self::WrongSecret(_) => {
                "the public key object of that CKA_ID belongs to another key, or the token computes wrongly: generate a new \
                 key, and have the token looked at if that fails too"
            }
            Self::LabelInUse(_) => "choose another label, or destroy the old key first",
            Self::IdInUse(_) => "leave the identifier out, or choose one that no key has",
            Self::Generation(_) | Self::GeneratedKeyRefused(_) => {
                "check what the token allows: modulus length, key attributes, free space, write protection"
            }
            Self::Initialization(_) => {
                "check the security officer's PIN and the lengths of the PINs"
            }
            Self::File { problem, .. } => match problem {
                FileProblem::NotAbsolute => "give the absolute path",
                FileProblem::Unreadable(_) => "check the path and the rights of this process",
                FileProblem::SymbolicLink => "give the path of the file itself",
                FileProblem::WrongOwner => "chown it to root or to the user of this process",
                FileProblem::Mode(_) => {
                    "a PIN file must have mode 0600 or 0400; a module must not be writable by group or others"
                }
                FileProblem::NoCredentialsDirectory => {
                    "start the process as a systemd unit with LoadCredential= or LoadCredentialEncrypted="
                }
                _ => "give a regular file with the PIN on its only line",
            },
            Self::Pin(problem) => match problem {
                PinProblem::Incorrect | PinProblem::RefusedBefore => {
                    "put the right PIN into its source; it is tried again once it has changed"
                }
                PinProblem::FinalTry => {
                    "log in once with the right PIN by the vendor's tool, to give the token its tries back"
                }
                PinProblem::LockedUnseen => {
                    "have the security officer set a new PIN, and put it into its source: it is tried again once that has changed"
                }
                PinProblem::Locked => "have the security officer set a new PIN",
                PinProblem::NotInitialized => "have the security officer set the user PIN",
                PinProblem::Expired => "set a new PIN by the vendor's tool",
            },
            Self::Life(problem) => problem.hint(),
            Self::Module { .. } => "give the absolute path of the vendor's PKCS#11 library",
            Self::SecondToken { .. } => {
                "use one token of it in each process, or a version of the library that is safe for this"
            }
            Self::InitParameters(_) => {
                "give every use of one module in one process the same parameters, as the module's documentation writes them"
            }
            Self::Decryption
            | Self::CiphertextLength { .. }
            | Self::PlaintextTooLong { .. }
            | Self::InvalidPublicKey(_)
            | Self::InvalidPoint
            | Self::ModulusBits(_)
            | Self::Threads(_)
            | Self::Members
            | Self::Policy(_)
            | Self::Internal(_) => return None,
        })
    }
}

#[cfg(test)]
mod tests;
