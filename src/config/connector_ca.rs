//! `[connector.pkcs]` and `[[connector.ca]]`: certificates on request, and the authorities that issue them.

use serde::Deserialize;
use std::path::PathBuf;

/// `[connector.pkcs]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PkcsConfig {
    /// The issuance policy (TOML).
    pub policy: PathBuf,
    /// Requests in hand at once.
    #[serde(default = "default_concurrency")]
    pub concurrency: u32,
}

fn default_concurrency() -> u32 {
    8
}

/// `[connector.revocation]`: the connector's own brake against mass revocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RevocationConfig {
    /// Certificates revoked within an hour.
    pub per_hour: u32,
    /// Certificates revoked within a day.
    pub per_day: u32,
    /// Revocations in hand at once.
    pub concurrency: u32,
}

impl Default for RevocationConfig {
    fn default() -> Self {
        Self {
            per_hour: 200,
            per_day: 1_000,
            concurrency: 4,
        }
    }
}

/// How an authority is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AuthorityKind {
    /// CMP (RFC 9810, RFC 9483).
    Cmp,
    /// EST (RFC 7030, RFC 8951).
    Est,
    /// Microsoft's enrolment web services (MS-XCEP, MS-WSTEP).
    Adcs,
    /// An authority whose key is on the engine's token.
    Local,
}

impl AuthorityKind {
    /// Its word in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cmp => "cmp",
            Self::Est => "est",
            Self::Adcs => "adcs",
            Self::Local => "local",
        }
    }
}

/// How messages to an authority with a shared secret are protected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AuthorityMac {
    /// HMAC.
    #[default]
    Hmac,
    /// PBMAC1.
    Pbmac1,
    /// PasswordBasedMac.
    PasswordBasedMac,
}

/// What to do with an order of which the authority cannot tell whether it had it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WhenUnknown {
    /// It fails for good: somebody has to look at the authority.
    #[default]
    Fail,
    /// It is asked for again: there may be two certificates of one key then.
    AskAgain,
}

/// `[[connector.ca]]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthorityConfig {
    /// Its name: in profiles, in the policy, and for its orders.
    pub name: String,
    /// How it is spoken to.
    pub kind: AuthorityKind,
    /// Where it listens.
    pub url: Option<String>,
    /// PEM file: what its certificates have to chain to.
    pub roots: PathBuf,
    /// PEM file: certificates that may lie between.
    pub intermediates: Option<PathBuf>,
    /// PEM file: what the certificate of its server has to chain to.
    pub server_ca: Option<PathBuf>,
    /// PEM file with the connector's certificate for this authority.
    pub certificate: Option<PathBuf>,
    /// PEM file with its private key.
    pub private_key: Option<PathBuf>,
    /// Instead of that, for TLS: the key's name in the engine's `[[engine.client_keys]]`.
    pub client_key: Option<String>,
    /// `cmp`: PEM file with those whose signatures of answers are believed.
    pub signers: Option<PathBuf>,
    /// `cmp`: what the authority knows the shared secret by.
    pub reference: Option<String>,
    /// `cmp`: file with the shared secret.
    pub secret_file: Option<PathBuf>,
    /// `cmp`: how messages are protected with it.
    #[serde(default)]
    pub mac: AuthorityMac,
    /// User name, where the authority wants one.
    pub username: Option<String>,
    /// File with the password.
    pub password_file: Option<PathBuf>,
    /// The authority's profile, label or template of requests that name none.
    pub profile: Option<String>,
    /// `adcs`: where the policy service listens.
    pub policy_url: Option<String>,
    /// PEM file with the certificates that it issues with.
    pub issuers: Option<PathBuf>,
    /// `adcs`: the program that revokes, and its arguments.
    #[serde(default)]
    pub revoke_command: Vec<String>,
    /// Orders at once.
    #[serde(default = "default_ca_concurrency")]
    pub concurrency: u32,
    /// Deadline of one call, in milliseconds.
    #[serde(default = "default_timeout_ms")]
    pub timeout_ms: u64,
    /// First pause after a failed attempt, in milliseconds.
    #[serde(default = "default_pause_ms")]
    pub pause_ms: u64,
    /// Longest such pause, in milliseconds.
    #[serde(default = "default_longest_pause_ms")]
    pub longest_pause_ms: u64,
    /// How long an authority that does not answer is asked again, in hours.
    #[serde(default = "default_patience_hours")]
    pub patience_hours: u32,
    /// How long an order may stay undecided, in hours.
    #[serde(default = "default_pending_hours")]
    pub pending_hours: u32,
    /// What to do with an order of which the authority cannot tell what became of it.
    #[serde(default)]
    pub when_unknown: WhenUnknown,
}

fn default_ca_concurrency() -> u32 {
    4
}
fn default_timeout_ms() -> u64 {
    60_000
}
fn default_pause_ms() -> u64 {
    5_000
}
fn default_longest_pause_ms() -> u64 {
    600_000
}
fn default_patience_hours() -> u32 {
    72
}
fn default_pending_hours() -> u32 {
    720
}
