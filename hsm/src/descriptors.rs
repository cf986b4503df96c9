//! Descriptors that somebody has left open to this program.

use rustix::io::Errno;

/// Marks every descriptor above the three standard ones to be closed when this process becomes another program or starts one: what was inherited
/// goes no further. Nothing that is open is closed.
///
/// # Errors
/// ENOSYS or EINVAL on a kernel before Linux 5.11 (close_range(2)).
pub fn keep_from_other_programs() -> Result<(), Errno> {
    const FIRST: libc::c_long = 3;
    let last = libc::c_long::from(i32::MAX);
    let flags = libc::c_long::from(libc::CLOSE_RANGE_CLOEXEC);
    // SAFETY: close_range(2): takes three numbers. With CLOSE_RANGE_CLOEXEC it closes nothing, so no descriptor becomes invalid that somebody
    // holds.
    let done = unsafe { libc::syscall(libc::SYS_close_range, FIRST, last, flags) };
    match done {
        0 => Ok(()),
        _ => Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::NOSYS)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::process::Command;

    #[test]
    fn a_program_that_is_started_has_the_standard_descriptors_alone() {
        let file = tempfile::tempfile().unwrap();
        rustix::io::fcntl_setfd(&file, rustix::io::FdFlags::empty()).unwrap();
        let open = || {
            let output = Command::new("/bin/ls")
                .arg("/proc/self/fd")
                .output()
                .unwrap();
            String::from_utf8(output.stdout).unwrap().lines().count()
        };
        let before = open();
        keep_from_other_programs().unwrap();
        assert!(open() < before);
        // The three, and the folder that `ls` reads.
        assert_eq!(open(), 4);
    }
}
