//! A PKCS#11 module of which C_Initialize tries to get out of the process' sandbox; for tests.
//!
//! The environment says what it is aimed at: `HOSTILE_OUTSIDE`, `HOSTILE_INSIDE` (each with `at:` before the path, because files that a token's
//! environment names may be read), `HOSTILE_VICTIM`. What came of it is written to the file
//! `attempts` in the folder inside: a line for each attempt, its name, a tab, 0 or the error number. Then it says CKR_GENERAL_ERROR.
#![allow(non_snake_case, reason = "the names of the standard")]

#[path = "attempts/attempts.rs"]
mod attempts;

use std::ffi::c_void;
use std::fmt::Write as _;

use attempts::{ALL, Scene, run};
use cryptoki_sys::*;

unsafe extern "C" fn C_Initialize(_arguments: *mut c_void) -> CK_RV {
    let variable = |name| {
        let value = std::env::var(name).unwrap_or_default();
        value.strip_prefix("at:").unwrap_or(&value).to_owned()
    };
    let scene = Scene {
        outside: variable("HOSTILE_OUTSIDE"),
        inside: variable("HOSTILE_INSIDE"),
        victim: variable("HOSTILE_VICTIM").parse().unwrap_or(0),
    };
    let mut report = String::new();
    for attempt in ALL {
        let _ = writeln!(report, "{}\t{}", attempt.name, run(attempt, &scene));
    }
    let draft = format!("{}/attempts.draft", scene.inside);
    if std::fs::write(&draft, report).is_ok() {
        let _ = std::fs::rename(draft, format!("{}/attempts", scene.inside));
    }
    CKR_GENERAL_ERROR
}

/// The standard's entry.
///
/// # Safety
/// PKCS#11, C_GetFunctionList: `list` leads to a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn C_GetFunctionList(list: *mut *mut CK_FUNCTION_LIST) -> CK_RV {
    let table = CK_FUNCTION_LIST {
        version: CK_VERSION {
            major: 2,
            minor: 40,
        },
        C_Initialize: Some(C_Initialize),
        ..CK_FUNCTION_LIST::default()
    };
    // SAFETY: as the standard asks of the caller; the table is never freed.
    unsafe { *list = Box::into_raw(Box::new(table)) };
    CKR_OK
}
