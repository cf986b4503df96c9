//! One event: what a line of a log file holds, and how it reads to people.

use super::catalogue::{EventKind, Level, Log};
use crate::clock::rfc3339;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// Longest text of a message or a field in bytes: parts of them come from the service.
const MAX_TEXT_BYTES: usize = 1024;

/// An event as the log files hold it, one JSON object a line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// When it happened (RFC 3339, UTC).
    pub time: String,
    /// Its number in the catalogue.
    pub id: u16,
    /// The log it belongs to.
    pub log: Log,
    /// Its task category.
    pub category: String,
    /// How grave it is.
    pub level: Level,
    /// The instance that wrote it.
    pub instance: String,
    /// The request it speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// `client-request-id` of the call to the service that it came from and, after a space, the `request-id` of its answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    /// What happened, in words.
    pub message: String,
    /// Figures and names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, Value>,
}

impl Event {
    /// The line of a log file, with its line feed.
    #[must_use]
    pub fn line(&self) -> Vec<u8> {
        // Every part of an event has a JSON form, so that an empty line cannot come out of it.
        let mut line = serde_json::to_vec(self).unwrap_or_default();
        line.push(b'\n');
        line
    }

    /// One line for people: time, level, number and category, request, message, fields.
    #[must_use]
    pub fn human(&self) -> String {
        let level = match self.level {
            Level::Information => "info ",
            Level::Warning => "warn ",
            Level::Error => "ERROR",
        };
        let mut line = format!("{} {level} {:>4} {}", self.time, self.id, self.category);
        if let Some(request) = &self.request_id {
            let _ = write!(line, " [{request}]");
        }
        let _ = write!(line, " {}", self.message);
        for (name, value) in &self.fields {
            match value {
                Value::String(text) => {
                    let _ = write!(line, " {name}={text}");
                }
                other => {
                    let _ = write!(line, " {name}={other}");
                }
            }
        }
        // Text of strangers must not move the cursor of a terminal.
        line.chars()
            .map(|c| if c.is_control() { '\u{fffd}' } else { c })
            .collect()
    }
}

/// An event about to be logged; the log adds time and instance.
#[derive(Debug, Clone)]
pub struct Draft {
    kind: EventKind,
    message: String,
    request_id: Option<String>,
    correlation_id: Option<String>,
    fields: BTreeMap<String, Value>,
}

impl Draft {
    /// An event of the catalogue with what happened in words; longer texts than 1 KiB are cut.
    #[must_use]
    pub fn new(kind: EventKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: bounded(message.into()),
            request_id: None,
            correlation_id: None,
            fields: BTreeMap::new(),
        }
    }

    /// The request it speaks of.
    #[must_use]
    pub fn request(mut self, request_id: &str) -> Self {
        self.request_id = Some(bounded(request_id.to_owned()));
        self
    }

    /// The ids of the call it came from, when there was one.
    #[must_use]
    pub fn correlation(mut self, id: Option<&str>) -> Self {
        self.correlation_id = id.map(|id| bounded(id.to_owned()));
        self
    }

    /// A figure or a name.
    #[must_use]
    pub fn field(mut self, name: &str, value: impl Into<Value>) -> Self {
        let value = match value.into() {
            Value::String(text) => Value::String(bounded(text)),
            other => other,
        };
        self.fields.insert(name.to_owned(), value);
        self
    }

    /// What the devices run that it speaks of; empty ones are left out, and without any there is no such field.
    #[must_use]
    pub fn platforms<'a>(self, platforms: impl IntoIterator<Item = &'a str>) -> Self {
        let named: BTreeSet<&str> = platforms
            .into_iter()
            .filter(|one| !one.is_empty())
            .collect();
        if named.is_empty() {
            return self;
        }
        let all: Vec<&str> = named.into_iter().collect();
        self.field("platform", all.join(", "))
    }

    /// The same of one device.
    #[must_use]
    pub fn platform(self, platform: &str) -> Self {
        self.platforms([platform])
    }

    /// Which event it is.
    #[must_use]
    pub fn kind(&self) -> EventKind {
        self.kind
    }

    /// The event, as it happened at `now_ms` in `instance`.
    #[must_use]
    pub fn finish(self, now_ms: i64, instance: &str) -> Event {
        Event {
            time: sortable(&rfc3339(now_ms)),
            id: self.kind.id(),
            log: self.kind.log(),
            category: self.kind.category().to_owned(),
            level: self.kind.level(),
            instance: instance.to_owned(),
            request_id: self.request_id,
            correlation_id: self.correlation_id,
            message: self.message,
            fields: self.fields,
        }
    }
}

/// Always three digits of fraction, so that times sort as text.
fn sortable(time: &str) -> String {
    let time = time.trim_end_matches('Z');
    let (second, fraction) = time.split_once('.').unwrap_or((time, ""));
    format!("{second}.{fraction:0<3}Z")
}

fn bounded(mut text: String) -> String {
    if text.len() > MAX_TEXT_BYTES {
        let mut end = MAX_TEXT_BYTES;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        missing_docs
    )]
    use super::*;

    #[test]
    fn a_line_is_one_json_object_and_reads_back() {
        let event = Draft::new(EventKind::PkcsImportRequestSuccess, "done\nreally")
            .request("r-1")
            .field("attempts", 2)
            .finish(0, "one");
        let line = event.line();
        assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
        assert_eq!(serde_json::from_slice::<Event>(&line).unwrap(), event);
        assert!(!event.human().contains('\n'));
    }

    #[test]
    fn long_texts_are_cut_at_a_character() {
        let event = Draft::new(EventKind::StepDetail, "ä".repeat(2000)).finish(0, "one");
        assert!(event.message.len() <= MAX_TEXT_BYTES + 3);
    }
}
