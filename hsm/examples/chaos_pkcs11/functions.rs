//! Every function of the table (PKCS#11 2.40, section 5), each through the gate.

#![allow(non_snake_case, reason = "the names of the standard")]

use std::ffi::c_void;

use cryptoki_sys::*;

use crate::gate::{Pass, enter, missing, state};
use crate::loaded;
use crate::state::{Session, Subject};

/// Names of slots as the caller knows them become those of the real module, and back: the same operation.
fn other_slot(slot: CK_SLOT_ID) -> CK_SLOT_ID {
    slot ^ state().slot_mask
}

/// The key of an operation that begins.
fn refused_key(key: CK_OBJECT_HANDLE) -> Option<CK_RV> {
    state().refuses_object(key, CKR_KEY_HANDLE_INVALID)
}

fn refused_object(object: CK_OBJECT_HANDLE) -> Option<CK_RV> {
    state().refuses_object(object, CKR_OBJECT_HANDLE_INVALID)
}

/// A length that was put out becomes a lie, if the script says so.
///
/// # Safety
/// `len` is null or valid.
unsafe fn spoil_length(pass: &Pass, truncate: Option<u64>, len: *mut CK_ULONG) {
    if len.is_null() {
        return;
    }
    // SAFETY: the caller's promise.
    let len = unsafe { &mut *len };
    if let Some(by) = truncate {
        *len = len.saturating_sub(CK_ULONG::try_from(by).unwrap_or(CK_ULONG::MAX));
    }
    if pass.lie {
        *len = len.saturating_add(4096);
    }
}

/// Handles that were put out.
///
/// # Safety
/// `objects` is readable for `count` handles.
unsafe fn learn_objects(objects: *const CK_OBJECT_HANDLE, count: CK_ULONG) {
    let mut state = state();
    for index in 0..usize::try_from(count).unwrap_or_default() {
        // SAFETY: the caller's promise.
        state.learn_object(unsafe { *objects.add(index) });
    }
}

/// A function that goes to the real module with its arguments as they are.
///
/// `slot`, `session`: what its first argument is. `refuse`: what it is refused for without asking the real module. `then`: what
/// is done with the real module's CKR_OK.
macro_rules! forward {
    (@subject library $($rest:ident)*) => { Subject::Library };
    (@subject slot $($rest:ident)*) => { Subject::Slot };
    (@subject session $first:ident $($rest:ident)*) => { Subject::Session($first) };
    (@slot slot $first:ident $($rest:ident)*) => { let $first = other_slot($first); };
    (@slot $kind:ident $($rest:ident)*) => {};
    (
        $(
            $kind:ident $name:ident($($arg:ident: $type:ty),* $(,)?)
            $([refuse $refused:expr])?
            $([then $then:expr])?
        )*
    ) => {
        /// Puts ours in the place of those that the real module has.
        pub(crate) fn install(table: &mut CK_FUNCTION_LIST) {
            $( if table.$name.is_some() { table.$name = Some($name); } )*
            install_special(table);
        }

        $(
            unsafe extern "C" fn $name($($arg: $type),*) -> CK_RV {
                let subject = forward!(@subject $kind $($arg)*);
                let pass = match enter(stringify!($name), subject) {
                    Ok(pass) => pass,
                    Err(rv) => return rv,
                };
                $(
                    if let Some(rv) = $refused {
                        return pass.finish(rv);
                    }
                )?
                let Some(call) = loaded().and_then(|loaded| loaded.table.$name) else {
                    return pass.finish(missing());
                };
                forward!(@slot $kind $($arg)*);
                // SAFETY: the arguments are those of our caller, under the same contract; a slot is another number.
                let rv = unsafe { call($($arg),*) };
                $(
                    if rv == CKR_OK {
                        #[allow(clippy::redundant_closure_call, reason = "the closure names the pass")]
                        ($then)(&pass);
                    }
                )?
                pass.finish(rv)
            }
        )*
    };
}

forward! {
    library C_GetInfo(info: *mut CK_INFO)
    slot C_GetSlotInfo(slot: CK_SLOT_ID, info: *mut CK_SLOT_INFO)
    slot C_GetMechanismInfo(slot: CK_SLOT_ID, mechanism: CK_MECHANISM_TYPE, info: *mut CK_MECHANISM_INFO)
    slot C_GetMechanismList(slot: CK_SLOT_ID, list: *mut CK_MECHANISM_TYPE, count: *mut CK_ULONG)
        [then |pass: &Pass| {
            // SAFETY: PKCS#11, C_GetMechanismList: after CKR_OK the pointer is valid.
            unsafe { spoil_length(pass, pass.truncate, count) }
        }]
    slot C_InitToken(slot: CK_SLOT_ID, pin: *mut CK_BYTE, len: CK_ULONG, label: *mut CK_BYTE)
    session C_InitPIN(session: CK_SESSION_HANDLE, pin: *mut CK_BYTE, len: CK_ULONG)
    session C_SetPIN(session: CK_SESSION_HANDLE, old: *mut CK_BYTE, old_len: CK_ULONG, new: *mut CK_BYTE, new_len: CK_ULONG)
    session C_GetOperationState(session: CK_SESSION_HANDLE, operation: *mut CK_BYTE, len: *mut CK_ULONG)
    session C_SetOperationState(session: CK_SESSION_HANDLE, operation: *mut CK_BYTE, len: CK_ULONG, key: CK_OBJECT_HANDLE, other: CK_OBJECT_HANDLE)
    session C_Logout(session: CK_SESSION_HANDLE)
    session C_CreateObject(session: CK_SESSION_HANDLE, template: *mut CK_ATTRIBUTE, count: CK_ULONG, object: *mut CK_OBJECT_HANDLE)
        [then |_: &Pass| {
            // SAFETY: PKCS#11, C_CreateObject: after CKR_OK the pointer holds the object's handle.
            unsafe { learn_objects(object, 1) }
        }]
    session C_CopyObject(session: CK_SESSION_HANDLE, object: CK_OBJECT_HANDLE, template: *mut CK_ATTRIBUTE, count: CK_ULONG, new: *mut CK_OBJECT_HANDLE)
        [refuse refused_object(object)]
        [then |_: &Pass| {
            // SAFETY: PKCS#11, C_CopyObject: after CKR_OK the pointer holds the new object's handle.
            unsafe { learn_objects(new, 1) }
        }]
    session C_DestroyObject(session: CK_SESSION_HANDLE, object: CK_OBJECT_HANDLE)
        [refuse refused_object(object)]
    session C_GetObjectSize(session: CK_SESSION_HANDLE, object: CK_OBJECT_HANDLE, size: *mut CK_ULONG)
        [refuse refused_object(object)]
    session C_GetAttributeValue(session: CK_SESSION_HANDLE, object: CK_OBJECT_HANDLE, template: *mut CK_ATTRIBUTE, count: CK_ULONG)
        [refuse refused_object(object)]
        [then |pass: &Pass| {
            for index in 0..usize::try_from(count).unwrap_or_default() {
                // SAFETY: PKCS#11, C_GetAttributeValue: the template has `count` attributes.
                let attribute = unsafe { &mut *template.add(index) };
                let is_given = !attribute.pValue.is_null()
                    && attribute.ulValueLen != CK_UNAVAILABLE_INFORMATION;
                if is_given {
                    // SAFETY: the length is a field of a live structure.
                    unsafe { spoil_length(pass, pass.truncate, &raw mut attribute.ulValueLen) }
                }
            }
        }]
    session C_SetAttributeValue(session: CK_SESSION_HANDLE, object: CK_OBJECT_HANDLE, template: *mut CK_ATTRIBUTE, count: CK_ULONG)
        [refuse refused_object(object)]
    session C_FindObjectsInit(session: CK_SESSION_HANDLE, template: *mut CK_ATTRIBUTE, count: CK_ULONG)
    session C_FindObjects(session: CK_SESSION_HANDLE, objects: *mut CK_OBJECT_HANDLE, max: CK_ULONG, count: *mut CK_ULONG)
        [then |pass: &Pass| {
            // SAFETY: PKCS#11, C_FindObjects: after CKR_OK `count` holds how many handles were written to `objects`.
            unsafe {
                if state().hides_objects() {
                    *count = 0;
                }
                learn_objects(objects, *count);
                spoil_length(pass, pass.truncate, count);
            }
        }]
    session C_FindObjectsFinal(session: CK_SESSION_HANDLE)
    session C_EncryptInit(session: CK_SESSION_HANDLE, mechanism: *mut CK_MECHANISM, key: CK_OBJECT_HANDLE)
        [refuse refused_key(key)]
    session C_Encrypt(session: CK_SESSION_HANDLE, input: *mut CK_BYTE, input_len: CK_ULONG, output: *mut CK_BYTE, output_len: *mut CK_ULONG)
        [then |pass: &Pass| {
            // SAFETY: PKCS#11, C_Encrypt: after CKR_OK the pointer is valid.
            unsafe { spoil_length(pass, pass.truncate, output_len) }
        }]
    session C_EncryptUpdate(session: CK_SESSION_HANDLE, input: *mut CK_BYTE, input_len: CK_ULONG, output: *mut CK_BYTE, output_len: *mut CK_ULONG)
    session C_EncryptFinal(session: CK_SESSION_HANDLE, output: *mut CK_BYTE, output_len: *mut CK_ULONG)
    session C_DecryptInit(session: CK_SESSION_HANDLE, mechanism: *mut CK_MECHANISM, key: CK_OBJECT_HANDLE)
        [refuse refused_key(key)]
        [then |_: &Pass| {
            // SAFETY: PKCS#11, C_DecryptInit: the mechanism is a live structure.
            let raw = unsafe { (*mechanism).mechanism } == CKM_RSA_X_509;
            if let Some(session) = state().sessions.get_mut(&session) {
                session.raw = raw;
            }
        }]
    session C_Decrypt(session: CK_SESSION_HANDLE, input: *mut CK_BYTE, input_len: CK_ULONG, output: *mut CK_BYTE, output_len: *mut CK_ULONG)
        [then |pass: &Pass| {
            if !output.is_null() {
                let truncate = state().take_truncation_of_raw(session);
                // SAFETY: PKCS#11, C_Decrypt: after CKR_OK the pointer is valid.
                unsafe { spoil_length(pass, truncate, output_len) }
            }
        }]
    session C_DecryptUpdate(session: CK_SESSION_HANDLE, input: *mut CK_BYTE, input_len: CK_ULONG, output: *mut CK_BYTE, output_len: *mut CK_ULONG)
    session C_DecryptFinal(session: CK_SESSION_HANDLE, output: *mut CK_BYTE, output_len: *mut CK_ULONG)
    session C_DigestInit(session: CK_SESSION_HANDLE, mechanism: *mut CK_MECHANISM)
    session C_Digest(session: CK_SESSION_HANDLE, input: *mut CK_BYTE, input_len: CK_ULONG, output: *mut CK_BYTE, output_len: *mut CK_ULONG)
    session C_DigestUpdate(session: CK_SESSION_HANDLE, input: *mut CK_BYTE, input_len: CK_ULONG)
    session C_DigestKey(session: CK_SESSION_HANDLE, key: CK_OBJECT_HANDLE)
        [refuse refused_key(key)]
    session C_DigestFinal(session: CK_SESSION_HANDLE, output: *mut CK_BYTE, output_len: *mut CK_ULONG)
    session C_SignInit(session: CK_SESSION_HANDLE, mechanism: *mut CK_MECHANISM, key: CK_OBJECT_HANDLE)
        [refuse refused_key(key)]
    session C_Sign(session: CK_SESSION_HANDLE, input: *mut CK_BYTE, input_len: CK_ULONG, signature: *mut CK_BYTE, signature_len: *mut CK_ULONG)
        [then |pass: &Pass| {
            if !signature.is_null() {
                // SAFETY: PKCS#11, C_Sign: after CKR_OK the pointer is valid.
                unsafe { spoil_length(pass, pass.truncate, signature_len) }
            }
        }]
    session C_SignUpdate(session: CK_SESSION_HANDLE, input: *mut CK_BYTE, input_len: CK_ULONG)
    session C_SignFinal(session: CK_SESSION_HANDLE, signature: *mut CK_BYTE, signature_len: *mut CK_ULONG)
    session C_VerifyInit(session: CK_SESSION_HANDLE, mechanism: *mut CK_MECHANISM, key: CK_OBJECT_HANDLE)
        [refuse refused_key(key)]
    session C_Verify(session: CK_SESSION_HANDLE, input: *mut CK_BYTE, input_len: CK_ULONG, signature: *mut CK_BYTE, signature_len: CK_ULONG)
    session C_VerifyUpdate(session: CK_SESSION_HANDLE, input: *mut CK_BYTE, input_len: CK_ULONG)
    session C_VerifyFinal(session: CK_SESSION_HANDLE, signature: *mut CK_BYTE, signature_len: CK_ULONG)
    session C_GenerateKey(session: CK_SESSION_HANDLE, mechanism: *mut CK_MECHANISM, template: *mut CK_ATTRIBUTE, count: CK_ULONG, key: *mut CK_OBJECT_HANDLE)
        [then |_: &Pass| {
            // SAFETY: PKCS#11, C_GenerateKey: after CKR_OK the pointer holds the key's handle.
            unsafe { learn_objects(key, 1) }
        }]
    session C_GenerateKeyPair(session: CK_SESSION_HANDLE, mechanism: *mut CK_MECHANISM, public: *mut CK_ATTRIBUTE, public_count: CK_ULONG, private: *mut CK_ATTRIBUTE, private_count: CK_ULONG, public_key: *mut CK_OBJECT_HANDLE, private_key: *mut CK_OBJECT_HANDLE)
        [then |_: &Pass| {
            // SAFETY: PKCS#11, C_GenerateKeyPair: after CKR_OK the pointers hold the keys' handles.
            unsafe {
                learn_objects(public_key, 1);
                learn_objects(private_key, 1);
            }
        }]
    session C_WrapKey(session: CK_SESSION_HANDLE, mechanism: *mut CK_MECHANISM, wrapping: CK_OBJECT_HANDLE, key: CK_OBJECT_HANDLE, output: *mut CK_BYTE, output_len: *mut CK_ULONG)
        [refuse refused_key(key).or_else(|| refused_key(wrapping))]
    session C_UnwrapKey(session: CK_SESSION_HANDLE, mechanism: *mut CK_MECHANISM, unwrapping: CK_OBJECT_HANDLE, input: *mut CK_BYTE, input_len: CK_ULONG, template: *mut CK_ATTRIBUTE, count: CK_ULONG, key: *mut CK_OBJECT_HANDLE)
        [refuse refused_key(unwrapping)]
        [then |_: &Pass| {
            // SAFETY: PKCS#11, C_UnwrapKey: after CKR_OK the pointer holds the key's handle.
            unsafe { learn_objects(key, 1) }
        }]
    session C_DeriveKey(session: CK_SESSION_HANDLE, mechanism: *mut CK_MECHANISM, base: CK_OBJECT_HANDLE, template: *mut CK_ATTRIBUTE, count: CK_ULONG, key: *mut CK_OBJECT_HANDLE)
        [refuse refused_key(base)]
        [then |_: &Pass| {
            // SAFETY: PKCS#11, C_DeriveKey: after CKR_OK the pointer holds the key's handle.
            unsafe { learn_objects(key, 1) }
        }]
    session C_SeedRandom(session: CK_SESSION_HANDLE, seed: *mut CK_BYTE, len: CK_ULONG)
    session C_GenerateRandom(session: CK_SESSION_HANDLE, output: *mut CK_BYTE, len: CK_ULONG)
}

/// Those that do more than pass their arguments on.
fn install_special(table: &mut CK_FUNCTION_LIST) {
    table.C_Initialize = Some(initialize);
    table.C_Finalize = Some(finalize);
    table.C_GetSlotList = Some(get_slot_list);
    table.C_GetTokenInfo = Some(get_token_info);
    table.C_OpenSession = Some(open_session);
    table.C_CloseSession = Some(close_session);
    table.C_CloseAllSessions = Some(close_all_sessions);
    table.C_GetSessionInfo = Some(get_session_info);
    table.C_Login = Some(login);
}

/// Leave to call a function of the real module, or what its caller gets.
macro_rules! pass {
    ($name:ident, $subject:expr) => {{
        let pass = match enter(stringify!($name), $subject) {
            Ok(pass) => pass,
            Err(rv) => return rv,
        };
        match loaded().and_then(|loaded| loaded.table.$name) {
            Some(call) => (pass, call),
            None => return pass.finish(missing()),
        }
    }};
}

unsafe extern "C" fn initialize(arguments: *mut c_void) -> CK_RV {
    let (pass, call) = pass!(C_Initialize, Subject::Library);
    if state().is_other_process()
        && let Some(finalize) = loaded().and_then(|loaded| loaded.table.C_Finalize)
    {
        // What the process that was replaced has left behind went away with it.
        // SAFETY: PKCS#11, C_Finalize: the argument is null, and no other call runs.
        unsafe { finalize(std::ptr::null_mut()) };
    }
    // SAFETY: the arguments are those of our caller, under the same contract.
    let rv = unsafe { call(arguments) };
    pass.finish_with(rv, |state| {
        if rv == CKR_OK {
            state.initialised();
        }
    })
}

unsafe extern "C" fn finalize(reserved: *mut c_void) -> CK_RV {
    let (pass, call) = pass!(C_Finalize, Subject::Library);
    // SAFETY: the arguments are those of our caller, under the same contract.
    let rv = unsafe { call(reserved) };
    pass.finish_with(rv, |state| {
        if rv == CKR_OK {
            state.sessions.clear();
        }
    })
}

unsafe extern "C" fn get_slot_list(
    with_token: CK_BBOOL,
    slots: *mut CK_SLOT_ID,
    count: *mut CK_ULONG,
) -> CK_RV {
    let (pass, call) = pass!(C_GetSlotList, Subject::Library);
    // SAFETY: the arguments are those of our caller, under the same contract.
    let rv = unsafe { call(with_token, slots, count) };
    if rv == CKR_OK {
        // SAFETY: PKCS#11, C_GetSlotList: after CKR_OK `count` holds how many slots there are, and where `slots` is not null
        // so many were written to it.
        unsafe {
            if with_token == CK_TRUE && state().is_away() {
                *count = 0;
            }
            if !slots.is_null() {
                for index in 0..usize::try_from(*count).unwrap_or_default() {
                    let slot = slots.add(index);
                    *slot = other_slot(*slot);
                }
            }
            spoil_length(&pass, pass.truncate, count);
        }
    }
    pass.finish(rv)
}

unsafe extern "C" fn get_token_info(slot: CK_SLOT_ID, info: *mut CK_TOKEN_INFO) -> CK_RV {
    let (pass, call) = pass!(C_GetTokenInfo, Subject::Slot);
    // SAFETY: the arguments are those of our caller, under the same contract.
    let rv = unsafe { call(other_slot(slot), info) };
    if rv == CKR_OK {
        // SAFETY: PKCS#11, C_GetTokenInfo: after CKR_OK the pointer leads to a structure that was filled in.
        let info = unsafe { &mut *info };
        let state = state();
        info.flags |= state.pin_flags();
        if state.has_other_serial() {
            for byte in &mut info.serialNumber {
                if byte.is_ascii_alphanumeric() {
                    *byte = if *byte == b'0' { b'1' } else { b'0' };
                }
            }
        }
    }
    pass.finish(rv)
}

unsafe extern "C" fn open_session(
    slot: CK_SLOT_ID,
    flags: CK_FLAGS,
    application: *mut c_void,
    notify: CK_NOTIFY,
    session: *mut CK_SESSION_HANDLE,
) -> CK_RV {
    let (pass, call) = pass!(C_OpenSession, Subject::Slot);
    let real_slot = other_slot(slot);
    // SAFETY: the arguments are those of our caller, under the same contract.
    let rv = unsafe { call(real_slot, flags, application, notify, session) };
    if rv != CKR_OK {
        return pass.finish(rv);
    }
    // SAFETY: PKCS#11, C_OpenSession: after CKR_OK the pointer holds the session's handle.
    let handle = unsafe { *session };
    pass.finish_with(rv, |state| {
        state.sessions.insert(handle, Session::new(real_slot));
    })
}

unsafe extern "C" fn close_session(session: CK_SESSION_HANDLE) -> CK_RV {
    let (pass, call) = pass!(C_CloseSession, Subject::Session(session));
    // SAFETY: the arguments are those of our caller, under the same contract.
    let rv = unsafe { call(session) };
    let rv = pass.finish(rv);
    state().sessions.remove(&session);
    rv
}

unsafe extern "C" fn close_all_sessions(slot: CK_SLOT_ID) -> CK_RV {
    let (pass, call) = pass!(C_CloseAllSessions, Subject::Slot);
    let real_slot = other_slot(slot);
    // SAFETY: the arguments are those of our caller, under the same contract.
    let rv = unsafe { call(real_slot) };
    pass.finish_with(rv, |state| {
        state
            .sessions
            .retain(|_, session| session.slot != real_slot);
    })
}

unsafe extern "C" fn get_session_info(
    session: CK_SESSION_HANDLE,
    info: *mut CK_SESSION_INFO,
) -> CK_RV {
    let (pass, call) = pass!(C_GetSessionInfo, Subject::Session(session));
    // SAFETY: the arguments are those of our caller, under the same contract.
    let rv = unsafe { call(session, info) };
    if rv == CKR_OK {
        // SAFETY: PKCS#11, C_GetSessionInfo: after CKR_OK the pointer leads to a structure that was filled in.
        let info = unsafe { &mut *info };
        info.slotID = other_slot(info.slotID);
    }
    pass.finish(rv)
}

unsafe extern "C" fn login(
    session: CK_SESSION_HANDLE,
    user: CK_USER_TYPE,
    pin: *mut CK_BYTE,
    len: CK_ULONG,
) -> CK_RV {
    let (pass, call) = pass!(C_Login, Subject::Session(session));
    let original = loaded().and_then(|loaded| loaded.pin.as_deref());
    let (Some(original), false) = (original, user == CKU_SO || pin.is_null()) else {
        // SAFETY: the arguments are those of our caller, under the same contract.
        let rv = unsafe { call(session, user, pin, len) };
        return pass.finish(rv);
    };
    // SAFETY: PKCS#11, C_Login: the PIN is readable for its length.
    let tried = unsafe { std::slice::from_raw_parts(pin, usize::try_from(len).unwrap_or(0)) };
    {
        let mut state = state();
        if state.is_locked() {
            drop(state);
            return pass.finish(CKR_PIN_LOCKED);
        }
        let at_final_try = state.is_at_final_try();
        let lockouts = state.pin.lockouts();
        let script_pin = state.script_pin();
        let expected = script_pin.as_deref().unwrap_or(original);
        let right = state.pin.try_pin(tried, expected, at_final_try);
        let locked = state.pin.lockouts() > lockouts;
        if let Some(journal) = state.journal() {
            journal.write(if right { "login right" } else { "login wrong" });
            if locked {
                journal.write("lockout");
            }
        }
        if !right {
            drop(state);
            return pass.finish(CKR_PIN_INCORRECT);
        }
    }
    let original_len = CK_ULONG::try_from(original.len()).unwrap_or_default();
    // SAFETY: PKCS#11, C_Login: as above; the PIN is read only (the pointer lacks const in the binding).
    let rv = unsafe { call(session, user, original.as_ptr().cast_mut(), original_len) };
    pass.finish(rv)
}
