//! One order, from nothing to a certificate on its way to the device.
//!
//! ```text
//!             keep, share         keep                      keep                  keep
//! (policy) ------------> KeyMade -----> Ordered --enroll--> Pending --poll--> Issued --check, pack--> result
//!                           ^             |  \_____________________________/     |
//!                           |             | lost answer, crash                   `-> not what was asked: revoked, final failure
//!                           `- never had -+-> recover -> Pending, Issued, or: cannot tell
//! ```
//!
//! Each step is durable before the next begins, so that whatever dies in between, the authority is asked what became of the order before it
//! is asked for it again.

use super::ask::{self, Question};
use super::authority::Authority;
use super::check;
use super::packed;
use super::ports::{Keeper, Keys};
use super::progress::{Progress, Step};
use crate::config::WhenUnknown;
use crate::connector::error::{CallError, CallErrorKind};
use crate::connector::journal::JournalError;
use crate::connector::result::DeviceResult;
use crate::engine::api::PackRequest;
use crate::engine::client::RecryptError;
use crate::gateway::api::FailureReport;
use crate::gateway::pkcs_api::PkcsWorkItem;
use crate::issuance::IssuancePolicy;
use crate::telemetry::Draft;
use crate::telemetry::catalogue::EventKind;
use ca::{
    Enrolment, Error, ErrorClass, Issued, Order, Pending, Recovered, Revocation, RevocationReason,
    Revoked,
};
use std::time::Duration;

/// How long one waits for one's turn at an authority before the request goes back to the queue.
const TURN: Duration = Duration::from_secs(20);
/// The longest time until a pending order is asked for again.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3600);

/// How the work at a request ended for now.
#[derive(Debug)]
pub(crate) enum End {
    /// With a result.
    Done(Box<DeviceResult>),
    /// For good.
    Failed {
        /// Stable code.
        code: String,
        /// In words.
        message: String,
    },
    /// It waits in the gateway's queue, which knows how far it got.
    Waits,
    /// Somebody else should try, or this instance later.
    GiveBack(FailureReport),
    /// The lease is lost.
    Lost(CallError),
    /// The journal cannot be written: the lease is left to expire.
    Abandon(JournalError),
}

impl End {
    fn failed(code: &str, message: impl Into<String>) -> Self {
        Self::Failed {
            code: code.to_owned(),
            message: message.into(),
        }
    }

    /// Given back for a reason that is not the request's.
    pub(crate) fn later(message: impl Into<String>) -> Self {
        Self::GiveBack(FailureReport {
            code: "tryAgain".to_owned(),
            message: message.into(),
        })
    }
}

impl From<JournalError> for End {
    fn from(error: JournalError) -> Self {
        Self::Abandon(error)
    }
}

/// Why the work stops here.
type Stop<T> = Result<T, End>;

/// What works at one request.
pub(crate) struct Run<'a> {
    pub(crate) item: &'a PkcsWorkItem,
    pub(crate) policy: &'a IssuancePolicy,
    pub(crate) authority: &'a Authority,
    pub(crate) keys: &'a dyn Keys,
    pub(crate) keeper: &'a dyn Keeper,
}

impl Run<'_> {
    /// Works at the request from where it stands.
    pub(crate) async fn run(&self, known: Option<Progress>) -> End {
        match self.advance(known).await {
            Ok(end) | Err(end) => end,
        }
    }

    async fn advance(&self, known: Option<Progress>) -> Stop<End> {
        let question = match ask::question(self.item) {
            Ok(question) => question,
            Err(why) => return Ok(self.refuse("profileUnusable", why).await),
        };
        let mut progress = match known {
            Some(mut progress) => {
                // From now on it is known here that the request was last in these hands.
                progress.fence = self.item.fence;
                self.keeper.keep(&progress).await?;
                progress
            }
            None => self.make_key(&question).await?,
        };
        if progress.ca != self.authority.ca.name() {
            let message = format!(
                "the request was begun at the authority {:?}; its profile names another one now: ask anew",
                progress.ca
            );
            return Ok(self.refuse("authorityChanged", message).await);
        }
        loop {
            match progress.step.clone() {
                Step::KeyMade => self.enroll(&question, &mut progress).await?,
                Step::Ordered => self.recover(&mut progress).await?,
                Step::Pending {
                    reference,
                    since_ms,
                } => {
                    self.poll(&mut progress, reference.0, since_ms).await?;
                }
                Step::Issued {
                    certificate,
                    others,
                } => {
                    let issued = Issued {
                        certificate_der: certificate.0,
                        others: others.into_iter().map(|other| other.0).collect(),
                    };
                    return self.pack(&question, &mut progress, issued).await;
                }
            }
        }
    }

    /// Whether the policy allows it now; its rule's name.
    async fn allowed(&self, question: &Question) -> Stop<String> {
        match self.policy.decide(&question.asked(self.item)) {
            Ok(rule) => Ok(rule.name.clone()),
            Err(denied) => Err(self.refuse("policyDenied", denied.to_string()).await),
        }
    }

    async fn make_key(&self, question: &Question) -> Stop<Progress> {
        let rule = self.allowed(question).await?;
        let request = question.make_key(self.item);
        let made = match self.keys.make_key(request).await {
            Ok(made) => made,
            Err(error) => return Err(self.engine_failed(error).await),
        };
        let mut progress = Progress::key_made(
            self.item.profile.ca.clone(),
            rule,
            self.policy.digest().to_owned(),
            made.csr,
            made.sealed_key,
        );
        progress.fence = self.item.fence;
        self.keeper.keep(&progress).await?;
        // Only a key that the gateway knows is ever ordered: whoever goes on with the request goes on with that key.
        self.share(&progress, None).await?;
        Ok(progress)
    }

    async fn enroll(&self, question: &Question, progress: &mut Progress) -> Stop<()> {
        // The policy may have become narrower while the request waited.
        progress.rule = self.allowed(question).await?;
        progress.policy = self.policy.digest().to_owned();
        let slot = match self.authority.enter(TURN).await {
            Ok(slot) => slot,
            Err(wait) => return Err(self.wait(progress, wait).await),
        };
        if !self.keeper.is_held() {
            return Err(End::later(
                "the lease ran out before the authority was asked",
            ));
        }
        let now_ms = self.keeper.now_ms();
        progress.asked_ms.get_or_insert(now_ms);
        progress.step = Step::Ordered;
        self.keeper.keep(progress).await?;
        let answer = slot.note(self.authority.ca.enroll(&self.order(progress)).await);
        match answer {
            Ok(enrolment) => self.take(progress, enrolment).await,
            Err(error) => match error.class() {
                ErrorClass::Unavailable | ErrorClass::Credential => {
                    // Nothing was issued, and nothing will be by this call.
                    progress.step = Step::KeyMade;
                    Err(self.attempt_failed(progress, &error).await)
                }
                ErrorClass::Unknown | ErrorClass::Protocol => {
                    Err(self.attempt_failed(progress, &error).await)
                }
                ErrorClass::Rejected | ErrorClass::Unsupported => Err(self
                    .refuse(
                        "rejected",
                        format!("the authority refuses the request: {error}"),
                    )
                    .await),
            },
        }
    }

    async fn recover(&self, progress: &mut Progress) -> Stop<()> {
        let answer = if self.authority.ca.capabilities().recovers {
            let slot = match self.authority.enter(TURN).await {
                Ok(slot) => slot,
                Err(wait) => return Err(self.wait(progress, wait).await),
            };
            slot.note(self.authority.ca.recover(&self.order(progress), None).await)
        } else {
            Ok(Recovered::CannotTell)
        };
        match answer {
            Ok(Recovered::Known(enrolment)) => self.take(progress, enrolment).await,
            Ok(Recovered::NeverAsked) => {
                progress.step = Step::KeyMade;
                Ok(self.keeper.keep(progress).await?)
            }
            Ok(Recovered::CannotTell) => self.cannot_tell(progress).await,
            Err(error) if error.class() == ErrorClass::Unsupported => {
                self.cannot_tell(progress).await
            }
            Err(error) if error.class() == ErrorClass::Rejected => Err(self
                .refuse(
                    "rejected",
                    format!("the authority refuses the request: {error}"),
                )
                .await),
            Err(error) => Err(self.attempt_failed(progress, &error).await),
        }
    }

    async fn cannot_tell(&self, progress: &mut Progress) -> Stop<()> {
        let ca = self.authority.ca.name();
        let id = &self.item.request_id;
        match self.authority.terms.when_unknown {
            WhenUnknown::AskAgain => {
                self.tell_attempt(
                    progress,
                    "the authority cannot tell what became of the order; it is asked for again, as `when_unknown` says: there may be two certificates",
                )
                .await;
                progress.step = Step::KeyMade;
                Ok(self.keeper.keep(progress).await?)
            }
            WhenUnknown::Fail => {
                let message = format!(
                    "the answer to the order was lost, and the authority {ca} cannot tell what became of it: look there for a certificate of the order {id} \
                     and revoke it, then ask anew (or let connectors ask again by themselves: `when_unknown = \"ask-again\"`)"
                );
                Err(self.refuse("outcomeUnknown", message).await)
            }
        }
    }

    async fn poll(&self, progress: &mut Progress, reference: Vec<u8>, since_ms: i64) -> Stop<()> {
        let slot = match self.authority.enter(TURN).await {
            Ok(slot) => slot,
            Err(wait) => return Err(self.wait(progress, wait).await),
        };
        let pending = Pending {
            reference,
            ask_again_in: Duration::ZERO,
        };
        let order = self.order(progress);
        match slot.note(self.authority.ca.poll(&order, &pending).await) {
            Ok(Enrolment::Issued(issued)) => self.take(progress, Enrolment::Issued(issued)).await,
            Ok(Enrolment::Pending(pending)) => {
                let waited = self.keeper.now_ms().saturating_sub(since_ms);
                let most = self.authority.terms.pending;
                if u128::try_from(waited).is_ok_and(|waited| waited > most.as_millis()) {
                    let message = format!(
                        "the authority has not decided for {} hours: have the order {} approved or withdrawn there, then ask anew",
                        most.as_secs() / 3600,
                        self.item.request_id
                    );
                    return Err(self.refuse("pendingTooLong", message).await);
                }
                progress.failures = 0;
                progress.step = Step::Pending {
                    reference: pending.reference.into(),
                    since_ms,
                };
                self.keeper.keep(progress).await?;
                Err(self.wait(progress, pending.ask_again_in).await)
            }
            Err(error)
                if matches!(
                    error.class(),
                    ErrorClass::Rejected | ErrorClass::Unsupported
                ) =>
            {
                Err(self
                    .refuse(
                        "rejected",
                        format!("the authority refuses the request: {error}"),
                    )
                    .await)
            }
            Err(error) => Err(self.attempt_failed(progress, &error).await),
        }
    }

    /// Takes what the authority answered.
    async fn take(&self, progress: &mut Progress, enrolment: Enrolment) -> Stop<()> {
        progress.failures = 0;
        match enrolment {
            Enrolment::Issued(issued) => {
                progress.step = Step::Issued {
                    certificate: issued.certificate_der.into(),
                    others: issued
                        .others
                        .into_iter()
                        .take(check::MAX_OTHERS)
                        .map(Into::into)
                        .collect(),
                };
                Ok(self.keeper.keep(progress).await?)
            }
            Enrolment::Pending(pending) => {
                progress.step = Step::Pending {
                    reference: pending.reference.into(),
                    since_ms: self.keeper.now_ms(),
                };
                self.keeper.keep(progress).await?;
                self.keeper
                    .tell(
                        self.draft(
                            EventKind::PkcsIssuancePending,
                            "the authority decides later",
                        )
                        .field("askAgainSeconds", pending.ask_again_in.as_secs()),
                    )
                    .await;
                Err(self.wait(progress, pending.ask_again_in).await)
            }
        }
    }

    async fn pack(
        &self,
        question: &Question,
        progress: &mut Progress,
        issued: Issued,
    ) -> Stop<End> {
        let rule = self
            .policy
            .rules()
            .iter()
            .find(|rule| rule.name == progress.rule);
        let expected = check::Expected {
            csr: progress.csr.as_slice(),
            rule,
            extended_key_usage: &self.item.profile.extended_key_usage,
            key_usage: &self.item.profile.key_usage,
            validity_days: self.item.profile.validity_days,
            roots: &self.authority.terms.roots,
            intermediates: &self.authority.terms.intermediates,
            now_ms: self.keeper.now_ms(),
        };
        let checked = match check::check(&expected, &issued) {
            Ok(checked) => checked,
            Err(why) => {
                let message = format!("what the authority issued is not what was asked: {why}");
                return Ok(self
                    .withdraw("issuedCertificateRefused", message, &issued)
                    .await);
            }
        };
        self.keeper
            .tell(
                self.draft(
                    EventKind::PkcsIssuedSuccess,
                    "the authority issued the certificate, and it is what was asked",
                )
                .field("serialNumber", checked.serial.clone())
                .field("thumbprint", checked.thumbprint.clone())
                .field("rule", progress.rule.clone())
                .field("policySha256", progress.policy.clone()),
            )
            .await;
        let request = PackRequest {
            request_id: self.item.request_id.clone(),
            user: self.item.user_principal_name.clone(),
            sealed_key: progress.sealed_key.clone(),
            csr: progress.csr.clone(),
            certificate: issued.certificate_der.clone().into(),
            chain: checked.chain.into_iter().map(Into::into).collect(),
            device: self.item.device.clone(),
            platform: self.item.profile.platform.clone(),
            format: self.item.profile.format,
            friendly_name: Some(question.friendly_name(self.item)),
            apple_profile: packed::profile_name(self.item),
        };
        match self.keys.pack(request).await {
            Ok(packed) => {
                if !packed.warnings.is_empty() {
                    let draft = self.draft(EventKind::PkcsFormDoubtful, packed::MESSAGE);
                    let platform = &self.item.profile.platform;
                    self.keeper
                        .tell(packed::with(draft, platform, &packed))
                        .await;
                }
                let result = packed::result(packed, issued.certificate_der);
                Ok(End::Done(Box::new(result)))
            }
            Err(RecryptError::Failed(failure)) if packed::is_final(failure.code) => {
                let message = format!(
                    "the certificate was issued and cannot be packed for the device: {}",
                    failure.message
                );
                let code = crate::connector::worker::code_text(failure.code);
                Ok(self.withdraw(&code, message, &issued).await)
            }
            // The certificate waits, here and at the gateway, for an engine that works.
            Err(error) => {
                self.tell_attempt(progress, &error.to_string()).await;
                progress.failures = progress.failures.saturating_add(1);
                let pause = self.pause(progress);
                Ok(self.wait(progress, pause).await)
            }
        }
    }

    fn order(&self, progress: &Progress) -> Order {
        Order {
            id: self.item.request_id.clone(),
            csr_der: progress.csr.0.clone(),
            profile: self.item.profile.ca_profile.clone(),
        }
    }

    fn draft(&self, kind: EventKind, message: impl Into<String>) -> Draft {
        Draft::new(kind, message)
            .request(&self.item.request_id)
            .field("ca", self.authority.ca.name())
            .field("profile", self.item.profile_name.clone())
            .field("platform", self.item.profile.platform.clone())
    }

    async fn tell_attempt(&self, progress: &Progress, reason: &str) {
        self.keeper
            .tell(
                self.draft(
                    EventKind::PkcsIssuedFailedAttempt,
                    "the certificate could not be issued yet and will be tried again",
                )
                .field("reason", reason)
                .field("failures", progress.failures),
            )
            .await;
    }

    /// The final failure of a request of which nothing was issued, as far as is known.
    async fn refuse(&self, code: &str, message: impl Into<String>) -> End {
        let message = message.into();
        self.keeper
            .tell(
                self.draft(
                    EventKind::PkcsIssuedFailure,
                    "the certificate was not issued",
                )
                .field("code", code)
                .field("reason", message.clone()),
            )
            .await;
        End::failed(code, message)
    }

    /// The final failure of a request whose certificate cannot be used: it is revoked where the authority can.
    async fn withdraw(&self, code: &str, message: String, issued: &Issued) -> End {
        let revocation =
            check::names_of(&issued.certificate_der).map(|(issuer_der, serial)| Revocation {
                issuer_der,
                serial,
                certificate_der: Some(issued.certificate_der.clone()),
                reason: RevocationReason::CessationOfOperation,
            });
        let fate = match revocation {
            None => "it names neither issuer nor serial number, and cannot be revoked".to_owned(),
            Some(_) if !self.authority.ca.capabilities().revokes => format!(
                "the authority {} revokes nothing by this way: revoke it there",
                self.authority.ca.name()
            ),
            Some(revocation) => match self.authority.ca.revoke(&revocation).await {
                Ok(Revoked::Now | Revoked::Already) => "it was revoked".to_owned(),
                Err(error) => {
                    format!("it could not be revoked ({error}): revoke it at the authority")
                }
            },
        };
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
                .field("reason", message.clone()),
            )
            .await;
        self.refuse(code, format!("{message}; {fate}")).await
    }

    async fn engine_failed(&self, error: RecryptError) -> End {
        match error {
            RecryptError::Failed(failure) if !failure.code.is_transient() => {
                let code = crate::connector::worker::code_text(failure.code);
                self.refuse(&code, failure.message).await
            }
            other => End::later(other.to_string()),
        }
    }

    /// An attempt that came to nothing: it is kept, told, and made again later, unless that went on for too long.
    async fn attempt_failed(&self, progress: &mut Progress, error: &Error) -> End {
        progress.failures = progress.failures.saturating_add(1);
        let since = progress.asked_ms.unwrap_or_else(|| self.keeper.now_ms());
        let waited = self.keeper.now_ms().saturating_sub(since);
        let patience = self.authority.terms.patience;
        let pending = matches!(progress.step, Step::Pending { .. });
        if !pending && u128::try_from(waited).is_ok_and(|waited| waited > patience.as_millis()) {
            let (code, remedy) = if progress.step == Step::KeyMade {
                (
                    "authorityUnavailable",
                    "nothing was issued; ask anew when it works",
                )
            } else {
                (
                    "outcomeUnknown",
                    "whether it issued is not known: look there for a certificate of this order and revoke it, then ask anew",
                )
            };
            let message = format!(
                "the authority {} did not answer for {} hours, the last time: {error}; {remedy}",
                self.authority.ca.name(),
                patience.as_secs() / 3600
            );
            return self.refuse(code, message).await;
        }
        self.tell_attempt(progress, &error.to_string()).await;
        if let Err(error) = self.keeper.keep(progress).await {
            return End::Abandon(error);
        }
        let pause = error
            .retry_after()
            .unwrap_or_default()
            .max(self.pause(progress));
        self.wait(progress, pause).await
    }

    /// Doubled with each failure.
    fn pause(&self, progress: &Progress) -> Duration {
        let (first, longest) = self.authority.terms.pauses;
        let step = progress.failures.saturating_sub(1).min(16);
        first
            .saturating_mul(1_u32.checked_shl(step).unwrap_or(u32::MAX))
            .min(longest)
    }

    /// Puts the request back into the queue, for so long.
    async fn wait(&self, progress: &Progress, time: Duration) -> End {
        let time = time.clamp(self.authority.terms.pauses.0, LONGEST_WAIT);
        match self.share(progress, Some(time)).await {
            Ok(()) => End::Waits,
            Err(end) => end,
        }
    }

    async fn share(&self, progress: &Progress, resume: Option<Duration>) -> Stop<()> {
        match self.keeper.share(progress, resume).await {
            Ok(()) => Ok(()),
            Err(error) if matches!(error.kind, CallErrorKind::Stale | CallErrorKind::Gone) => {
                Err(End::Lost(error))
            }
            // What is known here comes back with the next lease.
            Err(error) => Err(End::later(error.message)),
        }
    }
}
