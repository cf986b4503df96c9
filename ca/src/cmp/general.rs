//! What the authority tells of itself.

use super::conversation::Conversation;
use super::problem::Problem;
use super::{Cmp, Credential, failure};
use crate::{Error, ErrorClass, Health};
use pki::cmp::{
    Body, CmpError, Failure, Info, Message, Request, RequestTemplate, RootUpdate, StatusInfo,
    Transaction, ca_certs, oid, root_question, valid_until,
};

/// An answer to a question, or the refusal: verified both.
enum Told {
    Infos(Vec<Info>, Vec<Vec<u8>>),
    Refused(StatusInfo, Vec<String>, Vec<Vec<u8>>),
}

impl Cmp {
    async fn ask(&self, question: Info) -> Result<Told, Error> {
        let of_message = |error: CmpError| failure::of_message(&error);
        let request = Request::general(&[question]).map_err(of_message)?;
        let transaction = Transaction::new().map_err(of_message)?;
        let mut conversation = Conversation::new(self, transaction, None)?;
        let said = conversation.say(&request).await;
        let Message {
            body, extra_certs, ..
        } = said.map_err(Problem::of_question)?;
        match body {
            Body::General(infos) => Ok(Told::Infos(infos, extra_certs)),
            Body::Error { status, details } => Ok(Told::Refused(status, details, extra_certs)),
            _ => Err(Error::new(
                ErrorClass::Protocol,
                "the authority answers a general message with another kind of message",
            )),
        }
    }

    /// The information that was asked for; an authority that has none of it refuses.
    async fn infos(&self, question: Info, what: &str) -> Result<Vec<Info>, Error> {
        match self.ask(question).await? {
            Told::Infos(infos, _) => Ok(infos),
            Told::Refused(status, details, _) => Err(failure::refusal(what, &status, &details)),
        }
    }

    /// caCerts; without those, what came with the answer.
    pub(super) async fn certificates(&self) -> Result<Vec<Vec<u8>>, Error> {
        let told = self.ask(Info::question(oid::CA_CERTS)).await?;
        let (found, along) = match told {
            Told::Infos(infos, along) => {
                let found = ca_certs(&infos).map_err(|error| failure::of_message(&error))?;
                (found.unwrap_or_default(), along)
            }
            Told::Refused(status, details, along) => {
                if failure::class(&status) != ErrorClass::Rejected || along.is_empty() {
                    return Err(failure::refusal("its certificates", &status, &details));
                }
                (Vec::new(), along)
            }
        };
        Ok(if found.is_empty() { along } else { found })
    }

    /// The update of a root (DER) that the authority has, if it has one and the old root vouches for it. Whether it is then trusted, an
    /// operator decides.
    ///
    /// # Errors
    /// [`ErrorClass::Credential`] for an update that nobody vouches for; others as for every question.
    pub async fn root_update(&self, root_der: &[u8]) -> Result<Option<RootUpdate>, Error> {
        let infos = self
            .infos(root_question(root_der), "the update of its root")
            .await?;
        let of_message = |error: CmpError| failure::of_message(&error);
        let Some(update) = RootUpdate::find(&infos).map_err(of_message)? else {
            return Ok(None);
        };
        update
            .vouched_by(root_der, (self.now)())
            .map_err(of_message)?;
        Ok(Some(update))
    }

    /// What the authority wants requests to look like, if it says.
    ///
    /// # Errors
    /// As for every question.
    pub async fn request_template(&self) -> Result<Option<RequestTemplate>, Error> {
        let question = Info::question(oid::CERT_REQ_TEMPLATE);
        let infos = self.infos(question, "its template").await?;
        RequestTemplate::find(&infos).map_err(|error| failure::of_message(&error))
    }

    /// A question that changes nothing, protected both ways.
    pub(super) async fn health_now(&self) -> Result<Health, Error> {
        let credential_expires = match &self.settings.credential {
            Credential::Signature {
                certificate_der, ..
            } => valid_until(certificate_der).ok(),
            Credential::Secret { .. } => None,
        };
        let health = |allowed, note: String| Health {
            answered: true,
            may_enroll: allowed,
            may_revoke: allowed,
            credential_expires,
            revocation_list: None,
            note,
        };
        Ok(match self.ask(Info::question(oid::CA_CERTS)).await? {
            Told::Infos(..) => health(
                None,
                "it answers, and both sides believe each other; whether this credential may enrol and revoke, CMP cannot ask".to_owned(),
            ),
            Told::Refused(status, details, _) => {
                let words = failure::words(&status, &details);
                match failure::class(&status) {
                    ErrorClass::Unavailable => {
                        return Err(failure::refusal("to work now", &status, &details));
                    }
                    // For a question it may be the question alone that is not allowed.
                    ErrorClass::Credential if !status.failures.contains(&Failure::NotAuthorized) => {
                        health(Some(false), format!("it does not accept this credential: {words}"))
                    }
                    _ => health(
                        None,
                        format!("it answers, and we believe it; it refuses general messages ({words}), which is no obstacle to orders"),
                    ),
                }
            }
        })
    }
}
