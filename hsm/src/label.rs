//! The label of RSAES-OAEP.

use crate::Error;

/// The label L of RSAES-OAEP (RFC 8017, section 7.1; the additional input of SP 800-56B, section 9.2.3): public, not part of the
/// ciphertext, and bound to it. Whoever decrypts has to give the one that was encrypted with; a ciphertext with another label is bad.
///
/// At most [`Label::MAX_BYTES`] long. The default is the empty one, which is what everybody means who names none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Label(Vec<u8>);

impl Label {
    /// The longest label in bytes. The standard has no bound that matters; a token copies the label, and some have little room.
    pub const MAX_BYTES: usize = 256;

    /// The empty label.
    #[must_use]
    pub const fn empty() -> Self {
        Self(Vec::new())
    }

    /// A label of these bytes.
    ///
    /// # Errors
    /// [`Error::LabelTooLong`].
    pub fn new(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > Self::MAX_BYTES {
            return Err(Error::LabelTooLong {
                limit: Self::MAX_BYTES,
                actual: bytes.len(),
            });
        }
        Ok(Self(bytes.to_vec()))
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether it is the empty one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;

    #[test]
    fn labels_are_bounded() {
        assert_eq!(Label::new(b"").unwrap(), Label::empty());
        assert!(Label::default().is_empty());
        let longest = [7; Label::MAX_BYTES];
        assert_eq!(Label::new(&longest).unwrap().as_bytes(), longest);
        let refused = Label::new(&[7; Label::MAX_BYTES + 1]).unwrap_err();
        assert_eq!(refused.code(), "label_too_long");
        assert_eq!(refused.class(), crate::ErrorClass::BadInput);
    }
}
