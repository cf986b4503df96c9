//! The validated module as it is linked into this process.

use crate::policy::{Fault, Policy, test_seam};
use crate::{Error, Result};
use aws_lc_fips_sys as lc;
use std::ffi::CStr;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// What the module of certificates 5314 and 5298 says about itself.
pub const EXPECTED_VERSION: &str = "AWS-LC FIPS 3.1.0";

/// The module, after its tests have passed. There is one per process, and it never changes.
///
/// It states what is linked. It does not state that this machine is one of the tested operational environments.
#[derive(Debug)]
pub struct Module {
    version: String,
    static_build: bool,
    started_at: SystemTime,
}

impl Module {
    /// What the module says about itself: [`EXPECTED_VERSION`].
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Whether the module is part of the executable, and not of a shared library beside it.
    #[must_use]
    pub const fn static_build(&self) -> bool {
        self.static_build
    }

    /// The CMVP certificate that names this version in this form: 5314 static, 5298 dynamic.
    #[must_use]
    pub const fn certificate(&self) -> &'static str {
        if self.static_build { "5314" } else { "5298" }
    }

    /// When the tests of the start passed.
    #[must_use]
    pub const fn started_at(&self) -> SystemTime {
        self.started_at
    }
}

/// What a run of the module's own tests gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SelfTest {
    /// The integrity test: an HMAC over the module's code and constants (`BORINGSSL_integrity_test`).
    pub integrity_passed: bool,
    /// The known-answer tests of its algorithms (`BORINGSSL_self_test`).
    pub known_answers_passed: bool,
    /// When they ended.
    pub at: SystemTime,
    /// How long they took.
    pub took: Duration,
}

impl SelfTest {
    /// Whether all of it passed.
    #[must_use]
    pub const fn passed(&self) -> bool {
        self.integrity_passed && self.known_answers_passed
    }
}

static LAST_SELF_TEST: Mutex<Option<SelfTest>> = Mutex::new(None);

/// The last run of [`self_test`] in this process.
#[must_use]
pub fn last_self_test() -> Option<SelfTest> {
    *LAST_SELF_TEST
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
}

/// Runs the integrity test and the known-answer tests now, some milliseconds on the calling thread. May be called at any time.
///
/// A module that fails may also end the process by itself (`SIGABRT`).
///
/// # Errors
/// [`Error::SelfTestFailed`]: from then on every service of this process is refused ([`crate::policy::fault`]).
pub fn self_test() -> Result<SelfTest> {
    let began = Instant::now();
    // SAFETY: crypto.h: takes nothing, may be called at any time after the constructor, returns one or zero.
    let integrity = unsafe { lc::BORINGSSL_integrity_test() } == 1;
    // SAFETY: as above.
    let known_answers = unsafe { lc::BORINGSSL_self_test() } == 1;
    let at = SystemTime::now();
    let done = SelfTest {
        integrity_passed: integrity,
        known_answers_passed: known_answers && !test_seam("self-test"),
        at,
        took: began.elapsed(),
    };
    *LAST_SELF_TEST
        .lock()
        .unwrap_or_else(PoisonError::into_inner) = Some(done);
    if done.passed() {
        return Ok(done);
    }
    crate::policy::declare_fault(Fault::SelfTest { at });
    Err(Error::SelfTestFailed)
}

/// Puts `policy` in force, checks the module and runs its tests, once per process; later calls give the first answer again.
///
/// To be called before the first service is used. Three things have happened or happen:
///
/// 1. The **integrity test** (an HMAC over the module's code and constants) runs in a constructor, before `main`. If it
///    fails, the module writes a line to standard error and **aborts the process** (`SIGABRT`). No code of ours can catch
///    that: a supervisor has to report it.
/// 2. FIPS mode must be on, and the version must be [`EXPECTED_VERSION`]: a build with another module does not start.
/// 3. Integrity once more and all known-answer tests run ([`self_test`], a few milliseconds).
///
/// At the end of the process the module overwrites the state of its random bit generators under a lock. A thread that then
/// still asks for random bytes waits forever, so **join the worker threads before `main` returns**.
///
/// # Errors
/// [`Error::FipsModeOff`], [`Error::WrongModule`], [`Error::SelfTestFailed`]: do not go on. Those of
/// [`crate::policy::enforce`].
pub fn start(policy: Policy) -> Result<&'static Module> {
    crate::policy::enforce(policy)?;
    static MODULE: OnceLock<Result<Module>> = OnceLock::new();
    MODULE.get_or_init(check).as_ref().map_err(Error::clone)
}

fn check() -> Result<Module> {
    crate::secret::prepare();
    aws_lc_rs::try_fips_mode().map_err(|_| Error::FipsModeOff)?;
    let version = version();
    if version != EXPECTED_VERSION {
        return Err(Error::WrongModule {
            found: version,
            expected: EXPECTED_VERSION,
        });
    }
    let tested = self_test()?;
    Ok(Module {
        version,
        static_build: linkage::is_static(),
        started_at: tested.at,
    })
}

fn version() -> String {
    // SAFETY: crypto.h: awslc_version_string takes nothing and returns a constant NUL-terminated string.
    let text = unsafe { lc::awslc_version_string() };
    if text.is_null() {
        return String::new();
    }
    // SAFETY: as above, it is NUL-terminated, constant, and lives as long as the process.
    unsafe { CStr::from_ptr(text) }
        .to_string_lossy()
        .into_owned()
}

/// Looks where the module's code is, instead of believing the build.
#[cfg(target_os = "linux")]
mod linkage {
    use std::ptr::addr_of;

    unsafe extern "C" {
        // Set by the linker to the first and behind the last byte of an executable (GNU ld, gold, lld, mold). In a shared
        // object they do not exist: this crate is linked into programs, and another use fails to link instead of lying.
        static __executable_start: u8;
        static _end: u8;
    }

    pub(super) fn is_static() -> bool {
        let module = aws_lc_fips_sys::BORINGSSL_self_test as *const () as usize;
        let executable = addr_of!(__executable_start) as usize..addr_of!(_end) as usize;
        executable.contains(&module)
    }
}

/// Elsewhere the FIPS build of the module is a shared library always.
#[cfg(not(target_os = "linux"))]
mod linkage {
    pub(super) const fn is_static() -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_certified_module_is_linked_statically_and_passes_its_tests() {
        let module = start(Policy::STRICT).unwrap();
        assert_eq!(module.version(), EXPECTED_VERSION);
        assert!(module.static_build());
        assert_eq!(module.certificate(), "5314");
        assert!(last_self_test().is_some_and(|test| test.passed()));
        assert!(module.started_at() <= SystemTime::now());
        assert!(std::ptr::eq(module, start(Policy::STRICT).unwrap()));
        // What is in force stays in force.
        assert_eq!(start(Policy::OFF).unwrap_err(), Error::PolicyTaken);
    }
}
