//! Whether the operating system itself demands FIPS mode.
//!
//! Linux: `/proc/sys/crypto/fips_enabled` (kernel parameter `fips=1`). Windows: the policy "System cryptography: Use FIPS compliant
//! algorithms", in the registry. Elsewhere there is no such setting.

use std::sync::OnceLock;

/// What the system says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setting {
    /// FIPS mode is demanded: [`super::Mode::Off`] is refused.
    Required,
    /// The setting is there, and off.
    NotRequired,
    /// The system has no such setting, or does not show it.
    Unknown,
}

impl Setting {
    /// Its name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::NotRequired => "not-required",
            Self::Unknown => "unknown",
        }
    }
}

static KEPT: OnceLock<Setting> = OnceLock::new();

/// Reads the setting a last time: from then on this process says what it was. For one that will not be able to open files.
pub fn keep() {
    KEPT.get_or_init(setting);
}

/// Reads the setting, each time afresh, unless it was kept.
#[must_use]
pub fn setting() -> Setting {
    if let Some(kept) = KEPT.get() {
        return *kept;
    }
    source::read().map_or(Setting::Unknown, |text| source::parse(&text))
}

#[cfg(not(windows))]
mod source {
    use super::Setting;

    pub(super) fn read() -> Option<String> {
        std::fs::read_to_string("/proc/sys/crypto/fips_enabled").ok()
    }

    /// The file holds a number and a line feed. What is there and not zero is taken for a demand.
    pub(super) fn parse(text: &str) -> Setting {
        match text.trim() {
            "" => Setting::Unknown,
            "0" => Setting::NotRequired,
            _ => Setting::Required,
        }
    }
}

/// Not tried on Windows: the program is for Linux first.
#[cfg(windows)]
mod source {
    use super::Setting;
    use std::process::Command;

    const KEY: &str = r"HKLM\System\CurrentControlSet\Control\Lsa\FipsAlgorithmPolicy";

    pub(super) fn read() -> Option<String> {
        let root = std::env::var_os("SystemRoot")?;
        let program = std::path::Path::new(&root).join(r"System32\reg.exe");
        let output = Command::new(program)
            .args(["query", KEY, "/v", "Enabled"])
            .output()
            .ok()?;
        String::from_utf8(output.stdout).ok()
    }

    /// `    Enabled    REG_DWORD    0x1`
    pub(super) fn parse(text: &str) -> Setting {
        match text.split_whitespace().last() {
            Some("0x0") => Setting::NotRequired,
            Some(value) if value.starts_with("0x") => Setting::Required,
            _ => Setting::Unknown,
        }
    }
}

#[cfg(all(test, not(windows)))]
mod tests {
    use super::*;

    #[test]
    fn only_a_zero_says_that_it_is_not_demanded() {
        assert_eq!(source::parse("0\n"), Setting::NotRequired);
        assert_eq!(source::parse("1\n"), Setting::Required);
        assert_eq!(source::parse("2"), Setting::Required);
        assert_eq!(source::parse("yes"), Setting::Required);
        assert_eq!(source::parse(""), Setting::Unknown);
    }
}
