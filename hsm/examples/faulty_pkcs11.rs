//! A PKCS#11 module that hands everything to a real one, and fails on command. For tests only.
//!
//! `FAULTY_MODULE` names the real module, `FAULTY_CONTROL` a file whose content says what goes wrong, read at every call of
//! the functions below:
//!
//! | content | effect |
//! |---|---|
//! | missing or empty | nothing |
//! | `device-error` | C_Decrypt, C_Encrypt, C_Sign and C_DeriveKey fail with CKR_DEVICE_ERROR, whatever they are given |
//! | `device-removed` | C_DecryptInit and C_EncryptInit fail with CKR_DEVICE_REMOVED |
//! | `hang` | C_Decrypt does not return until the file says something else |
//! | `logged-out` | the first four calls of C_DecryptInit wait for each other, and say CKR_USER_NOT_LOGGED_IN |
//! | `odd-login` | C_Login says CKR_FUNCTION_FAILED where the real module refuses the PIN |
//! | `locked-unseen` | C_Login says CKR_PIN_LOCKED; the flags of the token are as they were |
//! | `stuck-session` | after a C_Decrypt that failed, the session answers CKR_OPERATION_ACTIVE for ever |
//! | `stale-objects` | C_EncryptInit says CKR_KEY_HANDLE_INVALID for every object that is older than the command |
//! | `no-objects` | C_CreateObject fails with CKR_TEMPLATE_INCONSISTENT |
//! | `keep-objects` | C_DestroyObject says CKR_OK and destroys nothing |
//! | `no-destroy` | C_DestroyObject fails with CKR_ACTION_PROHIBITED |
//! | `two-objects` | C_CreateObject says CKR_DEVICE_MEMORY for a third object that it would make |
//! | `odd-keys-stick` | C_Encrypt fails unless the modulus has 2048 bits, and the session is then as under `stuck-session` |
//! | `objects-stay` | C_DestroyObject fails with CKR_GENERAL_ERROR |
//! | `ignores-labels` | C_DecryptInit and C_EncryptInit do RSAES-OAEP as if there were no label |
//! | `wrong-signature` | C_Sign changes the last bit of its signature |

#[path = "support/real.rs"]
mod real;

use std::collections::BTreeSet;
use std::ffi::c_void;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use cryptoki_sys::{
    CK_ATTRIBUTE, CK_BYTE, CK_FUNCTION_LIST, CK_MECHANISM, CK_OBJECT_HANDLE,
    CK_RSA_PKCS_OAEP_PARAMS, CK_RV, CK_SESSION_HANDLE, CK_ULONG, CK_USER_TYPE, CKM_RSA_PKCS_OAEP,
    CKR_ACTION_PROHIBITED, CKR_DEVICE_ERROR, CKR_DEVICE_MEMORY, CKR_DEVICE_REMOVED,
    CKR_FUNCTION_FAILED, CKR_FUNCTION_NOT_SUPPORTED, CKR_GENERAL_ERROR, CKR_KEY_HANDLE_INVALID,
    CKR_OK, CKR_OPERATION_ACTIVE, CKR_PIN_INCORRECT, CKR_PIN_LOCKED, CKR_TEMPLATE_INCONSISTENT,
    CKR_USER_NOT_LOGGED_IN,
};
use real::RealModule;

struct Real {
    table: CK_FUNCTION_LIST,
    /// What is handed out: the real table with some functions exchanged.
    faulty: CK_FUNCTION_LIST,
    control: PathBuf,
    _module: RealModule,
}

static REAL: OnceLock<Option<Real>> = OnceLock::new();
static STUCK: Mutex<BTreeSet<CK_SESSION_HANDLE>> = Mutex::new(BTreeSet::new());
/// Objects that were made since the command was given for which their age or number matters.
static FRESH: Mutex<BTreeSet<CK_OBJECT_HANDLE>> = Mutex::new(BTreeSet::new());

/// Calls of C_DecryptInit that came while the user was said to be logged out.
static LOGGED_OUT: AtomicUsize = AtomicUsize::new(0);
/// So many of them wait for each other.
const TOGETHER: usize = 4;

fn load() -> Option<Real> {
    let path = PathBuf::from(std::env::var_os("FAULTY_MODULE")?);
    let control = std::env::var_os("FAULTY_CONTROL")?.into();
    let module = RealModule::load(&path)?;
    let mut faulty = module.table;
    faulty.C_Finalize = Some(finalize);
    faulty.C_CloseSession = Some(close_session);
    faulty.C_Login = Some(login);
    faulty.C_DecryptInit = Some(decrypt_init);
    faulty.C_Decrypt = Some(decrypt);
    faulty.C_EncryptInit = Some(encrypt_init);
    faulty.C_Encrypt = Some(encrypt);
    faulty.C_CreateObject = Some(create_object);
    faulty.C_DestroyObject = Some(destroy_object);
    faulty.C_Sign = Some(sign);
    faulty.C_DeriveKey = Some(derive_key);
    Some(Real {
        table: module.table,
        faulty,
        control,
        _module: module,
    })
}

fn real() -> Option<&'static Real> {
    REAL.get_or_init(load).as_ref()
}

fn fault(real: &Real) -> String {
    std::fs::read_to_string(&real.control).unwrap_or_default()
}

fn stuck() -> MutexGuard<'static, BTreeSet<CK_SESSION_HANDLE>> {
    STUCK.lock().unwrap_or_else(PoisonError::into_inner)
}

fn fresh() -> MutexGuard<'static, BTreeSet<CK_OBJECT_HANDLE>> {
    FRESH.lock().unwrap_or_else(PoisonError::into_inner)
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

/// The numbers of sessions and objects begin anew with the next C_Initialize.
unsafe extern "C" fn finalize(reserved: *mut c_void) -> CK_RV {
    let Some(real) = real() else {
        return CKR_GENERAL_ERROR;
    };
    stuck().clear();
    match real.table.C_Finalize {
        // SAFETY: the arguments are those of our caller, under the same contract.
        Some(call) => unsafe { call(reserved) },
        None => CKR_FUNCTION_NOT_SUPPORTED,
    }
}

unsafe extern "C" fn close_session(session: CK_SESSION_HANDLE) -> CK_RV {
    let Some(real) = real() else {
        return CKR_GENERAL_ERROR;
    };
    stuck().remove(&session);
    match real.table.C_CloseSession {
        // SAFETY: the arguments are those of our caller, under the same contract.
        Some(call) => unsafe { call(session) },
        None => CKR_FUNCTION_NOT_SUPPORTED,
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
    if fault(real) == "locked-unseen" {
        return CKR_PIN_LOCKED;
    }
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

/// Under `ignores-labels`: the mechanism as it is without its label.
///
/// # Safety
/// As C_DecryptInit asks of its caller: the mechanism and its parameters can be read.
unsafe fn without_label(real: &Real, mechanism: *mut CK_MECHANISM) -> Option<OwnMechanism> {
    if fault(real) != "ignores-labels" {
        return None;
    }
    // SAFETY: of our caller.
    let mechanism = unsafe { mechanism.as_ref() }?;
    if mechanism.mechanism != CKM_RSA_PKCS_OAEP {
        return None;
    }
    // SAFETY: PKCS#11, RSA PKCS OAEP: the parameter of this mechanism is a CK_RSA_PKCS_OAEP_PARAMS.
    let mut parameters = unsafe { *mechanism.pParameter.cast::<CK_RSA_PKCS_OAEP_PARAMS>() };
    parameters.pSourceData = std::ptr::null_mut();
    parameters.ulSourceDataLen = 0;
    Some(OwnMechanism {
        mechanism: *mechanism,
        parameters,
    })
}

struct OwnMechanism {
    mechanism: CK_MECHANISM,
    parameters: CK_RSA_PKCS_OAEP_PARAMS,
}

impl OwnMechanism {
    fn as_mut_ptr(&mut self) -> *mut CK_MECHANISM {
        self.mechanism.pParameter = (&raw mut self.parameters).cast();
        &raw mut self.mechanism
    }
}

unsafe extern "C" fn decrypt_init(
    session: CK_SESSION_HANDLE,
    mechanism: *mut CK_MECHANISM,
    key: CK_OBJECT_HANDLE,
) -> CK_RV {
    let Some(real) = real() else {
        return CKR_GENERAL_ERROR;
    };
    match fault(real).as_str() {
        "device-removed" => return CKR_DEVICE_REMOVED,
        "logged-out" if LOGGED_OUT.fetch_add(1, Ordering::SeqCst) < TOGETHER => {
            while LOGGED_OUT.load(Ordering::SeqCst) < TOGETHER {
                std::thread::yield_now();
            }
            return CKR_USER_NOT_LOGGED_IN;
        }
        _ => {}
    }
    if stuck().contains(&session) {
        return CKR_OPERATION_ACTIVE;
    }
    // SAFETY: of our caller.
    let mut own = unsafe { without_label(real, mechanism) };
    let mechanism = own.as_mut().map_or(mechanism, OwnMechanism::as_mut_ptr);
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

unsafe extern "C" fn encrypt_init(
    session: CK_SESSION_HANDLE,
    mechanism: *mut CK_MECHANISM,
    key: CK_OBJECT_HANDLE,
) -> CK_RV {
    let Some(real) = real() else {
        return CKR_GENERAL_ERROR;
    };
    match fault(real).as_str() {
        "device-removed" => return CKR_DEVICE_REMOVED,
        "stale-objects" if !fresh().contains(&key) => return CKR_KEY_HANDLE_INVALID,
        _ if stuck().contains(&session) => return CKR_OPERATION_ACTIVE,
        _ => {}
    }
    // SAFETY: of our caller.
    let mut own = unsafe { without_label(real, mechanism) };
    let mechanism = own.as_mut().map_or(mechanism, OwnMechanism::as_mut_ptr);
    match real.table.C_EncryptInit {
        // SAFETY: the arguments are those of our caller, under the same contract.
        Some(init) => unsafe { init(session, mechanism, key) },
        None => CKR_FUNCTION_NOT_SUPPORTED,
    }
}

unsafe extern "C" fn encrypt(
    session: CK_SESSION_HANDLE,
    input: *mut CK_BYTE,
    input_len: CK_ULONG,
    output: *mut CK_BYTE,
    output_len: *mut CK_ULONG,
) -> CK_RV {
    let Some(real) = real() else {
        return CKR_GENERAL_ERROR;
    };
    let rv = match real.table.C_Encrypt {
        // SAFETY: the arguments are those of our caller, under the same contract.
        Some(call) => unsafe { call(session, input, input_len, output, output_len) },
        None => CKR_FUNCTION_NOT_SUPPORTED,
    };
    if rv != CKR_OK {
        return rv;
    }
    // SAFETY: PKCS#11, C_Encrypt: after CKR_OK the pointer is valid and holds the length of the result.
    let is_2048 = unsafe { *output_len } == 256;
    match fault(real).as_str() {
        // As for C_Decrypt: the real operation is over.
        "device-error" => CKR_DEVICE_ERROR,
        "odd-keys-stick" if !is_2048 => {
            stuck().insert(session);
            CKR_FUNCTION_FAILED
        }
        _ => CKR_OK,
    }
}

unsafe extern "C" fn create_object(
    session: CK_SESSION_HANDLE,
    template: *mut CK_ATTRIBUTE,
    count: CK_ULONG,
    object: *mut CK_OBJECT_HANDLE,
) -> CK_RV {
    let Some(real) = real() else {
        return CKR_GENERAL_ERROR;
    };
    let fault = fault(real);
    match fault.as_str() {
        "no-objects" => return CKR_TEMPLATE_INCONSISTENT,
        "two-objects" if fresh().len() >= 2 => return CKR_DEVICE_MEMORY,
        "two-objects" | "stale-objects" => {}
        _ => fresh().clear(),
    }
    let rv = match real.table.C_CreateObject {
        // SAFETY: the arguments are those of our caller, under the same contract.
        Some(call) => unsafe { call(session, template, count, object) },
        None => CKR_FUNCTION_NOT_SUPPORTED,
    };
    if rv == CKR_OK && matches!(fault.as_str(), "two-objects" | "stale-objects") {
        // SAFETY: PKCS#11, C_CreateObject: after CKR_OK the pointer is valid and holds the object's handle.
        fresh().insert(unsafe { *object });
    }
    rv
}

unsafe extern "C" fn destroy_object(session: CK_SESSION_HANDLE, object: CK_OBJECT_HANDLE) -> CK_RV {
    let Some(real) = real() else {
        return CKR_GENERAL_ERROR;
    };
    match fault(real).as_str() {
        "keep-objects" => return CKR_OK,
        "no-destroy" => return CKR_ACTION_PROHIBITED,
        "objects-stay" => return CKR_GENERAL_ERROR,
        _ => {}
    }
    fresh().remove(&object);
    match real.table.C_DestroyObject {
        // SAFETY: the arguments are those of our caller, under the same contract.
        Some(call) => unsafe { call(session, object) },
        None => CKR_FUNCTION_NOT_SUPPORTED,
    }
}

unsafe extern "C" fn sign(
    session: CK_SESSION_HANDLE,
    input: *mut CK_BYTE,
    input_len: CK_ULONG,
    signature: *mut CK_BYTE,
    signature_len: *mut CK_ULONG,
) -> CK_RV {
    let Some(real) = real() else {
        return CKR_GENERAL_ERROR;
    };
    let rv = match real.table.C_Sign {
        // SAFETY: the arguments are those of our caller, under the same contract.
        Some(call) => unsafe { call(session, input, input_len, signature, signature_len) },
        None => CKR_FUNCTION_NOT_SUPPORTED,
    };
    // A null pointer only asks for the length.
    if rv != CKR_OK || signature.is_null() {
        return rv;
    }
    match fault(real).as_str() {
        "device-error" => CKR_DEVICE_ERROR,
        "wrong-signature" => {
            // SAFETY: PKCS#11, C_Sign: after CKR_OK with a buffer the length is set, and so many bytes are written.
            let written = unsafe {
                let len = usize::try_from(*signature_len).unwrap_or_default();
                std::slice::from_raw_parts_mut(signature, len)
            };
            if let Some(last) = written.last_mut() {
                *last ^= 1;
            }
            CKR_OK
        }
        _ => CKR_OK,
    }
}

unsafe extern "C" fn derive_key(
    session: CK_SESSION_HANDLE,
    mechanism: *mut CK_MECHANISM,
    key: CK_OBJECT_HANDLE,
    template: *mut CK_ATTRIBUTE,
    count: CK_ULONG,
    object: *mut CK_OBJECT_HANDLE,
) -> CK_RV {
    let Some(real) = real() else {
        return CKR_GENERAL_ERROR;
    };
    if fault(real) == "device-error" {
        return CKR_DEVICE_ERROR;
    }
    match real.table.C_DeriveKey {
        // SAFETY: the arguments are those of our caller, under the same contract.
        Some(call) => unsafe { call(session, mechanism, key, template, count, object) },
        None => CKR_FUNCTION_NOT_SUPPORTED,
    }
}
