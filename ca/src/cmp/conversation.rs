//! One transaction with the authority: each message is protected, sent, and its answer believed only when it is the authority's and ours.

use super::problem::Problem;
use super::{Cmp, Credential, ProfileIn, failure, http};
use crate::{Error, ErrorClass};
use pki::cmp::{
    Body, CmpError, Info, Message, Protector, Request, Transaction, Verifier, is_valid_at,
};
use reqwest::Url;
use std::time::{Duration, Instant, SystemTime};

pub(super) struct Conversation<'a> {
    client: &'a Cmp,
    transaction: Transaction,
    url: Url,
    profile: Option<Info>,
    until: Instant,
}

impl<'a> Conversation<'a> {
    /// Begins, or goes on with, a transaction. `profile` is the order's.
    pub(super) fn new(
        client: &'a Cmp,
        transaction: Transaction,
        profile: Option<&str>,
    ) -> Result<Self, Error> {
        let (url, profile) = match (profile, client.settings.profile) {
            (None, _) => (client.url.clone(), None),
            (Some(name), ProfileIn::Header) => (client.url.clone(), Some(Info::cert_profile(name))),
            (Some(name), ProfileIn::Path) => (with_label(&client.url, name)?, None),
        };
        Ok(Self {
            client,
            transaction,
            url,
            profile,
            until: deadline(client.settings.deadline),
        })
    }

    /// The nonce of the authority's last message.
    pub(super) fn last_nonce(&self) -> Option<Vec<u8>> {
        self.transaction.last_nonce().map(<[u8]>::to_vec)
    }

    /// The transaction, as far as it got.
    pub(super) fn transaction(&self) -> Transaction {
        self.transaction.clone()
    }

    /// Goes on as if nothing of the authority's had arrived.
    pub(super) fn forget_nonce(&mut self) {
        self.transaction = self.transaction.clone().after(None);
    }

    /// Says something, and gives out the answer: verified, of this transaction, to this message.
    pub(super) async fn say(&mut self, request: &Request) -> Result<Message, Problem> {
        self.say_with(request, Vec::new(), false).await
    }

    /// As [`Self::say`], with more in the header. `newest`: the body needs version 3.
    pub(super) async fn say_with(
        &mut self,
        request: &Request,
        mut infos: Vec<Info>,
        newest: bool,
    ) -> Result<Message, Problem> {
        infos.extend(self.profile.clone());
        let now = (self.client.now)();
        let credential = self.client.settings.credential.clone();
        let recipient = self.client.settings.recipient_der.clone();
        let mut transaction = self.transaction.clone();
        let request = request.clone();
        // Keys may be behind a token, and codes are slow on purpose: neither holds up other work.
        let (transaction, bytes) = aside(move || {
            let protector = protector(&credential);
            let recipient = recipient.as_deref();
            let bytes = transaction.message(&request, infos, recipient, newest, now, &protector);
            bytes.map(|bytes| (transaction, bytes))
        })
        .await
        .and_then(|made| made.map_err(|error| Problem::before(failure::of_message(&error))))?;
        self.transaction = transaction;

        let answer = http::post(&self.client.http, &self.url, bytes, self.left()?, now).await?;
        let credential = self.client.settings.credential.clone();
        let mut transaction = self.transaction.clone();
        let (transaction, message) = aside(move || {
            let message = believed(&answer, &credential, now)?;
            transaction
                .accept(&message)
                .map_err(|error| failure::of_message(&error))?;
            Ok((transaction, message))
        })
        .await
        .and_then(|read: Result<_, Error>| read.map_err(Problem::after))?;
        self.transaction = transaction;
        Ok(message)
    }

    fn left(&self) -> Result<Duration, Problem> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Problem::before(Error::new(
                ErrorClass::Unavailable,
                "the authority did not answer in time",
            )));
        }
        Ok(left)
    }
}

/// The time in so long; what no clock can tell is a day.
fn deadline(wait: Duration) -> Instant {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let now = Instant::now();
    now.checked_add(wait.min(DAY)).unwrap_or(now)
}

/// On a thread that may block.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work).await.map_err(|_| {
        Problem::protocol("the thread that reads and writes messages ended; restart the program")
    })
}

pub(super) fn protector(credential: &Credential) -> Protector<'_> {
    match credential {
        Credential::Signature {
            certificate_der,
            chain,
            signer,
            ..
        } => Protector::Signature {
            signer: &**signer,
            certificate_der,
            chain,
        },
        Credential::Secret {
            reference,
            secret,
            scheme,
        } => Protector::Secret {
            reference,
            secret,
            scheme: *scheme,
        },
    }
}

/// Reads an answer and verifies its protection.
fn believed(answer: &[u8], credential: &Credential, now: SystemTime) -> Result<Message, Error> {
    let message = Message::read(answer).map_err(|error| failure::of_message(&error))?;
    let verifier = match credential {
        Credential::Signature { trust, .. } => Verifier::Signature { trust, now },
        Credential::Secret { secret, .. } => Verifier::Secret { secret },
    };
    match message.verify(&verifier) {
        Ok(()) => Ok(message),
        Err(error) => Err(disbelieved(&message, &error, credential, now)),
    }
}

/// Why an answer is not believed, with what it claims: often that is how an operator finds out what is wrong with the credential.
fn disbelieved(
    message: &Message,
    error: &CmpError,
    credential: &Credential,
    now: SystemTime,
) -> Error {
    let why = failure::of_message(error);
    let mut text = why.to_string();
    if let Body::Error { status, details } = &message.body {
        text.push_str("; it claims to be a refusal: ");
        text.push_str(&failure::words(status, details));
    }
    if let Credential::Signature {
        certificate_der, ..
    } = credential
        && is_valid_at(certificate_der, now).is_ok_and(|valid| !valid)
    {
        text.push_str("; our own certificate is expired or not yet valid");
    }
    Error::new(why.class(), text)
}

/// The address with the label of a profile (RFC 9811, section 3.4): `/.well-known/cmp/p/<name>`.
fn with_label(url: &Url, name: &str) -> Result<Url, Error> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '~');
    if name.is_empty() || name.len() > 64 || !name.chars().all(plain) || name.starts_with('.') {
        return Err(Error::new(
            ErrorClass::Rejected,
            format!(
                "the profile {name:?} cannot be a part of the authority's path: letters, digits and `-_.~` only, or let the header carry it"
            ),
        ));
    }
    let mut url = url.clone();
    let path = format!("{}/p/{name}", url.path().trim_end_matches('/'));
    url.set_path(&path);
    Ok(url)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_profile_becomes_a_label_of_the_path_or_is_refused() {
        let url = Url::parse("http://ca.example/.well-known/cmp").unwrap();
        let labelled = with_label(&url, "smime-1").unwrap();
        assert_eq!(
            labelled.as_str(),
            "http://ca.example/.well-known/cmp/p/smime-1"
        );
        for name in ["", "a/b", "..", "a b", "ä", "%2e"] {
            let refused = with_label(&url, name).unwrap_err();
            assert_eq!(refused.class(), ErrorClass::Rejected, "{name}");
        }
    }
}
