//! Questions to programs of the system, which may be missing, slow or talkative.

use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The most that is read of an answer, in bytes.
const MAX_OUTPUT_BYTES: u64 = 16 * 1024;
/// Between two looks at a program that has not ended.
const LOOK: Duration = Duration::from_millis(10);

/// What a program of the system prints, run without any of our environment; `None` when it is not there, fails, prints more than
/// 16 KiB or no text, or takes longer than `patience`.
pub(super) fn output(program: &str, arguments: &[&str], patience: Duration) -> Option<String> {
    let mut child = Command::new(program)
        .args(arguments)
        .env_clear()
        .env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin")
        .env("LC_ALL", "C")
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let stdout = child.stdout.take()?;
    // A thread reads, so that a program that prints for ever is stopped like one that waits for ever.
    let (sender, read) = std::sync::mpsc::sync_channel(1);
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = stdout.take(MAX_OUTPUT_BYTES + 1).read_to_end(&mut bytes);
        let _ = sender.send(read.ok().map(|_| bytes));
    });
    let deadline = Instant::now() + patience;
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break Some(status),
            Ok(None) if Instant::now() < deadline => std::thread::sleep(LOOK),
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                break None;
            }
        }
    };
    if !status?.success() {
        return None;
    }
    // Whoever inherited the pipe may hold it for ever.
    let left = deadline.saturating_duration_since(Instant::now());
    let bytes = read.recv_timeout(left).ok()??;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > MAX_OUTPUT_BYTES {
        return None;
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    #![allow(missing_docs)]
    use super::*;

    #[test]
    fn an_answer_is_text_of_a_program_that_ends_well_and_in_time() {
        let soon = Duration::from_secs(30);
        let ran = |script: &str, patience| output("sh", &["-c", script], patience);
        assert_eq!(ran("printf yes", soon).as_deref(), Some("yes"));
        assert_eq!(ran("printf yes; exit 1", soon), None);
        assert_eq!(ran("yes", Duration::from_millis(50)), None);
        assert_eq!(ran("exec sleep 600", Duration::from_millis(50)), None);
        assert_eq!(output("no-such-program", &[], soon), None);
    }
}
