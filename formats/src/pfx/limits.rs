//! How much of a stranger's file is looked at.

use super::PfxError;
use std::num::NonZeroU32;

/// Bounds of one reading. The defaults open every honest file that is known, with 1,000,000 iterations in each place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PfxLimits {
    /// Largest file, in bytes.
    pub max_bytes: usize,
    /// Iterations of key derivation in all: MAC, and each encrypted part.
    pub max_iterations: u64,
    /// Bags in all.
    pub max_bags: usize,
    /// Certificates in all.
    pub max_certificates: usize,
    /// SafeContents bags within SafeContents bags.
    pub max_depth: usize,
}

impl Default for PfxLimits {
    fn default() -> Self {
        Self {
            max_bytes: 1024 * 1024,
            max_iterations: 5_000_000,
            max_bags: 64,
            max_certificates: 32,
            max_depth: 3,
        }
    }
}

/// What is left of the limits.
pub(super) struct Budget {
    limits: PfxLimits,
    iterations: u64,
    bags: usize,
    certificates: usize,
}

impl Budget {
    pub(super) fn new(limits: &PfxLimits) -> Self {
        Self {
            iterations: limits.max_iterations,
            bags: limits.max_bags,
            certificates: limits.max_certificates,
            limits: limits.clone(),
        }
    }

    /// Takes the iterations of one derivation that makes `blocks` outputs of the hash, each of which costs all of them.
    pub(super) fn spend(&mut self, iterations: NonZeroU32, blocks: u64) -> Result<(), PfxError> {
        self.iterations = u64::from(iterations.get())
            .checked_mul(blocks)
            .and_then(|cost| self.iterations.checked_sub(cost))
            .ok_or(PfxError::LimitExceeded {
                what: "iterations of key derivation",
                limit: self.limits.max_iterations,
            })?;
        Ok(())
    }

    /// The same as a refusal for a count that is over every limit.
    pub(super) fn too_many_iterations(&self) -> PfxError {
        PfxError::LimitExceeded {
            what: "iterations of key derivation",
            limit: self.limits.max_iterations,
        }
    }

    pub(super) fn take_bag(&mut self) -> Result<(), PfxError> {
        self.bags = self
            .bags
            .checked_sub(1)
            .ok_or(limit("bags", self.limits.max_bags))?;
        Ok(())
    }

    pub(super) fn take_certificate(&mut self) -> Result<(), PfxError> {
        self.certificates = self
            .certificates
            .checked_sub(1)
            .ok_or(limit("certificates", self.limits.max_certificates))?;
        Ok(())
    }

    pub(super) fn check_depth(&self, depth: usize) -> Result<(), PfxError> {
        if depth > self.limits.max_depth {
            return Err(limit("depth of nested bags", self.limits.max_depth));
        }
        Ok(())
    }
}

fn limit(what: &'static str, limit: usize) -> PfxError {
    PfxError::LimitExceeded {
        what,
        limit: u64::try_from(limit).unwrap_or(u64::MAX),
    }
}
