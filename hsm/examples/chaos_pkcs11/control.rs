//! What a test in the same process says to the module, beside PKCS#11.

use std::sync::PoisonError;
use std::time::Duration;

use crate::gate::{CHANGED, state};
use crate::script;

/// Begins a script: 1, or 0 if the text is none.
///
/// # Safety
/// `text` is readable for `len` bytes.
// SAFETY: a name of our own, defined once in this library.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn chaos_set_script(text: *const u8, len: usize) -> u8 {
    // SAFETY: the caller's promise.
    let bytes = unsafe { std::slice::from_raw_parts(text, len) };
    match std::str::from_utf8(bytes).map(script::parse) {
        Ok(Ok(script)) => {
            state().begin_script(script);
            1
        }
        _ => 0,
    }
}

/// Writes a report and gives back its length, or the length that it would have where `capacity` is less.
///
/// # Safety
/// `text` is writable for `capacity` bytes.
// SAFETY: a name of our own, defined once in this library.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn chaos_report(text: *mut u8, capacity: usize) -> usize {
    let report = state().report();
    if report.len() <= capacity {
        // SAFETY: the caller's promise; a String does not overlap with it.
        unsafe { text.copy_from_nonoverlapping(report.as_ptr(), report.len()) };
    }
    report.len()
}

/// Moves the simulated time, and gives it back.
// SAFETY: a name of our own, defined once in this library.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn chaos_advance(ms: u64) -> u64 {
    let mut state = state();
    state.advance(ms);
    state.now_ms()
}

/// From now on nothing more goes wrong. What the script did to the token stays done.
// SAFETY: a name of our own, defined once in this library.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn chaos_end_faults() {
    state().end_faults();
}

/// Waits until a call hangs, at most so long in real time: 1 if one does.
// SAFETY: a name of our own, defined once in this library.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn chaos_wait_for_hang(real_ms: u64) -> u8 {
    let (state, _) = CHANGED
        .wait_timeout_while(state(), Duration::from_millis(real_ms), |state| {
            state.hanging == 0
        })
        .unwrap_or_else(PoisonError::into_inner);
    u8::from(state.hanging > 0)
}

/// Stands for the end of the process: calls that hang give CKR_FUNCTION_CANCELED, and nothing works before the next C_Initialize.
// SAFETY: a name of our own, defined once in this library.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn chaos_replace_process() {
    state().replace_process();
    CHANGED.notify_all();
}
