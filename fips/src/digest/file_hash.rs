//! The hash functions that files of others name in their key derivations and authentication codes.

use super::Hash;
use crate::policy::Permit;
use aws_lc_fips_sys as lc;

/// Every hash function of the module that a PFX can name: those of [`Hash`](enum@super::Hash), and what is only ever read.
///
/// MD5 is never approved: whatever is done with it is a service of its own ([`crate::policy::Service::HmacMd5`],
/// [`crate::policy::Service::Pbkdf2Md5`]). The module has neither MD2 nor HMAC with SHA-3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileHash {
    /// MD5 (RFC 1321).
    Md5,
    /// SHA-1.
    Sha1,
    /// SHA-224.
    Sha224,
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
    /// SHA-512/224.
    Sha512_224,
    /// SHA-512/256.
    Sha512_256,
}

/// Room for the longest digest, in bytes.
pub(crate) const LONGEST_DIGEST: usize = 64;

impl FileHash {
    /// Every hash function, in the order of their age.
    pub const ALL: [Self; 8] = [
        Self::Md5,
        Self::Sha1,
        Self::Sha224,
        Self::Sha256,
        Self::Sha384,
        Self::Sha512,
        Self::Sha512_224,
        Self::Sha512_256,
    ];

    /// The length of a digest, in bytes.
    #[must_use]
    pub const fn output_len(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Sha224 | Self::Sha512_224 => 28,
            Self::Sha256 | Self::Sha512_256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    /// The length of the block the function works on, in bytes (B of RFC 2104, v of RFC 7292 appendix B).
    #[must_use]
    pub const fn block_len(self) -> usize {
        match self {
            Self::Md5 | Self::Sha1 | Self::Sha224 | Self::Sha256 => 64,
            Self::Sha384 | Self::Sha512 | Self::Sha512_224 | Self::Sha512_256 => 128,
        }
    }

    /// The name as RFC 1321 and FIPS 180-4 write it, e.g. `SHA-512/256`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha1 => "SHA-1",
            Self::Sha224 => "SHA-224",
            Self::Sha256 => "SHA-256",
            Self::Sha384 => "SHA-384",
            Self::Sha512 => "SHA-512",
            Self::Sha512_224 => "SHA-512/224",
            Self::Sha512_256 => "SHA-512/256",
        }
    }

    /// The module's constant for it.
    pub(crate) fn evp(self) -> *const lc::EVP_MD {
        // SAFETY: digest.h: each of these takes nothing and returns a pointer to a constant of static lifetime.
        unsafe {
            match self {
                Self::Md5 => lc::EVP_md5(),
                Self::Sha1 => lc::EVP_sha1(),
                Self::Sha224 => lc::EVP_sha224(),
                Self::Sha256 => lc::EVP_sha256(),
                Self::Sha384 => lc::EVP_sha384(),
                Self::Sha512 => lc::EVP_sha512(),
                Self::Sha512_224 => lc::EVP_sha512_224(),
                Self::Sha512_256 => lc::EVP_sha512_256(),
            }
        }
    }

    /// Writes the digest of `data` to the beginning of `out`, as part of a service that was decided about. In one call, since the
    /// derivations of files make it a million times; the module overwrites its state afterwards.
    pub(crate) fn digest_into(self, _: &Permit, data: &[u8], out: &mut [u8; LONGEST_DIGEST]) {
        let (data, len, out) = (data.as_ptr(), data.len(), out.as_mut_ptr());
        // SAFETY: md5.h, sha.h: each reads `len` bytes of `data` and writes its digest, which is no longer than the 64 bytes of `out`;
        // the two do not overlap, since one is borrowed mutably. They cannot fail and return `out`.
        unsafe {
            match self {
                Self::Md5 => lc::MD5(data, len, out),
                Self::Sha1 => lc::SHA1(data, len, out),
                Self::Sha224 => lc::SHA224(data, len, out),
                Self::Sha256 => lc::SHA256(data, len, out),
                Self::Sha384 => lc::SHA384(data, len, out),
                Self::Sha512 => lc::SHA512(data, len, out),
                Self::Sha512_224 => lc::SHA512_224(data, len, out),
                Self::Sha512_256 => lc::SHA512_256(data, len, out),
            };
        }
    }
}

impl From<Hash> for FileHash {
    fn from(hash: Hash) -> Self {
        match hash {
            Hash::Sha1 => Self::Sha1,
            Hash::Sha256 => Self::Sha256,
            Hash::Sha384 => Self::Sha384,
            Hash::Sha512 => Self::Sha512,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]

    use super::*;
    use crate::policy::{Service, decide};

    /// RFC 1321 appendix A.5, and the examples "abc" of FIPS 180-4 (NIST's example values).
    #[test]
    fn the_examples_of_the_standards_come_out() {
        let permit = decide(Service::Digest).unwrap();
        for (hash, begins) in [
            (FileHash::Md5, "900150983cd24fb0d6963f7d28e17f72"),
            (FileHash::Sha1, "a9993e364706816aba3e25717850c26c9cd0d89d"),
            (FileHash::Sha224, "23097d223405d8228642a477bda255b3"),
            (FileHash::Sha256, "ba7816bf8f01cfea414140de5dae2223"),
            (FileHash::Sha384, "cb00753f45a35e8bb5a03d699ac65007"),
            (FileHash::Sha512, "ddaf35a193617abacc417349ae204131"),
            (FileHash::Sha512_224, "4634270f707b6a54daae7530460842e2"),
            (FileHash::Sha512_256, "53048e2681941ef99b2e29b76b4c7dab"),
        ] {
            let mut out = [0; LONGEST_DIGEST];
            hash.digest_into(&permit, b"abc", &mut out);
            let (digest, rest) = out.split_at(hash.output_len());
            assert!(base16ct::lower::encode_string(digest).starts_with(begins));
            assert!(rest.iter().all(|byte| *byte == 0), "{hash:?}");
        }
    }

    #[test]
    fn it_agrees_with_the_hashes_of_everything_else() {
        for hash in Hash::ALL {
            let of_file = FileHash::from(hash);
            assert_eq!(of_file.output_len(), hash.output_len());
            assert_eq!(of_file.block_len(), hash.block_len());
            assert_eq!(of_file.name(), hash.name());
        }
    }
}
