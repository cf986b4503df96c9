//! How much of a stranger's file is looked at. Each bound is a type: what has the type is within the bound.

use super::PfxError;
use std::num::NonZeroU32;

/// Elements of ASN.1 within each other, in each octet string on its own. Honest files need about 12.
pub(super) const MAX_ELEMENT_DEPTH: usize = 32;

/// Bounds of one reading. The defaults open every honest file that is known, with 1,000,000 iterations in each place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PfxLimits {
    /// Largest file, in bytes.
    pub max_bytes: usize,
    /// Cost of key derivation over the whole file: iterations times the blocks of output that each of them makes, for the MAC, for
    /// each encrypted part and each encrypted key, and again for each other encoding of the password that is tried. Checking private keys
    /// above RSA of 4096 bits is paid for from it, too.
    pub max_iterations: u64,
    /// Parts and bags in all.
    pub max_bags: usize,
    /// Private keys in all.
    pub max_keys: usize,
    /// Certificates in all.
    pub max_certificates: usize,
    /// SafeContents bags within SafeContents bags.
    pub max_depth: usize,
    /// Longest salt, in bytes.
    pub max_salt_bytes: usize,
    /// Longest password, in bytes of UTF-8.
    pub max_password_bytes: usize,
    /// Memory that one scrypt derivation may take, in bytes: the derivation's own, on top of what reading takes, until it is done.
    pub max_scrypt_bytes: usize,
}

impl Default for PfxLimits {
    fn default() -> Self {
        Self {
            max_bytes: 1024 * 1024,
            // MAC 1, two parts or keys in 3DES with 3 blocks each, 1,000,000 iterations everywhere, and once more for the MAC of an
            // empty password; the rest is for files of several keys.
            max_iterations: 10_000_000,
            max_bags: 1024,
            max_keys: 32,
            max_certificates: 512,
            max_depth: 8,
            max_salt_bytes: 1024,
            max_password_bytes: 1024,
            // What OpenSSL allows, too: twice what it writes (N = 16384, r = 8).
            max_scrypt_bytes: 32 * 1024 * 1024,
        }
    }
}

/// A file that is not over its limit.
#[derive(Clone, Copy)]
pub struct BoundedPfx<'a>(&'a [u8]);

impl<'a> BoundedPfx<'a> {
    /// # Errors
    /// [`PfxError::LimitExceeded`].
    pub fn new(bytes: &'a [u8], limits: &PfxLimits) -> Result<Self, PfxError> {
        if bytes.len() > limits.max_bytes {
            return Err(limit("size in bytes", limits.max_bytes));
        }
        Ok(Self(bytes))
    }

    /// The file.
    #[must_use]
    pub fn bytes(self) -> &'a [u8] {
        self.0
    }
}

/// A count of iterations that the whole budget could pay for at least once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Iterations(NonZeroU32);

impl Iterations {
    /// One, the default of MacData.
    pub const ONE: Self = Self(NonZeroU32::MIN);

    /// From the content of an INTEGER (two's complement, big-endian).
    ///
    /// # Errors
    /// [`PfxError::Malformed`] unless it is positive, [`PfxError::LimitExceeded`] over the budget.
    pub fn parse(integer: &[u8], budget: &Budget) -> Result<Self, PfxError> {
        const NOT_POSITIVE: PfxError = PfxError::Malformed {
            what: "a count of iterations is not positive",
        };
        if integer.first().is_none_or(|first| first & 0x80 != 0) {
            return Err(NOT_POSITIVE);
        }
        let mut count = 0_u32;
        for byte in integer {
            count = count
                .checked_mul(256)
                .and_then(|count| count.checked_add(u32::from(*byte)))
                .ok_or_else(|| budget.too_much_work())?;
        }
        let count = NonZeroU32::new(count).ok_or(NOT_POSITIVE)?;
        if u64::from(count.get()) > budget.limits.max_iterations {
            return Err(budget.too_much_work());
        }
        Ok(Self(count))
    }

    /// The count.
    #[must_use]
    pub fn get(self) -> NonZeroU32 {
        self.0
    }
}

/// A salt that is not over its limit.
#[derive(Clone, Copy)]
pub struct Salt<'a>(&'a [u8]);

impl<'a> Salt<'a> {
    /// # Errors
    /// [`PfxError::LimitExceeded`].
    pub fn new(bytes: &'a [u8], budget: &Budget) -> Result<Self, PfxError> {
        if bytes.len() > budget.limits.max_salt_bytes {
            return Err(limit(
                "length of a salt in bytes",
                budget.limits.max_salt_bytes,
            ));
        }
        Ok(Self(bytes))
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(self) -> &'a [u8] {
        self.0
    }
}

/// What is left of the limits while one file is read.
pub struct Budget {
    limits: PfxLimits,
    iterations: u64,
    bags: usize,
    keys: usize,
    certificates: usize,
    steps: u64,
}

impl Budget {
    /// All of it.
    #[must_use]
    pub fn new(limits: &PfxLimits) -> Self {
        Self {
            iterations: limits.max_iterations,
            bags: limits.max_bags,
            keys: limits.max_keys,
            certificates: limits.max_certificates,
            steps: 0,
            limits: limits.clone(),
        }
    }

    /// The limits that it began with.
    #[must_use]
    pub fn limits(&self) -> &PfxLimits {
        &self.limits
    }

    /// Takes the cost of one derivation that makes `blocks` outputs of the hash, each of which costs all iterations. To be called before
    /// the work.
    ///
    /// # Errors
    /// [`PfxError::LimitExceeded`] when it is not there.
    pub fn spend(&mut self, iterations: Iterations, blocks: u64) -> Result<(), PfxError> {
        let cost = u64::from(iterations.get().get()).saturating_mul(blocks);
        self.spend_work(cost)
    }

    /// Takes the cost of a derivation that has no iterations, in iterations that would take as long. To be called before the work.
    ///
    /// # Errors
    /// [`PfxError::LimitExceeded`] when it is not there.
    pub fn spend_work(&mut self, cost: u64) -> Result<(), PfxError> {
        self.iterations = self
            .iterations
            .checked_sub(cost)
            .ok_or_else(|| self.too_much_work())?;
        Ok(())
    }

    /// The refusal for work that is over the limit.
    #[must_use]
    pub fn too_much_work(&self) -> PfxError {
        PfxError::LimitExceeded {
            what: "iterations of key derivation",
            limit: self.limits.max_iterations,
        }
    }

    /// Iterations spent so far, weighted by blocks.
    #[must_use]
    pub fn iterations_spent(&self) -> u64 {
        self.limits.max_iterations.saturating_sub(self.iterations)
    }

    /// Steps of reading so far: elements of ASN.1 that were looked at.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.steps
    }

    pub(super) fn count_steps(&mut self, steps: usize) {
        self.steps = self
            .steps
            .saturating_add(u64::try_from(steps).unwrap_or(u64::MAX));
    }

    pub(super) fn take_bag(&mut self) -> Result<(), PfxError> {
        take(&mut self.bags, "bags", self.limits.max_bags)
    }

    pub(super) fn take_key(&mut self) -> Result<(), PfxError> {
        take(&mut self.keys, "private keys", self.limits.max_keys)
    }

    pub(super) fn take_certificate(&mut self) -> Result<(), PfxError> {
        take(
            &mut self.certificates,
            "certificates",
            self.limits.max_certificates,
        )
    }

    pub(super) fn check_depth(&self, depth: usize) -> Result<(), PfxError> {
        if depth > self.limits.max_depth {
            return Err(limit("depth of nested bags", self.limits.max_depth));
        }
        Ok(())
    }
}

fn take(left: &mut usize, what: &'static str, whole: usize) -> Result<(), PfxError> {
    *left = left.checked_sub(1).ok_or_else(|| limit(what, whole))?;
    Ok(())
}

pub(super) fn limit(what: &'static str, limit: usize) -> PfxError {
    PfxError::LimitExceeded {
        what,
        limit: u64::try_from(limit).unwrap_or(u64::MAX),
    }
}
