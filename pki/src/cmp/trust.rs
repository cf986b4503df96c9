//! Whose signatures of answers are believed.
//!
//! That a certificate chains to the company's root says nothing here: the very certificates that are issued do. So a signer has to be
//! somebody who may speak for the authority:
//!
//! ```text
//! signer  one of the pinned certificates                                                        believed
//!         a certificate that chains to an anchor, valid now, whose key may sign, and
//!           it is an authority itself (the anchor or one below it)                              believed
//!           or its extended key usage has id-kp-cmcCA or id-kp-cmcRA (RFC 9483, section 1.4)    believed
//!         anything else                                                                         refused
//! ```

use super::CmpError;
use super::certificate::Certificate;
use super::oid;
use std::time::SystemTime;

/// Certificates of a path, the signer's and the anchor's among them.
pub const MAX_PATH_CERTIFICATES: usize = 6;
/// Most signatures that are verified to find a path.
const MAX_VERIFICATIONS: usize = 48;

/// digitalSignature and keyCertSign among the bits of keyUsage (RFC 5280, section 4.2.1.3).
const DIGITAL_SIGNATURE: u8 = 0x80;
const KEY_CERT_SIGN: u8 = 0x04;

/// Whose signatures of answers are believed.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    anchors: Vec<Certificate>,
    pinned: Vec<Certificate>,
    others: Vec<Certificate>,
}

impl Trust {
    /// Trusts authorities (`anchors`) as far as the module's page says, and signers (`pinned`) by themselves; `others` are certificates
    /// between them, which are not trusted. All DER.
    ///
    /// # Errors
    /// [`CmpError::Malformed`] for what is no certificate; [`CmpError::Untrusted`] where nothing would be trusted.
    pub fn new(
        anchors: &[Vec<u8>],
        pinned: &[Vec<u8>],
        others: &[Vec<u8>],
    ) -> Result<Self, CmpError> {
        let read = |all: &[Vec<u8>]| -> Result<Vec<Certificate>, CmpError> {
            all.iter().map(|der| Certificate::read(der)).collect()
        };
        let trust = Self {
            anchors: read(anchors)?,
            pinned: read(pinned)?,
            others: read(others)?,
        };
        if trust.anchors.is_empty() && trust.pinned.is_empty() {
            return Err(CmpError::Untrusted {
                problem: "no certificate is trusted: name the authority's, or its signer's",
            });
        }
        Ok(trust)
    }

    /// Signers that a message need not bring.
    pub(super) fn candidates(&self) -> impl Iterator<Item = &Certificate> {
        self.pinned.iter().chain(&self.anchors)
    }

    /// Accepts a signer, or says why not. `extra` came with the message.
    pub(super) fn accept(
        &self,
        signer: &Certificate,
        extra: &[Certificate],
        now: SystemTime,
    ) -> Result<(), CmpError> {
        let refused = |problem| Err(CmpError::Untrusted { problem });
        if !signer.valid_at(now) {
            return refused("its certificate is expired or not yet valid");
        }
        if signer
            .key_usage
            .is_some_and(|bits| bits & DIGITAL_SIGNATURE == 0)
        {
            return refused(
                "its certificate's key usage has no digitalSignature: the authority needs another certificate for CMP",
            );
        }
        if self.pinned.iter().any(|pinned| pinned.der == signer.der) {
            return Ok(());
        }
        if signer.unhandled {
            return refused("its certificate has a restriction that is not understood");
        }
        let mut search = Search {
            trust: self,
            extra,
            now,
            verifications: 0,
        };
        if !search.reaches_anchor(signer, 0, 1) {
            return refused(
                "its certificate does not chain to a configured anchor; if it is meant to be trusted, name its authority's certificate",
            );
        }
        let speaks = signer.extended_key_usage.as_ref().is_some_and(|usages| {
            usages
                .iter()
                .any(|usage| matches!(*usage, oid::KP_CMC_CA | oid::KP_CMC_RA))
        });
        if signer.authority.is_none() && !speaks {
            return refused(
                "its certificate chains to an anchor, as every certificate that is issued there does, but is no authority's and has neither \
                 id-kp-cmcCA nor id-kp-cmcRA: pin it if it is meant to be trusted",
            );
        }
        Ok(())
    }
}

struct Search<'a> {
    trust: &'a Trust,
    extra: &'a [Certificate],
    now: SystemTime,
    verifications: usize,
}

impl Search<'_> {
    /// Whether a path leads from this certificate to an anchor. `below`: authorities under it that count for a path length; `length`:
    /// certificates so far. It recurses no deeper than [`MAX_PATH_CERTIFICATES`].
    fn reaches_anchor(&mut self, certificate: &Certificate, below: u8, length: usize) -> bool {
        let trust = self.trust;
        if trust.anchors.iter().any(|a| a.der == certificate.der) {
            return true;
        }
        for anchor in &trust.anchors {
            if self.issued(certificate, anchor, below) {
                return true;
            }
        }
        if length.saturating_add(1) >= MAX_PATH_CERTIFICATES {
            return false;
        }
        let extra = self.extra;
        for issuer in trust.others.iter().chain(extra) {
            if issuer.der == certificate.der || !self.issued(certificate, issuer, below) {
                continue;
            }
            // One that issued itself does not count (RFC 5280, section 4.2.1.9).
            let above = below.saturating_add(u8::from(issuer.subject != issuer.issuer));
            if self.reaches_anchor(issuer, above, length.saturating_add(1)) {
                return true;
            }
        }
        false
    }

    /// Whether `issuer` is an authority that may have issued this certificate now, and has.
    fn issued(&mut self, certificate: &Certificate, issuer: &Certificate, below: u8) -> bool {
        let may = issuer.authority.is_some_and(|limit| below <= limit)
            && issuer
                .key_usage
                .is_none_or(|bits| bits & KEY_CERT_SIGN != 0)
            && !issuer.unhandled
            && issuer.valid_at(self.now)
            && issuer.subject == certificate.issuer;
        if !may || self.verifications >= MAX_VERIFICATIONS {
            return false;
        }
        self.verifications = self.verifications.saturating_add(1);
        certificate.issued_by(&issuer.subject, &issuer.spki)
    }
}
