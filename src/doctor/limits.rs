//! What the system allows this process. A unit of systemd may be allowed other things than a shell: the findings say whose they are.

use super::catalogue::{
    LIMITS_CORE, LIMITS_FILES, LIMITS_MEMLOCK, LIMITS_SANDBOX, LIMITS_SWAP, LIMITS_USER,
};
use super::finding::{Finding, Severity};
use crate::config::Config;
use rustix::process::{DumpableBehavior, Resource, getrlimit};
use sandbox::{Kernel, Want};
use serde_json::json;

/// Files that a process has open besides its connections: libraries, logs, database, sockets.
const OTHER_FILES: u64 = 64;
/// Files for each request in flight of a connector: the connection to the gateway, and what the journal needs.
const FILES_A_REQUEST: u64 = 2;

/// Looks at limits, user, core dumps and swap space.
#[must_use]
pub fn examine(config: &Config) -> Vec<Finding> {
    let is_root = rustix::process::geteuid().is_root();
    let swap = swap_areas(&std::fs::read_to_string("/proc/swaps").unwrap_or_default());
    let lock = getrlimit(Resource::Memlock).current;
    let files = getrlimit(Resource::Nofile).current;
    let needed = files_needed(config);
    let secrets = fips::secret::memory_report();
    let mut findings = vec![
        user(rustix::process::geteuid().as_raw()),
        judge_memlock(lock, is_root, swap > 0, secrets.is_protected()),
        judge_files(files, needed),
        core(),
        judge_swap(swap, lock.is_none() || is_root),
    ];
    if let Some(engine) = &config.engine {
        findings.push(judge_sandbox(engine.sandbox, Kernel::running()));
    }
    findings
}

/// What is said of a kernel, where so much of the sandbox is asked for.
#[must_use]
pub fn judge_sandbox(want: Want, kernel: Kernel) -> Finding {
    let has = format!(
        "Landlock ABI {}, seccomp {}",
        kernel.landlock_abi(),
        if kernel.has_seccomp() {
            "there"
        } else {
            "missing"
        }
    );
    let found = match (want, kernel.insufficient()) {
        (Want::Off, _) => LIMITS_SANDBOX
            .warning(
                "",
                format!("{has}, but the sandbox is off (`engine.sandbox`)"),
            )
            .remedy("take `sandbox = \"off\"` out of [engine]"),
        (Want::Required, Some(missing)) => LIMITS_SANDBOX
            .error(
                "",
                format!("the sandbox is required, and this kernel lacks {missing}"),
            )
            .remedy(LIMITS_SANDBOX.remedy),
        (Want::Available, Some(missing)) => LIMITS_SANDBOX
            .warning("", format!("this kernel lacks {missing}"))
            .remedy(LIMITS_SANDBOX.remedy),
        (_, None) => LIMITS_SANDBOX.ok("", has),
    };
    found.facts(json!({
        "landlockAbi": kernel.landlock_abi(),
        "seccomp": kernel.has_seccomp(),
        "lacking": kernel.lacking(),
    }))
}

fn user(id: u32) -> Finding {
    if id == 0 {
        LIMITS_USER.warning(
            "",
            "this runs as root: permissions are not what a process with a user of its own would see",
        )
        .remedy("give each process a user of its own, and run `doctor` as that user (`setpriv --reuid USER --regid GROUP --clear-groups`)")
    } else {
        LIMITS_USER.ok(
            "",
            format!("this runs as user {id}; what is found is what this user sees"),
        )
    }
    .facts(json!({"uid": id}))
}

/// What is said of a limit on locked memory (bytes; `None` is no limit).
///
/// The engine locks all of its memory or, with a limit, what its secrets are kept in alone (2 MiB at most): a later allocation would fail
/// instead of being left unlocked. `secrets_locked`: whether that was granted.
#[must_use]
pub fn judge_memlock(
    limit_bytes: Option<u64>,
    is_root: bool,
    has_swap: bool,
    secrets_locked: bool,
) -> Finding {
    let found = match limit_bytes {
        None => LIMITS_MEMLOCK.ok("", "no limit: memory can be locked"),
        Some(limit) if is_root => LIMITS_MEMLOCK.ok(
            "",
            format!("root may lock memory; another user would have a limit of {limit} bytes"),
        ),
        Some(limit) => {
            let secrets = if secrets_locked {
                "what secrets are kept in is locked, the rest of the memory is not"
            } else {
                "neither what secrets are kept in nor the rest of the memory is locked"
            };
            let text = format!("the limit is {limit} bytes: {secrets}");
            if has_swap {
                LIMITS_MEMLOCK.warning("", format!("{text}, and there is swap space"))
            } else {
                LIMITS_MEMLOCK
                    .note(
                        "",
                        format!("{text}; there is no swap space, which does as well"),
                    )
                    .remedy(LIMITS_MEMLOCK.remedy)
            }
        }
    };
    found.facts(json!({"limitBytes": limit_bytes, "secretsLocked": secrets_locked}))
}

/// Descriptors that the busiest process of the configuration may need at once.
fn files_needed(config: &Config) -> u64 {
    let connector = config
        .connector
        .as_ref()
        .map(|section| u64::from(section.concurrency).saturating_mul(FILES_A_REQUEST));
    let gateway = config
        .gateway
        .as_ref()
        .and_then(|section| u64::try_from(section.limits.connections).ok());
    connector
        .max(gateway)
        .unwrap_or(0)
        .saturating_add(OTHER_FILES)
}

/// What is said of a limit on open files (`None` is no limit), when so many may be needed.
#[must_use]
pub fn judge_files(limit: Option<u64>, needed: u64) -> Finding {
    let found = match limit {
        None => LIMITS_FILES.ok("", "no limit"),
        Some(limit) if limit < needed => LIMITS_FILES.warning(
            "",
            format!("{limit} files may be open at once, the configuration lets {needed} be needed"),
        ),
        Some(limit) => LIMITS_FILES.ok(
            "",
            format!("{limit} files may be open at once; {needed} may be needed"),
        ),
    };
    found.facts(json!({"limit": limit, "needed": needed}))
}

/// This process has switched its own off before anything was looked at: what works here works in the services.
fn core() -> Finding {
    let dumpable = rustix::process::dumpable_behavior();
    match (getrlimit(Resource::Core).current, dumpable) {
        (Some(0), Ok(DumpableBehavior::NotDumpable)) => LIMITS_CORE.ok(
            "",
            "switched off by this process for itself, as every process of ours with secrets does",
        ),
        _ => LIMITS_CORE.error("", "this process may leave a core file with its memory"),
    }
}

/// The areas of `/proc/swaps`: a line each, below a heading.
fn swap_areas(text: &str) -> usize {
    text.lines().skip(1).filter(|line| !line.is_empty()).count()
}

fn judge_swap(areas: usize, locked: bool) -> Finding {
    let found = match areas {
        0 => LIMITS_SWAP.ok("", "there is none"),
        areas if locked => LIMITS_SWAP.note(
            "",
            format!("{areas} in use; memory with secrets can be locked"),
        ),
        areas => LIMITS_SWAP
            .note("", format!("{areas} in use, and memory cannot be locked"))
            .remedy(LIMITS_SWAP.remedy),
    };
    debug_assert!(found.severity < Severity::Warning);
    found.facts(json!({"areas": areas}))
}

#[cfg(test)]
mod tests {
    #![allow(missing_docs)]
    use super::*;

    #[test]
    fn a_limit_on_locked_memory_matters_where_there_is_swap_space() {
        let judged = |limit, root, swap| judge_memlock(limit, root, swap, true).severity;
        assert_eq!(judged(None, false, true), Severity::Ok);
        assert_eq!(judged(Some(8 << 20), true, true), Severity::Ok);
        assert_eq!(judged(Some(8 << 20), false, false), Severity::Note);
        assert_eq!(judged(Some(8 << 20), false, true), Severity::Warning);
    }

    #[test]
    fn too_few_files_are_a_warning() {
        assert_eq!(judge_files(Some(64), 96).severity, Severity::Warning);
        assert_eq!(judge_files(Some(1024), 96).severity, Severity::Ok);
        assert_eq!(judge_files(None, 96).severity, Severity::Ok);
    }

    #[test]
    fn swap_areas_are_the_lines_below_the_heading() {
        assert_eq!(swap_areas(""), 0);
        assert_eq!(swap_areas("Filename Type Size Used Priority\n"), 0);
        assert_eq!(swap_areas("Filename\n/dev/sda2 partition 1 0 -2\n"), 1);
    }
}
