//! Secrets in memory: types for them, the memory they are in, and comparing them.
//!
//! ```text
//! SecretBytes            bytes that must not be left behind
//!   |-- Password  Pin  PrivateKey  BearerToken      what kind they are, so that one cannot be taken for another
//!   |
//!   |-- up to 16 KiB     a place in the pool: locked, between guard pages, out of core dumps, empty in a forked child
//!   `-- longer, or the pool is full     the heap, overwritten as well; counted, and told by memory_report()
//! ```
//!
//! None of them can be printed, copied, compared in a time that depends on the content, or serialised: not because somebody takes care,
//! but because it does not compile.

pub mod file;
mod kinds;
mod pool;
mod region;
mod registers;
mod report;

pub use kinds::{BearerToken, Password, Pin, PrivateKey};
pub use registers::clear_registers;
pub(crate) use report::prepare;
pub use report::{MemoryReport, memory_report};

use pool::{Place, Pool};
use std::sync::atomic::{AtomicU64, Ordering};
use zeroize::{Zeroize, Zeroizing};

/// Secret bytes, overwritten with zeros when dropped: in locked memory of their own up to 16 KiB each and 2 MiB in all, else on the heap.
///
/// There is no `Debug`, `Display`, `Clone` or serialisation, so a secret cannot slip into a log, an error or a second
/// copy: that is checked when compiling, not when running.
///
/// ```
/// let secret = fips::secret::SecretBytes::from_slice(b"secret");
/// assert!(secret.ct_eq(b"secret"));
/// ```
///
/// ```compile_fail,E0277
/// println!("{:?}", fips::secret::SecretBytes::from_slice(b"secret"));
/// ```
///
/// ```compile_fail,E0599
/// let twice = fips::secret::SecretBytes::from_slice(b"secret").clone();
/// ```
///
/// The bytes never grow, so they are never moved to another place while an old copy stays behind.
pub struct SecretBytes {
    held: Held,
    len: usize,
}

enum Held {
    Pool(Place<'static>),
    Heap(Zeroizing<Vec<u8>>),
}

static POOL: Pool = Pool::new();
static TAKEN_FROM_POOL: AtomicU64 = AtomicU64::new(0);
static TOO_LONG: AtomicU64 = AtomicU64::new(0);
static NO_PLACE: AtomicU64 = AtomicU64::new(0);

/// A place of `len` zeros in the pool; `None`, counted, when there is none for it.
fn place(len: usize) -> Option<Place<'static>> {
    if len > pool::LONGEST {
        TOO_LONG.fetch_add(1, Ordering::Relaxed);
        return None;
    }
    let place = POOL.take(len);
    let counter = match place {
        Some(_) => &TAKEN_FROM_POOL,
        None => &NO_PLACE,
    };
    counter.fetch_add(1, Ordering::Relaxed);
    place
}

impl SecretBytes {
    /// Takes over `bytes`: what is short enough is moved into locked memory, and the vector overwritten. Earlier reallocations of the
    /// vector are the caller's concern.
    #[must_use]
    pub fn from_vec(mut bytes: Vec<u8>) -> Self {
        let len = bytes.len();
        if len > 0
            && let Some(mut place) = place(len)
        {
            place.bytes_mut().copy_from_slice(&bytes);
            // All of its capacity, also what a former owner left behind its length.
            bytes.zeroize();
            return Self {
                held: Held::Pool(place),
                len,
            };
        }
        Self {
            held: Held::Heap(Zeroizing::new(bytes)),
            len,
        }
    }

    /// Copies `bytes`. The original is the caller's to overwrite.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Self {
        let mut secret = Self::zeroed(bytes.len());
        secret.expose_mut().copy_from_slice(bytes);
        secret
    }

    /// `len` zero bytes, to be filled through [`Self::expose_mut`].
    #[must_use]
    pub fn zeroed(len: usize) -> Self {
        let place = if len == 0 { None } else { place(len) };
        let held = match place {
            Some(place) => Held::Pool(place),
            None => Held::Heap(Zeroizing::new(vec![0; len])),
        };
        Self { held, len }
    }

    /// The secret. The name is there to be found by whoever reviews where secrets go.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        let bytes = match &self.held {
            Held::Pool(place) => place.bytes(),
            Held::Heap(bytes) => bytes,
        };
        bytes.get(..self.len).unwrap_or_default()
    }

    /// The secret, to be changed in place.
    #[must_use]
    pub fn expose_mut(&mut self) -> &mut [u8] {
        let bytes = match &mut self.held {
            Held::Pool(place) => place.bytes_mut(),
            Held::Heap(bytes) => bytes.as_mut_slice(),
        };
        bytes.get_mut(..self.len).unwrap_or_default()
    }

    /// Cuts off everything after `len` bytes and overwrites it. Nothing happens if there are not that many.
    pub fn truncate(&mut self, len: usize) {
        if let Some(tail) = self.expose_mut().get_mut(len..) {
            tail.zeroize();
            self.len = len;
        }
    }

    /// Gives out no more than the first `len` bytes, without overwriting what is behind them until all of it is dropped: for those who
    /// know that nothing is there, and whose time must not say how much. Nothing happens if there are not that many.
    pub fn shorten(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// The number of bytes. Lengths are not treated as secret.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no bytes at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether both are equal, in a time that depends on the lengths only.
    #[must_use]
    pub fn ct_eq(&self, other: &[u8]) -> bool {
        ct_eq(self.expose(), other)
    }

    /// Whether it is in the pool: for tests and reports.
    #[must_use]
    pub fn is_in_pool(&self) -> bool {
        matches!(self.held, Held::Pool(_))
    }
}

impl From<Vec<u8>> for SecretBytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self::from_vec(bytes)
    }
}

/// Whether `a` and `b` are equal, in a time that depends on their lengths only.
#[must_use]
pub fn ct_eq(a: &[u8], b: &[u8]) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(a, b).is_ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]

    use super::*;

    #[test]
    fn truncate_keeps_the_head_and_overwrites_the_tail() {
        for len in [4, pool::LONGEST + 4] {
            let mut secret = SecretBytes::from_vec(vec![7; len]);
            secret.truncate(len + 5);
            assert_eq!(secret.expose(), vec![7; len]);
            secret.truncate(2);
            assert_eq!(secret.expose(), [7, 7]);
            assert_eq!(secret.len(), 2);
            // What is behind the length is still there, and no write has happened since `truncate` cleared it.
            let behind = match &secret.held {
                Held::Pool(place) => place.bytes(),
                Held::Heap(bytes) => bytes,
            };
            assert_eq!(behind.len(), len);
            assert!(behind[2..].iter().all(|byte| *byte == 0));
        }
    }

    #[test]
    fn shorten_only_ever_takes_away() {
        let mut secret = SecretBytes::from_slice(&[7; 8]);
        secret.shorten(3);
        assert_eq!(secret.expose(), [7; 3]);
        secret.shorten(8);
        assert_eq!(secret.expose(), [7; 3]);
    }

    #[test]
    fn what_is_short_is_in_the_pool_and_what_is_long_is_counted() {
        assert!(SecretBytes::from_slice(&[1; pool::LONGEST]).is_in_pool());
        assert!(SecretBytes::from_vec(vec![1; 32]).is_in_pool());
        let before = TOO_LONG.load(Ordering::Relaxed);
        let long = SecretBytes::from_vec(vec![3; pool::LONGEST + 1]);
        assert!(!long.is_in_pool());
        assert_eq!(long.expose(), vec![3; pool::LONGEST + 1]);
        assert!(TOO_LONG.load(Ordering::Relaxed) > before);
    }

    #[test]
    fn equality_needs_the_same_length_and_the_same_bytes() {
        let secret = SecretBytes::from_slice(b"abc");
        assert!(secret.ct_eq(b"abc"));
        assert!(!secret.ct_eq(b"abd"));
        assert!(!secret.ct_eq(b"ab"));
        assert!(!secret.ct_eq(b""));
        assert!(SecretBytes::zeroed(0).ct_eq(b""));
        assert!(SecretBytes::zeroed(0).is_empty());
    }
}
