//! Who is to open a PFX.

use std::fmt;
use std::str::FromStr;

/// A platform that opens PFX files, or the policy of strict FIPS mode.
///
/// Its name is stable, on the command line and in JSON: [`Target::name`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Target {
    /// Windows Server 2016, and Windows 10 before version 1709: what knows no PBES2 in a PFX.
    WindowsServer2016,
    /// Windows Server 2019 and newer, Windows 10 version 1709 and newer, Windows 11.
    Windows2019,
    /// iOS and iPadOS.
    Ios,
    /// macOS.
    MacOs,
    /// Android: its installer of certificates, and device management.
    Android,
    /// OpenSSL 3 with its default provider alone.
    OpenSsl3,
    /// Java (the JDK's own key store).
    Java,
    /// NSS: Firefox and Thunderbird.
    Nss,
    /// Strict FIPS mode of this program: approved algorithms alone.
    FipsStrict,
}

/// A name that is no target's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no such target; the targets are {}", Target::names())]
pub struct UnknownTarget;

impl Target {
    /// Every target, in the order in which reports list them.
    pub const ALL: [Self; 9] = [
        Self::WindowsServer2016,
        Self::Windows2019,
        Self::Ios,
        Self::MacOs,
        Self::Android,
        Self::OpenSsl3,
        Self::Java,
        Self::Nss,
        Self::FipsStrict,
    ];

    /// The stable name: lower-case words with hyphens.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::WindowsServer2016 => "windows-server-2016",
            Self::Windows2019 => "windows-2019",
            Self::Ios => "ios",
            Self::MacOs => "macos",
            Self::Android => "android",
            Self::OpenSsl3 => "openssl3",
            Self::Java => "java",
            Self::Nss => "nss",
            Self::FipsStrict => "fips-strict",
        }
    }

    /// What people call it.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::WindowsServer2016 => "Windows Server 2016",
            Self::Windows2019 => "Windows Server 2019, Windows 10 1709 and newer",
            Self::Ios => "iOS, iPadOS",
            Self::MacOs => "macOS",
            Self::Android => "Android",
            Self::OpenSsl3 => "OpenSSL 3",
            Self::Java => "Java",
            Self::Nss => "NSS (Firefox, Thunderbird)",
            Self::FipsStrict => "FIPS strict",
        }
    }

    fn names() -> String {
        Self::ALL.map(Self::name).join(", ")
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Target {
    type Err = UnknownTarget;

    fn from_str(name: &str) -> Result<Self, UnknownTarget> {
        Self::ALL
            .into_iter()
            .find(|target| target.name() == name)
            .ok_or(UnknownTarget)
    }
}

impl serde::Serialize for Target {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leads_back_to_its_target_and_to_no_other() {
        for target in Target::ALL {
            assert_eq!(target.name().parse(), Ok(target));
        }
        let error = UnknownTarget.to_string();
        assert_eq!("windows".parse::<Target>(), Err(UnknownTarget));
        assert!(
            error.contains("windows-server-2016, windows-2019"),
            "{error}"
        );
    }
}
