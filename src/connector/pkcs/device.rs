//! Whether there is any point in ordering a certificate for a device: what can be seen of its own certificate without trusting it.
//!
//! The engine judges it whole, with its anchors and revocation lists, before it makes the key. A request may wait for days between that and
//! the order.

use crate::clock::rfc3339;
use crate::engine::api::DeviceTarget;
use crate::engine::recrypt::layout;
use pki::algorithm::KeyKind;
use pki::time::digits;

/// # Errors
/// In words: why nothing can be encrypted to the device now.
pub(super) fn usable(device: &DeviceTarget, now_ms: i64) -> Result<(), String> {
    let der = device.certificate.as_slice();
    let layout = layout::read(der).ok_or("the device's certificate does not parse (RFC 5280)")?;
    let now = digits(now_ms);
    if now < layout.not_before || now > layout.not_after {
        let shown = |digits: [u8; 14]| String::from_utf8_lossy(&digits).into_owned();
        return Err(format!(
            "the device's certificate is valid from {} to {} (UTC), and it is {} now: enrol the device anew",
            shown(layout.not_before),
            shown(layout.not_after),
            rfc3339(now_ms)
        ));
    }
    match layout.spans.spki.of(der).and_then(KeyKind::of) {
        Some(KeyKind::RsaPss) => {
            Err("the device's key may only sign, so nothing can be encrypted to it".to_owned())
        }
        Some(_) => Ok(()),
        None => Err("the device's key is of a kind that is not known here".to_owned()),
    }
}
