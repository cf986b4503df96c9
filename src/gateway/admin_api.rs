//! The messages of the administrators' paths (`/admin/v1/...`).

use crate::calendar::Calendar;
use crate::evidence::process::ProcessEvidence;
use crate::telemetry::health::HealthState;
use serde::{Deserialize, Serialize};

/// The state of the service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServiceStatus {
    /// Version of the program.
    pub version: String,
    /// Version of the connector protocol.
    pub protocol: u16,
    /// Requests that wait.
    pub queued: u64,
    /// Requests that connectors have.
    pub leased: u64,
    /// Results that are still stored.
    pub completed: u64,
    /// Failures that are still stored.
    pub failed: u64,
    /// Records.
    pub records: u64,
    /// What its process says of its cryptography.
    pub fips: ProcessEvidence,
    /// How it fares.
    #[serde(default)]
    pub health: HealthState,
    /// What ends when: its certificates and tokens.
    #[serde(default)]
    pub calendar: Calendar,
}

/// One connector.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConnectorStatus {
    /// Name of the instance.
    pub instance: String,
    /// SHA-256 of its certificate, hexadecimal.
    pub certificate: String,
    /// Subject of its certificate.
    pub subject: String,
    /// Version of its program.
    pub version: String,
    /// What it can do.
    pub features: Vec<String>,
    /// Requests in flight, by its last heartbeat.
    pub in_flight: u32,
    /// Whether its engine answered, by its last heartbeat; absent before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine_healthy: Option<bool>,
    /// First contact (RFC 3339).
    pub first_contact: String,
    /// Last contact (RFC 3339).
    pub last_contact: String,
    /// Since when it is refused (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<String>,
}

/// One token; never its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TokenStatus {
    /// Its public name.
    pub id: String,
    /// What it may do.
    pub role: String,
    /// What the administrator called it.
    pub name: String,
    /// When it was made (RFC 3339).
    pub created: String,
    /// When it ends (RFC 3339).
    pub expires: String,
    /// When it was revoked (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<String>,
}

/// One entry of the audit trail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AuditRecord {
    /// Its number; grows.
    pub number: i64,
    /// When (RFC 3339).
    pub time: String,
    /// Who.
    pub who: String,
    /// In which role.
    pub role: String,
    /// Did what.
    pub action: String,
    /// To what.
    pub object: String,
    /// `done`, or the code of the refusal.
    pub outcome: String,
}
