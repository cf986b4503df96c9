//! A worker: one thread, one session.
//!
//! What it does when the token is in trouble is in [`super::recovery`]; how a bad input is told from that in [`super::decryption`].

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use cryptoki::session::Session;
use cryptoki::slot::Slot;
use fips::secret::SecretBytes;

use super::alone::Alone;
use super::cache::{Cache, LoadedKey};
use super::counters::{Counters, count};
use super::credentials::Credentials;
use super::discovery;
use super::evidence::Budget;
use super::keys::{self, FoundKey};
use super::login;
use super::module::{Module, Pass};
use super::policy;
use super::probe::{self, FoundKeyRef};
use super::public_objects::Open;
use super::quirks::Quirks;
use super::raw::{RsaMechanism, Stage};
use super::recovery::Recovery;
use super::session::OwnSession;
use crate::clock::Clock;
use crate::key::KeyFingerprint;
use crate::token::TokenInfo;
use crate::{Error, KeyInfo};

/// Where the token is.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) slot: Slot,
    pub(super) token: TokenInfo,
}

/// What all workers of a custody share.
pub(super) struct Shared {
    /// Never locked during a call to the token.
    pub(super) place: Mutex<Place>,
    /// What is known about this kind of token.
    pub(super) quirks: &'static Quirks,
    /// Where no other token of the module may be used in this process.
    pub(super) _alone: Option<Alone>,
    /// The serial number that the configuration asks for.
    pub(super) wanted_serial: Option<String>,
    pub(super) credentials: Credentials,
    pub(super) allow_extractable: bool,
    /// Whether probing asks the module for known ciphertexts, before it asks the token.
    pub(super) module_may_encrypt: bool,
    pub(super) cache: Cache,
    pub(super) counters: Counters,
    pub(super) recovery: Recovery,
    /// Numbers the uses of keys in the order in which they begin.
    pub(super) numbers: AtomicU64,
    pub(super) pkcs1: super::pkcs1::Named,
    pub(super) canaries: Budget,
    pub(super) second_tries: Budget,
    pub(super) canary_observer: Option<super::CanaryObserver>,
    pub(super) clock: Arc<dyn Clock>,
    /// Last, so that it is finalised after everything else is gone.
    pub(super) module: Module,
}

impl Shared {
    pub(super) fn place(&self) -> Place {
        self.place
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn token(&self) -> TokenInfo {
        self.place().token
    }

    /// The login for one use of a key with CKA_ALWAYS_AUTHENTICATE, between the Init of an operation and the operation.
    pub(super) fn log_in_for_one_use(&self, session: &OwnSession) -> Result<(), Error> {
        let place = self.place();
        login::for_one_use(&login::Login {
            module: &self.module,
            slot: place.slot,
            token: &place.token,
            session,
            credentials: &self.credentials,
            clock: &*self.clock,
            anew: None,
        })
    }

    /// The next number, in the order in which uses of keys begin.
    pub(super) fn next_number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::SeqCst)
    }

    /// The token did what it was asked to.
    pub(super) fn well(&self) {
        self.recovery.well();
        self.counters.set_needs_restart(false);
    }
}

/// Owned by one thread at a time.
pub(super) struct Worker {
    /// Before `shared`, so that it is closed before the module can be finalised.
    open: Option<Open>,
    /// While the worker is inside of the library.
    pass: Option<Pass>,
    /// The next session is to be logged in anew, whatever the token says of the present login, unless that is a later one than this.
    log_in_anew: Option<u64>,
    /// Failures on this session since it was last seen to work.
    pub(super) unproven: u32,
    /// Its number among the workers.
    number: usize,
    shared: Arc<Shared>,
}

impl Worker {
    /// The worker of this number, with an open session.
    pub(super) fn open(shared: Arc<Shared>, number: usize) -> Result<Self, Error> {
        let mut worker = Self {
            open: None,
            pass: None,
            log_in_anew: None,
            unproven: 0,
            number,
            shared,
        };
        worker.inside(|worker| worker.parts().map(drop))?;
        Ok(worker)
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(super) fn module(&self) -> &Module {
        &self.shared.module
    }

    pub(super) fn slot(&self) -> Slot {
        self.shared.place().slot
    }

    /// Goes inside of the library; waits while its state is renewed. Gives the generation of that state.
    pub(super) fn enter(&mut self) -> u64 {
        let shared = &self.shared;
        shared.counters.goes_on(self.number);
        let pass = self.pass.get_or_insert_with(|| shared.module.enter());
        // Handles of an older generation are those of other objects now.
        shared.cache.belongs_to(pass.generation());
        pass.generation()
    }

    /// Goes out again. The session stays open.
    pub(super) fn leave(&mut self) {
        self.pass = None;
    }

    /// Runs `action` inside of the library, once.
    pub(super) fn inside<T>(
        &mut self,
        action: impl FnOnce(&mut Self) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.enter();
        let result = action(self);
        self.leave();
        result
    }

    /// Closes the session, which destroys its objects; the next use opens another one.
    pub(super) fn drop_session(&mut self) {
        self.unproven = 0;
        self.open = None;
    }

    /// Another session, where this one alone is what is bad: no sign of a token in trouble. Inside of the library.
    pub(super) fn replace_session(&mut self) {
        // It is opened before the old one is closed: with a token's last session its login and its handles go away (PKCS#11,
        // C_CloseSession). If it cannot be, the next use tries again.
        let fresh = self.open_session(false).ok();
        self.drop_session();
        if let Some(fresh) = fresh {
            self.use_session(fresh);
        }
        count(&self.shared.counters.sessions_replaced);
    }

    fn use_session(&mut self, session: OwnSession) {
        let objects_outlive = self.shared.quirks.session_objects_outlive == Some(true);
        self.open = Some(Open::new(session, objects_outlive));
        self.log_in_anew = None;
    }

    /// The next session logs out, which ends the login of all sessions, and in again; unless somebody has logged in since there were so
    /// many `logins`.
    pub(super) fn log_in_anew(&mut self, logins: u64) {
        self.log_in_anew = Some(logins);
    }

    /// What the workers share, and this one's session; opened, with the user logged in, if there is none.
    pub(super) fn parts(&mut self) -> Result<(&Shared, &mut Open), Error> {
        let generation = self.pass()?.generation();
        if self
            .open
            .as_ref()
            .is_some_and(|open| open.session.generation() != generation)
        {
            self.drop_session();
        }
        if self.open.is_none() {
            let session = self.open_session(false)?;
            self.use_session(session);
        }
        match &mut self.open {
            Some(open) => Ok((&self.shared, open)),
            None => Err(Error::Internal("a session is missing")),
        }
    }

    fn pass(&self) -> Result<&Pass, Error> {
        self.pass
            .as_ref()
            .ok_or(Error::Internal("a worker is outside of the module"))
    }

    /// A session of its own, with the user logged in.
    pub(super) fn open_session(&self, read_write: bool) -> Result<OwnSession, Error> {
        let shared = &self.shared;
        let pass = self.pass()?;
        let before = shared.place();
        let place = locate(shared, &before)?;
        // Some tokens refuse the one kind of session (see the quirks).
        let read_write = read_write || !shared.quirks.read_only_sessions;
        let session = OwnSession::open(&shared.module, pass, place.slot, read_write)?;
        let login = login::ensure(&login::Login {
            module: &shared.module,
            slot: place.slot,
            token: &place.token,
            session: &session,
            credentials: &shared.credentials,
            clock: &*shared.clock,
            anew: self.log_in_anew,
        })?;
        if login {
            count(&shared.counters.logins);
        }
        if place.token.serial != before.token.serial {
            self.is_the_same_token(&session, &before, &place)?;
        }
        *shared.place.lock().unwrap_or_else(PoisonError::into_inner) = place;
        Ok(session)
    }

    /// Another token of the same label is taken for the one that was there before (a cluster behind a balancer answers with the
    /// serial number of one of its members) if it has one of the keys that were seen.
    fn is_the_same_token(
        &self,
        session: &OwnSession,
        before: &Place,
        now: &Place,
    ) -> Result<(), Error> {
        let shared = &self.shared;
        let found = keys::scan(&shared.module, session, shared.allow_extractable)?;
        let seen: Vec<_> = found.iter().map(|key| key.info.fingerprint).collect();
        if !shared.cache.has_one_of(&seen) {
            return Err(not_found(&before.token));
        }
        tracing::warn!(
            label = %now.token.label,
            before = %before.token.serial,
            now = %now.token.serial,
            "the token has another serial number and the same keys: it goes on as the same token"
        );
        Ok(())
    }

    /// One raw decryption. The outer error is about the session, the login or the policy, the inner one is the token's answer.
    pub(super) fn decrypt_raw(
        &mut self,
        key: &FoundKeyRef<'_>,
        mechanism: RsaMechanism<'_>,
        ciphertext: &[u8],
    ) -> Result<Result<SecretBytes, Stage>, Error> {
        enum Ended {
            Stage(Stage),
            Login(Error),
        }
        let number = self.number;
        let (shared, open) = self.parts()?;
        // Trying a key is many of these, and each may take its time.
        shared.counters.goes_on(number);
        let functions = shared.module.functions();
        let session = &open.session;
        let result = policy::perform(mechanism.decryption(), || {
            functions
                .decrypt_init(session, key.handle, mechanism)
                .map_err(Ended::Stage)?;
            if key.always_authenticate {
                shared.log_in_for_one_use(session).map_err(Ended::Login)?;
            }
            functions
                .decrypt(session, ciphertext, key.modulus_len)
                .map_err(Ended::Stage)
        })?;
        match result {
            Ok(message) => Ok(Ok(message)),
            Err(Ended::Stage(stage)) => Ok(Err(stage)),
            Err(Ended::Login(error)) => {
                // The operation that was begun ends with its session.
                self.replace_session();
                Err(error)
            }
        }
    }

    /// Every private RSA key on the token.
    pub(super) fn scan(&mut self) -> Result<Vec<FoundKey>, Error> {
        self.while_logged_in(|shared, session| {
            keys::scan(&shared.module, session, shared.allow_extractable)
        })
    }

    /// The keys that a scan shows, and whether the token shows private keys: these, or of another kind. One that shows none may hide them.
    pub(super) fn look_for<K>(
        &mut self,
        scan: impl Fn(&mut Self) -> Result<Vec<K>, Error>,
    ) -> Result<(Vec<K>, bool), Error> {
        let found = scan(self)?;
        if !found.is_empty() {
            return Ok((found, true));
        }
        let shows_others =
            self.while_logged_in(|shared, session| keys::shows_any(&shared.module, session))?;
        if !shows_others {
            return Ok((found, false));
        }
        // It may have hidden everything until just now.
        Ok((scan(self)?, true))
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
            shared.token().flags.login_required,
        )?;
        Ok(found)
    }

    /// What is known about every key. A token that had keys and shows none, of whatever kind, is in trouble, not empty.
    pub(super) fn list(&mut self) -> Result<Vec<KeyInfo>, Error> {
        let (found, shows_keys) = self.look_for(Self::scan)?;
        let seen: Vec<_> = found.iter().map(|key| key.info.fingerprint).collect();
        let missing = self.shared.cache.compare(&seen, shows_keys);
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
        let (found, shows_keys) = self.look_for(Self::scan)?;
        let seen: Vec<_> = found.iter().map(|key| key.info.fingerprint).collect();
        let missing = shared.cache.compare(&seen, shows_keys);
        // The same key may be there twice: a usable one is preferred.
        let mut matching: Vec<_> = found
            .into_iter()
            .filter(|key| key.info.fingerprint == *fingerprint)
            .collect();
        matching.sort_by_key(|key| key.info.problems.len());
        let Some(key) = matching.into_iter().next() else {
            // A key that was never here is the caller's mistake, but only if the token shows everything else it had. So is one that
            // somebody has destroyed.
            return Err(match missing.first() {
                _ if missing.contains(fingerprint) => Error::KeyVanished(*fingerprint),
                _ if shared.cache.is_gone(fingerprint) => Error::UnknownKey(*fingerprint),
                Some(missing) => Error::KeyVanished(*missing),
                None => Error::UnknownKey(*fingerprint),
            });
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
}

fn not_found(token: &TokenInfo) -> Error {
    Error::TokenNotFound {
        wanted: format!("with label {:?} and serial {:?}", token.label, token.serial),
    }
}

/// Where the token is now: in the slot where it was, or where its serial number is, or else, unless the configuration insists on the
/// serial number, where its label is.
fn locate(shared: &Shared, before: &Place) -> Result<Place, Error> {
    let known = &before.token;
    let found = discovery::token_info(&shared.module, before.slot);
    if let Ok(present) = &found
        && (&present.serial, &present.label) == (&known.serial, &known.label)
    {
        return Ok(before.clone());
    }
    let by_serial = discovery::find(&shared.module, Some(&known.label), Some(&known.serial));
    let (slot, token) = match by_serial {
        Err(Error::TokenNotFound { .. }) if shared.wanted_serial.is_none() => {
            discovery::find(&shared.module, Some(&known.label), None)
        }
        other => other,
    }
    // What the token's own slot said tells more than that it is nowhere.
    .map_err(|error| match (error, found) {
        (Error::TokenNotFound { .. }, Err(refused)) => refused,
        (Error::TokenNotFound { .. } | Error::TokenAmbiguous { .. }, Ok(_)) => not_found(known),
        (error, _) => error,
    })?;
    Ok(Place { slot, token })
}
