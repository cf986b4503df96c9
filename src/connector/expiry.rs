//! The connector's expiry calendar kept up to date, and told: an event for each end that comes near, once for each level.

use super::shared::Shared;
use crate::calendar::{Entry, Level, Source, Turn};
use crate::telemetry::Draft;
use crate::telemetry::catalogue::EventKind;
use std::sync::Arc;
use std::time::Duration;

/// How often it is looked at; an end comes near in hours.
const LOOK: Duration = Duration::from_secs(10);

/// Looks at the calendar until the task is dropped.
pub(super) async fn watch(shared: Arc<Shared>) {
    loop {
        take(&shared);
        for draft in due(&shared) {
            shared.log.record(draft).await;
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Takes over what others said of ends when they were last asked. Who did not answer said nothing, and what it said before stands.
pub(super) fn take(shared: &Shared) {
    if let Some(status) = shared.engine.last_status()
        && status.custody_reports()
    {
        shared.calendar.set(Source::Engine, status.calendar);
    }
    if let Some(certificate) = shared.gateway().peer() {
        shared.calendar.set(Source::Peer, vec![certificate]);
    }
}

fn due(shared: &Shared) -> Vec<Draft> {
    let turns = shared.calendar.due(shared.clock.0.now_ms());
    turns.into_iter().map(draft).collect()
}

fn draft(turn: Turn) -> Draft {
    match turn {
        Turn::Renewed(entry) => told(
            EventKind::ExpiryRenewed,
            format!(
                "{} ({}) was renewed: it ends at {}",
                entry.kind.words(),
                entry.name,
                entry.not_after
            ),
            &entry,
        ),
        Turn::Nearer(entry) => {
            let kind = match entry.level {
                Level::Fine | Level::Soon => EventKind::ExpirySoon,
                Level::Urgent => EventKind::ExpiryUrgent,
                Level::Expired => EventKind::ExpiryOver,
            };
            told(kind, entry.says(), &entry)
        }
    }
}

fn told(kind: EventKind, message: String, entry: &Entry) -> Draft {
    Draft::new(kind, message)
        .field("kind", entry.kind.name())
        .field("name", entry.name.clone())
        .field("subject", entry.subject.clone())
        .field("notAfter", entry.not_after.clone())
        .field("daysLeft", entry.days_left)
}

#[cfg(test)]
mod tests {
    #![allow(missing_docs)]
    use super::*;
    use crate::calendar::{Book, DAY_MS, Dated, Effect, Kind};
    use crate::clock::{Clock, ManualClock};

    #[test]
    fn each_level_has_its_event_and_it_says_what_ends_when() {
        let end = |ends_ms| Dated {
            kind: Kind::AuthorityCredential,
            name: "connector.ca.company.certificate".to_owned(),
            subject: "CN=ra".to_owned(),
            begins_ms: Some(0),
            ends_ms,
            effect: Effect::Weakens,
        };
        let (book, clock) = (Book::default(), ManualClock::at(0));
        book.set(Source::Files, vec![end(365 * DAY_MS)]);
        let mut events = Vec::new();
        for _ in 0..366 {
            events.extend(book.due(clock.now_ms()).into_iter().map(draft));
            clock.advance_ms(DAY_MS);
        }
        book.set(Source::Files, vec![end(1000 * DAY_MS)]);
        events.extend(book.due(clock.now_ms()).into_iter().map(draft));
        let told: Vec<_> = events
            .into_iter()
            .map(|draft| draft.finish(0, "one"))
            .collect();
        let ids: Vec<_> = told.iter().map(|event| event.id).collect();
        assert_eq!(ids, [5000, 5001, 5002, 5003]);
        for event in &told {
            assert_eq!(
                event.fields.get("kind"),
                Some(&"authority-credential".into())
            );
            assert!(
                event.message.contains("connector.ca.company.certificate"),
                "{}",
                event.message
            );
        }
        assert!(
            told.first()
                .is_some_and(|event| event.message.contains("in 29 days"))
        );
    }
}
