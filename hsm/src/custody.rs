//! The seam between the engine and whatever keeps the key.

use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use fips::secret::SecretBytes;
use serde::Serialize;

use crate::{Error, KeyFingerprint, KeyInfo, Label, Load, Padding, Terms, TokenInfo};

/// Takes the result of a decryption, on whichever thread has it. Must not block: it keeps the token's thread from its work. No lock of
/// this crate is held meanwhile, so it may begin another request.
pub type Answer = Box<dyn FnOnce(Result<SecretBytes, Error>) + Send>;

/// A key that never leaves: what the engine may ask of it.
///
/// Every call may be made from any number of threads. All but [`begin_decrypt`](Self::begin_decrypt) block until the token has
/// answered. A deadline ends the waiting, not the call, because a PKCS#11 call cannot be interrupted:
/// [`Health::oldest_call_ms`] is there for a watchdog that replaces the whole process.
pub trait Custody: Send + Sync {
    /// The token, as it described itself when custody was opened.
    fn token(&self) -> TokenInfo;

    /// What the token was seen to do, by trying it.
    fn capabilities(&self) -> Capabilities;

    /// Every private RSA key on the token, usable or not, read afresh.
    ///
    /// # Errors
    /// [`Error::Token`] if the token does not answer.
    fn keys(&self) -> Result<Vec<KeyInfo>, Error>;

    /// Begins to decrypt an RSAES-OAEP ciphertext of the modulus's length, encrypted with `label`, and returns without waiting for anything; `answer` is
    /// called exactly once, on another thread or on this one.
    ///
    /// # Errors
    /// [`Error::Decryption`] and [`Error::CiphertextLength`] mean that the input is bad and the token is well: that was
    /// tried. A class of [`ErrorClass::Token`](crate::ErrorClass::Token) means that nothing is known about the input.
    /// Besides: [`Error::Deadline`] for a request that could not begin in time, [`Error::Overloaded`] for one that would have to
    /// wait too long; the token was not asked. [`Error::LabelNotSupported`] where the token does the padding and no labels; which is tried
    /// when the first label is asked for.
    fn begin_decrypt(
        &self,
        key: &KeyFingerprint,
        padding: Padding,
        label: &Label,
        ciphertext: &[u8],
        terms: Terms,
        answer: Answer,
    );

    /// As [`begin_decrypt`](Self::begin_decrypt), and waits for the answer: until the deadline, if there is one. A call that has
    /// begun by then goes on, and its answer is dropped.
    ///
    /// # Errors
    /// As told there.
    fn decrypt_with_label(
        &self,
        key: &KeyFingerprint,
        padding: Padding,
        label: &Label,
        ciphertext: &[u8],
        terms: Terms,
    ) -> Result<SecretBytes, Error> {
        wait(terms.within, |answer| {
            self.begin_decrypt(key, padding, label, ciphertext, terms, answer);
        })
    }

    /// As [`decrypt_with_label`](Self::decrypt_with_label), with the empty label.
    ///
    /// # Errors
    /// As told there.
    fn decrypt_on(
        &self,
        key: &KeyFingerprint,
        padding: Padding,
        ciphertext: &[u8],
        terms: Terms,
    ) -> Result<SecretBytes, Error> {
        self.decrypt_with_label(key, padding, &Label::empty(), ciphertext, terms)
    }

    /// As [`decrypt_on`](Self::decrypt_on): interactive, without a deadline.
    ///
    /// # Errors
    /// As told there.
    fn decrypt(
        &self,
        key: &KeyFingerprint,
        padding: Padding,
        ciphertext: &[u8],
    ) -> Result<SecretBytes, Error> {
        self.decrypt_on(key, padding, ciphertext, Terms::default())
    }

    /// Encrypts to a public RSA key (DER SubjectPublicKeyInfo) inside of the token, with `label`. The key becomes a session object,
    /// which is kept for the next time: 64 in each session, the least recently used one is destroyed for a new one. With a deadline it
    /// waits no longer, for a place or for the answer.
    ///
    /// # Errors
    /// [`Error::InvalidPublicKey`] or [`Error::PlaintextTooLong`] for the input, [`Error::PaddingNotSupported`] where the
    /// token cannot do it, [`Error::LabelNotSupported`] where it was not seen to do labels (which takes a custody key on it), a class of
    /// [`ErrorClass::Token`](crate::ErrorClass::Token) where it does not answer; [`Error::Deadline`] and [`Error::Overloaded`].
    fn encrypt_with_label(
        &self,
        public_key_spki: &[u8],
        padding: Padding,
        label: &Label,
        plaintext: &SecretBytes,
        terms: Terms,
    ) -> Result<Vec<u8>, Error>;

    /// As [`encrypt_with_label`](Self::encrypt_with_label), with the empty label.
    ///
    /// # Errors
    /// As told there.
    fn encrypt_on(
        &self,
        public_key_spki: &[u8],
        padding: Padding,
        plaintext: &SecretBytes,
        terms: Terms,
    ) -> Result<Vec<u8>, Error> {
        self.encrypt_with_label(public_key_spki, padding, &Label::empty(), plaintext, terms)
    }

    /// As [`encrypt_on`](Self::encrypt_on): interactive, without a deadline.
    ///
    /// # Errors
    /// As told there.
    fn encrypt(
        &self,
        public_key_spki: &[u8],
        padding: Padding,
        plaintext: &SecretBytes,
    ) -> Result<Vec<u8>, Error> {
        self.encrypt_on(public_key_spki, padding, plaintext, Terms::default())
    }

    /// Counters and the state of the sessions. Never calls the token, so it answers even while the token hangs.
    fn health(&self) -> Health;
}

/// Begins something that answers once, and waits for the answer, `within` this time.
pub(crate) fn wait<T: Send + 'static>(
    within: Option<Duration>,
    begin: impl FnOnce(Box<dyn FnOnce(Result<T, Error>) + Send>),
) -> Result<T, Error> {
    let (sender, receiver) = sync_channel(1);
    begin(Box::new(move |result| {
        // Nobody waits any more if the deadline is over.
        let _ = sender.send(result);
    }));
    let received = match within {
        Some(within) => receiver.recv_timeout(within),
        None => receiver.recv().map_err(|_| RecvTimeoutError::Disconnected),
    };
    match received {
        Ok(result) => result,
        Err(RecvTimeoutError::Timeout) => Err(Error::Deadline),
        Err(RecvTimeoutError::Disconnected) => Err(Error::Internal("a request was never answered")),
    }
}

/// What a token was seen to do with one of its keys. Empty lists: no usable key was there to try it with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Capabilities {
    /// Paddings that the token removes itself.
    pub native: Vec<Padding>,
    /// Paddings for which the token does the raw RSA operation (CKM_RSA_X_509) and this crate removes the padding in
    /// constant time. Not an approved service: in strict mode it needs the exception `oaep-unpadding-in-software`.
    pub software_unpadding: Vec<Padding>,
    /// Paddings that the token applies itself when it encrypts to a public key.
    pub encrypt_native: Vec<Padding>,
    /// Keys with which the token removes the padding of PKCS#1 v1.5 itself, because it does no raw RSA: of those that are named for it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pkcs1_native: Vec<KeyFingerprint>,
    /// Keys with which the token does the raw RSA operation and this crate removes the padding of PKCS#1 v1.5: of those that are named
    /// for it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pkcs1_software: Vec<KeyFingerprint>,
}

impl Capabilities {
    /// Whether this padding is removed for this key, one way or the other.
    #[must_use]
    pub fn decrypts(&self, key: &KeyFingerprint, padding: Padding) -> bool {
        match padding {
            Padding::Pkcs1 => self.pkcs1_native.contains(key) || self.pkcs1_software.contains(key),
            _ => self.native.contains(&padding) || self.software_unpadding.contains(&padding),
        }
    }

    /// The padding for key transport to somebody else's RSA key (a CMS KeyTransRecipientInfo), among those that the token
    /// applies itself; `None` if there is none.
    ///
    /// RSAES-OAEP in CMS names its hash in the parameters (RFC 3560, section 3), so a reader has to know the hash too. The order
    /// is that of who does: SHA-256 first, which every S/MIME 4.0 agent has (RFC 8551, section 2.1) and which the readers that
    /// take any OAEP besides the default take; then SHA-384 and SHA-512. They are no better here: the hash is no weak point of
    /// OAEP. SHA-1, the default of the parameters, is last although every reader knows it, because an auditor has to be told why it
    /// is there: OAEP does not rest on SHA-1's collision resistance, but SHA-1 is on its way out of the approved hash functions
    /// (SP 800-131A).
    #[must_use]
    pub fn key_transport_padding(&self) -> Option<Padding> {
        const PREFERRED: [Padding; 4] = [
            Padding::OaepSha256,
            Padding::OaepSha384,
            Padding::OaepSha512,
            Padding::OaepSha1,
        ];
        PREFERRED
            .into_iter()
            .find(|padding| self.encrypt_native.contains(padding))
    }
}

/// What a call to the token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Operation {
    /// [`Custody::decrypt`].
    Decrypt,
    /// [`Custody::encrypt`].
    Encrypt,
    /// Generation of a key: may take minutes on a real token.
    Generate,
    /// [`Custody::keys`], and the list of the signing keys.
    ListKeys,
    /// A signature by a signing key.
    Sign,
    /// A key agreement by a key for that.
    Agree,
}

impl Operation {
    /// Every operation.
    pub const ALL: [Self; 6] = [
        Self::Decrypt,
        Self::Encrypt,
        Self::Generate,
        Self::ListKeys,
        Self::Sign,
        Self::Agree,
    ];
}

/// The state of a custody, for status and for a watchdog.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// Worker threads, each with one session.
    pub threads: usize,
    /// Ciphertexts decrypted.
    pub decrypts: u64,
    /// Messages encrypted.
    pub encrypts: u64,
    /// Public keys made session objects of the token for an encryption there, that of probes and canaries included.
    pub public_keys_created: u64,
    /// Encryptions with a public key that was a session object already. Together with
    /// [`public_keys_created`](Self::public_keys_created) it shows that key transport ran in the token.
    pub public_keys_reused: u64,
    /// Messages signed.
    pub signatures: u64,
    /// Requests refused because of their input.
    pub bad_inputs: u64,
    /// Requests that failed because of the token, after everything that could be done about it in their time did not help.
    pub token_failures: u64,
    /// Sessions opened again after trouble: the generation of the sessions.
    pub reconnects: u64,
    /// Sessions replaced because they were stuck in an operation, as bad ciphertexts leave them on some tokens. No sign of trouble.
    pub sessions_replaced: u64,
    /// Logins (C_Login as CKU_USER) that opened the token: the generation of the login.
    pub logins: u64,
    /// How often the module was initialised in this process: the generation of the module's state. More than one: it was
    /// finalised and initialised again because of trouble.
    pub module_generation: u64,
    /// Generation of the key handles: grows each time the handles were thrown away.
    pub generation: u64,
    /// Known ciphertexts decrypted to tell a bad ciphertext from a bad token.
    pub canaries_run: u64,
    /// Failures that were judged by what had shown already that the token was well after them.
    pub canaries_shared: u64,
    /// True if the PIN is kept in memory, because its source cannot be read again (a prompt). Otherwise it is in memory only
    /// during a login.
    pub pin_kept: bool,
    /// Requests accepted and not answered: waiting or running.
    pub in_flight: u64,
    /// Age in milliseconds (monotonic clock) of the oldest call that a worker is busy with: since it went into the module or, inside,
    /// began a decryption. Not that of the request, which may be on its way through a token's trouble for much longer.
    pub oldest_call_ms: Option<u64>,
    /// What the call is for.
    pub oldest_call: Option<Operation>,
    /// Only a new process can help: a call hangs inside of the module, or the module was initialised again several times in vain for
    /// more than twenty seconds, or cannot be. Cleared by the next operation that works.
    pub needs_restart: bool,
    /// What waits and runs, and how long that takes.
    pub load: Load,
}

impl Health {
    /// Adds the state of another token: sums, the oldest of the calls, the latest generation.
    pub fn merge(&mut self, other: &Self) {
        self.threads += other.threads;
        for (sum, other) in [
            (&mut self.decrypts, other.decrypts),
            (&mut self.encrypts, other.encrypts),
            (&mut self.public_keys_created, other.public_keys_created),
            (&mut self.public_keys_reused, other.public_keys_reused),
            (&mut self.signatures, other.signatures),
            (&mut self.bad_inputs, other.bad_inputs),
            (&mut self.token_failures, other.token_failures),
            (&mut self.reconnects, other.reconnects),
            (&mut self.in_flight, other.in_flight),
        ] {
            *sum = sum.saturating_add(other);
        }
        self.generation = self.generation.max(other.generation);
        if other.oldest_call_ms > self.oldest_call_ms {
            self.oldest_call_ms = other.oldest_call_ms;
            self.oldest_call = other.oldest_call;
        }
        self.needs_restart |= other.needs_restart;
        self.load.merge(&other.load);
    }
}

#[cfg(test)]
mod tests {
    #![allow(missing_docs)]
    use super::*;

    #[test]
    fn the_padding_for_key_transport_is_one_that_the_token_encrypts_with_and_sha_1_is_the_last() {
        use Padding::{OaepSha1, OaepSha256, OaepSha384, OaepSha512};
        for (encrypt_native, expected) in [
            (Padding::OAEP.to_vec(), Some(OaepSha256)),
            (vec![OaepSha1, OaepSha512, OaepSha384], Some(OaepSha384)),
            (vec![OaepSha1, OaepSha512], Some(OaepSha512)),
            (vec![OaepSha1], Some(OaepSha1)),
            (vec![], None),
        ] {
            let capabilities = Capabilities {
                // What it decrypts says nothing about what it encrypts.
                native: Padding::OAEP.to_vec(),
                software_unpadding: Vec::new(),
                encrypt_native,
                ..Capabilities::default()
            };
            assert_eq!(capabilities.key_transport_padding(), expected);
        }
    }
}
