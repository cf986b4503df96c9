//! Who encrypts the content key to RSA devices with RSAES-OAEP (RFC 3560).

use super::CmsError;
use fips::digest::Hash;
use fips::policy::{Mode, in_force};
use fips::secret::SecretBytes;
use formats::cms::write::module_oaep;
use hsm::{Custody, Padding};

/// What encrypts the content key to an RSA device with RSAES-OAEP.
#[derive(Clone, Copy)]
pub enum KeyTransport<'a> {
    /// The token: C_Encrypt with the device's key as a session object. The approved way.
    Token {
        /// The token.
        custody: &'a dyn Custody,
        /// The padding: one that the token does itself.
        padding: Padding,
    },
    /// The cryptographic module, with SHA-256: in FIPS terms not approved, not allowed.
    Module,
}

impl<'a> KeyTransport<'a> {
    /// In strict mode the token, with the best hash that it does itself ([`hsm::Capabilities::key_transport_padding`]); the module where
    /// the token does none (the policy then has the last word) and with the mode off, since it is faster.
    #[must_use]
    pub fn choose(custody: &'a dyn Custody) -> Self {
        match custody.capabilities().key_transport_padding() {
            Some(padding) if in_force().mode() == Mode::Strict => Self::Token { custody, padding },
            _ => Self::Module,
        }
    }

    /// The content key, encrypted to a key (DER SubjectPublicKeyInfo) with one hash in both places, which is said.
    pub(super) fn oaep(self, spki: &[u8], key: &SecretBytes) -> Result<(Hash, Vec<u8>), CmsError> {
        match self {
            Self::Module => module_oaep(Hash::Sha256)(spki, key),
            Self::Token { custody, padding } => {
                let encrypted = custody.encrypt(spki, padding, key);
                Ok((padding.hash(), encrypted.map_err(CmsError::Token)?))
            }
        }
    }
}
