//! The password-based key derivation of PKCS#12 (RFC 7292 appendix B.2).

use super::{MAX_DERIVED_BYTES, beginning, output};
use crate::digest::{FileHash, LONGEST_DIGEST};
use crate::policy::{Permit, Service, perform};
use crate::{Error, Result, secret::SecretBytes};
use std::num::NonZeroU32;
use zeroize::Zeroizing;

/// What the derived bytes are for: the ID byte of RFC 7292 appendix B.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pkcs12Purpose {
    /// ID 1: an encryption key.
    Key,
    /// ID 2: an initialization vector.
    Iv,
    /// ID 3: a MAC key.
    Mac,
}

impl Pkcs12Purpose {
    const fn id(self) -> u8 {
        match self {
            Self::Key => 1,
            Self::Iv => 2,
            Self::Mac => 3,
        }
    }
}

/// What a file is derived for, since each has an exception of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pkcs12Use {
    /// A file that exists is read.
    Read,
    /// A file is written.
    Write,
}

/// The longest password and the longest salt that are taken, in bytes.
const MAX_INPUT_BYTES: usize = 64 * 1024;

/// Derives `len` bytes from a password.
///
/// `password_bmp` is the password as RFC 7292 appendix B.1 wants it: big-endian BMPString with two zero bytes at
/// the end; or nothing at all, which some writers mean by "no password".
/// The time is proportional to `iterations`; to bound it is up to the caller, who knows where the number comes from.
///
/// **Not approved**: legacy, to read old files and to write the classic MAC; built from the module's digests.
///
/// # Errors
/// [`Error::OutputLength`] above [`MAX_DERIVED_BYTES`]; [`Error::MessageTooLong`] for a password or a salt above 64 KiB;
/// [`Error::NotApproved`] in strict mode without `pkcs12-legacy-read` or `pkcs12-kdf-mac-write`.
pub fn pkcs12(
    use_for: Pkcs12Use,
    hash: impl Into<FileHash>,
    password_bmp: &[u8],
    salt: &[u8],
    purpose: Pkcs12Purpose,
    iterations: NonZeroU32,
    len: usize,
) -> Result<SecretBytes> {
    const OPERATION: &str = "PKCS#12 key derivation";
    let out = output(OPERATION, len, MAX_DERIVED_BYTES)?;
    for input in [password_bmp, salt] {
        if input.len() > MAX_INPUT_BYTES {
            return Err(Error::MessageTooLong {
                operation: OPERATION,
                bytes: input.len(),
                limit: MAX_INPUT_BYTES,
            });
        }
    }
    let service = match use_for {
        Pkcs12Use::Read => Service::Pkcs12KdfRead,
        Pkcs12Use::Write => Service::Pkcs12KdfWrite,
    };
    let parameters = Parameters {
        hash: hash.into(),
        purpose,
        iterations,
    };
    perform(service, |permit| {
        Ok(derive(permit, &parameters, password_bmp, salt, out))
    })
}

struct Parameters {
    hash: FileHash,
    purpose: Pkcs12Purpose,
    iterations: NonZeroU32,
}

fn derive(
    permit: &Permit,
    parameters: &Parameters,
    password_bmp: &[u8],
    salt: &[u8],
    mut out: SecretBytes,
) -> SecretBytes {
    let hash = parameters.hash;
    let v = hash.block_len();
    // Steps 1 to 4: D, then I = S || P, each repeated to a multiple of v.
    let salt_len = salt.len().next_multiple_of(v);
    let mut input = SecretBytes::zeroed(v + salt_len + password_bmp.len().next_multiple_of(v));
    let (diversifier, repeated) = input.expose_mut().split_at_mut(v);
    let (salt_part, password_part) = repeated.split_at_mut(salt_len);
    diversifier.fill(parameters.purpose.id());
    repeat_into(salt_part, salt);
    repeat_into(password_part, password_bmp);

    // Steps 5 to 8. The chain goes from one buffer to the other, since input and output of the module must not overlap.
    let mut a = Zeroizing::new([0_u8; LONGEST_DIGEST]);
    let mut next = Zeroizing::new([0_u8; LONGEST_DIGEST]);
    let mut addend = SecretBytes::zeroed(v);
    for chunk in out.expose_mut().chunks_mut(hash.output_len()) {
        hash.digest_into(permit, input.expose(), &mut a);
        for _ in 1..parameters.iterations.get() {
            hash.digest_into(permit, beginning(&a, hash), &mut next);
            std::mem::swap(&mut a, &mut next);
        }
        let a = beginning(&a, hash);
        for (to, from) in chunk.iter_mut().zip(a) {
            *to = *from;
        }
        repeat_into(addend.expose_mut(), a);
        for block in input.expose_mut().chunks_exact_mut(v).skip(1) {
            add_plus_one(block, addend.expose());
        }
    }
    out
}

fn repeat_into(to: &mut [u8], from: &[u8]) {
    for (to, from) in to.iter_mut().zip(from.iter().cycle()) {
        *to = *from;
    }
}

/// `block = (block + addend + 1) mod 2^(8v)`, big-endian (step 6C).
fn add_plus_one(block: &mut [u8], addend: &[u8]) {
    let mut carry = 1_u16;
    for (to, from) in block.iter_mut().rev().zip(addend.iter().rev()) {
        let [high, low] = (u16::from(*to) + u16::from(*from) + carry).to_be_bytes();
        *to = low;
        carry = u16::from(high);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;
    use crate::digest::Hash;

    /// The password "smeg" of the test vectors that have gone round since PKCS#12 came out.
    #[test]
    fn the_well_known_vectors_come_out() {
        let _mode = crate::policy::tests::under(crate::policy::Policy::OFF);
        let bytes = |hex| base16ct::lower::decode_vec(hex).unwrap();
        let (password, salt) = (bytes("0073006d006500670000"), bytes("0a58cf64530d823f"));
        let one = NonZeroU32::MIN;
        let key = pkcs12(
            Pkcs12Use::Read,
            Hash::Sha1,
            &password,
            &salt,
            Pkcs12Purpose::Key,
            one,
            24,
        )
        .unwrap();
        assert!(key.ct_eq(&bytes("8aaae6297b6cb04642ab5b077851284eb7128f1a2a7fbca3")));
        let iv = pkcs12(
            Pkcs12Use::Read,
            Hash::Sha1,
            &password,
            &salt,
            Pkcs12Purpose::Iv,
            one,
            8,
        )
        .unwrap();
        assert!(iv.ct_eq(&bytes("79993dfe048d3b76")));
    }

    #[test]
    fn the_sum_carries_and_wraps() {
        let mut block = [0xff, 0xff];
        add_plus_one(&mut block, &[0, 0]);
        assert_eq!(block, [0, 0]);
        let mut block = [0x00, 0xfe];
        add_plus_one(&mut block, &[0x01, 0x02]);
        assert_eq!(block, [0x02, 0x01]);
    }

    #[test]
    fn empty_inputs_and_odd_lengths_are_fine_and_endless_ones_are_not() {
        let _mode = crate::policy::tests::under(crate::policy::Policy::OFF);
        let one = NonZeroU32::MIN;
        for hash in FileHash::ALL {
            for len in [0, 1, 19, 64, 129] {
                let key = pkcs12(
                    Pkcs12Use::Read,
                    hash,
                    b"",
                    b"",
                    Pkcs12Purpose::Mac,
                    one,
                    len,
                )
                .unwrap();
                assert_eq!(key.len(), len);
            }
        }
        assert!(
            pkcs12(
                Pkcs12Use::Read,
                Hash::Sha1,
                b"",
                b"",
                Pkcs12Purpose::Key,
                one,
                usize::MAX
            )
            .is_err()
        );
        let long = vec![0; MAX_INPUT_BYTES + 1];
        assert!(
            pkcs12(
                Pkcs12Use::Read,
                Hash::Sha1,
                &long,
                b"",
                Pkcs12Purpose::Key,
                one,
                8
            )
            .is_err()
        );
        assert!(
            pkcs12(
                Pkcs12Use::Read,
                Hash::Sha1,
                b"",
                &long,
                Pkcs12Purpose::Key,
                one,
                8
            )
            .is_err()
        );
    }
}
