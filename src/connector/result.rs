//! A result as the journal keeps it and the gateway gets it. Everything in it is encrypted to the device.

use crate::encoding::Base64Bytes;
use crate::engine::api::Delivered;
use crate::gateway::revocation_api::RevocationResult;
use serde::{Deserialize, Serialize};

/// What a delivery is made of; what is not of it is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DeviceResult {
    /// The PFX' password: CMS EnvelopedData (DER).
    #[serde(default, skip_serializing_if = "Base64Bytes::is_empty")]
    pub(super) encrypted_password: Base64Bytes,
    /// A new PFX: CMS EnvelopedData (DER).
    #[serde(default, skip_serializing_if = "Base64Bytes::is_empty")]
    pub(super) encrypted_pfx: Base64Bytes,
    /// A configuration profile.
    #[serde(default, skip_serializing_if = "Base64Bytes::is_empty")]
    pub(super) profile: Base64Bytes,
    /// PKCS requests: the certificate that was issued (DER).
    #[serde(default, skip_serializing_if = "Base64Bytes::is_empty")]
    pub(super) certificate: Base64Bytes,
    /// Revocations: how the certificate came to be revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) revocation: Option<RevocationResult>,
}

impl From<Delivered> for DeviceResult {
    fn from(delivered: Delivered) -> Self {
        Self {
            encrypted_password: delivered.encrypted_password.unwrap_or_default(),
            encrypted_pfx: delivered.encrypted_pfx.unwrap_or_default(),
            profile: delivered.profile.unwrap_or_default(),
            certificate: Base64Bytes::default(),
            revocation: None,
        }
    }
}

impl DeviceResult {
    /// A password alone.
    pub(super) fn password(cms: Base64Bytes) -> Self {
        Self {
            encrypted_password: cms,
            ..Self::default()
        }
    }

    /// That a certificate is revoked.
    pub(super) fn revoked(result: RevocationResult) -> Self {
        Self {
            revocation: Some(result),
            ..Self::default()
        }
    }

    /// As the journal keeps it: a password alone as the CMS message that it is, which older releases read; everything else as JSON.
    pub(super) fn to_journal(&self) -> Vec<u8> {
        if self.encrypted_pfx.is_empty() && self.profile.is_empty() && self.revocation.is_none() {
            return self.encrypted_password.0.clone();
        }
        // Fields of base64 have a JSON form.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// What the journal keeps. DER of a CMS message begins with 0x30, and no JSON object does.
    pub(super) fn of_journal(bytes: Vec<u8>) -> Self {
        if bytes.first() == Some(&b'{')
            && let Ok(result) = serde_json::from_slice(&bytes)
        {
            return result;
        }
        Self::password(bytes.into())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;

    #[test]
    fn results_come_out_of_the_journal_as_they_went_in_and_passwords_as_older_releases_keep_them() {
        let password = DeviceResult::password(vec![0x30, 0x80, 1].into());
        assert_eq!(password.to_journal(), [0x30, 0x80, 1]);
        let rewrap = DeviceResult {
            encrypted_pfx: vec![0x30, 2].into(),
            ..password.clone()
        };
        let profile = DeviceResult {
            profile: b"<?xml".to_vec().into(),
            ..DeviceResult::default()
        };
        let revoked = DeviceResult::revoked(RevocationResult::Already);
        for result in [password, rewrap, profile, revoked] {
            assert_eq!(DeviceResult::of_journal(result.to_journal()), result);
        }
    }
}
