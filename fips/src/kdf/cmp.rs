//! Keys for codes over CMP messages, from a secret that two sides share (RFC 9810 section 5.1.3.1, RFC 9481 section 6.1).

use super::{MAX_DERIVED_BYTES, output, pbkdf1, pbkdf2};
use crate::digest::Hash;
use crate::policy::{Service, perform};
use crate::{Error, Result, secret::SecretBytes};
use std::num::NonZeroU32;

/// The longest secret and the longest salt that are taken, in bytes.
const MAX_INPUT_BYTES: usize = 64 * 1024;

fn bounded(operation: &'static str, inputs: [&[u8]; 2]) -> Result<()> {
    match inputs
        .into_iter()
        .find(|input| input.len() > MAX_INPUT_BYTES)
    {
        None => Ok(()),
        Some(input) => Err(Error::MessageTooLong {
            operation,
            bytes: input.len(),
            limit: MAX_INPUT_BYTES,
        }),
    }
}

/// The key of PBMAC1 over a message that is sent: PBKDF2 with HMAC, `len` bytes.
///
/// **Never approved**: SP 800-132 permits keys from passwords for storage only, and this one protects what is sent. The time is
/// proportional to `iterations`; to bound it is up to the caller.
///
/// # Errors
/// [`Error::OutputLength`] for no output or one above [`MAX_DERIVED_BYTES`]; [`Error::MessageTooLong`]; [`Error::NotApproved`] in strict
/// mode without `cmp-shared-secret`.
pub fn pbmac1_message_key(
    hash: Hash,
    secret: &[u8],
    salt: &[u8],
    iterations: NonZeroU32,
    len: usize,
) -> Result<SecretBytes> {
    const OPERATION: &str = "PBMAC1 over a message";
    bounded(OPERATION, [secret, salt])?;
    // The underlying function treats an output of no bytes as an error.
    let limit = if len == 0 { 0 } else { MAX_DERIVED_BYTES };
    let out = output(OPERATION, len.max(1), limit)?;
    perform(Service::CmpPbmac1, |permit| {
        pbkdf2::derive(permit, hash.into(), secret, salt, iterations, out)
    })
}

/// The key of PasswordBasedMac (RFC 9810 section 5.1.3.1): the hash of secret and salt, hashed `iterations` times in all; one digest.
///
/// **Never approved**: built from the module's digests. The time is proportional to `iterations`; to bound it is up to the caller.
///
/// # Errors
/// [`Error::MessageTooLong`]; [`Error::NotApproved`] in strict mode without `cmp-shared-secret`.
pub fn password_based_mac_key(
    hash: Hash,
    secret: &[u8],
    salt: &[u8],
    iterations: NonZeroU32,
) -> Result<SecretBytes> {
    const OPERATION: &str = "PasswordBasedMac";
    bounded(OPERATION, [secret, salt])?;
    let out = output(OPERATION, hash.output_len(), hash.output_len())?;
    perform(Service::CmpPasswordBasedMac, |permit| {
        Ok(pbkdf1::derive(
            permit,
            hash.into(),
            secret,
            salt,
            iterations,
            out,
        ))
    })
}
