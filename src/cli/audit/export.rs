//! Entries for a system that collects events.

use ::audit::Entry;
use ::audit::event::Event;
use clap::ValueEnum;
use serde_json::Value;

/// In which form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// JSON Lines, exactly as they stand in the log.
    Json,
    /// Common Event Format, version 0.
    Cef,
}

impl Format {
    pub(super) fn line(self, entry: &Entry, line: &str) -> String {
        match self {
            Self::Json => line.to_owned(),
            Self::Cef => cef(entry),
        }
    }
}

/// `CEF:0|vendor|product|version|event|name|severity|extension`. Members of the entry that CEF has names for get these; all others are
/// custom: their own names, with those of inner tables before them.
fn cef(entry: &Entry) -> String {
    let event = entry.event.name();
    let mut extension = format!(
        "rt={} externalId={} pfxBoot={} pfxPrev={}",
        entry.time.as_ms(),
        entry.seq,
        value(&entry.boot),
        entry.prev
    );
    if let Ok(Value::Object(members)) = serde_json::to_value(&entry.event) {
        for (name, member) in &members {
            if name != "event" {
                add(&mut extension, name, member);
            }
        }
    }
    format!(
        "CEF:0|pfx-connector|pfx-connector|{}|{event}|{}|{}|{extension}",
        header(env!("CARGO_PKG_VERSION")),
        header(name_of(&entry.event)),
        severity(&entry.event)
    )
}

fn add(extension: &mut String, name: &str, member: &Value) {
    let text = match member {
        Value::Null => return,
        Value::String(text) => text.clone(),
        Value::Object(members) => {
            for (inner, member) in members {
                add(extension, &format!("{name}.{inner}"), member);
            }
            return;
        }
        other => other.to_string(),
    };
    let known = match name {
        "user" => "duser".to_owned(),
        "result" => "outcome".to_owned(),
        "caller.uid" => "suid".to_owned(),
        "why" | "detail" => "msg".to_owned(),
        "reason" => "reason".to_owned(),
        other => custom(other),
    };
    extension.push_str(&format!(" {known}={}", value(&text)));
}

/// `caller.connector` as `pfxCallerConnector`: keys are letters and digits.
fn custom(name: &str) -> String {
    let mut key = "pfx".to_owned();
    let mut starts = true;
    for letter in name.chars() {
        match (letter.is_ascii_alphanumeric(), starts) {
            (false, _) => starts = true,
            (true, true) => {
                key.push(letter.to_ascii_uppercase());
                starts = false;
            }
            (true, false) => key.push(letter),
        }
    }
    key
}

/// Header fields escape `\` and `|`.
fn header(text: &str) -> String {
    text.replace('\\', "\\\\").replace('|', "\\|")
}

/// Values escape `\`, `=` and line ends.
fn value(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('=', "\\=")
        .replace('\n', "\\n")
        .replace('\r', "\\r")
}

/// 0 to 10.
fn severity(event: &Event) -> u8 {
    match event {
        Event::Alarm(_) => 9,
        Event::Refused(_) | Event::Recovered(_) | Event::Released(_) | Event::Approved(_) => 6,
        Event::KeyUse(used) | Event::Shared(used) if used.result.is_input_at_fault() => 5,
        Event::KeyUse(used) | Event::Shared(used) if used.reason.is_some() => 4,
        Event::KeyUse(_) | Event::Shared(_) | Event::CaUse(_) | Event::KeyMade(_) => 3,
        Event::ClientKeyUse(_) => 2,
        _ => 1,
    }
}

fn name_of(event: &Event) -> &'static str {
    match event {
        Event::Begin(_) => "Log file begun",
        Event::Opened(_) => "Custody started",
        Event::KeyUse(_) => "Custody key used",
        Event::Shared(_) => "Result of a key use shared",
        Event::KeyMade(_) => "Key for a certificate made",
        Event::CaUse(_) => "Authority's key used",
        Event::ClientKeyUse(_) => "Connector's own key used",
        Event::Canary(_) => "Custody key used for known ciphertexts",
        Event::Refused(_) => "Requests refused before the key",
        Event::Alarm(_) => "Alarm",
        Event::Released(_) => "Quarantine or suspension lifted",
        Event::Approved(_) => "Approval used",
        Event::Seal(_) => "Log sealed",
        Event::Recovered(_) => "Log recovered",
        Event::Closed(_) => "Custody ended",
        _ => "Entry",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_a_meaning_in_cef_is_escaped() {
        assert_eq!(value("a=b\\c\nd"), "a\\=b\\\\c\\nd");
        assert_eq!(header("a|b\\c"), "a\\|b\\\\c");
        assert_eq!(custom("caller.connector"), "pfxCallerConnector");
    }
}
