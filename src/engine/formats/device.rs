//! The device's certificate: parsed whole, judged, and joined to an anchor, with a sentence for everything that is wrong with it.
//!
//! Its result is a claim, not a permission: the custody process verifies it again by itself
//! ([`chain::verify`](crate::engine::recrypt::chain::verify)).

mod leaf;
mod path;
mod refusal;

pub use refusal::{DeviceRefusal, Place};

use crate::encoding::Base64Bytes;
use crate::engine::api::DeviceTarget;
use crate::engine::recrypt::chain::{CheckedDevice, MAX_INTERMEDIATES};
use crate::engine::recrypt::layout::{self, Layout, MAX_CERTIFICATE_BYTES};
use const_oid::ObjectIdentifier;
use der::{Decode, Encode};
use serde::{Deserialize, Serialize};
use x509_cert::Certificate;

/// What a device certificate is held against.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DevicePolicy {
    /// The configured anchors (DER).
    pub anchors: Vec<Base64Bytes>,
    /// Whether it must chain to one of them; false only under the exception `no-device-anchors`.
    pub require_anchor: bool,
    /// The time for which everything must be valid, in milliseconds since 1970.
    pub now_ms: i64,
}

/// Parses and judges a device's certificate and finds its path to an anchor.
///
/// # Errors
/// [`DeviceRefusal`] says what is wrong and what to do.
pub fn check_device(
    target: &DeviceTarget,
    policy: &DevicePolicy,
) -> Result<CheckedDevice, DeviceRefusal> {
    if target.intermediates.len() > MAX_INTERMEDIATES {
        return Err(DeviceRefusal::TooManyIntermediates {
            count: target.intermediates.len(),
            limit: MAX_INTERMEDIATES,
        });
    }
    let device = Parsed::new(target.certificate.as_slice(), Place::Device)?;
    device.check_dates(policy.now_ms)?;
    device.check_extensions()?;
    leaf::check(&device)?;
    let links = if policy.require_anchor {
        path::find(&device, target, policy)?
    } else {
        Vec::new()
    };
    Ok(CheckedDevice {
        leaf: device.layout.spans,
        links,
    })
}

/// A certificate that was parsed and whose parts were placed, with both readings in agreement.
struct Parsed<'a> {
    der: &'a [u8],
    place: Place,
    layout: Layout,
    certificate: Certificate,
}

impl<'a> Parsed<'a> {
    fn new(der: &'a [u8], place: Place) -> Result<Self, DeviceRefusal> {
        if der.len() > MAX_CERTIFICATE_BYTES {
            return Err(DeviceRefusal::TooLarge {
                place,
                bytes: der.len(),
                limit: MAX_CERTIFICATE_BYTES,
            });
        }
        let malformed = |reason: &str| DeviceRefusal::Malformed {
            place,
            reason: reason.to_owned(),
        };
        let certificate = Certificate::from_der(der)
            .map_err(|_| malformed("it does not parse as one certificate in DER"))?;
        let layout = layout::read(der).ok_or_else(|| {
            malformed("its dates, extensions or the two places that name its signature algorithm break RFC 5280")
        })?;
        let tbs = certificate.tbs_certificate();
        let agree = [
            (tbs.issuer().to_der(), layout.spans.issuer),
            (tbs.subject().to_der(), layout.spans.subject),
            (tbs.serial_number().to_der(), layout.spans.serial),
            (tbs.subject_public_key_info().to_der(), layout.spans.spki),
        ]
        .into_iter()
        .all(|(encoded, span)| {
            encoded.is_ok_and(|encoded| span.of(der) == Some(encoded.as_slice()))
        });
        if !agree {
            return Err(malformed("its names, serial number or key are not in DER"));
        }
        Ok(Self {
            der,
            place,
            layout,
            certificate,
        })
    }

    fn check_dates(&self, now_ms: i64) -> Result<(), DeviceRefusal> {
        let validity = self.certificate.tbs_certificate().validity();
        let seconds = |time: x509_cert::time::Time| {
            i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX)
        };
        let now = now_ms.div_euclid(1000);
        if now < seconds(validity.not_before) {
            return Err(DeviceRefusal::NotYetValid {
                place: self.place,
                from: validity.not_before.to_string(),
            });
        }
        if now > seconds(validity.not_after) {
            return Err(DeviceRefusal::Expired {
                place: self.place,
                since: validity.not_after.to_string(),
            });
        }
        Ok(())
    }

    /// Refuses what is critical and not honoured, by name.
    fn check_extensions(&self) -> Result<(), DeviceRefusal> {
        let mut seen: Vec<ObjectIdentifier> = Vec::new();
        for extension in self
            .certificate
            .tbs_certificate()
            .extensions()
            .into_iter()
            .flatten()
        {
            if seen.contains(&extension.extn_id) {
                return Err(DeviceRefusal::Malformed {
                    place: self.place,
                    reason: "it has an extension twice".to_owned(),
                });
            }
            seen.push(extension.extn_id);
            let oid = extension.extn_id.as_bytes();
            if layout::restricts_path(oid)
                || (extension.critical && !layout::handles_extension(oid))
            {
                return Err(DeviceRefusal::UnhandledExtension {
                    place: self.place,
                    extension: super::words::oid(&extension.extn_id),
                });
            }
        }
        Ok(())
    }

    fn part(&self, span: layout::Span) -> &'a [u8] {
        // Never empty: the spans were found in these bytes.
        span.of(self.der).unwrap_or_default()
    }
}
