//! A PKCS#11 module that answers at once: one RSA key, and no cryptography at all. For measuring what custody and engine cost by
//! themselves; it has no fault to offer and may be built with optimisation (`cargo build --release -p hsm --example null_pkcs11`).
//!
//! What it calls an encryption puts the plaintext into the output as it is, behind a mark, and its decryption takes it out again;
//! a ciphertext without the mark decrypts to [`FIXED`]. So custody finds, when it probes, that the token agrees with itself: where
//! the cryptographic module may make known ciphertexts itself (FIPS mode off) it finds the opposite, and does not use the key.
//! Bench in strict mode, which is the default, or open custody with `Pkcs11Custody::open_probed_by_token`.
//!
//! There is one slot, one token with the label `null` and any PIN, and sessions without number: up to [`SESSIONS`] at a time.

#![allow(non_snake_case, reason = "the names of the standard")]

use std::ffi::c_void;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use cryptoki_sys::*;

/// The modulus of a key whose private half nobody has.
const MODULUS: [u8; 256] = [
    0xef, 0xe4, 0x1e, 0x7f, 0xde, 0xe9, 0xc7, 0x79, 0x30, 0x48, 0x24, 0x89, 0xfe, 0x41, 0x06, 0x97,
    0x4e, 0x51, 0xb9, 0x25, 0x1c, 0x3b, 0x55, 0xf9, 0x15, 0x7b, 0xfa, 0x34, 0x08, 0x03, 0xe0, 0x7a,
    0x90, 0xc8, 0x38, 0x33, 0xb7, 0x7a, 0xb3, 0xc6, 0xf2, 0x40, 0xae, 0xfd, 0xd9, 0x44, 0xd7, 0x09,
    0x1f, 0xde, 0x65, 0x42, 0x1a, 0xac, 0x5a, 0x80, 0x9b, 0x5d, 0xb5, 0xd2, 0x1b, 0x96, 0x26, 0x2a,
    0x8e, 0x88, 0x71, 0x42, 0x90, 0x5d, 0x9b, 0x68, 0x8d, 0x0f, 0xc2, 0x85, 0xe5, 0xf9, 0x42, 0xb0,
    0x1a, 0x9b, 0xc5, 0x5c, 0xaa, 0xea, 0x91, 0xf0, 0x8b, 0xb8, 0x24, 0x1d, 0x62, 0x4a, 0xcc, 0xd5,
    0x14, 0x57, 0xd9, 0x14, 0x83, 0xf8, 0x65, 0x99, 0x4b, 0xa3, 0xdb, 0x7e, 0xe7, 0x66, 0xd7, 0x9d,
    0x40, 0xc6, 0xb1, 0x7c, 0xbb, 0x61, 0xd6, 0x70, 0x26, 0xce, 0xee, 0xaa, 0xcf, 0x4e, 0x4a, 0x15,
    0x93, 0xfb, 0x53, 0xc6, 0x19, 0xf6, 0xcb, 0x0e, 0xce, 0xad, 0x55, 0xc6, 0xe4, 0x01, 0xea, 0xbd,
    0x15, 0xff, 0xc7, 0x02, 0xf7, 0xf2, 0x07, 0x8f, 0x45, 0x22, 0xa9, 0x1c, 0x2d, 0x2e, 0xa1, 0x4f,
    0x79, 0xc9, 0xef, 0x61, 0xb6, 0x1e, 0x8d, 0x55, 0x6e, 0x40, 0x3e, 0xd9, 0x40, 0x2b, 0x1c, 0x86,
    0xc6, 0x05, 0x6f, 0x77, 0xb0, 0xe6, 0xa1, 0x79, 0x96, 0xb2, 0xf5, 0x99, 0x80, 0x4f, 0xf1, 0x00,
    0xc7, 0xeb, 0x0a, 0x2b, 0x84, 0xd0, 0xad, 0xd1, 0xd4, 0x1e, 0x68, 0x77, 0x56, 0xad, 0xdc, 0xc8,
    0x53, 0xba, 0x67, 0x4e, 0x2a, 0x33, 0xeb, 0x07, 0x34, 0x9f, 0x80, 0x03, 0x8b, 0x09, 0x88, 0xe8,
    0x27, 0x49, 0xe0, 0xf3, 0x07, 0x92, 0x15, 0x42, 0x9f, 0x58, 0x6b, 0x7f, 0x00, 0xf1, 0xad, 0x8c,
    0xae, 0xec, 0xdf, 0x01, 0x1e, 0x66, 0xf1, 0xd9, 0x5e, 0x9e, 0x9e, 0x84, 0xf4, 0xfa, 0x11, 0x47,
];
const EXPONENT: [u8; 3] = [1, 0, 1];
/// What any ciphertext that was not made here decrypts to.
const FIXED: &[u8] = b"null";
const LABEL: &[u8] = b"null";
/// The first bytes of an "encrypted" message: less than every modulus, whose first byte is not zero.
const MARK: [u8; 2] = [0, b'N'];
/// Most open sessions.
const SESSIONS: usize = 1024;
const PRIVATE_KEY: CK_OBJECT_HANDLE = 1;
const PUBLIC_KEY: CK_OBJECT_HANDLE = 2;
/// Session objects have this bit, and in the bits below it the length of their modulus in bytes.
const SESSION_OBJECT: CK_OBJECT_HANDLE = 1 << 16;

/// What a session is in the middle of; zero: it is closed.
struct Session {
    open: AtomicU64,
    /// Objects that C_FindObjects has still to give: a bit each.
    found: AtomicU64,
    /// Length of the modulus that C_EncryptInit was given.
    modulus_len: AtomicU64,
}

static STATE: [Session; SESSIONS] = [const {
    Session {
        open: AtomicU64::new(0),
        found: AtomicU64::new(0),
        modulus_len: AtomicU64::new(0),
    }
}; SESSIONS];
static LOGGED_IN: AtomicU64 = AtomicU64::new(0);
static INITIALISED: AtomicU64 = AtomicU64::new(0);

fn session(handle: CK_SESSION_HANDLE) -> Result<&'static Session, CK_RV> {
    let index = usize::try_from(handle)
        .unwrap_or(usize::MAX)
        .wrapping_sub(1);
    match STATE.get(index) {
        Some(session) if session.open.load(Ordering::Relaxed) != 0 => Ok(session),
        _ => Err(CKR_SESSION_HANDLE_INVALID),
    }
}

fn ulong(len: usize) -> CK_ULONG {
    CK_ULONG::try_from(len).unwrap_or(CK_ULONG::MAX)
}

fn length(len: CK_ULONG) -> usize {
    usize::try_from(len).unwrap_or(usize::MAX)
}

fn code(result: Result<(), CK_RV>) -> CK_RV {
    result.err().unwrap_or(CKR_OK)
}

/// The value of an attribute of one of the two keys.
fn attribute(object: CK_OBJECT_HANDLE, kind: CK_ATTRIBUTE_TYPE) -> Option<Vec<u8>> {
    let private = object == PRIVATE_KEY;
    let boolean = |on: bool| Some(vec![u8::from(on)]);
    match kind {
        CKA_CLASS => {
            let class = if private {
                CKO_PRIVATE_KEY
            } else {
                CKO_PUBLIC_KEY
            };
            Some(class.to_ne_bytes().to_vec())
        }
        CKA_KEY_TYPE => Some(CKK_RSA.to_ne_bytes().to_vec()),
        CKA_LABEL | CKA_ID => Some(LABEL.to_vec()),
        CKA_MODULUS => Some(MODULUS.to_vec()),
        CKA_PUBLIC_EXPONENT => Some(EXPONENT.to_vec()),
        CKA_TOKEN | CKA_LOCAL => boolean(true),
        CKA_PRIVATE
        | CKA_SENSITIVE
        | CKA_ALWAYS_SENSITIVE
        | CKA_NEVER_EXTRACTABLE
        | CKA_DECRYPT
            if private =>
        {
            boolean(true)
        }
        CKA_EXTRACTABLE | CKA_SIGN | CKA_UNWRAP | CKA_DERIVE | CKA_ALWAYS_AUTHENTICATE
            if private =>
        {
            boolean(false)
        }
        CKA_PRIVATE => boolean(false),
        CKA_ENCRYPT => boolean(!private),
        _ => None,
    }
}

/// # Safety
/// `template` has `count` attributes, each with a value that is readable for its length.
unsafe fn fits(object: CK_OBJECT_HANDLE, template: *const CK_ATTRIBUTE, count: CK_ULONG) -> bool {
    (0..length(count)).all(|index| {
        // SAFETY: the caller's promise.
        let wanted = unsafe { &*template.add(index) };
        // SAFETY: as above.
        let value = unsafe { bytes(wanted.pValue.cast(), wanted.ulValueLen) };
        attribute(object, wanted.type_).as_deref() == Some(value)
    })
}

/// # Safety
/// `data` is readable for `len` bytes, or null.
unsafe fn bytes<'a>(data: *const u8, len: CK_ULONG) -> &'a [u8] {
    if data.is_null() {
        return &[];
    }
    // SAFETY: the caller's promise.
    unsafe { std::slice::from_raw_parts(data, length(len)) }
}

/// Puts `result` out as PKCS#11, section 5.2, says: the length alone where `output` is null.
///
/// # Safety
/// `output` is null or writable for `len` bytes; `len` is valid.
unsafe fn put(result: &[u8], output: *mut u8, len: *mut CK_ULONG) -> CK_RV {
    // SAFETY: the caller's promise.
    unsafe {
        let room = *len;
        *len = ulong(result.len());
        if output.is_null() {
            return CKR_OK;
        }
        if length(room) < result.len() {
            return CKR_BUFFER_TOO_SMALL;
        }
        output.copy_from_nonoverlapping(result.as_ptr(), result.len());
    }
    CKR_OK
}

fn padded<const N: usize>(text: &[u8]) -> [u8; N] {
    let mut field = [b' '; N];
    field
        .iter_mut()
        .zip(text)
        .for_each(|(to, from)| *to = *from);
    field
}

unsafe extern "C" fn initialize(_arguments: *mut c_void) -> CK_RV {
    match INITIALISED.swap(1, Ordering::SeqCst) {
        0 => CKR_OK,
        _ => CKR_CRYPTOKI_ALREADY_INITIALIZED,
    }
}

unsafe extern "C" fn finalize(_reserved: *mut c_void) -> CK_RV {
    for session in &STATE {
        session.open.store(0, Ordering::SeqCst);
    }
    LOGGED_IN.store(0, Ordering::SeqCst);
    match INITIALISED.swap(0, Ordering::SeqCst) {
        0 => CKR_CRYPTOKI_NOT_INITIALIZED,
        _ => CKR_OK,
    }
}

const TWO_FORTY: CK_VERSION = CK_VERSION {
    major: 2,
    minor: 40,
};

unsafe extern "C" fn get_info(info: *mut CK_INFO) -> CK_RV {
    // SAFETY: PKCS#11, C_GetInfo: the pointer is writable.
    unsafe {
        *info = CK_INFO {
            cryptokiVersion: TWO_FORTY,
            manufacturerID: padded(LABEL),
            libraryDescription: padded(LABEL),
            libraryVersion: TWO_FORTY,
            ..CK_INFO::default()
        };
    }
    CKR_OK
}

unsafe extern "C" fn get_slot_list(
    _present: CK_BBOOL,
    slots: *mut CK_SLOT_ID,
    count: *mut CK_ULONG,
) -> CK_RV {
    // SAFETY: PKCS#11, C_GetSlotList: `slots` is null or writable for `count` numbers.
    unsafe {
        if !slots.is_null() {
            if *count == 0 {
                return CKR_BUFFER_TOO_SMALL;
            }
            *slots = 0;
        }
        *count = 1;
    }
    CKR_OK
}

unsafe extern "C" fn get_token_info(_slot: CK_SLOT_ID, info: *mut CK_TOKEN_INFO) -> CK_RV {
    // SAFETY: PKCS#11, C_GetTokenInfo: the pointer is writable.
    unsafe {
        *info = CK_TOKEN_INFO {
            label: padded(LABEL),
            manufacturerID: padded(LABEL),
            model: padded(LABEL),
            serialNumber: padded(b"0"),
            flags: CKF_TOKEN_INITIALIZED | CKF_LOGIN_REQUIRED | CKF_USER_PIN_INITIALIZED,
            ulMaxPinLen: 255,
            utcTime: padded(b""),
            ..CK_TOKEN_INFO::default()
        };
    }
    CKR_OK
}

unsafe extern "C" fn get_mechanism_list(
    _slot: CK_SLOT_ID,
    list: *mut CK_MECHANISM_TYPE,
    count: *mut CK_ULONG,
) -> CK_RV {
    // SAFETY: PKCS#11, C_GetMechanismList: `list` is null or writable for `count` numbers.
    unsafe {
        if !list.is_null() {
            if *count == 0 {
                return CKR_BUFFER_TOO_SMALL;
            }
            *list = CKM_RSA_PKCS_OAEP;
        }
        *count = 1;
    }
    CKR_OK
}

unsafe extern "C" fn get_mechanism_info(
    _slot: CK_SLOT_ID,
    mechanism: CK_MECHANISM_TYPE,
    info: *mut CK_MECHANISM_INFO,
) -> CK_RV {
    if mechanism != CKM_RSA_PKCS_OAEP {
        return CKR_MECHANISM_INVALID;
    }
    // SAFETY: PKCS#11, C_GetMechanismInfo: the pointer is writable.
    unsafe {
        *info = CK_MECHANISM_INFO {
            ulMinKeySize: 2048,
            ulMaxKeySize: 4096,
            flags: CKF_DECRYPT | CKF_ENCRYPT,
        };
    }
    CKR_OK
}

unsafe extern "C" fn open_session(
    _slot: CK_SLOT_ID,
    flags: CK_FLAGS,
    _application: *mut c_void,
    _notify: CK_NOTIFY,
    handle: *mut CK_SESSION_HANDLE,
) -> CK_RV {
    for (index, session) in STATE.iter().enumerate() {
        // The flags are never zero: CKF_SERIAL_SESSION is required.
        let free = session
            .open
            .compare_exchange(0, flags, Ordering::SeqCst, Ordering::SeqCst);
        if free.is_ok() {
            // SAFETY: PKCS#11, C_OpenSession: the pointer is writable.
            unsafe { *handle = ulong(index + 1) };
            return CKR_OK;
        }
    }
    CKR_SESSION_COUNT
}

unsafe extern "C" fn close_session(handle: CK_SESSION_HANDLE) -> CK_RV {
    code(session(handle).map(|session| session.open.store(0, Ordering::SeqCst)))
}

unsafe extern "C" fn get_session_info(
    handle: CK_SESSION_HANDLE,
    info: *mut CK_SESSION_INFO,
) -> CK_RV {
    code(session(handle).map(|session| {
        let flags = session.open.load(Ordering::SeqCst);
        let read_write = flags & CKF_RW_SESSION != 0;
        let state = match (LOGGED_IN.load(Ordering::SeqCst) != 0, read_write) {
            (false, false) => CKS_RO_PUBLIC_SESSION,
            (true, false) => CKS_RO_USER_FUNCTIONS,
            (false, true) => CKS_RW_PUBLIC_SESSION,
            (true, true) => CKS_RW_USER_FUNCTIONS,
        };
        // SAFETY: PKCS#11, C_GetSessionInfo: the pointer is writable.
        unsafe {
            *info = CK_SESSION_INFO {
                slotID: 0,
                state,
                flags,
                ulDeviceError: 0,
            };
        }
    }))
}

unsafe extern "C" fn login(
    handle: CK_SESSION_HANDLE,
    _user: CK_USER_TYPE,
    _pin: *mut CK_BYTE,
    _len: CK_ULONG,
) -> CK_RV {
    code(
        session(handle).and_then(|_| match LOGGED_IN.swap(1, Ordering::SeqCst) {
            0 => Ok(()),
            _ => Err(CKR_USER_ALREADY_LOGGED_IN),
        }),
    )
}

unsafe extern "C" fn find_objects_init(
    handle: CK_SESSION_HANDLE,
    template: *mut CK_ATTRIBUTE,
    count: CK_ULONG,
) -> CK_RV {
    code(session(handle).map(|session| {
        let found = [PRIVATE_KEY, PUBLIC_KEY]
            .into_iter()
            // SAFETY: PKCS#11, C_FindObjectsInit: the template has `count` attributes with their values.
            .filter(|object| unsafe { fits(*object, template, count) })
            .fold(0, |bits, object| bits | object);
        session.found.store(found, Ordering::SeqCst);
    }))
}

unsafe extern "C" fn find_objects(
    handle: CK_SESSION_HANDLE,
    objects: *mut CK_OBJECT_HANDLE,
    max: CK_ULONG,
    count: *mut CK_ULONG,
) -> CK_RV {
    code(session(handle).map(|session| {
        let mut given = 0;
        for object in [PRIVATE_KEY, PUBLIC_KEY] {
            if given < max && session.found.load(Ordering::SeqCst) & object != 0 {
                session.found.fetch_and(!object, Ordering::SeqCst);
                // SAFETY: PKCS#11, C_FindObjects: `objects` is writable for `max` handles.
                unsafe { *objects.add(length(given)) = object };
                given += 1;
            }
        }
        // SAFETY: as above: the pointer is writable.
        unsafe { *count = given };
    }))
}

unsafe extern "C" fn find_objects_final(handle: CK_SESSION_HANDLE) -> CK_RV {
    code(session(handle).map(drop))
}

unsafe extern "C" fn get_attribute_value(
    handle: CK_SESSION_HANDLE,
    object: CK_OBJECT_HANDLE,
    template: *mut CK_ATTRIBUTE,
    count: CK_ULONG,
) -> CK_RV {
    if let Err(rv) = session(handle) {
        return rv;
    }
    if object != PRIVATE_KEY && object != PUBLIC_KEY {
        return CKR_OBJECT_HANDLE_INVALID;
    }
    let mut rv = CKR_OK;
    for index in 0..length(count) {
        // SAFETY: PKCS#11, C_GetAttributeValue: the template has `count` attributes.
        let wanted = unsafe { &mut *template.add(index) };
        match attribute(object, wanted.type_) {
            Some(value) => {
                // SAFETY: as above: a value is null or writable for its length.
                let put = unsafe { put(&value, wanted.pValue.cast(), &raw mut wanted.ulValueLen) };
                if put != CKR_OK {
                    wanted.ulValueLen = CK_UNAVAILABLE_INFORMATION;
                    rv = put;
                }
            }
            None => {
                wanted.ulValueLen = CK_UNAVAILABLE_INFORMATION;
                rv = CKR_ATTRIBUTE_TYPE_INVALID;
            }
        }
    }
    rv
}

unsafe extern "C" fn create_object(
    handle: CK_SESSION_HANDLE,
    template: *mut CK_ATTRIBUTE,
    count: CK_ULONG,
    object: *mut CK_OBJECT_HANDLE,
) -> CK_RV {
    code(session(handle).and_then(|_| {
        let modulus = (0..length(count))
            // SAFETY: PKCS#11, C_CreateObject: the template has `count` attributes.
            .map(|index| unsafe { &*template.add(index) })
            .find(|attribute| attribute.type_ == CKA_MODULUS)
            .ok_or(CKR_TEMPLATE_INCOMPLETE)?;
        // SAFETY: as above: the pointer is writable.
        unsafe { *object = SESSION_OBJECT | (modulus.ulValueLen & (SESSION_OBJECT - 1)) };
        Ok(())
    }))
}

unsafe extern "C" fn destroy_object(handle: CK_SESSION_HANDLE, _object: CK_OBJECT_HANDLE) -> CK_RV {
    code(session(handle).map(drop))
}

unsafe extern "C" fn encrypt_init(
    handle: CK_SESSION_HANDLE,
    _mechanism: *mut CK_MECHANISM,
    key: CK_OBJECT_HANDLE,
) -> CK_RV {
    code(session(handle).and_then(|session| {
        let modulus_len = match key {
            PUBLIC_KEY => ulong(MODULUS.len()),
            key if key & SESSION_OBJECT != 0 => key & (SESSION_OBJECT - 1),
            _ => return Err(CKR_KEY_HANDLE_INVALID),
        };
        session.modulus_len.store(modulus_len, Ordering::Relaxed);
        Ok(())
    }))
}

unsafe extern "C" fn encrypt(
    handle: CK_SESSION_HANDLE,
    input: *mut CK_BYTE,
    input_len: CK_ULONG,
    output: *mut CK_BYTE,
    output_len: *mut CK_ULONG,
) -> CK_RV {
    let modulus_len = match session(handle) {
        Ok(session) => length(session.modulus_len.load(Ordering::Relaxed)),
        Err(rv) => return rv,
    };
    // SAFETY: PKCS#11, C_Encrypt: the input is readable for its length.
    let message = unsafe { bytes(input, input_len) };
    let Ok(len) = u8::try_from(message.len()) else {
        return CKR_DATA_LEN_RANGE;
    };
    let mut result = [&MARK[..], &[len], message].concat();
    if result.len() > modulus_len {
        return CKR_DATA_LEN_RANGE;
    }
    result.resize(modulus_len, 0);
    // SAFETY: PKCS#11, C_Encrypt: the output is null or writable for its length.
    unsafe { put(&result, output, output_len) }
}

unsafe extern "C" fn decrypt_init(
    handle: CK_SESSION_HANDLE,
    _mechanism: *mut CK_MECHANISM,
    key: CK_OBJECT_HANDLE,
) -> CK_RV {
    code(session(handle).and(match key {
        PRIVATE_KEY => Ok(()),
        _ => Err(CKR_KEY_HANDLE_INVALID),
    }))
}

unsafe extern "C" fn decrypt(
    handle: CK_SESSION_HANDLE,
    input: *mut CK_BYTE,
    input_len: CK_ULONG,
    output: *mut CK_BYTE,
    output_len: *mut CK_ULONG,
) -> CK_RV {
    if let Err(rv) = session(handle) {
        return rv;
    }
    // SAFETY: PKCS#11, C_Decrypt: the input is readable for its length.
    let ciphertext = unsafe { bytes(input, input_len) };
    let message = ciphertext
        .strip_prefix(&MARK)
        .and_then(|rest| {
            let (len, rest) = rest.split_first()?;
            rest.get(..usize::from(*len))
        })
        .unwrap_or(FIXED);
    // SAFETY: PKCS#11, C_Decrypt: the output is null or writable for its length.
    unsafe { put(message, output, output_len) }
}

struct Table(CK_FUNCTION_LIST);

// SAFETY: the table holds pointers to functions only, and is never written to.
unsafe impl Sync for Table {}
// SAFETY: as above.
unsafe impl Send for Table {}

/// `C_GetFunctionList`; what is not in the table is not supported.
///
/// # Safety
/// PKCS#11, C_GetFunctionList: `list` is a valid pointer to a pointer, or null.
// SAFETY: the symbol is the one PKCS#11 names, defined once in this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn C_GetFunctionList(list: *mut *mut CK_FUNCTION_LIST) -> CK_RV {
    static TABLE: OnceLock<Table> = OnceLock::new();
    let table = TABLE.get_or_init(|| {
        Table(CK_FUNCTION_LIST {
            version: TWO_FORTY,
            C_Initialize: Some(initialize),
            C_Finalize: Some(finalize),
            C_GetInfo: Some(get_info),
            C_GetFunctionList: Some(C_GetFunctionList),
            C_GetSlotList: Some(get_slot_list),
            C_GetTokenInfo: Some(get_token_info),
            C_GetMechanismList: Some(get_mechanism_list),
            C_GetMechanismInfo: Some(get_mechanism_info),
            C_OpenSession: Some(open_session),
            C_CloseSession: Some(close_session),
            C_GetSessionInfo: Some(get_session_info),
            C_Login: Some(login),
            C_FindObjectsInit: Some(find_objects_init),
            C_FindObjects: Some(find_objects),
            C_FindObjectsFinal: Some(find_objects_final),
            C_GetAttributeValue: Some(get_attribute_value),
            C_CreateObject: Some(create_object),
            C_DestroyObject: Some(destroy_object),
            C_EncryptInit: Some(encrypt_init),
            C_Encrypt: Some(encrypt),
            C_DecryptInit: Some(decrypt_init),
            C_Decrypt: Some(decrypt),
            ..CK_FUNCTION_LIST::default()
        })
    });
    if list.is_null() {
        return CKR_ARGUMENTS_BAD;
    }
    // SAFETY: the caller's promise. The table is a static, and callers only read it (PKCS#11, section 5.4).
    unsafe { *list = std::ptr::from_ref(&table.0).cast_mut() };
    CKR_OK
}
