//! One use of the key for one request, from its admission to its receipt.
//!
//! admitted by the ledger -> decrypted, by the token or by whoever does it already -> what came of it is recorded -> the answer may leave
//!
//! Whatever way a request ends, a use that was begun is recorded: one that nobody ended is, when it is dropped, as thrown away.

use super::Shared;
use super::flow;
use super::oracle::Admitted;
use super::pkcs1;
use super::queue::Job;
use super::refusal::{Came, DECRYPTION_FAILED, Refusal};
use super::sharing::Ciphertext;
use crate::clock::{Clock, SystemClock};
use crate::engine::api::FailureCode;
use crate::engine::recrypt::importers::Importer;
use crate::engine::recrypt::sealed::is_wrapping_key;
use crate::record::Record;
use audit::event::{Caller, Event, KeyUse, PfxCheck, Purpose, ResultClass};
use audit::{Expected, Hash, ledger::Asked};
use fips::secret::Password;
use hsm::{Custody, KeyFingerprint, Lane};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long it is waited for the receipt of a use whose deadline is over: nobody waits for the answer, but its failure has to be counted.
const RECEIPT_LIMIT: Duration = Duration::from_secs(1);

/// A record whose password is wanted, and for what.
pub(super) struct Wanted<'a> {
    pub(super) request_id: &'a str,
    pub(super) record: &'a Record,
    pub(super) pfx: &'a [u8],
    pub(super) importer: Option<&'a Importer>,
    pub(super) key: KeyFingerprint,
    pub(super) purpose: Purpose,
    pub(super) delivery: &'static str,
    pub(super) pfx_check: Option<PfxCheck>,
}

/// A use of the key.
pub(super) struct Usage<'a> {
    shared: &'a Shared,
    admitted: Option<Admitted<'a>>,
    /// The log knows that an entry will come.
    _expected: Option<Expected>,
    used: Box<KeyUse>,
    ciphertext: Ciphertext,
    deadline: Instant,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// No token was asked.
    Admitted,
    /// A token was asked.
    Used,
    /// Another one's use gave the result.
    Shared,
    Ended,
}

/// Who asks, as the log names it.
pub(super) fn caller(job: &Job) -> Caller {
    Caller {
        uid: job.caller.uid,
        connector: job.caller.certificate.map(Hash::from_bytes),
    }
}

impl<'a> Usage<'a> {
    /// Asks the ledger. Nothing has been done with the key yet.
    ///
    /// # Errors
    /// The ledger's refusals; a padding that this key is not there for.
    pub(super) fn begin(
        shared: &'a Shared,
        job: &Job,
        wanted: &Wanted<'_>,
    ) -> Result<Self, Refusal> {
        let Wanted { record, .. } = wanted;
        let bytes = record.encrypted_password.as_slice();
        let importer = wanted
            .importer
            .and_then(|importer| importer.fingerprint().parse().ok());
        let used = Box::new(KeyUse {
            request: wanted.request_id.to_owned(),
            caller: caller(job),
            importer,
            user: record.user_principal_name.clone(),
            record: Hash::of(&record.signed_bytes(wanted.pfx)),
            key: Hash::from_bytes(*wanted.key.as_bytes()),
            padding: record.padding.to_string(),
            ciphertext: Hash::of(bytes),
            purpose: wanted.purpose.clone(),
            delivery: wanted.delivery.to_owned(),
            pfx_check: wanted.pfx_check,
            policy: shared.policy_digest,
            result: ResultClass::ThrownAway,
            reason: None,
        });
        let ciphertext = Ciphertext {
            key: wanted.key,
            padding: record.padding,
            bytes: bytes.to_vec(),
        };
        Self::begin_with(shared, used, ciphertext, job.deadline)
    }

    /// As [`begin`](Self::begin), for what is no record.
    ///
    /// # Errors
    /// As told there.
    pub(super) fn begin_with(
        shared: &'a Shared,
        used: Box<KeyUse>,
        ciphertext: Ciphertext,
        deadline: Instant,
    ) -> Result<Self, Refusal> {
        pkcs1::admit(
            &shared.config.pkcs1_keys,
            ciphertext.padding,
            &ciphertext.key,
            SystemClock.now_ms(),
        )?;
        shared.oracle.book().ready()?;
        let admitted =
            shared
                .oracle
                .admit(&Asked::from(&*used), &used.request, &used.caller, deadline)?;
        Ok(Self {
            shared,
            admitted: Some(admitted),
            _expected: shared.oracle.book().expect(),
            used,
            ciphertext,
            deadline,
            state: State::Admitted,
        })
    }

    /// The password, decrypted by a token or by whoever is decrypting it already.
    ///
    /// # Errors
    /// Those of the decryption. The use is still to be ended: what else has to be done after a bad ciphertext is done first.
    pub(super) fn decrypt(
        &mut self,
        custody: &dyn Custody,
        job: &Job,
        lane: Lane,
    ) -> Result<Arc<Password>, Refusal> {
        let admitted = self.admitted.as_ref();
        let own = || {
            let outcome = flow::decrypt(self.shared, custody, &self.ciphertext, job.deadline, lane);
            if let (Err(refusal), Some(admitted)) = (&outcome, admitted)
                && refusal.came == Came::BadInput
            {
                // Before anybody else who wants it can begin anew.
                admitted.failed();
            }
            outcome
        };
        let (outcome, by_token) = match lane {
            Lane::Interactive => self
                .shared
                .sharing
                .decrypt(&self.ciphertext, job.deadline, own),
            Lane::Batch => (own().map(Arc::new), true),
        };
        let was_used = match &outcome {
            Ok(_) => true,
            Err(refusal) => refusal.came != Came::BeforeUse,
        };
        if was_used {
            self.state = if by_token { State::Used } else { State::Shared };
        }
        outcome.and_then(|secret| self.of_its_kind(secret))
    }

    /// Passwords and the keys of sealed keys are under the same custody keys, and neither is ever taken for the other: a sealed key cannot be
    /// had by asking for it as the password of a record.
    fn of_its_kind(&self, secret: Arc<Password>) -> Result<Arc<Password>, Refusal> {
        let is_pack = matches!(self.used.purpose, Purpose::Pack(_));
        if is_wrapping_key(secret.expose()) == is_pack {
            return Ok(secret);
        }
        if let Some(admitted) = &self.admitted {
            admitted.failed();
        }
        Err(Refusal::new(
            FailureCode::DecryptionFailed,
            DECRYPTION_FAILED,
            "other_kind_of_secret",
            "what was decrypted is a password where the key of a sealed key was asked for, or the other way round",
        )
        .that_came(Came::BadInput))
    }

    /// As [`decrypt`](Self::decrypt), and holds the password against its PFX.
    ///
    /// A ciphertext that does not decrypt goes the same way with a random password, whose outcome is thrown away: bad padding and a wrong
    /// password cost the same.
    ///
    /// # Errors
    /// Those of the decryption, and of `check`.
    pub(super) fn decrypt_and_check(
        &mut self,
        custody: &dyn Custody,
        job: &Job,
        lane: Lane,
        mut check: impl FnMut(&Password) -> Result<(), Refusal>,
    ) -> Result<Arc<Password>, Refusal> {
        let password = match self.decrypt(custody, job, lane) {
            Err(refusal) if refusal.came == Came::BadInput => {
                let _ = super::deliver::fresh_password().map(|random| check(&random));
                return Err(refusal);
            }
            decrypted => decrypted?,
        };
        let checked = check(&password);
        match (&checked, &self.admitted) {
            (Ok(()), _) => self.worked(),
            (Err(refusal), Some(admitted)) if refusal.came == Came::WrongPassword => {
                admitted.failed();
            }
            (Err(_), _) => {}
        }
        checked.map(|()| password)
    }

    /// It is known not to fail, although it has not ended: others may take its room.
    pub(super) fn worked(&self) {
        if let Some(admitted) = &self.admitted {
            admitted.worked();
        }
    }

    /// Ends it with what came of it: returns when that is recorded.
    ///
    /// # Errors
    /// What was recorded counts, whatever is answered; what could not be recorded must not leave.
    pub(super) fn end(mut self, result: ResultClass) -> Result<(), Refusal> {
        self.record(result, None).map_err(Refusal::after_use)
    }

    /// Ends it with a refusal, which is given back: it is what the caller may be told, or that nothing could be recorded.
    pub(super) fn refuse(mut self, refusal: Refusal) -> Refusal {
        if self.state == State::Admitted {
            return refusal;
        }
        let result = match (refusal.came, refusal.told.code) {
            (Came::BadInput, _) => ResultClass::BadCiphertext,
            (Came::WrongPassword, _) => ResultClass::PasswordRefused,
            (Came::TokenTrouble, _) => ResultClass::TokenFailed,
            (Came::NoAnswer, _) => ResultClass::NoAnswer,
            (Came::BeforeUse, FailureCode::PfxRefused) => ResultClass::PfxRefused,
            (Came::BeforeUse, _) => ResultClass::ThrownAway,
        };
        match self.record(result, Some(refusal.reason)) {
            Ok(()) => refusal.after_use(),
            Err(unrecorded) => unrecorded.after_use(),
        }
    }

    fn record(&mut self, result: ResultClass, reason: Option<&str>) -> Result<(), Refusal> {
        let event = match std::mem::replace(&mut self.state, State::Ended) {
            State::Admitted | State::Ended => return Ok(()),
            State::Used => Event::KeyUse,
            State::Shared => Event::Shared,
        };
        let mut used = self.used.clone();
        used.result = result;
        used.reason = reason.map(str::to_owned);
        let until = self.deadline.max(Instant::now() + RECEIPT_LIMIT);
        let recorded = self.shared.oracle.record(event(used), Some(until));
        // In flight until the ledger knows.
        match (self.admitted.take(), &recorded) {
            (Some(admitted), Err(_)) if result.is_input_at_fault() => admitted.stay(),
            (admitted, _) => drop(admitted),
        }
        if result.is_input_at_fault() {
            self.shared.oracle.raise_alarms();
        }
        recorded
    }
}

impl Drop for Usage<'_> {
    fn drop(&mut self) {
        if matches!(self.state, State::Used | State::Shared) {
            let _ = self.record(ResultClass::ThrownAway, Some("abandoned"));
        }
    }
}
