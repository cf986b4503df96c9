//! Files and folders that the configuration names: there, readable or writable, nobody else's, with room to grow.

use super::catalogue::{
    FILES_FOLDER, FILES_INODES, FILES_READABLE, FILES_ROOM, FILES_SECRET, FILES_TRUSTED,
};
use super::finding::{Finding, Severity};
use crate::config::{Config, NamedPath, Purpose, secret_file};
use rustix::fs::{Access, AtFlags, CWD};
use serde_json::json;
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// With less than this free, journal, database and logs cannot be relied on, in bytes.
const LEAST_FREE_BYTES: u64 = 16 * 1024 * 1024;
/// Room for a gateway's database, which no key limits, in bytes.
const DATABASE_BYTES: u64 = 1024 * 1024 * 1024;
/// With fewer free inodes archives of logs may soon not be made.
const FEW_INODES: u64 = 1_000;
/// Logs that grow side by side until each is archived: Admin, Operational, Debug.
const LOGS: u64 = 3;

/// Looks at every path that the configuration names.
#[must_use]
pub fn examine(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    for named in config.named_paths() {
        let path = json!({"path": named.path});
        let found = match named.purpose {
            Purpose::Secret => secret(&named),
            Purpose::Content | Purpose::Module => readable(&named),
            Purpose::Trust => trusted(&named),
            Purpose::Written | Purpose::Folder => folder(&named),
        };
        findings.push(found.facts(path));
    }
    findings.extend(room(config));
    findings
}

fn secret(named: &NamedPath) -> Finding {
    match secret_file::check(&named.path) {
        Ok(()) => FILES_SECRET.ok(&named.key, "only its owner may use it"),
        Err(error) => {
            let found = FILES_SECRET
                .error(&named.key, error.to_string())
                .code(error.code());
            match error {
                // Whose eyes are wrong, ours or the file's, only the operator knows.
                secret_file::SecretFileError::ForeignOwner { owner, .. } => found.remedy(format!(
                    "{}; if user {owner} runs the process, run `doctor` as that user",
                    error.hint()
                )),
                _ => found.remedy(error.hint()),
            }
        }
    }
}

fn readable(named: &NamedPath) -> Finding {
    match named.check() {
        Ok(()) => FILES_READABLE.ok(&named.key, "readable"),
        Err(problem) => FILES_READABLE.error(&named.key, without_key(&problem, &named.key)),
    }
}

/// The checks of the start name the key in their texts; here it has a place of its own.
fn without_key(problem: &str, key: &str) -> String {
    problem
        .strip_prefix(&format!("`{key}`: "))
        .unwrap_or(problem)
        .to_owned()
}

/// A file that says who is trusted: readable, and who else may change it.
fn trusted(named: &NamedPath) -> Finding {
    let found = readable(named);
    let (Severity::Ok, Ok(metadata)) = (found.severity, std::fs::metadata(&named.path)) else {
        return found;
    };
    let mode = metadata.mode() & 0o7777;
    let path = named.path.display();
    let ours = [0, rustix::process::geteuid().as_raw()].contains(&metadata.uid());
    if mode & 0o022 != 0 {
        let others = if mode & 0o002 != 0 {
            "everybody"
        } else {
            "its group"
        };
        FILES_TRUSTED.warning(
            &named.key,
            format!("{path}: {others} may change who is trusted (mode {mode:04o})"),
        )
    } else if ours {
        FILES_TRUSTED.ok(&named.key, "readable, and nobody else may change it")
    } else {
        FILES_TRUSTED.warning(
            &named.key,
            format!(
                "{path}: belongs to user {}, who may change who is trusted",
                metadata.uid()
            ),
        )
    }
}

/// The folder that something is made in: the path itself where it is one already.
fn folder_of(path: &Path) -> Option<&Path> {
    if path.is_dir() {
        Some(path)
    } else {
        path.parent()
    }
}

fn folder(named: &NamedPath) -> Finding {
    if let Err(problem) = named.check() {
        return FILES_FOLDER.error(&named.key, without_key(&problem, &named.key));
    }
    let Some(folder) = folder_of(&named.path) else {
        return FILES_FOLDER.error(&named.key, "is no file name");
    };
    // With the rights of the effective user, as every later access.
    let writable = |path: &Path, access| rustix::fs::accessat(CWD, path, access, AtFlags::EACCESS);
    if let Err(errno) = writable(folder, Access::WRITE_OK | Access::EXEC_OK) {
        return FILES_FOLDER.error(
            &named.key,
            format!("nothing can be made in {}: {errno}", folder.display()),
        );
    }
    // A database or a log that is there must be writable itself.
    if named.path.is_file()
        && let Err(errno) = writable(&named.path, Access::READ_OK | Access::WRITE_OK)
    {
        return FILES_FOLDER
            .error(
                &named.key,
                format!("{} cannot be written: {errno}", named.path.display()),
            )
            .remedy("have the file owned by the user who runs the process");
    }
    FILES_FOLDER.ok(&named.key, format!("{} is writable", folder.display()))
}

/// What grows, where, and how large the configuration lets it become, in bytes.
struct Growing {
    key: &'static str,
    path: PathBuf,
    still_bytes: u64,
}

fn growing(config: &Config) -> Vec<Growing> {
    let mut list = Vec::new();
    if let Some(connector) = &config.connector {
        list.push(Growing {
            key: "connector.journal",
            still_bytes: connector
                .journal_max_bytes
                .saturating_sub(size_of(&connector.journal)),
            path: connector.journal.clone(),
        });
        let log = &connector.log;
        list.push(Growing {
            key: "connector.log.directory",
            still_bytes: log
                .archives_max_bytes
                .saturating_add(log.rotate_bytes.saturating_mul(LOGS))
                .saturating_sub(size_of(&log.directory)),
            path: log.directory.clone(),
        });
    }
    if let Some(gateway) = &config.gateway {
        list.push(Growing {
            key: "gateway.database",
            still_bytes: DATABASE_BYTES.saturating_sub(size_of(&gateway.database)),
            path: gateway.database.clone(),
        });
    }
    list
}

/// The size of a file, or of the files directly in a folder.
fn size_of(path: &Path) -> u64 {
    match std::fs::read_dir(path) {
        Ok(entries) => entries
            .flatten()
            .filter_map(|entry| entry.metadata().ok())
            .filter(std::fs::Metadata::is_file)
            .map(|metadata| metadata.len())
            .fold(0, u64::saturating_add),
        Err(_) => std::fs::metadata(path).map_or(0, |metadata| metadata.len()),
    }
}

/// One finding for each file system, because what grows there shares it.
fn room(config: &Config) -> Vec<Finding> {
    let mut systems: BTreeMap<u64, Vec<Growing>> = BTreeMap::new();
    for item in growing(config) {
        let device = folder_of(&item.path)
            .and_then(|folder| std::fs::metadata(folder).ok())
            .map(|metadata| metadata.dev());
        // A folder that is missing has been reported.
        if let Some(device) = device {
            systems.entry(device).or_default().push(item);
        }
    }
    let mut findings = Vec::new();
    for items in systems.values() {
        let keys: Vec<&str> = items.iter().map(|item| item.key).collect();
        let keys = keys.join(", ");
        let needed = items
            .iter()
            .map(|item| item.still_bytes)
            .fold(0, u64::saturating_add);
        let Some(folder) = items.first().and_then(|item| folder_of(&item.path)) else {
            continue;
        };
        match rustix::fs::statvfs(folder) {
            Err(errno) => findings.push(FILES_ROOM.warning(
                keys,
                format!(
                    "the file system of {} does not tell: {errno}",
                    folder.display()
                ),
            )),
            Ok(found) => {
                let free = found.f_bavail.saturating_mul(found.f_frsize);
                findings.push(judge_room(&keys, free, needed));
                findings.extend(judge_inodes(&keys, found.f_files, found.f_favail));
            }
        }
    }
    findings
}

/// What is said of so much free space for what may still grow by so much, both in bytes.
#[must_use]
pub fn judge_room(keys: &str, free_bytes: u64, needed_bytes: u64) -> Finding {
    let (free, needed) = (size(free_bytes), size(needed_bytes));
    let found = if free_bytes < LEAST_FREE_BYTES {
        FILES_ROOM.error(
            keys,
            format!("{free} are free: nothing can be written there soon"),
        )
    } else if free_bytes < needed_bytes {
        FILES_ROOM.warning(
            keys,
            format!("{free} are free, and the configuration lets them grow by {needed}"),
        )
    } else {
        FILES_ROOM.ok(keys, format!("{free} are free; they may grow by {needed}"))
    };
    found.facts(json!({"freeBytes": free_bytes, "neededBytes": needed_bytes}))
}

/// What is said of so many free inodes; nothing where the file system has none.
#[must_use]
pub fn judge_inodes(keys: &str, all: u64, free: u64) -> Option<Finding> {
    if all == 0 {
        return None;
    }
    let found = match free {
        0 => FILES_INODES.error(keys, "no inode is free: no file can be made there"),
        free if free < FEW_INODES => FILES_INODES.warning(keys, format!("{free} inodes are free")),
        free => FILES_INODES.ok(keys, format!("{free} inodes are free")),
    };
    Some(found.facts(json!({"freeInodes": free})))
}

fn size(bytes: u64) -> String {
    const MIB: u64 = 1024 * 1024;
    match bytes / MIB {
        0 => format!("{} KiB", bytes / 1024),
        mib if mib < 1024 => format!("{mib} MiB"),
        mib => format!("{}.{} GiB", mib / 1024, mib % 1024 * 10 / 1024),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;

    #[test]
    fn no_room_is_an_error_and_little_room_a_warning() {
        const MIB: u64 = 1024 * 1024;
        let judged = |free, needed| judge_room("connector.journal", free, needed).severity;
        assert_eq!(judged(MIB, 0), Severity::Error);
        assert_eq!(judged(100 * MIB, 200 * MIB), Severity::Warning);
        assert_eq!(judged(300 * MIB, 200 * MIB), Severity::Ok);
    }

    #[test]
    fn inodes_are_judged_where_there_are_any() {
        let judged = |all, free| judge_inodes("", all, free).map(|found| found.severity);
        assert_eq!(judged(0, 0), None);
        assert_eq!(judged(10_000, 0), Some(Severity::Error));
        assert_eq!(judged(10_000, 10), Some(Severity::Warning));
        assert_eq!(judged(10_000, 5_000), Some(Severity::Ok));
    }

    #[test]
    fn sizes_are_said_in_the_unit_that_fits() {
        assert_eq!(size(2048), "2 KiB");
        assert_eq!(size(300 * 1024 * 1024), "300 MiB");
        assert_eq!(size(1536 * 1024 * 1024), "1.5 GiB");
    }
}
