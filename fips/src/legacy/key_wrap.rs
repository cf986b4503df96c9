//! The key wrap of Triple DES (RFC 3217 section 3), read only: CMS messages of the past have it beside ECDH.

use super::length;
use crate::cbc::{self, Cipher};
use crate::digest::{FileHash, LONGEST_DIGEST};
use crate::policy::{Permit, Service, perform};
use crate::{Error, Result, secret::SecretBytes};
use zeroize::Zeroize;

/// The initialisation vector of the outer encryption (RFC 3217 section 3.1).
const OUTER_IV: [u8; 8] = [0x4a, 0xdd, 0xa2, 0x2c, 0x79, 0xe8, 0x21, 0x05];
/// Length of a key that is wrapped, of its checksum and of a wrapped key (with the inner vector), in bytes.
const KEY_BYTES: usize = 24;
const CHECKSUM_BYTES: usize = 8;
const WRAPPED_BYTES: usize = 40;

/// Unwraps a Triple DES key (`id-alg-CMS3DESwrap`). **Never approved.**
///
/// The parity of the key's bytes is not looked at: writers differ, and the checksum has been verified.
///
/// # Errors
/// [`Error::KeyLength`] for a wrapping key of anything but 24 bytes; [`Error::Decryption`] for an impossible length and a checksum that does
/// not fit alike; [`Error::NotApproved`] in strict mode without the exception.
pub fn des_ede3_key_unwrap(wrapping_key: &SecretBytes, wrapped: &[u8]) -> Result<SecretBytes> {
    length("3DES", wrapping_key, &[KEY_BYTES], "24")?;
    if wrapped.len() != WRAPPED_BYTES {
        return Err(Error::Decryption);
    }
    perform(Service::TripleDesDecrypt, |permit| {
        unwrap(permit, wrapping_key.expose(), wrapped)
    })
}

fn unwrap(permit: &Permit, key: &[u8], wrapped: &[u8]) -> Result<SecretBytes> {
    let mut outer = cbc::decrypt_blocks(permit, Cipher::DesEde3, key, &OUTER_IV, wrapped)?;
    outer.expose_mut().reverse();
    let (iv, inner) = outer
        .expose()
        .split_at_checked(OUTER_IV.len())
        .ok_or(Error::Decryption)?;
    let mut unwrapped = cbc::decrypt_blocks(permit, Cipher::DesEde3, key, iv, inner)?;
    let (key, checksum) = unwrapped
        .expose()
        .split_at_checked(KEY_BYTES)
        .ok_or(Error::Decryption)?;
    let mut digest = [0; LONGEST_DIGEST];
    FileHash::Sha1.digest_into(permit, key, &mut digest);
    let expected = digest.get(..CHECKSUM_BYTES).unwrap_or(&digest);
    let fits = SecretBytes::from_slice(checksum).ct_eq(expected);
    digest.zeroize();
    if !fits {
        return Err(Error::Decryption);
    }
    unwrapped.truncate(KEY_BYTES);
    Ok(unwrapped)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]

    use super::*;
    use crate::policy::Policy;

    fn bytes(hex: &str) -> Vec<u8> {
        base16ct::lower::decode_vec(hex.replace(' ', "")).unwrap()
    }

    /// RFC 3217 section 5.1 (the wrapping key is its KEK, the key its CEK).
    #[test]
    fn the_example_of_the_rfc_comes_out() {
        let _mode = crate::policy::tests::under(Policy::OFF);
        let kek =
            SecretBytes::from_vec(bytes("255e0d1c07b646df b3134cc843ba8aa7 1f025b7c0838251f"));
        let wrapped = bytes(
            "690107618ef092b3 b48ca1796b234ae9 fa33ebb415960403 7db5d6a84eb3aac2 768c632775a467d4",
        );
        let key = des_ede3_key_unwrap(&kek, &wrapped).unwrap();
        assert!(key.ct_eq(&bytes("2923bf85e06dd6ae 529149f1f1bae9ea b3a7da3d860d3e98")));
        for at in 0..wrapped.len() {
            let mut changed = wrapped.clone();
            changed[at] ^= 1;
            let refused = des_ede3_key_unwrap(&kek, &changed);
            assert!(matches!(refused, Err(Error::Decryption)), "{at}");
        }
        for len in [0, 8, 32, 39, 41, 48] {
            let refused = des_ede3_key_unwrap(&kek, &vec![0; len]);
            assert!(matches!(refused, Err(Error::Decryption)), "{len}");
        }
        assert!(matches!(
            des_ede3_key_unwrap(&SecretBytes::zeroed(16), &wrapped),
            Err(Error::KeyLength { .. })
        ));
    }

    #[test]
    fn in_strict_mode_it_is_refused() {
        let _mode = crate::policy::tests::under(Policy::STRICT);
        let refused = des_ede3_key_unwrap(&SecretBytes::zeroed(24), &[0; 40]);
        assert!(matches!(refused, Err(Error::NotApproved { .. })));
    }
}
