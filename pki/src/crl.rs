//! Certificate revocation lists (RFC 5280, section 5), full and delta.

use crate::Signer;
use crate::algorithm;
use crate::issue::extensions::{authority_key_id, distribution_point, extension, freshest_crl};
use crate::issue::{Authority, IssueError};
use der::Encode;
use der::asn1::Uint;
use std::time::SystemTime;
use x509_cert::certificate::Version;
use x509_cert::crl::{RevokedCert, TbsCertList};
use x509_cert::ext::pkix::crl::dp::IssuingDistributionPoint;
use x509_cert::ext::pkix::{BaseCrlNumber, CrlNumber, CrlReason};
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::time::Time;

const CRL_NUMBER: &str = "2.5.29.20";
const DELTA_CRL_INDICATOR: &str = "2.5.29.27";
const ISSUING_DISTRIBUTION_POINT: &str = "2.5.29.28";
const REASON_CODE: &str = "2.5.29.21";

/// The most entries of one list.
pub const MAX_ENTRIES: usize = 30_000;

/// A certificate that is revoked, or in a delta one that is not any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The content octets of its serial number's INTEGER.
    pub serial: Vec<u8>,
    /// Since when.
    pub revoked_at: SystemTime,
    /// Why; [`CrlReason::RemoveFromCRL`] only in a delta.
    pub reason: CrlReason,
}

/// A list that is about to be signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List {
    /// Its number: higher than that of every list before it, full or delta (RFC 5280, section 5.2.3).
    pub number: u64,
    /// For a delta: the number of the full list that it goes with.
    pub base: Option<u64>,
    /// When it is made.
    pub this_update: SystemTime,
    /// When the next one is there at the latest.
    pub next_update: SystemTime,
    /// What it says.
    pub entries: Vec<Entry>,
    /// Where the full list is published: in issuingDistributionPoint of both lists, so that none is taken for the list of somewhere else.
    pub published_at: Option<String>,
    /// Where the delta is published: in freshestCRL of the full list.
    pub delta_at: Option<String>,
}

impl List {
    /// Signs it: the list in DER.
    ///
    /// # Errors
    /// [`IssueError::Refused`] for a list that contradicts itself; [`IssueError::Sign`].
    pub fn sign(&self, authority: &Authority, signer: &dyn Signer) -> Result<Vec<u8>, IssueError> {
        self.check()?;
        let mut entries = self
            .entries
            .iter()
            .map(entry)
            .collect::<Result<Vec<_>, IssueError>>()?;
        entries.sort_by(|one, other| {
            one.serial_number
                .as_bytes()
                .cmp(other.serial_number.as_bytes())
        });
        let mut extensions = vec![
            authority_key_id(authority.key_id())?,
            extension(CRL_NUMBER, false, &CrlNumber::try_from(self.number)?)?,
        ];
        if let Some(base) = self.base {
            let base = BaseCrlNumber(Uint::try_from(base)?);
            extensions.push(extension(DELTA_CRL_INDICATOR, true, &base)?);
        }
        if let Some(url) = &self.published_at {
            let scope = IssuingDistributionPoint {
                distribution_point: distribution_point(url)?.distribution_point,
                only_contains_user_certs: false,
                only_contains_ca_certs: false,
                only_some_reasons: None,
                indirect_crl: false,
                only_contains_attribute_certs: false,
            };
            extensions.push(extension(ISSUING_DISTRIBUTION_POINT, true, &scope)?);
        }
        if let (None, Some(url)) = (self.base, &self.delta_at) {
            extensions.push(freshest_crl(url)?);
        }
        let tbs = TbsCertList::<x509_cert::certificate::Rfc5280> {
            version: Version::V2,
            signature: algorithm::identifier(signer.algorithm())?,
            issuer: <Name as der::Decode>::from_der(authority.subject_der())?,
            this_update: Time::try_from(self.this_update)?,
            next_update: Some(Time::try_from(self.next_update)?),
            // An empty one is left out (RFC 5280, section 5.1.2.6).
            revoked_certificates: (!entries.is_empty()).then_some(entries),
            crl_extensions: Some(extensions),
        };
        crate::issue::sign_der(&tbs.to_der()?, authority.spki_der(), signer)
    }

    fn check(&self) -> Result<(), IssueError> {
        let refused = |why: String| Err(IssueError::Refused(why));
        if self.entries.len() > MAX_ENTRIES {
            return refused(format!(
                "a list of {} entries: {MAX_ENTRIES} at most",
                self.entries.len()
            ));
        }
        if self.base.is_some_and(|base| base >= self.number) {
            return refused("a delta has a higher number than the list that it goes with".into());
        }
        if self.next_update <= self.this_update {
            return refused("the next list is due before this one".into());
        }
        let removes = self
            .entries
            .iter()
            .any(|entry| entry.reason == CrlReason::RemoveFromCRL);
        if removes && self.base.is_none() {
            return refused("removeFromCRL is for deltas alone (RFC 5280, section 5.3.1)".into());
        }
        Ok(())
    }
}

fn entry(entry: &Entry) -> Result<RevokedCert, IssueError> {
    let extensions = match entry.reason {
        // Absent rather than unspecified (RFC 5280, section 5.3.1).
        CrlReason::Unspecified => None,
        reason => Some(vec![extension(REASON_CODE, false, &reason)?]),
    };
    Ok(RevokedCert {
        serial_number: SerialNumber::new(&entry.serial)?,
        revocation_date: Time::try_from(entry.revoked_at)?,
        crl_entry_extensions: extensions,
    })
}
