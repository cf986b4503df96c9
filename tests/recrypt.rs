//! From a device's certificate to the message that only this device can read: what is accepted, what is refused, and what a
//! lying formats process or a lying service gains by it.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

#[path = "support/openssl.rs"]
mod openssl;

#[path = "recrypt/certificates.rs"]
mod certificates;
#[path = "recrypt/chain.rs"]
mod chain;
#[path = "recrypt/identity.rs"]
mod identity;
#[path = "recrypt/known.rs"]
mod known;
#[path = "recrypt/limbo.rs"]
mod limbo;
#[path = "recrypt/messages.rs"]
mod messages;
#[path = "recrypt/records.rs"]
mod records;
#[path = "recrypt/revocation.rs"]
mod revocation;

use openssl::{Authority, Device};
use pfx_connector::encoding::Base64Bytes;
use pfx_connector::engine::api::DeviceTarget;
use pfx_connector::engine::formats::device::{DevicePolicy, DeviceRefusal, check_device};
use pfx_connector::engine::recrypt::anchors::Anchor;
use pfx_connector::engine::recrypt::chain::{CheckedDevice, DeviceTrust};

/// 2026-06-01T00:00:00Z.
const NOW_MS: i64 = 1_780_272_000_000;

fn target(device: &Device<'_>, intermediates: &[&Authority<'_>]) -> DeviceTarget {
    DeviceTarget {
        certificate: Base64Bytes(device.der()),
        intermediates: intermediates
            .iter()
            .map(|authority| Base64Bytes(authority.der()))
            .collect(),
    }
}

fn policy(anchors: &[&Authority<'_>]) -> DevicePolicy {
    DevicePolicy {
        anchors: anchors
            .iter()
            .map(|anchor| Base64Bytes(anchor.der()))
            .collect(),
        require_anchor: true,
        now_ms: NOW_MS,
    }
}

fn trust(anchors: &[&Authority<'_>]) -> DeviceTrust {
    DeviceTrust::Anchors(
        anchors
            .iter()
            .map(|anchor| Anchor::from_der(anchor.der()).unwrap())
            .collect(),
    )
}

fn check(
    target: &DeviceTarget,
    anchors: &[&Authority<'_>],
) -> Result<CheckedDevice, DeviceRefusal> {
    check_device(target, &policy(anchors))
}
