//! Revocation. One request is one transaction, over all its attempts: an authority that decides later is polled for (RFC 9483, section 4.4) and
//! not asked once more, which would be another case for whoever approves there.
//!
//! ```text
//!  rr ------> rp accepted | certRevoked                  Now | Already
//!         |-> rp, error waiting -------> pollReq --.
//!         `-> error transactionIdInUse -> pollReq -+-> pollRep, error waiting    undecided; the next attempt begins with pollReq
//!                                                  |-> rp                        as rr
//!                                                  `-> error badRequest          it does not know the transaction: rr in a new one
//! ```

use super::conversation::Conversation;
use super::enrolment::NO_CERT_REQ_ID;
use super::pending::ask_again_in;
use super::{Cmp, failure};
use crate::{Error, ErrorClass, Revocation, RevocationReason, Revoked};
use pki::cmp::{Body, Failure, Message, PkiStatus, StatusInfo, Transaction, poll, revoke};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Undecided revocations that are remembered. One that is not is asked for in its transaction, which the authority knows.
const REMEMBERED: usize = 1024;

/// The transactions of revocations that the authority has not decided, by what names them.
#[derive(Default)]
pub(super) struct Undecided(Mutex<BTreeMap<String, Transaction>>);

impl Undecided {
    fn all(&self) -> MutexGuard<'_, BTreeMap<String, Transaction>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self, revocation: &Revocation) -> Option<Transaction> {
        self.all().get(&name(revocation)?).cloned()
    }

    fn keep(&self, revocation: &Revocation, transaction: Transaction) {
        let Some(name) = name(revocation) else {
            return;
        };
        let mut all = self.all();
        if all.len() >= REMEMBERED && !all.contains_key(&name) {
            all.pop_first();
        }
        all.insert(name, transaction);
    }

    fn forget(&self, revocation: &Revocation) {
        if let Some(name) = name(revocation) {
            self.all().remove(&name);
        }
    }
}

/// What names a revocation: its request, and what it is about, so that no answer about another certificate is taken for its own. No order has
/// such a name.
fn name(revocation: &Revocation) -> Option<String> {
    let id = revocation.id.as_ref()?;
    Some(format!(
        "revocation {id} {:02x?} {:02x?} {}",
        revocation.issuer_der,
        revocation.serial,
        revocation.reason.code()
    ))
}

impl Cmp {
    /// rr, or pollReq where it was asked before. Asking twice is harmless: the second time the authority says that it is done.
    pub(super) async fn revoke_certificate(
        &self,
        revocation: &Revocation,
    ) -> Result<Revoked, Error> {
        let known = self.undecided.known(revocation);
        let is_known = known.is_some();
        let transaction = match (known, name(revocation)) {
            (Some(known), _) => known,
            (None, Some(name)) => Transaction::of_order(&self.settings.name, &name),
            (None, None) => new_transaction()?,
        };
        let conversation = Conversation::new(self, transaction, None)?;
        let first = match is_known {
            true => self.poll_revocation(conversation, revocation).await?,
            false => self.ask_revocation(conversation, revocation, true).await?,
        };
        if let Some(revoked) = first {
            return Ok(revoked);
        }
        // The authority does not know the transaction, any more or at all.
        self.undecided.forget(revocation);
        let conversation = Conversation::new(self, new_transaction()?, None)?;
        let second = self.ask_revocation(conversation, revocation, false).await?;
        second.ok_or_else(undecided)
    }

    /// Asks; `None`: the authority says that the transaction was there before, and that it does not know it.
    async fn ask_revocation(
        &self,
        mut conversation: Conversation<'_>,
        revocation: &Revocation,
        may_be_in_use: bool,
    ) -> Result<Option<Revoked>, Error> {
        let request = revoke(
            &revocation.issuer_der,
            &revocation.serial,
            revocation.reason.code(),
        )
        .map_err(|error| Error::new(ErrorClass::Rejected, error.to_string()))?;
        let answer = conversation
            .say(&request)
            .await
            .map_err(|problem| problem.repeated().of_deed())?;
        if may_be_in_use && has_failure(&answer, Failure::TransactionIdInUse) {
            return self.poll_revocation(conversation, revocation).await;
        }
        match settled(answer, revocation) {
            // Only now does it say when to ask again.
            Err(error) if error.is_undecided() => {
                self.undecided.keep(revocation, conversation.transaction());
                match self.poll_revocation(conversation, revocation).await {
                    // It said that it has it.
                    Ok(None) => Err(error),
                    Err(lost) if lost.class() == ErrorClass::Unavailable => {
                        Err(if lost.is_undecided() { lost } else { error })
                    }
                    other => other,
                }
            }
            other => other.map(Some),
        }
    }

    /// Asks how it fares; `None`: the authority does not know the transaction.
    async fn poll_revocation(
        &self,
        mut conversation: Conversation<'_>,
        revocation: &Revocation,
    ) -> Result<Option<Revoked>, Error> {
        // For a whole transaction (RFC 9483, section 4.4).
        let asked = poll(NO_CERT_REQ_ID).map_err(|error| failure::of_message(&error))?;
        let said = conversation.say(&asked).await;
        let mut answer = said.map_err(|problem| problem.repeated().of_question())?;
        // The authority said something since, which did not arrive: its nonce is another one by now.
        if has_failure(&answer, Failure::BadRecipientNonce) {
            conversation.forget_nonce();
            let said = conversation.say(&asked).await;
            answer = said.map_err(|problem| problem.repeated().of_question())?;
        }
        if has_failure(&answer, Failure::BadRequest) {
            return Ok(None);
        }
        let wait = match &answer.body {
            Body::PollRep(items) => items.first().map(|item| item.check_after),
            _ => None,
        };
        let settled = match answer.body {
            Body::PollRep(_) => Err(undecided_for(wait)),
            _ => settled(answer, revocation),
        };
        match &settled {
            Err(error) if error.is_undecided() => {
                self.undecided.keep(revocation, conversation.transaction());
            }
            Err(error) if error.class() != ErrorClass::Rejected => {}
            _ => self.undecided.forget(revocation),
        }
        settled.map(Some)
    }
}

fn new_transaction() -> Result<Transaction, Error> {
    Transaction::new().map_err(|error| failure::of_message(&error))
}

/// An error message with this failure.
fn has_failure(answer: &Message, failure: Failure) -> bool {
    matches!(&answer.body, Body::Error { status, .. }
        if status.status != PkiStatus::Waiting && status.failures.contains(&failure))
}

/// What an answer to rr means, or to the poll for it.
fn settled(answer: Message, revocation: &Revocation) -> Result<Revoked, Error> {
    let (status, details) = match answer.body {
        Body::RevRep(rep) => {
            let status = match <[_; 1]>::try_from(rep.statuses) {
                Ok([status]) => status,
                Err(_) => return Err(unexpected("with other than one status")),
            };
            let asked = (&revocation.issuer_der, &revocation.serial);
            // Where it names certificates, ours is the one.
            if !rep.certificates.is_empty()
                && !rep.certificates.iter().any(|(issuer, serial)| {
                    serial == asked.1 && (issuer.is_empty() || issuer == asked.0)
                })
            {
                return Err(unexpected("about another certificate"));
            }
            (status, Vec::new())
        }
        Body::Error { status, details } => (status, details),
        _ => return Err(unexpected("with another kind of message")),
    };
    of_status(&status, &details, revocation)
}

fn of_status(
    status: &StatusInfo,
    details: &[String],
    revocation: &Revocation,
) -> Result<Revoked, Error> {
    match status.status {
        // A warning says that it is about to be, a notification that it is.
        PkiStatus::Accepted
        | PkiStatus::GrantedWithMods
        | PkiStatus::RevocationWarning
        | PkiStatus::RevocationNotification => Ok(Revoked::Now),
        PkiStatus::Rejection
            if status.failures.contains(&Failure::CertRevoked)
                && revocation.reason != RevocationReason::RemoveFromCrl =>
        {
            Ok(Revoked::Already)
        }
        PkiStatus::Waiting => Err(undecided()),
        PkiStatus::Rejection => {
            let refusal = failure::refusal("the revocation", status, details);
            // RFC 9810, section 5.2.3: "no certificate could be found matching the provided criteria".
            let is_unknown = status.failures.contains(&Failure::BadCertId);
            Err(if is_unknown {
                refusal.of_unknown_certificate()
            } else {
                refusal
            })
        }
        PkiStatus::KeyUpdateWarning => Err(unexpected("with a status that is none of theirs")),
    }
}

fn undecided() -> Error {
    undecided_for(None)
}

/// The authority has the revocation, and says when to ask again.
fn undecided_for(check_after: Option<Duration>) -> Error {
    Error::new(
        ErrorClass::Unavailable,
        "the authority has not decided about the revocation yet; it is asked how it fares",
    )
    .after(ask_again_in(check_after))
    .of_undecided()
}

fn unexpected(what: &str) -> Error {
    Error::new(
        ErrorClass::Unknown,
        format!("the authority answers a revocation {what}; it is asked again"),
    )
}
