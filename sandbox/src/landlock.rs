//! Files, TCP ports, abstract sockets and signals: Landlock (Linux, Documentation/userspace-api/landlock.rst).

use crate::kernel::Kernel;
use crate::profile::{Access, Family, Profile, Rule};
use crate::report::{Refused, Report};
use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, LandlockStatus, PathBeneath, PathFd, Ruleset,
    RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope, make_bitflags,
};

/// The ABI of the running kernel; 0: it has no Landlock, or it is switched off.
///
/// The kernel's answer comes with a restriction of the thread that asks, so another thread does; it can do nothing less than before but
/// make block devices.
pub(crate) fn kernel_abi() -> u8 {
    let asked = std::thread::spawn(|| {
        let status = Ruleset::default()
            .handle_access(AccessFs::MakeBlock)?
            .create()?
            .restrict_self()?;
        Ok::<_, RulesetError>(match status.landlock {
            LandlockStatus::Available {
                effective_abi,
                kernel_abi,
            } => kernel_abi.unwrap_or(effective_abi as i32),
            _ => 0,
        })
    });
    asked
        .join()
        .ok()
        .and_then(Result::ok)
        .and_then(|abi| u8::try_from(abi).ok())
        .unwrap_or(0)
}

/// Puts the profile's paths in force for this thread and those that it starts.
pub(crate) fn apply(
    profile: &Profile,
    kernel: &Kernel,
    report: &mut Report,
) -> Result<(), Refused> {
    let status =
        restrict(profile, kernel, report).map_err(|error| Refused::Landlock(error.to_string()))?;
    if status == RulesetStatus::NotEnforced {
        return Err(Refused::Landlock("the kernel did not take it".to_owned()));
    }
    report.landlock_abi = kernel.landlock_abi();
    Ok(())
}

fn restrict(
    profile: &Profile,
    kernel: &Kernel,
    report: &mut Report,
) -> Result<RulesetStatus, RulesetError> {
    let abi = ABI::from(i32::from(kernel.landlock_abi()));
    let handled = AccessFs::from_all(abi);
    let mut ruleset = Ruleset::default().handle_access(handled)?;
    if !profile.families.contains(&Family::Inet) && abi >= ABI::V4 {
        ruleset = ruleset.handle_access(AccessNet::from_all(abi))?;
    }
    if abi >= ABI::V6 {
        let mut scope = Scope::from_all(abi);
        if profile.abstract_sockets {
            scope.remove(Scope::AbstractUnixSocket);
        }
        ruleset = ruleset.scope(scope)?;
    }
    let mut created = ruleset.create()?;
    for rule in &profile.rules {
        match descriptor(rule) {
            Some((descriptor, access)) => {
                created = created.add_rule(PathBeneath::new(descriptor, access & handled))?;
                report.paths += 1;
            }
            None => report.absent.push(rule.path.clone()),
        }
    }
    Ok(created.restrict_self()?.ruleset)
}

/// The file or folder of a rule, and the rights that it can have.
fn descriptor(rule: &Rule) -> Option<(PathFd, BitFlags<AccessFs>)> {
    let descriptor = PathFd::new(&rule.path).ok()?;
    let found = rustix::fs::fstat(&descriptor).ok()?;
    let is_folder =
        rustix::fs::FileType::from_raw_mode(found.st_mode) == rustix::fs::FileType::Directory;
    let mut access = rights(rule.access);
    if !is_folder {
        access &= AccessFs::from_file(ABI::V7);
    }
    Some((descriptor, access))
}

fn rights(access: Access) -> BitFlags<AccessFs> {
    let read = make_bitflags!(AccessFs::{ReadFile | ReadDir});
    let write = make_bitflags!(AccessFs::{
        WriteFile | Truncate | MakeReg | MakeDir | RemoveFile | RemoveDir
    });
    match access {
        Access::Read => read,
        Access::Use => make_bitflags!(AccessFs::{ReadFile | WriteFile | IoctlDev}),
        Access::Execute => read | AccessFs::Execute,
        Access::Write => read | write,
        Access::Listen => read | write | AccessFs::MakeSock,
    }
}
