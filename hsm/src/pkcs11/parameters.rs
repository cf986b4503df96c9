//! What a library is told at C_Initialize.
//!
//! The standard has no parameters: `pReserved` must be NULL (PKCS#11, C_Initialize). NSS softoken takes a C string there (its
//! documentation: "PKCS #11 Module Specs"), and does not start without one.

use std::ffi::CString;
use std::ptr::NonNull;

use cryptoki::context::{CInitializeArgs, CInitializeFlags};

use crate::Error;

/// Longest parameters, in bytes.
const MAX_BYTES: usize = 8192;

/// A C string of at most 8192 bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct InitParameters(CString);

impl InitParameters {
    /// # Errors
    /// [`Error::InitParameters`] if the text is empty, too long or has a NUL in it.
    pub(super) fn new(text: &str) -> Result<Self, Error> {
        if text.is_empty() {
            return Err(Error::InitParameters(
                "are empty: leave them out where the module needs none",
            ));
        }
        if text.len() > MAX_BYTES {
            return Err(Error::InitParameters("are longer than 8192 bytes"));
        }
        CString::new(text)
            .map(Self)
            .map_err(|_| Error::InitParameters("hold a NUL character"))
    }

    /// The arguments of C_Initialize. They point into `self`: whoever calls C_Initialize keeps it until C_Finalize.
    pub(super) fn arguments(&self, flags: CInitializeFlags) -> CInitializeArgs {
        let pointer = NonNull::from(self.0.as_bytes_with_nul()).cast();
        // SAFETY: PKCS#11, C_Initialize: `pReserved` is defined by the library; the operator says by configuring it that this
        // library takes a C string. It ends with NUL and lives in `Loaded` until C_Finalize has worked: where that fails,
        // `Module` keeps the `Loaded`. NSS, whose structure has the string in this place, copies what it needs and does not
        // write to it.
        unsafe { CInitializeArgs::new_with_reserved(flags, pointer) }
    }
}

/// Whether [`TokenConfig::init_parameters`](super::TokenConfig::init_parameters) can be given to a module.
///
/// # Errors
/// [`Error::InitParameters`] if the text is empty, longer than 8192 bytes or has a NUL in it.
pub fn check_init_parameters(text: &str) -> Result<(), Error> {
    InitParameters::new(text).map(drop)
}

#[cfg(test)]
mod tests {
    #![allow(missing_docs)]
    use super::*;

    #[test]
    fn parameters_are_bounded_and_a_c_string() {
        assert!(InitParameters::new("configdir='sql:/var/lib/nss'").is_ok());
        assert!(InitParameters::new(&"x".repeat(MAX_BYTES)).is_ok());
        for bad in [String::new(), "x".repeat(MAX_BYTES + 1), "a\0b".into()] {
            let error = InitParameters::new(&bad).err();
            assert!(matches!(error, Some(Error::InitParameters(_))));
        }
    }
}
