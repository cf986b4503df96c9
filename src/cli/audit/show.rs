//! An entry as people read it: one line.

use crate::encoding::printable;
use ::audit::event::{Event, KeyUse, Purpose};
use ::audit::{Entry, Hash};
use serde_json::Value;

/// Number, time, event, and what it says.
pub(super) fn line(entry: &Entry) -> String {
    let what = match &entry.event {
        Event::KeyUse(used) | Event::Shared(used) => key_use(used),
        other => members(other),
    };
    let line = format!(
        "{:>8}  {}  {:<9}  {what}",
        entry.seq,
        entry.time,
        entry.event.name()
    );
    printable(line.trim_end())
}

fn key_use(used: &KeyUse) -> String {
    let purpose = match &used.purpose {
        Purpose::Device(device) => format!("device {}", short(device)),
        Purpose::Rotation(key) => format!("rotation to {}", short(key)),
        Purpose::Verify => "verify".to_owned(),
        Purpose::Pack(packing) => format!(
            "pack of certificate {} for device {}",
            short(&packing.certificate),
            short(&packing.device)
        ),
    };
    let uid = used
        .caller
        .uid
        .map_or_else(|| "-".to_owned(), |uid| uid.to_string());
    let importer = used.importer.as_ref().map_or_else(|| "-".to_owned(), short);
    let reason = used
        .reason
        .as_ref()
        .map(|reason| format!(" ({reason})"))
        .unwrap_or_default();
    format!(
        "{}{reason}  {}  request {}  user {}  {purpose}  uid {uid}  importer {importer}  ciphertext {}  key {}",
        used.result.name(),
        used.delivery,
        used.request,
        used.user,
        short(&used.ciphertext),
        short(&used.key),
    )
}

/// Enough to tell one from another.
fn short(hash: &Hash) -> String {
    let mut text = hash.to_string();
    text.truncate(12);
    text
}

/// Every member that is no table, by its name.
fn members(event: &Event) -> String {
    let Ok(Value::Object(members)) = serde_json::to_value(event) else {
        return String::new();
    };
    let shown = members.iter().filter(|(name, _)| *name != "event");
    shown
        .filter_map(|(name, value)| match value {
            Value::String(text) => Some(format!("{name} {text}")),
            Value::Number(number) => Some(format!("{name} {number}")),
            Value::Bool(yes) => Some(format!("{name} {yes}")),
            _ => None,
        })
        .collect::<Vec<_>>()
        .join("  ")
}
