//! A certificate that was issued and is not used: revoked where the authority can, for as long as it takes within `patience_hours`, and then the
//! final failure that says what became of it.

use super::super::check;
use super::super::course::{Course, Whose};
use super::super::progress::Withdrawn;
use super::{End, Run, TURN};
use crate::telemetry::catalogue::EventKind;
use ca::{Error, ErrorClass, Issued, Revocation, RevocationReason, Revoked};

impl Run<'_> {
    /// Notes that the certificate is not used, for good, and withdraws it.
    pub(super) async fn refuse_issued(
        &self,
        code: &str,
        reason: String,
        course: &mut Course,
        issued: &Issued,
    ) -> End {
        course.at.withdrawn = Some(Withdrawn {
            since_ms: self.keeper.now_ms(),
            code: code.to_owned(),
            reason,
        });
        course.at.failures = 0;
        // Once it may have been revoked, nobody gets it any more, whatever policy and clock say by then.
        if course.whose == Whose::Own
            && let Err(error) = self.keeper.keep(course).await
        {
            return error.into();
        }
        self.withdraw(course, issued).await
    }

    /// Has the certificate revoked where the authority can, but only what the authority itself issued for the own key: what the gateway hands out,
    /// or what is found under the order's name for another key, may be somebody's.
    pub(super) async fn withdraw(&self, course: &mut Course, issued: &Issued) -> End {
        let Some(withdrawn) = course.at.withdrawn.clone() else {
            return End::later("the certificate is used");
        };
        let fate = match self.revoke(course, issued).await {
            Ok(fate) => fate,
            Err(error) => {
                if self.may_try_again(&withdrawn) {
                    return self
                        .withdraw_later(course, issued, &withdrawn, &error)
                        .await;
                }
                format!("it could not be revoked ({error}): revoke it at the authority")
            }
        };
        self.tell_withdrawn(issued, &withdrawn, &fate).await;
        let message = format!("{}; {fate}", withdrawn.reason);
        self.refuse(&withdrawn.code, message).await
    }

    /// Another connector ordered it, refused it and has it revoked: only that one knows that it may. Its words are the gateway's, and not used.
    pub(super) async fn wait_for_its_withdrawal(
        &self,
        course: &Course,
        withdrawn: &Withdrawn,
    ) -> End {
        if self.may_try_again(withdrawn) {
            return self.wait(&course.at, self.authority.terms.pauses.1).await;
        }
        let message = format!(
            "the connector that ordered the certificate refused it and did not come back to have it revoked: look at the authority {} for a certificate of \
             the order {}, and revoke it there",
            self.authority.ca.name(),
            self.item.request_id
        );
        self.refuse("issuedCertificateRefused", message).await
    }

    fn may_try_again(&self, withdrawn: &Withdrawn) -> bool {
        let waited = self.keeper.now_ms().saturating_sub(withdrawn.since_ms);
        // A clock that was set back makes nobody wait for longer than that once more.
        u128::try_from(waited.max(0))
            .is_ok_and(|waited| waited <= self.authority.terms.patience.as_millis())
    }

    async fn withdraw_later(
        &self,
        course: &mut Course,
        issued: &Issued,
        withdrawn: &Withdrawn,
        error: &Error,
    ) -> End {
        let is_first = course.at.failures == 0;
        course.at.failures = course.at.failures.saturating_add(1);
        if let Err(error) = self.keeper.keep(course).await {
            return error.into();
        }
        if is_first {
            let fate = format!("it could not be revoked yet ({error}), which is tried again");
            self.tell_withdrawn(issued, withdrawn, &fate).await;
        } else {
            self.keeper
                .tell(
                    self.draft(
                        EventKind::PkcsIssuedFailedAttempt,
                        "a certificate that cannot be used could not be revoked yet, which will be tried again",
                    )
                    .field("reason", error.to_string())
                    .field("failures", course.at.failures),
                )
                .await;
        }
        let pause = error
            .retry_after()
            .unwrap_or_default()
            .max(self.pause(&course.at));
        self.wait(&course.at, pause).await
    }

    async fn tell_withdrawn(&self, issued: &Issued, withdrawn: &Withdrawn, fate: &str) {
        let serial = check::names_of(&issued.certificate_der)
            .map(|(_, serial)| crate::encoding::hex(&serial))
            .unwrap_or_default();
        self.keeper
            .tell(
                self.draft(
                    EventKind::PkcsCertificateWithdrawn,
                    format!("a certificate that cannot be used: {fate}"),
                )
                .field("serialNumber", serial)
                .field("reason", withdrawn.reason.clone()),
            )
            .await;
    }

    /// What became of a certificate that cannot be used, in words.
    ///
    /// # Errors
    /// It is not known, or nothing did; later it may be otherwise.
    async fn revoke(&self, course: &Course, issued: &Issued) -> Result<String, Error> {
        let (ca, id) = (self.authority.ca.name(), &self.item.request_id);
        if course.whose == Whose::Told {
            return Ok(format!(
                "it was not revoked, since this connector did not order it: look at the authority {ca} for a certificate of the order {id}, and revoke it there"
            ));
        }
        if !check::is_for_key(&issued.certificate_der, course.at.csr.as_slice()) {
            return Ok(format!(
                "it was not revoked, since it may be somebody's: look at the authority {ca}, where it is under the order {id}"
            ));
        }
        let Some((issuer_der, serial)) = check::names_of(&issued.certificate_der) else {
            return Ok(
                "it names neither issuer nor serial number, and cannot be revoked".to_owned(),
            );
        };
        if !self.authority.ca.capabilities().revokes {
            return Ok(format!(
                "the authority {ca} revokes nothing by this way: revoke it there"
            ));
        }
        let revocation = Revocation {
            id: Some(format!("{id}-withdrawn")),
            issuer_der,
            serial,
            certificate_der: Some(issued.certificate_der.clone()),
            reason: RevocationReason::CessationOfOperation,
        };
        let slot = match self.authority.enter_to_revoke(TURN).await {
            Ok(slot) => slot,
            Err(wait) => {
                let left_alone =
                    "the authority is left alone after failures, or has all it can take";
                return Err(Error::new(ErrorClass::Unavailable, left_alone).after(wait));
            }
        };
        match slot.note(self.authority.ca.revoke(&revocation).await) {
            Ok(Revoked::Now | Revoked::Already) => Ok("it was revoked".to_owned()),
            Err(error) => match error.class() {
                ErrorClass::Rejected | ErrorClass::Unsupported | ErrorClass::Misissued => Ok(
                    format!("it could not be revoked ({error}): revoke it at the authority"),
                ),
                ErrorClass::Unavailable
                | ErrorClass::Unknown
                | ErrorClass::Protocol
                | ErrorClass::Credential => Err(error),
            },
        }
    }
}
