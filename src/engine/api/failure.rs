//! Why a request failed, as far as it may be told outside the engine.

use serde::{Deserialize, Serialize};

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
    /// Whether the device's certificate is revoked cannot be told: its issuer's list is out of date or not there. Later it may be. What has no
    /// order at an authority is refused as [`DeviceCertificateRefused`](Self::DeviceCertificateRefused) instead.
    RevocationUnknown,
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
                | Self::RevocationUnknown
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
