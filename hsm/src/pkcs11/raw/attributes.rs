//! C_GetAttributeValue for one small attribute at a time.
//!
//! cryptoki gives up on all attributes of an object when one of them has a value that it does not know, such as an empty date or
//! CK_UNAVAILABLE_INFORMATION for the mechanism that made a key.

use cryptoki::context::Function;
use cryptoki::error::RvError;
use cryptoki::object::ObjectHandle;
use cryptoki::session::Session;
use cryptoki_sys::{CK_ATTRIBUTE, CK_ATTRIBUTE_TYPE, CK_UNAVAILABLE_INFORMATION, CKA_VALUE};
use fips::secret::SecretBytes;

use super::{Functions, check, missing, ulong};
use crate::error::Refusal;

impl Functions {
    /// The value of one attribute, if it has `limit` bytes at most. An error is the token's way to say that the object has no such
    /// attribute, or that it does not tell.
    pub(in crate::pkcs11) fn attribute(
        &self,
        session: &Session,
        object: ObjectHandle,
        attribute: CK_ATTRIBUTE_TYPE,
        limit: usize,
    ) -> Result<Vec<u8>, Refusal> {
        let mut value = vec![0; limit];
        let len = self.read_into(session, object, attribute, &mut value)?;
        value.truncate(len);
        Ok(value)
    }

    /// CKA_VALUE of a secret key, if it has `limit` bytes at most.
    pub(in crate::pkcs11) fn secret_value(
        &self,
        session: &Session,
        object: ObjectHandle,
        limit: usize,
    ) -> Result<SecretBytes, Refusal> {
        let mut value = SecretBytes::zeroed(limit);
        let len = self.read_into(session, object, CKA_VALUE, value.expose_mut())?;
        value.truncate(len);
        Ok(value)
    }

    /// The length of an attribute's value in bytes, which is not read. An error: as with [`attribute`](Self::attribute).
    pub(in crate::pkcs11) fn attribute_len(
        &self,
        session: &Session,
        object: ObjectHandle,
        attribute: CK_ATTRIBUTE_TYPE,
    ) -> Result<usize, Refusal> {
        const FUNCTION: Function = Function::GetAttributeValue;
        let call = self.table.C_GetAttributeValue.ok_or(missing(FUNCTION))?;
        let mut wanted = CK_ATTRIBUTE {
            type_: attribute,
            pValue: std::ptr::null_mut(),
            ulValueLen: 0,
        };
        // SAFETY: PKCS#11, C_GetAttributeValue: one CK_ATTRIBUTE without a buffer, of which the library writes the length alone; it
        // outlives the call. The session is this thread's alone.
        let rv = unsafe { call(session.handle(), object.handle(), &raw mut wanted, 1) };
        check(rv, FUNCTION)?;
        match usize::try_from(wanted.ulValueLen) {
            // CK_UNAVAILABLE_INFORMATION stands for a length that is not known.
            Ok(len) if wanted.ulValueLen != CK_UNAVAILABLE_INFORMATION => Ok(len),
            _ => Err(Refusal::new(FUNCTION, RvError::AttributeTypeInvalid)),
        }
    }

    /// Gives the length of what was read.
    fn read_into(
        &self,
        session: &Session,
        object: ObjectHandle,
        attribute: CK_ATTRIBUTE_TYPE,
        value: &mut [u8],
    ) -> Result<usize, Refusal> {
        const FUNCTION: Function = Function::GetAttributeValue;
        let call = self.table.C_GetAttributeValue.ok_or(missing(FUNCTION))?;
        let mut wanted = CK_ATTRIBUTE {
            type_: attribute,
            pValue: value.as_mut_ptr().cast(),
            ulValueLen: ulong(value.len(), FUNCTION)?,
        };
        // SAFETY: PKCS#11, C_GetAttributeValue: one CK_ATTRIBUTE whose buffer is writable for `ulValueLen` bytes, which the library
        // respects or answers CKR_BUFFER_TOO_SMALL; both outlive the call. The session is this thread's alone.
        let rv = unsafe { call(session.handle(), object.handle(), &raw mut wanted, 1) };
        check(rv, FUNCTION)?;
        // CK_UNAVAILABLE_INFORMATION, the largest number, stands for a length that is not known.
        match usize::try_from(wanted.ulValueLen) {
            Ok(len) if len <= value.len() => Ok(len),
            _ => Err(Refusal::new(FUNCTION, RvError::AttributeTypeInvalid)),
        }
    }
}
