//! What is asked of an authority, and what it answers.

use crate::Error;
use std::pin::Pin;
use std::time::{Duration, SystemTime};

/// An answer that is waited for. Dropping it gives up; whether the authority acted is then unknown.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;

/// A certification authority: issues, and revokes where it can.
pub trait CertificationAuthority: Send + Sync {
    /// Its name in the configuration.
    fn name(&self) -> &str;

    /// What it can do at all.
    fn capabilities(&self) -> Capabilities;

    /// Asks for a certificate. The same order may be asked for again: an authority that knows orders answers with the same certificate.
    fn enroll<'a>(&'a self, order: &'a Order) -> Answer<'a, Enrolment>;

    /// Asks how a pending order fares.
    fn poll<'a>(&'a self, order: &'a Order, pending: &'a Pending) -> Answer<'a, Enrolment>;

    /// Asks what became of an order whose answer was lost. `pending` is what was known of it last. Where
    /// [`Capabilities::recovers`], it orders nothing, whoever made the request: an authority that took the order before may finish it.
    fn recover<'a>(
        &'a self,
        order: &'a Order,
        pending: Option<&'a Pending>,
    ) -> Answer<'a, Recovered>;

    /// Revokes a certificate; revoking one that is revoked already succeeds. An authority that decides later is an [`Error`] that
    /// [is undecided](Error::is_undecided): the same call asks how it fares.
    fn revoke<'a>(&'a self, revocation: &'a Revocation) -> Answer<'a, Revoked>;

    /// Its certificates (DER), the issuing one first, as it gives them. Whether they are trusted is the configuration's to say.
    fn chain(&self) -> Answer<'_, Vec<Vec<u8>>>;

    /// Whether it is there, and whether the credential may issue and revoke, as far as that can be asked without doing it.
    fn health(&self) -> Answer<'_, Health>;
}

/// What an authority can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// It revokes.
    pub revokes: bool,
    /// Orders may stay pending and are polled for.
    pub pends: bool,
    /// To poll is to ask about a reference, which orders nothing. Where it is not so (EST: the request is sent once more), only who may order
    /// a request may poll for it, and a poll whose answer is lost is an order whose answer is lost.
    pub polls_by_reference: bool,
    /// Lost answers can be asked for again.
    pub recovers: bool,
}

/// An order for one certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Names the order for ever, the same after a restart: 16 to 64 characters of `[0-9A-Za-z-]`, never used for another order.
    pub id: String,
    /// The request (PKCS#10, DER).
    pub csr_der: Vec<u8>,
    /// The authority's profile or template, where it has several.
    pub profile: Option<String>,
}

/// How an order stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Enrolment {
    /// The certificate is there.
    Issued(Issued),
    /// Somebody has to approve it, or it takes its time.
    Pending(Pending),
}

/// A certificate that was issued. It is what the authority answered: whether it is what was asked is checked by whoever asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// The certificate (DER).
    pub certificate_der: Vec<u8>,
    /// Other certificates that came with it (DER), in any order.
    pub others: Vec<Vec<u8>>,
}

/// An order that is not decided yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// What the authority needs to find it again: kept with the order, 4,096 octets at most.
    pub reference: Vec<u8>,
    /// When to ask again.
    pub ask_again_in: Duration,
}

/// What became of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recovered {
    /// It is known. A certificate for another key than the order's request is one that the authority has under the order's name for
    /// somebody else's request; it is neither confirmed nor turned down.
    Known(Enrolment),
    /// The authority never had it, or refused it: it can be asked for.
    NeverAsked,
    /// The authority cannot tell. Asking again may issue a second certificate, which the operator's policy has to allow.
    CannotTell,
}

/// Why a certificate is revoked (RFC 5280, section 5.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RevocationReason {
    /// unspecified (0).
    Unspecified,
    /// keyCompromise (1).
    KeyCompromise,
    /// cACompromise (2).
    CaCompromise,
    /// affiliationChanged (3).
    AffiliationChanged,
    /// superseded (4).
    Superseded,
    /// cessationOfOperation (5).
    CessationOfOperation,
    /// certificateHold (6): can be taken back by [`Self::RemoveFromCrl`].
    CertificateHold,
    /// removeFromCRL (8).
    RemoveFromCrl,
    /// privilegeWithdrawn (9).
    PrivilegeWithdrawn,
    /// aACompromise (10).
    AaCompromise,
}

impl RevocationReason {
    /// Every reason.
    pub const ALL: [Self; 10] = [
        Self::Unspecified,
        Self::KeyCompromise,
        Self::CaCompromise,
        Self::AffiliationChanged,
        Self::Superseded,
        Self::CessationOfOperation,
        Self::CertificateHold,
        Self::RemoveFromCrl,
        Self::PrivilegeWithdrawn,
        Self::AaCompromise,
    ];

    /// Its number in CRLReason.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Unspecified => 0,
            Self::KeyCompromise => 1,
            Self::CaCompromise => 2,
            Self::AffiliationChanged => 3,
            Self::Superseded => 4,
            Self::CessationOfOperation => 5,
            Self::CertificateHold => 6,
            Self::RemoveFromCrl => 8,
            Self::PrivilegeWithdrawn => 9,
            Self::AaCompromise => 10,
        }
    }

    /// Its name there.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::KeyCompromise => "keyCompromise",
            Self::CaCompromise => "cACompromise",
            Self::AffiliationChanged => "affiliationChanged",
            Self::Superseded => "superseded",
            Self::CessationOfOperation => "cessationOfOperation",
            Self::CertificateHold => "certificateHold",
            Self::RemoveFromCrl => "removeFromCRL",
            Self::PrivilegeWithdrawn => "privilegeWithdrawn",
            Self::AaCompromise => "aACompromise",
        }
    }

    /// The reason of a number.
    #[must_use]
    pub fn of_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.code() == code)
    }
}

/// A certificate that has to be revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    /// Names the request, the same for each attempt and never used for another one: an authority that decides later is asked how it fares, and not
    /// once more (RFC 9483, section 4.4). `None` where there is one attempt only.
    pub id: Option<String>,
    /// The issuer's Name (DER), as in the certificate.
    pub issuer_der: Vec<u8>,
    /// The serial number: the content octets of its DER INTEGER.
    pub serial: Vec<u8>,
    /// The certificate (DER), where it is known: some protocols want it.
    pub certificate_der: Option<Vec<u8>>,
    /// Why.
    pub reason: RevocationReason,
}

/// That a certificate is revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revoked {
    /// By this call.
    Now,
    /// It was before.
    Already,
}

/// How an authority fares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// Whether the authority itself answered; `false` where nothing can be asked of it without ordering, and so nothing is known.
    pub answered: bool,
    /// Whether the credential may enrol: `None` where it cannot be asked.
    pub may_enroll: Option<bool>,
    /// Whether the credential may revoke: `None` where it cannot be asked.
    pub may_revoke: Option<bool>,
    /// The end of the validity of the credential, where it has one.
    pub credential_expires: Option<SystemTime>,
    /// The newest revocation list, where it is made here.
    pub revocation_list: Option<ListLife>,
    /// Words for people.
    pub note: String,
}

/// From when until when a revocation list says anything (thisUpdate and nextUpdate, RFC 5280, section 5.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListLife {
    /// When it was made.
    pub this_update: SystemTime,
    /// When the next one has to be there.
    pub next_update: SystemTime,
}
