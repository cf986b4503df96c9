//! Whose records and which devices the engine accepts, from its configuration. Nothing is accepted by default: where the
//! configuration names nobody, the exception has to be named instead.

mod authorities;
mod text;

pub use authorities::LocalAuthority;
pub use text::{approvals_folder, text_of};

use super::recrypt::anchors::{self, LoadError};
use super::recrypt::approvers;
use super::recrypt::chain::DeviceTrust;
use super::recrypt::importers::{self, Importer};
use super::recrypt::rules::DeviceRules;
use crate::config::{EngineConfig, EngineException};
use crate::encoding::Base64Bytes;
use audit::approval::Quorum;
use fips::policy::{Mode, in_force};
use std::sync::Arc;

/// The engine's checked policy.
#[derive(Debug, Clone)]
pub struct EnginePolicy {
    /// Whose device certificates are accepted.
    pub devices: DeviceTrust,
    /// What else they are asked for.
    pub rules: Arc<DeviceRules>,
    /// The configured anchors (DER), for the formats process.
    pub anchors_der: Vec<Base64Bytes>,
    /// Whose records are accepted.
    pub importers: Vec<Importer>,
    /// Whether records without a signature are accepted.
    pub unsigned_records: bool,
    /// Whether the format with DES-EDE3 may be asked for.
    pub cms_des_ede3: bool,
    /// Certification authorities whose keys are on the token.
    pub authorities: Vec<LocalAuthority>,
    /// Who has to approve what is dangerous; none: nobody.
    pub approvals: Option<Quorum>,
    /// Whether keys that are extractable or not sensitive may be used.
    pub extractable_keys: bool,
}

/// Why the engine does not start with this configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// Neither anchors nor the exception.
    #[error(
        "no device_anchors are configured: name the certificates of the authorities that issue to devices, or add \
         \"no-device-anchors\" to exceptions (whoever controls the service can then have passwords encrypted to a key of their own)"
    )]
    NoDeviceAnchors,
    /// Neither importers nor the exception.
    #[error(
        "no importers are configured: name the public keys of those who sign records, or add \"unsigned-records\" to exceptions \
         (whoever controls the service can then mix users, PFX files and passwords)"
    )]
    NoImporters,
    /// Neither an audit log nor the exception, or both, or not exactly one key.
    #[error(
        "no audit log is configured: name `folder` and exactly one of `signing_key_file` and `signing_key` in [engine.audit], or add \
         \"no-receipts\" to exceptions (nobody can then say what was decrypted)"
    )]
    NoReceipts,
    /// Keys for PKCS#1 v1.5 in strict FIPS mode.
    #[error(
        "engine.pkcs1_keys names a custody key, and in strict FIPS mode none decrypts PKCS#1 v1.5, by no exception: import the records again with \
         an OAEP padding, or have an engine of its own in mode off re-encrypt them"
    )]
    Pkcs1InStrictMode,
    /// A file of the operator's cannot be used.
    #[error(transparent)]
    File(#[from] LoadError),
}

impl EnginePolicy {
    /// Reads the files that the configuration names, and refuses a configuration that would accept anybody without saying so.
    ///
    /// # Errors
    /// [`PolicyError`].
    pub fn load(config: &EngineConfig) -> Result<Self, PolicyError> {
        let has = |exception| config.exceptions.contains(&exception);
        if config.device_anchors.is_empty() && !has(EngineException::NoDeviceAnchors) {
            return Err(PolicyError::NoDeviceAnchors);
        }
        if config.importers.is_empty() && !has(EngineException::UnsignedRecords) {
            return Err(PolicyError::NoImporters);
        }
        let is_recorded = config
            .audit
            .as_ref()
            .map(|audit| audit.signing_key_file.is_some() != audit.signing_key.is_some());
        if is_recorded != (!has(EngineException::NoReceipts)).then_some(true) {
            return Err(PolicyError::NoReceipts);
        }
        if !config.pkcs1_keys.is_empty() && in_force().mode() == Mode::Strict {
            return Err(PolicyError::Pkcs1InStrictMode);
        }
        let anchors = anchors::load(&config.device_anchors)?;
        let anchors_der = anchors
            .iter()
            .map(|anchor| Base64Bytes(anchor.der().to_vec()))
            .collect();
        let devices = if has(EngineException::NoDeviceAnchors) {
            DeviceTrust::Unanchored
        } else {
            DeviceTrust::Anchors(anchors)
        };
        Ok(Self {
            devices,
            rules: Arc::new(DeviceRules::load(&config.device_policy)?),
            anchors_der,
            importers: importers::load(&config.importers)?,
            unsigned_records: has(EngineException::UnsignedRecords),
            cms_des_ede3: has(EngineException::CmsDesEde3),
            authorities: config
                .ca
                .iter()
                .map(LocalAuthority::load)
                .collect::<Result<_, _>>()?,
            approvals: config.approvals.as_ref().map(approvers::load).transpose()?,
            extractable_keys: has(EngineException::ExtractableKeys),
        })
    }
}
