//! What a sandbox has to refuse, each as one system call, made as malicious code would make it: directly.
//!
//! Each answers what the kernel said: 0, or the error number. Where nothing is denied, the answer is another one than EPERM and EACCES; the tests
//! see to that too, so that none of these can "fail" for want of trying.

use std::ffi::CString;
use std::path::Path;

use libc::{c_int, c_long, pid_t};

/// What the attempts are aimed at.
pub(crate) struct Scene {
    /// A file with a text that nothing in the profile leads to.
    pub(crate) outside: String,
    /// A folder that the profile lets write, with `link` in it, a symbolic link to `outside`.
    pub(crate) inside: String,
    /// Another process of the same user.
    pub(crate) victim: pid_t,
}

/// An attempt.
pub(crate) struct Attempt {
    pub(crate) name: &'static str,
    pub(crate) run: fn(&Scene) -> c_long,
}

const fn attempt(name: &'static str, run: fn(&Scene) -> c_long) -> Attempt {
    Attempt { name, run }
}

fn text(value: &str) -> CString {
    CString::new(value).unwrap_or_default()
}

fn open(path: &str, flags: c_int) -> c_long {
    let path = text(path);
    // SAFETY: openat(2) reads the text, which ends in NUL, and takes three numbers.
    unsafe {
        libc::syscall(
            libc::SYS_openat,
            libc::AT_FDCWD,
            path.as_ptr(),
            flags,
            0o600,
        )
    }
}

fn socket(family: c_int, kind: c_int) -> c_long {
    // SAFETY: socket(2) takes three numbers.
    unsafe { libc::syscall(libc::SYS_socket, family, kind, 0) }
}

/// A call whose arguments are numbers, or pointers to nothing: what it does with those it would do in the kernel alone.
fn raw(number: c_long, arguments: [c_long; 5]) -> c_long {
    let [a, b, c, d, e] = arguments;
    // SAFETY: every call that is made so either takes numbers alone, or is given null or unmapped addresses of which the kernel answers EFAULT
    // or EINVAL.
    unsafe { libc::syscall(number, a, b, c, d, e) }
}

pub(crate) const ALL: &[Attempt] = &[
    attempt("inet socket", |_| socket(libc::AF_INET, libc::SOCK_STREAM)),
    attempt("inet6 datagram socket", |_| {
        socket(libc::AF_INET6, libc::SOCK_DGRAM)
    }),
    attempt("unix socket", |_| socket(libc::AF_UNIX, libc::SOCK_STREAM)),
    attempt("netlink socket", |_| {
        socket(libc::AF_NETLINK, libc::SOCK_RAW)
    }),
    attempt("packet socket", |_| socket(libc::AF_PACKET, libc::SOCK_RAW)),
    attempt("vsock", |_| {
        match socket(libc::AF_VSOCK, libc::SOCK_STREAM) {
            // Not every kernel has them.
            -1 if errno() == libc::EAFNOSUPPORT => 0,
            other => other,
        }
    }),
    attempt("pair of sockets", |_| {
        let mut pair = [0; 2];
        // SAFETY: socketpair(2) writes two descriptors into the array, which has room for them.
        unsafe {
            libc::syscall(
                libc::SYS_socketpair,
                libc::AF_UNIX,
                libc::SOCK_STREAM,
                0,
                pair.as_mut_ptr(),
            )
        }
    }),
    attempt("file read", |scene| open(&scene.outside, libc::O_RDONLY)),
    attempt("file written", |scene| open(&scene.outside, libc::O_WRONLY)),
    attempt("file truncated", |scene| {
        let path = text(&scene.outside);
        // SAFETY: truncate(2) reads the text and takes a number.
        unsafe { libc::syscall(libc::SYS_truncate, path.as_ptr(), 3) }
    }),
    attempt("file made", |scene| {
        open(
            &format!("{}.made", scene.outside),
            libc::O_WRONLY | libc::O_CREAT,
        )
    }),
    attempt("folder listed", |scene| {
        let folder = Path::new(&scene.outside).parent();
        open(
            &folder.unwrap_or(Path::new("/")).to_string_lossy(),
            libc::O_RDONLY | libc::O_DIRECTORY,
        )
    }),
    attempt("file by a symbolic link", |scene| {
        open(&format!("{}/link", scene.inside), libc::O_RDONLY)
    }),
    attempt("file by /proc/self/root", |scene| {
        open(&format!("/proc/self/root{}", scene.outside), libc::O_RDONLY)
    }),
    attempt("file by /proc/self/cwd and dots", |scene| {
        open(
            &format!("/proc/self/cwd/../../../../../../../..{}", scene.outside),
            libc::O_RDONLY,
        )
    }),
    attempt("open file opened anew by /proc/self/fd", |_| {
        // Standard input, which was opened for reading: now for writing.
        open("/proc/self/fd/0", libc::O_WRONLY)
    }),
    attempt("link to a file", |scene| {
        let (from, to) = (
            text(&scene.outside),
            text(&format!("{}/hard", scene.inside)),
        );
        // SAFETY: linkat(2) reads two texts and takes numbers.
        unsafe {
            libc::syscall(
                libc::SYS_linkat,
                libc::AT_FDCWD,
                from.as_ptr(),
                libc::AT_FDCWD,
                to.as_ptr(),
                0,
            )
        }
    }),
    attempt("file moved in", |scene| {
        let (from, to) = (
            text(&scene.outside),
            text(&format!("{}/moved", scene.inside)),
        );
        // SAFETY: renameat2(2) reads two texts and takes numbers.
        let moved = unsafe {
            libc::syscall(
                libc::SYS_renameat2,
                libc::AT_FDCWD,
                from.as_ptr(),
                libc::AT_FDCWD,
                to.as_ptr(),
                0,
            )
        };
        // Landlock's word for what would change what may be done with a file.
        if moved == -1 && errno() == libc::EXDEV {
            set_errno(libc::EACCES);
        }
        moved
    }),
    attempt("memory of another process by /proc", |scene| {
        open(&format!("/proc/{}/mem", scene.victim), libc::O_RDWR)
    }),
    attempt("process_vm_readv", |scene| {
        raw(
            libc::SYS_process_vm_readv,
            [c_long::from(scene.victim), 0, 0, 0, 0],
        )
    }),
    attempt("process_vm_writev", |scene| {
        raw(
            libc::SYS_process_vm_writev,
            [c_long::from(scene.victim), 0, 0, 0, 0],
        )
    }),
    attempt("ptrace", |scene| {
        raw(
            libc::SYS_ptrace,
            [
                c_long::from(libc::PTRACE_SEIZE),
                c_long::from(scene.victim),
                0,
                0,
                0,
            ],
        )
    }),
    attempt("signal to another process", |scene| {
        raw(libc::SYS_kill, [c_long::from(scene.victim), 0, 0, 0, 0])
    }),
    attempt("pidfd_open", |scene| {
        raw(
            libc::SYS_pidfd_open,
            [c_long::from(scene.victim), 0, 0, 0, 0],
        )
    }),
    attempt("execve", |_| raw(libc::SYS_execve, [0; 5])),
    attempt("execveat", |_| raw(libc::SYS_execveat, [-1, 0, 0, 0, 0])),
    attempt("new process", |_| {
        // SAFETY: clone(2) with no flags and no stack of its own is fork(2); the child makes one system call and is gone.
        let child = unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) };
        if child == 0 {
            raw(libc::SYS_exit_group, [0; 5]);
        }
        child
    }),
    attempt("clone3", |_| match raw(libc::SYS_clone3, [0; 5]) {
        // The answer of the sandbox, so that the C library takes clone(2), which is looked at.
        -1 if errno() == libc::ENOSYS => {
            set_errno(libc::EPERM);
            -1
        }
        other => other,
    }),
    attempt("mount", |scene| {
        let (kind, place) = (text("tmpfs"), text(&scene.inside));
        // SAFETY: mount(2) reads three texts, and takes flags and a null pointer.
        unsafe {
            libc::syscall(
                libc::SYS_mount,
                kind.as_ptr(),
                place.as_ptr(),
                kind.as_ptr(),
                0,
                0,
            )
        }
    }),
    attempt("unshare", |_| raw(libc::SYS_unshare, [0; 5])),
    attempt("setns", |_| raw(libc::SYS_setns, [-1, 0, 0, 0, 0])),
    attempt("chroot", |_| raw(libc::SYS_chroot, [0; 5])),
    attempt("io_uring_setup", |_| {
        raw(libc::SYS_io_uring_setup, [1, 0, 0, 0, 0])
    }),
    attempt("bpf", |_| raw(libc::SYS_bpf, [0; 5])),
    attempt("perf_event_open", |_| {
        raw(libc::SYS_perf_event_open, [0; 5])
    }),
    attempt("keyctl", |_| raw(libc::SYS_keyctl, [-1, 0, 0, 0, 0])),
    attempt("memfd_create", |_| raw(libc::SYS_memfd_create, [0; 5])),
    attempt("userfaultfd", |_| {
        raw(libc::SYS_userfaultfd, [-1, 0, 0, 0, 0])
    }),
    attempt("seccomp", |_| raw(libc::SYS_seccomp, [-1, 0, 0, 0, 0])),
    attempt("dumpable again", |_| {
        raw(
            libc::SYS_prctl,
            [c_long::from(libc::PR_SET_DUMPABLE), 1, 0, 0, 0],
        )
    }),
    attempt("limits raised", |_| {
        // A pointer to nothing: EFAULT where the call is allowed.
        raw(libc::SYS_prlimit64, [0, 7, 1, 0, 0])
    }),
    attempt("setuid", |_| {
        // SAFETY: getuid(2) takes nothing.
        let own = unsafe { libc::getuid() };
        raw(libc::SYS_setuid, [c_long::from(own), 0, 0, 0, 0])
    }),
    attempt("memory that is written and run", |_| {
        mapping(libc::PROT_WRITE | libc::PROT_EXEC)
    }),
    attempt("memory made executable", |_| {
        let page = mapping(libc::PROT_READ | libc::PROT_WRITE);
        if page == -1 {
            return page;
        }
        let all = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC;
        raw(libc::SYS_mprotect, [page, 4096, c_long::from(all), 0, 0])
    }),
    #[cfg(target_arch = "x86_64")]
    attempt("by the numbers of x32", |_| {
        match raw(libc::SYS_getpid | 0x4000_0000, [0; 5]) {
            // Most kernels have no x32.
            -1 if errno() == libc::ENOSYS => 0,
            other => other,
        }
    }),
];

fn mapping(protection: c_int) -> c_long {
    // SAFETY: mmap(2) of a page of its own at a place of the kernel's choice touches nothing that is there.
    unsafe {
        libc::syscall(
            libc::SYS_mmap,
            0,
            4096,
            protection,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    }
}

fn errno() -> c_int {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

fn set_errno(value: c_int) {
    // SAFETY: the C library's errno is this thread's own.
    unsafe { *libc::__errno_location() = value };
}

/// 0, or the error number.
pub(crate) fn run(attempt: &Attempt, scene: &Scene) -> c_int {
    match (attempt.run)(scene) {
        -1 => errno(),
        _ => 0,
    }
}
