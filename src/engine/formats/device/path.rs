//! The way from the device's certificate to an anchor (RFC 5280 section 6.1), over the intermediates that came with it.

use super::{DevicePolicy, DeviceRefusal, Parsed, Place};
use crate::engine::api::DeviceTarget;
use crate::engine::formats::words;
use crate::engine::recrypt::chain::{Link, MAX_PATH_CERTIFICATES};
use crate::engine::recrypt::layout::PathLength;
use crate::engine::recrypt::signatures;

/// Signatures that are verified in the search for one path: intermediates with one name could otherwise make it long.
const SIGNATURE_BUDGET: u32 = 32;

/// The intermediates of the path, the device's issuer first.
pub(super) fn find(
    device: &Parsed<'_>,
    target: &DeviceTarget,
    policy: &DevicePolicy,
) -> Result<Vec<Link>, DeviceRefusal> {
    let place = |index: usize| u32::try_from(index.saturating_add(1)).unwrap_or(u32::MAX);
    let anchors = policy
        .anchors
        .iter()
        .enumerate()
        .map(|(index, der)| Parsed::new(der.as_slice(), Place::Anchor(place(index))))
        .collect::<Result<Vec<_>, _>>()?;
    let intermediates = target
        .intermediates
        .iter()
        .enumerate()
        .map(|(index, der)| Parsed::new(der.as_slice(), Place::Intermediate(place(index))))
        .collect::<Result<Vec<_>, _>>()?;
    let mut search = Search {
        anchors: &anchors,
        intermediates: &intermediates,
        now_ms: policy.now_ms,
        used: Vec::new(),
        budget: SIGNATURE_BUDGET,
        nearest: None,
    };
    if search.reaches_anchor(device, 0)? {
        return search
            .used
            .iter()
            .map(|&index| {
                let spans = intermediates.get(index).map(|parsed| parsed.layout.spans);
                u32::try_from(index)
                    .ok()
                    .zip(spans)
                    .map(|(intermediate, spans)| Link {
                        intermediate,
                        spans,
                    })
                    .ok_or(DeviceRefusal::PathTooLong {
                        limit: MAX_PATH_CERTIFICATES,
                    })
            })
            .collect();
    }
    Err(search.nearest.unwrap_or_else(|| DeviceRefusal::NoPath {
        issuer: words::name(device.certificate.tbs_certificate().issuer()),
    }))
}

/// Depth-first, without using a certificate twice.
struct Search<'p, 'a> {
    anchors: &'p [Parsed<'a>],
    intermediates: &'p [Parsed<'a>],
    now_ms: i64,
    used: Vec<usize>,
    budget: u32,
    /// What was wrong with the candidate that came nearest: more use to a person than «no path».
    nearest: Option<DeviceRefusal>,
}

impl<'p, 'a> Search<'p, 'a> {
    /// Whether an anchor can be reached from `subject`, with `below` authorities under its issuer; `used` then holds the way.
    fn reaches_anchor(&mut self, subject: &Parsed<'a>, below: u8) -> Result<bool, DeviceRefusal> {
        let issuer_name = subject.part(subject.layout.spans.issuer);
        let named =
            |candidate: &&Parsed<'a>| candidate.part(candidate.layout.spans.subject) == issuer_name;
        let (anchors, intermediates) = (self.anchors, self.intermediates);
        for anchor in anchors.iter().filter(named) {
            if self.issued(subject, anchor, below)? {
                return Ok(true);
            }
        }
        // The device, what is used so far, one more, and the anchor.
        let room = self.used.len().saturating_add(3) <= MAX_PATH_CERTIFICATES;
        let mut candidate_seen = false;
        for (index, candidate) in intermediates.iter().enumerate() {
            if !named(&candidate) || self.used.contains(&index) || candidate.der == subject.der {
                continue;
            }
            candidate_seen = true;
            if !room {
                self.nearest = Some(DeviceRefusal::PathTooLong {
                    limit: MAX_PATH_CERTIFICATES,
                });
                continue;
            }
            if !self.issued(subject, candidate, below)? {
                continue;
            }
            let self_issued = candidate.part(candidate.layout.spans.issuer)
                == candidate.part(candidate.layout.spans.subject);
            self.used.push(index);
            if self.reaches_anchor(candidate, below.saturating_add(u8::from(!self_issued)))? {
                return Ok(true);
            }
            self.used.pop();
        }
        if !candidate_seen {
            self.nearest.get_or_insert_with(|| DeviceRefusal::NoPath {
                issuer: words::name(subject.certificate.tbs_certificate().issuer()),
            });
        }
        Ok(false)
    }

    /// Whether `issuer` may have issued `subject` and did; notes what is wrong otherwise.
    ///
    /// # Errors
    /// When the search has taken too long.
    fn issued(
        &mut self,
        subject: &Parsed<'_>,
        issuer: &Parsed<'_>,
        below: u8,
    ) -> Result<bool, DeviceRefusal> {
        self.budget = self
            .budget
            .checked_sub(1)
            .ok_or(DeviceRefusal::PathTooLong {
                limit: MAX_PATH_CERTIFICATES,
            })?;
        match check_issuer(subject, issuer, below, self.now_ms) {
            Ok(()) => Ok(true),
            Err(refusal) => {
                self.nearest = Some(refusal);
                Ok(false)
            }
        }
    }
}

fn check_issuer(
    subject: &Parsed<'_>,
    issuer: &Parsed<'_>,
    below: u8,
    now_ms: i64,
) -> Result<(), DeviceRefusal> {
    /// keyCertSign among the bits of keyUsage (RFC 5280 section 4.2.1.3).
    const KEY_CERT_SIGN: u8 = 0x04;
    issuer.check_dates(now_ms)?;
    issuer.check_extensions()?;
    let long_enough = match issuer.layout.authority {
        None => false,
        Some(PathLength::Unlimited) => true,
        Some(PathLength::AtMost(length)) => below <= length,
    };
    let may_sign = issuer
        .layout
        .key_usage
        .is_none_or(|bits| bits & KEY_CERT_SIGN != 0);
    if !long_enough || !may_sign {
        return Err(DeviceRefusal::NotAnAuthority {
            place: issuer.place,
        });
    }
    let spki = issuer.part(issuer.layout.spans.spki);
    let spans = &subject.layout.spans;
    let algorithm =
        signatures::algorithm(subject.part(spans.algorithm), spki).ok_or_else(|| {
            DeviceRefusal::UnsupportedSignature {
                place: subject.place,
                algorithm: words::oid(&subject.certificate.signature_algorithm().oid),
            }
        })?;
    fips::sign::verify(
        algorithm,
        spki,
        subject.part(spans.tbs),
        subject.part(spans.signature),
    )
    .map_err(|_| DeviceRefusal::WrongSignature {
        place: subject.place,
        issuer: words::name(issuer.certificate.tbs_certificate().subject()),
    })
}
