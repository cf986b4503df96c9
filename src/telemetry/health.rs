//! Whether the running service is healthy, and if not, why.

use crate::calendar::{Calendar, Level};
use crate::evidence::status::FipsSummary;
use serde::{Deserialize, Serialize};

/// What `/healthz` and `status` say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// Whether everything needed to finish requests works.
    pub healthy: bool,
    /// `healthy`; `degraded`: it works, and somebody has to look; `unhealthy`.
    #[serde(default)]
    pub state: HealthState,
    /// Why not; empty when healthy.
    pub reasons: Vec<Reason>,
    /// What somebody has to look at; nothing stops because of it yet.
    #[serde(default)]
    pub warnings: Vec<Reason>,
    /// FIPS mode in brief, as of the engine's last answer; null from who has none.
    #[serde(default)]
    pub fips: Option<FipsSummary>,
}

/// How a service fares, in a word.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum HealthState {
    /// Everything works.
    Healthy,
    /// It works, and somebody has to look.
    Degraded,
    /// Requests cannot be finished.
    #[default]
    Unhealthy,
}

/// One thing that does not work, or will not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reason {
    /// Stable code: `engine`, `token`, `audit`, `module`, `service`, `identity`, `journal`, `log`, `revocation`, `draining`, `expired`; of a
    /// warning: `expiry`, `authority`, `audit`.
    pub code: String,
    /// The same in words.
    pub message: String,
}

impl Health {
    /// Healthy when there is no reason against it.
    #[must_use]
    pub fn of(reasons: Vec<Reason>) -> Self {
        Self {
            healthy: reasons.is_empty(),
            state: if reasons.is_empty() {
                HealthState::Healthy
            } else {
                HealthState::Unhealthy
            },
            reasons,
            warnings: Vec::new(),
            fips: None,
        }
    }

    /// The same with what somebody has to look at.
    #[must_use]
    pub fn with_warnings(self, warnings: Vec<Reason>) -> Self {
        Self {
            state: match self.state {
                HealthState::Healthy if !warnings.is_empty() => HealthState::Degraded,
                state => state,
            },
            warnings,
            ..self
        }
    }

    /// What a calendar has against it: what is over and stops the service as reasons, the rest of what somebody has to act for as warnings.
    pub fn of_calendar(calendar: &Calendar, reasons: &mut Vec<Reason>, warnings: &mut Vec<Reason>) {
        for entry in calendar.calling() {
            if entry.stops() {
                reasons.push(Reason::new("expired", entry.says()));
            } else if entry.level > Level::Soon {
                // What ends soon is in the calendar: a service that is renewed in time is healthy.
                warnings.push(Reason::new("expiry", entry.says()));
            }
        }
    }

    /// The same with what is known of FIPS mode.
    #[must_use]
    pub fn with_fips(self, fips: FipsSummary) -> Self {
        Self {
            fips: Some(fips),
            ..self
        }
    }
}

impl Reason {
    /// A reason.
    #[must_use]
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            message: message.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(missing_docs)]
    use super::*;
    use crate::calendar::{DAY_MS, Dated, Effect, Kind};
    use crate::clock::{Clock, ManualClock};
    use HealthState::{Degraded, Healthy, Unhealthy};

    #[test]
    fn a_service_is_degraded_before_an_end_and_unhealthy_after_one_that_stops_it() {
        let end = |name: &str, effect| Dated {
            kind: Kind::ConnectorCertificate,
            name: name.to_owned(),
            subject: String::new(),
            begins_ms: Some(0),
            ends_ms: 365 * DAY_MS,
            effect,
        };
        let state = |effect, clock: &ManualClock| {
            let (mut reasons, mut warnings) = (Vec::new(), Vec::new());
            let calendar = Calendar::of(&[end("a", effect)], clock.now_ms());
            Health::of_calendar(&calendar, &mut reasons, &mut warnings);
            let health = Health::of(reasons).with_warnings(warnings);
            assert_eq!(health.healthy, health.state != Unhealthy);
            health.state
        };
        let clock = ManualClock::at(340 * DAY_MS);
        let now = |clock: &ManualClock| {
            [Effect::Stops, Effect::Weakens, Effect::Informs].map(|effect| state(effect, clock))
        };
        assert_eq!(now(&clock), [Healthy; 3], "soon");
        clock.advance_ms(20 * DAY_MS);
        assert_eq!(now(&clock), [Degraded, Degraded, Healthy], "urgent");
        clock.advance_ms(20 * DAY_MS);
        assert_eq!(now(&clock), [Unhealthy, Degraded, Healthy], "expired");
    }
}
