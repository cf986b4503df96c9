//! Random bytes from the module's CTR_DRBG (SP 800-90A). Approved.

use crate::policy::{Service, perform};
use crate::{Error, Result, secret::SecretBytes};
use zeroize::Zeroize;

const ALPHANUMERIC: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// Fills `out` with random bytes. Approved service. No bytes at all are none: the module's indicator would stand still.
///
/// # Errors
/// [`Error::Random`] if the generator failed; the module itself rather aborts the process than to give weak bytes.
pub fn fill(out: &mut [u8]) -> Result<()> {
    if out.is_empty() {
        return Ok(());
    }
    perform(Service::Random, |_| {
        aws_lc_rs::rand::fill(out).map_err(|_| Error::Random)
    })
}

/// `N` random bytes, for values that are not secret (nonces, identifiers): an array is not overwritten when dropped.
/// Approved service.
///
/// # Errors
/// As [`fill`].
pub fn array<const N: usize>() -> Result<[u8; N]> {
    let mut out = [0; N];
    fill(&mut out)?;
    Ok(out)
}

/// `len` random bytes that are a secret. Approved service.
///
/// # Errors
/// As [`fill`].
pub fn secret(len: usize) -> Result<SecretBytes> {
    let mut out = SecretBytes::zeroed(len);
    fill(out.expose_mut())?;
    Ok(out)
}

/// `len` random characters of `A-Z a-z 0-9`, all equally likely (5.95 bits each). Approved service.
///
/// # Errors
/// As [`fill`].
pub fn alphanumeric(len: usize) -> Result<SecretBytes> {
    // 248 is the largest multiple of 62 in a byte: what is above would make the first characters likelier.
    const UNBIASED: u8 = 248;
    let mut out = SecretBytes::zeroed(len);
    let mut pool = [0_u8; 64];
    let mut free = out.expose_mut().iter_mut();
    let mut slot = free.next();
    while slot.is_some() {
        fill(&mut pool)?;
        for byte in pool.iter().filter(|byte| **byte < UNBIASED) {
            let Some(place) = slot.take() else { break };
            if let Some(character) = ALPHANUMERIC.get(usize::from(byte % 62)) {
                *place = *character;
            }
            slot = free.next();
        }
    }
    pool.zeroize();
    Ok(out)
}

/// A random UUID (RFC 9562 section 5.4, version 4) in lower-case text form. Approved service.
///
/// # Errors
/// As [`fill`].
pub fn uuid_v4() -> Result<String> {
    let mut value = u128::from_be_bytes(array()?);
    value = value & !(0xf << 76) | (0x4 << 76);
    value = value & !(0x3 << 62) | (0x2 << 62);
    Ok(format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        value >> 96,
        (value >> 80) & 0xffff,
        (value >> 64) & 0xffff,
        (value >> 48) & 0xffff,
        value & 0xffff_ffff_ffff
    ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]

    use super::*;

    #[test]
    fn a_uuid_has_the_form_and_the_version_of_rfc_9562() {
        for _ in 0..64 {
            let uuid = uuid_v4().unwrap();
            assert_eq!(uuid.len(), 36);
            for (at, c) in uuid.char_indices() {
                match at {
                    8 | 13 | 18 | 23 => assert_eq!(c, '-'),
                    14 => assert_eq!(c, '4'),
                    19 => assert!("89ab".contains(c)),
                    _ => assert!(c.is_ascii_hexdigit() && !c.is_ascii_uppercase()),
                }
            }
        }
    }

    #[test]
    fn every_character_of_the_alphabet_comes_up_and_no_other() {
        let text = alphanumeric(20_000).unwrap();
        let mut counts = [0_u32; 256];
        for byte in text.expose() {
            counts[usize::from(*byte)] += 1;
        }
        for (byte, count) in counts.iter().enumerate() {
            let byte = u8::try_from(byte).unwrap();
            if ALPHANUMERIC.contains(&byte) {
                // Expected 322.6 with a standard deviation of 17.8: ten of them are never seen by chance.
                assert!((145..=500).contains(count), "{byte} came {count} times");
            } else {
                assert_eq!(*count, 0);
            }
        }
        assert!(alphanumeric(0).unwrap().is_empty());
    }

    #[test]
    fn no_bytes_are_no_fault() {
        fill(&mut []).unwrap();
        assert!(secret(0).unwrap().is_empty());
        assert_eq!(crate::policy::fault(), None);
    }

    #[test]
    fn two_draws_differ() {
        assert_ne!(array::<32>().unwrap(), array::<32>().unwrap());
        assert!(!secret(32).unwrap().ct_eq(secret(32).unwrap().expose()));
    }
}
