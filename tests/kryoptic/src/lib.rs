//! The Kryoptic software token as one self-contained PKCS#11 module, for tests and the demo.
//!
//! `kryoptic-lib` implements the functions of PKCS#11 2.40 to 3.2 but exports none. A PKCS#11 module is found through
//! three exported names (PKCS#11 3.0, section 5.4): they are given here, and each hands over to the library.
//!
//! Not a validated module, and not for production keys.

use kryoptic_lib::fns::general::{fn_get_function_list, fn_get_interface, fn_get_interface_list};
use kryoptic_lib::pkcs11::{
    CK_FLAGS, CK_FUNCTION_LIST_PTR_PTR, CK_INTERFACE_PTR, CK_INTERFACE_PTR_PTR, CK_RV,
    CK_ULONG_PTR, CK_UTF8CHAR_PTR, CK_VERSION_PTR,
};

/// `C_GetFunctionList`: the table of the 2.40 functions.
// SAFETY: the symbol is the one PKCS#11 names, defined once in this library; the caller follows the same contract as
// that of `fn_get_function_list`, which checks the pointer for null.
#[unsafe(no_mangle)]
pub extern "C" fn C_GetFunctionList(function_list: CK_FUNCTION_LIST_PTR_PTR) -> CK_RV {
    fn_get_function_list(function_list)
}

/// `C_GetInterfaceList`: every interface of this module (3.2, 3.0, 2.40).
// SAFETY: as for `C_GetFunctionList`.
#[unsafe(no_mangle)]
pub extern "C" fn C_GetInterfaceList(list: CK_INTERFACE_PTR, count: CK_ULONG_PTR) -> CK_RV {
    fn_get_interface_list(list, count)
}

/// `C_GetInterface`: one interface by name and version.
// SAFETY: as for `C_GetFunctionList`.
#[unsafe(no_mangle)]
pub extern "C" fn C_GetInterface(
    name: CK_UTF8CHAR_PTR,
    version: CK_VERSION_PTR,
    interface: CK_INTERFACE_PTR_PTR,
    flags: CK_FLAGS,
) -> CK_RV {
    fn_get_interface(name, version, interface, flags)
}
