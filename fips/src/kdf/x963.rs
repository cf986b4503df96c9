//! The key derivation function of ANSI X9.63 (SEC 1 version 2, section 3.6.1).

use super::{MAX_DERIVED_BYTES, output};
use crate::digest::{FileHash, LONGEST_DIGEST};
use crate::policy::{Permit, Service, perform};
use crate::{Result, secret::SecretBytes};
use zeroize::Zeroize;

/// Derives `len` bytes from the shared secret `z`: `Hash(z || counter || shared_info)` for counter 1, 2, ...
///
/// This is what CMS uses with ECDH (RFC 5753, `dhSinglePass-stdDH-sha*kdf-scheme`).
///
/// **Not approved**: the module has no X9.63 KDF; this one is built from its digests.
///
/// # Errors
/// [`crate::Error::OutputLength`] above [`MAX_DERIVED_BYTES`]; [`crate::Error::NotApproved`] in strict mode without `cms-ecdh-static`.
pub fn x963(
    hash: impl Into<FileHash>,
    z: &SecretBytes,
    shared_info: &[u8],
    len: usize,
) -> Result<SecretBytes> {
    let hash = hash.into();
    let out = output("X9.63 KDF", len, MAX_DERIVED_BYTES)?;
    perform(Service::X963Kdf, |permit| {
        Ok(derive(permit, hash, z, shared_info, out))
    })
}

fn derive(
    permit: &Permit,
    hash: FileHash,
    z: &SecretBytes,
    shared_info: &[u8],
    mut out: SecretBytes,
) -> SecretBytes {
    // What is hashed each time, with another counter in its place.
    let mut input = SecretBytes::zeroed(z.len() + 4 + shared_info.len());
    let before_and_behind = z.expose().iter().chain(&[0; 4]).chain(shared_info);
    for (to, from) in input.expose_mut().iter_mut().zip(before_and_behind) {
        *to = *from;
    }
    let mut block = [0; LONGEST_DIGEST];
    for (chunk, counter) in out
        .expose_mut()
        .chunks_mut(hash.output_len())
        .zip(1_u32..=u32::MAX)
    {
        let place = input.expose_mut().iter_mut().skip(z.len());
        for (to, from) in place.zip(counter.to_be_bytes()) {
            *to = from;
        }
        hash.digest_into(permit, input.expose(), &mut block);
        for (to, from) in chunk.iter_mut().zip(&block) {
            *to = *from;
        }
    }
    block.zeroize();
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::digest::Hash;

    fn bytes(hex: &str) -> Vec<u8> {
        base16ct::lower::decode_vec(hex).unwrap()
    }

    /// NIST CAVS 12.0, "ANS X9.63-2001", SHA-256, 192 bits of Z, no SharedInfo, count 0.
    #[test]
    fn the_vector_of_nist_comes_out() {
        let _mode = crate::policy::tests::under(crate::policy::Policy::OFF);
        let z = SecretBytes::from_vec(bytes("96c05619d56c328ab95fe84b18264b08725b85e33fd34f08"));
        let key = x963(Hash::Sha256, &z, b"", 16).unwrap();
        assert!(key.ct_eq(&bytes("443024c3dae66b95e6f5670601558f71")));
    }

    #[test]
    fn shorter_outputs_are_the_beginning_of_longer_ones_and_endless_ones_are_refused() {
        let _mode = crate::policy::tests::under(crate::policy::Policy::OFF);
        let z = SecretBytes::zeroed(32);
        for hash in FileHash::ALL {
            let mut long = x963(hash, &z, b"info", 100).unwrap();
            for len in (0..100).rev() {
                long.truncate(len);
                assert!(x963(hash, &z, b"info", len).unwrap().ct_eq(long.expose()));
            }
        }
        assert!(x963(Hash::Sha1, &z, b"", MAX_DERIVED_BYTES).is_ok());
        assert!(x963(Hash::Sha1, &z, b"", MAX_DERIVED_BYTES + 1).is_err());
        assert!(x963(Hash::Sha1, &z, b"", usize::MAX).is_err());
    }
}
