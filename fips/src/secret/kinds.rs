//! What kind of secret it is. A function that wants a password does not compile with a PIN.

use super::SecretBytes;

macro_rules! kind {
    ($(#[$words:meta])* $name:ident) => {
        $(#[$words])*
        ///
        /// As [`SecretBytes`]: in locked memory, overwritten when dropped, and without any way to print, copy or serialise it.
        pub struct $name(SecretBytes);

        impl $name {
            /// What `bytes` is. Nothing is copied.
            #[must_use]
            pub fn new(bytes: SecretBytes) -> Self {
                Self(bytes)
            }

            /// Copies `bytes`. The original is the caller's to overwrite.
            #[must_use]
            pub fn from_slice(bytes: &[u8]) -> Self {
                Self(SecretBytes::from_slice(bytes))
            }

            /// The secret, for the one call that needs it.
            #[must_use]
            pub fn expose(&self) -> &[u8] {
                self.0.expose()
            }

            /// The secret without its kind, for what handles any.
            #[must_use]
            pub fn bytes(&self) -> &SecretBytes {
                &self.0
            }

            /// The number of bytes, which is not treated as secret.
            #[must_use]
            pub fn len(&self) -> usize {
                self.0.len()
            }

            /// Whether there are no bytes at all.
            #[must_use]
            pub fn is_empty(&self) -> bool {
                self.0.is_empty()
            }

            /// Whether both are equal, in a time that depends on the lengths only.
            #[must_use]
            pub fn ct_eq(&self, other: &Self) -> bool {
                self.0.ct_eq(other.expose())
            }
        }
    };
}

kind! {
    /// The password of a PFX, in the encoding in which it was given.
    Password
}

kind! {
    /// The PIN of a token (PKCS#11 C_Login), as its bytes.
    Pin
}

kind! {
    /// A private key: DER PrivateKeyInfo (RFC 5958 section 2).
    PrivateKey
}

kind! {
    /// What shows an HTTP service who asks (RFC 6750).
    BearerToken
}
