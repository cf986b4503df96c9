//! Whose turn it is with a library, where one at a time is enough. Each library has turns of its own: a call into one of them that does
//! not come back keeps nobody from another one.

use std::collections::BTreeSet;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::token::TokenInfo;

/// Serial number and label of a token.
type Name = (String, String);

/// The turns of one library.
#[derive(Debug, Default)]
pub(super) struct Turns {
    life: Mutex<()>,
    /// Tokens to which somebody logs in. Not a lock that is held: waiting happens on the condition, outside of any call.
    at_login: Mutex<BTreeSet<Name>>,
    free: Condvar,
}

impl Turns {
    /// To call C_Initialize or C_Finalize.
    pub(super) fn life(&self) -> MutexGuard<'_, ()> {
        self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// To log in to `token`.
    pub(super) fn login(&self, token: &TokenInfo) -> LoginTurn<'_> {
        let name = (token.serial.clone(), token.label.clone());
        let mut at_login = self
            .free
            .wait_while(self.at_login(), |at_login| at_login.contains(&name))
            .unwrap_or_else(PoisonError::into_inner);
        at_login.insert(name.clone());
        LoginTurn { turns: self, name }
    }

    fn at_login(&self) -> MutexGuard<'_, BTreeSet<Name>> {
        self.at_login.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to log in to a token. A thread has one at a time.
pub(super) struct LoginTurn<'a> {
    turns: &'a Turns,
    name: Name,
}

impl Drop for LoginTurn<'_> {
    fn drop(&mut self) {
        self.turns.at_login().remove(&self.name);
        // Those who wait may wait for different tokens.
        self.turns.free.notify_all();
    }
}
