//! What a device gets, and in which form.

use serde::{Deserialize, Serialize};

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
