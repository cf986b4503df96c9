//! A PKCS#11 module that hands everything to a real one, and makes it as far away as an HSM behind a network: C_Decrypt and C_Encrypt
//! wait before they begin. For measuring (`make bench ARGS='--distance-us 4000'`): a token on the processors of the engine takes from
//! it what it works itself, and the other way round; one that is waited for does not.
//!
//! `DISTANT_MODULE` names the real module, `DISTANT_MICROSECONDS` how long each of the two calls waits (100 ms at most), `DISTANT_AT_ONCE` how
//! many calls it works on at once: an HSM has so many engines, and what it is given beyond that waits in front of them.

#[path = "support/real.rs"]
mod real;

use std::path::PathBuf;
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use cryptoki_sys::{
    CK_BYTE, CK_FUNCTION_LIST, CK_RV, CK_SESSION_HANDLE, CK_ULONG, CKR_FUNCTION_NOT_SUPPORTED,
    CKR_GENERAL_ERROR, CKR_OK,
};
use real::RealModule;

/// The longest wait in microseconds.
const LONGEST: u64 = 100_000;

struct Distant {
    real: RealModule,
    /// What is handed out: the real table with the two functions exchanged.
    table: CK_FUNCTION_LIST,
    wait: Duration,
    free: Mutex<usize>,
    freed: Condvar,
}

/// One of the places of the HSM, for as long as a call is in it.
struct Place<'a>(&'a Distant);

impl<'a> Place<'a> {
    fn take(distant: &'a Distant) -> Self {
        let mut free = distant.free();
        while *free == 0 {
            free = distant
                .freed
                .wait(free)
                .unwrap_or_else(PoisonError::into_inner);
        }
        *free -= 1;
        Self(distant)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        *self.0.free() += 1;
        self.0.freed.notify_one();
    }
}

impl Distant {
    fn free(&self) -> MutexGuard<'_, usize> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

static DISTANT: OnceLock<Option<Distant>> = OnceLock::new();

fn load() -> Option<Distant> {
    let path = PathBuf::from(std::env::var_os("DISTANT_MODULE")?);
    let wait: u64 = std::env::var("DISTANT_MICROSECONDS").ok()?.parse().ok()?;
    let at_once: usize = std::env::var("DISTANT_AT_ONCE").ok()?.parse().ok()?;
    let real = RealModule::load(&path)?;
    let mut table = real.table;
    table.C_Decrypt = Some(decrypt);
    table.C_Encrypt = Some(encrypt);
    Some(Distant {
        real,
        table,
        wait: Duration::from_micros(wait.min(LONGEST)),
        free: Mutex::new(at_once.max(1)),
        freed: Condvar::new(),
    })
}

fn distant() -> Option<&'static Distant> {
    DISTANT.get_or_init(load).as_ref()
}

/// `C_GetFunctionList`: the real table, but for the two functions that wait.
///
/// # Safety
/// PKCS#11, C_GetFunctionList: `list` is a valid pointer to a pointer, or null.
// SAFETY: the symbol is the one PKCS#11 names, defined once in this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn C_GetFunctionList(list: *mut *mut CK_FUNCTION_LIST) -> CK_RV {
    match distant() {
        Some(distant) if !list.is_null() => {
            // SAFETY: the caller's promise. The table lives in a static for as long as the library is loaded, and callers
            // only read it (PKCS#11, section 5.4).
            unsafe { *list = std::ptr::from_ref(&distant.table).cast_mut() };
            CKR_OK
        }
        _ => CKR_GENERAL_ERROR,
    }
}

/// C_Decrypt and C_Encrypt have the same parameters.
type OnePart = unsafe extern "C" fn(
    CK_SESSION_HANDLE,
    *mut CK_BYTE,
    CK_ULONG,
    *mut CK_BYTE,
    *mut CK_ULONG,
) -> CK_RV;

/// One of the real module's two functions, once the way to it is over, and the place that is given back when the call is.
fn arrived(
    choose: fn(&CK_FUNCTION_LIST) -> Option<OnePart>,
) -> Result<(OnePart, Place<'static>), CK_RV> {
    let distant = distant().ok_or(CKR_GENERAL_ERROR)?;
    let place = Place::take(distant);
    std::thread::sleep(distant.wait);
    let call = choose(&distant.real.table).ok_or(CKR_FUNCTION_NOT_SUPPORTED)?;
    Ok((call, place))
}

unsafe extern "C" fn decrypt(
    session: CK_SESSION_HANDLE,
    input: *mut CK_BYTE,
    input_len: CK_ULONG,
    output: *mut CK_BYTE,
    output_len: *mut CK_ULONG,
) -> CK_RV {
    match arrived(|table| table.C_Decrypt) {
        // SAFETY: the arguments are those of our caller, under the same contract.
        Ok((call, _place)) => unsafe { call(session, input, input_len, output, output_len) },
        Err(rv) => rv,
    }
}

unsafe extern "C" fn encrypt(
    session: CK_SESSION_HANDLE,
    input: *mut CK_BYTE,
    input_len: CK_ULONG,
    output: *mut CK_BYTE,
    output_len: *mut CK_ULONG,
) -> CK_RV {
    match arrived(|table| table.C_Encrypt) {
        // SAFETY: the arguments are those of our caller, under the same contract.
        Ok((call, _place)) => unsafe { call(session, input, input_len, output, output_len) },
        Err(rv) => rv,
    }
}
