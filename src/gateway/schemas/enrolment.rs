//! Schemas of the messages by which connectors get their certificates.

use super::{base64, list, number, object, reference, text};
use serde_json::Value;

pub(super) fn add(add: &mut impl FnMut(&str, Value)) {
    add(
        "EnrolRequest",
        object(&[
            ("protocol", true, number()),
            ("instance", true, text()),
            ("csr", true, base64()),
        ]),
    );
    add(
        "RenewRequest",
        object(&[
            ("connector", true, reference("ConnectorIdentity")),
            ("csr", true, base64()),
        ]),
    );
    add(
        "Enrolled",
        object(&[
            ("certificate", false, base64()),
            ("chain", false, list(base64())),
            ("askAgainMs", false, number()),
        ]),
    );
}
