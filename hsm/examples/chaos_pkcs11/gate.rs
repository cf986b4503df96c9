//! What every call passes before it reaches the real module.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use cryptoki_sys::{
    CK_RV, CK_SESSION_HANDLE, CKR_FUNCTION_CANCELED, CKR_FUNCTION_NOT_SUPPORTED, CKR_GENERAL_ERROR,
};

use crate::loaded;
use crate::script::Fault;
use crate::state::{Deed, State, Subject};

static STATE: Mutex<State> = Mutex::new(State::new());
/// Hangs begin and end.
pub(crate) static CHANGED: Condvar = Condvar::new();
/// Calls of the caller's share it; what a fault does to the real module has it alone, because real modules do not survive that
/// a session is closed while it is used.
static REAL_CALLS: RwLock<()> = RwLock::new(());

pub(crate) fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Leave to call the real module. [`finish`](Self::finish) has to be given its answer.
pub(crate) struct Pass {
    function: &'static str,
    subject: Subject,
    afterwards: Option<CK_RV>,
    pub(crate) truncate: Option<u64>,
    pub(crate) lie: bool,
    _shared: RwLockReadGuard<'static, ()>,
}

/// A call of `function` begins.
///
/// # Errors
/// What the caller gets instead of the real module's answer.
pub(crate) fn enter(function: &'static str, subject: Subject) -> Result<Pass, CK_RV> {
    let (plan, simulated, ended_hangs) = {
        let mut state = state();
        (
            state.begin_call(function),
            state.is_simulated(),
            state.ended_hangs,
        )
    };
    let refuse = |rv| {
        state().record(function, subject, rv, true);
        Err(rv)
    };
    if !plan.deeds.is_empty() {
        let _alone = REAL_CALLS.write().unwrap_or_else(PoisonError::into_inner);
        for deed in &plan.deeds {
            perform(deed);
        }
    }
    match plan.crash {
        Some(Fault::Abort) => std::process::abort(),
        Some(_) => segfault(),
        None => {}
    }
    if plan.delay_ms > 0 {
        if simulated {
            state().advance(plan.delay_ms);
        } else {
            std::thread::sleep(Duration::from_millis(plan.delay_ms));
        }
    }
    if plan.hang {
        hang(ended_hangs);
        return refuse(CKR_FUNCTION_CANCELED);
    }
    if let Some(rv) = plan.instead {
        return refuse(rv);
    }
    let shared = REAL_CALLS.read().unwrap_or_else(PoisonError::into_inner);
    let mut state = state();
    if let Some(rv) = state.refuses(function, subject) {
        state.record(function, subject, rv, true);
        return Err(rv);
    }
    state.enter(function, subject);
    Ok(Pass {
        function,
        subject,
        afterwards: plan.afterwards,
        truncate: plan.truncate,
        lie: plan.lie,
        _shared: shared,
    })
}

impl Pass {
    /// The real module has answered `rv`. What the caller gets.
    pub(crate) fn finish(self, rv: CK_RV) -> CK_RV {
        let rv = self.afterwards.unwrap_or(rv);
        state().leave(self.function, self.subject, rv);
        rv
    }

    /// As [`finish`](Self::finish), for a call that opened, closed or renewed what the state knows of.
    pub(crate) fn finish_with(self, rv: CK_RV, change: impl FnOnce(&mut State)) -> CK_RV {
        change(&mut state());
        self.finish(rv)
    }
}

fn hang(ended_before: u64) {
    let mut state = state();
    state.hanging += 1;
    CHANGED.notify_all();
    // Whoever ends it also counts it.
    drop(
        CHANGED
            .wait_while(state, |state| state.ended_hangs == ended_before)
            .unwrap_or_else(PoisonError::into_inner),
    );
}

fn segfault() -> ! {
    // SAFETY: none, on purpose: nothing is mapped in the first page, and the process is to die of SIGSEGV.
    unsafe { std::ptr::without_provenance_mut::<u8>(8).write_volatile(1) };
    // Not reached.
    std::process::abort()
}

fn perform(deed: &Deed) {
    let Some(loaded) = loaded() else {
        return;
    };
    match *deed {
        Deed::Logout(session) => {
            if let Some(call) = loaded.table.C_Logout {
                // SAFETY: PKCS#11, C_Logout: a session that is not valid is reported by the return value. No other call runs.
                unsafe { call(session) };
            }
        }
        Deed::CloseAllSessions(slot) => {
            if let Some(call) = loaded.table.C_CloseAllSessions {
                // SAFETY: PKCS#11, C_CloseAllSessions: as above.
                unsafe { call(slot) };
            }
            state()
                .sessions
                .retain(|_: &CK_SESSION_HANDLE, session| session.slot != slot);
        }
    }
}

/// The answer of a function that the real module has not, or when there is none.
pub(crate) fn missing() -> CK_RV {
    if loaded().is_some() {
        CKR_FUNCTION_NOT_SUPPORTED
    } else {
        CKR_GENERAL_ERROR
    }
}
