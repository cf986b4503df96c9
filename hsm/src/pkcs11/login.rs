//! Login, without ever locking a token.
//!
//! The login state belongs to the application, not to a session: the first login opens the token for every session. Keys with
//! CKA_ALWAYS_AUTHENTICATE want another one for each use (CKU_CONTEXT_SPECIFIC). Before each of both the token's flags are read, a PIN
//! that was refused is not tried again, nor without end one of which nobody knows that ([`super::credentials`]), and only one login to a
//! token runs at a time, so that eight threads do not use up eight tries.

use cryptoki::context::Function;
use cryptoki::error::{Error as CryptokiError, RvError};
use cryptoki::session::{Session, SessionState, UserType};
use cryptoki::slot::Slot;
use secrecy::SecretBox;

use super::classify::Class;
use super::credentials::{Answer, Credentials, Entry, Standing, TokenId};
use super::discovery;
use super::module::Module;
use super::quirks;
use super::softhsm;
use crate::Error;
use crate::clock::Clock;
use crate::error::{PinProblem, Refusal};
use crate::token::TokenInfo;

fn is_user(session: &Session, module: &Module) -> Result<bool, Error> {
    let info = session
        .get_session_info()
        .map_err(|error| module.error(error))?;
    Ok(matches!(
        info.session_state(),
        SessionState::RoUser | SessionState::RwUser
    ))
}

/// Checks, after objects were looked for, that the user was logged in all the time since [`Credentials::logins`] was `before`: a
/// token shows private keys to nobody else, and says CKR_OK all the same. Where it wants no login there is nothing to check.
///
/// # Errors
/// [`Error::Token`] if the login is gone, or the token does not answer.
pub(super) fn still_there(
    module: &Module,
    session: &Session,
    credentials: &Credentials,
    before: u64,
    login_required: bool,
) -> Result<(), Error> {
    // In this order: the other one misses a login that was lost and renewed in between.
    if !login_required || (is_user(session, module)? && credentials.logins() == before) {
        return Ok(());
    }
    let refusal = Refusal::new(Function::FindObjects, RvError::UserNotLoggedIn);
    Err(Error::Token(refusal))
}

/// A login that may be needed.
pub(super) struct Login<'a> {
    pub(super) module: &'a Module,
    pub(super) slot: Slot,
    pub(super) token: &'a TokenInfo,
    pub(super) session: &'a Session,
    pub(super) credentials: &'a Credentials,
    pub(super) clock: &'a dyn Clock,
    /// Log out first, also if the token says that the user is logged in: the login of so many [`Credentials::logins`] was found to be
    /// no good. Not if somebody has logged in since: that would end the new login for everybody.
    pub(super) anew: Option<u64>,
}

/// Makes sure that the user is logged in to the token of the session. True if it had to log in.
///
/// # Errors
/// [`Error::Pin`] if the PIN is not to be tried or is wrong, [`Error::File`] if it cannot be read, [`Error::Token`] for
/// anything else.
pub(super) fn ensure(login: &Login<'_>) -> Result<bool, Error> {
    if login.anew.is_none() && is_user(login.session, login.module)? {
        return Ok(false);
    }
    let _turn = login.module.turns().login(login.token);
    // Somebody else may have logged in while this thread waited.
    if is_user(login.session, login.module)? {
        if login.anew != Some(login.credentials.logins()) {
            return Ok(false);
        }
        if let Err(error) = login.session.logout() {
            tracing::debug!(%error, "there was nobody to log out");
        }
    }
    try_pin(login, UserType::User)
}

/// The login for one use of a key with CKA_ALWAYS_AUTHENTICATE: after the Init of the operation, and before the operation. A module
/// that does not ask for it says so, and that is well.
///
/// # Errors
/// As [`ensure`]. The operation is still active then.
pub(super) fn for_one_use(login: &Login<'_>) -> Result<(), Error> {
    let _turn = login.module.turns().login(login.token);
    try_pin(login, UserType::ContextSpecific).map(drop)
}

/// Reads the flags, and tries the PIN if they allow it. True if there was something to log in to.
fn try_pin(login: &Login<'_>, user: UserType) -> Result<bool, Error> {
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
    // Before the attempt, so that nobody can see the login without its having been counted.
    if matches!(user, UserType::User) {
        login.credentials.count_login();
    }
    let standing = Standing {
        flags,
        shows_tries: quirks::of(login.token).counts_pin_tries == Some(true),
        now: login.clock.now(),
    };
    login
        .credentials
        .try_once(&token, standing, |one| {
            if matches!(user, UserType::User) || !one.is_taken {
                softhsm::copy(login.module.path());
            }
            attempt(login, user, &one.entry)
        })
        .map(|()| true)
}

/// C_Login, once.
fn attempt(login: &Login<'_>, user: UserType, entry: &Entry<'_>) -> Answer {
    let answer = match entry {
        Entry::Pin(pin) => {
            let raw = SecretBox::new(Box::new(pin.expose().to_vec()));
            login.session.login_with_raw(user, &raw)
        }
        // CKF_PROTECTED_AUTHENTICATION_PATH: no PIN is given.
        Entry::AtTheToken => login.session.login(user, None),
    };
    let refusal = match answer {
        Ok(()) => return Answer::Taken,
        Err(CryptokiError::Pkcs11(rv, function)) => Refusal::new(function, rv),
        Err(other) => return Answer::Unjudged(login.module.error(other)),
    };
    let flags = || discovery::current_flags(login.module, login.slot).ok();
    match refusal.class() {
        Class::Done => Answer::Taken,
        // A lock that the flags do not show would be asked for again and again, each time by a login.
        Class::Pin(PinProblem::Locked) if !flags().is_some_and(|flags| flags.user_pin_locked) => {
            Answer::Refused(PinProblem::LockedUnseen)
        }
        Class::Pin(problem) => Answer::Refused(problem),
        // There was no library to give the PIN to.
        Class::Library => Answer::Unjudged(Error::Token(refusal)),
        // The token, or the way to it: what was said to the PIN may be lost.
        _ if refusal.is_never_about_data() => Answer::Lost(refusal, flags()),
        // Some modules have other names for a wrong PIN. If tries are gone now, this one is not repeated, whoever used them up before:
        // caution is cheaper than a locked token.
        _ => match flags() {
            Some(flags)
                if flags.user_pin_count_low
                    || flags.user_pin_final_try
                    || flags.user_pin_locked =>
            {
                tracing::warn!(%refusal, "the token counts a failed login: the PIN is taken for wrong");
                Answer::Refused(PinProblem::Incorrect)
            }
            flags => Answer::Lost(refusal, flags),
        },
    }
}
