//! A PKCS#11 module that hands everything to a real one, and fails on command. For tests only.
//!
//! `FAULTY_MODULE` names the real module, `FAULTY_CONTROL` a file whose content says what goes wrong, read at every
//! C_Login, C_DecryptInit and C_Decrypt (and so at every private-key operation):
//!
//! | content | effect |
//! |---|---|
//! | missing or empty | nothing |
//! | `device-error` | C_Decrypt fails with CKR_DEVICE_ERROR, whatever it is given |
//! | `device-removed` | C_DecryptInit fails with CKR_DEVICE_REMOVED |
//! | `hang` | C_Decrypt does not return until the file says something else |
//! | `odd-login` | C_Login says CKR_FUNCTION_FAILED where the real module refuses the PIN |
//! | `stuck-session` | after a C_Decrypt that failed, the session answers CKR_OPERATION_ACTIVE for ever |

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use cryptoki_sys::{
    CK_BYTE, CK_FUNCTION_LIST, CK_MECHANISM, CK_OBJECT_HANDLE, CK_RV, CK_SESSION_HANDLE, CK_ULONG,
    CK_USER_TYPE, CKR_DEVICE_ERROR, CKR_DEVICE_REMOVED, CKR_FUNCTION_FAILED,
    CKR_FUNCTION_NOT_SUPPORTED, CKR_GENERAL_ERROR, CKR_OK, CKR_OPERATION_ACTIVE, CKR_PIN_INCORRECT,
};

struct Real {
    table: CK_FUNCTION_LIST,
    /// What is handed out: the real table with three functions exchanged.
    faulty: CK_FUNCTION_LIST,
    control: PathBuf,
    _library: cryptoki_sys::Pkcs11,
}

static REAL: OnceLock<Option<Real>> = OnceLock::new();
static STUCK: Mutex<BTreeSet<CK_SESSION_HANDLE>> = Mutex::new(BTreeSet::new());

fn load() -> Option<Real> {
    let path = std::env::var_os("FAULTY_MODULE")?;
    let control = std::env::var_os("FAULTY_CONTROL")?.into();
    // SAFETY: libloading, `Library::new`: the test names a PKCS#11 module, whose initialisers are to run.
    let library = unsafe { cryptoki_sys::Pkcs11::new(path) }.ok()?;
    let get = library.C_GetFunctionList.as_ref().ok()?;
    let mut list = std::ptr::null_mut();
    // SAFETY: PKCS#11, C_GetFunctionList: receives a pointer to a live pointer.
    if unsafe { get(&raw mut list) } != CKR_OK || list.is_null() {
        return None;
    }
    // SAFETY: PKCS#11, C_GetFunctionList: after CKR_OK the pointer leads to the library's table; it is copied.
    let table = unsafe { *list };
    let mut faulty = table;
    faulty.C_Login = Some(login);
    faulty.C_DecryptInit = Some(decrypt_init);
    faulty.C_Decrypt = Some(decrypt);
    Some(Real {
        table,
        faulty,
        control,
        _library: library,
    })
}

fn real() -> Option<&'static Real> {
    REAL.get_or_init(load).as_ref()
}

fn fault(real: &Real) -> String {
    std::fs::read_to_string(&real.control).unwrap_or_default()
}

fn stuck() -> std::sync::MutexGuard<'static, BTreeSet<CK_SESSION_HANDLE>> {
    STUCK.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `C_GetFunctionList`: the real table, but for the functions that can fail here.
///
/// # Safety
/// PKCS#11, C_GetFunctionList: `list` is a valid pointer to a pointer, or null.
// SAFETY: the symbol is the one PKCS#11 names, defined once in this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn C_GetFunctionList(list: *mut *mut CK_FUNCTION_LIST) -> CK_RV {
    match real() {
        Some(real) if !list.is_null() => {
            // SAFETY: the caller's promise. The table lives in a static for as long as the library is loaded, and callers
            // only read it (PKCS#11, section 5.4).
            unsafe { *list = std::ptr::from_ref(&real.faulty).cast_mut() };
            CKR_OK
        }
        _ => CKR_GENERAL_ERROR,
    }
}

unsafe extern "C" fn login(
    session: CK_SESSION_HANDLE,
    user: CK_USER_TYPE,
    pin: *mut CK_BYTE,
    pin_len: CK_ULONG,
) -> CK_RV {
    let Some(real) = real() else {
        return CKR_GENERAL_ERROR;
    };
    let rv = match real.table.C_Login {
        // SAFETY: the arguments are those of our caller, under the same contract.
        Some(call) => unsafe { call(session, user, pin, pin_len) },
        None => CKR_FUNCTION_NOT_SUPPORTED,
    };
    if rv == CKR_PIN_INCORRECT && fault(real) == "odd-login" {
        return CKR_FUNCTION_FAILED;
    }
    rv
}

unsafe extern "C" fn decrypt_init(
    session: CK_SESSION_HANDLE,
    mechanism: *mut CK_MECHANISM,
    key: CK_OBJECT_HANDLE,
) -> CK_RV {
    let Some(real) = real() else {
        return CKR_GENERAL_ERROR;
    };
    if fault(real) == "device-removed" {
        return CKR_DEVICE_REMOVED;
    }
    if stuck().contains(&session) {
        return CKR_OPERATION_ACTIVE;
    }
    match real.table.C_DecryptInit {
        // SAFETY: the arguments are those of our caller, under the same contract.
        Some(init) => unsafe { init(session, mechanism, key) },
        None => CKR_FUNCTION_NOT_SUPPORTED,
    }
}

unsafe extern "C" fn decrypt(
    session: CK_SESSION_HANDLE,
    input: *mut CK_BYTE,
    input_len: CK_ULONG,
    output: *mut CK_BYTE,
    output_len: *mut CK_ULONG,
) -> CK_RV {
    let Some(real) = real() else {
        return CKR_GENERAL_ERROR;
    };
    while fault(real) == "hang" {
        std::thread::sleep(Duration::from_millis(5));
    }
    let rv = match real.table.C_Decrypt {
        // SAFETY: the arguments are those of our caller, under the same contract.
        Some(call) => unsafe { call(session, input, input_len, output, output_len) },
        None => CKR_FUNCTION_NOT_SUPPORTED,
    };
    match fault(real).as_str() {
        // The real operation is over, so that the session is as a broken device leaves it: usable later.
        "device-error" => CKR_DEVICE_ERROR,
        "stuck-session" if rv != CKR_OK => {
            stuck().insert(session);
            rv
        }
        _ => rv,
    }
}
