//! Examples of profiles of stored PFX files, and of requests by them.

use super::to_value;
use pfx_connector::engine::api::{CmsFormat, Delivery, DeviceTarget};
use pfx_connector::gateway::api::Collection;
use pfx_connector::gateway::profiles_api::*;
use serde_json::Value;
use std::collections::BTreeMap;

/// For each message: one example with everything that may be there, and one with nothing that may be left out.
pub(crate) fn examples(target: &DeviceTarget) -> BTreeMap<&'static str, Vec<Value>> {
    let text = || "t".to_owned();
    let profile = ImportProfile {
        platform: "macOs".to_owned(),
        format: CmsFormat::Compatible,
        delivery: Delivery::AppleProfile,
    };
    let bare = ImportProfile {
        delivery: Delivery::Password,
        ..profile.clone()
    };
    let entry = ImportProfileEntry {
        name: text(),
        profile: profile.clone(),
    };
    let request = |idempotency_key| ImportRequest {
        profile: text(),
        user_principal_name: "a@b".to_owned(),
        device_id: text(),
        device: target.clone(),
        idempotency_key,
    };
    let page = |next_link| Collection {
        value: vec![entry.clone()],
        next_link,
    };
    BTreeMap::from([
        ("ImportProfile", vec![to_value(&profile), to_value(&bare)]),
        ("ImportProfileEntry", vec![to_value(&entry)]),
        (
            "ImportProfileEntryCollection",
            vec![
                to_value(&page(Some("https://x/?$skiptoken=00".to_owned()))),
                to_value(&page(None)),
            ],
        ),
        (
            "ImportRequest",
            vec![to_value(&request(Some(text()))), to_value(&request(None))],
        ),
    ])
}
