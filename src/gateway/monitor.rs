//! How the gateway fares: its database, and what it depends on that has an end. Looked at in the background, told to administrators, to
//! whoever may ask on this machine, and to the log.

use super::store::{QueueCounts, Store, StoreError, TokenRow};
use crate::calendar::{self, Book, Calendar, Dated, Effect, Kind, Level, Source, Turn};
use crate::clock::Clock;
use crate::config::GatewayConfig;
use crate::telemetry::health::{Health, Reason};
use crate::telemetry::http::Pages;
use crate::telemetry::metrics::calendar::CalendarMetrics;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How often it is looked at.
const LOOK: Duration = Duration::from_secs(10);
/// States of a request, in the order of the counts.
const STATES: [&str; 4] = ["queued", "leased", "completed", "failed"];

/// Label `state`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabel {
    state: &'static str,
}

/// What the database said last. Its lock is held while the calendar takes in the same look, so that a page shows one look and not two.
#[derive(Debug, Default)]
struct Seen {
    counts: Option<QueueCounts>,
    problem: Option<String>,
}

/// How the gateway fares.
pub(super) struct Monitor {
    store: Arc<Store>,
    clock: Arc<dyn Clock>,
    book: Book,
    seen: Mutex<Seen>,
    registry: Registry,
    requests: Family<StateLabel, Gauge>,
    records: Gauge,
    healthy: Gauge,
    ends: CalendarMetrics,
}

impl Monitor {
    /// Of a gateway that has just read its files.
    pub(super) fn new(config: &GatewayConfig, store: Arc<Store>, clock: Arc<dyn Clock>) -> Self {
        let book = Book::default();
        book.set(Source::Files, calendar::gateway(config));
        let mut monitor = Self {
            store,
            clock,
            book,
            seen: Mutex::default(),
            // The program's prefix, not the gateway's: one rule for what ends watches all services.
            registry: Registry::with_prefix("pfx_connector"),
            requests: Family::default(),
            records: Gauge::default(),
            healthy: Gauge::default(),
            ends: CalendarMetrics::default(),
        };
        let to = &mut monitor.registry;
        to.register(
            "build",
            "Version of the program",
            Info::new(vec![("version", crate::VERSION)]),
        );
        to.register(
            "gateway_healthy",
            "1 while the gateway can do its work",
            monitor.healthy.clone(),
        );
        to.register(
            "gateway_requests",
            "Requests in the gateway's database by state: queued, leased, completed, failed",
            monitor.requests.clone(),
        );
        to.register(
            "gateway_records",
            "Records in the gateway's database",
            monitor.records.clone(),
        );
        monitor.ends.register(to);
        monitor
    }

    /// Looks at it until the task is dropped.
    pub(super) async fn watch(self: Arc<Self>) {
        loop {
            let looking = Arc::clone(&self);
            // A task that fails has said so; the next look tries again.
            let _ = tokio::task::spawn_blocking(move || looking.look()).await;
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Looks once, and tells the log what came nearer to its end.
    pub(super) fn look(&self) {
        let now_ms = self.clock.now_ms();
        let asked = self.ask();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        *seen = Seen::default();
        match asked {
            Ok((counts, tokens)) => {
                self.book.set(Source::Store, of_tokens(&tokens, now_ms));
                seen.counts = Some(counts);
            }
            Err(error) => seen.problem = Some(error.to_string()),
        }
        drop(seen);
        for turn in self.book.due(now_ms) {
            tell(&turn);
        }
    }

    fn ask(&self) -> Result<(QueueCounts, Vec<TokenRow>), StoreError> {
        self.store.check()?;
        Ok((self.store.counts()?, self.store.tokens()?))
    }

    /// What ends when, as of now.
    pub(super) fn calendar(&self) -> Calendar {
        self.book.calendar(self.clock.now_ms())
    }

    /// How it fares, as of the last look.
    pub(super) fn health(&self) -> Health {
        let (mut reasons, mut warnings) = (Vec::new(), Vec::new());
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(problem) = &seen.problem {
            reasons.push(Reason::new("database", problem.clone()));
        }
        drop(seen);
        Health::of_calendar(&self.calendar(), &mut reasons, &mut warnings);
        Health::of(reasons).with_warnings(warnings)
    }

    fn metrics(&self) -> String {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let (counts, calendar) = (seen.counts, self.calendar());
        drop(seen);
        let gauge = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        if let Some(counts) = counts {
            let states = [
                counts.queued,
                counts.leased,
                counts.completed,
                counts.failed,
            ];
            for (state, count) in STATES.into_iter().zip(states) {
                self.requests
                    .get_or_create(&StateLabel { state })
                    .set(gauge(count));
            }
            self.records.set(gauge(counts.records));
        }
        self.healthy.set(i64::from(self.health().healthy));
        self.ends.take(&calendar);
        let mut page = String::new();
        // Writing into a String does not fail.
        let _ = encode(&mut page, &self.registry);
        page
    }

    /// For whoever may ask on this machine.
    pub(super) fn pages(self: &Arc<Self>) -> Pages {
        let (for_health, for_metrics) = (Arc::clone(self), Arc::clone(self));
        Pages {
            health: Arc::new(move || for_health.health()),
            metrics: Arc::new(move || for_metrics.metrics()),
        }
    }
}

/// The tokens that open something at this time: whoever has one needs another before its end. One that ended is nobody's any more.
fn of_tokens(tokens: &[TokenRow], now_ms: i64) -> Vec<Dated> {
    tokens
        .iter()
        .filter(|token| token.revoked_ms.is_none() && token.expires_ms > now_ms)
        .map(|token| Dated {
            kind: Kind::GatewayToken,
            name: format!("gateway.token.{}", token.id),
            subject: format!("{}: {}", token.role.name(), token.name),
            begins_ms: Some(token.created_ms),
            ends_ms: token.expires_ms,
            effect: Effect::Weakens,
        })
        .collect()
}

fn tell(turn: &Turn) {
    match turn {
        Turn::Renewed(entry) => tracing::info!(
            kind = entry.kind.name(),
            name = entry.name,
            not_after = entry.not_after,
            "was renewed"
        ),
        Turn::Nearer(entry) => {
            let (kind, name, level) = (entry.kind.name(), &entry.name, entry.level.name());
            if entry.level > Level::Soon {
                tracing::error!(kind, name, level, "{}", entry.says());
            } else {
                tracing::warn!(kind, name, level, "{}", entry.says());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(missing_docs)]
    use super::*;
    use crate::gateway::auth::Role;

    #[test]
    fn a_token_that_ended_or_was_revoked_is_not_waited_for() {
        let token = |id: &str, expires_ms, revoked_ms| TokenRow {
            id: id.to_owned(),
            role: Role::Mdm,
            name: "phone system".to_owned(),
            created_ms: 0,
            expires_ms,
            revoked_ms,
        };
        let rows = [
            token("open", 100, None),
            token("ended", 10, None),
            token("revoked", 100, Some(5)),
        ];
        let ends = of_tokens(&rows, 10);
        let names: Vec<_> = ends.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["gateway.token.open"]);
        assert!(
            ends.iter()
                .all(|one| one.subject.ends_with(": phone system"))
        );
    }
}
