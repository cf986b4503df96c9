//! A failure of the module, or a disagreement about it, after which nothing more is done in this process.

use super::Service;
use std::sync::OnceLock;
use std::time::SystemTime;

/// Why this process does no more cryptography.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The module's indicator did not say what the table says of this service.
    Indicator {
        /// Which.
        service: Service,
        /// Whether it said "approved".
        moved: bool,
        /// When.
        at: SystemTime,
    },
    /// A self-test of the module failed.
    SelfTest {
        /// When.
        at: SystemTime,
    },
}

impl Fault {
    /// Its stable name.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Indicator { .. } => "indicator_disagrees",
            Self::SelfTest { .. } => "self_test_failed",
        }
    }

    /// When it happened.
    #[must_use]
    pub const fn at(&self) -> SystemTime {
        match self {
            Self::Indicator { at, .. } | Self::SelfTest { at } => *at,
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Indicator { service, moved, .. } => write!(
                f,
                "the module's service indicator {} for {}, and the policy table says otherwise",
                if *moved { "moved" } else { "did not move" },
                service.name()
            ),
            Self::SelfTest { .. } => f.write_str("a self-test of the cryptographic module failed"),
        }
    }
}

static FAULT: OnceLock<Fault> = OnceLock::new();

/// The fault of this process, if there is one. It stays until the process ends.
#[must_use]
pub fn fault() -> Option<&'static Fault> {
    FAULT.get()
}

/// The first fault is kept: it is the cause.
pub(crate) fn declare(fault: Fault) {
    // A loser of a race tells the same: that nothing more may be done.
    let _ = FAULT.set(fault);
}

/// What a test wants to go wrong, from the environment variable `PFX_FIPS_TEST_FAULT`. It can only make things fail, and builds
/// without debug assertions do not have it.
#[cfg(debug_assertions)]
pub(crate) fn test_seam(what: &str) -> bool {
    static WANTED: OnceLock<Option<String>> = OnceLock::new();
    WANTED
        .get_or_init(|| std::env::var("PFX_FIPS_TEST_FAULT").ok())
        .as_deref()
        == Some(what)
}

/// Nothing goes wrong by request in a release.
#[cfg(not(debug_assertions))]
pub(crate) const fn test_seam(_what: &str) -> bool {
    false
}
