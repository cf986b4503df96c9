//! scrypt (RFC 7914), which a few files use instead of PBKDF2.

use super::{MAX_DERIVED_BYTES, output, refused};
use crate::policy::{Permit, Service, perform};
use crate::{Error, Result, secret::SecretBytes};
use aws_lc_fips_sys as lc;

const OPERATION: &str = "scrypt";

/// The cost parameters of RFC 7914 section 2, as far as they are possible (section 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScryptCost {
    n: u64,
    r: u64,
    p: u64,
}

impl ScryptCost {
    /// CPU and memory cost `n`, block size `r`, parallelisation `p`; none when RFC 7914 does not allow them: `n` is a power of two,
    /// above 1, at most 2^32 (the module's limit) and below 2^(16 r); `r` and `p` are not zero and `r * p` is below 2^30.
    #[must_use]
    pub const fn new(n: u64, r: u64, p: u64) -> Option<Self> {
        let possible = n > 1 && n.is_power_of_two() && n <= 1 << 32 && r > 0 && p > 0;
        if !possible || p > ((1 << 30) - 1) / r || (r < 4 && n >= 1 << (16 * r)) {
            return None;
        }
        Some(Self { n, r, p })
    }

    /// The memory that the derivation takes, in bytes: `128 r (n + p + 1)`. It never overflows: `n` is at most 2^32 and `r` below 2^30.
    #[must_use]
    pub const fn memory_bytes(self) -> u64 {
        (128 * self.r).saturating_mul(self.n + self.p + 1)
    }

    /// Its time in iterations of PBKDF2 with SHA-256, roughly (measured: `n * r * p` of 131072 take as long as 200,000 iterations).
    #[must_use]
    pub const fn as_iterations(self) -> u64 {
        self.n.saturating_mul(2 * self.r * self.p)
    }
}

/// scrypt (RFC 7914), `len` bytes.
///
/// Time and memory are what `cost` says; to bound the time is up to the caller. The memory is overwritten before it is given back.
///
/// **Never approved**: to read files of others alone. It is in the library beside the validated module.
///
/// # Errors
/// [`Error::MessageTooLong`] when it would take more than `max_memory_bytes`; [`Error::OutputLength`] above [`MAX_DERIVED_BYTES`] and for
/// no output at all; [`Error::NotApproved`] in strict mode without `pkcs12-legacy-read`; [`Error::Module`] when there is no memory.
pub fn scrypt(
    password: &[u8],
    salt: &[u8],
    cost: ScryptCost,
    max_memory_bytes: usize,
    len: usize,
) -> Result<SecretBytes> {
    let out = output(OPERATION, len, MAX_DERIVED_BYTES)?;
    if len == 0 {
        return Err(Error::OutputLength {
            operation: OPERATION,
            bytes: 0,
            limit: MAX_DERIVED_BYTES,
        });
    }
    let memory = usize::try_from(cost.memory_bytes()).unwrap_or(usize::MAX);
    if memory > max_memory_bytes {
        return Err(Error::MessageTooLong {
            operation: OPERATION,
            bytes: memory,
            limit: max_memory_bytes,
        });
    }
    perform(Service::Scrypt, |permit| {
        derive(permit, password, salt, cost, memory, out)
    })
}

fn derive(
    _: &Permit,
    password: &[u8],
    salt: &[u8],
    cost: ScryptCost,
    memory: usize,
    mut out: SecretBytes,
) -> Result<SecretBytes> {
    // SAFETY: evp.h, EVP_PBE_scrypt: reads `password` and `salt` to their lengths, writes exactly the length of `out`, refuses parameters
    // that RFC 7914 does not allow and more memory than it is given.
    let done = unsafe {
        lc::EVP_PBE_scrypt(
            password.as_ptr().cast(),
            password.len(),
            salt.as_ptr(),
            salt.len(),
            cost.n,
            cost.r,
            cost.p,
            memory,
            out.expose_mut().as_mut_ptr(),
            out.len(),
        )
    };
    if done == 1 {
        Ok(out)
    } else {
        Err(refused(OPERATION))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn impossible_costs_are_none_and_dear_ones_are_refused_before_anything_is_allocated() {
        for (n, r, p) in [
            (0, 8, 1),
            (1, 8, 1),
            (3, 8, 1),
            (1 << 33, 8, 1),
            (1 << 16, 1, 1),
            (2, 0, 1),
            (2, 1, 0),
            (2, 1 << 30, 1),
            (2, 1 << 15, 1 << 15),
            (u64::MAX, u64::MAX, u64::MAX),
        ] {
            assert_eq!(ScryptCost::new(n, r, p), None, "{n} {r} {p}");
        }
        let most = ScryptCost::new(1 << 32, (1 << 30) - 1, 1).unwrap();
        assert!(most.memory_bytes() > 1 << 60 && most.as_iterations() > 1 << 60);
        assert!(matches!(
            scrypt(b"", b"", most, 1 << 30, 32),
            Err(Error::MessageTooLong { .. })
        ));
        let usual = ScryptCost::new(1 << 14, 8, 1).unwrap();
        assert_eq!(usual.memory_bytes(), 16 * 1024 * 1024 + 2048);
        assert_eq!(usual.as_iterations(), 262_144);
    }
}
