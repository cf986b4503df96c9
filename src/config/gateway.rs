//! `[gateway]`: the service side.

use super::AuthorityConfig;
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::PathBuf;

/// `[gateway]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GatewayConfig {
    /// Address to listen on; port 0 takes a free one, which `ready_file` then tells.
    pub listen: SocketAddr,
    /// PEM file with the gateway's certificate chain.
    pub certificate: PathBuf,
    /// PEM file with its private key (PKCS#8); only its owner may read it.
    pub private_key: PathBuf,
    /// PEM file with the certificates that connectors' certificates must chain to.
    pub connector_ca: PathBuf,
    /// The database (SQLite).
    pub database: PathBuf,
    /// File that the address is written to once it listens.
    pub ready_file: Option<PathBuf>,
    /// Loopback address for `/healthz` and `/metrics`; none when left out.
    pub metrics_listen: Option<SocketAddr>,
    /// How long a lease lasts, in milliseconds.
    #[serde(default = "default_lease_ms")]
    pub lease_ms: u64,
    /// Leases of one request before it has failed for good: the last resort for one that ends every connector that takes it.
    #[serde(default = "default_max_leases")]
    pub max_leases: u32,
    /// The largest body accepted, in bytes.
    #[serde(default = "default_body_bytes")]
    pub max_body_bytes: usize,
    /// Requests that may wait at once; further device requests are refused with 429.
    #[serde(default = "default_max_queued")]
    pub max_queued: u32,
    /// How long a request for a certificate waits whose authority no connector has, in hours, before it fails for good.
    #[serde(default = "default_unserved_hours")]
    pub unserved_hours: u32,
    /// Records of old imports, whose padding is `pkcs1`, are taken.
    #[serde(default)]
    pub pkcs1_records: bool,
    /// The brake against mass revocation.
    #[serde(default)]
    pub revocation: RevocationBrake,
    /// How connectors get their certificates; without it they are made elsewhere.
    pub enrolment: Option<EnrolmentConfig>,
    /// What is deleted when.
    #[serde(default)]
    pub retention: RetentionConfig,
    /// What one client may take of the service.
    #[serde(default)]
    pub limits: GatewayLimits,
}

/// `[gateway.enrolment]`: the authority that connectors' certificates come from.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnrolmentConfig {
    /// The longest validity of a connector's certificate, in days.
    #[serde(default = "default_max_days")]
    pub max_days: u32,
    /// How long a replaced certificate is still accepted after the new one was first used, in minutes.
    #[serde(default = "default_old_minutes")]
    pub old_minutes: u32,
    /// The authority.
    pub ca: AuthorityConfig,
}

fn default_max_days() -> u32 {
    398
}
fn default_old_minutes() -> u32 {
    5
}
fn default_lease_ms() -> u64 {
    60_000
}
fn default_max_leases() -> u32 {
    100
}
fn default_body_bytes() -> usize {
    4 * 1024 * 1024
}
fn default_max_queued() -> u32 {
    100_000
}
fn default_unserved_hours() -> u32 {
    72
}

/// `[gateway.revocation]`: what is above a threshold is held until an administrator releases it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RevocationBrake {
    /// Revocations that are queued within an hour without being held.
    pub per_hour: u32,
    /// The same of one token.
    pub per_token_per_hour: u32,
    /// How long one of an issuer that no connector has an authority for waits, in hours, before it fails for good.
    pub unserved_hours: u32,
}

impl Default for RevocationBrake {
    fn default() -> Self {
        Self {
            per_hour: 200,
            per_token_per_hour: 100,
            unserved_hours: 24,
        }
    }
}

/// `[gateway.retention]`: real deletion, overwritten in the database file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetentionConfig {
    /// Results and failed requests, this many hours after they were settled.
    pub results_hours: u32,
    /// Records, this many days after their certificate expired.
    pub records_days: u32,
    /// The administrators' audit trail, in days.
    pub audit_days: u32,
}

impl Default for RetentionConfig {
    fn default() -> Self {
        Self {
            results_hours: 24 * 7,
            records_days: 365,
            audit_days: 365 * 2,
        }
    }
}

/// `[gateway.limits]`: what one client may take of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GatewayLimits {
    /// Connections at once; further ones wait.
    pub connections: usize,
    /// A TLS handshake that takes longer is cut, in milliseconds.
    pub handshake_ms: u64,
    /// Headers that take longer are cut, in milliseconds.
    pub header_ms: u64,
    /// A body that takes longer is refused, in milliseconds.
    pub body_ms: u64,
    /// A connection without a request for this long is closed, in milliseconds.
    pub idle_ms: u64,
    /// How long a stop waits for requests in flight, in milliseconds.
    pub drain_ms: u64,
}

impl Default for GatewayLimits {
    fn default() -> Self {
        Self {
            connections: 1024,
            handshake_ms: 10_000,
            header_ms: 10_000,
            body_ms: 30_000,
            idle_ms: 120_000,
            drain_ms: 10_000,
        }
    }
}
