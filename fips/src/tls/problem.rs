//! Why there is no connection with a peer, as far as it is known on this side.

mod words;

use rustls::{AlertDescription as Alert, CertificateError, InvalidMessage, PeerIncompatible};
use std::error::Error as StdError;
use std::io;

/// Why a handshake failed. [`Self::code`] is stable; text and hint may change.
///
/// What rustls finds out itself is told apart exactly. Where the peer ended the handshake there is only its alert
/// (RFC 8446 section 6.2), most of which do not say why: that is [`Self::PeerAlert`], and no guess.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PeerProblem {
    /// TLS 1.2 without extended master secret (RFC 7627).
    NoExtendedMasterSecret,
    /// Neither TLS 1.2 nor TLS 1.3, or a TLS 1.2 that signs with SHA-1 alone; also what the peer's alert `protocol_version` says.
    NoCommonVersion,
    /// No AES-GCM cipher suite with ephemeral ECDH, or none that fits the server's certificate.
    NoCommonCipherSuite,
    /// None of the approved key exchange groups.
    NoCommonGroup,
    /// No signature algorithm.
    NoCommonSignature,
    /// The peer has to show a certificate, and does not.
    CertificateMissing,
    /// The peer's certificate does not chain to one that is trusted here.
    CertificateUnknownIssuer,
    /// A signature in the peer's certificate chain, or the one that it made in the handshake, does not verify.
    CertificateBadSignature,
    /// The peer's certificate has expired or is not valid yet.
    CertificateNotInForce,
    /// The server's certificate does not name the host that was asked for.
    CertificateWrongName,
    /// The peer's certificate cannot be used for another reason: purpose, algorithm, encoding, extensions.
    CertificateUnusable,
    /// The peer says by an alert that it does not accept our certificate, or that it demands one.
    CertificateRefused,
    /// The peer ended the handshake with an alert that does not say why.
    PeerAlert,
    /// What came is not TLS, such as plain HTTP.
    NotTls,
    /// The peer does not keep to the protocol, or what it sent was changed on its way.
    ProtocolViolation,
    /// The connection ended before the handshake did.
    Closed,
    /// The handshake took too long.
    Timeout,
    /// A failure of this side.
    Ours,
}

impl PeerProblem {
    /// How many there are.
    pub(super) const COUNT: usize = Self::Ours as usize + 1;

    /// All of them.
    pub const ALL: [Self; Self::COUNT] = [
        Self::NoExtendedMasterSecret,
        Self::NoCommonVersion,
        Self::NoCommonCipherSuite,
        Self::NoCommonGroup,
        Self::NoCommonSignature,
        Self::CertificateMissing,
        Self::CertificateUnknownIssuer,
        Self::CertificateBadSignature,
        Self::CertificateNotInForce,
        Self::CertificateWrongName,
        Self::CertificateUnusable,
        Self::CertificateRefused,
        Self::PeerAlert,
        Self::NotTls,
        Self::ProtocolViolation,
        Self::Closed,
        Self::Timeout,
        Self::Ours,
    ];

    /// What rustls says.
    #[must_use]
    pub fn of(error: &rustls::Error) -> Self {
        use rustls::Error as E;
        match error {
            E::PeerIncompatible(problem) => Self::incompatible(problem),
            E::NoCertificatesPresented => Self::CertificateMissing,
            E::InvalidCertificate(problem) => Self::certificate(problem),
            E::AlertReceived(alert) => Self::alert(*alert),
            // The first byte of a record, or the next two, are none of TLS.
            E::InvalidMessage(
                InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion,
            ) => Self::NotTls,
            E::InvalidMessage(_)
            | E::InappropriateMessage { .. }
            | E::InappropriateHandshakeMessage { .. }
            | E::PeerMisbehaved(_)
            | E::DecryptError
            | E::PeerSentOversizedRecord
            | E::NoApplicationProtocol
            | E::InvalidEncryptedClientHello(_) => Self::ProtocolViolation,
            _ => Self::Ours,
        }
    }

    /// What an accepted or made connection says when its handshake fails.
    #[must_use]
    pub fn of_handshake(error: &io::Error) -> Self {
        Self::in_chain(error).unwrap_or(match error.kind() {
            io::ErrorKind::TimedOut => Self::Timeout,
            _ => Self::Closed,
        })
    }

    /// What rustls says somewhere among the causes of an error, such as that of an HTTP client. `None` when rustls says
    /// nothing: the name is not known, nobody listens, the connection broke, the time is over.
    #[must_use]
    pub fn in_chain(error: &(dyn StdError + 'static)) -> Option<Self> {
        let mut cause = Some(error);
        while let Some(inner) = cause {
            if let Some(error) = inner.downcast_ref::<rustls::Error>() {
                return Some(Self::of(error));
            }
            // The source of an input or output error is not what it holds, but what lies behind that.
            cause = match inner.downcast_ref::<io::Error>() {
                Some(error) => error
                    .get_ref()
                    .map(|held| held as &(dyn StdError + 'static)),
                None => inner.source(),
            };
        }
        None
    }

    fn incompatible(problem: &PeerIncompatible) -> Self {
        use PeerIncompatible as P;
        match problem {
            P::ExtendedMasterSecretExtensionRequired => Self::NoExtendedMasterSecret,
            P::Tls12NotOffered
            | P::Tls12NotOfferedOrEnabled
            | P::ServerDoesNotSupportTls12Or13
            | P::ServerTlsVersionIsDisabledByOurConfig
            | P::SupportedVersionsExtensionRequired
            // rustls looks for this extension before it looks at the version, and clients of TLS 1.1 and before have none
            // (RFC 5246 section 7.4.1.4.1). One of TLS 1.2 without it would mean SHA-1, which is as good as no TLS 1.2.
            | P::SignatureAlgorithmsExtensionRequired => Self::NoCommonVersion,
            P::NoCipherSuitesInCommon => Self::NoCommonCipherSuite,
            P::NoKxGroupsInCommon
            | P::NamedGroupsExtensionRequired
            | P::KeyShareExtensionRequired
            | P::EcPointsExtensionRequired
            | P::NoEcPointFormatsInCommon
            | P::UncompressedEcPointsRequired => Self::NoCommonGroup,
            P::NoSignatureSchemesInCommon
            | P::NoCertificateRequestSignatureSchemesInCommon => Self::NoCommonSignature,
            _ => Self::ProtocolViolation,
        }
    }

    fn certificate(problem: &CertificateError) -> Self {
        use CertificateError as C;
        match problem {
            C::UnknownIssuer => Self::CertificateUnknownIssuer,
            C::BadSignature => Self::CertificateBadSignature,
            C::Expired
            | C::ExpiredContext { .. }
            | C::NotValidYet
            | C::NotValidYetContext { .. } => Self::CertificateNotInForce,
            C::NotValidForName | C::NotValidForNameContext { .. } => Self::CertificateWrongName,
            _ => Self::CertificateUnusable,
        }
    }

    fn alert(alert: Alert) -> Self {
        match alert {
            Alert::ProtocolVersion => Self::NoCommonVersion,
            Alert::NoCertificate
            | Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::AccessDenied
            | Alert::CertificateRequired => Self::CertificateRefused,
            _ => Self::PeerAlert,
        }
    }

    /// Whether somebody has to act before it can work, so that trying again does not help.
    #[must_use]
    pub const fn is_refusal(self) -> bool {
        match self {
            Self::NoExtendedMasterSecret
            | Self::NoCommonVersion
            | Self::NoCommonCipherSuite
            | Self::NoCommonGroup
            | Self::NoCommonSignature
            | Self::CertificateMissing
            | Self::CertificateUnknownIssuer
            | Self::CertificateBadSignature
            | Self::CertificateNotInForce
            | Self::CertificateWrongName
            | Self::CertificateUnusable
            | Self::CertificateRefused
            | Self::PeerAlert => true,
            Self::NotTls | Self::ProtocolViolation | Self::Closed | Self::Timeout | Self::Ours => {
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]

    use super::*;
    use std::collections::HashSet;

    #[test]
    fn the_list_is_complete_and_every_problem_has_a_code_of_its_own() {
        for (place, problem) in PeerProblem::ALL.into_iter().enumerate() {
            assert_eq!(problem as usize, place);
            assert!(problem.code().starts_with("tls_"));
        }
        let codes: HashSet<_> = PeerProblem::ALL.map(PeerProblem::code).into();
        let texts: HashSet<_> = PeerProblem::ALL.map(|problem| problem.to_string()).into();
        let hints: HashSet<_> = PeerProblem::ALL.map(PeerProblem::hint).into();
        assert_eq!(
            [codes.len(), texts.len(), hints.len()],
            [PeerProblem::COUNT; 3]
        );
    }

    #[test]
    fn what_rustls_says_is_found_below_errors_of_input_and_output() {
        let inner = rustls::Error::PeerIncompatible(PeerIncompatible::NoKxGroupsInCommon);
        let outer = io::Error::other(io::Error::new(io::ErrorKind::InvalidData, inner));
        assert_eq!(
            PeerProblem::in_chain(&outer),
            Some(PeerProblem::NoCommonGroup)
        );
        let broken = io::Error::from(io::ErrorKind::ConnectionReset);
        assert_eq!(PeerProblem::in_chain(&broken), None);
        assert_eq!(PeerProblem::of_handshake(&broken), PeerProblem::Closed);
    }

    #[test]
    fn an_alert_tells_no_more_than_it_says() {
        let of = |alert| PeerProblem::of(&rustls::Error::AlertReceived(alert));
        assert_eq!(of(Alert::HandshakeFailure), PeerProblem::PeerAlert);
        assert_eq!(of(Alert::InsufficientSecurity), PeerProblem::PeerAlert);
        assert_eq!(of(Alert::ProtocolVersion), PeerProblem::NoCommonVersion);
        assert_eq!(of(Alert::UnknownCA), PeerProblem::CertificateRefused);
    }

    #[test]
    fn certificates_are_told_apart_by_what_has_to_be_done() {
        use CertificateError as C;
        let of = |problem| PeerProblem::of(&rustls::Error::InvalidCertificate(problem));
        assert_eq!(of(C::Expired), PeerProblem::CertificateNotInForce);
        assert_eq!(of(C::NotValidYet), PeerProblem::CertificateNotInForce);
        let unknown = PeerProblem::CertificateUnknownIssuer;
        assert_eq!(of(C::UnknownIssuer), unknown);
        let name = PeerProblem::CertificateWrongName;
        assert_eq!(of(C::NotValidForName), name);
        assert_eq!(of(C::BadSignature), PeerProblem::CertificateBadSignature);
        assert_eq!(of(C::BadEncoding), PeerProblem::CertificateUnusable);
        let missing = PeerProblem::of(&rustls::Error::NoCertificatesPresented);
        assert_eq!(missing, PeerProblem::CertificateMissing);
    }
}
