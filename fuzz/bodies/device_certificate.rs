//! Device certificates: the claim of the formats process, and what custody itself reads of the same bytes.

use pfx_connector::encoding::Base64Bytes;
use pfx_connector::engine::api::DeviceTarget;
use pfx_connector::engine::formats::device::{DevicePolicy, check_device};
use pfx_connector::engine::recrypt::chain::{self, DeviceTrust};
use pfx_connector::engine::recrypt::{anchors::Anchor, layout};

/// Before the certificates: where the second one begins (two bytes), and the time, in hours since 1970 (three bytes).
pub(crate) const HEADER_BYTES: usize = 5;

/// A device's certificate and one more, which is offered as intermediate and as anchor.
pub(crate) fn run(data: &[u8]) {
    let Some((&[l0, l1, h0, h1, h2], rest)) = data.split_first_chunk::<HEADER_BYTES>() else {
        return;
    };
    let now_ms = i64::from(u32::from_be_bytes([0, h0, h1, h2])) * 3_600_000;
    let split = usize::from(u16::from_be_bytes([l0, l1])).min(rest.len());
    let (device, issuer) = rest.split_at(split);
    let _ = layout::read(device);
    let target = DeviceTarget {
        certificate: Base64Bytes(device.to_vec()),
        intermediates: vec![Base64Bytes(issuer.to_vec())],
    };
    for require_anchor in [false, true] {
        let policy = DevicePolicy {
            anchors: vec![Base64Bytes(issuer.to_vec())],
            require_anchor,
            now_ms,
        };
        let Ok(checked) = check_device(&target, &policy) else {
            continue;
        };
        let trust = if require_anchor {
            DeviceTrust::Anchors(Anchor::from_der(issuer.to_vec()).into_iter().collect())
        } else {
            DeviceTrust::Unanchored
        };
        // Custody may refuse what the formats process let through, and never needs it to be right.
        let _ = chain::verify(&target, &checked, &trust, now_ms);
    }
}
