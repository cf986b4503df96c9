//! The key derivation function of ANSI X9.63 (SEC 1 version 2, section 3.6.1).

use super::{MAX_DERIVED_BYTES, output};
use crate::digest::{Hash, Hasher};
use crate::{Result, secret::SecretBytes};
use zeroize::Zeroize;

/// Derives `len` bytes from the shared secret `z`: `Hash(z || counter || shared_info)` for counter 1, 2, ...
///
/// This is what CMS uses with ECDH (RFC 5753, `dhSinglePass-stdDH-sha*kdf-scheme`).
///
/// **Not approved**: the module has no X9.63 KDF; this one is built from its digests.
///
/// # Errors
/// [`crate::Error::OutputLength`] above [`MAX_DERIVED_BYTES`].
pub fn x963(hash: Hash, z: &SecretBytes, shared_info: &[u8], len: usize) -> Result<SecretBytes> {
    let mut out = output("X9.63 KDF", len, MAX_DERIVED_BYTES)?;
    for (chunk, counter) in out
        .expose_mut()
        .chunks_mut(hash.output_len())
        .zip(1_u32..=u32::MAX)
    {
        let mut hasher = Hasher::new(hash);
        hasher.update(z.expose());
        hasher.update(&counter.to_be_bytes());
        hasher.update(shared_info);
        let mut block = hasher.finish();
        for (to, from) in chunk.iter_mut().zip(block.as_ref()) {
            *to = *from;
        }
        block.zeroize();
    }
    Ok(out)
}
