//! Orders: asked for, polled for, recovered, confirmed.

use super::conversation::Conversation;
use super::pending::Reference;
use super::problem::Problem;
use super::{Cmp, Confirmation, failure};
use crate::certificate::key_of_request;
use crate::{Enrolment, Error, ErrorClass, Issued, Order, Pending, Recovered};
use pki::Signer;
use pki::cmp::{
    Body, CERT_REQ_ID, CertRep, CertificateRequest, Failure, Info, Kind, Message, PkiStatus,
    Request, RequestKind, StatusInfo, Transaction, confirm, is_for_key, poll, request,
};

/// certReqId of what has none: a request of PKCS#10 (RFC 9810, section 5.3.4), or a whole transaction (RFC 9483, section 4.4).
pub(super) const NO_CERT_REQ_ID: i32 = -1;
/// How often a confirmation is sent when no answer comes.
const CONFIRMATIONS: usize = 3;

/// What an answer has to be.
struct Wanted {
    /// The kind of answer to such a request.
    kind: Kind,
    /// The numbers that the request may have. Authorities that are older than RFC 9480 call a request of PKCS#10 0.
    ids: &'static [i32],
    /// The public key (DER SubjectPublicKeyInfo).
    key: Vec<u8>,
}

impl Wanted {
    fn of_order(order: &Order) -> Result<Self, Error> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let rejected = |message: String| Error::new(ErrorClass::Rejected, message);
        if !(16..=64).contains(&order.id.len()) || !order.id.chars().all(plain) {
            return Err(rejected(
                "the order's name is not 16 to 64 letters, digits and hyphens".to_owned(),
            ));
        }
        Ok(Self {
            kind: Kind::Cp,
            ids: &[NO_CERT_REQ_ID, CERT_REQ_ID],
            key: key_of_request(&order.csr_der)
                .map_err(|_| rejected("the order's request is no PKCS#10 in DER".to_owned()))?
                .to_vec(),
        })
    }
}

impl Cmp {
    fn conversation(
        &self,
        order: &Order,
        pending: Option<&Reference>,
    ) -> Result<Conversation<'_>, Error> {
        let nonce = pending.and_then(|pending| pending.nonce.clone());
        let transaction = Transaction::of_order(&self.settings.name, &order.id).after(nonce);
        Conversation::new(self, transaction, order.profile.as_deref())
    }

    pub(super) async fn enroll_order(&self, order: &Order) -> Result<Enrolment, Error> {
        let wanted = Wanted::of_order(order)?;
        let conversation = self.conversation(order, None)?;
        let request = Request::p10cr(&order.csr_der);
        let result = Enrolling {
            conversation,
            wanted,
            begun: true,
        }
        .begin(&request, self.confirmation_infos())
        .await;
        result.map_err(Problem::of_deed)
    }

    /// Asks for a certificate for a key that signs here: ir, cr or kur. The order's name makes the transaction, as for
    /// [`crate::CertificationAuthority::enroll`]; an update is signed with the credential of the settings, which is then the certificate
    /// that is replaced (RFC 9483, section 4.1.3).
    ///
    /// # Errors
    /// As [`crate::CertificationAuthority::enroll`].
    pub async fn request(
        &self,
        order_id: &str,
        profile: Option<&str>,
        kind: RequestKind,
        asked: &CertificateRequest,
        key: &dyn Signer,
    ) -> Result<Enrolment, Error> {
        let body = request(kind, asked, key).map_err(|error| failure::of_message(&error))?;
        let wanted = Wanted {
            kind: match kind {
                RequestKind::Initial => Kind::Ip,
                RequestKind::Further => Kind::Cp,
                RequestKind::Update => Kind::Kup,
            },
            ids: &[CERT_REQ_ID],
            key: key.spki_der().to_vec(),
        };
        let transaction = Transaction::of_order(&self.settings.name, order_id);
        let enrolling = Enrolling {
            conversation: Conversation::new(self, transaction, profile)?,
            wanted,
            begun: true,
        };
        let result = enrolling.begin(&body, self.confirmation_infos()).await;
        result.map_err(Problem::of_deed)
    }

    pub(super) async fn poll_order(
        &self,
        order: &Order,
        pending: &Pending,
    ) -> Result<Enrolment, Error> {
        let wanted = Wanted::of_order(order)?;
        let reference = Reference::read(pending).ok_or(Error::new(
            ErrorClass::Protocol,
            "what was kept of the pending order was not written by this program",
        ))?;
        let enrolling = Enrolling {
            conversation: self.conversation(order, Some(&reference))?,
            wanted,
            begun: false,
        };
        let result = enrolling.ask(reference.request).await;
        // Polling delivers, so a lost answer may have been the certificate: the authority is asked with `recover` then.
        result.map_err(Problem::of_deed)
    }

    pub(super) async fn recover_order(
        &self,
        order: &Order,
        pending: Option<&Pending>,
    ) -> Result<Recovered, Error> {
        let wanted = Wanted::of_order(order)?;
        let reference = pending.and_then(Reference::read);
        let request = reference
            .as_ref()
            .map_or(NO_CERT_REQ_ID, |reference| reference.request);
        let asked = poll(request).map_err(|error| failure::of_message(&error))?;
        let mut conversation = self.conversation(order, reference.as_ref())?;
        let said = conversation.say(&asked).await;
        let mut answer = said.map_err(Problem::of_question)?;
        // The authority said something since, which did not arrive: its nonce is another one by now.
        if let Body::Error { status, .. } = &answer.body
            && status.failures.contains(&Failure::BadRecipientNonce)
            && reference.is_some_and(|reference| reference.nonce.is_some())
        {
            conversation.forget_nonce();
            let said = conversation.say(&asked).await;
            answer = said.map_err(Problem::of_question)?;
        }
        if let Body::Error { status, .. } = &answer.body
            && status.status != PkiStatus::Waiting
        {
            return match failure::class(status) {
                // The authority's own trouble, or ours with it, says nothing about the order.
                ErrorClass::Unavailable | ErrorClass::Credential => Err(failure::refusal(
                    "to say what became of an order",
                    status,
                    &[],
                )),
                // It knows no such transaction, any more or yet: a certificate may have been issued and its answer lost.
                _ => Ok(Recovered::CannotTell),
            };
        }
        let enrolling = Enrolling {
            conversation,
            wanted,
            begun: false,
        };
        let result = enrolling.settle(answer, request).await;
        result.map(Recovered::Known).map_err(Problem::of_deed)
    }

    fn confirmation_infos(&self) -> Vec<Info> {
        match self.settings.confirmation {
            Confirmation::Explicit => Vec::new(),
            Confirmation::ImplicitIfGranted => vec![Info::implicit_confirm()],
        }
    }
}

struct Enrolling<'a> {
    conversation: Conversation<'a>,
    wanted: Wanted,
    /// Whether the transaction was begun by this call: only then is a certificate for another key certainly nobody's, and turned down. Found
    /// in a transaction that was there before, it may be somebody's whose order has the same name.
    begun: bool,
}

impl Enrolling<'_> {
    /// Asks for the certificate.
    async fn begin(mut self, request: &Request, infos: Vec<Info>) -> Result<Enrolment, Problem> {
        let answer = self.conversation.say_with(request, infos, false).await?;
        let id = self.wanted.ids.first().copied().unwrap_or(CERT_REQ_ID);
        match &answer.body {
            // The order was asked for before: its transaction is there, and is asked about instead.
            Body::Error { status, .. }
                if status.failures.contains(&Failure::TransactionIdInUse) =>
            {
                let refused = failure::refusal("the order", status, &[]);
                self.begun = false;
                match self.ask(id).await {
                    Ok(enrolment) => Ok(enrolment),
                    Err(_) => Err(Problem::after(refused)),
                }
            }
            // Only now does it say when to ask again.
            Body::CertRep(_, rep) if rep.responses.iter().any(is_waiting) => {
                let id = rep.responses.first().map_or(id, |first| first.request);
                let pending = self.pending(id, None);
                match self.ask(id).await {
                    // It is known to be pending: that no answer came changes nothing.
                    Err(problem) if problem.is_lost() => Ok(pending),
                    other => other,
                }
            }
            Body::Error { status, .. } if status.status == PkiStatus::Waiting => {
                let pending = self.pending(NO_CERT_REQ_ID, None);
                match self.ask(NO_CERT_REQ_ID).await {
                    Err(problem) if problem.is_lost() => Ok(pending),
                    other => other,
                }
            }
            _ => self.settle(answer, id).await,
        }
    }

    /// Asks how a request fares.
    async fn ask(mut self, request: i32) -> Result<Enrolment, Problem> {
        let asked = poll(request).map_err(|error| Problem::before(failure::of_message(&error)))?;
        let answer = self.conversation.say(&asked).await?;
        self.settle(answer, request).await
    }

    fn pending(&self, request: i32, after: Option<std::time::Duration>) -> Enrolment {
        let reference = Reference {
            request,
            nonce: self.conversation.last_nonce(),
        };
        Enrolment::Pending(reference.pending(after))
    }

    /// What an answer means.
    async fn settle(mut self, answer: Message, request: i32) -> Result<Enrolment, Problem> {
        let implicit = answer.header.confirms_implicitly();
        match answer.body {
            Body::CertRep(kind, rep) if kind == self.wanted.kind => {
                let (id, status, certificate) = self.only_response(&rep)?;
                match status.status {
                    PkiStatus::Accepted | PkiStatus::GrantedWithMods => {
                        let certificate = certificate.ok_or(Problem::protocol(
                            "the authority says that it issued, and gives no certificate",
                        ))?;
                        self.take(&certificate, id, implicit).await?;
                        let others = others(&certificate, &answer.extra_certs, &rep.ca_pubs);
                        Ok(Enrolment::Issued(Issued {
                            certificate_der: certificate,
                            others,
                        }))
                    }
                    PkiStatus::Waiting => Ok(self.pending(id, None)),
                    PkiStatus::Rejection => {
                        Err(Problem::before(failure::refusal("the order", &status, &[])))
                    }
                    _ => Err(Problem::protocol(
                        "the authority answers the order with a status that is none of orders",
                    )),
                }
            }
            Body::PollRep(items) => {
                let item = items.iter().find(|item| {
                    item.request == request || self.wanted.ids.contains(&item.request)
                });
                let item = item.ok_or(Problem::protocol(
                    "the authority answers about another request than the one that was asked about",
                ))?;
                Ok(self.pending(item.request, Some(item.check_after)))
            }
            Body::Error { status, .. } if status.status == PkiStatus::Waiting => {
                Ok(self.pending(request, None))
            }
            Body::Error { status, details } => Err(Problem::before(failure::refusal(
                "the order",
                &status,
                &details,
            ))),
            _ => Err(Problem::protocol(
                "the authority answers an order with another kind of message",
            )),
        }
    }

    /// The one response, if it is about the one request.
    fn only_response(&self, rep: &CertRep) -> Result<(i32, StatusInfo, Option<Vec<u8>>), Problem> {
        match rep.responses.as_slice() {
            [response] if self.wanted.ids.contains(&response.request) => Ok((
                response.request,
                response.status.clone(),
                response.certificate.clone(),
            )),
            _ => Err(Problem::protocol(
                "the authority does not answer the one request that was asked",
            )),
        }
    }

    /// Confirms a certificate that is for the right key, and turns down one that is not, where that is this order's.
    async fn take(&mut self, certificate: &[u8], id: i32, implicit: bool) -> Result<(), Problem> {
        // Past this, the authority has issued, and says so itself: no failure means that it might not have.
        let fits = is_for_key(certificate, &self.wanted.key)
            .map_err(|error| Problem::before(failure::of_message(&error)))?;
        if fits {
            return match implicit {
                true => Ok(()),
                false => self.confirm(certificate, id, None).await,
            };
        }
        if !self.begun {
            return Ok(());
        }
        let refused = StatusInfo::rejection(
            Failure::IncorrectData,
            "the certificate is not for the key that was asked for",
        );
        let told = match implicit {
            true => {
                "it was told beforehand that nobody confirms, so somebody has to revoke it there"
            }
            false => match self.confirm(certificate, id, Some(&refused)).await {
                Ok(()) => "the authority was told and has to revoke it",
                Err(_) => "the authority could not be told, so somebody has to revoke it there",
            },
        };
        Err(Problem::before(Error::new(
            ErrorClass::Misissued,
            format!("the authority issued a certificate for another key than the order's; {told}"),
        )))
    }

    /// certConf, until an answer comes.
    async fn confirm(
        &mut self,
        certificate: &[u8],
        id: i32,
        refused: Option<&StatusInfo>,
    ) -> Result<(), Problem> {
        let confirmation = confirm(certificate, id, refused)
            .map_err(|error| Problem::after(failure::of_message(&error)))?;
        let mut tries = 1;
        let answer = loop {
            let said = self
                .conversation
                .say_with(&confirmation.request, Vec::new(), confirmation.names_hash)
                .await;
            match said {
                Err(problem) if problem.is_lost() && tries < CONFIRMATIONS => tries += 1,
                // Issued, and perhaps not confirmed: what it is worth, the authority decides.
                Err(problem) => return Err(Problem::after(problem.of_question())),
                Ok(answer) => break answer,
            }
        };
        match answer.body {
            Body::PkiConf => Ok(()),
            // Our first one arrived, and its answer did not.
            Body::Error { status, .. } if status.failures.contains(&Failure::CertConfirmed) => {
                Ok(())
            }
            Body::Error { status, details } => Err(Problem::after(failure::refusal(
                "the confirmation of a certificate",
                &status,
                &details,
            ))),
            _ => Err(Problem::protocol(
                "the authority answers a confirmation with another kind of message",
            )),
        }
    }
}

fn is_waiting(response: &pki::cmp::Response) -> bool {
    response.status.status == PkiStatus::Waiting
}

/// What came along, each once and without the certificate itself. None of it is trusted for having come.
fn others(certificate: &[u8], extra: &[Vec<u8>], ca_pubs: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut others: Vec<Vec<u8>> = Vec::new();
    for one in extra.iter().chain(ca_pubs) {
        if one != certificate && !others.contains(one) {
            others.push(one.clone());
        }
    }
    others
}
