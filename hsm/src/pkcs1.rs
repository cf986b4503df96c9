//! EME-PKCS1-v1_5 (RFC 8017, section 7.2), for the records of old imports: the padding is removed (section 7.2.2, step 3) in constant
//! time, and whatever is wrong with it, a message comes out.
//!
//! Not an approved service, and in mode off alone: the raw operation is the token's, the padding is done here.
//!
//! Whoever learns whether a padding was right can decrypt without the key (Bleichenbacher, CRYPTO 1998). OAEP refuses with one error;
//! here even that one would be the oracle, since any 65,000th random block has a right padding. So there is **no error at all**
//! (implicit rejection, draft-irtf-cfrg-rsa-guidance): a wrong block gives a message of a length that look like chance, the same each
//! time for the same ciphertext, made by HMAC under a secret of this process. Nobody but the holder of that secret can tell it from what
//! somebody encrypted. What the message is good for is seen where it is used: it opens its PFX or it does not.
//!
//! | step | why it has no secret-dependent branch or index |
//! |---|---|
//! | the other message | is made before the token is asked, for every ciphertext, of public lengths |
//! | 0x00, 0x02, eight bytes that are not zero | every difference goes into one accumulator, nothing ends early |
//! | search for the 0x00 | every byte is visited; position and errors are gathered by masks |
//! | which of the two messages | every byte and both lengths are selected by one mask |
//! | the message moves to the front | for each bit of the distance the whole block is moved or kept, by a mask |
//! | the length | used only at the end, for a message that is given out anyway: it is one of two that both look like chance |
//!
//! Checked under valgrind like [`crate::oaep`] (tests/constant_time.rs).

use std::hint::black_box;

use fips::digest::Hash;
use fips::secret::SecretBytes;
use zeroize::Zeroize;

use crate::Error;
use crate::masks::{mask_if_less, mask_if_zero, select, shift_to_front};

/// The bytes around a message: 0x00, 0x02, eight of padding at least, 0x00.
pub(crate) const OVERHEAD: usize = 11;
/// Where the 0x00 behind the padding can be, at the earliest.
const FIRST_SEPARATOR: u32 = 10;
/// Candidates for the length of a message that nobody sent: none of them fits with a chance of less than 2^-128.
const LENGTH_CANDIDATES: usize = 128;
/// The length of the secret, in bytes.
const SECRET_BYTES: usize = 32;

/// What messages that nobody sent are made from: as secret as a key, and gone with the process.
pub(crate) struct RejectionSecret(pub(crate) SecretBytes);

impl RejectionSecret {
    /// A new one.
    ///
    /// # Errors
    /// [`Error::Internal`] if there are no random bytes.
    pub(crate) fn new() -> Result<Self, Error> {
        fips::random::secret(SECRET_BYTES)
            .map(Self)
            .map_err(|_| Error::Internal("no random bytes"))
    }

    /// The message that this ciphertext under this key gets where its padding is wrong: the same whenever it is asked for.
    ///
    /// # Errors
    /// Those of HMAC.
    pub(crate) fn rejection(
        &self,
        key: &[u8; 32],
        ciphertext: &[u8],
        modulus_len: usize,
    ) -> Result<Rejection, Error> {
        let mut bound = key.to_vec();
        bound.extend(ciphertext);
        let mut derived = fips::hmac::sign(Hash::Sha256, self.0.expose(), &bound)?;
        let seed = SecretBytes::from_slice(derived.as_ref());
        derived.zeroize();
        let block = expand(&seed, b"message", modulus_len)?;
        let lengths = expand(&seed, b"length", 2 * LENGTH_CANDIDATES)?;
        Ok(Rejection {
            block,
            len: length_of(lengths.expose(), modulus_len),
        })
    }
}

/// What takes the place of a message whose padding is wrong. As long as nobody compares, it is a message like any other.
pub(crate) struct Rejection {
    /// As long as the modulus; the message is at its end.
    block: SecretBytes,
    len: u32,
}

impl Rejection {
    /// The message itself: where a token said that the padding is wrong, which must not be known outside.
    pub(crate) fn into_message(self) -> SecretBytes {
        let Self { block, len } = self;
        let mut message = block;
        let len = usize::try_from(len).unwrap_or_default();
        let start = message.len().saturating_sub(len);
        message.expose_mut().copy_within(start.., 0);
        message.truncate(len);
        message
    }
}

/// `length` bytes of HMAC over counter, label and the length in bits (16 bits each, big-endian).
fn expand(seed: &SecretBytes, label: &[u8], length: usize) -> Result<SecretBytes, Error> {
    let bits = u16::try_from(length * 8).map_err(|_| Error::Internal("a modulus is too long"))?;
    let mut out = SecretBytes::zeroed(length);
    for (counter, block) in (0_u16..).zip(out.expose_mut().chunks_mut(Hash::Sha256.output_len())) {
        let mut input = counter.to_be_bytes().to_vec();
        input.extend(label);
        input.extend(bits.to_be_bytes());
        let mut made = fips::hmac::sign(Hash::Sha256, seed.expose(), &input)?;
        for (to, from) in block.iter_mut().zip(made.as_ref()) {
            *to = *from;
        }
        made.zeroize();
    }
    Ok(out)
}

/// The last of the candidates that a modulus of this length has room for.
fn length_of(candidates: &[u8], modulus_len: usize) -> u32 {
    let room = u32::try_from(modulus_len.saturating_sub(OVERHEAD)).unwrap_or_default();
    // All ones up to the highest bit of the room.
    let mask = u32::MAX
        .checked_shr(room.leading_zeros())
        .unwrap_or_default();
    let mut len = 0;
    for pair in candidates.chunks_exact(2) {
        let candidate = pair
            .iter()
            .fold(0, |number, byte| (number << 8) | u32::from(*byte))
            & mask;
        len = select(mask_if_less(candidate, room + 1), candidate, len);
    }
    len
}

/// Encodes `message` for a modulus of `modulus_len` bytes: the input of the raw RSA operation.
///
/// For known ciphertexts only ([`crate::pkcs11`] probes with them), which protect nothing.
///
/// # Errors
/// [`Error::PlaintextTooLong`]; [`Error::Internal`] if there are no random bytes.
pub(crate) fn pad(modulus_len: usize, message: &[u8]) -> Result<SecretBytes, Error> {
    let too_long = || Error::PlaintextTooLong {
        limit: modulus_len.saturating_sub(OVERHEAD),
        actual: message.len(),
    };
    let mut encoded = SecretBytes::zeroed(modulus_len);
    let padding_len = modulus_len
        .checked_sub(OVERHEAD + message.len())
        .ok_or_else(too_long)?
        + 8;
    let [_zero, two, rest @ ..] = encoded.expose_mut() else {
        return Err(too_long());
    };
    *two = 2;
    let (padding, rest) = rest
        .split_at_mut_checked(padding_len)
        .ok_or_else(too_long)?;
    // The 0x00 is there already.
    let (_zero, place) = rest.split_first_mut().ok_or_else(too_long)?;
    fips::random::fill(padding).map_err(|_| Error::Internal("no random bytes"))?;
    for byte in padding {
        // A zero would end the padding; nobody needs these to be evenly distributed.
        *byte |= u8::from(*byte == 0);
    }
    place.copy_from_slice(message);
    Ok(encoded)
}

/// What [`separate`] made: the message is at the front of the block.
pub(crate) struct Separated {
    pub(crate) block: SecretBytes,
    pub(crate) len: u32,
}

/// All of the decoding: nothing in here depends on a byte of `encoded` or of `rejection` in its time or its addresses.
///
/// `encoded` and the rejection are as long as the modulus, which is public; `None` where they are not, or are too short for any message.
pub(crate) fn separate(rejection: Rejection, mut encoded: SecretBytes) -> Option<Separated> {
    let modulus_len = encoded.len();
    if modulus_len < OVERHEAD || rejection.block.len() != modulus_len {
        return None;
    }
    let length = u32::try_from(modulus_len).ok()?;

    let mut bad = 0;
    let mut looking = u32::MAX;
    let mut separator = 0;
    for (index, byte) in (0_u32..).zip(encoded.expose()) {
        let byte = u32::from(*byte);
        match index {
            0 => bad |= byte,
            1 => bad |= byte ^ 2,
            _ => {
                let is_zero = mask_if_zero(byte);
                separator |= looking & is_zero & index;
                looking &= !is_zero;
            }
        }
    }
    // No 0x00, or one within the first eight bytes of the padding.
    bad |= looking | mask_if_less(separator, FIRST_SEPARATOR);
    let good = mask_if_zero(black_box(bad));

    let message_len = length.wrapping_sub(separator).wrapping_sub(1);
    let len = select(good, message_len, rejection.len);
    let [mask, ..] = good.to_le_bytes();
    for (byte, other) in encoded
        .expose_mut()
        .iter_mut()
        .zip(rejection.block.expose())
    {
        *byte = other ^ (mask & (*byte ^ other));
    }
    // Both messages are at the end of their blocks.
    shift_to_front(encoded.expose_mut(), length.wrapping_sub(len));
    Some(Separated {
        block: encoded,
        len,
    })
}

/// The message at its length: from here on, that one is given out.
pub(crate) fn finish(separated: Separated) -> SecretBytes {
    let Separated { mut block, len } = separated;
    block.truncate(usize::try_from(len).unwrap_or_default());
    block
}

/// Decodes `encoded`, the whole result of the raw RSA operation (length of the modulus): the message, or the one that takes its place.
///
/// `None` where the lengths do not fit, which says nothing of what is inside.
pub(crate) fn unpad(rejection: Rejection, encoded: SecretBytes) -> Option<SecretBytes> {
    separate(rejection, encoded).map(finish)
}

#[cfg(test)]
mod tests;
