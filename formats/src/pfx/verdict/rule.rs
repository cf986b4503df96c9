//! What is known of a platform, as data.

use super::feature::Feature;
use super::{Opens, Reason};
use crate::pfx::{Algorithm, EncryptionFacts, EncryptionScheme, MacScheme, PasswordForm, Target};
use serde::{Serialize, Serializer};
use std::fmt;

/// What is known of one target.
#[derive(Debug)]
pub struct Platform {
    /// The target.
    pub target: Target,
    /// How it is known.
    pub basis: Basis,
    /// Where it is said or can be checked.
    pub sources: &'static [&'static str],
    /// What is said when nothing is in the way.
    pub all_read: &'static str,
    /// What it reads and what not. The first that is about a thing decides.
    pub rules: &'static [Rule],
}

/// How something is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Basis {
    /// The program itself was given files of each kind, by this project's tests.
    Tried {
        /// Which version of it.
        version: &'static str,
    },
    /// Its makers' documentation, its source, and reports of those who met it; not tried by this project.
    Documentation,
    /// It is this program's own rule.
    Policy,
}

impl Basis {
    /// The stable name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tried { .. } => "tried",
            Self::Documentation => "reported",
            Self::Policy => "policy",
        }
    }

    /// What that means.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Tried { .. } => "the tests of this project gave such files to the program itself",
            Self::Documentation => {
                "from its makers' documentation and from those who met it; not tried here"
            }
            Self::Policy => "the policy table of this program",
        }
    }
}

impl Serialize for Basis {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// What a platform does with one kind of thing.
#[derive(Debug)]
pub struct Rule(pub What, pub Answer);

/// A kind of thing. Empty lists stand for everything.
#[derive(Debug)]
pub enum What {
    /// Encryption under the password.
    Encryption {
        /// The standard's scheme.
        scheme: EncryptionScheme,
        /// Ciphers, each as [`EncryptionFacts::cipher`] has it, with its key's bits where those differ: `rc2-cbc/40`.
        ciphers: &'static [&'static str],
        /// Hashes of the key derivation, as [`EncryptionFacts::prf`] has them.
        prfs: &'static [&'static str],
    },
    /// Integrity under the password.
    Mac {
        /// Classic or PBMAC1.
        scheme: MacScheme,
        /// Its hashes.
        hashes: &'static [&'static str],
    },
    /// No integrity check.
    NoMac,
    /// Integrity by a signature, or encryption to a certificate.
    PublicKeyMode,
    /// Integrity by a signature.
    SignatureMode,
    /// A private key in clear.
    KeyInClear,
    /// BER.
    Ber,
    /// Private keys, by the names of [`crate::pfx::KeyFacts::algorithm`].
    Keys(&'static [&'static str]),
    /// No private key.
    NoKey,
    /// No private key, and certificates without Java's mark of trust.
    NoKeyAndNoTrust,
    /// Nothing at all.
    NoEntries,
    /// Several private keys.
    SeveralKeys,
    /// A secret that is no private key.
    Secret,
    /// The same, if it is no symmetric key as Java keeps them.
    SecretOfOthers,
    /// Private keys and no certificate at all.
    KeyWithoutCertificate,
    /// A private key whose local key id no certificate has.
    KeyNotJoined,
    /// A private key without a local key id: the only one of the file, with a part behind it that begins with a certificate without one.
    OneKeyWithoutIdThenCertificate,
    /// A private key without a local key id.
    KeyWithoutId,
    /// Several private keys with the same local key id.
    SharedId,
    /// A part or a key that this program does not open, beside a private key that it may.
    ClosedBesideKey,
    /// A part or a key that this program does not open, and that may be or hold the only private key.
    Closed,
    /// An integrity check that this program does not have.
    MacNotSupported,
    /// How the password had to be encoded.
    Password(PasswordForm),
    /// A password of no characters.
    EmptyPassword,
    /// A password with other characters than those of printable ASCII.
    PasswordNotAscii,
    /// A password of so few bytes that PBKDF2 with it is not approved.
    ShortPassword,
    /// More iterations of one derivation than this.
    IterationsAbove(u64),
    /// More iterations of all derivations together than this.
    AllIterationsAbove(u64),
    /// Encryption or a MAC that is not approved with its parameters.
    NotApproved,
    /// Whatever no rule before it was about.
    Anything,
}

/// What a platform does with something.
#[derive(Debug)]
pub enum Answer {
    /// It reads it.
    Reads,
    /// It reads it, with something to say of it.
    ReadsNoting(&'static str),
    /// It reads it on a condition.
    If(&'static str),
    /// It does not.
    Refuses(&'static str),
    /// Not known, in these words.
    NotKnown(&'static str),
}

impl Platform {
    /// What the platform makes of one thing; `None` when it reads it and there is nothing to say.
    pub(super) fn judge(&self, feature: &Feature<'_>) -> Option<Reason> {
        let rule = self.rules.iter().find(|rule| rule.0.is_about(feature));
        let (opens, text) = match rule.map(|rule| &rule.1) {
            Some(Answer::Reads) => return None,
            Some(Answer::ReadsNoting(text)) => (Opens::Yes, *text),
            Some(Answer::If(text)) => (Opens::WithCondition, *text),
            Some(Answer::Refuses(text)) => (Opens::No, *text),
            Some(Answer::NotKnown(text)) => (Opens::NotKnown, *text),
            None if feature.is_read_unless_told(self.basis) => return None,
            None => (Opens::NotKnown, "whether it reads that is not known"),
        };
        let text = match (feature, rule.map(|rule| &rule.0)) {
            (Feature::Encryption(facts), Some(What::NotApproved)) => facts
                .algorithm
                .not_approved_because
                .as_deref()
                .unwrap_or(text),
            (Feature::Mac(facts), Some(What::NotApproved)) => facts
                .algorithm
                .not_approved_because
                .as_deref()
                .unwrap_or(text),
            _ => text,
        };
        Some(Reason {
            what: Some(feature.text()),
            opens,
            text: text.to_owned(),
        })
    }
}

impl Feature<'_> {
    /// Things that hardly any reader minds, so that only an exception is a rule. Some of them are so only where the tests hold the verdicts
    /// against the program: of others a reader may think what it likes until somebody tells.
    fn is_read_unless_told(&self, basis: Basis) -> bool {
        match self {
            Self::Iterations(_)
            | Self::AllIterations(_)
            | Self::Closed { .. }
            | Self::SeveralKeys(_)
            | Self::ShortPassword(_)
            | Self::Password(PasswordForm::Standard) => true,
            Self::NoKey { .. }
            | Self::NoEntries
            | Self::KeyInClear
            | Self::KeyWithoutCertificate
            | Self::KeyNotJoined
            | Self::KeyWithoutId { .. }
            | Self::SharedId
            | Self::EmptyPassword => basis != Basis::Documentation,
            _ => false,
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |names: &[&str]| names.join(", ");
        match self {
            Self::Encryption {
                scheme,
                ciphers,
                prfs,
            } => {
                f.write_str(match scheme {
                    EncryptionScheme::Pbes2 => "PBES2",
                    EncryptionScheme::Pkcs12 => "PKCS#12 encryption",
                    EncryptionScheme::Pbes1 => "PBES1",
                    EncryptionScheme::Unknown => "unknown encryption",
                })?;
                match ciphers {
                    [] => f.write_str(", any cipher")?,
                    some => write!(f, " with {}", list(some))?,
                }
                match prfs {
                    [] => Ok(()),
                    some => write!(f, " and {}", list(some)),
                }
            }
            Self::Mac { scheme, hashes } => {
                f.write_str(match scheme {
                    MacScheme::Classic => "classic MAC",
                    MacScheme::Pbmac1 => "PBMAC1",
                })?;
                match hashes {
                    [] => f.write_str(", any hash"),
                    some => write!(f, " with {}", list(some)),
                }
            }
            Self::NoMac => f.write_str("no integrity check"),
            Self::PublicKeyMode => f.write_str("public-key modes"),
            Self::SignatureMode => f.write_str("integrity by a signature"),
            Self::KeyInClear => f.write_str("private keys in clear"),
            Self::Ber => f.write_str("BER"),
            Self::Keys(names) => write!(f, "keys: {}", list(names)),
            Self::NoKey => f.write_str("no private key"),
            Self::NoKeyAndNoTrust => f.write_str("certificates without a key"),
            Self::NoEntries => f.write_str("files without entries"),
            Self::SeveralKeys => f.write_str("several private keys"),
            Self::Secret => f.write_str("secrets that are no private keys"),
            Self::SecretOfOthers => f.write_str("secrets of other kinds than Java's"),
            Self::KeyWithoutCertificate => f.write_str("a private key without a certificate"),
            Self::KeyNotJoined => {
                f.write_str("a private key with another local key id than any certificate")
            }
            Self::OneKeyWithoutIdThenCertificate => f.write_str(
                "one private key without a local key id, behind it a part that begins with such a certificate",
            ),
            Self::KeyWithoutId => f.write_str("a private key without a local key id"),
            Self::SharedId => f.write_str("several private keys with the same local key id"),
            Self::ClosedBesideKey => {
                f.write_str("what is not supported, beside a private key that can be read")
            }
            Self::Closed => f.write_str("what is not supported, and may be or hold the private key"),
            Self::MacNotSupported => f.write_str("an integrity check that is not supported"),
            Self::Password(PasswordForm::Null) => f.write_str("an empty password as none at all"),
            Self::Password(PasswordForm::OctetsAsCharacters) => {
                f.write_str("passwords as OpenSSL before 1.1.0 encoded them")
            }
            Self::Password(PasswordForm::Latin1) => f.write_str("passwords as ISO-8859-1 in PBES2"),
            Self::Password(PasswordForm::BmpForPbes2) => {
                f.write_str("passwords as BMPString in PBES2")
            }
            Self::Password(_) => f.write_str("passwords as the standards encode them"),
            Self::EmptyPassword => f.write_str("an empty password"),
            Self::PasswordNotAscii => f.write_str("passwords beyond printable ASCII"),
            Self::ShortPassword => f.write_str("passwords of fewer than 14 bytes"),
            Self::IterationsAbove(bound) => write!(f, "more than {bound} iterations"),
            Self::AllIterationsAbove(bound) => {
                write!(f, "more than {bound} iterations in all")
            }
            Self::NotApproved => f.write_str("what is not approved"),
            Self::Anything => f.write_str("everything else"),
        }
    }
}

impl What {
    fn is_about(&self, feature: &Feature<'_>) -> bool {
        match (self, feature) {
            (
                Self::Encryption {
                    scheme,
                    ciphers,
                    prfs,
                },
                Feature::Encryption(facts),
            ) => {
                *scheme == facts.scheme
                    && any(ciphers, |name| is_cipher(facts, name))
                    && any(prfs, |name| facts.prf.as_deref() == Some(name))
            }
            (Self::Mac { scheme, hashes }, Feature::Mac(facts)) => {
                *scheme == facts.scheme && any(hashes, |name| facts.hash == name)
            }
            (Self::NoMac, Feature::NoMac)
            | (Self::PublicKeyMode, Feature::Signature | Feature::PublicKey)
            | (Self::SignatureMode, Feature::Signature)
            | (Self::KeyInClear, Feature::KeyInClear)
            | (Self::Ber, Feature::Ber)
            | (
                Self::NoKeyAndNoTrust,
                Feature::NoKey {
                    java_trusted: false,
                },
            )
            | (Self::NoKey, Feature::NoKey { .. })
            | (Self::NoEntries, Feature::NoEntries)
            | (Self::SeveralKeys, Feature::SeveralKeys(_))
            | (Self::Secret, Feature::Secret { .. })
            | (Self::SecretOfOthers, Feature::Secret { of_java: false })
            | (Self::KeyWithoutCertificate, Feature::KeyWithoutCertificate)
            | (Self::KeyNotJoined, Feature::KeyNotJoined)
            | (
                Self::OneKeyWithoutIdThenCertificate,
                Feature::KeyWithoutId {
                    certificate_follows: true,
                },
            )
            | (Self::KeyWithoutId, Feature::KeyWithoutId { .. })
            | (Self::SharedId, Feature::SharedId)
            | (
                Self::ClosedBesideKey,
                Feature::Closed {
                    rest_is_read: true, ..
                },
            )
            | (Self::Closed, Feature::Closed { .. })
            | (Self::EmptyPassword, Feature::EmptyPassword)
            | (Self::PasswordNotAscii, Feature::PasswordNotAscii)
            | (Self::ShortPassword, Feature::ShortPassword(_))
            | (Self::Anything, _) => true,
            (Self::Keys(names), Feature::Key(key)) => any(names, |name| key.algorithm == name),
            (Self::Password(form), Feature::Password(used)) => form == used,
            (Self::IterationsAbove(bound), Feature::Iterations(count))
            | (Self::AllIterationsAbove(bound), Feature::AllIterations(count)) => count > bound,
            (Self::NotApproved, Feature::Encryption(facts)) => is_refused(&facts.algorithm),
            (Self::NotApproved, Feature::Mac(facts)) => is_refused(&facts.algorithm),
            (Self::MacNotSupported, Feature::Mac(facts)) => !facts.algorithm.supported,
            _ => false,
        }
    }
}

/// Whether strict mode refuses a use of it. What is not supported is not used: it stays closed.
fn is_refused(algorithm: &Algorithm) -> bool {
    algorithm.supported && !algorithm.approved
}

fn any(names: &[&str], is: impl Fn(&str) -> bool) -> bool {
    names.is_empty() || names.iter().any(|name| is(name))
}

/// `aes-256-cbc`, or `rc2-cbc/40` for a cipher whose keys have several lengths.
fn is_cipher(facts: &EncryptionFacts, name: &str) -> bool {
    let Some(cipher) = facts.cipher.as_deref() else {
        return false;
    };
    match name.split_once('/') {
        None => cipher == name,
        Some((name, bits)) => {
            cipher == name && facts.key_bits.map(|bits| bits.to_string()).as_deref() == Some(bits)
        }
    }
}
