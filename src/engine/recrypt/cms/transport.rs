//! Who encrypts the content key to RSA devices with RSAES-OAEP (RFC 3560).

use super::CmsError;
use fips::digest::Hash;
use fips::policy::{Mode, in_force};
use fips::secret::SecretBytes;
use formats::cms::write::module_oaep;
use hsm::{Custody, Padding, Terms};
use std::time::Instant;

/// What encrypts the content key to an RSA device with RSAES-OAEP.
#[derive(Clone, Copy)]
pub enum KeyTransport<'a> {
    /// The token: C_Encrypt with the device's key as a session object. The approved way.
    Token {
        /// The token.
        custody: &'a dyn Custody,
        /// The padding: one that the token does itself.
        padding: Padding,
        /// When nobody waits any more.
        deadline: Option<Instant>,
    },
    /// The cryptographic module, with SHA-256: in FIPS terms not approved, not allowed.
    Module,
}

impl<'a> KeyTransport<'a> {
    /// `deadline`: the token is waited for until then. The calling thread may make the call itself then ([`Terms::own_thread`]).
    ///
    /// In strict mode the token, with the best hash that it does itself ([`hsm::Capabilities::key_transport_padding`]); the module where
    /// the token does none (the policy then has the last word) and with the mode off, since it is faster.
    #[must_use]
    pub fn choose(custody: &'a dyn Custody, deadline: Option<Instant>) -> Self {
        match custody.capabilities().key_transport_padding() {
            Some(padding) if in_force().mode() == Mode::Strict => Self::Token {
                custody,
                padding,
                deadline,
            },
            _ => Self::Module,
        }
    }

    /// The content key, encrypted to a key (DER SubjectPublicKeyInfo) with one hash in both places, which is said.
    pub(super) fn oaep(self, spki: &[u8], key: &SecretBytes) -> Result<(Hash, Vec<u8>), CmsError> {
        match self {
            Self::Module => module_oaep(Hash::Sha256)(spki, key),
            Self::Token {
                custody,
                padding,
                deadline,
            } => {
                let terms = deadline.map_or(Terms::default(), |deadline| {
                    Terms::within(deadline.saturating_duration_since(Instant::now()))
                        .on_own_thread()
                });
                let hash = padding
                    .hash()
                    .ok_or(CmsError::Token(hsm::Error::PaddingNotSupported(padding)))?;
                let encrypted = custody.encrypt_on(spki, padding, key, terms);
                Ok((hash, encrypted.map_err(CmsError::Token)?))
            }
        }
    }
}
