//! What the authority is asked of an order, and what it means that it does not answer.
//!
//! Nothing was issued where it was not reached, is busy, refuses the credential or the order, or has no such operation: then token or request are
//! as good as before. An order that waited and is turned down is over: somebody decided that. Everything else may have been the certificate: before it is asked for again the
//! authority is asked what became of it, and where it cannot tell, `when_unknown` decides.

use super::super::error::ApiError;
use super::super::http::App;
use super::super::store::Unsettled;
use super::{Asked, Enrolment, later};
use crate::config::WhenUnknown;
use ::ca::{
    Capabilities, Enrolment as Answered, Error as CaError, ErrorClass, Order, Pending, Recovered,
};
use axum::http::StatusCode;
use std::time::Duration;

/// Why an order has no certificate yet.
#[derive(Debug)]
pub(super) enum Failure {
    /// Nothing was issued for it, and nothing will be by what was asked.
    Nothing(CaError),
    /// It stands as it stood before.
    AsBefore(CaError),
    /// Perhaps something was issued for it.
    Lost(CaError),
    /// The authority issued for another key.
    Misissued(CaError),
    /// The authority had the order, and turned it down.
    TurnedDown(CaError),
    /// The database.
    Stored(ApiError),
}

/// What a first order that failed means.
fn of_order(error: CaError) -> Failure {
    match error.class() {
        ErrorClass::Unavailable
        | ErrorClass::Credential
        | ErrorClass::Unsupported
        | ErrorClass::Rejected => Failure::Nothing(error),
        ErrorClass::Unknown | ErrorClass::Protocol => Failure::Lost(error),
        ErrorClass::Misissued => Failure::Misissued(error),
    }
}

/// What a question about an order that failed means.
fn of_question(error: CaError) -> Failure {
    match error.class() {
        ErrorClass::Rejected => Failure::TurnedDown(error),
        ErrorClass::Misissued => Failure::Misissued(error),
        ErrorClass::Unavailable
        | ErrorClass::Credential
        | ErrorClass::Unsupported
        | ErrorClass::Unknown
        | ErrorClass::Protocol => Failure::AsBefore(error),
    }
}

impl Enrolment {
    /// Orders.
    pub(super) async fn enroll(&self, order: &Order) -> Result<Answered, Failure> {
        self.authority.enroll(order).await.map_err(of_order)
    }

    /// Asks about an order that the authority may have; `id` is its name here.
    pub(super) async fn resume(
        &self,
        app: &App,
        id: &str,
        order: &Order,
        known: Unsettled,
    ) -> Result<Answered, Failure> {
        let can = self.authority.capabilities();
        let pending = known.pending.map(|reference| Pending {
            reference,
            ask_again_in: Duration::ZERO,
        });
        match pending {
            Some(pending) if !known.polled => self.poll(app, id, order, &pending, can).await,
            pending => self.recover(app, id, order, pending, can).await,
        }
    }

    /// Asks how a pending order fares. The answer may be the certificate, which is why it is durable before that it was asked.
    async fn poll(
        &self,
        app: &App,
        id: &str,
        order: &Order,
        pending: &Pending,
        can: Capabilities,
    ) -> Result<Answered, Failure> {
        note_polled(app, id, true).await?;
        let error = match self.authority.poll(order, pending).await {
            Ok(answered) => return Ok(answered),
            Err(error) => error,
        };
        match error.class() {
            // It was not asked, or did not want to say.
            ErrorClass::Unavailable | ErrorClass::Credential | ErrorClass::Unsupported => {
                note_polled(app, id, false).await?;
                Err(Failure::AsBefore(error))
            }
            ErrorClass::Rejected => Err(Failure::TurnedDown(error)),
            ErrorClass::Misissued => Err(Failure::Misissued(error)),
            ErrorClass::Unknown | ErrorClass::Protocol if can.recovers => {
                self.recover(app, id, order, Some(pending.clone()), can)
                    .await
            }
            ErrorClass::Unknown | ErrorClass::Protocol => Err(Failure::Lost(error)),
        }
    }

    /// Asks what became of an order whose answer is not known here.
    async fn recover(
        &self,
        app: &App,
        id: &str,
        order: &Order,
        pending: Option<Pending>,
        can: Capabilities,
    ) -> Result<Answered, Failure> {
        // Where to poll is to order once more (EST), this would not be a question.
        let pending = pending.filter(|_| can.polls_by_reference);
        let recovered = self.authority.recover(order, pending.as_ref()).await;
        match recovered.map_err(of_question)? {
            Recovered::Known(answered) => Ok(answered),
            Recovered::NeverAsked => self.enroll(order).await,
            Recovered::CannotTell if self.when_unknown == WhenUnknown::AskAgain => {
                let name = id.to_owned();
                app.stored(move |store| store.ask_enrolment_again(&name))
                    .await
                    .map_err(Failure::Stored)?;
                self.enroll(order).await.map_err(|failure| match failure {
                    // What was issued before, if anything was, is no better known for that.
                    Failure::Nothing(error) if error.class() != ErrorClass::Rejected => {
                        Failure::AsBefore(error)
                    }
                    other => other,
                })
            }
            Recovered::CannotTell => Err(Failure::Lost(CaError::new(
                ErrorClass::Unknown,
                "the authority cannot tell what became of the order: look there, revoke what it issued, and enrol with a new token; or set `when_unknown = \"ask-again\"`",
            ))),
        }
    }

    /// What whoever asked is told of a failure, once what it means is durable.
    pub(super) async fn failed(&self, app: &App, asked: Asked, failure: Failure) -> ApiError {
        let (error, means) = match failure {
            Failure::Stored(error) => return error,
            Failure::Misissued(error) => {
                let why = format!("what the authority issued is refused: {error}");
                return self.over(app, &asked, why).await;
            }
            Failure::TurnedDown(error) => {
                let why = format!("the authority turned it down: {error}");
                return self.over(app, &asked, why).await;
            }
            Failure::Nothing(error) => {
                let id = asked.order_id.clone();
                let was_asked = error.class() == ErrorClass::Rejected;
                let stored = app
                    .stored(move |store| match was_asked {
                        true => store.void_enrolment(&id),
                        false => store.forget_enrolment(&id),
                    })
                    .await;
                if let Err(error) = stored {
                    return error;
                }
                (error, "nothing was issued")
            }
            Failure::AsBefore(error) => (error, "the order stands as before"),
            Failure::Lost(error) => (error, "it may have issued"),
        };
        tracing::warn!(instance = %asked.instance, class = ?error.class(), %error, means, "the authority issued no certificate for a connector");
        match error.class() {
            ErrorClass::Rejected => ApiError::new(
                StatusCode::FORBIDDEN,
                "authorityRefused",
                format!("the authority refuses this request: {error}"),
            ),
            ErrorClass::Unavailable => later(
                &format!("the authority does not answer, and {means}"),
                error.retry_after().unwrap_or(Duration::from_secs(10)),
            ),
            _ => ApiError::new(
                StatusCode::BAD_GATEWAY,
                "authorityFailed",
                format!("the authority did not issue, and {means}: {error}"),
            ),
        }
    }
}

async fn note_polled(app: &App, id: &str, polled: bool) -> Result<(), Failure> {
    let id = id.to_owned();
    app.stored(move |store| store.note_enrolment_polled(&id, polled))
        .await
        .map_err(Failure::Stored)
}
