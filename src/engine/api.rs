//! What may be asked of the engine, and what it answers: the messages that cross its unix socket (JSON in the frames of `ipc`).

use crate::calendar::Dated;
use crate::encoding::Base64Bytes;
use crate::engine::recrypt::revocation::ListStatus;
use crate::engine::sandboxing::KernelWord;
use crate::evidence::process::{FaultEvidence, ProcessEvidence};
use crate::record::Record;
use audit::Verb;
use audit::approval::Subject;
use hsm::group::MemberState;
use hsm::{Load, Padding};
use serde::{Deserialize, Serialize};

mod approval;
mod authority;
mod client_key;
mod csr;
mod delivery;
mod failure;
mod healing;
pub mod keys;
mod oracle;
mod outward;
mod pkcs1;

pub use approval::{AllowRequest, Allowed, ApprovalFile, DangerousStep};
pub use authority::{
    AuthorityStatus, IssueRequest, IssuedCertificate, RevokedSerial, SerialState, SerialStatus,
    SignCrlRequest, SignOcspRequest, SignedCrl, SignedOcsp,
};
pub use client_key::{SignClientCsrRequest, SignTlsRequest, SignedClientCsr, SignedTls};
pub use delivery::{CmsFormat, Delivery};
pub use failure::{Failure, FailureCode};
pub use healing::HealingStatus;
pub use keys::{IssuanceStatus, JudgeDeviceRequest, MadeKey, MakeKeyRequest, PackRequest, Packed};
pub use oracle::{OracleReport, OracleRequest, OracleStatus, QuarantinedCiphertext, SubjectStatus};
pub use outward::Figures;
pub use pkcs1::{PKCS1_WARN_DAYS, Pkcs1KeyStatus};

/// Version of these messages; a greeting with another one is refused.
pub const API_VERSION: u16 = 5;

/// [`EngineStatus::token_problem`] of an engine that has just started: no problem yet, but no token either.
pub const TOKEN_OPENING: &str = "the token is being opened";

/// The device that a password is encrypted to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeviceTarget {
    /// The device's certificate (DER).
    pub certificate: Base64Bytes,
    /// Certificates (DER) that may lie between it and a configured anchor, in any order; eight at most.
    #[serde(default)]
    pub intermediates: Vec<Base64Bytes>,
}

/// Re-encrypt one password to one device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RecryptRequest {
    /// Name of the request, for logs and receipts.
    pub request_id: String,
    /// The importer's record.
    pub record: Record,
    /// The PFX that the record speaks of, as stored.
    pub pfx: Base64Bytes,
    /// Where the password goes.
    pub device: DeviceTarget,
    /// In which form.
    pub format: CmsFormat,
}

/// A record with the PFX that it speaks of, as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StoredPfx {
    /// The importer's record.
    pub record: Record,
    /// The PFX.
    pub pfx: Base64Bytes,
}

/// Open PFX files and make of them what a device takes: every delivery but [`Delivery::Password`], which is [`RecryptRequest`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeliverRequest {
    /// Name of the request, for logs and receipts.
    pub request_id: String,
    /// What the device gets.
    pub delivery: Delivery,
    /// What it is made from: one record for [`Delivery::Rewrap`]; up to [`MAX_CERTIFICATES`] of one user for [`Delivery::AppleProfile`].
    pub certificates: Vec<StoredPfx>,
    /// Where it goes.
    pub device: DeviceTarget,
    /// How it is encrypted to the device.
    pub format: CmsFormat,
}

/// Certificates of one user in one request.
pub const MAX_CERTIFICATES: usize = 32;

/// What a device gets of a [`DeliverRequest`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Delivered {
    /// Rewrap: the fresh password, CMS ContentInfo with EnvelopedData to the device (DER).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encrypted_password: Option<Base64Bytes>,
    /// Rewrap: the new PFX, CMS ContentInfo with EnvelopedData to the device (DER).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encrypted_pfx: Option<Base64Bytes>,
    /// Apple profile: the configuration profile (a property list), its content encrypted to the device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<Base64Bytes>,
    /// Thumbprints of the certificates that are in it, the newest (by the beginning of its validity) first.
    pub certificates: Vec<String>,
    /// Fingerprints of the custody keys that were used.
    pub custody_keys: Vec<String>,
}

/// Re-encrypt the password of one record to another custody key, and sign the record anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReencryptRequest {
    /// Name of the request, for logs.
    pub request_id: String,
    /// The importer's record.
    pub record: Record,
    /// The PFX that the record speaks of, as stored.
    pub pfx: Base64Bytes,
    /// Fingerprint of the new custody key.
    pub to: String,
    /// The new padding; without it the strongest that the tokens remove themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub padding: Option<Padding>,
}

/// A request to the engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "camelCase")]
pub enum EngineRequest {
    /// Re-encrypt one password.
    Recrypt(Box<RecryptRequest>),
    /// Open PFX files and make of them what a device takes.
    Deliver(Box<DeliverRequest>),
    /// Re-encrypt one record to another custody key.
    Reencrypt(Box<ReencryptRequest>),
    /// Make a private key and its CSR.
    MakeKey(Box<MakeKeyRequest>),
    /// Put an issued certificate and its key into a PFX, encrypted to a device.
    Pack(Box<PackRequest>),
    /// Say whether something can be encrypted to a device.
    JudgeDevice(Box<JudgeDeviceRequest>),
    /// Issue a certificate.
    Issue(Box<IssueRequest>),
    /// Sign a revocation list.
    SignCrl(Box<SignCrlRequest>),
    /// Sign an OCSP answer.
    SignOcsp(Box<SignOcspRequest>),
    /// Sign a TLS 1.3 handshake as a client.
    SignTls(Box<SignTlsRequest>),
    /// Sign a request for a certificate of the client's own.
    SignClientCsr(Box<SignClientCsrRequest>),
    /// Show or lift quarantine and suspensions.
    Oracle(OracleRequest),
    /// Give leave for a dangerous step that a command does itself.
    Allow(Box<AllowRequest>),
    /// Report what runs and how it fares.
    Status,
}

impl EngineRequest {
    /// What is asked for: whose rule decides who may.
    #[must_use]
    pub fn verb(&self) -> Verb {
        match self {
            Self::Recrypt(_) => Verb::Recrypt,
            Self::Deliver(_) => Verb::Deliver,
            Self::Reencrypt(_) => Verb::Reencrypt,
            Self::MakeKey(_) => Verb::MakeKey,
            Self::Pack(_) => Verb::Pack,
            Self::JudgeDevice(_) => Verb::JudgeDevice,
            Self::Issue(_) => Verb::Issue,
            Self::SignCrl(_) => Verb::SignCrl,
            Self::SignOcsp(_) => Verb::SignOcsp,
            Self::SignTls(_) => Verb::SignTls,
            Self::SignClientCsr(_) => Verb::SignClientCsr,
            Self::Oracle(OracleRequest::Show) => Verb::OracleShow,
            Self::Oracle(OracleRequest::Release { .. }) => Verb::OracleRelease,
            Self::Allow(request) => request.subject.verb(),
            Self::Status => Verb::Status,
        }
    }

    /// What has to be approved, and by what it is said to be, in those that have a place for that. No wildcard: whoever adds a request decides.
    #[must_use]
    pub fn dangerous_step(&self) -> Option<DangerousStep> {
        match self {
            Self::Oracle(OracleRequest::Release { release, approvals }) => Some(DangerousStep {
                subject: Subject::OracleRelease { release: *release },
                approvals: approvals.clone(),
            }),
            Self::Allow(request) => Some(DangerousStep {
                subject: request.subject.clone(),
                approvals: request.approvals.clone(),
            }),
            Self::Recrypt(_)
            | Self::Deliver(_)
            | Self::Reencrypt(_)
            | Self::MakeKey(_)
            | Self::Pack(_)
            | Self::JudgeDevice(_)
            | Self::Issue(_)
            | Self::SignCrl(_)
            | Self::SignOcsp(_)
            | Self::SignTls(_)
            | Self::SignClientCsr(_)
            | Self::Oracle(OracleRequest::Show)
            | Self::Status => None,
        }
    }
}

/// The engine's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "camelCase")]
pub enum EngineReply {
    /// The password, encrypted to the device.
    Recrypted(Recrypted),
    /// What the device gets.
    Delivered(Box<Delivered>),
    /// The record for the new custody key, signed by the engine's signing key.
    Reencrypted(Box<Reencrypted>),
    /// The CSR, and the private key sealed.
    KeyMade(Box<MadeKey>),
    /// The PFX and its password, encrypted to the device.
    Packed(Box<Packed>),
    /// Something can be encrypted to the device.
    DeviceJudged,
    /// The certificate.
    Issued(Box<IssuedCertificate>),
    /// The revocation list.
    CrlSigned(Box<SignedCrl>),
    /// The OCSP answer.
    OcspSigned(Box<SignedOcsp>),
    /// The handshake's signature.
    TlsSigned(Box<SignedTls>),
    /// The request for a certificate.
    ClientCsrSigned(Box<SignedClientCsr>),
    /// What is quarantined, and who is suspended.
    Oracle(Box<OracleReport>),
    /// Leave is given, and recorded.
    Allowed(Allowed),
    /// The report.
    Status(Box<EngineStatus>),
    /// It did not work.
    Failed(Failure),
}

/// A password encrypted to a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Recrypted {
    /// CMS ContentInfo with EnvelopedData (DER).
    pub cms: Base64Bytes,
    /// Fingerprint of the custody key that was used.
    pub custody_key: String,
}

/// A record for another custody key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Reencrypted {
    /// The record; user, thumbprint, provider and PFX are those of the old one.
    pub record: Record,
}

/// What the engine reports of itself. Nothing in it is secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EngineStatus {
    /// Version of the program.
    pub version: String,
    /// Version of the cryptographic module, e.g. `AWS-LC FIPS 3.1.0`.
    pub module_version: String,
    /// The program file that the engine runs, and whether it is still the one under its name; null from a release that did not tell.
    #[serde(default)]
    pub program: Option<ProgramStatus>,
    /// Why the engine does no cryptography any more; null while it does.
    #[serde(default)]
    pub module_fault: Option<FaultEvidence>,
    /// What each process of the engine says of its cryptography: supervisor, custody, formats.
    #[serde(default)]
    pub fips: Vec<ProcessEvidence>,
    /// The token (null while it is not reachable).
    pub token: Option<serde_json::Value>,
    /// The CMVP certificate of the token that the operator states in the configuration; null: none is stated.
    #[serde(default)]
    pub token_certificate: Option<String>,
    /// Why the token is not reachable; null while it is.
    #[serde(default)]
    pub token_problem: Option<String>,
    /// The revocation lists that device certificates are looked up in; empty from a release that did not tell.
    #[serde(default)]
    pub revocation_lists: Vec<ListStatus>,
    /// What the token does natively and what is done in software.
    pub capabilities: Option<serde_json::Value>,
    /// Custody keys found, with the reason for each that is refused.
    pub keys: Vec<KeyStatus>,
    /// The processes of the engine.
    pub parts: Vec<PartStatus>,
    /// Names of the exceptions in force, such as `no-device-anchors`.
    pub exceptions: Vec<String>,
    /// The deliveries that may be asked for; empty from a release that knows none but `password`.
    #[serde(default)]
    pub deliveries: Vec<Delivery>,
    /// Private-key operations asked of the token for requests since the custody process started (canaries not counted).
    pub key_uses: u64,
    /// Requests that were answered by the decryption of another one for the same ciphertext, since the custody process started.
    #[serde(default)]
    pub decryptions_shared: u64,
    /// Every token of the configuration.
    #[serde(default)]
    pub tokens: Vec<TokenStatus>,
    /// What custody did by itself among its tokens.
    #[serde(default)]
    pub switching: SwitchingStatus,
    /// Budgets and quarantine; null while custody does not report.
    #[serde(default)]
    pub oracle: Option<OracleStatus>,
    /// Keys made and packed; null where `[engine.issuance]` is not configured, and while custody does not report.
    #[serde(default)]
    pub issuance: Option<IssuanceStatus>,
    /// The log of uses of the key; null under the exception `no-receipts`, and while custody does not report.
    #[serde(default)]
    pub audit: Option<audit::Status>,
    /// Certification authorities whose keys are on the token; empty from a release that had none.
    #[serde(default)]
    pub authorities: Vec<AuthorityStatus>,
    /// Custody keys that decrypt records of old imports (PKCS#1 v1.5), and until when.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pkcs1_keys: Vec<Pkcs1KeyStatus>,
    /// Everything with an end that the engine depends on; empty from a release that did not tell, and while custody does not report.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calendar: Vec<Dated>,
    /// Requests answered since the supervisor started.
    pub answered: u64,
    /// Requests in flight.
    pub in_flight: u64,
    /// It is what connectors are told: what tells single requests apart is zero, null or missing, and figures are up to a minute old. False for
    /// the engine's own user, who is told everything as it is.
    #[serde(default)]
    pub coarse: bool,
}

impl EngineStatus {
    /// Whether the custody process is heard in it.
    #[must_use]
    pub fn custody_reports(&self) -> bool {
        self.oracle.is_some()
    }
}

/// The program file of a running process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProgramStatus {
    /// Its name when the process started.
    pub path: String,
    /// What is under that name now.
    pub on_disk: OnDisk,
}

/// What is under the name of a program that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OnDisk {
    /// The file that runs.
    Same,
    /// Another one: the program was upgraded and its service not restarted since.
    Another,
    /// None.
    Missing,
    /// This process may not look.
    Unknown,
}

impl ProgramStatus {
    /// What an operator has to know of it, with the remedy; `None`: nothing, or nothing is known.
    #[must_use]
    pub fn notice(&self) -> Option<String> {
        let found = match self.on_disk {
            OnDisk::Same | OnDisk::Unknown => return None,
            OnDisk::Another => "is another file than the one that runs",
            OnDisk::Missing => "is not there any more, and what was there still runs",
        };
        Some(format!(
            "{} {found}: the engine goes on with the old program until its service is restarted",
            self.path
        ))
    }
}

/// A custody key in a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyStatus {
    /// SHA-256 of the SubjectPublicKeyInfo.
    pub fingerprint: String,
    /// The token's label of it.
    pub label: String,
    /// Size of the modulus in bits.
    pub modulus_bits: u32,
    /// Why it is refused; empty when it is used.
    pub problems: Vec<String>,
    /// Where it came from, in words: generated here, or a copy that was unwrapped here; empty from a release that did not tell.
    #[serde(default)]
    pub origin: String,
    /// The attributes that the token reports of it, by PKCS#11 name.
    #[serde(default)]
    pub attributes: serde_json::Value,
    /// Names of the tokens that have it, as last seen.
    #[serde(default)]
    pub tokens: Vec<String>,
    /// What an operator should know of a key that is used: `single_copy` when it is on one token only.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// A token in a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TokenStatus {
    /// Its name in the configuration.
    pub name: String,
    /// Whether it is there.
    pub state: MemberState,
    /// Why not; null while it is.
    pub problem: Option<String>,
    /// No new requests go to it: `drain` is set in the configuration.
    pub drained: bool,
    /// Requests that it has in hand.
    pub in_hand: usize,
    /// For how much longer it is avoided after a failure, in milliseconds; null while it is not.
    pub avoided_ms: Option<u64>,
    /// Share of the requests that it would get now, in thousandths.
    pub weight_per_mille: u32,
    /// Requests given to it since the custody process started.
    pub requests: u64,
    /// Those that failed because of it.
    pub failures: u64,
    /// The CMVP certificate that the operator states for it.
    pub certificate: Option<String>,
    /// What it says of itself; null while it is not open.
    pub token: Option<serde_json::Value>,
    /// What it was seen to do; null while it is not open.
    pub capabilities: Option<serde_json::Value>,
    /// What waits and runs there, and how long that takes; null while it is not open.
    pub load: Option<Load>,
    /// What was done to come through its trouble since it was opened; null while it is not open.
    pub healing: Option<HealingStatus>,
}

/// What custody did by itself among its tokens, since its process started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SwitchingStatus {
    /// Requests that went to another token after one was in trouble or had no time.
    pub failovers: u64,
    /// Requests that went to another token because nothing came back from theirs.
    pub rescues: u64,
    /// Slow requests that were begun a second time.
    pub hedges: u64,
    /// Those of them that the second token answered first.
    pub hedges_won: u64,
}

/// A process of the engine in a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PartStatus {
    /// `supervisor`, `custody` or `formats`.
    pub name: String,
    /// Process id; null while it is being restarted.
    pub pid: Option<u32>,
    /// How often it was restarted.
    pub restarts: u64,
    /// Resident memory in bytes, where the system tells.
    pub resident_bytes: Option<u64>,
    /// What it could not do to protect itself, such as locking its memory.
    #[serde(default)]
    pub notes: Vec<String>,
    /// Its sandbox, as it says itself; null while it says nothing, and from a release that had none.
    #[serde(default)]
    pub sandbox: Option<sandbox::Report>,
    /// What the kernel says of it; null where it does not run.
    #[serde(default)]
    pub kernel: Option<KernelWord>,
}

impl PartStatus {
    /// Whether it says that its system calls are filtered, and the kernel says otherwise.
    #[must_use]
    pub fn contradicts_its_sandbox(&self) -> bool {
        self.kernel.is_some()
            && !self.is_filtered()
            && self.sandbox.as_ref().is_some_and(|said| said.calls > 0)
    }

    /// Whether the kernel says that its system calls are filtered and that it can gain no rights.
    #[must_use]
    pub fn is_filtered(&self) -> bool {
        self.kernel
            .is_some_and(|kernel| kernel.seccomp == 2 && kernel.no_new_privs)
    }
}
