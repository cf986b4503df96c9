//! When the cryptographic module fails, as the supervisor can see it.
//!
//! A failed integrity test or self-test ends a process from inside the module: by SIGABRT, before `main` or in the middle of something.
//! No code of that process can say why. So a part that aborts is followed by a question to the same program file, whose start runs the
//! module's tests again: does it abort as well, and what does the module write then?
//!
//! A part says by [`EXIT_MODULE`] that its module failed. It is believed as long as it has not greeted, for then it has seen nothing of
//! a stranger's. Afterwards it may be in a stranger's hand, who must not be able to put the engine out of service: the question decides.

use crate::clock::{Clock, SystemClock, rfc3339};
use crate::evidence::process::FaultEvidence;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Exit code by which a part says that the module did not start, or failed.
pub(crate) const EXIT_MODULE: i32 = 77;
/// SIGABRT.
const ABORTED: i32 = 6;
/// SIGSYS.
const BAD_CALL: i32 = 31;
/// How long the question may take.
const QUESTION_LIMIT: Duration = Duration::from_secs(20);
/// As much of what is written to standard error as is looked at, in bytes.
const MOST_WORDS: u64 = 4096;
/// What the module writes when its integrity test fails.
const INTEGRITY_WORDS: &str = "integrity test failed";

/// How a part's process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ending {
    /// Exit code, where it ended by itself.
    pub(super) code: Option<i32>,
    /// It was killed over a system call that its sandbox does not allow.
    pub(super) broke_out: bool,
    /// The module's failure, where it was one.
    pub(super) fault: Option<FaultEvidence>,
}

impl Ending {
    /// Takes note of how `program` ended, which had `greeted` or not. May take some seconds.
    pub(super) fn of(status: Option<ExitStatus>, program: &Path, greeted: bool) -> Self {
        let code = status.and_then(|status| status.code());
        let fault = match (code, status.and_then(|status| status.signal())) {
            (Some(EXIT_MODULE), _) if !greeted => Some(fault(
                "self_test_failed",
                "the cryptographic module did not start: its self-test failed, or it is not the expected one",
            )),
            (Some(EXIT_MODULE), _) | (_, Some(ABORTED)) => ask(program),
            _ => None,
        };
        let broke_out = status.and_then(|status| status.signal()) == Some(BAD_CALL);
        Self {
            code,
            broke_out,
            fault,
        }
    }
}

pub(super) fn fault(code: &str, message: &str) -> FaultEvidence {
    FaultEvidence {
        code: code.to_owned(),
        message: message.to_owned(),
        at: rfc3339(SystemClock.now_ms()),
    }
}

/// Starts the program once more, only to have the module's tests run. Nothing when it starts well: then the abort had another reason.
fn ask(program: &Path) -> Option<FaultEvidence> {
    let mut child = Command::new(program)
        .args(["version", "--json"])
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .ok()?;
    let mut words = Vec::new();
    if let Some(stderr) = child.stderr.take() {
        // Ends with the process, which writes a line at the most.
        let _ = stderr.take(MOST_WORDS).read_to_end(&mut words);
    }
    let status = wait(&mut child)?;
    let words = String::from_utf8_lossy(&words);
    let aborted = status.signal() == Some(ABORTED);
    let refused = !status.success() && words.contains(fips::Error::SelfTestFailed.code());
    if !aborted && !refused {
        return None;
    }
    Some(if aborted && words.contains(INTEGRITY_WORDS) {
        fault(
            "integrity_failed",
            "the integrity test of the cryptographic module failed: the program file is damaged or was changed; replace it and restart",
        )
    } else {
        fault(
            "self_test_failed",
            "the cryptographic module fails its tests when the program starts; replace the program file or the machine, and restart",
        )
    })
}

fn wait(child: &mut Child) -> Option<ExitStatus> {
    let until = Instant::now() + QUESTION_LIMIT;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if Instant::now() < until => std::thread::sleep(Duration::from_millis(10)),
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                return None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;

    fn ended(script: &str) -> Option<ExitStatus> {
        Command::new("/bin/sh").args(["-c", script]).status().ok()
    }

    #[test]
    fn only_an_abort_that_happens_again_is_the_modules() {
        let well = Path::new("/bin/true");
        for greeted in [false, true] {
            let of = |script| Ending::of(ended(script), well, greeted);
            assert_eq!(of("kill -ABRT $$").fault, None);
            assert_eq!(of("kill -KILL $$").fault, None);
            assert_eq!(of("exit 1").code, Some(1));
            assert!(!of("kill -ABRT $$").broke_out);
            assert!(of("kill -SYS $$").broke_out);
        }
    }

    #[test]
    fn a_part_that_has_seen_what_strangers_made_is_not_believed_that_its_module_failed() {
        let well = Path::new("/bin/true");
        let said = Ending::of(ended("exit 77"), well, false).fault.unwrap();
        assert_eq!(said.code, "self_test_failed");
        assert_eq!(Ending::of(ended("exit 77"), well, true).fault, None);
    }
}
