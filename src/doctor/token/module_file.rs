//! The file of the PKCS#11 module: whose it is, who could exchange it, which one it is.

use crate::doctor::catalogue::{TOKEN_MODULE_DIGEST, TOKEN_MODULE_FILE, TOKEN_MODULE_FOLDERS};
use crate::doctor::command;
use crate::doctor::finding::Finding;
use crate::encoding::hex;
use fips::digest::{Hash, Hasher};
use hsm::FileProblem;
use serde_json::json;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

/// The largest library that is read for its digest, in bytes.
const MAX_BYTES: u64 = 512 * 1024 * 1024;
/// How long a package manager may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Looks at the file at `path`, without loading it.
pub(super) fn examine(key: &str, path: &Path) -> Vec<Finding> {
    let canonical = match hsm::files::check_module(path) {
        Ok(canonical) => canonical,
        Err(error) => {
            let found = TOKEN_MODULE_FILE
                .error(key, error.to_string())
                .code(error.code());
            return vec![found];
        }
    };
    let leads_to = if canonical == path {
        String::new()
    } else {
        format!(" (leads to {})", canonical.display())
    };
    let mut findings = vec![TOKEN_MODULE_FILE.ok(
        key,
        format!("{}{leads_to}: nobody else may write it", path.display()),
    )];
    findings.extend(folders(key, path));
    findings.push(digest(key, &canonical));
    findings
}

fn folders(key: &str, path: &Path) -> Vec<Finding> {
    let weak = match hsm::files::exchangeable_at(path) {
        Ok(weak) => weak,
        Err(error) => {
            return vec![
                TOKEN_MODULE_FOLDERS
                    .warning(key, error.to_string())
                    .code(error.code()),
            ];
        }
    };
    if weak.is_empty() {
        return vec![TOKEN_MODULE_FOLDERS.ok(key, "nobody else can put another file in its place")];
    }
    weak.into_iter()
        .map(|folder| {
            let who = match folder.problem {
                FileProblem::Mode(mode) if mode & 0o002 != 0 => {
                    format!("everybody may (mode {mode:04o})")
                }
                FileProblem::Mode(mode) => format!("its group may (mode {mode:04o})"),
                other => other.to_string(),
            };
            TOKEN_MODULE_FOLDERS
                .warning(
                    key,
                    format!(
                        "another file can be put in its place in {}: {who}",
                        folder.path.display()
                    ),
                )
                .facts(json!({"folder": folder.path}))
        })
        .collect()
}

fn digest(key: &str, path: &Path) -> Finding {
    let digest = match sha256(path) {
        Ok(digest) => digest,
        Err(problem) => {
            return TOKEN_MODULE_DIGEST
                .warning(key, format!("{} cannot be read: {problem}", path.display()));
        }
    };
    let package = package(path);
    let from = package.as_deref().map_or_else(
        || "no package manager knows the file".to_owned(),
        |package| format!("package {package}"),
    );
    TOKEN_MODULE_DIGEST
        .ok(key, format!("SHA-256 {digest}, {from}"))
        .facts(json!({"path": path, "sha256": digest, "package": package}))
}

fn sha256(path: &Path) -> Result<String, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let mut file = file.take(MAX_BYTES + 1);
    let mut hasher = Hasher::new(Hash::Sha256);
    let mut block = vec![0; 64 * 1024];
    let mut length: u64 = 0;
    loop {
        let read = file.read(&mut block).map_err(|error| error.to_string())?;
        let Some(data) = block.get(..read).filter(|data| !data.is_empty()) else {
            break;
        };
        length = length.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
        hasher.update(data);
    }
    if length > MAX_BYTES {
        return Err("larger than any PKCS#11 library".to_owned());
    }
    Ok(hex(hasher.finish().as_ref()))
}

/// Name and version of the package that the file is from, if dpkg or rpm knows it.
fn package(path: &Path) -> Option<String> {
    let path = path.to_str()?;
    // On a system with one /usr the package may name the file without it.
    let ways = [Some(path), path.strip_prefix("/usr")];
    for way in ways.into_iter().flatten() {
        let Some(owners) = command::output("dpkg-query", &["--search", way], PATIENCE) else {
            continue;
        };
        // `package[:architecture]: path`
        let owner = owners.lines().find_map(|line| line.split_once(": "))?.0;
        let format = "--showformat=${Package} ${Version}";
        return command::output("dpkg-query", &["--show", format, owner], PATIENCE);
    }
    let format = "%{NAME} %{VERSION}-%{RELEASE}";
    command::output(
        "rpm",
        &["--query", "--file", "--queryformat", format, path],
        PATIENCE,
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;

    #[test]
    fn the_digest_is_that_of_the_whole_file() {
        fips::start(fips::policy::Policy::STRICT).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("module.so");
        std::fs::write(&path, b"abc").unwrap();
        // FIPS 180-4, the example of one block.
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256(&path).unwrap(), expected);
        assert!(sha256(&folder.path().join("none")).is_err());
    }
}
