//! A key of an authority on the token, as what signs documents.

use super::super::Shared;
use super::super::refusal::Refusal;
use super::super::signing_token::on_a_token_within;
use fips::sign::SignatureAlgorithm;
use hsm::{SigningKeyInfo, SigningKeyName};
use pki::{SignError, Signer};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// The key, found on a token.
pub(in super::super) struct TokenKey<'a> {
    shared: &'a Shared,
    info: SigningKeyInfo,
    what: String,
    deadline: Instant,
    /// Why it did not sign.
    refusal: Mutex<Option<Refusal>>,
}

impl<'a> TokenKey<'a> {
    /// Finds the key that the configuration names for this authority; neither this nor a signature waits for a token beyond the deadline.
    ///
    /// # Errors
    /// The refusal that says why it cannot be used.
    pub(super) fn find(
        shared: &'a Shared,
        name: &SigningKeyName,
        deadline: Instant,
        ca: &str,
    ) -> Result<Self, Refusal> {
        Self::of_section(shared, name, deadline, format!("engine.ca.{ca}"))
    }

    /// Finds a signing key; `what`: the part of the configuration that names it.
    ///
    /// # Errors
    /// As [`find`](Self::find).
    pub(in super::super) fn of_section(
        shared: &'a Shared,
        name: &SigningKeyName,
        deadline: Instant,
        what: String,
    ) -> Result<Self, Refusal> {
        let info = on_a_token_within(shared, &what, deadline, |custody, terms| {
            custody.signing_key_on(name, terms)
        })?;
        Ok(Self {
            shared,
            info,
            what,
            deadline,
            refusal: Mutex::default(),
        })
    }

    /// Why it did not sign, where it did not.
    pub(in super::super) fn refusal(&self) -> Option<Refusal> {
        self.refusal
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Signer for TokenKey<'_> {
    fn algorithm(&self) -> SignatureAlgorithm {
        self.info.algorithm
    }

    fn spki_der(&self) -> &[u8] {
        &self.info.spki_der
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let name = SigningKeyName::Fingerprint(self.info.fingerprint);
        let signed = on_a_token_within(self.shared, &self.what, self.deadline, |custody, terms| {
            custody.sign_on(&name, message, terms)
        });
        match signed {
            Ok(signed) => Ok(signed.signature),
            Err(refusal) => {
                let problem = refusal.told.message.clone();
                *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = Some(refusal);
                Err(SignError::Holder { problem })
            }
        }
    }
}
