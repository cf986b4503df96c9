//! Keys that the engine makes for certificates of others: a key and its certification request, and later the key with its certificate for
//! a device.
//!
//! ```text
//! MakeKey: subject, names, usages -> key in the module -> CSR (RFC 2986), and the private key sealed ([`MadeKey::sealed_key`])
//!                                    ... the caller keeps both, and asks an authority; that may take days ...
//! Pack:    sealed key, CSR, issued certificate, device -> PFX under a fresh password, both encrypted to the device
//! ```
//!
//! The engine remembers nothing between the two: what it needs is in the sealed key, which only a custody key opens. So another engine with
//! the same custody key can pack what this one made.

use super::{CmsFormat, DeviceTarget};
use crate::encoding::Base64Bytes;
use serde::{Deserialize, Serialize};

/// The longest subject, as RFC 4514 text, in bytes.
pub const MAX_SUBJECT_BYTES: usize = 4096;
/// Subject alternative names of one request.
pub const MAX_ALT_NAMES: usize = 32;
/// The longest of them, in bytes.
pub const MAX_ALT_NAME_BYTES: usize = 1024;
/// Extended key usages of one request.
pub const MAX_EXTENDED_KEY_USAGES: usize = 16;
/// The longest challenge password, in bytes (RFC 2985: pkcs-9-ub-challengePassword).
pub const MAX_CHALLENGE_BYTES: usize = 255;
/// The longest CSR and certificate, in bytes.
pub const MAX_CERTIFICATE_BYTES: usize = 16 * 1024;
/// The longest sealed key, in bytes.
pub const MAX_SEALED_KEY_BYTES: usize = 16 * 1024;
/// Certificates that may come with an issued one.
pub const MAX_CHAIN: usize = 8;

/// A private key that can be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum KeyType {
    /// RSA with 2048 bits.
    Rsa2048,
    /// RSA with 3072 bits.
    Rsa3072,
    /// RSA with 4096 bits.
    Rsa4096,
    /// EC on NIST P-256.
    EcP256,
    /// EC on NIST P-384.
    EcP384,
    /// EC on NIST P-521.
    EcP521,
}

impl KeyType {
    /// Every one of them.
    pub const ALL: [Self; 6] = [
        Self::Rsa2048,
        Self::Rsa3072,
        Self::Rsa4096,
        Self::EcP256,
        Self::EcP384,
        Self::EcP521,
    ];

    /// Its name in messages and in the audit log.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rsa2048 => "rsa2048",
            Self::Rsa3072 => "rsa3072",
            Self::Rsa4096 => "rsa4096",
            Self::EcP256 => "ecP256",
            Self::EcP384 => "ecP384",
            Self::EcP521 => "ecP521",
        }
    }

    /// Whether it is an RSA key.
    #[must_use]
    pub const fn is_rsa(self) -> bool {
        matches!(self, Self::Rsa2048 | Self::Rsa3072 | Self::Rsa4096)
    }
}

/// How a CSR is signed by its own key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CsrSignature {
    /// RSA: RSASSA-PKCS1-v1_5 with SHA-256. EC: ECDSA with the hash that fits the curve.
    #[default]
    Usual,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Pkcs1Sha384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Pkcs1Sha512,
    /// RSASSA-PSS with SHA-256, 32 bytes of salt.
    PssSha256,
    /// RSASSA-PSS with SHA-384, 48 bytes of salt.
    PssSha384,
    /// RSASSA-PSS with SHA-512, 64 bytes of salt.
    PssSha512,
}

/// A name beside the subject (RFC 5280 section 4.2.1.6).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AltName {
    /// rfc822Name.
    Email(String),
    /// otherName with a Microsoft user principal name (1.3.6.1.4.1.311.20.2.3).
    Upn(String),
    /// dNSName.
    Dns(String),
    /// uniformResourceIdentifier; among them `tag:microsoft.com,2022-09-14:sid:S-1-...`.
    Uri(String),
}

/// A bit of keyUsage (RFC 5280 section 4.2.1.3) that a certificate of a person or a device may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum KeyUsage {
    /// digitalSignature.
    DigitalSignature,
    /// nonRepudiation, also called contentCommitment.
    NonRepudiation,
    /// keyEncipherment.
    KeyEncipherment,
    /// dataEncipherment.
    DataEncipherment,
    /// keyAgreement.
    KeyAgreement,
}

/// Which template of a Microsoft CA is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum MicrosoftTemplate {
    /// By its name (1.3.6.1.4.1.311.20.2).
    Name(String),
    /// By its object identifier, with its version (1.3.6.1.4.1.311.21.7).
    #[serde(rename_all = "camelCase")]
    Identified {
        /// The object identifier, dotted.
        oid: String,
        /// Major version.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        major: Option<u32>,
        /// Minor version.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        minor: Option<u32>,
    },
}

/// What a CSR asks for, with every variable of a template resolved.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CsrContent {
    /// The subject as RFC 4514 text, such as `CN=Anna Muster,O="Muster, Inc."`; empty for none, where there are alternative names.
    pub subject: String,
    /// A common name may have up to 256 characters instead of 64: for authorities whose enforcement of lengths is off.
    #[serde(default)]
    pub long_common_name: bool,
    /// The names beside it.
    #[serde(default)]
    pub alt_names: Vec<AltName>,
    /// What the key is for; none: the extension is not asked for.
    #[serde(default)]
    pub key_usage: Vec<KeyUsage>,
    /// What the certificate is for: dotted object identifiers, or names such as `emailProtection`; none: the extension is not asked for.
    #[serde(default)]
    pub extended_key_usage: Vec<String>,
    /// The template of a Microsoft CA.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub microsoft_template: Option<MicrosoftTemplate>,
    /// The security identifier (`S-1-...`) for Microsoft's extension 1.3.6.1.4.1.311.25.2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security_identifier: Option<String>,
    /// The challenge password (RFC 2985 section 5.4.1). Whoever sees the CSR sees it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub challenge_password: Option<ChallengePassword>,
}

/// A challenge password: not shown in any log.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ChallengePassword(pub String);

impl std::fmt::Debug for ChallengePassword {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ChallengePassword(..)")
    }
}

/// Make a private key and its CSR.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MakeKeyRequest {
    /// Name of the request, for logs and receipts; the key can be packed for this request alone. 1 to 128 printable ASCII characters.
    pub request_id: String,
    /// Whom the certificate is for, as the caller says, for the audit log.
    #[serde(default)]
    pub user: String,
    /// Which key.
    pub key: KeyType,
    /// How the CSR is signed.
    #[serde(default)]
    pub signature: CsrSignature,
    /// What the CSR asks for.
    pub csr: CsrContent,
    /// Fingerprint of the custody key that the private key is sealed to; without one, that of `engine.issuance.custody_key`, or the only
    /// one that may be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custody_key: Option<String>,
    /// Whom it will be packed for, where that is known: a device that nothing can be encrypted to is refused before there is a key, instead of
    /// after there is a certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipient: Option<KeyRecipient>,
}

/// The device that a key will be packed for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KeyRecipient {
    /// As in [`PackRequest::device`].
    pub device: DeviceTarget,
    /// As in [`PackRequest::format`].
    pub format: CmsFormat,
}

/// A key that was made. A second request of the same id makes another key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MadeKey {
    /// The CSR (DER, RFC 2986).
    pub csr: Base64Bytes,
    /// The private key, sealed to the custody key and bound to request id and CSR. Nothing in it is secret to who does not have that key.
    pub sealed_key: Base64Bytes,
    /// SHA-256 of the public key (DER SubjectPublicKeyInfo), in hexadecimal.
    pub public_key: String,
    /// Fingerprint of the custody key that it is sealed to.
    pub custody_key: String,
}

/// Put an issued certificate and its key into a PFX, encrypted to a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PackRequest {
    /// The request that the key was made for.
    pub request_id: String,
    /// Whom the certificate is for, as the caller says, for the audit log.
    #[serde(default)]
    pub user: String,
    /// [`MadeKey::sealed_key`].
    pub sealed_key: Base64Bytes,
    /// [`MadeKey::csr`].
    pub csr: Base64Bytes,
    /// The issued certificate (DER).
    pub certificate: Base64Bytes,
    /// Certificates (DER) of the authorities above it, in any order; of them those go into the PFX that signed it, or one another.
    #[serde(default)]
    pub chain: Vec<Base64Bytes>,
    /// Where it goes.
    pub device: DeviceTarget,
    /// What the device runs, by its [`Platform::name`].
    pub platform: String,
    /// How it is encrypted to the device.
    pub format: CmsFormat,
    /// The name that the device shows for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub friendly_name: Option<String>,
    /// For Apple's systems: a configuration profile instead of PFX and password. The device puts a profile of the same user and of this name in
    /// the place of the one before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub apple_profile: Option<String>,
}

/// Say whether something can be encrypted to a device now: its certificate is judged as for [`PackRequest`], and nothing is made. For orders
/// that wait for days.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct JudgeDeviceRequest {
    /// Name of the request, for logs.
    pub request_id: String,
    /// As in [`PackRequest::device`].
    pub device: DeviceTarget,
    /// As in [`PackRequest::format`].
    pub format: CmsFormat,
}

/// What the device gets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Packed {
    /// The fresh password, CMS ContentInfo with EnvelopedData to the device (DER). Empty where there is a profile.
    #[serde(default, skip_serializing_if = "Base64Bytes::is_empty")]
    pub encrypted_password: Base64Bytes,
    /// The PFX, CMS ContentInfo with EnvelopedData to the device (DER). Empty where there is a profile.
    #[serde(default, skip_serializing_if = "Base64Bytes::is_empty")]
    pub encrypted_pfx: Base64Bytes,
    /// The configuration profile (a property list) with both, its content CMS EnvelopedData to the device.
    #[serde(default, skip_serializing_if = "Base64Bytes::is_empty")]
    pub profile: Base64Bytes,
    /// SHA-1 of the certificate, in hexadecimal.
    pub thumbprint: String,
    /// The form of the PFX: `approved`, `compatible` or `legacy-3des`.
    pub form: String,
    /// What speaks against this form on the platform, in words; none where nothing does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Certificates of authorities in the PFX.
    pub chain_certificates: u32,
    /// Fingerprint of the custody key that was used.
    pub custody_key: String,
}

/// What was done about keys since custody started; the figures of one engine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IssuanceStatus {
    /// Keys made.
    pub keys_made: u64,
    /// Requests for a key that were refused because too many waited.
    pub keys_shed: u64,
    /// Requests for a key that wait for a thread.
    pub keys_waiting: u64,
    /// Keys that are being made.
    pub keys_in_making: u64,
    /// Keys packed with their certificates.
    pub packed: u64,
}

/// What a device runs, as far as certificates are made for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Platform {
    /// Windows 10 and newer.
    Windows,
    /// iOS and iPadOS.
    Ios,
    /// macOS.
    MacOs,
    /// Android Enterprise: fully managed.
    AndroidFullyManaged,
    /// Android Enterprise: dedicated.
    AndroidDedicated,
    /// Android Enterprise: corporate-owned work profile.
    AndroidCorporateOwnedWorkProfile,
    /// Android Enterprise: personally-owned work profile.
    AndroidPersonallyOwnedWorkProfile,
}

impl Platform {
    /// Every one of them.
    pub const ALL: [Self; 7] = [
        Self::Windows,
        Self::Ios,
        Self::MacOs,
        Self::AndroidFullyManaged,
        Self::AndroidDedicated,
        Self::AndroidCorporateOwnedWorkProfile,
        Self::AndroidPersonallyOwnedWorkProfile,
    ];

    /// Its name in messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Windows => "windows",
            Self::Ios => "ios",
            Self::MacOs => "macOs",
            Self::AndroidFullyManaged => "androidFullyManaged",
            Self::AndroidDedicated => "androidDedicated",
            Self::AndroidCorporateOwnedWorkProfile => "androidCorporateOwnedWorkProfile",
            Self::AndroidPersonallyOwnedWorkProfile => "androidPersonallyOwnedWorkProfile",
        }
    }

    /// Whether it reads configuration profiles.
    #[must_use]
    pub const fn is_apple(self) -> bool {
        matches!(self, Self::Ios | Self::MacOs)
    }

    /// What people call it.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Windows => "Windows",
            Self::Ios => "iOS/iPadOS",
            Self::MacOs => "macOS",
            Self::AndroidFullyManaged => "Android Enterprise, fully managed",
            Self::AndroidDedicated => "Android Enterprise, dedicated",
            Self::AndroidCorporateOwnedWorkProfile => {
                "Android Enterprise, corporate-owned work profile"
            }
            Self::AndroidPersonallyOwnedWorkProfile => {
                "Android Enterprise, personally-owned work profile"
            }
        }
    }

    /// The platform of a name in messages.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }
}
