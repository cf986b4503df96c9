//! Schemas of the messages of revocation.

use super::{base64, boolean, hex, list, number, object, one_of, page, reference, text, time};
use crate::gateway::revocation_api::{MAX_AT_ONCE, MAX_ISSUERS, Reason, RevocationState};
use serde_json::{Value, json};

fn reason() -> Value {
    one_of(&Reason::ALL.map(Reason::name))
}

fn state() -> Value {
    one_of(&RevocationState::ALL.map(RevocationState::name))
}

fn some(items: Value, most: usize) -> Value {
    json!({"type": "array", "items": items, "minItems": 1, "maxItems": most})
}

pub(super) fn add(add: &mut impl FnMut(&str, Value)) {
    add(
        "CertificateName",
        object(&[
            ("issuer", false, base64()),
            ("serialNumber", false, text()),
            ("requestId", false, text()),
            ("certificate", false, base64()),
        ]),
    );
    add(
        "RevocationRequest",
        object(&[
            (
                "certificates",
                true,
                some(reference("CertificateName"), MAX_AT_ONCE),
            ),
            ("reason", true, reason()),
            ("idempotencyKey", false, text()),
        ]),
    );
    add(
        "AcceptedRevocation",
        object(&[
            ("requestId", true, text()),
            ("state", true, state()),
            ("serialNumber", true, text()),
            ("duplicate", true, boolean()),
        ]),
    );
    add(
        "RevocationsAccepted",
        object(&[("revocations", true, list(reference("AcceptedRevocation")))]),
    );
    add(
        "RevocationStatus",
        object(&[
            ("requestId", true, text()),
            ("state", true, state()),
            ("issuer", true, text()),
            ("serialNumber", true, text()),
            ("reason", true, reason()),
            ("deviceId", false, text()),
            ("result", false, one_of(&["now", "already"])),
            ("failure", false, reference("FailureReport")),
            ("lastFailure", false, reference("FailureReport")),
            ("attempts", true, number()),
            ("createdDateTime", true, time()),
            ("settledDateTime", false, time()),
        ]),
    );
    add("RevocationStatusCollection", page("RevocationStatus"));
    add(
        "RevocationLeaseRequest",
        object(&[
            ("connector", true, reference("ConnectorIdentity")),
            (
                "max",
                true,
                json!({"type": "integer", "minimum": 1, "maximum": 256}),
            ),
            ("waitMs", true, number()),
            ("issuers", true, some(hex(64), MAX_ISSUERS)),
        ]),
    );
    add(
        "RevocationLeaseResponse",
        object(&[("work", true, list(reference("RevocationWorkItem")))]),
    );
    add(
        "RevocationWorkItem",
        object(&[
            ("requestId", true, text()),
            ("fence", true, number()),
            ("attempt", true, number()),
            ("leaseMs", true, number()),
            ("issuer", true, base64()),
            ("serialNumber", true, text()),
            ("reason", true, reason()),
            ("ca", false, text()),
            ("certificate", false, base64()),
            ("deviceId", false, text()),
        ]),
    );
}
