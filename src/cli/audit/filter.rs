//! Which entries are meant.

use crate::clock::parse_rfc3339;
use ::audit::event::{Event, KeyUse};
use ::audit::{Entry, Hash};
use clap::Args;

/// All that are given have to fit.
#[derive(Debug, Clone, Args)]
pub(super) struct FilterArgs {
    /// Only of this event, such as keyUse; may be repeated
    #[arg(long = "event", value_name = "NAME")]
    events: Vec<String>,
    /// Only of this request
    #[arg(long, value_name = "REQUEST")]
    request: Option<String>,
    /// Only of this importer (SHA-256 of the public key)
    #[arg(long, value_name = "SHA256", value_parser = super::hash)]
    importer: Option<Hash>,
    /// Only of this custody key (fingerprint)
    #[arg(long, value_name = "SHA256", value_parser = super::hash)]
    key: Option<Hash>,
    /// Only of this user
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Only with this result, such as decrypted or badCiphertext
    #[arg(long, value_name = "RESULT")]
    result: Option<String>,
    /// Only from this time on (RFC 3339)
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<i64>,
    /// Only before this time (RFC 3339)
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<i64>,
}

fn time(text: &str) -> Result<i64, String> {
    parse_rfc3339(text).ok_or_else(|| "expected a time such as 2026-01-31T12:00:00Z".to_owned())
}

impl FilterArgs {
    pub(super) fn lets(&self, entry: &Entry) -> bool {
        let at = entry.time.as_ms();
        let used = match &entry.event {
            Event::KeyUse(used) | Event::Shared(used) => Some(&**used),
            _ => None,
        };
        let of_use =
            |wanted: bool, fits: &dyn Fn(&KeyUse) -> bool| !wanted || used.is_some_and(fits);
        let importer = match &entry.event {
            Event::Refused(refused) => refused.importer,
            Event::Alarm(alarm) => alarm.importer,
            _ => used.and_then(|used| used.importer),
        };
        let key = match &entry.event {
            Event::Canary(canary) => Some(canary.key),
            Event::KeyMade(made) => Some(made.key),
            Event::CaUse(used) => Some(used.key),
            Event::ClientKeyUse(used) => Some(used.key),
            _ => used.map(|used| used.key),
        };
        (self.events.is_empty() || self.events.iter().any(|name| name == entry.event.name()))
            && self.since.is_none_or(|since| at >= since)
            && self.until.is_none_or(|until| at < until)
            && (self.importer.is_none() || importer == self.importer)
            && (self.key.is_none() || key == self.key)
            && self
                .request
                .as_ref()
                .is_none_or(|request| match &entry.event {
                    Event::Refused(refused) => refused.request == *request,
                    Event::KeyMade(made) => made.request == *request,
                    Event::CaUse(used) => used.request == *request,
                    Event::ClientKeyUse(used) => used.request == *request,
                    _ => used.is_some_and(|used| used.request == *request),
                })
            && self.user.as_ref().is_none_or(|user| match &entry.event {
                Event::KeyMade(made) => made.user == *user,
                _ => used.is_some_and(|used| used.user == *user),
            })
            && of_use(self.result.is_some(), &|used| {
                Some(used.result.name()) == self.result.as_deref()
            })
    }
}
