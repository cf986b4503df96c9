//! Decryption, and how a bad ciphertext is told from a bad token.

use fips::policy::{Service, decide};
use fips::secret::SecretBytes;

use super::cache::LoadedKey;
use super::classify::Class;
use super::counters::count;
use super::evidence::{Evidence, Verdict};
use super::probe::{self, FoundKeyRef, Outcome, Way};
use super::worker::Worker;
use crate::Error;
use crate::error::Refusal;
use crate::key::KeyFingerprint;
use crate::padding::Padding;

/// Failures on one session that may be judged by what was seen on others, before it has to show itself that it works.
const MOST_UNPROVEN: u32 = 4;

/// A key, and how it removes the padding that is meant.
struct Use<'a> {
    key: FoundKeyRef<'a>,
    loaded: &'a LoadedKey,
    padding: Padding,
    way: Way,
    canary: &'a [u8],
    evidence: &'a Evidence,
}

/// How one try ended.
enum Tried {
    Plain(SecretBytes),
    /// The token has done its part, and the padding is wrong.
    Bad,
    /// The session was stuck, and was replaced.
    Stuck(Refusal),
    /// The data is bad, or the token.
    Failed(Refusal),
}

impl Worker {
    /// Decrypts, and tells a bad ciphertext from a bad token.
    pub(super) fn decrypt(
        &mut self,
        fingerprint: &KeyFingerprint,
        padding: Padding,
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
        let Some((way, canary, evidence)) = key.probe.way(padding) else {
            if key.probe.raw_was_not_allowed() {
                // Named as what it is: the token could, the policy says no.
                decide(Service::TokenRawRsaOaep).map(drop)?;
            }
            return Err(Error::PaddingNotSupported(padding));
        };
        let meant = Use {
            key: FoundKeyRef {
                handle: key.handle,
                modulus_len,
                public: &key.public,
                always_authenticate: key.info.attributes.always_authenticate == Some(true),
            },
            loaded: &key,
            padding,
            way,
            canary,
            evidence,
        };
        self.decrypt_judged(&meant, ciphertext)
    }

    fn decrypt_judged(&mut self, meant: &Use<'_>, ciphertext: &[u8]) -> Result<SecretBytes, Error> {
        let mut refusal = match self.try_once(meant, ciphertext)? {
            Tried::Plain(message) => return Ok(message),
            Tried::Bad => return Err(Error::Decryption),
            Tried::Stuck(refusal) | Tried::Failed(refusal) => refusal,
        };
        // A failure, a token that is well afterwards, and another failure: then it is the ciphertext. Not every failure gets the
        // second try: strangers could have the token do nothing else.
        for is_last in [false, true] {
            if !self.is_well(meant) {
                // The session itself may be what is broken: some modules leave it in an operation that nothing ends.
                self.replace_session();
                if !self.canary_decrypts(meant) {
                    return Err(Error::Token(refusal));
                }
            }
            if is_last || !self.may_try_again() {
                break;
            }
            refusal = match self.try_once(meant, ciphertext)? {
                // On the new session.
                Tried::Stuck(_) => match self.try_once(meant, ciphertext)? {
                    Tried::Plain(message) => return Ok(message),
                    Tried::Bad => break,
                    Tried::Stuck(refusal) => return Err(Error::Token(refusal)),
                    Tried::Failed(refusal) => refusal,
                },
                Tried::Plain(message) => return Ok(message),
                Tried::Bad => break,
                Tried::Failed(refusal) => refusal,
            };
        }
        Err(Error::Decryption)
    }

    fn may_try_again(&self) -> bool {
        let shared = self.shared();
        shared.second_tries.take(shared.clock.now())
    }

    /// One decryption of somebody's ciphertext.
    ///
    /// # Errors
    /// [`Error::Token`] where the table of return values leaves no doubt that it is not about the ciphertext.
    fn try_once(&mut self, meant: &Use<'_>, ciphertext: &[u8]) -> Result<Tried, Error> {
        let begun = self.shared().next_number();
        let outcome = probe::decrypt(self, &meant.key, meant.padding, meant.way, ciphertext)?;
        if matches!(outcome, Outcome::Plain(_) | Outcome::BadPadding) {
            meant.evidence.worked(begun, self.shared().clock.now());
            self.unproven = 0;
        }
        Ok(match outcome {
            Outcome::Plain(message) => Tried::Plain(message),
            Outcome::BadPadding => Tried::Bad,
            Outcome::NotStarted(refusal) if refusal.class() == Class::Stuck => {
                self.replace_session();
                Tried::Stuck(refusal)
            }
            // The data has not been looked at.
            Outcome::NotStarted(refusal) => return Err(Error::Token(refusal)),
            Outcome::Failed(refusal) => match refusal.class() {
                Class::AskCanary | Class::Stuck => Tried::Failed(refusal),
                _ => return Err(Error::Token(refusal)),
            },
        })
    }

    /// True if the token was well after what has just failed: somebody's decryption shows it, or a canary.
    fn is_well(&mut self, meant: &Use<'_>) -> bool {
        if self.unproven >= MOST_UNPROVEN {
            // What others see on their sessions says nothing about this one.
            return self.canary_decrypts(meant);
        }
        self.unproven += 1;
        let shared = self.shared();
        let failed = shared.next_number();
        let verdict = meant
            .evidence
            .judge(failed, shared.clock.now(), &shared.canaries);
        if verdict == Verdict::Well {
            count(&shared.counters.canaries_shared);
            return true;
        }
        /// Tells those who wait, whatever happens.
        struct Running<'a> {
            evidence: &'a Evidence,
            worked: Option<(u64, std::time::Duration)>,
        }
        impl Drop for Running<'_> {
            fn drop(&mut self) {
                self.evidence.ran(self.worked);
            }
        }
        let mut running = Running {
            evidence: meant.evidence,
            worked: None,
        };
        let begun = shared.next_number();
        if self.canary_decrypts(meant) {
            running.worked = Some((begun, self.shared().clock.now()));
        }
        running.worked.is_some()
    }

    /// True if the token decrypts a ciphertext to which the answer is known, the same way, now, on this session.
    fn canary_decrypts(&mut self, meant: &Use<'_>) -> bool {
        count(&self.shared().counters.canaries_run);
        let works = matches!(
            probe::decrypt(self, &meant.key, meant.padding, meant.way, meant.canary),
            Ok(Outcome::Plain(message)) if meant.loaded.probe.is_message(&message)
        );
        if works {
            self.unproven = 0;
        }
        works
    }
}
