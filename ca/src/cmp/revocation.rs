//! Revocation.

use super::conversation::Conversation;
use super::problem::Problem;
use super::{Cmp, failure};
use crate::{Error, ErrorClass, Revocation, RevocationReason, Revoked};
use pki::cmp::{Body, Failure, PkiStatus, Transaction, revoke};

impl Cmp {
    /// rr. Asking twice is harmless: the second time the authority says that it is done.
    pub(super) async fn revoke_certificate(
        &self,
        revocation: &Revocation,
    ) -> Result<Revoked, Error> {
        let request = revoke(
            &revocation.issuer_der,
            &revocation.serial,
            revocation.reason.code(),
        )
        .map_err(|error| Error::new(ErrorClass::Rejected, error.to_string()))?;
        let transaction = Transaction::new().map_err(|error| failure::of_message(&error))?;
        let mut conversation = Conversation::new(self, transaction, None)?;
        let said = conversation.say(&request).await;
        let answer = said.map_err(Problem::of_repeated)?;
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
            PkiStatus::Waiting => Err(Error::new(
                ErrorClass::Unavailable,
                "the authority has not decided about the revocation yet; it is asked again",
            )),
            PkiStatus::Rejection => {
                let refusal = failure::refusal("the revocation", &status, &details);
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
}

fn unexpected(what: &str) -> Error {
    Error::new(
        ErrorClass::Unknown,
        format!("the authority answers a revocation {what}; it is asked again"),
    )
}
