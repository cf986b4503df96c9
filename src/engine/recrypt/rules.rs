//! What the operator asks of device certificates besides a path to an anchor: `[engine.device_policy]`.

use super::anchors::{Anchor, LoadError};
use super::chain::{ChainError, RSA_MODULUS_BITS};
use super::revocation::{Revocation, Step, WithoutList};
use super::signatures::KeyKind;
use crate::config::{DeviceKeyKind, DevicePolicyConfig, RevocationMode};

/// The rules. Without a configuration they ask for nothing that every device certificate is not asked for.
#[derive(Debug, Default)]
pub struct DeviceRules {
    minimum_rsa_bits: usize,
    /// `None`: every kind that can be encrypted to.
    kinds: Option<Vec<DeviceKeyKind>>,
    require_key_usage: bool,
    revocation: Option<Revocation>,
}

impl DeviceRules {
    /// The rules of a configuration.
    ///
    /// # Errors
    /// [`LoadError`] when a file with revocation lists cannot be used.
    pub fn load(config: &DevicePolicyConfig) -> Result<Self, LoadError> {
        let without = match config.revocation {
            RevocationMode::Require => WithoutList::Refuse,
            RevocationMode::Prefer => WithoutList::Accept,
        };
        let revocation = match config.crls.as_slice() {
            [] => None,
            files => Some(Revocation::load(files.to_vec(), without)?),
        };
        Ok(Self {
            minimum_rsa_bits: config.minimum_rsa_bits,
            kinds: Some(config.keys.clone()),
            require_key_usage: config.require_key_usage,
            revocation,
        })
    }

    /// The revocation lists, where some are configured.
    #[must_use]
    pub fn revocation(&self) -> Option<&Revocation> {
        self.revocation.as_ref()
    }

    /// The device's own key and what its certificate says it is for.
    pub(super) fn check_key(
        &self,
        kind: KeyKind,
        spki: &[u8],
        key_usage: Option<u8>,
    ) -> Result<(), ChainError> {
        let allowed = |wanted| {
            self.kinds
                .as_ref()
                .is_none_or(|kinds| kinds.contains(&wanted))
        };
        let kind_allowed = match kind {
            KeyKind::Rsa => allowed(DeviceKeyKind::Rsa),
            KeyKind::P256 => allowed(DeviceKeyKind::EcP256),
            KeyKind::P384 => allowed(DeviceKeyKind::EcP384),
            KeyKind::P521 => allowed(DeviceKeyKind::EcP521),
            KeyKind::RsaPss => false,
        };
        // What every key is asked for was checked before.
        let long_enough = kind != KeyKind::Rsa
            || self.minimum_rsa_bits <= *RSA_MODULUS_BITS.start()
            || fips::rsa::PublicKey::from_spki(spki)
                .is_ok_and(|key| key.modulus_bits() >= self.minimum_rsa_bits);
        if !kind_allowed || !long_enough {
            return Err(ChainError::KeyNotAllowed);
        }
        if self.require_key_usage && key_usage.is_none() {
            return Err(ChainError::NoKeyUsage);
        }
        Ok(())
    }

    /// The certificates of a path whose signatures are verified, against the revocation lists.
    pub(super) fn check_revocation(
        &self,
        path: &[Step<'_>],
        anchors: &[Anchor],
        now: &[u8; 14],
    ) -> Result<(), ChainError> {
        let Some(revocation) = &self.revocation else {
            return Ok(());
        };
        path.iter()
            .try_for_each(|step| revocation.check(step, anchors, now))
    }
}
