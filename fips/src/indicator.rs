//! The module's service indicator (FIPS 140-3 section 7.4.3), as a cross-check of [`crate::policy::Service`].
//!
//! It is a counter of the calling thread that moves when an approved service ends. It is evidence against us when it
//! stands still where we say "approved"; it is no evidence for us when it moves, since RSA encryption moves it by the hash
//! inside, and HMAC moves it with keys that are too short.

/// Runs `work` and tells whether the indicator of this thread moved, i.e. whether an approved service ended in it.
pub fn observe<T>(work: impl FnOnce() -> T) -> (T, bool) {
    // SAFETY: service_indicator.h: takes nothing, reads the calling thread's counter.
    let before = unsafe { aws_lc_fips_sys::FIPS_service_indicator_before_call() };
    let result = work();
    // SAFETY: as above; `work` has run on this same thread.
    let after = unsafe { aws_lc_fips_sys::FIPS_service_indicator_after_call() };
    (result, before != after)
}
