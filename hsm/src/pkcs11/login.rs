//! Login, without ever locking a token.
//!
//! The login state belongs to the application, not to a session: the first login opens the token for every session. A wrong
//! PIN is tried once per process: what was refused is remembered (as a salted hash) until the PIN's source says something
//! else. Only one login runs at a time, so that eight threads do not use up eight tries.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Condvar, Mutex, OnceLock, PoisonError};

use cryptoki::error::Error as CryptokiError;
use cryptoki::session::{Session, SessionState, UserType};
use cryptoki::slot::Slot;
use fips::digest::{Hash, Hasher};
use secrecy::SecretBox;

use super::classify::Class;
use super::discovery;
use super::module::Module;
use crate::Error;
use crate::error::{PinProblem, Refusal};
use crate::pin::{Pin, PinSource};
use crate::token::TokenInfo;

/// Module path, serial number and label of the token: some modules give all their tokens the same serial number.
type TokenId = (PathBuf, String, String);

/// Hashes of the PINs that tokens refused in this process.
static REFUSED: Mutex<Option<HashMap<TokenId, [u8; 32]>>> = Mutex::new(None);

/// True while some thread logs in. Not a lock that is held: waiting happens on the condition, outside of any call.
static BUSY: Mutex<bool> = Mutex::new(false);
static FREE: Condvar = Condvar::new();

struct Turn;

impl Turn {
    fn wait() -> Self {
        let busy = BUSY.lock().unwrap_or_else(PoisonError::into_inner);
        let mut busy = FREE
            .wait_while(busy, |busy| *busy)
            .unwrap_or_else(PoisonError::into_inner);
        *busy = true;
        Self
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *BUSY.lock().unwrap_or_else(PoisonError::into_inner) = false;
        FREE.notify_one();
    }
}

/// Where the PIN comes from at this moment.
pub(super) struct Credentials {
    source: PinSource,
    /// Kept only if the source cannot be asked twice.
    kept: Option<Pin>,
}

impl Credentials {
    /// # Errors
    /// [`Error::File`] if a source that can be asked only once has no PIN.
    pub(super) fn new(source: PinSource) -> Result<Self, Error> {
        let kept = if source.is_readable_again() {
            None
        } else {
            Some(source.read()?)
        };
        Ok(Self { source, kept })
    }

    /// True if the PIN stays in memory between logins.
    pub(super) const fn keeps_pin(&self) -> bool {
        self.kept.is_some()
    }

    fn with_pin<T>(&self, action: impl FnOnce(&Pin) -> Result<T, Error>) -> Result<T, Error> {
        match &self.kept {
            Some(pin) => action(pin),
            None => action(&self.source.read()?),
        }
    }
}

fn is_user(session: &Session, module: &Module) -> Result<bool, Error> {
    let info = session
        .get_session_info()
        .map_err(|error| module.error(error))?;
    Ok(matches!(
        info.session_state(),
        SessionState::RoUser | SessionState::RwUser
    ))
}

/// A login that may be needed.
pub(super) struct Login<'a> {
    pub(super) module: &'a Module,
    pub(super) slot: Slot,
    pub(super) token: &'a TokenInfo,
    pub(super) session: &'a Session,
    pub(super) credentials: &'a Credentials,
    /// Log out first, also if the token says that the user is logged in.
    pub(super) anew: bool,
}

/// Makes sure that the user is logged in to the token of the session. True if it had to log in.
///
/// # Errors
/// [`Error::Pin`] if the PIN is not to be tried or is wrong, [`Error::File`] if it cannot be read, [`Error::Token`] for
/// anything else.
pub(super) fn ensure(login: &Login<'_>) -> Result<bool, Error> {
    if !login.anew && is_user(login.session, login.module)? {
        return Ok(false);
    }
    let _turn = Turn::wait();
    // Somebody else may have logged in while this thread waited.
    if is_user(login.session, login.module)? {
        if !login.anew {
            return Ok(false);
        }
        if let Err(error) = login.session.logout() {
            tracing::debug!(%error, "there was nobody to log out");
        }
    }
    let flags = discovery::current_flags(login.module, login.slot).map_err(Error::Token)?;
    if !flags.login_required {
        return Ok(false);
    }
    let problem = if flags.user_pin_locked {
        Some(PinProblem::Locked)
    } else if flags.user_pin_final_try {
        Some(PinProblem::FinalTry)
    } else if !flags.user_pin_initialized {
        Some(PinProblem::NotInitialized)
    } else {
        None
    };
    if let Some(problem) = problem {
        return Err(Error::Pin(problem));
    }
    let token: TokenId = (
        login.module.path().to_owned(),
        login.token.serial.clone(),
        login.token.label.clone(),
    );
    login
        .credentials
        .with_pin(|pin| attempt(login, token, pin))
        .map(|()| true)
}

fn attempt(login: &Login<'_>, token: TokenId, pin: &Pin) -> Result<(), Error> {
    let hash = salted_hash(pin)?;
    if refused(|map| map.get(&token) == Some(&hash)) {
        return Err(Error::Pin(PinProblem::RefusedBefore));
    }
    let raw = SecretBox::new(Box::new(pin.expose().to_vec()));
    let refusal = match login.session.login_with_raw(UserType::User, &raw) {
        Ok(()) => None,
        Err(CryptokiError::Pkcs11(rv, function)) => Some(Refusal::new(function, rv)),
        Err(other) => return Err(login.module.error(other)),
    };
    let problem = match refusal.map(|refusal| (refusal, refusal.class())) {
        None | Some((_, Class::Done)) => {
            refused(|map| map.remove(&token));
            return Ok(());
        }
        Some((_, Class::Pin(problem))) => problem,
        // Some modules have other names for a wrong PIN. If the token counts a failed try now, this one is not repeated.
        Some((refusal, _)) if tries_are_used_up(login.module, login.slot) => {
            tracing::warn!(%refusal, "the token counts a failed login: the PIN is taken for wrong");
            PinProblem::Incorrect
        }
        Some((refusal, _)) => return Err(Error::Token(refusal)),
    };
    refused(|map| map.insert(token, hash));
    Err(Error::Pin(problem))
}

/// Whether the token says that tries of its PIN are gone. A token that does not answer says nothing.
fn tries_are_used_up(module: &Module, slot: Slot) -> bool {
    discovery::current_flags(module, slot).is_ok_and(|flags| {
        flags.user_pin_count_low || flags.user_pin_final_try || flags.user_pin_locked
    })
}

fn refused<T>(action: impl FnOnce(&mut HashMap<TokenId, [u8; 32]>) -> T) -> T {
    let mut map = REFUSED.lock().unwrap_or_else(PoisonError::into_inner);
    action(map.get_or_insert_default())
}

/// SHA-256 of a random salt of this process and the PIN: enough to see that a PIN has not changed, and gone with the process.
fn salted_hash(pin: &Pin) -> Result<[u8; 32], Error> {
    static SALT: OnceLock<[u8; 32]> = OnceLock::new();
    let salt = match SALT.get() {
        Some(salt) => salt,
        None => {
            let mut salt = [0; 32];
            fips::random::fill(&mut salt).map_err(|_| Error::Internal("no random bytes"))?;
            SALT.get_or_init(|| salt)
        }
    };
    let mut hasher = Hasher::new(Hash::Sha256);
    hasher.update(salt);
    hasher.update(pin.expose());
    let digest = hasher.finish();
    let mut hash = [0; 32];
    for (to, from) in hash.iter_mut().zip(digest.as_ref()) {
        *to = *from;
    }
    Ok(hash)
}
