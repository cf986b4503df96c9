//! Conditions on the arguments of a system call. Only what is in a register can be looked at, never what a pointer leads to.

use crate::profile::{Family, Profile};
#[cfg(target_os = "linux")]
use seccompiler::{
    BackendError, SeccompCmpArgLen as Length, SeccompCmpOp as Op, SeccompCondition, SeccompRule,
};

/// When a call may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Only {
    /// Always.
    Any,
    /// clone(2): a thread of this process, in no new namespace.
    Thread,
    /// clone(2): a process or thread in no new namespace.
    SameNamespaces,
    /// clone3(2), whose arguments are behind a pointer: fails with ENOSYS, so that the C library uses clone(2).
    Absent,
    /// kill(2), tgkill(2): this process itself.
    OwnProcess,
    /// mmap(2): code only as the profile says ([`Profile::maps_code`]), and never writable.
    Mapping,
    /// mprotect(2): not executable.
    NoCode,
    /// mprotect(2): not writable and executable at once.
    NoWritableCode,
    /// socket(2), socketpair(2): of the profile's families, a stream or datagrams.
    Families,
    /// socketpair(2): AF_UNIX.
    Pair,
    /// openat(2): truncates nothing that it does not open for writing (Landlock below ABI 3 would let it).
    Opening,
    /// open(2): the same; its flags are in another place.
    OldOpening,
    /// fcntl(2): flags, locks, a duplicate that is closed on exec.
    Descriptor,
    /// ioctl(2): blocking or not, and what a terminal is asked.
    Terminal,
    /// ioctl(2): anything but putting input into a terminal, which its shell would take for the operator's.
    NoTyping,
    /// shmat(2): not executable, since such memory is writable as well.
    NoSharedCode,
    /// prctl(2): the name of a thread.
    Name,
    /// prlimit64(2): this process' limits are read.
    OwnLimits,
}

/// ioctl(2) requests: FIONBIO (asm-generic/ioctls.h), TCGETS, TIOCGWINSZ.
const IOCTLS: [u64; 3] = [0x5421, 0x5401, 0x5413];
/// TIOCSTI (asm-generic/ioctls.h) and TIOCLINUX (asm-generic/ioctls.h), which pastes into a console.
#[cfg(target_os = "linux")]
const TYPING: [u64; 2] = [0x5412, 0x541c];
/// SHM_EXEC (linux/shm.h).
#[cfg(target_os = "linux")]
const SHM_EXEC: u64 = 0o10_0000;

impl Only {
    /// In words, for a page; empty where there is no condition.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Any => "",
            Self::Thread => "threads, no processes",
            Self::SameNamespaces => "no namespaces",
            Self::Absent => "answered as if the kernel had none",
            Self::OwnProcess => "the process itself",
            Self::Mapping => "code only where the profile says so, never writable",
            Self::NoCode | Self::NoSharedCode => "no code",
            Self::NoWritableCode => "no writable code",
            Self::Families => "families of the profile",
            Self::Pair => "AF_UNIX",
            Self::Opening | Self::OldOpening => "no truncation without writing",
            Self::Descriptor => "flags, locks, duplicates",
            Self::Terminal => "FIONBIO, TCGETS, TIOCGWINSZ",
            Self::NoTyping => "no input for a terminal",
            Self::Name => "names of threads",
            Self::OwnLimits => "its own, reading",
        }
    }

    /// The rules of which one has to match; `None`: no call matches; empty: every one does.
    #[cfg(target_os = "linux")]
    pub(crate) fn rules(self, profile: &Profile) -> Result<Option<Vec<SeccompRule>>, BackendError> {
        let rules = match self {
            Self::Any | Self::Absent => Vec::new(),
            Self::Thread => vec![one(masked(0, THREAD | NAMESPACES, THREAD)?)?],
            Self::SameNamespaces => vec![one(masked(0, NAMESPACES, 0)?)?],
            Self::OwnProcess => {
                let own = rustix::process::getpid()
                    .as_raw_nonzero()
                    .get()
                    .unsigned_abs();
                vec![one(equals(0, u64::from(own))?)?]
            }
            Self::Mapping if profile.maps_code => no_writable_code()?,
            Self::Mapping | Self::NoCode => vec![one(masked(2, bits(libc::PROT_EXEC), 0)?)?],
            Self::NoWritableCode => no_writable_code()?,
            Self::Families => return families(&profile.families),
            Self::Pair => return families(&[Family::Unix]),
            Self::Opening => opening(2)?,
            Self::OldOpening => opening(1)?,
            Self::Descriptor => one_of(
                1,
                [
                    libc::F_GETFD,
                    libc::F_SETFD,
                    libc::F_GETFL,
                    libc::F_SETFL,
                    libc::F_DUPFD_CLOEXEC,
                    libc::F_GETLK,
                    libc::F_SETLK,
                    libc::F_SETLKW,
                    libc::F_OFD_GETLK,
                    libc::F_OFD_SETLK,
                    libc::F_OFD_SETLKW,
                ]
                .map(bits),
            )?,
            Self::Terminal => one_of(1, IOCTLS)?,
            Self::NoTyping => vec![SeccompRule::new(vec![
                SeccompCondition::new(1, Length::Dword, Op::Ne, TYPING[0])?,
                SeccompCondition::new(1, Length::Dword, Op::Ne, TYPING[1])?,
            ])?],
            Self::NoSharedCode => vec![one(masked(2, SHM_EXEC, 0)?)?],
            Self::Name => one_of(0, [bits(libc::PR_SET_NAME), bits(libc::PR_GET_NAME)])?,
            Self::OwnLimits => {
                let reading = SeccompCondition::new(2, Length::Qword, Op::Eq, 0)?;
                vec![SeccompRule::new(vec![equals(0, 0)?, reading])?]
            }
        };
        Ok(Some(rules))
    }
}

/// What every thread of the C library has (pthread_create).
#[cfg(target_os = "linux")]
const THREAD: u64 = 0x0001_0000 | 0x0000_0100 | 0x0000_0800; // CLONE_THREAD, CLONE_VM, CLONE_SIGHAND
/// CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET.
#[cfg(target_os = "linux")]
const NAMESPACES: u64 =
    0x0002_0000 | 0x0200_0000 | 0x0400_0000 | 0x0800_0000 | 0x1000_0000 | 0x2000_0000 | 0x4000_0000;

/// A constant of the C library, none of which is negative.
#[cfg(target_os = "linux")]
fn bits(value: i32) -> u64 {
    u64::from(value.unsigned_abs())
}

#[cfg(target_os = "linux")]
fn one(condition: SeccompCondition) -> Result<SeccompRule, BackendError> {
    SeccompRule::new(vec![condition])
}

#[cfg(target_os = "linux")]
fn equals(argument: u8, value: u64) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(argument, Length::Dword, Op::Eq, value)
}

#[cfg(target_os = "linux")]
fn masked(argument: u8, mask: u64, value: u64) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(argument, Length::Dword, Op::MaskedEq(mask), value)
}

#[cfg(target_os = "linux")]
fn one_of<const N: usize>(
    argument: u8,
    values: [u64; N],
) -> Result<Vec<SeccompRule>, BackendError> {
    values
        .into_iter()
        .map(|value| one(equals(argument, value)?))
        .collect()
}

#[cfg(target_os = "linux")]
fn no_writable_code() -> Result<Vec<SeccompRule>, BackendError> {
    Ok(vec![
        one(masked(2, bits(libc::PROT_EXEC), 0)?)?,
        one(masked(2, bits(libc::PROT_WRITE), 0)?)?,
    ])
}

/// `flags` is the place of the argument.
#[cfg(target_os = "linux")]
fn opening(flags: u8) -> Result<Vec<SeccompRule>, BackendError> {
    let (truncate, way) = (bits(libc::O_TRUNC), bits(libc::O_ACCMODE));
    Ok(vec![
        one(masked(flags, truncate, 0)?)?,
        one(masked(flags, way, bits(libc::O_WRONLY))?)?,
        one(masked(flags, way, bits(libc::O_RDWR))?)?,
    ])
}

#[cfg(target_os = "linux")]
fn families(families: &[Family]) -> Result<Option<Vec<SeccompRule>>, BackendError> {
    /// The bits of the type beside SOCK_NONBLOCK and SOCK_CLOEXEC.
    const TYPE: u64 = 0xf;
    let numbers = families.iter().flat_map(|family| match family {
        Family::Unix => [libc::AF_UNIX, libc::AF_UNIX],
        Family::Inet => [libc::AF_INET, libc::AF_INET6],
    });
    let mut rules = Vec::new();
    for number in numbers {
        for kind in [libc::SOCK_STREAM, libc::SOCK_DGRAM] {
            let rule =
                SeccompRule::new(vec![equals(0, bits(number))?, masked(1, TYPE, bits(kind))?])?;
            if !rules.contains(&rule) {
                rules.push(rule);
            }
        }
    }
    Ok((!rules.is_empty()).then_some(rules))
}
