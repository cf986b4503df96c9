//! `[engine]`: the token, who may call, whose records and which devices are accepted.

use super::{CaConfig, ClientKeyConfig, DevicePolicyConfig, Pkcs1KeyConfig};
use crate::engine::api::Delivery;
use hsm::pkcs11::LibraryKind;
use sandbox::Want;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// `[engine]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EngineConfig {
    /// The unix socket that it listens on.
    pub socket: PathBuf,
    /// User ids that may call, besides the engine's own.
    #[serde(default)]
    pub allowed_uids: Vec<u32>,
    /// PEM files with the certificates that device certificates must chain to.
    #[serde(default)]
    pub device_anchors: Vec<PathBuf>,
    /// What device certificates are asked for besides.
    #[serde(default)]
    pub device_policy: DevicePolicyConfig,
    /// Exceptions by name.
    #[serde(default)]
    pub exceptions: Vec<EngineException>,
    /// What may be asked for.
    #[serde(default = "default_deliveries", deserialize_with = "deliveries")]
    pub deliveries: Vec<Delivery>,
    /// How PFX files are opened and written.
    #[serde(default)]
    pub pfx: PfxConfig,
    /// Requests that may be in flight at once before callers are told to wait.
    #[serde(default = "default_in_flight")]
    pub max_in_flight: usize,
    /// How the engine's processes are watched.
    #[serde(default)]
    pub restart: RestartConfig,
    /// Decryptions slower than so many of a hundred of late are begun on a second token; 0: none is.
    #[serde(default)]
    pub hedge_percent: u8,
    /// The token, if there is one.
    pub token: Option<TokenSection>,
    /// The tokens, if there are several.
    #[serde(default)]
    pub tokens: Vec<TokenSection>,
    /// How much of the sandbox is asked for.
    #[serde(default = "default_sandbox")]
    pub sandbox: Want,
    /// How keys for certificates are made; without it none is.
    pub issuance: Option<IssuanceConfig>,
    /// How records are re-encrypted to another custody key; without it none is.
    pub rotation: Option<RotationConfig>,
    /// Certification authorities whose keys are on the token.
    #[serde(default)]
    pub ca: Vec<CaConfig>,
    /// Keys on the token with which connectors show who they are.
    #[serde(default)]
    pub client_keys: Vec<ClientKeyConfig>,
    /// Those whose records are accepted.
    #[serde(default)]
    pub importers: Vec<ImporterConfig>,
    /// Where every use of the key is recorded; none only under the exception `no-receipts`.
    pub audit: Option<AuditConfig>,
    /// What keeps the key from being used as an oracle.
    #[serde(default)]
    pub oracle: OracleConfig,
    /// Whose approvals dangerous steps need; without it they need none.
    pub approvals: Option<ApprovalsConfig>,
    /// Custody keys that decrypt records of old imports for some time to come.
    #[serde(default)]
    pub pkcs1_keys: Vec<Pkcs1KeyConfig>,
}

/// What `[engine.token]` is called where nobody named it.
const ONLY_TOKEN: &str = "token";

impl EngineConfig {
    /// Every token with its name, in the order of the file.
    pub fn named_tokens(&self) -> impl Iterator<Item = (&str, &TokenSection)> {
        self.token
            .iter()
            .chain(&self.tokens)
            .map(|section| (section.name.as_deref().unwrap_or(ONLY_TOKEN), section))
    }

    /// The token of this name; without a name the only one. `None`: there is none, or more than one could be meant.
    #[must_use]
    pub fn token_named(&self, name: Option<&str>) -> Option<&TokenSection> {
        let mut fitting = self
            .named_tokens()
            .filter(|(known, _)| name.is_none_or(|name| name == *known));
        match (fitting.next(), fitting.next()) {
            (Some((_, section)), None) => Some(section),
            _ => None,
        }
    }

    /// Every token with its place in the file, such as `engine.token` or `engine.tokens.rack-1`.
    pub fn token_paths(&self) -> impl Iterator<Item = (String, &TokenSection)> {
        let one = self
            .token
            .iter()
            .map(|token| ("engine.token".to_owned(), token));
        let several = self.tokens.iter().enumerate().map(|(number, token)| {
            let name = token.name.clone().unwrap_or_else(|| number.to_string());
            (format!("engine.tokens.{name}"), token)
        });
        one.chain(several)
    }

    /// The file in which the engine notes that the token of this name refused its PIN: beside the socket, where only the engine's user
    /// writes.
    #[must_use]
    pub fn pin_memory(&self, token: &str) -> PathBuf {
        self.socket.with_extension(if self.tokens.is_empty() {
            "pin-refused".to_owned()
        } else {
            format!("{token}.pin-refused")
        })
    }

    /// Worker threads of all tokens.
    #[must_use]
    pub fn token_threads(&self) -> usize {
        self.named_tokens()
            .map(|(_, section)| section.threads)
            .sum()
    }

    /// The environment of the process that loads the modules, of all tokens together: checked not to contradict itself.
    #[must_use]
    pub fn token_environment(&self) -> BTreeMap<String, String> {
        self.named_tokens()
            .flat_map(|(_, section)| section.environment.clone())
            .collect()
    }
}

fn default_sandbox() -> Want {
    Want::Available
}

fn default_in_flight() -> usize {
    256
}

fn default_deliveries() -> Vec<Delivery> {
    vec![Delivery::Password]
}

fn deliveries<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Delivery>, D::Error> {
    Vec::<String>::deserialize(deserializer)?
        .into_iter()
        .map(|name| {
            Delivery::ALL
                .into_iter()
                .find(|one| one.config_name() == name)
                .ok_or_else(|| D::Error::custom("no such delivery"))
        })
        .collect()
}

/// `[engine.pfx]`: how PFX files are opened and written, for the deliveries that do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PfxConfig {
    /// How a new PFX is protected.
    pub form: PfxForm,
    /// Whether the certificate has to name the record's user.
    pub user_in_certificate: UserInCertificate,
    /// Iterations of key derivation in one PFX at most.
    pub max_iterations: u64,
}

impl Default for PfxConfig {
    fn default() -> Self {
        Self {
            form: PfxForm::Approved,
            user_in_certificate: UserInCertificate::Unsigned,
            max_iterations: 10_000_000,
        }
    }
}

/// The forms of a new PFX.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PfxForm {
    /// PBES2 with AES-256 and PBMAC1.
    #[serde(rename = "approved")]
    Approved,
    /// PBES2 with AES-256 and the classic MAC.
    #[serde(rename = "compatible")]
    Compatible,
    /// Triple DES and the classic MAC with SHA-1.
    #[serde(rename = "legacy-3des")]
    Legacy3Des,
}

/// `[engine.audit]`: the log of every use of the key.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditConfig {
    /// Its folder.
    pub folder: PathBuf,
    /// A file of this size is followed by another one, in bytes.
    #[serde(default = "default_audit_file")]
    pub max_file_bytes: u64,
    /// File with the private key that seals the log (PKCS#8, EC on P-256).
    pub signing_key_file: Option<PathBuf>,
    /// Label of the token's key that seals it.
    pub signing_key: Option<String>,
    /// File that seals are written to as well.
    pub anchor_file: Option<PathBuf>,
}

fn default_audit_file() -> u64 {
    16 * 1024 * 1024
}

/// `[engine.approvals]`: whose approvals dangerous steps need.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApprovalsConfig {
    /// How many different approvers it takes.
    pub required: u32,
    /// PEM files with the approvers' public keys.
    pub approvers: Vec<PathBuf>,
    /// Folder that approvals of another policy are read from at the start.
    pub folder: Option<PathBuf>,
}

/// `[engine.oracle]`: how much may fail before it is refused, and when failures are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OracleConfig {
    /// Distinct failing ciphertexts of one importer within an hour, before it is suspended.
    pub importer_failures_per_hour: u32,
    /// Distinct failing ciphertexts of one importer within a day.
    pub importer_failures_per_day: u32,
    /// Distinct failing ciphertexts that one caller asks for within an hour.
    pub caller_failures_per_hour: u32,
    /// Decryptions of one ciphertext in a day.
    pub uses_per_ciphertext: u32,
    /// Devices that get the password of one ciphertext in a day.
    pub devices_per_ciphertext: u32,
    /// Failing answers leave at multiples of so many milliseconds since their request came.
    pub grid_ms: u64,
    /// Which answers leave on that grid.
    pub release: ReleaseOnGrid,
    /// Whether the password of the delivery `password` has to open its PFX.
    pub check_password: CheckPassword,
}

impl Default for OracleConfig {
    fn default() -> Self {
        Self {
            importer_failures_per_hour: 5,
            importer_failures_per_day: 50,
            caller_failures_per_hour: 200,
            uses_per_ciphertext: 1000,
            devices_per_ciphertext: 100,
            grid_ms: 50,
            release: ReleaseOnGrid::Failures,
            check_password: CheckPassword::Off,
        }
    }
}

/// Which answers leave on the grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReleaseOnGrid {
    /// Those that say that something failed.
    Failures,
    /// All.
    All,
}

/// Whether a password is tried on its PFX before it is given out as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CheckPassword {
    /// It is not.
    Off,
    /// It is where the FIPS policy lets the PFX be opened.
    WhereApproved,
    /// It is; a PFX that the FIPS policy does not let be opened is refused.
    Always,
}

/// Which certificates have to name their record's user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UserInCertificate {
    /// Those of records without an importer's signature: nobody else vouches for the user there.
    Unsigned,
    /// All.
    Always,
    /// None.
    Never,
}

/// Exceptions of the engine, each shown in every status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum EngineException {
    /// Device certificates need not chain to an anchor. Whoever controls the service can then have passwords encrypted to a key of their own.
    NoDeviceAnchors,
    /// Records need no importer's signature (those from Intune have none). Whoever controls the service can then mix users, PFX and passwords.
    UnsignedRecords,
    /// Keys that are extractable or not sensitive may be used: for development only.
    ExtractableKeys,
    /// The format `compatibleDesEde3` may be asked for.
    CmsDesEde3,
    /// Uses of the key are not recorded. Nobody can say afterwards what was decrypted, and a restart forgets what failed.
    NoReceipts,
    /// A certification authority's key is used on the connector's own host.
    CoLocatedCa,
}

impl EngineException {
    /// Its name in the configuration and in every status.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NoDeviceAnchors => "no-device-anchors",
            Self::UnsignedRecords => "unsigned-records",
            Self::ExtractableKeys => "extractable-keys",
            Self::CmsDesEde3 => "cms-des-ede3",
            Self::NoReceipts => "no-receipts",
            Self::CoLocatedCa => "co-located-ca",
        }
    }
}

/// `[engine.restart]`: how dead and hanging parts are replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RestartConfig {
    /// Pause before the first restart, doubled with each further one, in milliseconds.
    pub backoff_ms: u64,
    /// The longest pause, in milliseconds.
    pub backoff_max_ms: u64,
    /// A part that gives no sign of life for this long is replaced, in milliseconds.
    pub unresponsive_ms: u64,
    /// A call into the PKCS#11 module that takes longer than this is taken for hanging, in milliseconds; opening a token, three times as long.
    pub call_limit_ms: u64,
    /// A request that was in flight in this many parts as they died is answered with a failure.
    pub max_crashes_per_request: u32,
}

/// How long a process of the engine takes from its end to its successor with an open token, generously, in milliseconds.
const START_MS: u64 = 5_000;

impl RestartConfig {
    /// A request needs more time than this, in milliseconds, to be done in spite of one call that hangs: it is found out, the process is
    /// replaced, and the request begins anew with as much time for its own call.
    #[must_use]
    pub const fn least_timeout_ms(&self) -> u64 {
        self.call_limit_ms
            .saturating_mul(2)
            .saturating_add(START_MS)
    }

    /// What is to be said of a request, or of requests, with so much time: that one call that hangs is the end of them. `None`: it is not.
    #[must_use]
    pub fn too_little_time(&self, timeout_ms: u64) -> Option<String> {
        let least = self.least_timeout_ms();
        (timeout_ms <= least).then(|| {
            format!(
                "{timeout_ms} ms for a request are not more than {least} ms, twice `engine.restart.call_limit_ms` ({} ms) and a start: a call \
                 into the PKCS#11 module that hangs is the end of its request, and not only of its process",
                self.call_limit_ms
            )
        })
    }
}

impl Default for RestartConfig {
    fn default() -> Self {
        Self {
            backoff_ms: 50,
            backoff_max_ms: 5_000,
            unresponsive_ms: 5_000,
            call_limit_ms: 10_000,
            max_crashes_per_request: 3,
        }
    }
}

/// `[engine.token]`, `[[engine.tokens]]`, `[import.token]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenSection {
    /// What it is called among several.
    pub name: Option<String>,
    /// No new requests go to it.
    #[serde(default)]
    pub drain: bool,
    /// The PKCS#11 module, by absolute path.
    pub module: PathBuf,
    /// What the module is told at C_Initialize.
    pub init_parameters: Option<String>,
    /// The token's label.
    pub label: String,
    /// File that holds the user PIN; only its owner may read it.
    pub pin_file: Option<PathBuf>,
    /// Name of a systemd credential that holds the user PIN.
    pub pin_credential: Option<String>,
    /// The operator's statement that the token is validated: its CMVP certificate's number.
    pub fips_certificate: Option<String>,
    /// Worker threads, each with one session.
    #[serde(default = "default_threads")]
    pub threads: usize,
    /// Environment of the process that loads the module (such as `SOFTHSM2_CONF`); nothing else of the environment reaches it.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// What the sandbox leaves to the module; by the name of its file where nothing is said.
    #[serde(default, deserialize_with = "library_kind")]
    pub sandbox_profile: Option<LibraryKind>,
    /// Further files and folders that the module reads and writes.
    #[serde(default)]
    pub sandbox_paths: Vec<PathBuf>,
}

impl TokenSection {
    /// The kind of its library, as the sandbox takes it.
    #[must_use]
    pub fn library_kind(&self) -> LibraryKind {
        self.sandbox_profile
            .unwrap_or_else(|| LibraryKind::of(&self.module))
    }
}

fn library_kind<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<LibraryKind>, D::Error> {
    match String::deserialize(deserializer)?.as_str() {
        "auto" => Ok(None),
        name => LibraryKind::named(name)
            .map(Some)
            .ok_or_else(|| D::Error::custom("no such profile")),
    }
}

fn default_threads() -> usize {
    4
}

/// `[engine.issuance]`: keys for certificates may be made here, and packed with them for devices.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IssuanceConfig {
    /// Fingerprint of the custody key that keys are sealed to, where a request names none.
    pub custody_key: Option<String>,
    /// Threads that make keys.
    pub key_threads: usize,
    /// Requests for a key that may wait for one of them.
    pub key_queue: usize,
}

impl Default for IssuanceConfig {
    fn default() -> Self {
        Self {
            custody_key: None,
            key_threads: 2,
            key_queue: 64,
        }
    }
}

/// `[engine.rotation]`: records may be re-encrypted to another custody key, at the asking of the engine's own user.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RotationConfig {
    /// Label of the token's key that signs them; its public half is one of the importers'.
    pub signing_key: String,
}

/// `[[engine.importers]]`: somebody whose signature makes a record acceptable.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImporterConfig {
    /// For logs and status.
    pub name: String,
    /// PEM file with the public key (SubjectPublicKeyInfo) or a certificate.
    pub public_key: PathBuf,
}

#[cfg(test)]
mod tests {
    #![allow(missing_docs)]
    use super::*;

    #[test]
    fn by_default_a_request_has_time_for_a_call_that_hangs_and_for_another_one() {
        let engine = RestartConfig::default();
        // `connector.engine_timeout_ms` where nothing is said.
        assert_eq!(engine.too_little_time(30_000), None);
        assert!(engine.too_little_time(engine.least_timeout_ms()).is_some());
        assert_eq!(engine.too_little_time(engine.least_timeout_ms() + 1), None);
        let slow = RestartConfig {
            call_limit_ms: 30_000,
            ..engine
        };
        assert!(slow.too_little_time(30_000).is_some());
    }
}
