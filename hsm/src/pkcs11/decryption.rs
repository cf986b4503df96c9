//! Decryption, and how a bad ciphertext is told from a bad token.

use cryptoki::context::Function;
use cryptoki::error::RvError;
use fips::policy::{Service, decide};
use fips::secret::SecretBytes;

use super::cache::LoadedKey;
use super::classify::Class;
use super::counters::count;
use super::evidence::{Evidence, Verdict};
use super::labels;
use super::probe::{self, FoundKeyRef, Outcome, Tried};
use super::worker::Worker;
use crate::Error;
use crate::error::Refusal;
use crate::key::KeyFingerprint;
use crate::padding::Padding;

/// Failures on one session that may be judged by what was seen on others, before it has to show itself that it works.
const MOST_UNPROVEN: u32 = 4;

/// A key, and how it removes the padding that is meant.
pub(super) struct Use<'a> {
    key: FoundKeyRef<'a>,
    pub(super) loaded: &'a LoadedKey,
    padding: Padding,
    label: &'a [u8],
    tried: &'a Tried,
}

impl Use<'_> {
    fn evidence(&self) -> &Evidence {
        &self.tried.evidence
    }
}

/// How one try ended.
pub(super) enum Ended {
    Plain(SecretBytes),
    /// The data is bad, or the session, or the token.
    Failed(Refusal),
}

/// What a ciphertext with a known answer, or somebody else's decryption, shows of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    Well,
    /// It is in an operation that nothing ends, as the ciphertext itself may have left it.
    Stuck,
    /// It does not decrypt what it has to.
    Broken,
}

impl Worker {
    /// Decrypts, and tells a bad ciphertext from a bad token.
    pub(super) fn decrypt(
        &mut self,
        fingerprint: &KeyFingerprint,
        padding: Padding,
        label: &[u8],
        ciphertext: &[u8],
    ) -> Result<SecretBytes, Error> {
        let key = self.load(fingerprint)?;
        let modulus_len = key.public.modulus().len();
        if ciphertext.len() != modulus_len {
            return Err(Error::CiphertextLength {
                expected: modulus_len,
                actual: ciphertext.len(),
            });
        }
        // RFC 8017, section 5.1.2, step 1. Tokens answer this in many ways; both numbers are public.
        if key.public.is_out_of_range(ciphertext) {
            return Err(Error::Decryption);
        }
        let tried = if label.is_empty() {
            key.probe.get(padding)
        } else if padding == Padding::Pkcs1 {
            // It has none (RFC 8017, section 7.2).
            return Err(Error::LabelNotSupported(padding));
        } else {
            self.labelled(&key, padding)?
        };
        let Some(tried) = tried else {
            if padding == Padding::Pkcs1 {
                // The mode says no, or nobody has named this key for it.
                decide(Service::TokenRawRsaPkcs1v15).map(drop)?;
            } else if key.probe.raw_was_not_allowed() {
                // Named as what it is: the token could, the policy says no.
                decide(Service::TokenRawRsaOaep).map(drop)?;
            }
            return Err(match key.probe.get(padding) {
                Some(_) => Error::LabelNotSupported(padding),
                None => Error::PaddingNotSupported(padding),
            });
        };
        let meant = Use {
            key: key.reference(),
            loaded: &key,
            padding,
            label,
            tried,
        };
        if padding == Padding::Pkcs1 {
            self.decrypt_without_verdict(&meant, ciphertext)
        } else {
            self.decrypt_judged(&meant, ciphertext)
        }
    }

    fn decrypt_judged(&mut self, meant: &Use<'_>, ciphertext: &[u8]) -> Result<SecretBytes, Error> {
        let mut tries = 0;
        // A failure, a token that is well afterwards, and another failure: then it is the ciphertext.
        loop {
            let refusal = match self.try_once(meant, ciphertext)? {
                Ended::Plain(message) => return Ok(message),
                Ended::Failed(refusal) => refusal,
            };
            tries += 1;
            let shown = if tries == 1 {
                self.look(meant)
            } else {
                // What others see on their sessions says nothing about this one, which has now failed twice.
                self.canary(meant)
            };
            if shown != Shown::Well {
                // The session itself may be what is broken: some modules leave it in an operation that nothing ends.
                self.replace_session();
                if self.canary(meant) != Shown::Well {
                    return Err(Error::Token(refusal));
                }
            }
            let again = match (tries, shown) {
                // Nothing was said about the ciphertext yet.
                (1 | 2, Shown::Broken) => true,
                // Not every failure gets the second try: strangers could have the token do nothing else.
                (1, _) => self.may_try_again(),
                _ => false,
            };
            if !again {
                return Err(Error::Decryption);
            }
        }
    }

    fn may_try_again(&self) -> bool {
        let shared = self.shared();
        shared.second_tries.take(shared.clock.now())
    }

    /// One decryption of somebody's ciphertext, on another session where this one is stuck: that says nothing about the ciphertext, but
    /// about the one before it.
    ///
    /// # Errors
    /// [`Error::Token`] where the table of return values leaves no doubt that it is not about the ciphertext.
    pub(super) fn try_once(&mut self, meant: &Use<'_>, ciphertext: &[u8]) -> Result<Ended, Error> {
        let mut outcome = self.ask(meant, ciphertext)?;
        if matches!(&outcome, Outcome::NotStarted(refusal) if refusal.class() == Class::Stuck) {
            self.replace_session();
            outcome = self.ask(meant, ciphertext)?;
        }
        match outcome {
            Outcome::Plain(message) => Ok(Ended::Plain(message)),
            // Of a key that is another one by now than its handle was looked up for, every padding is wrong.
            Outcome::BadPadding => Ok(Ended::Failed(Refusal::new(
                Function::Decrypt,
                RvError::EncryptedDataInvalid,
            ))),
            // The data has not been looked at.
            Outcome::NotStarted(refusal) => Err(Error::Token(refusal)),
            Outcome::Failed(refusal) => match refusal.class() {
                Class::AskCanary | Class::Stuck => Ok(Ended::Failed(refusal)),
                _ => Err(Error::Token(refusal)),
            },
        }
    }

    fn decrypt_as(
        &mut self,
        meant: &Use<'_>,
        label: &[u8],
        ciphertext: &[u8],
    ) -> Result<Outcome, Error> {
        probe::decrypt(
            self,
            &meant.key,
            meant.padding,
            label,
            meant.tried.way,
            ciphertext,
        )
    }

    fn ask(&mut self, meant: &Use<'_>, ciphertext: &[u8]) -> Result<Outcome, Error> {
        let begun = self.shared().next_number();
        let outcome = self.decrypt_as(meant, meant.label, ciphertext)?;
        // Of PKCS#1 v1.5 there always is a message, also from a token in trouble.
        if matches!(outcome, Outcome::Plain(_)) && meant.padding != Padding::Pkcs1 {
            self.worked(meant, begun);
        }
        Ok(outcome)
    }

    /// A use that began as number `begun` has worked, on this session.
    fn worked(&mut self, meant: &Use<'_>, begun: u64) {
        meant.evidence().worked(begun, self.shared().clock.now());
        self.unproven = 0;
    }

    /// Whether the token was well after what has just failed: somebody's decryption shows it, or a canary.
    pub(super) fn look(&mut self, meant: &Use<'_>) -> Shown {
        if self.unproven >= MOST_UNPROVEN {
            // What others see on their sessions says nothing about this one.
            return self.canary(meant);
        }
        self.unproven += 1;
        let shared = self.shared();
        let failed = shared.next_number();
        let verdict = meant
            .evidence()
            .judge(failed, shared.clock.now(), &shared.canaries);
        match verdict {
            Verdict::Well => {
                count(&shared.counters.canaries_shared);
                Shown::Well
            }
            // Those who wait are told at the end of it, whatever happens.
            Verdict::RunCanary(_running) => self.canary(meant),
        }
    }

    /// Whether the token decrypts a ciphertext to which the answer is known, the same way, now, on this session.
    pub(super) fn canary(&mut self, meant: &Use<'_>) -> Shown {
        count(&self.shared().counters.canaries_run);
        let begun = self.shared().next_number();
        let label = if meant.label.is_empty() {
            b""
        } else {
            labels::OF_CANARIES
        };
        let shown = match self.decrypt_as(meant, label, &meant.tried.canary) {
            Ok(Outcome::Plain(message)) if meant.loaded.probe.is_message(&message) => {
                self.worked(meant, begun);
                self.shared().well();
                Shown::Well
            }
            Ok(Outcome::NotStarted(refusal)) if refusal.class() == Class::Stuck => Shown::Stuck,
            _ => Shown::Broken,
        };
        self.tell_canary(meant.loaded.info.fingerprint, shown == Shown::Well);
        shown
    }

    /// Tells whoever counts them that the key was used for a known ciphertext.
    pub(super) fn tell_canary(&self, key: KeyFingerprint, is_well: bool) {
        if let Some(observer) = &self.shared().canary_observer {
            observer.tell(key, is_well);
        }
    }
}
