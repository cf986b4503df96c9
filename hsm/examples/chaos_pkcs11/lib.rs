//! A PKCS#11 module that hands everything to a real one, and fails as a script says. For tests only.
//!
//! | environment | |
//! |---|---|
//! | `CHAOS_MODULE` | path of the real module |
//! | `CHAOS_PIN` | the token's user PIN, for the simulated counter of tries; without it every login goes to the real module |
//! | `CHAOS_SCRIPT` | file with a script (`script.rs`), for processes; tests in the same process use [`chaos_set_script`] |
//! | `CHAOS_JOURNAL` | file that keeps what has happened over the death of processes; needed with `CHAOS_SCRIPT` |
//! | `CHAOS_CALLS` | functions, with commas between them, of which every call is a line of that file |
//!
//! Time: with [`chaos_set_script`] it is simulated. Each call takes a millisecond, `delay` only moves the time, and the test
//! moves it with [`chaos_advance`]. With `CHAOS_SCRIPT` it is the system's, counted from the first process, and `delay` sleeps.
//!
//! ```text
//!  caller --> functions.rs --> gate.rs: what does the script say? --> the real module
//!                                 |                    ^
//!                                 v                    | faults of the token are made real where they can be: C_Logout,
//!                              state.rs, pin.rs -------'  C_CloseAllSessions
//! ```
//!
//! It also judges the caller: a session that two threads use at once, and a C_Initialize or C_Finalize while other calls run,
//! are `violation` lines of its report; so is a simulated token that was locked (`lockouts`).

#[cfg(not(debug_assertions))]
compile_error!("chaos_pkcs11 fails on purpose: it must not be built into a release");

mod codes;
mod control;
mod functions;
mod gate;
mod journal;
mod pin;
#[path = "../support/real.rs"]
mod real;
mod script;
mod state;

use std::path::PathBuf;
use std::sync::OnceLock;

use cryptoki_sys::{CK_FUNCTION_LIST, CK_RV, CKR_GENERAL_ERROR, CKR_OK};
use real::RealModule;

struct Loaded {
    table: CK_FUNCTION_LIST,
    /// What is handed out.
    chaotic: CK_FUNCTION_LIST,
    pin: Option<Vec<u8>>,
    _module: RealModule,
}

static LOADED: OnceLock<Option<Loaded>> = OnceLock::new();

fn load() -> Option<Loaded> {
    let module = RealModule::load(&PathBuf::from(std::env::var_os("CHAOS_MODULE")?))?;
    if let Some(path) = std::env::var_os("CHAOS_SCRIPT") {
        let script = script::parse(&std::fs::read_to_string(path).ok()?).ok()?;
        let journal = PathBuf::from(std::env::var_os("CHAOS_JOURNAL")?);
        gate::state().resume_script(script, journal::Journal::open(&journal)?);
    }
    let mut chaotic = module.table;
    functions::install(&mut chaotic);
    Some(Loaded {
        table: module.table,
        chaotic,
        pin: std::env::var("CHAOS_PIN").ok().map(String::into_bytes),
        _module: module,
    })
}

fn loaded() -> Option<&'static Loaded> {
    LOADED.get_or_init(load).as_ref()
}

/// `C_GetFunctionList`: ours in the place of every function of the real one.
///
/// # Safety
/// PKCS#11, C_GetFunctionList: `list` is a valid pointer to a pointer, or null.
// SAFETY: the symbol is the one PKCS#11 names, defined once in this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn C_GetFunctionList(list: *mut *mut CK_FUNCTION_LIST) -> CK_RV {
    match loaded() {
        Some(loaded) if !list.is_null() => {
            // SAFETY: the caller's promise. The table lives in a static for as long as the library is loaded, and callers
            // only read it (PKCS#11, section 5.4).
            unsafe { *list = std::ptr::from_ref(&loaded.chaotic).cast_mut() };
            CKR_OK
        }
        _ => CKR_GENERAL_ERROR,
    }
}
