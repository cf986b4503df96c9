//! Whose signatures of answers are believed.
//!
//! That a certificate chains to the company's root says nothing here: the very certificates that are issued do. So a signer has to be
//! somebody who may speak for the authority:
//!
//! ```text
//! signer  one of the pinned certificates, valid now                                             believed
//!         a certificate that chains to an anchor, valid now, whose key may sign, and
//!           it is an authority itself (the anchor or one below it)                              believed
//!           or its extended key usage has id-kp-cmcCA or id-kp-cmcRA (RFC 9483, section 1.4)    believed
//!         anything else                                                                         refused
//! ```
//!
//! Paths are [`crate::path`]'s. Revocation of a signer is not looked at: an authority whose signer is lost is one to be configured anew.

use super::certificate::{at, read, valid_at};
use super::{CmpError, oid};
use crate::path::{Certificate, Problem, Verification};
use std::time::SystemTime;

/// Whose signatures of answers are believed.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    anchors: Vec<Certificate>,
    pinned: Vec<Certificate>,
    others: Vec<Certificate>,
}

impl Trust {
    /// Trusts authorities (`anchors`) as far as the module's page says, and signers (`pinned`) by themselves; `others` are certificates
    /// between them, which are not trusted. An anchor that is no authority's can only be meant as a signer, and is one. All DER.
    ///
    /// # Errors
    /// [`CmpError::Malformed`] for what is no certificate; [`CmpError::Untrusted`] where nothing would be trusted.
    pub fn new(
        anchors: &[Vec<u8>],
        pinned: &[Vec<u8>],
        others: &[Vec<u8>],
    ) -> Result<Self, CmpError> {
        let all = |ders: &[Vec<u8>]| -> Result<Vec<Certificate>, CmpError> {
            ders.iter().map(|der| read(der)).collect()
        };
        let (anchors, signers): (Vec<_>, Vec<_>) = all(anchors)?
            .into_iter()
            .partition(Certificate::is_authority);
        let trust = Self {
            anchors,
            pinned: signers.into_iter().chain(all(pinned)?).collect(),
            others: all(others)?,
        };
        if trust.anchors.is_empty() && trust.pinned.is_empty() {
            return Err(refused(
                "no certificate is trusted: name the authority's, or its signer's",
            ));
        }
        Ok(trust)
    }

    /// Signers that a message need not bring.
    pub(super) fn candidates(&self) -> impl Iterator<Item = &Certificate> {
        self.pinned.iter().chain(&self.anchors).chain(&self.others)
    }

    /// Accepts a signer, or says why not. `extra` came with the message.
    pub(super) fn accept(
        &self,
        signer: &Certificate,
        extra: &[Certificate],
        now: SystemTime,
    ) -> Result<(), CmpError> {
        if !valid_at(signer, now) {
            return Err(refused("its certificate is expired or not yet valid"));
        }
        let may_sign = signer.key_usage();
        if !may_sign.is_none_or(|usage| usage.digital_signature()) {
            return Err(refused(
                "its certificate's key usage has no digitalSignature: the authority needs another certificate for CMP",
            ));
        }
        if self.pinned.iter().any(|one| one.der() == signer.der()) {
            return Ok(());
        }
        let intermediates: Vec<Certificate> = self.others.iter().chain(extra).cloned().collect();
        let path = Verification {
            roots: &self.anchors,
            intermediates: &intermediates,
            at: at(now),
            ..Verification::default()
        };
        path.verify(signer).map_err(|error| match error.problem {
            Problem::NoIssuer => refused(
                "its certificate does not chain to a configured anchor; if it is meant to be trusted, name its authority's certificate",
            ),
            problem => CmpError::Untrusted {
                problem: format!("its path: {}: {problem}", error.subject),
            },
        })?;
        let speaks = signer.purposes().is_some_and(|usages| {
            usages
                .iter()
                .any(|usage| matches!(*usage, oid::KP_CMC_CA | oid::KP_CMC_RA))
        });
        if !signer.is_authority() && !speaks {
            return Err(refused(
                "its certificate chains to an anchor, as every certificate that is issued there does, but is no authority's and has neither \
                 id-kp-cmcCA nor id-kp-cmcRA: pin it if it is meant to be trusted",
            ));
        }
        Ok(())
    }
}

fn refused(problem: &str) -> CmpError {
    CmpError::Untrusted {
        problem: problem.to_owned(),
    }
}
