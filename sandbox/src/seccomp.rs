//! System calls: seccomp filters (seccomp(2)), for all threads of the process.
//!
//! Two filters, of which the kernel takes the severer answer: the list of what is allowed, and one that answers ENOSYS where the C
//! library has another way. A call by the numbers of another architecture (32 bits, x32) is on neither list.

use crate::calls::Only;
use crate::profile::{Profile, Violation};
use crate::report::{Refused, Report};
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompFilter, SeccompRule, TargetArch,
    apply_filter_all_threads,
};
use std::collections::BTreeMap;

/// EPERM and ENOSYS (errno(3)).
const EPERM: u32 = 1;
const ENOSYS: u32 = 38;

/// Whether the kernel filters system calls, with the two actions that are used.
pub(crate) fn is_available() -> bool {
    // seccomp(2), /proc interfaces.
    std::fs::read_to_string("/proc/sys/kernel/seccomp/actions_avail").is_ok_and(|actions| {
        let has = |action| actions.split_whitespace().any(|word| word == action);
        has("errno") && has("kill_process")
    })
}

/// Puts the profile's calls in force for every thread of this process.
pub(crate) fn apply(profile: &Profile, report: &mut Report) -> Result<(), Refused> {
    let refused = |error: &dyn std::fmt::Display| Refused::Seccomp(error.to_string());
    let architecture =
        TargetArch::try_from(std::env::consts::ARCH).map_err(|error| refused(&error))?;
    let (allowing, absent) = filters(profile, architecture).map_err(|error| refused(&error))?;
    // The list comes last: it does not allow filters to be added, where the profile does not.
    for filter in [&absent, &allowing] {
        apply_filter_all_threads(filter).map_err(|error| refused(&error))?;
    }
    report.calls = distinct(profile);
    Ok(())
}

fn distinct(profile: &Profile) -> usize {
    let numbers: std::collections::BTreeSet<i64> = profile
        .calls
        .iter()
        .filter(|call| call.only != Only::Absent)
        .map(|call| call.number)
        .collect();
    numbers.len()
}

fn filters(
    profile: &Profile,
    architecture: TargetArch,
) -> Result<(BpfProgram, BpfProgram), BackendError> {
    let mut allowed: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    let mut unconditional = std::collections::BTreeSet::new();
    let mut absent: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    for call in &profile.calls {
        if call.only == Only::Absent {
            absent.insert(call.number, Vec::new());
        }
        match call.only.rules(profile)? {
            None => {}
            Some(rules) if rules.is_empty() => {
                unconditional.insert(call.number);
            }
            Some(rules) => allowed.entry(call.number).or_default().extend(rules),
        }
    }
    for number in unconditional {
        allowed.insert(number, Vec::new());
    }
    let otherwise = match profile.violation {
        Violation::Errno => SeccompAction::Errno(EPERM),
        Violation::Kill => SeccompAction::KillProcess,
    };
    let allowing = SeccompFilter::new(allowed, otherwise, SeccompAction::Allow, architecture)?;
    let absent = SeccompFilter::new(
        absent,
        SeccompAction::Allow,
        SeccompAction::Errno(ENOSYS),
        architecture,
    )?;
    Ok((allowing.try_into()?, absent.try_into()?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::engine;

    #[test]
    fn every_profile_makes_filters_for_both_architectures() {
        for profile in engine::all() {
            for architecture in [TargetArch::x86_64, TargetArch::aarch64] {
                let (allowing, absent) = filters(&profile, architecture).unwrap();
                assert!(allowing.len() > absent.len(), "{}", profile.name);
            }
        }
    }
}
