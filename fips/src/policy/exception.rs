//! Exceptions from strict mode, by name. Each permits what its services are, and nothing else.

use super::{Service, Standing};
use std::fmt;
use std::str::FromStr;

/// An exception that a configuration may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Exception {
    /// Reading PFX files with the PKCS#12 key derivation, Triple DES, DES, RC2, RC4, PBKDF1, scrypt, MD5, or PBKDF2 and HMAC out of bounds.
    Pkcs12LegacyRead,
    /// Writing PFX files with the classic MAC, whose key comes from the PKCS#12 key derivation.
    Pkcs12KdfMacWrite,
    /// Encrypting to EC devices: ephemeral-static ECDH with the ANSI X9.63 key derivation; and the token's half of it.
    CmsEcdhStatic,
    /// RSA PKCS#1 v1.5 key transport, for devices that know nothing newer.
    CmsRsaPkcs1v15,
    /// Content encryption with Triple DES, for the oldest devices.
    TripleDesEncryption,
    /// RSAES-OAEP in the module instead of the token.
    RsaKeyTransportInModule,
    /// Custody decryption by the token's raw RSA operation, with the padding removed by the program.
    OaepUnpaddingInSoftware,
    /// CMP messages to and from an authority, authenticated with a key that is derived from a shared secret.
    CmpSharedSecret,
}

impl Exception {
    /// Every exception.
    pub const ALL: [Self; 8] = [
        Self::Pkcs12LegacyRead,
        Self::Pkcs12KdfMacWrite,
        Self::CmsEcdhStatic,
        Self::CmsRsaPkcs1v15,
        Self::TripleDesEncryption,
        Self::RsaKeyTransportInModule,
        Self::OaepUnpaddingInSoftware,
        Self::CmpSharedSecret,
    ];

    /// Its name in configurations and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pkcs12LegacyRead => "pkcs12-legacy-read",
            Self::Pkcs12KdfMacWrite => "pkcs12-kdf-mac-write",
            Self::CmsEcdhStatic => "cms-ecdh-static",
            Self::CmsRsaPkcs1v15 => "cms-rsa-pkcs1v15",
            Self::TripleDesEncryption => "triple-des-encryption",
            Self::RsaKeyTransportInModule => "rsa-key-transport-in-module",
            Self::OaepUnpaddingInSoftware => "oaep-unpadding-in-software",
            Self::CmpSharedSecret => "cmp-shared-secret",
        }
    }

    /// What it permits, in words for operators.
    #[must_use]
    pub const fn permits(self) -> &'static str {
        match self {
            Self::Pkcs12LegacyRead => {
                "Reading PFX files with the PKCS#12 key derivation (nearly every file's MAC), Triple DES, DES, RC2, RC4, PBKDF1, scrypt, MD5, or PBKDF2 and HMAC out of bounds."
            }
            Self::Pkcs12KdfMacWrite => {
                "Writing PFX files with the classic MAC, whose key comes from the PKCS#12 key derivation."
            }
            Self::CmsEcdhStatic => {
                "Encrypting to devices with EC keys: ECDH with the device's static key and the ANSI X9.63 key derivation; ECDH by a static key of a token."
            }
            Self::CmsRsaPkcs1v15 => {
                "RSA PKCS#1 v1.5 key transport (the formats compatible and compatibleDesEde3), in the module."
            }
            Self::TripleDesEncryption => {
                "Content encryption with Triple DES (the format compatibleDesEde3, which needs `cms-rsa-pkcs1v15` too)."
            }
            Self::RsaKeyTransportInModule => {
                "RSAES-OAEP in the module: to RSA devices where the token cannot encrypt, and to the custody key where no token is at hand."
            }
            Self::OaepUnpaddingInSoftware => {
                "Custody decryption by the token's raw RSA operation, with the OAEP padding removed by the program in constant time (SoftHSM with SHA-2)."
            }
            Self::CmpSharedSecret => {
                "Authenticating CMP messages with a key that PBMAC1 or PasswordBasedMac derives from a secret shared with the authority."
            }
        }
    }

    /// The services that it permits.
    pub fn services(self) -> impl Iterator<Item = Service> {
        Service::ALL.into_iter().filter(move |service| {
            matches!(service.entry().standing, Standing::NotApproved { exception, .. } if exception == self)
        })
    }

    const fn bit(self) -> u16 {
        1 << self as u16
    }
}

impl fmt::Display for Exception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The text names no exception.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no such exception")]
pub struct UnknownException;

impl FromStr for Exception {
    type Err = UnknownException;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|exception| exception.name() == text)
            .ok_or(UnknownException)
    }
}

/// A set of exceptions.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Exceptions(u16);

impl Exceptions {
    /// The empty set.
    pub const NONE: Self = Self(0);

    /// Whether `exception` is in it.
    #[must_use]
    pub const fn contains(self, exception: Exception) -> bool {
        self.0 & exception.bit() != 0
    }

    /// Whether it is empty.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Those that are in it, in the order of [`Exception::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Exception> {
        Exception::ALL
            .into_iter()
            .filter(move |exception| self.contains(*exception))
    }
}

impl FromIterator<Exception> for Exceptions {
    fn from_iter<I: IntoIterator<Item = Exception>>(exceptions: I) -> Self {
        Self(
            exceptions
                .into_iter()
                .fold(0, |bits, exception| bits | exception.bit()),
        )
    }
}

impl fmt::Debug for Exceptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(self.iter().map(Exception::name))
            .finish()
    }
}
