//! The Certificate Management Protocol (RFC 9810, profile of RFC 9483) over HTTP (RFC 9811), as a [`CertificationAuthority`].
//!
//! ```text
//!  enroll    p10cr ----> cp accepted ---------------> certConf ----> pkiconf         Issued
//!                    |-> cp waiting --> pollReq ----> pollRep                        Pending
//!                    |-> error transactionIdInUse --> pollReq ----> as poll          it was asked for before
//!  poll      pollReq --> pollRep | cp ...
//!  recover   pollReq --> pollRep | cp ...             Known
//!                    |-> error                        CannotTell
//!  revoke    rr -------> rp accepted | certRevoked    Now | Already
//!  chain, health         genm caCerts --> genp
//! ```
//!
//! The transaction of an order is named after the order, so that after a crash the same transaction is asked about. Every answer is
//! verified before anything of it is believed, refusals too; what cannot be believed after something was asked that issues is
//! [`ErrorClass::Unknown`]. Messages are in [`pki::cmp`].

mod conversation;
mod enrolment;
mod failure;
mod general;
mod http;
mod pending;
mod problem;
mod revocation;
mod settings;

pub use settings::{Confirmation, Credential, ProfileIn, Settings};

use crate::{
    Answer, Capabilities, CertificationAuthority, Enrolment, Error, ErrorClass, Health, Order,
    Pending, Recovered, Revocation, Revoked,
};
use pki::cmp::{Info, Request, Transaction, oid, valid_until};
use reqwest::{Client, Url};
use std::time::SystemTime;

/// A client of one authority.
pub struct Cmp {
    settings: Settings,
    url: Url,
    http: Client,
    now: fn() -> SystemTime,
}

impl Cmp {
    /// A client that speaks over `http`, which follows no redirects and has whatever TLS the caller gave it. Nothing is sent yet.
    ///
    /// # Errors
    /// [`ErrorClass::Credential`] for a certificate that is none, or another key's, or a secret whose use the policy does not permit;
    /// [`ErrorClass::Protocol`] for an address that is none.
    pub fn new(settings: Settings, http: Client) -> Result<Self, Error> {
        Self::with_clock(settings, http, SystemTime::now)
    }

    /// As [`Self::new`], with another clock.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_clock(
        settings: Settings,
        http: Client,
        now: fn() -> SystemTime,
    ) -> Result<Self, Error> {
        let url = address(&settings.url)?;
        let client = Self {
            settings,
            url,
            http,
            now,
        };
        client.check_credential()?;
        Ok(client)
    }

    /// What can be found out about the credential without asking anybody.
    fn check_credential(&self) -> Result<(), Error> {
        let refused = |message: String| Err(Error::new(ErrorClass::Credential, message));
        match &self.settings.credential {
            Credential::Signature {
                certificate_der,
                signer,
                ..
            } => {
                let ours = pki::cmp::is_for_key(certificate_der, signer.spki_der());
                match (ours, valid_until(certificate_der)) {
                    (Ok(true), Ok(_)) => Ok(()),
                    (Ok(false), _) => refused(
                        "the certificate for CMP is another key's than the one that is configured with it".to_owned(),
                    ),
                    (Err(error), _) | (_, Err(error)) => {
                        refused(format!("the certificate for CMP: {error}"))
                    }
                }
            }
            Credential::Secret {
                reference, secret, ..
            } => {
                if reference.is_empty() || secret.is_empty() {
                    return refused(
                        "the shared secret or its reference is empty: both are agreed with the authority".to_owned(),
                    );
                }
                // A message that is not sent: the policy decides about the scheme now and not with the first order.
                let mut transaction =
                    Transaction::new().map_err(|error| failure::of_message(&error))?;
                let question = Request::general(&[Info::question(oid::CA_CERTS)])
                    .map_err(|error| failure::of_message(&error))?;
                let protector = conversation::protector(&self.settings.credential);
                transaction
                    .message(&question, Vec::new(), None, false, (self.now)(), &protector)
                    .map(drop)
                    .map_err(|error| failure::of_message(&error))
            }
        }
    }
}

fn address(url: &str) -> Result<Url, Error> {
    let refused = |problem: &str| {
        Err(Error::new(
            ErrorClass::Protocol,
            format!("the authority's address for CMP {problem}"),
        ))
    };
    let Ok(url) = Url::parse(url) else {
        return refused("is no URL");
    };
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return refused("is neither http:// nor https:// with a host");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return refused("has a user name or password in it, which does not belong there");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return refused("has a query or fragment, which CMP has not");
    }
    Ok(url)
}

impl CertificationAuthority for Cmp {
    fn name(&self) -> &str {
        &self.settings.name
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            revokes: true,
            pends: true,
            recovers: true,
        }
    }

    fn enroll<'a>(&'a self, order: &'a Order) -> Answer<'a, Enrolment> {
        Box::pin(self.enroll_order(order))
    }

    fn poll<'a>(&'a self, order: &'a Order, pending: &'a Pending) -> Answer<'a, Enrolment> {
        Box::pin(self.poll_order(order, pending))
    }

    fn recover<'a>(
        &'a self,
        order: &'a Order,
        pending: Option<&'a Pending>,
    ) -> Answer<'a, Recovered> {
        Box::pin(self.recover_order(order, pending))
    }

    fn revoke<'a>(&'a self, revocation: &'a Revocation) -> Answer<'a, Revoked> {
        Box::pin(self.revoke_certificate(revocation))
    }

    fn chain(&self) -> Answer<'_, Vec<Vec<u8>>> {
        Box::pin(self.certificates())
    }

    fn health(&self) -> Answer<'_, Health> {
        Box::pin(self.health_now())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn an_address_is_plain_http_or_https() {
        for good in [
            "http://127.0.0.1:80/pkix/",
            "https://ca.example/.well-known/cmp",
        ] {
            address(good).unwrap();
        }
        for bad in [
            "ca.example",
            "ftp://ca.example/",
            "https://user@ca.example/",
            "https://:secret@ca.example/",
            "https://ca.example/?a=b",
            "https://ca.example/#a",
        ] {
            let refused = address(bad).unwrap_err();
            assert_eq!(refused.class(), ErrorClass::Protocol, "{bad}");
            assert!(!refused.to_string().contains("secret"));
        }
    }
}
