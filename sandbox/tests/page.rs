//! docs/sandbox.md says what the profiles say. `UPDATE_DOCS=1 cargo test -p sandbox --test page` writes it anew.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use sandbox::calls::{self, Call, Only};
use sandbox::modules::{self, ModuleNeeds};
use sandbox::{Access, Family, engine};
use std::fmt::Write;
use std::path::Path;

const HEAD: &str = "# The sandbox

<!-- Made from the crate sandbox: `UPDATE_DOCS=1 cargo test -p sandbox --test page` -->

Each of the engine's processes gives up, before it meets anything from outside, whatever it does not need: Landlock decides which files, seccomp
which system calls. It cannot take back what it gave up, and its children have no more than it has. `[engine] sandbox` says how much of it is asked for:
`available` (the default: what the kernel has), `required` (the engine does not start on a kernel without Landlock ABI 2 or seccomp), `off` (shown as the
exception `sandbox-off` in every status). `status`, `doctor` (`service.sandbox`, `limits.sandbox`) and the metrics `sandbox_in_force`,
`sandbox_confirmed` and `sandbox_landlock_abi` say what is in force; seccomp and no-new-privileges are confirmed by what the kernel says of each process (`/proc/PID/status`), where it shows
that: with `ProtectProc=invisible`, as in the unit, a supervisor without capabilities sees nothing of its parts there, since they are not dumpable. What is not confirmed is called unknown by `doctor`, which says how root confirms it.

Besides, each process: is not dumpable (no core file, no debugger, `/proc/PID/mem` closed to others of the same user), can gain no rights by exec
(no-new-privileges), has no core file, an environment of its own (custody: the token's section and the credentials' folder; formats: none), no descriptors that were
left open to the engine, its memory locked where the system allows. Formats has limits besides: 2 GiB of address space, 6 hours of processor time, 16 open files; custody and the
supervisor 4,096 open files each (custody's address space is its module's matter: some map more than they use). What a limit on the number of processes would do, seccomp
does: custody and formats can start none, only threads.

| process | files | sockets | other processes | over anything else |
|---|---|---|---|---|
| formats | none | none | none | it is killed (SIGSYS), which the supervisor logs, and replaced |
| custody | its token, the folders of its configuration, PINs and revocation lists (read), the folder of the engine's socket (which PINs were refused), `sandbox_paths` | none; by profile those of its module | none: threads alone | the call fails (EPERM, EACCES) |
| supervisor | what its parts have, the program and system libraries (executed), its socket's folder | by profile those of custody's modules (pairs of AF_UNIX for its parts) | it starts, watches and kills its parts; of other programs only those in the folders of system libraries can be executed, which has the dynamic loader among them: `ld.so FILE` runs what can be read, so what keeps a program that was written into its folders from running is the unit (`NoExecPaths`), not Landlock. Its parts are started from the file that it runs itself, also once another one is under its name: `status` and `doctor` say so until the service is restarted | the call fails |

The order in custody: configuration, anchors and importers are read, every PKCS#11 module is loaded, then the sandbox, then C_Initialize and everything else. Landlock goes
by the file that was there then: a token's folder that is replaced by another one is found by the next process, and custody is replaced for it while no token
serves. The same for a module that could not be loaded: custody says why, and is replaced once the module's file has changed, else every 30 seconds (while other tokens serve: every 15 minutes, when it is idle).
The folder of a module has to stay the same: one that was made anew is none of the supervisor's, unless it is in a folder of system libraries; restart the engine then. Configuration, PIN files and revocation lists are found again under their names, so their folders are readable: give them folders of their own.

## By kernel

Landlock's ABI 7 (Linux 6.15) is used where it is there, and no newer rights. What an older one lacks:

| ABI | since Linux | adds | below it |
|---|---|---|---|
| 2 | 5.19 | moving files between folders | always refused; `required` refuses to start |
| 3 | 6.2 | truncation | seccomp: no truncate(2), no open(2) that truncates what it does not write |
| 4 | 6.7 | TCP ports | seccomp: no sockets but those of the profile |
| 5 | 6.10 | ioctl on devices | seccomp: three requests alone |
| 6 | 6.12 | abstract unix sockets, signals | seccomp: signals to the process itself alone; abstract sockets are open to the profiles with AF_UNIX |

Debian 12's own kernel (6.1) has ABI 2; the tests try everything with that too.

## Modules

The profile goes by the name of the module's file; `sandbox_profile` of the token's section names another, `sandbox_paths` adds files and folders that are read and written. Files and
folders that the section's `environment` names may be read. A module that is not known gets `network`.

";

const CALLS_HEAD: &str = "
## System calls

By list; an argument that is looked at is in brackets. Calls of 32 bits and of x32 are none of these. Two answers are not plain refusals: clone3(2) fails with ENOSYS, so that the C library takes
clone(2), whose flags can be looked at; and mmap(2) of code is refused only once the modules are loaded.

";

const TAIL: &str = "
## What it does not do

- It does not protect the token's files from custody, nor what a module sees from the module: they are one process.
- Metadata of any file (existence, size, owner) can be asked for in custody and the supervisor: Landlock does not govern stat(2).
- SoftHSM's own lines in the system log are lost: they would need a socket.
- The supervisor can do what a part may do, since its parts inherit from it.
- Modules of the kind `network` can reach any host: which ones is for a firewall.
- Profiles with AF_UNIX connect to any socket that has a path and whose mode lets them (D-Bus, another service's): Landlock governs opening files, not connecting.
- A thread that a module's library starts as it is loaded keeps the supervisor's files, not custody's: Landlock does not reach it. Seccomp does.
- `key`, `recrypt`, `doctor` and the other commands for people, the connector and the gateway are not in it; for the last two there are the service manager's means.
";

fn words(access: Access, path: &str) -> String {
    format!("`{path}` {}", access.words())
}

fn module(needs: &ModuleNeeds, page: &mut String) {
    let sockets: Vec<&str> = needs
        .families
        .iter()
        .map(|family| match family {
            Family::Unix => "AF_UNIX",
            Family::Inet => "AF_INET, AF_INET6",
        })
        .collect();
    let sockets = if sockets.is_empty() {
        "none".to_owned()
    } else {
        sockets.join(", ")
    };
    let paths: Vec<String> = needs
        .paths
        .iter()
        .map(|(path, access)| words(*access, path))
        .collect();
    let paths = if paths.is_empty() {
        "none".to_owned()
    } else {
        paths.join("; ")
    };
    let code = if needs.maps_code { "yes" } else { "no" };
    writeln!(
        page,
        "| `{}` | {} | {sockets} | {code} | {paths} | {} |",
        needs.name, needs.about, needs.why
    )
    .unwrap();
}

fn row(name: &str, who: &str, list: &[Call], page: &mut String) {
    let list: Vec<String> = list
        .iter()
        .map(|call| match call.only {
            Only::Any => call.name.to_owned(),
            only => format!("{} [{}]", call.name, only.words()),
        })
        .collect();
    writeln!(page, "| {name} | {who} | {} |", list.join(", ")).unwrap();
}

#[test]
fn the_page_is_what_the_profiles_say() {
    let mut page = HEAD.to_owned();
    page.push_str("| profile | module | sockets | code mapped late | fixed paths | why |\n|---|---|---|---|---|---|\n");
    for needs in modules::ALL {
        module(needs, &mut page);
    }
    let fixed = |paths: &[(&str, Access)]| {
        let all: Vec<String> = paths
            .iter()
            .map(|(path, access)| words(*access, path))
            .collect();
        all.join("; ")
    };
    writeln!(
        page,
        "\nCustody has besides: {}.\nThe supervisor: {}.",
        fixed(engine::CUSTODY_PATHS),
        fixed(engine::SUPERVISOR_PATHS)
    )
    .unwrap();
    page.push_str(CALLS_HEAD);
    page.push_str("| list | whose | calls |\n|---|---|---|\n");
    for (name, who, list) in [
        ("process", "all", calls::PROCESS),
        ("files", "custody, supervisor", calls::FILES),
        (
            "other files",
            "supervisor, `opencryptoki`, `network`",
            calls::OTHER_FILES,
        ),
        (
            "sockets",
            "`opencryptoki`, `tpm2`, `network`",
            calls::SOCKETS,
        ),
        ("network", "`network`", calls::NETWORK),
        (
            "shared memory",
            "`opencryptoki`, `network`",
            calls::SHARED_MEMORY,
        ),
        (
            "late libraries",
            "supervisor, `nss`, `opencryptoki`, `tpm2`, `network`",
            calls::LOADING,
        ),
        ("event loop", "`tpm2`", calls::EVENT_LOOP),
        ("any ioctl", "`network`", calls::ANY_IOCTL),
        ("children", "supervisor", calls::CHILDREN),
        ("starting", "supervisor", calls::STARTING),
    ] {
        row(name, who, list, &mut page);
    }
    page.push_str(TAIL);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/sandbox.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    // The page is of x86-64, which has the older calls besides.
    if cfg!(target_arch = "x86_64") {
        assert!(
            found == page,
            "docs/sandbox.md is stale: run `UPDATE_DOCS=1 cargo test -p sandbox --test page`"
        );
    }
}
