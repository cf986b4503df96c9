//! A CMP authority with a memory, made from RFC 9810 and RFC 9483: it answers a transaction again as it answered it before, and for each that
//! it was asked there is one certificate, by `openssl ca`. Between it and the connector is what the test says: nothing, or a bad network.

use super::authority::{self, Lies, MINUS_ONE, Reply, Server, Speaker, http, sequence, status};
use super::company::{Company, Twist};
use super::needles::field;
use super::openssl::text;
use super::world::World;
use pki::cmp::{Body, Kind, Message};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// PKIStatus (RFC 9810 section 5.2.3).
const ACCEPTED: u8 = 0;
const REJECTION: u8 = 2;
const WAITING: u8 = 3;
/// Bits of PKIFailureInfo.
const BAD_REQUEST: u8 = 2;
const BAD_CERT_ID: u8 = 4;
const CERT_REVOKED: u8 = 10;
const UNACCEPTED_POLICY: u8 = 15;
const TRANSACTION_IN_USE: u8 = 21;

/// What happens to one message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Fault {
    #[default]
    None,
    /// The authority has done it, and the answer takes its time.
    Late(Duration),
    /// 503, and the authority knows nothing of it.
    Busy,
    /// Another status, as of a server whose authority is not there; it knows nothing of it.
    Status(u16),
    /// The authority says no, whatever it was that it said before.
    TurnedDown,
    /// The connection ends before the authority has the message.
    Cut,
    /// The authority has done it, and the answer is lost.
    Lost,
}

/// What happens to one message, and to the order that it begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) fault: Fault,
    /// How often it is asked for until it is issued.
    pub(crate) polls: usize,
    pub(crate) twist: Twist,
}

struct Transaction {
    polls: usize,
    certificate: Vec<u8>,
    /// Whether this authority did not issue it.
    foreign: bool,
    /// What certConf said: taken, or turned down.
    confirmed: Option<bool>,
}

#[derive(Default)]
struct Book {
    transactions: HashMap<Vec<u8>, Transaction>,
    revoked: Vec<Vec<u8>>,
    /// The serial number of each rr that arrived, whatever became of it.
    rr: Vec<Vec<u8>>,
    /// The same of those that the authority answered, heard or not.
    rr_answered: Vec<Vec<u8>>,
}

/// The authority.
pub(crate) struct Partner {
    server: Server,
    book: Arc<Mutex<Book>>,
    company: Arc<Company>,
    settings: String,
}

impl Partner {
    /// One whose messages fare as `plan` says, of the n-th (from 0) and its kind.
    pub(crate) fn start(
        world: &World<'_>,
        plan: impl Fn(usize, Kind) -> Plan + Send + Sync + 'static,
    ) -> Self {
        let (book, company) = (
            Arc::<Mutex<Book>>::default(),
            Arc::new(Company::of(&world.root)),
        );
        let speaker = Speaker::of(&world.speaker);
        let (kept, issuing) = (Arc::clone(&book), Arc::clone(&company));
        let server = Server::threads(move |number, request| {
            let message = Message::read(request).unwrap();
            let Body::Request(kind) = message.body else {
                panic!("no request")
            };
            let plan = plan(number, kind);
            if kind == Kind::Rr {
                let serial = serial_of(content_of(request));
                kept.lock().unwrap().rr.push(serial);
            }
            match plan.fault {
                Fault::Busy => {
                    return Reply::Raw(http("503 Service Unavailable", "text/plain", b"busy"));
                }
                Fault::Status(status) => {
                    return Reply::Raw(http(&format!("{status} no"), "text/plain", b""));
                }
                Fault::TurnedDown => {
                    let body =
                        authority::cp(MINUS_ONE, &status(REJECTION, Some(UNACCEPTED_POLICY)), None);
                    return Reply::Message(speaker.answer(request, &body, &Lies::default()));
                }
                Fault::Cut => return Reply::Close,
                Fault::None | Fault::Late(_) | Fault::Lost => {}
            }
            let transaction = message.header.transaction_id.unwrap();
            let body = decide(
                &mut kept.lock().unwrap(),
                &issuing,
                (kind, content_of(request)),
                transaction,
                plan,
            );
            match plan.fault {
                Fault::Lost => return Reply::Close,
                Fault::Late(time) => std::thread::sleep(time),
                _ => {}
            }
            Reply::Message(speaker.answer(request, &body, &Lies::default()))
        });
        let settings = settings(world, &server.url);
        Self {
            server,
            book,
            company,
            settings,
        }
    }

    /// `[[connector.ca]]` without its name; further keys may follow.
    pub(crate) fn settings(&self) -> &str {
        &self.settings
    }

    pub(crate) fn url(&self) -> &str {
        &self.server.url
    }

    /// A certificate (DER) that it issues without being asked by a message.
    pub(crate) fn issue(&self, csr: &[u8]) -> Vec<u8> {
        let certificate = self.company.issue(csr, Twist::Honest);
        let order = Transaction {
            polls: 0,
            certificate: certificate.clone(),
            foreign: false,
            confirmed: Some(true),
        };
        let mut book = self.book.lock().unwrap();
        book.transactions.insert(certificate.clone(), order);
        certificate
    }

    pub(crate) fn messages(&self) -> usize {
        self.server.requests()
    }

    pub(crate) fn issued(&self) -> usize {
        self.company.issued()
    }

    /// How many certificates were taken, and how many turned down, by confirmations.
    pub(crate) fn confirmed(&self) -> (usize, usize) {
        let book = self.book.lock().unwrap();
        let said = |what| {
            let all = book.transactions.values();
            all.filter(|one| one.confirmed == Some(what)).count()
        };
        (said(true), said(false))
    }

    /// What waits is decided: it is issued to whoever polls.
    pub(crate) fn decide(&self) {
        let mut book = self.book.lock().unwrap();
        book.transactions.values_mut().for_each(|one| one.polls = 0);
    }

    /// How many certificates were revoked by request.
    pub(crate) fn revoked(&self) -> usize {
        self.book.lock().unwrap().revoked.len()
    }

    /// Whether the certificate of this serial number is revoked.
    pub(crate) fn is_revoked(&self, serial: &[u8]) -> bool {
        let book = self.book.lock().unwrap();
        book.revoked.iter().any(|known| known == serial)
    }

    /// How many rr for a serial number arrived, and how many of them it answered, heard or not.
    pub(crate) fn asked_to_revoke(&self, serial: &[u8]) -> (usize, usize) {
        let book = self.book.lock().unwrap();
        let count = |all: &[Vec<u8>]| all.iter().filter(|known| *known == serial).count();
        (count(&book.rr), count(&book.rr_answered))
    }
}

/// `[[connector.ca]]` of an authority by CMP with signatures, without its name.
pub(crate) fn settings(world: &World<'_>, url: &str) -> String {
    format!(
        "kind = \"cmp\"\nurl = {url:?}\nroots = {:?}\ncertificate = {:?}\nprivate_key = {:?}\npause_ms = 50\nlongest_pause_ms = 500\n",
        text(&world.root.certificate),
        text(&world.connector.certificate),
        text(&world.connector.key),
    )
}

/// The content of a message's body: what is behind the header, without its tag.
pub(crate) fn content_of(message: &[u8]) -> &[u8] {
    let ((_, content), _) = field(message);
    let (_, after_header) = field(content);
    let ((_, body), _) = field(after_header);
    body
}

/// The serial number in a revocation request.
pub(crate) fn serial_of(rr: &[u8]) -> Vec<u8> {
    // RevReqContent, RevDetails, CertTemplate, and of its fields [1].
    let mut rest = rr;
    for _ in 0..3 {
        rest = field(rest).0.1;
    }
    while !rest.is_empty() {
        let ((tag, content), after) = field(rest);
        if tag == 0x81 {
            return content.to_vec();
        }
        rest = after;
    }
    panic!("a revocation request without a serial number")
}

/// The serial number of a certificate.
pub(crate) fn serial_of_certificate(certificate: &[u8]) -> Vec<u8> {
    let ((_, whole), _) = field(certificate);
    let ((_, tbs), _) = field(whole);
    let (_, after_version) = field(tbs);
    field(after_version).0.1.to_vec()
}

/// The body of the answer.
fn decide(
    book: &mut Book,
    company: &Company,
    (kind, content): (Kind, &[u8]),
    transaction: Vec<u8>,
    plan: Plan,
) -> Vec<u8> {
    let refused = |bit| authority::error(&status(REJECTION, Some(bit)));
    let issued =
        |certificate: &[u8]| authority::cp(MINUS_ONE, &status(ACCEPTED, None), Some(certificate));
    match kind {
        Kind::P10cr if book.transactions.contains_key(&transaction) => refused(TRANSACTION_IN_USE),
        Kind::P10cr => {
            let order = Transaction {
                polls: plan.polls,
                certificate: company.issue(content, plan.twist),
                foreign: plan.twist == Twist::WrongChain,
                confirmed: None,
            };
            let answer = match order.polls {
                0 => issued(&order.certificate),
                _ => authority::cp(MINUS_ONE, &status(WAITING, None), None),
            };
            book.transactions.insert(transaction, order);
            answer
        }
        Kind::PollReq => match book.transactions.get_mut(&transaction) {
            None
            | Some(Transaction {
                confirmed: Some(false),
                ..
            }) => refused(BAD_REQUEST),
            Some(order) if order.polls > 0 => {
                order.polls -= 1;
                authority::poll_rep(MINUS_ONE, 1)
            }
            Some(order) => issued(&order.certificate),
        },
        Kind::CertConf => match book.transactions.get_mut(&transaction) {
            None => refused(BAD_REQUEST),
            Some(order) => {
                // CertStatus: certHash, certReqId, and statusInfo where it is not simply taken.
                let certificate_status = field(field(content).0.1).0.1;
                let turned_down = children(certificate_status)
                    .any(|(tag, info)| tag == 0x30 && field(info).0.1 == [REJECTION]);
                order.confirmed = Some(!turned_down);
                authority::pki_conf()
            }
        },
        Kind::Rr => {
            let serial = serial_of(content);
            book.rr_answered.push(serial.clone());
            let own = book
                .transactions
                .values()
                .any(|order| !order.foreign && serial_of_certificate(&order.certificate) == serial);
            if !own {
                return refused(BAD_CERT_ID);
            }
            if book.revoked.contains(&serial) {
                return refused(CERT_REVOKED);
            }
            book.revoked.push(serial);
            let accepted = sequence(&[&status(ACCEPTED, None)]);
            authority::body(Kind::Rp, &sequence(&[&accepted]))
        }
        _ => refused(BAD_REQUEST),
    }
}

/// The elements in a content.
fn children(content: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut rest = content;
    std::iter::from_fn(move || {
        (!rest.is_empty()).then(|| {
            let (element, after) = field(rest);
            rest = after;
            element
        })
    })
}
