//! Bytes that must not be left behind.

use zeroize::Zeroize;

/// Secret bytes on the heap, overwritten with zeros when dropped.
///
/// There is no `Debug`, `Display`, `Clone` or serialisation, so a secret cannot slip into a log, an error or a second
/// copy: that is checked when compiling, not when running.
///
/// ```compile_fail,E0277
/// println!("{:?}", fips::secret::SecretBytes::from_slice(b"secret"));
/// ```
///
/// ```compile_fail,E0599
/// let twice = fips::secret::SecretBytes::from_slice(b"secret").clone();
/// ```
///
/// The bytes never grow, so they are never moved to another place on the heap while an old copy stays behind.
/// Locking the memory and keeping it out of core dumps is the business of the process, not of this type.
pub struct SecretBytes {
    bytes: Vec<u8>,
}

impl SecretBytes {
    /// Takes over `bytes` without copying. Earlier reallocations of the vector are the caller's concern.
    #[must_use]
    pub fn from_vec(bytes: Vec<u8>) -> Self {
        Self { bytes }
    }

    /// Copies `bytes`. The original is the caller's to overwrite.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Self {
        Self {
            bytes: bytes.to_vec(),
        }
    }

    /// `len` zero bytes, to be filled through [`Self::expose_mut`].
    #[must_use]
    pub fn zeroed(len: usize) -> Self {
        Self {
            bytes: vec![0; len],
        }
    }

    /// The secret. The name is there to be found by whoever reviews where secrets go.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.bytes
    }

    /// The secret, to be changed in place.
    #[must_use]
    pub fn expose_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    /// Cuts off everything after `len` bytes and overwrites it. Nothing happens if there are not that many.
    pub fn truncate(&mut self, len: usize) {
        if let Some(tail) = self.bytes.get_mut(len..) {
            tail.zeroize();
            self.bytes.truncate(len);
        }
    }

    /// The number of bytes. Lengths are not treated as secret.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there are no bytes at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Whether both are equal, in a time that depends on the lengths only.
    #[must_use]
    pub fn ct_eq(&self, other: &[u8]) -> bool {
        ct_eq(&self.bytes, other)
    }
}

impl Drop for SecretBytes {
    fn drop(&mut self) {
        // Clears the whole capacity, also what `truncate` or the vector's former owner left in it.
        self.bytes.zeroize();
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
        let mut secret = SecretBytes::from_vec(vec![1, 2, 3, 4]);
        secret.truncate(9);
        assert_eq!(secret.expose(), [1, 2, 3, 4]);
        secret.truncate(2);
        assert_eq!(secret.expose(), [1, 2]);
        assert_eq!(secret.len(), 2);
        // The vector still owns the bytes behind its length; no write has happened since `truncate` cleared them.
        secret.bytes.resize(4, 0xff);
        assert_eq!(secret.expose(), [1, 2, 0xff, 0xff]);
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
