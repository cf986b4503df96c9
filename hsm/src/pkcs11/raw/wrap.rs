//! C_WrapKey and C_UnwrapKey: keys that leave one token and enter another, never in the clear.
//!
//! cryptoki has no CKM_AES_KEY_WRAP_KWP, and asks for the length of a result before it asks for the result.

use cryptoki::context::Function;
use cryptoki::object::{Attribute, ObjectHandle};
use cryptoki::session::Session;
use cryptoki_sys::{CK_ATTRIBUTE, CK_MECHANISM, CK_MECHANISM_TYPE};
use cryptoki_sys::{CKM_AES_KEY_WRAP_KWP, CKM_AES_KEY_WRAP_PAD};

use super::{Functions, RsaMechanism, check, missing, ulong, with_mechanism};
use crate::Padding;
use crate::error::Refusal;

/// Longer than any wrapped key that is made here: an RSA-4096 private key has 2.4 KB.
const MAX_WRAPPED_BYTES: usize = 8 * 1024;

/// How a key is wrapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pkcs11) enum WrapMechanism {
    /// CKM_RSA_PKCS_OAEP with an empty label: an AES key under an RSA key.
    Oaep(Padding),
    /// CKM_AES_KEY_WRAP_KWP (PKCS#11 3.0): RFC 5649, SP 800-38F section 6.3.
    AesKwp,
    /// CKM_AES_KEY_WRAP_PAD (PKCS#11 2.40), which modules took for RFC 5649 before KWP had a number of its own.
    AesPad,
}

impl WrapMechanism {
    /// The two numbers of one algorithm; that of the newer standard first.
    pub(in crate::pkcs11) const AES: [Self; 2] = [Self::AesKwp, Self::AesPad];

    pub(in crate::pkcs11) const fn number(self) -> CK_MECHANISM_TYPE {
        match self {
            Self::Oaep(_) => cryptoki_sys::CKM_RSA_PKCS_OAEP,
            Self::AesKwp => CKM_AES_KEY_WRAP_KWP,
            Self::AesPad => CKM_AES_KEY_WRAP_PAD,
        }
    }

    fn with<T>(
        self,
        call: impl FnOnce(*mut CK_MECHANISM) -> Result<T, Refusal>,
        function: Function,
    ) -> Result<T, Refusal> {
        match self {
            Self::Oaep(padding) => with_mechanism(RsaMechanism::Oaep(padding, b""), call, function),
            Self::AesKwp | Self::AesPad => call(&mut CK_MECHANISM {
                mechanism: self.number(),
                pParameter: std::ptr::null_mut(),
                ulParameterLen: 0,
            }),
        }
    }
}

impl Functions {
    /// C_WrapKey: `key` under `wrapping`, in one call.
    pub(in crate::pkcs11) fn wrap(
        &self,
        session: &Session,
        mechanism: WrapMechanism,
        wrapping: ObjectHandle,
        key: ObjectHandle,
    ) -> Result<Vec<u8>, Refusal> {
        const FUNCTION: Function = Function::WrapKey;
        let call = self.table.C_WrapKey.ok_or(missing(FUNCTION))?;
        let mut wrapped = vec![0; MAX_WRAPPED_BYTES];
        let mut len = ulong(wrapped.len(), FUNCTION)?;
        mechanism.with(
            |mechanism| {
                // SAFETY: PKCS#11, C_WrapKey: mechanism and parameters are live for the call; the output is writable for `len`
                // bytes, which the library respects or answers CKR_BUFFER_TOO_SMALL; handles that are not valid are reported
                // by a return value. The session belongs to this thread alone (`Session` is not Sync; PKCS#11, section 5.1).
                let rv = unsafe {
                    call(
                        session.handle(),
                        mechanism,
                        wrapping.handle(),
                        key.handle(),
                        wrapped.as_mut_ptr(),
                        &raw mut len,
                    )
                };
                check(rv, FUNCTION)
            },
            FUNCTION,
        )?;
        match usize::try_from(len) {
            Ok(len) if len <= wrapped.len() => {
                wrapped.truncate(len);
                Ok(wrapped)
            }
            _ => Err(Refusal::new(
                FUNCTION,
                cryptoki::error::RvError::BufferTooSmall,
            )),
        }
    }

    /// C_UnwrapKey: the object that comes out of `wrapped` under `unwrapping`, with the attributes of `template`.
    pub(in crate::pkcs11) fn unwrap(
        &self,
        session: &Session,
        mechanism: WrapMechanism,
        unwrapping: ObjectHandle,
        wrapped: &[u8],
        template: &[Attribute],
    ) -> Result<ObjectHandle, Refusal> {
        const FUNCTION: Function = Function::UnwrapKey;
        let call = self.table.C_UnwrapKey.ok_or(missing(FUNCTION))?;
        let wrapped_len = ulong(wrapped.len(), FUNCTION)?;
        let mut attributes: Vec<CK_ATTRIBUTE> = template.iter().map(Into::into).collect();
        let count = ulong(attributes.len(), FUNCTION)?;
        let mut handle = 0;
        mechanism.with(
            |mechanism| {
                // SAFETY: PKCS#11, C_UnwrapKey: mechanism, parameters, input and template are live for the call, of the given
                // lengths, and are not written (the pointers lack const in the binding only); `attributes` points into
                // `template`, which outlives it; the handle is a live local. The session is this thread's alone.
                let rv = unsafe {
                    call(
                        session.handle(),
                        mechanism,
                        unwrapping.handle(),
                        wrapped.as_ptr().cast_mut(),
                        wrapped_len,
                        attributes.as_mut_ptr(),
                        count,
                        &raw mut handle,
                    )
                };
                check(rv, FUNCTION)
            },
            FUNCTION,
        )?;
        // SAFETY: `ObjectHandle::new_from_raw`: the handle is the one that the module gave for the new object.
        Ok(unsafe { ObjectHandle::new_from_raw(handle) })
    }
}
