//! Why there is no connection with a peer, as far as it is known on this side.

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
    /// Neither TLS 1.2 nor TLS 1.3; also what the peer's alert `protocol_version` says.
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
    /// The peer's certificate has expired or is not valid yet.
    CertificateNotInForce,
    /// The server's certificate does not name the host that was asked for.
    CertificateWrongName,
    /// The peer's certificate cannot be used for another reason: purpose, signature, encoding, extensions.
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
            | P::SupportedVersionsExtensionRequired => Self::NoCommonVersion,
            P::NoCipherSuitesInCommon => Self::NoCommonCipherSuite,
            P::NoKxGroupsInCommon
            | P::NamedGroupsExtensionRequired
            | P::KeyShareExtensionRequired
            | P::EcPointsExtensionRequired
            | P::NoEcPointFormatsInCommon
            | P::UncompressedEcPointsRequired => Self::NoCommonGroup,
            P::NoSignatureSchemesInCommon
            | P::NoCertificateRequestSignatureSchemesInCommon
            | P::SignatureAlgorithmsExtensionRequired => Self::NoCommonSignature,
            _ => Self::ProtocolViolation,
        }
    }

    fn certificate(problem: &CertificateError) -> Self {
        use CertificateError as C;
        match problem {
            C::UnknownIssuer => Self::CertificateUnknownIssuer,
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

    /// The stable name, for logs, metrics and JSON.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::NoExtendedMasterSecret => "tls_no_extended_master_secret",
            Self::NoCommonVersion => "tls_no_common_version",
            Self::NoCommonCipherSuite => "tls_no_common_cipher_suite",
            Self::NoCommonGroup => "tls_no_common_group",
            Self::NoCommonSignature => "tls_no_common_signature",
            Self::CertificateMissing => "tls_certificate_missing",
            Self::CertificateUnknownIssuer => "tls_certificate_unknown_issuer",
            Self::CertificateNotInForce => "tls_certificate_not_in_force",
            Self::CertificateWrongName => "tls_certificate_wrong_name",
            Self::CertificateUnusable => "tls_certificate_unusable",
            Self::CertificateRefused => "tls_certificate_refused",
            Self::PeerAlert => "tls_peer_alert",
            Self::NotTls => "tls_not_tls",
            Self::ProtocolViolation => "tls_protocol_violation",
            Self::Closed => "tls_closed",
            Self::Timeout => "tls_timeout",
            Self::Ours => "tls_failure_of_ours",
        }
    }

    /// What an operator can do.
    #[must_use]
    pub const fn hint(self) -> &'static str {
        match self {
            Self::NoExtendedMasterSecret => {
                "TLS 1.2 is approved with extended master secret alone (RFC 7627): switch it on at the peer, or use TLS 1.3 there"
            }
            Self::NoCommonVersion => "the peer has to speak TLS 1.2 or TLS 1.3",
            Self::NoCommonCipherSuite => {
                "the peer has to offer AES-GCM: ECDHE with AES-128-GCM or AES-256-GCM for the kind of the server's key in TLS 1.2, TLS_AES_128_GCM_SHA256 or TLS_AES_256_GCM_SHA384 in TLS 1.3"
            }
            Self::NoCommonGroup => {
                "the peer has to offer secp256r1 (P-256), secp384r1 (P-384) or X25519MLKEM768; X25519 alone is not approved"
            }
            Self::NoCommonSignature => {
                "the peer has to support ECDSA with P-256 or P-384, or RSA-PSS with SHA-256 or better, as the certificate needs"
            }
            Self::CertificateMissing => "configure a certificate at the peer",
            Self::CertificateUnknownIssuer => {
                "check which certification authority issued the peer's certificate, that the peer sends its intermediates, and which authorities the configuration names here"
            }
            Self::CertificateNotInForce => {
                "renew the peer's certificate; check the clocks of both machines"
            }
            Self::CertificateWrongName => {
                "address the peer by a name that its certificate has as subject alternative name"
            }
            Self::CertificateUnusable => {
                "check purpose (extended key usage), key size (RSA from 2048 bits) and signature algorithm of the peer's certificate chain"
            }
            Self::CertificateRefused => {
                "check which authorities the peer trusts, and that the certificate configured here is in force and made for this use"
            }
            Self::PeerAlert => {
                "the reason is in the peer's log; most often no cipher suite, group or signature algorithm in common (AES-GCM; P-256, P-384, X25519MLKEM768), or extended master secret missing"
            }
            Self::NotTls => {
                "plain HTTP, or another protocol: check address, port and proxy; the peer has to speak TLS"
            }
            Self::ProtocolViolation => {
                "check what lies between both sides, and the peer's TLS software"
            }
            Self::Closed => {
                "the peer gave up, or what lies between both sides: see the peer's log; a probe of the port alone does so, too"
            }
            Self::Timeout => "check the network, or what connects here without a word",
            Self::Ours => "see the log of this side",
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

impl std::fmt::Display for PeerProblem {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Self::NoExtendedMasterSecret => "the peer has no extended master secret",
            Self::NoCommonVersion => "no TLS version in common",
            Self::NoCommonCipherSuite => "no cipher suite in common",
            Self::NoCommonGroup => "no key exchange group in common",
            Self::NoCommonSignature => "no signature algorithm in common",
            Self::CertificateMissing => "the peer shows no certificate",
            Self::CertificateUnknownIssuer => "the peer's certificate is of an unknown issuer",
            Self::CertificateNotInForce => "the peer's certificate has expired or is not valid yet",
            Self::CertificateWrongName => {
                "the peer's certificate does not name the host that was asked for"
            }
            Self::CertificateUnusable => "the peer's certificate cannot be used",
            Self::CertificateRefused => {
                "the peer does not accept the certificate of this side, or demands one"
            }
            Self::PeerAlert => "the peer ended the handshake with an alert",
            Self::NotTls => "what the peer sent is not TLS",
            Self::ProtocolViolation => "the peer does not keep to the TLS protocol",
            Self::Closed => "the connection ended before the handshake did",
            Self::Timeout => "the handshake took too long",
            Self::Ours => "TLS failed on this side",
        })
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
}
