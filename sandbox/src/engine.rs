//! The profiles of the engine's three processes, without the paths of a configuration.

use crate::calls;
use crate::modules::{self, ModuleNeeds};
use crate::profile::{Access, Family, Profile, Violation};

/// Paths of custody, whatever its tokens are: the C library counts processors for its heaps, reports say whether the system
/// demands FIPS mode, receipts say during which run of the system they were written, and NSS seeds
/// itself from a device.
pub const CUSTODY_PATHS: &[(&str, Access)] = &[
    ("/sys/devices/system/cpu", Access::Read),
    ("/proc/sys/crypto/fips_enabled", Access::Read),
    ("/proc/sys/kernel/random/boot_id", Access::Read),
    ("/dev/urandom", Access::Read),
];

/// Paths of the supervisor: what its parts need to start, and what it reads of them.
pub const SUPERVISOR_PATHS: &[(&str, Access)] = &[
    ("/lib", Access::Execute),
    ("/lib64", Access::Execute),
    ("/usr/lib", Access::Execute),
    ("/usr/lib64", Access::Execute),
    ("/usr/local/lib", Access::Execute),
    ("/etc/ld.so.cache", Access::Read),
    ("/etc/ssl/openssl.cnf", Access::Read),
    ("/proc", Access::Read),
    ("/dev/null", Access::Use),
];

/// What a system does not have is no news: only paths of the configuration are reported as absent.
fn add(profile: &mut Profile, paths: &[(&str, Access)]) {
    for (path, access) in paths {
        if std::path::Path::new(path).exists() {
            profile.path(path, *access);
        }
    }
}

/// The formats process: it has its connection and computes. No file, no socket, no process; anything else ends it.
#[must_use]
pub fn formats() -> Profile {
    let mut profile = Profile::nothing("formats", Violation::Kill);
    profile.calls(calls::PROCESS);
    profile
}

/// The custody process with tokens of these kinds.
#[must_use]
pub fn custody(kinds: &[&'static ModuleNeeds]) -> Profile {
    let mut names: Vec<_> = kinds.iter().map(|kind| kind.name).collect();
    names.dedup();
    let name = format!("custody ({})", names.join(", "));
    let mut profile = Profile::nothing(name, Violation::Errno);
    profile.calls(calls::PROCESS);
    profile.calls(calls::FILES);
    add(&mut profile, CUSTODY_PATHS);
    for kind in kinds {
        kind.add_to(&mut profile);
    }
    profile
}

/// The supervisor. Its children have what it has at most, so it has what custody needs as well, and what they need to start.
#[must_use]
pub fn supervisor(custody: &Profile) -> Profile {
    let mut profile = Profile::nothing("supervisor", Violation::Errno);
    profile.calls(calls::PROCESS);
    profile.calls(calls::FILES);
    profile.calls(calls::CHILDREN);
    profile.calls(calls::STARTING);
    profile.calls(calls::OTHER_FILES);
    profile.calls(calls::LOADING);
    profile.maps_code = true;
    add(&mut profile, SUPERVISOR_PATHS);
    profile.widen(custody);
    profile
}

/// One of each, for pages and tests: custody once for every kind of module.
#[must_use]
pub fn all() -> Vec<Profile> {
    let mut profiles = vec![formats()];
    profiles.extend(modules::ALL.iter().map(|kind| custody(&[kind])));
    profiles.push(supervisor(&custody(
        &modules::ALL.iter().collect::<Vec<_>>(),
    )));
    profiles
}

/// Whether the network can be reached with this profile.
#[must_use]
pub fn has_network(profile: &Profile) -> bool {
    profile.families.contains(&Family::Inet)
}
