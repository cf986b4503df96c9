//! How much may fail, and how often one ciphertext may be used.

use std::time::Duration;

/// The short window of budgets.
pub const HOUR: Duration = Duration::from_secs(3600);
/// The long window of budgets, and the one of uses.
pub const DAY: Duration = Duration::from_secs(24 * 3600);

/// The largest budget that can be configured: so much is remembered of one importer or caller at most.
pub const LARGEST_BUDGET: u32 = 1000;

/// The limits that [`Ledger::admit`](super::Ledger::admit) holds uses against. They are no part of the ledger's state: a log that was
/// written under other limits is read as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Distinct failing ciphertexts of one importer within an hour.
    pub importer_per_hour: u32,
    /// Distinct failing ciphertexts of one importer within a day.
    pub importer_per_day: u32,
    /// Distinct failing ciphertexts that one caller (user id) asks for within an hour.
    pub caller_per_hour: u32,
    /// Decryptions of one ciphertext within a day of the first.
    pub uses_per_ciphertext: u32,
    /// Devices that the password of one ciphertext goes to within a day of the first.
    pub devices_per_ciphertext: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            importer_per_hour: 5,
            importer_per_day: 50,
            caller_per_hour: 200,
            uses_per_ciphertext: 1000,
            devices_per_ciphertext: 100,
        }
    }
}

/// A window in the unit of the ledger's times.
pub(super) fn window_ms(window: Duration) -> i64 {
    i64::try_from(window.as_millis()).unwrap_or(i64::MAX)
}

/// Whether something of `then` still counts at `now`. What is of a future that a clock set back has made counts.
pub(super) fn counts(then_ms: i64, now_ms: i64, window: Duration) -> bool {
    now_ms.saturating_sub(then_ms) < window_ms(window)
}
