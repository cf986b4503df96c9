//! The removal of OAEP by itself, for those who measure how long it takes. Nothing else uses it.

use fips::secret::SecretBytes;

use crate::{Error, Padding, oaep};

/// Whether the padding of a block of the modulus's length is right.
#[must_use]
pub fn oaep_unpad(padding: Padding, encoded: SecretBytes) -> bool {
    oaep::unpad(padding, b"", encoded).is_ok()
}

/// A block whose padding is right for this label; with another than the empty one it is not what [`oaep_unpad`] takes.
///
/// # Errors
/// [`Error::PlaintextTooLong`]; [`Error::Internal`] if there are no random bytes.
pub fn oaep_pad(
    padding: Padding,
    label: &[u8],
    modulus_len: usize,
    message: &[u8],
) -> Result<SecretBytes, Error> {
    oaep::pad(padding, label, modulus_len, message)
}
