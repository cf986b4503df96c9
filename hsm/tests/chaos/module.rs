//! The module `chaos_pkcs11` in this process, beside PKCS#11: its script, its time and its report.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

use std::ffi::{CString, c_char, c_int, c_void};
use std::path::Path;
use std::time::Duration;

use hsm::clock::Clock;

use super::script::Script;

// SAFETY: dlopen and dlsym of POSIX, by their declarations in <dlfcn.h>.
unsafe extern "C" {
    fn dlopen(path: *const c_char, flags: c_int) -> *mut c_void;
    fn dlsym(library: *mut c_void, name: *const c_char) -> *mut c_void;
}

const RTLD_NOW: c_int = 2;

/// The exported functions of hsm/examples/chaos_pkcs11/control.rs.
#[derive(Clone, Copy, Debug)]
pub struct ChaosModule {
    set_script: unsafe extern "C" fn(*const u8, usize) -> u8,
    report: unsafe extern "C" fn(*mut u8, usize) -> usize,
    advance: extern "C" fn(u64) -> u64,
    end_faults: extern "C" fn(),
    wait_for_hang: extern "C" fn(u64) -> u8,
    replace_process: extern "C" fn(),
}

/// The module's simulated time as custody's clock.
#[derive(Debug)]
pub struct SimulatedClock(pub ChaosModule);

impl Clock for SimulatedClock {
    fn now(&self) -> Duration {
        Duration::from_millis(self.0.now_ms())
    }

    fn pause(&self, pause: Duration) {
        // At least a bit: whoever waits for something looks again.
        self.0
            .advance(u64::try_from(pause.as_millis()).unwrap_or(u64::MAX).max(1));
    }
}

/// What the module says of itself.
pub struct Report {
    pub text: String,
    pub violations: Vec<String>,
}

impl Report {
    pub fn number(&self, name: &str) -> u64 {
        self.text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
            .unwrap_or_else(|| panic!("no {name} in the report"))
    }
}

impl ChaosModule {
    /// The module that custody loads from the same path: the loader gives the same one.
    pub fn load(path: &Path) -> Self {
        let path = CString::new(path.to_str().unwrap()).unwrap();
        // SAFETY: dlopen: a string that ends with a zero. The library's initialisers are those of Rust's.
        let library = unsafe { dlopen(path.as_ptr(), RTLD_NOW) };
        assert!(!library.is_null(), "{path:?} cannot be loaded");
        let symbol = |name: &str| {
            let c_name = CString::new(name).unwrap();
            // SAFETY: dlsym: a library that was opened, and a string that ends with a zero.
            let found = unsafe { dlsym(library, c_name.as_ptr()) };
            assert!(!found.is_null(), "{name} is not exported");
            found
        };
        // SAFETY: the declarations are those in control.rs, and the library is never closed.
        unsafe {
            Self {
                set_script: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(*const u8, usize) -> u8,
                >(symbol("chaos_set_script")),
                report: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(*mut u8, usize) -> usize,
                >(symbol("chaos_report")),
                advance: std::mem::transmute::<*mut c_void, extern "C" fn(u64) -> u64>(symbol(
                    "chaos_advance",
                )),
                end_faults: std::mem::transmute::<*mut c_void, extern "C" fn()>(symbol(
                    "chaos_end_faults",
                )),
                wait_for_hang: std::mem::transmute::<*mut c_void, extern "C" fn(u64) -> u8>(
                    symbol("chaos_wait_for_hang"),
                ),
                replace_process: std::mem::transmute::<*mut c_void, extern "C" fn()>(symbol(
                    "chaos_replace_process",
                )),
            }
        }
    }

    pub fn begin(&self, script: &Script) {
        let text = script.to_string();
        // SAFETY: a live string and its length.
        let taken = unsafe { (self.set_script)(text.as_ptr(), text.len()) };
        assert_eq!(taken, 1, "the module does not understand\n{text}");
    }

    pub fn report(&self) -> Report {
        let mut text = vec![0; 64 * 1024];
        // SAFETY: a live buffer and its length.
        let len = unsafe { (self.report)(text.as_mut_ptr(), text.len()) };
        assert!(len <= text.len());
        text.truncate(len);
        let text = String::from_utf8(text).unwrap();
        let violations = text
            .lines()
            .filter_map(|line| line.strip_prefix("violation ").map(str::to_owned))
            .collect();
        Report { text, violations }
    }

    /// Moves the simulated time, and gives it back in milliseconds.
    pub fn advance(&self, ms: u64) -> u64 {
        (self.advance)(ms)
    }

    pub fn now_ms(&self) -> u64 {
        self.advance(0)
    }

    pub fn end_faults(&self) {
        (self.end_faults)();
    }

    /// Whether a call hangs, after waiting for that so long in real time.
    pub fn waits_for_hang(&self, real_ms: u64) -> bool {
        (self.wait_for_hang)(real_ms) == 1
    }

    pub fn replace_process(&self) {
        (self.replace_process)();
    }
}
