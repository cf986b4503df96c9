//! JSON schemas (draft 2020-12) of the messages, one for each type of `api`; a test holds them against the types.

mod calendar;
mod enrolment;
mod evidence;
mod imports;
mod pkcs;
mod revocation;

use super::validate::{PADDINGS, PURPOSES};
use crate::engine::api::Delivery;
use serde_json::{Map, Value, json};

fn object(properties: &[(&str, bool, Value)]) -> Value {
    let required: Vec<&str> = properties
        .iter()
        .filter(|(_, required, _)| *required)
        .map(|(name, ..)| *name)
        .collect();
    let properties: Map<String, Value> = properties
        .iter()
        .map(|(name, _, schema)| ((*name).to_owned(), schema.clone()))
        .collect();
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

/// Where a schema of that name is in the document.
pub(super) fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

fn text() -> Value {
    json!({"type": "string"})
}

fn boolean() -> Value {
    json!({"type": "boolean"})
}

fn base64() -> Value {
    json!({"type": "string", "contentEncoding": "base64"})
}

fn time() -> Value {
    json!({"type": "string", "format": "date-time"})
}

fn number() -> Value {
    json!({"type": "integer", "minimum": 0})
}

fn one_of(members: &[&str]) -> Value {
    json!({"type": "string", "enum": members})
}

fn list(items: Value) -> Value {
    json!({"type": "array", "items": items})
}

fn hex(digits: usize) -> Value {
    json!({"type": "string", "pattern": format!("^[0-9a-f]{{{digits}}}$")})
}

fn page(name: &str) -> Value {
    object(&[
        ("value", true, list(reference(name))),
        ("@odata.nextLink", false, text()),
    ])
}

/// A record; `complete` demands what a new one must have.
fn record(complete: bool) -> Value {
    object(&[
        ("id", false, text()),
        ("thumbprint", complete, hex(40)),
        ("intendedPurpose", complete, one_of(&PURPOSES)),
        ("userPrincipalName", complete, text()),
        ("startDateTime", complete, time()),
        ("expirationDateTime", complete, time()),
        ("providerName", complete, text()),
        ("keyName", complete, text()),
        ("paddingScheme", complete, one_of(&PADDINGS)),
        ("encryptedPfxBlob", complete, base64()),
        ("encryptedPfxPassword", complete, base64()),
        ("createdDateTime", false, time()),
        ("lastModifiedDateTime", false, time()),
        ("custodyKey", false, hex(64)),
        ("importerSignature", false, reference("ImporterSignature")),
    ])
}

/// Every schema by name.
#[must_use]
pub fn schemas() -> Map<String, Value> {
    let mut all = Map::new();
    let mut add = |name: &str, schema: Value| {
        all.insert(name.to_owned(), schema);
    };
    add(
        "Health",
        object(&[("status", true, one_of(&["ok", "degraded"]))]),
    );
    add(
        "ErrorBody",
        object(&[("error", true, reference("FailureReport"))]),
    );
    add(
        "FailureReport",
        object(&[("code", true, text()), ("message", true, text())]),
    );
    add("UserPfxCertificate", record(true));
    add("UserPfxCertificatePatch", record(false));
    add("UserPfxCertificateCollection", page("UserPfxCertificate"));
    add(
        "ImporterSignature",
        object(&[("importer", true, hex(64)), ("signature", true, base64())]),
    );
    add(
        "DeviceTarget",
        object(&[
            ("certificate", true, base64()),
            ("intermediates", false, list(base64())),
        ]),
    );
    add(
        "DeviceRequest",
        object(&[
            ("userPrincipalName", true, text()),
            ("deviceId", true, text()),
            ("device", true, reference("DeviceTarget")),
            ("format", true, format()),
            ("delivery", false, delivery()),
            ("idempotencyKey", false, text()),
        ]),
    );
    add(
        "AcceptedRequest",
        object(&[("requestId", true, text()), ("thumbprint", true, hex(40))]),
    );
    add(
        "DeviceRequestAccepted",
        object(&[("requests", true, list(reference("AcceptedRequest")))]),
    );
    add(
        "RequestState",
        object(&[
            ("requestId", true, text()),
            (
                "state",
                true,
                one_of(&["queued", "leased", "completed", "failed"]),
            ),
            ("failure", false, reference("FailureReport")),
            ("attempts", true, number()),
            (
                "completions",
                true,
                json!({"type": "integer", "minimum": 0, "maximum": 1}),
            ),
        ]),
    );
    add(
        "Delivery",
        object(&[
            ("requestId", true, text()),
            ("thumbprint", true, hex(40)),
            ("delivery", false, delivery()),
            ("newest", false, boolean()),
            ("pfx", false, base64()),
            ("encryptedPfx", false, base64()),
            ("encryptedPassword", false, base64()),
            ("profile", false, base64()),
        ]),
    );
    connector_schemas(&mut add);
    imports::add(&mut add);
    pkcs::add(&mut add);
    revocation::add(&mut add);
    enrolment::add(&mut add);
    admin_schemas(&mut add);
    all
}

fn format() -> Value {
    one_of(&["modern", "modernGcm", "compatible", "compatibleDesEde3"])
}

fn delivery() -> Value {
    one_of(&Delivery::ALL.map(Delivery::name))
}

fn connector_schemas(add: &mut impl FnMut(&str, Value)) {
    add(
        "ConnectorIdentity",
        object(&[
            ("protocol", true, number()),
            ("instance", true, text()),
            ("version", true, text()),
            ("features", true, list(text())),
        ]),
    );
    add(
        "LeaseRequest",
        object(&[
            ("connector", true, reference("ConnectorIdentity")),
            (
                "max",
                true,
                json!({"type": "integer", "minimum": 1, "maximum": 256}),
            ),
            ("waitMs", true, number()),
        ]),
    );
    add(
        "LeaseResponse",
        object(&[("work", true, list(reference("WorkItem")))]),
    );
    add(
        "Record",
        object(&[
            ("userPrincipalName", true, text()),
            ("thumbprint", true, hex(40)),
            ("providerName", true, text()),
            ("keyName", true, text()),
            (
                "custodyKey",
                true,
                json!({"type": ["string", "null"], "pattern": "^[0-9a-f]{64}$"}),
            ),
            ("padding", true, one_of(&PADDINGS)),
            ("encryptedPassword", true, base64()),
            (
                "importerSignature",
                true,
                json!({"oneOf": [reference("ImporterSignature"), {"type": "null"}]}),
            ),
        ]),
    );
    add(
        "WorkItem",
        object(&[
            ("requestId", true, text()),
            ("fence", true, number()),
            ("attempt", true, number()),
            ("leaseMs", true, number()),
            ("deviceId", true, text()),
            ("record", true, reference("Record")),
            ("pfx", true, base64()),
            ("device", true, reference("DeviceTarget")),
            ("format", true, format()),
            ("delivery", false, delivery()),
            ("others", false, list(reference("StoredPfx"))),
        ]),
    );
    add(
        "StoredPfx",
        object(&[
            ("record", true, reference("Record")),
            ("pfx", true, base64()),
        ]),
    );
    add("Fence", object(&[("fence", true, number())]));
    add("Extended", object(&[("leaseMs", true, number())]));
    add(
        "Completion",
        object(&[
            ("fence", true, number()),
            ("encryptedPassword", false, base64()),
            ("encryptedPfx", false, base64()),
            ("profile", false, base64()),
            ("certificate", false, base64()),
            ("revocation", false, one_of(&["now", "already"])),
        ]),
    );
    add(
        "RequestFailure",
        object(&[
            ("fence", true, number()),
            ("failure", true, reference("FailureReport")),
            ("retry", true, boolean()),
            ("resumeMs", false, number()),
        ]),
    );
    add(
        "Settled",
        object(&[(
            "outcome",
            true,
            one_of(&["accepted", "alreadyAccepted", "requeued"]),
        )]),
    );
    add(
        "Heartbeat",
        object(&[
            ("connector", true, reference("ConnectorIdentity")),
            ("inFlight", true, number()),
            ("engineHealthy", true, boolean()),
        ]),
    );
}

fn admin_schemas(add: &mut impl FnMut(&str, Value)) {
    add(
        "ServiceStatus",
        object(&[
            ("version", true, text()),
            ("protocol", true, number()),
            ("queued", true, number()),
            ("leased", true, number()),
            ("completed", true, number()),
            ("failed", true, number()),
            ("records", true, number()),
            ("fips", true, reference("ProcessEvidence")),
            (
                "health",
                true,
                one_of(&["healthy", "degraded", "unhealthy"]),
            ),
            ("calendar", true, reference("Calendar")),
        ]),
    );
    add("Calendar", calendar::calendar());
    add("CalendarEntry", calendar::entry());
    add("ProcessEvidence", evidence::process());
    add(
        "ConnectorStatus",
        object(&[
            ("instance", true, text()),
            ("certificate", true, hex(64)),
            ("subject", true, text()),
            ("version", true, text()),
            ("features", true, list(text())),
            ("inFlight", true, number()),
            ("engineHealthy", false, boolean()),
            ("firstContact", true, time()),
            ("lastContact", true, time()),
            ("revoked", false, time()),
        ]),
    );
    add("ConnectorStatusCollection", page("ConnectorStatus"));
    add(
        "TokenStatus",
        object(&[
            ("id", true, text()),
            (
                "role",
                true,
                one_of(&["importer", "mdm", "administrator", "rotation", "enrolment"]),
            ),
            ("name", true, text()),
            ("created", true, time()),
            ("expires", true, time()),
            ("revoked", false, time()),
        ]),
    );
    add(
        "RotationPage",
        object(&[
            ("ids", true, list(text())),
            ("records", true, number()),
            ("more", true, boolean()),
        ]),
    );
    add(
        "RotationRecord",
        object(&[
            ("revision", true, hex(64)),
            ("record", true, reference("Record")),
            ("pfx", true, base64()),
        ]),
    );
    add(
        "RotationReplacement",
        object(&[
            ("revision", true, hex(64)),
            ("record", true, reference("Record")),
        ]),
    );
    add("TokenStatusCollection", page("TokenStatus"));
    add(
        "AuditRecord",
        object(&[
            ("number", true, number()),
            ("time", true, time()),
            ("who", true, text()),
            ("role", true, text()),
            ("action", true, text()),
            ("object", true, text()),
            ("outcome", true, text()),
        ]),
    );
    add("AuditRecordCollection", page("AuditRecord"));
}
