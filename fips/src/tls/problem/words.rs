//! What is said of each problem: to machines, to operators, and what they can do.

use super::PeerProblem;
use std::fmt;

impl PeerProblem {
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
            Self::CertificateBadSignature => "tls_certificate_bad_signature",
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
            Self::NoCommonVersion => {
                "the peer has to speak TLS 1.2 with SHA-2 signatures, or TLS 1.3"
            }
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
            Self::CertificateBadSignature => {
                "an authority of this name is trusted here, but its key is another one: check whether it was renewed; or the peer uses a private key that does not belong to its certificate"
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
}

impl fmt::Display for PeerProblem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::NoExtendedMasterSecret => "the peer has no extended master secret",
            Self::NoCommonVersion => "no TLS version in common",
            Self::NoCommonCipherSuite => "no cipher suite in common",
            Self::NoCommonGroup => "no key exchange group in common",
            Self::NoCommonSignature => "no signature algorithm in common",
            Self::CertificateMissing => "the peer shows no certificate",
            Self::CertificateUnknownIssuer => "the peer's certificate is of an unknown issuer",
            Self::CertificateBadSignature => {
                "a signature in the peer's certificate, or made with it, does not verify"
            }
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
