//! The real module behind one of ours.

use std::path::Path;

use cryptoki_sys::{CK_FUNCTION_LIST, CKR_OK};

/// A loaded PKCS#11 module.
pub(crate) struct RealModule {
    /// Its functions (PKCS#11 2.40, which every later version contains).
    pub(crate) table: CK_FUNCTION_LIST,
    /// Keeps the library loaded, and so the table's pointers valid.
    _library: cryptoki_sys::Pkcs11,
}

impl RealModule {
    /// Loads the module; `None` if there is none at `path`.
    pub(crate) fn load(path: &Path) -> Option<Self> {
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
        Some(Self {
            table,
            _library: library,
        })
    }
}
