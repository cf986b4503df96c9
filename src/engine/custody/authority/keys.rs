//! A key of an authority on the token, as what signs documents.

use super::super::Shared;
use super::super::labels::Found;
use super::super::refusal::Refusal;
use super::super::signing_token::on_a_token_within;
use super::section;
use crate::engine::api::FailureCode;
use fips::sign::SignatureAlgorithm;
use hsm::SigningKeyName;
use pki::{SignError, Signer};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// The key, found on a token.
pub(in super::super) struct TokenKey<'a> {
    shared: &'a Shared,
    name: SigningKeyName,
    found: Found,
    /// It was found for another request, some time ago.
    remembered: bool,
    what: String,
    deadline: Instant,
    /// Why it did not sign.
    refusal: Mutex<Option<Refusal>>,
}

impl<'a> TokenKey<'a> {
    /// Does something with the key that the configuration names for this authority; neither looking for it nor a signature waits for a token
    /// beyond the deadline. If the key was remembered, does not sign, and another one bears its label by now, it is done once more with that one.
    ///
    /// # Errors
    /// The refusal that says why it cannot be used, and those of `work`.
    pub(super) fn with<T>(
        shared: &'a Shared,
        name: &SigningKeyName,
        deadline: Instant,
        ca: &str,
        work: impl Fn(&Self) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let key = Self::of_section(shared, name, deadline, section(ca))?;
        let done = work(&key);
        match key.successor() {
            Some(successor) if done.is_err() => work(&successor),
            _ => done,
        }
    }

    /// A signing key; `what`: the part of the configuration that names it. One that was found by its label a moment ago is not looked for again.
    ///
    /// # Errors
    /// The refusal that says why it cannot be used.
    pub(in super::super) fn of_section(
        shared: &'a Shared,
        name: &SigningKeyName,
        deadline: Instant,
        what: String,
    ) -> Result<Self, Refusal> {
        let remembered = match name {
            SigningKeyName::Label(label) => shared.tokens.labels.get(label, Instant::now()),
            SigningKeyName::Fingerprint(_) => None,
        };
        match remembered {
            Some(found) => Ok(Self {
                shared,
                name: name.clone(),
                found,
                remembered: true,
                what,
                deadline,
                refusal: Mutex::default(),
            }),
            None => Self::look(shared, name, deadline, what),
        }
    }

    fn look(
        shared: &'a Shared,
        name: &SigningKeyName,
        deadline: Instant,
        what: String,
    ) -> Result<Self, Refusal> {
        let (token, info) = on_a_token_within(shared, &what, deadline, None, |custody, terms| {
            custody.signing_key_on(name, terms)
        })?;
        let found = Found::now(token, info);
        if let SigningKeyName::Label(label) = name {
            shared.tokens.labels.keep(label, found.clone());
        }
        Ok(Self {
            shared,
            name: name.clone(),
            found,
            remembered: false,
            what,
            deadline,
            refusal: Mutex::default(),
        })
    }

    /// The key that bears the label by now, if this one was remembered, did not sign, and is another one.
    fn successor(&self) -> Option<Self> {
        if !self.remembered
            || !self
                .refusal()
                .is_some_and(|refusal| may_be_the_key(&refusal))
        {
            return None;
        }
        let key = Self::look(self.shared, &self.name, self.deadline, self.what.clone()).ok()?;
        (key.found.info.fingerprint != self.found.info.fingerprint).then_some(key)
    }

    /// Why it did not sign, where it did not.
    pub(in super::super) fn refusal(&self) -> Option<Refusal> {
        self.refusal
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// Whether a signature failed for more than that the token had no time.
fn may_be_the_key(refusal: &Refusal) -> bool {
    !matches!(
        refusal.told.code,
        FailureCode::Busy | FailureCode::DeadlineExceeded
    )
}

impl Signer for TokenKey<'_> {
    fn algorithm(&self) -> SignatureAlgorithm {
        self.found.info.algorithm
    }

    fn spki_der(&self) -> &[u8] {
        &self.found.info.spki_der
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let key = self.found.info.fingerprint;
        let name = SigningKeyName::Fingerprint(key);
        let first = Some(self.found.token.as_str());
        let signed = on_a_token_within(
            self.shared,
            &self.what,
            self.deadline,
            first,
            |custody, terms| custody.sign_on(&name, message, terms),
        );
        match signed {
            Ok((_, signed)) => Ok(signed.signature),
            Err(refusal) => {
                if let SigningKeyName::Label(label) = &self.name
                    && may_be_the_key(&refusal)
                {
                    self.shared.tokens.labels.forget(label, &key);
                }
                let problem = refusal.told.message.clone();
                *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = Some(refusal);
                Err(SignError::Holder { problem })
            }
        }
    }
}
