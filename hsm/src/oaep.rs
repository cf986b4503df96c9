//! EME-OAEP for tokens that do raw RSA only (RFC 8017): the padding is removed (section 7.1.2, step 3) in constant time, and
//! applied (section 7.1.1, step 2) for messages that are known anyway.
//!
//! Not an approved service: the raw operation is the token's, the padding is done here.
//!
//! Whoever learns *why* a padding was refused, or even whether the first byte was zero, can decrypt without the key
//! (Manger, CRYPTO 2001). So nothing here branches on, or indexes by, a byte that depends on the private key:
//!
//! | step | why it has no secret-dependent branch or index |
//! |---|---|
//! | MGF1, both times | lengths depend on modulus and hash only; SHA-1 and SHA-2 have no data-dependent branches |
//! | XOR with the masks | one pass over the whole block |
//! | first byte, label hash | every difference is ORed into one accumulator, nothing ends early |
//! | search for the 0x01 | every byte of DB is visited; position and errors are gathered by masks |
//! | the message moves to the front | for each bit of the distance the whole block is moved or kept, by a mask |
//! | the decision | one, at the end, on one accumulator: all reasons are one value by then |
//! | the length | used only after that decision, for a message that is given out anyway |
//!
//! The masks are those of [`crate::masks`]. What the compiler made of all this is checked: under valgrind, with the block marked as
//! undefined, no branch and no address depends on it (tests/constant_time.rs).

use std::hint::black_box;

use fips::digest::{Hash, Hasher};
use fips::secret::SecretBytes;
use zeroize::Zeroize;

use crate::masks::{mask_if_zero, shift_to_front};
use crate::{Error, Padding};

/// The padding was not right. Says no more on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadPadding;

/// XORs MGF1(seed, length of `target`) into `target` (RFC 8017, appendix B.2.1).
fn xor_mgf1(hash: Hash, seed: &[u8], target: &mut [u8]) {
    for (counter, block) in (0_u32..).zip(target.chunks_mut(hash.output_len())) {
        let mut hasher = Hasher::new(hash);
        hasher.update(seed);
        hasher.update(&counter.to_be_bytes());
        let mut mask = hasher.finish();
        for (byte, mask) in block.iter_mut().zip(mask.as_ref()) {
            *byte ^= mask;
        }
        mask.zeroize();
    }
}

/// Encodes `message` with this label for a modulus of `modulus_len` bytes: the input of the raw RSA operation, of the same
/// length and less than the modulus. Digests and seed are the module's.
///
/// For known ciphertexts only ([`crate::pkcs11`] probes with them), which protect nothing.
///
/// # Errors
/// [`Error::PlaintextTooLong`]; [`Error::Internal`] if there are no random bytes; [`Error::PaddingNotSupported`] for what is not OAEP.
pub(crate) fn pad(
    padding: Padding,
    label: &[u8],
    modulus_len: usize,
    message: &[u8],
) -> Result<SecretBytes, Error> {
    let hash = padding.hash().ok_or(Error::PaddingNotSupported(padding))?;
    let hash_len = hash.output_len();
    let too_long = || Error::PlaintextTooLong {
        limit: modulus_len.saturating_sub(2 * hash_len + 2),
        actual: message.len(),
    };
    // EM = 0x00 || maskedSeed || maskedDB; DB = lHash || PS || 0x01 || M, where PS are the zeros that are there already.
    let mut encoded = SecretBytes::zeroed(modulus_len);
    let Some((_zero, masked)) = encoded.expose_mut().split_first_mut() else {
        return Err(too_long());
    };
    let (seed, db) = masked.split_at_mut_checked(hash_len).ok_or_else(too_long)?;
    let (label_hash, rest) = db.split_at_mut_checked(hash_len).ok_or_else(too_long)?;
    let message_at = rest.len().checked_sub(message.len()).ok_or_else(too_long)?;
    let Some((separated, place)) = rest.split_at_mut_checked(message_at) else {
        return Err(too_long());
    };
    *separated.last_mut().ok_or_else(too_long)? = 1;
    place.copy_from_slice(message);
    let digest = fips::digest::digest(hash, label);
    for (to, from) in label_hash.iter_mut().zip(digest.as_ref()) {
        *to = *from;
    }
    fips::random::fill(seed).map_err(|_| Error::Internal("no random bytes"))?;
    xor_mgf1(hash, seed, db);
    xor_mgf1(hash, db, seed);
    Ok(encoded)
}

/// What [`separate`] found out, before anybody has looked at it.
#[derive(Clone, Copy)]
pub(crate) struct Separated {
    /// Zero if the padding was right.
    bad: u32,
    /// Where the message began, counted from the first byte of DB.
    start: u32,
}

/// All of the decoding but its one decision: nothing in here depends on a byte of `encoded` in its time or its addresses. The message is
/// at the front of `encoded` then, followed by zeros, if the padding was right. `None` for a length that is none and for what is not OAEP,
/// which is public.
pub(crate) fn separate(
    padding: Padding,
    label: &[u8],
    encoded: &mut SecretBytes,
) -> Option<Separated> {
    let hash = padding.hash()?;
    let hash_len = hash.output_len();
    // Lengths are public: the caller checked them against the modulus.
    if encoded.len() < 2 * hash_len + 2 {
        return None;
    }
    let label_hash = fips::digest::digest(hash, label);

    let (separated, db_len) = {
        let (first, masked) = encoded.expose_mut().split_first_mut()?;
        let (seed, db) = masked.split_at_mut_checked(hash_len)?;
        xor_mgf1(hash, db, seed);
        xor_mgf1(hash, seed, db);

        let mut bad = u32::from(*first);
        for (byte, expected) in db.iter().zip(label_hash.as_ref()) {
            bad |= u32::from(byte ^ expected);
        }

        // PS || 0x01 || M: zeros up to the first 0x01; anything else before it is an error.
        let mut looking = u32::MAX;
        let mut position = 0_u32;
        for (index, byte) in (0_u32..).zip(db.iter()).skip(hash_len) {
            let byte = u32::from(*byte);
            let is_one = mask_if_zero(byte ^ 1);
            let is_zero = mask_if_zero(byte);
            position |= looking & is_one & index;
            bad |= looking & !is_one & !is_zero;
            looking &= !is_one;
        }
        bad |= looking;
        // The message begins behind the 0x01.
        let separated = Separated {
            bad: black_box(bad),
            start: position.wrapping_add(1),
        };
        (separated, db.len())
    };

    // The whole block is moved: 1 + hLen bytes in front of DB, then the secret distance within DB. The first move is of a
    // public length, the second is by masks; both happen for good and for bad padding.
    let len = encoded.len();
    encoded.expose_mut().copy_within(1 + hash_len..len, 0);
    encoded.truncate(db_len);
    shift_to_front(encoded.expose_mut(), separated.start);
    Some(separated)
}

/// The one decision, on what [`separate`] made: the message, or nothing.
///
/// # Errors
/// [`BadPadding`].
pub(crate) fn decide(
    separated: Separated,
    mut encoded: SecretBytes,
) -> Result<SecretBytes, BadPadding> {
    if separated.bad != 0 {
        return Err(BadPadding);
    }
    let start = usize::try_from(separated.start).map_err(|_| BadPadding)?;
    // Zeros are behind the message already: overwriting them again would be work that only good padding makes.
    encoded.shorten(encoded.len().saturating_sub(start));
    Ok(encoded)
}

/// Decodes `encoded`, the whole result of the raw RSA operation (length of the modulus), with this label, which is public.
///
/// `encoded` is consumed: it is overwritten and becomes the message.
///
/// # Errors
/// [`BadPadding`], for every reason alike.
pub(crate) fn unpad(
    padding: Padding,
    label: &[u8],
    mut encoded: SecretBytes,
) -> Result<SecretBytes, BadPadding> {
    let separated = separate(padding, label, &mut encoded).ok_or(BadPadding)?;
    decide(separated, encoded)
}

#[cfg(test)]
mod tests;
