//! RSA encryption (RFC 8017). **Not an approved service of this module**, neither OAEP nor PKCS#1 v1.5, in neither
//! direction: table 8 of the security policy lists it as "non-approved, not allowed". The module's indicator counts the
//! hash and the random bytes inside and so reads "approved": do not ask it. RSA signatures are in [`crate::sign`].

mod private;
mod public;
mod reading;
mod shared;

pub use private::PrivateKey;
pub use public::PublicKey;
pub use reading::{MIN_READING_BITS, ReadingKey};

use crate::digest::Hash;
use crate::pkey::Kind;
use crate::{Error, Result};
use aws_lc_rs::rsa as lc;

/// The smallest key that is accepted, in bits.
pub const MIN_BITS: usize = 2048;
/// The largest key that is accepted, in bits.
pub const MAX_BITS: usize = 8192;

pub(crate) fn check_size(bits: usize) -> Result<()> {
    if (MIN_BITS..=MAX_BITS).contains(&bits) {
        return Ok(());
    }
    Err(Error::KeySize {
        algorithm: "RSA",
        bits,
        accepted: "2048 to 8192",
    })
}

/// The size of a key that signs. FIPS 186-5 section 5.1 wants an even number of bits, and the module's indicator stands still for any
/// other: refused here, a stranger's key cannot be taken for a failure of the module.
pub(crate) fn check_signing_size(bits: usize) -> Result<()> {
    check_size(bits)?;
    if bits.is_multiple_of(2) {
        return Ok(());
    }
    Err(Error::KeySize {
        algorithm: "RSA",
        bits,
        accepted: "for signatures an even number of 2048 to 8192",
    })
}

fn check_kind(kind: Kind) -> Result<()> {
    match kind {
        Kind::Rsa { bits } => check_size(bits),
        Kind::Ec(_) | Kind::Other => Err(Error::UnsupportedKey { expected: "RSA" }),
    }
}

/// The size for key generation, which has fewer choices than reading.
pub(crate) fn generated_size(bits: usize) -> Result<lc::KeySize> {
    match bits {
        2048 => Ok(lc::KeySize::Rsa2048),
        3072 => Ok(lc::KeySize::Rsa3072),
        4096 => Ok(lc::KeySize::Rsa4096),
        _ => Err(Error::KeySize {
            algorithm: "RSA",
            bits,
            accepted: "2048, 3072 or 4096",
        }),
    }
}

/// OAEP with the same hash function for the label and for MGF1.
fn oaep(hash: Hash) -> &'static lc::OaepAlgorithm {
    match hash {
        Hash::Sha1 => &lc::OAEP_SHA1_MGF1SHA1,
        Hash::Sha256 => &lc::OAEP_SHA256_MGF1SHA256,
        Hash::Sha384 => &lc::OAEP_SHA384_MGF1SHA384,
        Hash::Sha512 => &lc::OAEP_SHA512_MGF1SHA512,
    }
}

#[cfg(test)]
mod tests;
