//! What may be asked of the engine, and what it answers: the messages that cross its unix socket (JSON in the frames of `ipc`).

use crate::encoding::Base64Bytes;
use crate::record::Record;
use audit::Verb;
use hsm::Padding;
use serde::{Deserialize, Serialize};

mod approval;
mod authority;
pub mod keys;
mod oracle;
mod status;

pub use approval::{AllowRequest, Allowed, ApprovalFile};
pub use authority::{
    AuthorityStatus, IssueRequest, IssuedCertificate, RevokedSerial, SerialState, SerialStatus,
    SignCrlRequest, SignOcspRequest, SignedCrl, SignedOcsp,
};
pub use keys::{IssuanceStatus, MadeKey, MakeKeyRequest, PackRequest, Packed};
pub use oracle::{OracleReport, OracleRequest, OracleStatus, QuarantinedCiphertext, SubjectStatus};
pub use status::{
    EngineStatus, HealingStatus, KeyStatus, OnDisk, PartStatus, ProgramStatus, SwitchingStatus,
    TokenStatus,
};

/// Version of these messages; a greeting with another one is refused.
pub const API_VERSION: u16 = 3;

/// [`EngineStatus::token_problem`] of an engine that has just started: no problem yet, but no token either.
pub const TOKEN_OPENING: &str = "the token is being opened";

/// How the password is encrypted to the device (RFC 5652 EnvelopedData, one recipient by issuerAndSerialNumber).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CmsFormat {
    /// RSA: RSAES-OAEP (SHA-256, MGF1 SHA-256) and AES-256-CBC. EC: ECDH (dhSinglePass-stdDH-sha256kdf), AES-256 key wrap, AES-256-CBC.
    Modern,
    /// As `modern` with AES-256-GCM, in AuthEnvelopedData (RFC 5083): changes are noticed. For devices that are known to read it, which
    /// OpenSSL 3 does; NSS 3.87, GnuPG 2.2 and readers that know EnvelopedData alone do not.
    ModernGcm,
    /// RSA only: RSAES-PKCS1-v1_5 and AES-256-CBC, for devices that know nothing newer.
    Compatible,
    /// RSA only: RSAES-PKCS1-v1_5 and DES-EDE3-CBC, for devices of the existing connector's days; an opt-in of the engine.
    CompatibleDesEde3,
}

/// What a device gets.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "camelCase")]
pub enum Delivery {
    /// The stored PFX as it is, and its password encrypted to the device.
    #[default]
    Password,
    /// A new PFX with the same key and certificate under a fresh password, both encrypted to the device.
    Rewrap,
    /// One configuration profile for Apple's systems with all of the user's certificates, its content encrypted to the device.
    AppleProfile,
}

impl Delivery {
    /// Every one of them.
    pub const ALL: [Self; 3] = [Self::Password, Self::Rewrap, Self::AppleProfile];

    /// Its name in messages, also among the features of a connector.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Rewrap => "rewrap",
            Self::AppleProfile => "appleProfile",
        }
    }

    /// Its name in the configuration and on the command line.
    #[must_use]
    pub const fn config_name(self) -> &'static str {
        match self {
            Self::AppleProfile => "apple-profile",
            other => other.name(),
        }
    }

    /// The delivery of a name in messages.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }

    /// Why it is not made in this format; `None` where it is.
    ///
    /// EncryptedPayloadContent of a configuration profile is EnvelopedData (Apple's Configuration Profile Reference); AuthEnvelopedData is
    /// another content type (RFC 5083), which no profile holds.
    #[must_use]
    pub const fn refuses(self, format: CmsFormat) -> Option<&'static str> {
        match (self, format) {
            (Self::AppleProfile, CmsFormat::ModernGcm) => Some(
                "a configuration profile holds its content as EnvelopedData, and the format modernGcm makes AuthEnvelopedData, which Apple's \
                 systems do not read there: ask for the format modern",
            ),
            _ => None,
        }
    }

    /// For messages to older releases: what they do not know is left out where it is what they do.
    #[must_use]
    pub fn is_password(&self) -> bool {
        *self == Self::Password
    }
}

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
    /// Issue a certificate.
    Issue(Box<IssueRequest>),
    /// Sign a revocation list.
    SignCrl(Box<SignCrlRequest>),
    /// Sign an OCSP answer.
    SignOcsp(Box<SignOcspRequest>),
    /// Make a private key and its CSR.
    MakeKey(Box<MakeKeyRequest>),
    /// Put an issued certificate and its key into a PFX, encrypted to a device.
    Pack(Box<PackRequest>),
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
            Self::Issue(_) => Verb::Issue,
            Self::SignCrl(_) => Verb::SignCrl,
            Self::SignOcsp(_) => Verb::SignOcsp,
            Self::MakeKey(_) => Verb::MakeKey,
            Self::Pack(_) => Verb::Pack,
            Self::Oracle(OracleRequest::Show) => Verb::OracleShow,
            Self::Oracle(OracleRequest::Release { .. }) => Verb::OracleRelease,
            Self::Allow(request) => request.subject.verb(),
            Self::Status => Verb::Status,
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
    /// The certificate.
    Issued(Box<IssuedCertificate>),
    /// The revocation list.
    CrlSigned(Box<SignedCrl>),
    /// The OCSP answer.
    OcspSigned(Box<SignedOcsp>),
    /// The CSR, and the private key sealed.
    KeyMade(Box<MadeKey>),
    /// The PFX and its password, encrypted to the device.
    Packed(Box<Packed>),
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

/// Why a request failed, as far as it may be told outside the engine. The operator's log of the engine says more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Failure {
    /// What happened.
    pub code: FailureCode,
    /// The same in words, with the remedy; one fixed sentence for [`FailureCode::DecryptionFailed`].
    pub message: String,
}

/// Stable failure codes of the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum FailureCode {
    /// Anything that went wrong in a decryption: one code and one sentence for all of it.
    DecryptionFailed,
    /// The record is not what a configured importer signed, or names no signature.
    RecordRefused,
    /// The custody key that the record names is not on the token, or may not be used.
    KeyNotFound,
    /// The device certificate is malformed, expired, too weak, not for encryption, or does not chain to an anchor.
    DeviceCertificateRefused,
    /// The requested format does not fit the device key or is not allowed here.
    FormatRefused,
    /// The kind of delivery is not allowed here.
    DeliveryRefused,
    /// The PFX is not what its record says, cannot be read here, or is not the user's.
    PfxRefused,
    /// The sealed key is not the request's, or none that an engine has sealed.
    SealedKeyRefused,
    /// The issued certificate is not what its request asked for: another key, other names, or not of this time.
    IssuedCertificateRefused,
    /// No certificates are made for this platform.
    PlatformRefused,
    /// The request is not well-formed or over a limit.
    BadRequest,
    /// The token or its module does not answer; later it may.
    TokenUnavailable,
    /// The engine's cryptographic module failed: it does nothing before a restart.
    ModuleOutOfService,
    /// A part of the engine died or hung over this request too often.
    EngineFault,
    /// The importer of the record is suspended: too many of its ciphertexts failed. Later it may work.
    ImporterSuspended,
    /// A budget is used up: of the caller, or of the record's ciphertext. Later it may work.
    BudgetExceeded,
    /// The use of the key cannot be recorded, so it is not used: later it may.
    AuditUnavailable,
    /// It needs approvals, and those that came are not enough.
    ApprovalMissing,
    /// The authority does not issue what is asked for: no profile allows it, or its own certificate does not.
    IssuanceRefused,
    /// Too much is in flight; later it may work.
    Busy,
    /// The deadline passed before an answer was there.
    DeadlineExceeded,
}

impl FailureCode {
    /// Whether the engine refuses by a rule of its own and for some time: nothing is wrong with it, its token or the request, and asking
    /// again at once is of no use.
    #[must_use]
    pub fn is_suspension(self) -> bool {
        matches!(self, Self::ImporterSuspended | Self::BudgetExceeded)
    }

    /// Whether the same request may succeed later without anybody changing it.
    #[must_use]
    pub fn is_transient(self) -> bool {
        matches!(
            self,
            Self::TokenUnavailable
                | Self::AuditUnavailable
                | Self::ModuleOutOfService
                | Self::ImporterSuspended
                | Self::BudgetExceeded
                | Self::Busy
                | Self::DeadlineExceeded
                | Self::EngineFault
        )
    }
}
