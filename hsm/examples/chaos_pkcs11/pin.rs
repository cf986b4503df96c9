//! The simulated token's PIN and its counter of tries.

use cryptoki_sys::{CK_FLAGS, CKF_USER_PIN_COUNT_LOW, CKF_USER_PIN_FINAL_TRY, CKF_USER_PIN_LOCKED};

use crate::journal::Journal;
use crate::script::ROTATED;

pub(crate) struct PinCounter {
    tries: u32,
    left: u32,
    rotated: bool,
    wrong: u64,
    lockouts: u64,
}

impl PinCounter {
    pub(crate) const fn new() -> Self {
        Self::with_tries(10)
    }

    pub(crate) const fn with_tries(tries: u32) -> Self {
        Self {
            tries,
            left: tries,
            rotated: false,
            wrong: 0,
            lockouts: 0,
        }
    }

    /// What logins of earlier processes did.
    pub(crate) fn replay(&mut self, journal: &Journal) {
        for right in journal.logins() {
            if *right {
                self.left = self.tries;
            } else {
                self.wrong(false);
            }
        }
    }

    pub(crate) fn rotate(&mut self) {
        self.rotated = true;
    }

    pub(crate) const fn is_rotated(&self) -> bool {
        self.rotated
    }

    /// Whether `pin` is right, where `original` was at the start. Counts. `at_final_try`: somebody else has used up all tries
    /// but one.
    pub(crate) fn try_pin(&mut self, pin: &[u8], original: &[u8], at_final_try: bool) -> bool {
        let right = if self.rotated {
            pin.strip_suffix(ROTATED.as_bytes()) == Some(original)
        } else {
            pin == original
        };
        if right {
            self.left = self.tries;
        } else {
            self.wrong(at_final_try);
        }
        right
    }

    fn wrong(&mut self, at_final_try: bool) {
        self.wrong += 1;
        let left = if at_final_try { 1 } else { self.left };
        self.left = left.saturating_sub(1);
        if self.left == 0 {
            self.lockouts += 1;
        }
    }

    pub(crate) const fn wrong_logins(&self) -> u64 {
        self.wrong
    }

    pub(crate) const fn lockouts(&self) -> u64 {
        self.lockouts
    }

    pub(crate) const fn is_locked(&self) -> bool {
        self.left == 0
    }

    pub(crate) fn flags(&self) -> CK_FLAGS {
        let mut flags = 0;
        if self.left < self.tries {
            flags |= CKF_USER_PIN_COUNT_LOW;
        }
        if self.left == 1 {
            flags |= CKF_USER_PIN_FINAL_TRY;
        }
        if self.left == 0 {
            flags |= CKF_USER_PIN_LOCKED;
        }
        flags
    }
}
