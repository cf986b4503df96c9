//! The messages of the control socket.

use crate::ca::AuthorityState;
use crate::calendar::Calendar;
use crate::connector::journal::{BrakeFigures, JournalFigures};
use crate::engine::api::EngineStatus;
use crate::evidence::process::ProcessEvidence;
use crate::telemetry::Event;
use crate::telemetry::health::Health;
use crate::telemetry::log::{Filter, LogFigures};
use serde::{Deserialize, Serialize};

/// Version of these messages.
pub const CONTROL_VERSION: u16 = 1;

/// The longest request, in bytes.
pub const MAX_REQUEST_BYTES: u64 = 1024 * 1024;

/// The longest line of an answer, in bytes: what the engine says of itself fits into one of its frames, and the rest is small beside it.
pub const MAX_ANSWER_BYTES: u64 = 2 * crate::engine::ipc::MAX_PAYLOAD_BYTES as u64;

/// First line of the service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Greeting {
    /// `pfx-connector`.
    pub program: String,
    /// [`CONTROL_VERSION`].
    pub control: u16,
    /// Version of the program.
    pub version: String,
}

impl Greeting {
    /// The greeting of this release.
    #[must_use]
    pub fn ours() -> Self {
        Self {
            program: "pfx-connector".to_owned(),
            control: CONTROL_VERSION,
            version: crate::VERSION.to_owned(),
        }
    }
}

/// What may be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "camelCase")]
pub enum Request {
    /// How does it stand.
    Status,
    /// Which events were there, and with `follow` which come.
    Events {
        /// Which are wanted.
        #[serde(default)]
        filter: Filter,
        /// Whether to go on with those that come.
        #[serde(default)]
        follow: bool,
    },
    /// Lets so many more certificates be revoked than the thresholds do; 0: says how the brake stands.
    ReleaseRevocations {
        /// How many.
        count: u32,
    },
}

/// A line of the answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum Reply {
    /// How it stands.
    Status {
        /// The report.
        status: Box<Status>,
    },
    /// An event.
    Event {
        /// The event.
        event: Box<Event>,
    },
    /// How the brake against mass revocation stands.
    Revocation {
        /// The brake.
        revocation: RevocationReport,
    },
    /// The follower was too slow for so many events; they are in the log files.
    Missed {
        /// How many.
        count: u64,
    },
    /// That is all.
    End,
    /// It did not work.
    Error {
        /// Stable code.
        code: String,
        /// In words.
        message: String,
    },
}

/// What `status` shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Version of the program.
    pub version: String,
    /// Name of the instance.
    pub instance: String,
    /// Process id.
    pub pid: u32,
    /// `running` or `draining`.
    pub state: String,
    /// When it started (RFC 3339).
    pub started_at: String,
    /// Milliseconds since then.
    pub uptime_ms: u64,
    /// The gateway's address.
    pub gateway: String,
    /// When the gateway last answered (RFC 3339); null: not yet.
    pub last_contact: Option<String>,
    /// Requests in flight.
    pub in_flight: u64,
    /// Requests in flight at once.
    pub concurrency: u32,
    /// What was done since the start.
    pub counters: Counters,
    /// Whether everything works, and if not, what.
    pub health: Health,
    /// What the connector's own process says of its cryptography; null from a release that did not tell.
    #[serde(default)]
    pub fips: Option<ProcessEvidence>,
    /// What the engine says of itself; null when it does not answer.
    pub engine: Option<EngineStatus>,
    /// What ends when: everything that connector and engine depend on; empty from a release that did not tell.
    #[serde(default)]
    pub calendar: Calendar,
    /// The certification authorities; empty where none is configured.
    #[serde(default)]
    pub authorities: Vec<AuthorityState>,
    /// Names of the exceptions in force.
    pub exceptions: Vec<String>,
    /// The journal; null when it cannot be read.
    pub journal: Option<JournalFigures>,
    /// The event log.
    pub log: LogFigures,
    /// The brake against mass revocation; null where nothing is revoked, and from a release that does not revoke.
    #[serde(default)]
    pub revocation: Option<RevocationReport>,
}

/// The brake against mass revocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RevocationReport {
    /// Certificates that may be revoked within an hour.
    pub per_hour: u32,
    /// The same within 24 hours.
    pub per_day: u32,
    /// Whether requests are given back because of it.
    pub braked: bool,
    /// What it counts.
    #[serde(flatten)]
    pub figures: BrakeFigures,
}

/// What was done since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Counters {
    /// Results accepted.
    pub delivered: u64,
    /// Final failures accepted, parked ones not counted.
    pub failed: u64,
    /// Final failures because attempts were used up.
    pub parked: u64,
    /// Given back for another attempt.
    pub requeued: u64,
    /// Went to another connector.
    pub superseded: u64,
    /// Offers of finished requests.
    pub offered_again: u64,
    /// Calls to the engine that ended with a result.
    pub attempts_succeeded: u64,
    /// Calls to the engine that ended with a failure that may pass.
    pub attempts_transient: u64,
    /// Calls to the engine that ended with a failure that stays.
    pub attempts_permanent: u64,
}
