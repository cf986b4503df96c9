//! A worker: one thread, one session, and the ladder by which it comes back from trouble.
//!
//! 1. A bad input is told from a bad token by a canary on the same session (see `decrypt`).
//! 2. Anything else that fails: the session and the handles are thrown away, a session is opened (with a login where the
//!    token has forgotten it), the key is looked up again, and the request is tried once more.
//! 3. If that fails too, custody says that it needs a restart. It does not finalise the module by itself: the other workers'
//!    calls would be in the middle of it. Whoever supervises closes and opens custody, or better, starts a new process.

use std::sync::Arc;

use cryptoki::object::ObjectHandle;
use cryptoki::session::Session;
use cryptoki::slot::Slot;
use fips::policy::{Service, decide};
use fips::secret::SecretBytes;

use super::cache::{Cache, LoadedKey};
use super::counters::{Counters, count};
use super::discovery;
use super::keys::{self, FoundKey};
use super::login::{self, Credentials};
use super::module::Module;
use super::policy;
use super::probe::{self, FoundKeyRef, Outcome};
use super::public_objects::Open;
use super::raw::{RsaMechanism, Stage};
use crate::error::ErrorClass;
use crate::key::KeyFingerprint;
use crate::padding::Padding;
use crate::token::TokenInfo;
use crate::{Error, KeyInfo};

/// What all workers of a custody share.
pub(super) struct Shared {
    pub(super) token: TokenInfo,
    pub(super) slot: Slot,
    pub(super) credentials: Credentials,
    pub(super) allow_extractable: bool,
    /// Whether probing asks the module for known ciphertexts, before it asks the token.
    pub(super) module_may_encrypt: bool,
    pub(super) cache: Cache,
    pub(super) counters: Counters,
    /// Last, so that it is finalised after everything else is gone.
    pub(super) module: Module,
}

/// Owned by one thread at a time.
pub(super) struct Worker {
    /// Before `shared`, so that it is closed before the module can be finalised.
    open: Option<Open>,
    shared: Arc<Shared>,
}

impl Worker {
    /// A worker with an open session.
    pub(super) fn open(shared: Arc<Shared>) -> Result<Self, Error> {
        let mut worker = Self { open: None, shared };
        worker.parts()?;
        Ok(worker)
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(super) fn module(&self) -> &Module {
        &self.shared.module
    }

    pub(super) fn slot(&self) -> Slot {
        self.shared.slot
    }

    /// Closes the session, which destroys its objects; the next use opens another one.
    pub(super) fn drop_session(&mut self) {
        self.open = None;
    }

    /// What the workers share, and this one's session; opened, with the user logged in, if there is none.
    pub(super) fn parts(&mut self) -> Result<(&Shared, &mut Open), Error> {
        if self.open.is_none() {
            self.open = Some(Open::new(self.open_session(false)?));
        }
        match &mut self.open {
            Some(open) => Ok((&self.shared, open)),
            None => Err(Error::Internal("a session is missing")),
        }
    }

    /// A session of its own, with the user logged in.
    pub(super) fn open_session(&self, read_write: bool) -> Result<Session, Error> {
        let shared = &self.shared;
        let module = &shared.module;
        let present = discovery::token_info(module, shared.slot)?;
        if (&present.serial, &present.label) != (&shared.token.serial, &shared.token.label) {
            return Err(Error::TokenNotFound {
                wanted: format!(
                    "with label {:?} and serial {:?} (another one is in its slot)",
                    shared.token.label, shared.token.serial
                ),
            });
        }
        let context = module.context();
        let session = if read_write {
            context.open_rw_session(shared.slot)
        } else {
            context.open_ro_session(shared.slot)
        }
        .map_err(|error| module.error(error))?;
        login::ensure(
            module,
            shared.slot,
            &shared.token.serial,
            &session,
            &shared.credentials,
        )?;
        Ok(session)
    }

    /// One raw decryption. The outer error is about the session or the policy, the inner one is the token's answer.
    pub(super) fn decrypt_raw(
        &mut self,
        key: ObjectHandle,
        mechanism: RsaMechanism,
        ciphertext: &[u8],
        modulus_len: usize,
    ) -> Result<Result<SecretBytes, Stage>, Error> {
        let (shared, open) = self.parts()?;
        let functions = shared.module.functions();
        policy::perform(mechanism.decryption(), || {
            functions.decrypt(&open.session, key, mechanism, ciphertext, modulus_len)
        })
    }

    /// Runs `action`, and once more on a new session with new handles if the token was in trouble.
    pub(super) fn with_recovery<T>(
        &mut self,
        mut action: impl FnMut(&mut Self) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let shared = Arc::clone(&self.shared);
        let generation = shared.cache.generation();
        let result = match action(self) {
            Err(error) if error.class() == ErrorClass::Token => {
                tracing::warn!(%error, token = %shared.token.label, "the token is in trouble; trying a new session");
                self.drop_session();
                shared.cache.invalidate(generation);
                count(&shared.counters.reconnects);
                action(self)
            }
            other => other,
        };
        if let Err(error) = &result {
            match error.class() {
                ErrorClass::Token => {
                    tracing::error!(%error, token = %shared.token.label, "a new session did not help");
                    count(&shared.counters.token_failures);
                    shared.counters.set_needs_restart(true);
                    self.drop_session();
                    shared.cache.invalidate(shared.cache.generation());
                }
                ErrorClass::BadInput => count(&shared.counters.bad_inputs),
                ErrorClass::Busy | ErrorClass::Configuration | ErrorClass::Bug => {}
            }
        }
        result
    }

    /// Every private RSA key on the token.
    pub(super) fn scan(&mut self) -> Result<Vec<FoundKey>, Error> {
        self.while_logged_in(|shared, session| {
            keys::scan(&shared.module, session, shared.allow_extractable)
        })
    }

    /// Looks for objects on the token; fails if the user was not logged in all the time, because the token hides them then.
    pub(super) fn while_logged_in<T>(
        &mut self,
        look: impl FnOnce(&Shared, &Session) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let (shared, open) = self.parts()?;
        let logins = shared.credentials.logins();
        let found = look(shared, &open.session)?;
        login::still_there(
            &shared.module,
            &open.session,
            &shared.credentials,
            logins,
            shared.token.flags.login_required,
        )?;
        Ok(found)
    }

    /// What is known about every key. A token that had keys and shows none is in trouble, not empty.
    pub(super) fn list(&mut self) -> Result<Vec<KeyInfo>, Error> {
        let found = self.scan()?;
        let seen: Vec<_> = found.iter().map(|key| key.info.fingerprint).collect();
        let missing = self.shared.cache.compare(&seen);
        match missing.first() {
            Some(missing) if seen.is_empty() => Err(Error::KeyVanished(*missing)),
            _ => Ok(found.into_iter().map(|key| key.info).collect()),
        }
    }

    /// The key with a handle of the current generation; looked up and probed if necessary.
    pub(super) fn load(&mut self, fingerprint: &KeyFingerprint) -> Result<Arc<LoadedKey>, Error> {
        let shared = Arc::clone(&self.shared);
        if let Some(key) = shared.cache.get(fingerprint) {
            return Ok(key);
        }
        // Read before the handles are: if they grow old meanwhile, they are not kept.
        let generation = shared.cache.generation();
        let found = self.scan()?;
        let seen: Vec<_> = found.iter().map(|key| key.info.fingerprint).collect();
        let missing = shared.cache.compare(&seen);
        // The same key may be there twice: a usable one is preferred.
        let mut matching: Vec<_> = found
            .into_iter()
            .filter(|key| key.info.fingerprint == *fingerprint)
            .collect();
        matching.sort_by_key(|key| key.info.problems.len());
        let Some(key) = matching.into_iter().next() else {
            // A key that was never here is the caller's mistake, but only if the token shows everything else it had.
            return Err(missing
                .first()
                .map_or(Error::UnknownKey(*fingerprint), |missing| {
                    Error::KeyVanished(*missing)
                }));
        };
        if !key.info.is_usable() {
            return Err(Error::KeyRefused {
                fingerprint: *fingerprint,
                problems: key.info.problems,
            });
        }
        let probe = match shared.cache.probe_of(fingerprint) {
            Some(probe) => probe,
            None => Arc::new(probe::run(self, &key, shared.module_may_encrypt)?),
        };
        let loaded = Arc::new(LoadedKey {
            handle: key.handle,
            generation,
            public: key.public,
            info: key.info,
            probe,
        });
        shared.cache.insert(Arc::clone(&loaded));
        Ok(loaded)
    }

    /// Decrypts, and tells a bad ciphertext from a bad token.
    pub(super) fn decrypt(
        &mut self,
        fingerprint: &KeyFingerprint,
        padding: Padding,
        ciphertext: &[u8],
    ) -> Result<SecretBytes, Error> {
        let key = self.load(fingerprint)?;
        let modulus_len = key.public.modulus().len();
        if ciphertext.len() != modulus_len {
            return Err(Error::CiphertextLength {
                expected: modulus_len,
                actual: ciphertext.len(),
            });
        }
        // RFC 8017, section 5.1.2, step 1. Tokens answer this in many ways; both numbers are public.
        if key.public.is_out_of_range(ciphertext) {
            return Err(Error::Decryption);
        }
        let Some((way, _)) = key.probe.way(padding) else {
            if key.probe.raw_was_not_allowed() {
                // Named as what it is: the token could, the policy says no.
                decide(Service::TokenRawRsaOaep).map(drop)?;
            }
            return Err(Error::PaddingNotSupported(padding));
        };
        let reference = FoundKeyRef {
            handle: key.handle,
            modulus_len,
            public: &key.public,
        };
        let refusal = match probe::decrypt(self, &reference, padding, way, ciphertext)? {
            Outcome::Plain(message) => return Ok(message),
            Outcome::BadPadding => return Err(Error::Decryption),
            Outcome::NotStarted(refusal) => return Err(Error::Token(refusal)),
            Outcome::Failed(refusal) => refusal,
        };
        if self.canary_decrypts(&key, padding) {
            // The token is well now, but was it then? One more try: trouble that lasts for one call is no bad ciphertext.
            return match probe::decrypt(self, &reference, padding, way, ciphertext)? {
                Outcome::Plain(message) => Ok(message),
                Outcome::BadPadding => Err(Error::Decryption),
                // A module says the same of the same bad ciphertext.
                Outcome::Failed(again) if again.rv() == refusal.rv() => Err(Error::Decryption),
                Outcome::Failed(refusal) | Outcome::NotStarted(refusal) => {
                    Err(Error::Token(refusal))
                }
            };
        }
        // The session itself may be what is broken: some modules leave it in an operation that nothing ends. If a new one
        // works, the request gets a second chance there, and one more canary judges it.
        self.drop_session();
        if !self.canary_decrypts(&key, padding) {
            return Err(Error::Token(refusal));
        }
        let refusal = match probe::decrypt(self, &reference, padding, way, ciphertext)? {
            Outcome::Plain(message) => return Ok(message),
            Outcome::BadPadding => return Err(Error::Decryption),
            Outcome::NotStarted(refusal) => return Err(Error::Token(refusal)),
            Outcome::Failed(refusal) => refusal,
        };
        self.drop_session();
        if self.canary_decrypts(&key, padding) {
            Err(Error::Decryption)
        } else {
            Err(Error::Token(refusal))
        }
    }

    /// True if the token decrypts a ciphertext to which the answer is known, the same way, now.
    fn canary_decrypts(&mut self, key: &LoadedKey, padding: Padding) -> bool {
        let Some((way, canary)) = key.probe.way(padding) else {
            return false;
        };
        let reference = FoundKeyRef {
            handle: key.handle,
            modulus_len: key.public.modulus().len(),
            public: &key.public,
        };
        matches!(
            probe::decrypt(self, &reference, padding, way, canary),
            Ok(Outcome::Plain(message)) if key.probe.is_message(&message)
        )
    }
}
