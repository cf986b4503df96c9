//! What a row of the table says. The rows are in [`super::rows`].

use super::Exception;

/// Grows with every change of a row, so that two reports can be told apart.
pub const TABLE_VERSION: u32 = 3;

/// The bounds that the table decides by.
pub mod bounds {
    /// The shortest HMAC key, in bytes: 112 bits (SP 800-131A revision 2, section 10).
    pub const HMAC_KEY_BYTES: usize = 14;
    /// The shortest password of PBKDF2, in bytes: what the module's indicator demands.
    pub const PBKDF2_PASSWORD_BYTES: usize = 14;
    /// The shortest salt of PBKDF2, in bytes: 128 bits (SP 800-132 section 5.1).
    pub const PBKDF2_SALT_BYTES: usize = 16;
    /// The fewest iterations of PBKDF2 (SP 800-132 section 5.2).
    pub const PBKDF2_ITERATIONS: u32 = 1000;
    /// The shortest RSA modulus, in bits (SP 800-131A revision 2).
    pub const RSA_MODULUS_BITS: usize = 2048;
}

/// Who performs a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Performer {
    /// The validated module.
    Module,
    /// The token behind PKCS#11. Approved as far as the token is validated for it, which is the operator's statement.
    Token,
    /// This program, with the module's or the token's primitives: never approved.
    Program,
}

impl Performer {
    /// Its name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Module => "module",
            Self::Token => "token",
            Self::Program => "program",
        }
    }
}

/// Whether a service is approved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is.
    Approved,
    /// It is not.
    NotApproved {
        /// Why.
        reason: &'static str,
        /// What lets it happen in strict mode all the same.
        exception: Exception,
    },
    /// It is not, and no exception lets it happen in strict mode: in mode off alone.
    OffOnly {
        /// Why.
        reason: &'static str,
    },
}

impl Standing {
    /// Whether this is [`Standing::Approved`].
    #[must_use]
    pub const fn is_approved(self) -> bool {
        matches!(self, Self::Approved)
    }

    /// Why it is not approved; `None` where it is.
    #[must_use]
    pub const fn reason(self) -> Option<&'static str> {
        match self {
            Self::Approved => None,
            Self::NotApproved { reason, .. } | Self::OffOnly { reason } => Some(reason),
        }
    }

    /// The exception that lets it happen in strict mode; `None` where it needs none, and where there is none.
    #[must_use]
    pub const fn exception(self) -> Option<Exception> {
        match self {
            Self::NotApproved { exception, .. } => Some(exception),
            Self::Approved | Self::OffOnly { .. } => None,
        }
    }
}

/// What the module's indicator does over one successful use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IndicatorReading {
    /// It moves; anything else is a fault.
    Moves,
    /// It stands still; anything else is a fault.
    StandsStill,
    /// It proves nothing: it counts primitives inside (RSA encryption, X9.63), ignores the bound (HMAC), or the work is done elsewhere.
    NoEvidence,
}

impl IndicatorReading {
    /// Its name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Moves => "moves",
            Self::StandsStill => "stands-still",
            Self::NoEvidence => "no-evidence",
        }
    }
}

/// A number that the decision depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// What is bounded, with its unit.
    pub name: &'static str,
    /// The smallest value that is approved.
    pub minimum: u64,
    /// The range that the laboratory tested; values above it are the same algorithm, but were not tested.
    pub tested: Option<(u64, u64)>,
}

/// One row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Stable name of the service.
    pub name: &'static str,
    /// The algorithm and what is done with it, in words.
    pub operation: &'static str,
    /// Sizes, hashes, modes.
    pub parameters: &'static str,
    /// Numbers that decide.
    pub bounds: &'static [Bound],
    /// Who performs it.
    pub performer: Performer,
    /// Whether it is approved.
    pub standing: Standing,
    /// The place that says so.
    pub source: &'static str,
    /// What to do instead; empty where it is approved.
    pub remedy: &'static str,
    /// What the indicator does.
    pub indicator: IndicatorReading,
    /// Where the program performs it: functions of `fips` and `hsm`.
    pub functions: &'static [&'static str],
}
