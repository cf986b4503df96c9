//! What ends when: as the files of this configuration say, and as the running services say of what they have in use.

use super::catalogue::{CERTIFICATES_CALENDAR, Check, SERVICE_EXPIRY};
use super::finding::Finding;
use super::service::Running;
use crate::calendar::{self, Calendar, Dated, Entry};
use crate::config::Config;
use serde_json::json;

/// The calendar of everything that the files name, as of `now_ms`. Single files are judged by `certificates.expiry`.
#[must_use]
pub fn of_files(config: &Config, now_ms: i64) -> Option<Finding> {
    let mut dated: Vec<Dated> = Vec::new();
    match &config.connector {
        Some(section) => dated.extend(calendar::connector(section, &config.local_ca)),
        None => dated.extend(config.local_ca.iter().flat_map(calendar::local_ca)),
    }
    dated.extend(config.gateway.iter().flat_map(calendar::gateway));
    dated.extend(config.import.iter().flat_map(calendar::import));
    let calendar = Calendar::of(&dated, now_ms);
    let first = calendar.entries.first()?;
    let said = format!(
        "{} ends are known from the files; the first: {}",
        calendar.entries.len().saturating_add(calendar.omitted),
        first.says()
    );
    let found = if calendar.calling().next().is_some() {
        CERTIFICATES_CALENDAR
            .note("", said)
            .remedy(CERTIFICATES_CALENDAR.remedy)
    } else {
        CERTIFICATES_CALENDAR.ok("", said)
    };
    Some(found.facts(json!(calendar)))
}

/// What the running services say: each end that somebody has to act for, or that there is none.
#[must_use]
pub fn running(running: &Running, now_ms: i64) -> Vec<Finding> {
    let Some(calendar) = running.calendar(now_ms) else {
        return Vec::new();
    };
    let mut findings: Vec<_> = calendar
        .calling()
        .map(|entry| judge(SERVICE_EXPIRY, entry))
        .collect();
    if findings.is_empty()
        && let Some(first) = calendar.entries.first()
    {
        findings.push(
            SERVICE_EXPIRY
                .ok(
                    "",
                    format!("nothing ends soon; the first: {}", first.says()),
                )
                .facts(json!(calendar)),
        );
    }
    findings
}

/// What is over and stops the service is an error; the rest works for now.
fn judge(check: Check, entry: &Entry) -> Finding {
    let found = if entry.stops() {
        check.error(&entry.name, entry.says())
    } else {
        check.warning(&entry.name, entry.says())
    };
    found.code(entry.level.name()).facts(json!(entry))
}

#[cfg(test)]
mod tests {
    #![allow(missing_docs)]
    use super::*;
    use crate::calendar::{DAY_MS, Effect, Kind};
    use crate::clock::{Clock, ManualClock};
    use crate::doctor::finding::Severity;

    #[test]
    fn what_ended_is_an_error_only_where_the_service_stops_of_it() {
        let clock = ManualClock::at(0);
        let judged = |effect, clock: &ManualClock| {
            let end = Dated {
                kind: Kind::ConnectorCertificate,
                name: "connector.certificate".to_owned(),
                subject: String::new(),
                begins_ms: None,
                ends_ms: 20 * DAY_MS,
                effect,
            };
            let found = judge(SERVICE_EXPIRY, &end.at(clock.now_ms()));
            (found.severity, found.code)
        };
        let code = |text: &str| Some(text.to_owned());
        assert_eq!(
            judged(Effect::Stops, &clock),
            (Severity::Warning, code("soon"))
        );
        clock.advance_ms(20 * DAY_MS);
        assert_eq!(
            judged(Effect::Stops, &clock),
            (Severity::Error, code("expired"))
        );
        assert_eq!(
            judged(Effect::Weakens, &clock),
            (Severity::Warning, code("expired"))
        );
    }
}
