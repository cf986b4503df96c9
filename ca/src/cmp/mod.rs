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
//!                    |-> rp, error waiting ---------> pollReq in the same transaction, also by the next attempt
//!  chain, health         genm caCerts --> genp
//! ```
//!
//! The transaction of an order is named after the order, so that after a crash the same transaction is asked about. Every answer is
//! verified before anything of it is believed, refusals too; what cannot be believed after something was asked that issues is
//! [`ErrorClass::Unknown`](crate::ErrorClass::Unknown). Messages are in [`pki::cmp`].

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

use crate::settings::plain_address;
use crate::{
    Answer, Capabilities, CertificationAuthority, Enrolment, Health, Order, Pending, Recovered,
    Revocation, Revoked, SettingsError,
};
use reqwest::{Client, Url};
use std::time::SystemTime;

/// A client of one authority.
pub struct Cmp {
    settings: Settings,
    url: Url,
    http: Client,
    now: fn() -> SystemTime,
    undecided: revocation::Undecided,
}

impl Cmp {
    /// A client that speaks over `http`, which follows no redirects and has whatever TLS the caller gave it. Nothing is sent yet.
    ///
    /// # Errors
    /// [`SettingsError`] naming the setting: an address that is none, a certificate that is none or another key's, a secret whose use the
    /// policy does not permit.
    pub fn new(settings: Settings, http: Client) -> Result<Self, SettingsError> {
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
    ) -> Result<Self, SettingsError> {
        let url = plain_address("url", &settings.url)?;
        if settings.deadline.is_zero() {
            return Err(SettingsError::new("deadline", "a call needs some time"));
        }
        settings.credential.check(now())?;
        Ok(Self {
            settings,
            url,
            http,
            now,
            undecided: revocation::Undecided::default(),
        })
    }
}

impl CertificationAuthority for Cmp {
    fn name(&self) -> &str {
        &self.settings.name
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            revokes: true,
            pends: true,
            polls_by_reference: true,
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
