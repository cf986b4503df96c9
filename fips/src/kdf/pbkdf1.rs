//! PBKDF1 (RFC 8018 section 5.1), of files that are older than PBKDF2.

use super::{beginning, output};
use crate::digest::{FileHash, LONGEST_DIGEST};
use crate::policy::{Permit, Service, perform};
use crate::{Error, Result, secret::SecretBytes};
use std::num::NonZeroU32;
use zeroize::Zeroizing;

const OPERATION: &str = "PBKDF1";

/// The longest password and the longest salt that are taken, in bytes.
const MAX_INPUT_BYTES: usize = 64 * 1024;

/// Derives `len` bytes, at most one digest, from a password: the hash of password and salt, hashed `iterations` times in all.
/// RFC 8018 gives it with MD2, MD5 and SHA-1; the module has no MD2.
///
/// The time is proportional to `iterations`; to bound it is up to the caller, who knows where the number comes from.
///
/// **Never approved**: to read old files alone; built from the module's digests.
///
/// # Errors
/// [`Error::OutputLength`] for more than one digest ("derived key too long"); [`Error::MessageTooLong`] for a password or a salt above
/// 64 KiB; [`Error::NotApproved`] in strict mode without `pkcs12-legacy-read`.
pub fn pbkdf1(
    hash: impl Into<FileHash>,
    password: &[u8],
    salt: &[u8],
    iterations: NonZeroU32,
    len: usize,
) -> Result<SecretBytes> {
    let hash = hash.into();
    let out = output(OPERATION, len, hash.output_len())?;
    for input in [password, salt] {
        if input.len() > MAX_INPUT_BYTES {
            return Err(Error::MessageTooLong {
                operation: OPERATION,
                bytes: input.len(),
                limit: MAX_INPUT_BYTES,
            });
        }
    }
    perform(Service::Pbkdf1, |permit| {
        Ok(derive(permit, hash, password, salt, iterations, out))
    })
}

pub(super) fn derive(
    permit: &Permit,
    hash: FileHash,
    password: &[u8],
    salt: &[u8],
    iterations: NonZeroU32,
    mut out: SecretBytes,
) -> SecretBytes {
    let mut input = SecretBytes::zeroed(password.len() + salt.len());
    for (to, from) in input
        .expose_mut()
        .iter_mut()
        .zip(password.iter().chain(salt))
    {
        *to = *from;
    }
    let mut t = Zeroizing::new([0_u8; LONGEST_DIGEST]);
    let mut next = Zeroizing::new([0_u8; LONGEST_DIGEST]);
    hash.digest_into(permit, input.expose(), &mut t);
    for _ in 1..iterations.get() {
        hash.digest_into(permit, beginning(&t, hash), &mut next);
        std::mem::swap(&mut t, &mut next);
    }
    for (to, from) in out.expose_mut().iter_mut().zip(beginning(&t, hash)) {
        *to = *from;
    }
    out
}
