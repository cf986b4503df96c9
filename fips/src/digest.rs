//! Hash functions (FIPS 180-4). Approved, SHA-1 too as long as nothing is signed with it.
//!
//! Hashing is the one service that cannot fail: should the module's indicator not move, that is a fault of the process
//! ([`crate::policy::fault`]), and everything that can fail does from then on.

mod file_hash;

pub use file_hash::FileHash;
pub(crate) use file_hash::LONGEST_DIGEST;

use crate::policy::{Permit, Service, perform_infallible};
use aws_lc_rs::digest as lc;
use zeroize::Zeroize;

/// The hash functions of this crate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Hash {
    /// SHA-1: for thumbprints and for reading old formats.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl Hash {
    /// Every hash function, in the order of their strength.
    pub const ALL: [Self; 4] = [Self::Sha1, Self::Sha256, Self::Sha384, Self::Sha512];

    /// The length of a digest, in bytes.
    #[must_use]
    pub const fn output_len(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    /// The length of the block the function works on, in bytes (B of RFC 2104, v of RFC 7292 appendix B).
    #[must_use]
    pub const fn block_len(self) -> usize {
        match self {
            Self::Sha1 | Self::Sha256 => 64,
            Self::Sha384 | Self::Sha512 => 128,
        }
    }

    /// The name as FIPS 180-4 writes it, e.g. `SHA-256`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "SHA-1",
            Self::Sha256 => "SHA-256",
            Self::Sha384 => "SHA-384",
            Self::Sha512 => "SHA-512",
        }
    }

    fn algorithm(self) -> &'static lc::Algorithm {
        match self {
            Self::Sha1 => &lc::SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => &lc::SHA256,
            Self::Sha384 => &lc::SHA384,
            Self::Sha512 => &lc::SHA512,
        }
    }
}

/// The output of a hash function. `==` is not constant in time: authentication codes are compared by [`crate::hmac::verify`]
/// or [`crate::secret::ct_eq`]. `Debug` shows the length only, for what was hashed may be a secret that is easy to guess.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Digest {
    bytes: [u8; 64],
    len: usize,
}

impl Digest {
    pub(crate) fn from_slice(bytes: &[u8]) -> Self {
        let mut digest = Self {
            bytes: [0; 64],
            len: bytes.len().min(64),
        };
        for (to, from) in digest.bytes.iter_mut().zip(bytes) {
            *to = *from;
        }
        digest
    }
}

impl AsRef<[u8]> for Digest {
    fn as_ref(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&self.bytes)
    }
}

impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Digest({} bytes)", self.len)
    }
}

// For the key derivations, whose intermediate digests are secret.
impl Zeroize for Digest {
    fn zeroize(&mut self) {
        self.bytes.zeroize();
    }
}

/// The digest of `data`. Approved service.
#[must_use]
pub fn digest(hash: Hash, data: &[u8]) -> Digest {
    perform_infallible(Service::Digest, |permit| within(permit, hash, data))
}

/// A digest that is part of another service, which was decided about.
pub(crate) fn within(_: &Permit, hash: Hash, data: &[u8]) -> Digest {
    Digest::from_slice(lc::digest(hash.algorithm(), data).as_ref())
}

/// A digest of data that comes in pieces. Approved service.
pub struct Hasher {
    context: lc::Context,
}

impl Hasher {
    /// Starts with no data.
    #[must_use]
    pub fn new(hash: Hash) -> Self {
        Self {
            context: lc::Context::new(hash.algorithm()),
        }
    }

    /// Adds `data`.
    pub fn update(&mut self, data: &[u8]) {
        self.context.update(data);
    }

    /// The digest of everything that was added.
    #[must_use]
    pub fn finish(self) -> Digest {
        perform_infallible(Service::Digest, |permit| self.finish_within(permit))
    }

    /// The same as part of another service, which was decided about.
    pub(crate) fn finish_within(self, _: &Permit) -> Digest {
        Digest::from_slice(self.context.finish().as_ref())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn hex(digest: &Digest) -> String {
        base16ct::lower::encode_string(digest.as_ref())
    }

    #[test]
    fn the_examples_of_fips_180_come_out() {
        assert_eq!(
            hex(&digest(Hash::Sha1, b"abc")),
            "a9993e364706816aba3e25717850c26c9cd0d89d"
        );
        assert_eq!(
            hex(&digest(Hash::Sha256, b"abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert!(hex(&digest(Hash::Sha384, b"abc")).starts_with("cb00753f45a35e8bb5a03d699ac65007"));
        assert!(hex(&digest(Hash::Sha512, b"abc")).starts_with("ddaf35a193617abacc417349ae204131"));
    }

    #[test]
    fn pieces_give_the_same_as_the_whole() {
        for hash in Hash::ALL {
            let mut hasher = Hasher::new(hash);
            hasher.update(b"a");
            hasher.update(b"");
            hasher.update(b"bc");
            let pieces = hasher.finish();
            assert_eq!(pieces, digest(hash, b"abc"));
            assert_eq!(pieces.as_ref().len(), hash.output_len());
            assert_eq!(hash.algorithm().block_len(), hash.block_len());
        }
    }

    #[test]
    fn debug_does_not_show_the_bytes() {
        assert_eq!(
            format!("{:?}", digest(Hash::Sha1, b"abc")),
            "Digest(20 bytes)"
        );
    }
}
