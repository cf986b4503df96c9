//! What this kernel can do of what a profile asks for; a seam, so that what another kernel lacks can be tried on this one.

use serde::{Deserialize, Serialize};

/// Landlock ABIs above this one are used as this one: newer rights were not tried.
pub const HIGHEST_TRIED_ABI: u8 = 7;
/// The first Landlock ABI that is enough where the sandbox is required (Linux 5.19; Debian 12's own kernel has it). What later ones add
/// is denied by seccomp there, abstract unix sockets of the profiles with unix sockets aside.
pub const LOWEST_SUFFICIENT_ABI: u8 = 2;

/// How much of the sandbox is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Want {
    /// Without Landlock and seccomp the process does not start.
    Required,
    /// What the kernel has; the rest is reported.
    Available,
    /// Nothing.
    Off,
}

impl Want {
    /// Its name in a configuration and in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::Available => "available",
            Self::Off => "off",
        }
    }
}

/// What a kernel has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kernel {
    landlock_abi: u8,
    seccomp: bool,
}

/// The rights that came with each Landlock ABI, for reports: what is not governed by Landlock below it.
const LATER: &[(u8, &str)] = &[
    (2, "renaming and linking between folders"),
    (
        3,
        "truncation of files (seccomp allows no call that truncates without write access)",
    ),
    (
        4,
        "TCP ports (seccomp allows no sockets of families that are not named)",
    ),
    (
        5,
        "ioctl on devices (seccomp allows no ioctl but for terminals and blocking)",
    ),
    (
        6,
        "abstract unix sockets and signals to other processes (seccomp allows signals to the process itself alone)",
    ),
];

impl Kernel {
    /// Asks the running kernel. Starts a thread for a moment, because there is no other way to ask without restricting the caller.
    #[must_use]
    pub fn running() -> Self {
        #[cfg(target_os = "linux")]
        {
            Self {
                landlock_abi: crate::landlock::kernel_abi().min(HIGHEST_TRIED_ABI),
                seccomp: crate::seccomp::is_available(),
            }
        }
        #[cfg(not(target_os = "linux"))]
        {
            Self {
                landlock_abi: 0,
                seccomp: false,
            }
        }
    }

    /// A kernel without any of it.
    #[must_use]
    pub const fn none() -> Self {
        Self {
            landlock_abi: 0,
            seccomp: false,
        }
    }

    /// The same, but with no Landlock ABI above this one: as an older kernel would be.
    #[must_use]
    pub fn with_landlock_abi_at_most(self, abi: u8) -> Self {
        Self {
            landlock_abi: self.landlock_abi.min(abi),
            ..self
        }
    }

    /// The same, without seccomp.
    #[must_use]
    pub const fn without_seccomp(self) -> Self {
        Self {
            seccomp: false,
            ..self
        }
    }

    /// The Landlock ABI that is used; 0: none.
    #[must_use]
    pub const fn landlock_abi(&self) -> u8 {
        self.landlock_abi
    }

    /// Whether system calls can be filtered.
    #[must_use]
    pub const fn has_seccomp(&self) -> bool {
        self.seccomp
    }

    /// What has to be there where the sandbox is required, and is not; `None`: all of it is there.
    #[must_use]
    pub fn insufficient(&self) -> Option<String> {
        let mut missing = Vec::new();
        if self.landlock_abi < LOWEST_SUFFICIENT_ABI {
            missing.push(format!(
                "Landlock of ABI {LOWEST_SUFFICIENT_ABI} (it has {}; Linux 5.19 or newer with `landlock` among the security modules, /sys/kernel/security/lsm)",
                match self.landlock_abi {
                    0 => "none".to_owned(),
                    abi => format!("ABI {abi}"),
                }
            ));
        }
        if !self.seccomp {
            missing.push("seccomp filters (CONFIG_SECCOMP_FILTER)".to_owned());
        }
        (!missing.is_empty()).then(|| missing.join(" and "))
    }

    /// Everything that this kernel lacks of what a newer one has, a sentence each; also what other means make up for.
    #[must_use]
    pub fn lacking(&self) -> Vec<String> {
        let mut lacking = Vec::new();
        if self.landlock_abi == 0 {
            lacking.push("no Landlock: files outside of the profile can be opened".to_owned());
        } else {
            lacking.extend(
                LATER
                    .iter()
                    .filter(|(abi, _)| *abi > self.landlock_abi)
                    .map(|(abi, what)| format!("Landlock below ABI {abi} does not govern {what}")),
            );
        }
        if !self.seccomp {
            lacking.push("no seccomp filters: every system call can be made".to_owned());
        }
        lacking
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: Kernel = Kernel {
        landlock_abi: HIGHEST_TRIED_ABI,
        seccomp: true,
    };

    #[test]
    fn a_kernel_that_has_everything_lacks_nothing() {
        assert_eq!(FULL.insufficient(), None);
        assert_eq!(FULL.lacking(), Vec::<String>::new());
    }

    #[test]
    fn debian_12s_own_kernel_is_enough_and_says_what_it_lacks() {
        let debian = FULL.with_landlock_abi_at_most(2);
        assert_eq!(debian.insufficient(), None);
        assert_eq!(debian.lacking().len(), 4);
    }

    #[test]
    fn without_landlock_or_seccomp_it_is_not_enough() {
        for (kernel, word) in [
            (FULL.with_landlock_abi_at_most(1), "Landlock"),
            (FULL.with_landlock_abi_at_most(0), "it has none"),
            (FULL.without_seccomp(), "seccomp"),
        ] {
            let missing = kernel.insufficient().unwrap_or_default();
            assert!(missing.contains(word), "{missing}");
            assert!(!kernel.lacking().is_empty());
        }
    }
}
