//! The calendar for people.

use super::{Calendar, Effect, Level};
use crate::encoding::printable;
use std::fmt::Write as _;

/// Entries in a status that nobody has to act for: those that end first.
const FINE_SHOWN: usize = 8;

/// A line for each entry: level, end, days, what and where, subject. All that somebody has to act for; of the rest those that end first, and how
/// many there are besides. Without control characters; no lines where nothing has an end.
#[must_use]
pub fn table(calendar: &Calendar) -> Vec<String> {
    let mut fine = 0_usize;
    let mut lines = Vec::new();
    for entry in &calendar.entries {
        if !entry.calls() {
            fine = fine.saturating_add(1);
            if fine > FINE_SHOWN {
                continue;
            }
        }
        let level = match entry.level {
            Level::Fine => "fine",
            // Nothing fails of it: no reason to shout.
            level if entry.effect == Effect::Informs => level.name(),
            Level::Soon => "SOON",
            Level::Urgent => "URGENT",
            Level::Expired => "EXPIRED",
        };
        let mut line = format!(
            "{level:<7} {:.10} {:>5} d  {}",
            entry.not_after, entry.days_left, entry.name
        );
        let _ = write!(line, " ({})", entry.kind.words());
        if !entry.subject.is_empty() {
            let _ = write!(line, " {}", entry.subject);
        }
        lines.push(printable(&line));
    }
    let more = fine
        .saturating_sub(FINE_SHOWN)
        .saturating_add(calendar.omitted);
    if more > 0 {
        lines.push(format!("and {more} that end later (`--json` shows them)"));
    }
    lines
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing, missing_docs)]
    use super::*;
    use crate::calendar::{DAY_MS, Dated, Kind};

    #[test]
    fn what_needs_somebody_is_always_shown_and_text_of_others_stays_on_its_line() {
        let dated: Vec<_> = (0..40)
            .map(|number| Dated {
                kind: Kind::AuthorityRoot,
                name: format!("root-{number}"),
                subject: "CN=a\nEXPIRED \u{1b}[2J".to_owned(),
                begins_ms: None,
                ends_ms: (number * 2 - 10) * DAY_MS,
                effect: Effect::Weakens,
            })
            .collect();
        let lines = table(&Calendar::of(&dated, 0));
        // 20 end before the thirtieth day.
        assert_eq!(lines.len(), 20 + FINE_SHOWN + 1);
        assert!(
            lines[0].starts_with("EXPIRED 1969-12-22   -10 d  root-0"),
            "{}",
            lines[0]
        );
        assert!(lines.iter().all(|line| !line.chars().any(char::is_control)));
        assert_eq!(
            lines.last().map(String::as_str),
            Some("and 12 that end later (`--json` shows them)")
        );
        assert!(table(&Calendar::default()).is_empty());
    }
}
