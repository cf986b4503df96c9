//! What a message says: the bodies that authorities answer with, read; and the kinds of all of them.

use super::certrep::CertRep;
use super::header::{Info, InfoTypeAndValue, texts};
use super::poll::PollRep;
use super::revocation::RevRep;
use super::status::{PkiStatusInfo, StatusInfo};
use super::{CmpError, asn1};
use der::asn1::{AnyRef, IntRef, Utf8StringRef};
use der::{Decode, Sequence, Tagged};

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $tag:literal,)+) => {
        /// The alternatives of PKIBody (RFC 9810, section 5.1.2) that the profile of RFC 9483 has.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Kind {
            $($(#[$doc])* $name = $tag,)+
        }

        impl Kind {
            /// Every kind, in the order of the tags.
            pub const ALL: [Self; [$(Self::$name),+].len()] = [$(Self::$name),+];
        }
    };
}

kinds! {
    /// Initialization request.
    Ir = 0,
    /// Initialization response.
    Ip = 1,
    /// Certification request.
    Cr = 2,
    /// Certification response.
    Cp = 3,
    /// Certification request of PKCS#10.
    P10cr = 4,
    /// Key update request.
    Kur = 7,
    /// Key update response.
    Kup = 8,
    /// Revocation request.
    Rr = 11,
    /// Revocation response.
    Rp = 12,
    /// Confirmation of a confirmation.
    PkiConf = 19,
    /// General message.
    Genm = 21,
    /// General response.
    Genp = 22,
    /// Error message.
    Error = 23,
    /// Certificate confirmation.
    CertConf = 24,
    /// Polling request.
    PollReq = 25,
    /// Polling response.
    PollRep = 26,
}

impl Kind {
    /// Its tag within PKIBody.
    #[must_use]
    pub const fn tag(self) -> u8 {
        self as u8
    }
}

/// A body that is written: `[tag] EXPLICIT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What it is.
    pub kind: Kind,
    pub(super) der: Vec<u8>,
}

impl Request {
    pub(super) fn new(kind: Kind, content: &[u8]) -> Self {
        Self {
            kind,
            der: asn1::element(asn1::constructed(kind.tag()), &[content]),
        }
    }

    /// p10cr: a request of PKCS#10 (DER), which proves the possession of its key itself.
    #[must_use]
    pub fn p10cr(csr_der: &[u8]) -> Self {
        Self::new(Kind::P10cr, csr_der)
    }

    /// genm: what is asked for.
    ///
    /// # Errors
    /// None that has been seen: identifiers encode.
    pub fn general(infos: &[Info]) -> Result<Self, CmpError> {
        let infos = infos
            .iter()
            .map(Info::encode)
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self::new(Kind::Genm, &asn1::sequence_of(&infos)))
    }
}

/// ```text
/// ErrorMsgContent ::= SEQUENCE {
///     pKIStatusInfo  PKIStatusInfo,
///     errorCode      INTEGER      OPTIONAL,
///     errorDetails   PKIFreeText  OPTIONAL
/// }
/// ```
#[derive(Sequence)]
struct ErrorMsgContent<'a> {
    status: PkiStatusInfo<'a>,
    error_code: Option<IntRef<'a>>,
    error_details: Option<Vec<Utf8StringRef<'a>>>,
}

/// What a message says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// ip, cp or kup: certificates, or why there is none.
    CertRep(Kind, CertRep),
    /// rp: what became of a revocation.
    RevRep(RevRep),
    /// pollRep: it takes longer.
    PollRep(Vec<PollRep>),
    /// pkiconf: the confirmation was received.
    PkiConf,
    /// genp: information.
    General(Vec<Info>),
    /// error.
    Error {
        /// What is wrong.
        status: StatusInfo,
        /// More words of the authority's.
        details: Vec<String>,
    },
    /// A request: only authorities read those.
    Request(Kind),
}

impl Body {
    pub(super) fn read(body: AnyRef<'_>) -> Result<Self, CmpError> {
        let tag = body.tag();
        let kind = Kind::ALL
            .into_iter()
            .filter(|_| tag.is_context_specific() && tag.is_constructed())
            .find(|kind| u32::from(kind.tag()) == tag.number().value())
            .ok_or(CmpError::malformed("the kind of the body"))?;
        let content = AnyRef::from_der(body.value()).map_err(CmpError::at("the body"))?;
        Ok(match kind {
            Kind::Ip | Kind::Cp | Kind::Kup => Self::CertRep(kind, CertRep::read(content)?),
            Kind::Rp => Self::RevRep(RevRep::read(content)?),
            Kind::PollRep => Self::PollRep(PollRep::read_all(content)?),
            Kind::PkiConf if content.is_null() => Self::PkiConf,
            Kind::PkiConf => return Err(CmpError::malformed("the confirmation")),
            Kind::Genp => {
                let infos: Vec<InfoTypeAndValue<'_>> = content
                    .decode_as()
                    .map_err(CmpError::at("the general message"))?;
                Self::General(Info::read_all(infos)?)
            }
            Kind::Error => {
                let error: ErrorMsgContent<'_> = content
                    .decode_as()
                    .map_err(CmpError::at("the error message"))?;
                let _ = error.error_code;
                Self::Error {
                    status: StatusInfo::read(error.status)?,
                    details: texts(error.error_details)?,
                }
            }
            Kind::Ir
            | Kind::Cr
            | Kind::P10cr
            | Kind::Kur
            | Kind::Rr
            | Kind::Genm
            | Kind::CertConf
            | Kind::PollReq => Self::Request(kind),
        })
    }
}
