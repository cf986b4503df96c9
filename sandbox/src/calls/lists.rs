//! The lists of which profiles are made.

use super::{Call, Only};

/// An entry: the call's name, its condition, and the architecture where not all have it.
macro_rules! calls {
    ($($(#[$doc:meta])* $name:ident = [$($call:ident $(($only:ident))? $(@ $arch:literal)?),* $(,)?];)*) => {$(
        $(#[$doc])*
        pub const $name: &[Call] = &[$(
            $(#[cfg(target_arch = $arch)])?
            Call {
                name: stringify!($call),
                number: number::$call,
                only: calls!(@only $($only)?),
            },
        )*];
    )*};
    (@only) => { Only::Any };
    (@only $only:ident) => { Only::$only };
}

/// The numbers of this architecture, under the names of the manual.
mod number {
    macro_rules! numbers {
        ($($call:ident = $constant:ident $(@ $arch:literal)?),* $(,)?) => {$(
            $(#[cfg(target_arch = $arch)])?
            #[allow(non_upper_case_globals)]
            pub(super) const $call: i64 = libc::$constant;
        )*};
    }
    numbers!(
        accept4 = SYS_accept4,
        access = SYS_access @ "x86_64",
        arch_prctl = SYS_arch_prctl @ "x86_64",
        bind = SYS_bind,
        brk = SYS_brk,
        chdir = SYS_chdir,
        clock_gettime = SYS_clock_gettime,
        clock_nanosleep = SYS_clock_nanosleep,
        clone = SYS_clone,
        clone3 = SYS_clone3,
        close = SYS_close,
        close_range = SYS_close_range,
        connect = SYS_connect,
        dup2 = SYS_dup2 @ "x86_64",
        dup3 = SYS_dup3,
        eventfd2 = SYS_eventfd2,
        execve = SYS_execve,
        exit = SYS_exit,
        exit_group = SYS_exit_group,
        faccessat = SYS_faccessat,
        faccessat2 = SYS_faccessat2,
        fallocate = SYS_fallocate,
        fchmod = SYS_fchmod,
        fchmodat = SYS_fchmodat,
        fchown = SYS_fchown,
        fcntl = SYS_fcntl,
        fdatasync = SYS_fdatasync,
        flock = SYS_flock,
        fstat = SYS_fstat,
        fsync = SYS_fsync,
        ftruncate = SYS_ftruncate,
        futex = SYS_futex,
        getcwd = SYS_getcwd,
        getdents64 = SYS_getdents64,
        getegid = SYS_getegid,
        geteuid = SYS_geteuid,
        getgid = SYS_getgid,
        getgroups = SYS_getgroups,
        getpeername = SYS_getpeername,
        getpid = SYS_getpid,
        getppid = SYS_getppid,
        getrandom = SYS_getrandom,
        getrlimit = SYS_getrlimit @ "x86_64",
        getrusage = SYS_getrusage,
        getsockname = SYS_getsockname,
        getsockopt = SYS_getsockopt,
        gettid = SYS_gettid,
        getuid = SYS_getuid,
        ioctl = SYS_ioctl,
        kill = SYS_kill,
        landlock_add_rule = SYS_landlock_add_rule,
        landlock_create_ruleset = SYS_landlock_create_ruleset,
        landlock_restrict_self = SYS_landlock_restrict_self,
        lseek = SYS_lseek,
        lstat = SYS_lstat @ "x86_64",
        madvise = SYS_madvise,
        mkdir = SYS_mkdir @ "x86_64",
        mkdirat = SYS_mkdirat,
        mlock = SYS_mlock,
        mlockall = SYS_mlockall,
        mmap = SYS_mmap,
        mprotect = SYS_mprotect,
        mremap = SYS_mremap,
        msync = SYS_msync,
        munmap = SYS_munmap,
        newfstatat = SYS_newfstatat,
        open = SYS_open @ "x86_64",
        openat = SYS_openat,
        pipe2 = SYS_pipe2,
        poll = SYS_poll @ "x86_64",
        ppoll = SYS_ppoll,
        prctl = SYS_prctl,
        pread64 = SYS_pread64,
        prlimit64 = SYS_prlimit64,
        pwrite64 = SYS_pwrite64,
        read = SYS_read,
        readlink = SYS_readlink @ "x86_64",
        readlinkat = SYS_readlinkat,
        readv = SYS_readv,
        recvfrom = SYS_recvfrom,
        recvmsg = SYS_recvmsg,
        rename = SYS_rename @ "x86_64",
        renameat = SYS_renameat @ "x86_64",
        renameat2 = SYS_renameat2,
        restart_syscall = SYS_restart_syscall,
        rmdir = SYS_rmdir @ "x86_64",
        rseq = SYS_rseq,
        rt_sigaction = SYS_rt_sigaction,
        rt_sigprocmask = SYS_rt_sigprocmask,
        rt_sigreturn = SYS_rt_sigreturn,
        sched_getaffinity = SYS_sched_getaffinity,
        sched_getattr = SYS_sched_getattr,
        sched_yield = SYS_sched_yield,
        seccomp = SYS_seccomp,
        semget = SYS_semget,
        sendmmsg = SYS_sendmmsg,
        sendmsg = SYS_sendmsg,
        sendto = SYS_sendto,
        set_robust_list = SYS_set_robust_list,
        set_tid_address = SYS_set_tid_address,
        setsockopt = SYS_setsockopt,
        shmat = SYS_shmat,
        shmctl = SYS_shmctl,
        shmdt = SYS_shmdt,
        shmget = SYS_shmget,
        shutdown = SYS_shutdown,
        sigaltstack = SYS_sigaltstack,
        socket = SYS_socket,
        socketpair = SYS_socketpair,
        stat = SYS_stat @ "x86_64",
        statx = SYS_statx,
        sysinfo = SYS_sysinfo,
        tgkill = SYS_tgkill,
        umask = SYS_umask,
        uname = SYS_uname,
        unlink = SYS_unlink @ "x86_64",
        unlinkat = SYS_unlinkat,
        vfork = SYS_vfork @ "x86_64",
        wait4 = SYS_wait4,
        waitid = SYS_waitid,
        write = SYS_write,
        writev = SYS_writev,
    );
}

calls! {
    /// What a running process with threads and a connection needs, and nothing more: memory, threads, time, random numbers, what is done
    /// with descriptors that are open.
    PROCESS = [
        // Memory. brk and mremap: the C library's heap, as it grows.
        mmap(Mapping), munmap, mremap, mprotect(NoCode), madvise, brk, mlock,
        // Threads. sched_yield: locks that spin, of modules and of the C library.
        clone(Thread), clone3(Absent), exit, exit_group, futex, set_robust_list, rseq, sched_getaffinity, sched_yield,
        prctl(Name), gettid, getpid,
        // Signals: the C library's own, an abort, the end of a process whose module hangs; a call that a stop interrupted.
        sigaltstack, rt_sigaction, rt_sigprocmask, rt_sigreturn, tgkill(OwnProcess), kill(OwnProcess), restart_syscall,
        // Time. clock_gettime: where the kernel's page does not tell it.
        clock_gettime, clock_nanosleep,
        // How much memory may be locked, for reports; the size of a thread's stack.
        prlimit64(OwnLimits),
        getrandom,
        // Descriptors that are open. writev: the last words of the C library when it aborts.
        read, write, writev, recvfrom, sendto, close, shutdown, fcntl(Descriptor),
    ];

    /// What files need besides: which ones is Landlock's to say.
    FILES = [
        open(OldOpening) @ "x86_64", openat(Opening), fstat, newfstatat, statx, lseek, getdents64, readlink @ "x86_64", readlinkat,
        unlink @ "x86_64", unlinkat, rename @ "x86_64", renameat @ "aarch64", renameat2 @ "aarch64", mkdir @ "x86_64", mkdirat @ "aarch64",
        // The audit log, the tokens' files and databases, and their locks.
        flock, fsync, fdatasync, ftruncate, fchown,
        // SQLite, in which most tokens keep their objects; fchmod: for a journal where the umask does not give it its database's rights.
        pread64, pwrite64, access @ "x86_64", faccessat @ "aarch64", fchmod,
        // Who asks: OpenSSL's and the modules' libraries.
        geteuid, getuid, getgid, getegid,
        // Whether a stream is a terminal, when the C library first writes to it; how much memory there is, when it sorts.
        ioctl(Terminal), sysinfo,
    ];

    /// What other libraries do with files, and what programs did with an older C library.
    OTHER_FILES = [
        stat @ "x86_64", lstat @ "x86_64", faccessat, faccessat2, readv, getcwd,
        renameat, renameat2, mkdirat, rmdir @ "x86_64", fallocate, umask,
    ];

    /// Sockets of the profile's families, as a client.
    SOCKETS = [
        socket(Families), connect, getsockname, getpeername, getsockopt, setsockopt, recvmsg, sendmsg, poll @ "x86_64", ppoll,
    ];

    /// Names of hosts, and many datagrams at once.
    NETWORK = [bind, sendmmsg];

    /// Memory that several processes share: System V's, and files in it.
    SHARED_MEMORY = [shmget, shmat(NoSharedCode), shmdt, shmctl, semget, msync];

    /// What GLib's event loop needs, for a TPM's resource manager on D-Bus.
    EVENT_LOOP = [eventfd2, pipe2, sched_getattr];

    /// Libraries that load others late; some of them ask which system it is.
    LOADING = [mprotect(NoWritableCode), uname];

    /// Nothing of its own: devices that are asked by ioctl.
    ANY_IOCTL = [ioctl(NoTyping)];

    /// Processes are started, waited for and killed; callers are accepted.
    CHILDREN = [
        accept4, getsockopt, setsockopt, socketpair(Pair), pipe2, dup2 @ "x86_64", dup3,
        clone(SameNamespaces), vfork @ "x86_64", execve, chdir, wait4, waitid, kill,
        // Of a part that aborts: its own filter says that it may signal nobody else; this one has the supervisor's number in it.
        tgkill,
        fchmodat, getppid,
    ];

    /// What a process of this program does before it puts its own profile in force.
    STARTING = [
        arch_prctl @ "x86_64", set_tid_address, prctl, prlimit64, getrlimit @ "x86_64", mlockall, seccomp, close_range,
        landlock_create_ruleset, landlock_add_rule, landlock_restrict_self, getgroups, getrusage, poll @ "x86_64", ppoll,
    ];
}
