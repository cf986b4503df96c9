//! The schemas of [`crate::calendar::Calendar`], which the administrators' status carries.

use super::{list, number, object, one_of, reference, text, time};
use crate::calendar::Level;
use serde_json::{Value, json};

/// What ends when.
pub(super) fn calendar() -> Value {
    object(&[
        ("entries", true, list(reference("CalendarEntry"))),
        ("omitted", true, number()),
    ])
}

/// A line of it.
pub(super) fn entry() -> Value {
    object(&[
        ("kind", true, text()),
        ("name", true, text()),
        ("subject", true, text()),
        (
            "notBefore",
            true,
            json!({"oneOf": [time(), {"type": "null"}]}),
        ),
        ("notAfter", true, time()),
        ("notAfterMs", true, json!({"type": "integer"})),
        ("daysLeft", true, json!({"type": "integer"})),
        ("level", true, one_of(&Level::ALL.map(Level::name))),
        ("effect", true, one_of(&["informs", "weakens", "stops"])),
    ])
}
