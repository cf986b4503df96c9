//! Schemas of profiles of stored PFX files, and of requests by them.

use super::{delivery, format, object, one_of, page, reference, text};
use crate::engine::api::keys::Platform;
use serde_json::Value;

pub(super) fn add(add: &mut impl FnMut(&str, Value)) {
    add(
        "ImportProfile",
        object(&[
            ("platform", true, one_of(&Platform::ALL.map(Platform::name))),
            ("format", true, format()),
            ("delivery", false, delivery()),
        ]),
    );
    add(
        "ImportProfileEntry",
        object(&[
            ("name", true, text()),
            ("profile", true, reference("ImportProfile")),
        ]),
    );
    add("ImportProfileEntryCollection", page("ImportProfileEntry"));
    add(
        "ImportRequest",
        object(&[
            ("profile", true, text()),
            ("userPrincipalName", true, text()),
            ("deviceId", true, text()),
            ("device", true, reference("DeviceTarget")),
            ("idempotencyKey", false, text()),
        ]),
    );
}
