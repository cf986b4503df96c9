//! Schemas of the messages of PKCS requests.

use super::{base64, format, hex, list, number, object, one_of, page, reference, text, time};
use crate::engine::api::Delivery;
use crate::engine::api::keys::{KeyType, Platform};
use crate::gateway::pkcs_api::{AltNameKind, DELIVERIES};
use serde_json::{Value, json};

fn percent() -> Value {
    json!({"type": "integer", "minimum": 0, "maximum": 90})
}

pub(super) fn add(add: &mut impl FnMut(&str, Value)) {
    add(
        "AltNameTemplate",
        object(&[
            (
                "kind",
                true,
                one_of(&AltNameKind::ALL.map(AltNameKind::name)),
            ),
            ("value", true, text()),
        ]),
    );
    add(
        "PkcsProfile",
        object(&[
            ("platform", true, one_of(&Platform::ALL.map(Platform::name))),
            ("certificateType", true, one_of(&["user", "device"])),
            ("ca", true, text()),
            ("caProfile", false, text()),
            ("key", true, one_of(&KeyType::ALL.map(KeyType::name))),
            ("subject", true, text()),
            ("altNames", false, list(reference("AltNameTemplate"))),
            (
                "keyUsage",
                false,
                list(one_of(&[
                    "digitalSignature",
                    "nonRepudiation",
                    "keyEncipherment",
                    "dataEncipherment",
                    "keyAgreement",
                ])),
            ),
            ("extendedKeyUsage", false, list(text())),
            ("microsoftTemplate", false, text()),
            ("securityIdentifier", false, text()),
            ("validityDays", true, number()),
            ("renewalPercent", false, percent()),
            ("format", true, format()),
            ("delivery", false, one_of(&DELIVERIES.map(Delivery::name))),
        ]),
    );
    add(
        "PkcsProfileEntry",
        object(&[
            ("name", true, text()),
            ("profile", true, reference("PkcsProfile")),
        ]),
    );
    add("PkcsProfileEntryCollection", page("PkcsProfileEntry"));
    add(
        "Variable",
        object(&[("name", true, text()), ("value", true, text())]),
    );
    add(
        "PkcsRequest",
        object(&[
            ("profile", true, text()),
            ("userPrincipalName", true, text()),
            ("deviceId", true, text()),
            ("device", true, reference("DeviceTarget")),
            ("variables", false, list(reference("Variable"))),
            ("idempotencyKey", false, text()),
        ]),
    );
    add(
        "PkcsRequestAccepted",
        object(&[("requestId", true, text())]),
    );
    add(
        "DeviceUpdate",
        object(&[
            ("device", true, reference("DeviceTarget")),
            ("userPrincipalName", false, text()),
            ("variables", false, list(reference("Variable"))),
        ]),
    );
    add(
        "DeviceUpdated",
        object(&[
            ("certificates", true, number()),
            ("requests", true, number()),
        ]),
    );
    add(
        "PkcsCertificate",
        object(&[
            ("requestId", true, text()),
            ("profile", true, text()),
            ("userPrincipalName", true, text()),
            ("deviceId", true, text()),
            ("ca", true, text()),
            ("thumbprint", true, hex(40)),
            ("serialNumber", true, text()),
            ("startDateTime", true, time()),
            ("expirationDateTime", true, time()),
            ("renewalDateTime", false, time()),
            ("renewedBy", false, text()),
            ("collectedDateTime", false, time()),
            ("replacedBy", false, text()),
            ("onHoldDateTime", false, time()),
            ("revokedDateTime", false, time()),
        ]),
    );
    add("PkcsCertificateCollection", page("PkcsCertificate"));
    add(
        "PkcsLeaseRequest",
        object(&[
            ("connector", true, reference("ConnectorIdentity")),
            (
                "max",
                true,
                json!({"type": "integer", "minimum": 1, "maximum": 256}),
            ),
            ("waitMs", true, number()),
            ("authorities", false, list(text())),
        ]),
    );
    add(
        "PkcsLeaseResponse",
        object(&[("work", true, list(reference("PkcsWorkItem")))]),
    );
    add(
        "PkcsWorkItem",
        object(&[
            ("requestId", true, text()),
            ("fence", true, number()),
            ("attempt", true, number()),
            ("leaseMs", true, number()),
            ("deviceId", true, text()),
            ("userPrincipalName", true, text()),
            ("profileName", true, text()),
            ("profile", true, reference("PkcsProfile")),
            ("variables", true, list(reference("Variable"))),
            ("device", true, reference("DeviceTarget")),
            ("renews", false, text()),
            ("progress", false, base64()),
        ]),
    );
    add(
        "Progress",
        object(&[
            ("fence", true, number()),
            ("progress", true, base64()),
            ("resumeMs", false, number()),
        ]),
    );
}
