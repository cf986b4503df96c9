//! PEM blocks (RFC 7468) in the operator's files, which may hold text between them.

use super::anchors::LoadError;
use std::path::Path;

/// Largest file that is read, in bytes.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// The contents of the blocks with one of these labels, in their order, each with its label; `None` when a block is broken.
pub(in crate::engine) fn blocks(
    text: &[u8],
    labels: &[&'static str],
) -> Option<Vec<(&'static str, Vec<u8>)>> {
    let text = String::from_utf8_lossy(text);
    let mut found = Vec::new();
    let mut rest: &str = &text;
    while let Some(at) = rest.find("-----BEGIN ") {
        rest = rest.get(at..)?;
        let label = rest.strip_prefix("-----BEGIN ")?.split_once("-----")?.0;
        let end = format!("-----END {label}-----");
        let length = rest.find(&end)?.checked_add(end.len())?;
        let (block, after) = rest.split_at_checked(length)?;
        if let Some(label) = labels.iter().find(|wanted| **wanted == label) {
            let (_, content) = der::pem::decode_vec(block.as_bytes()).ok()?;
            found.push((*label, content));
        }
        rest = after;
    }
    Some(found)
}

/// The bytes of a file of at most [`MAX_FILE_BYTES`], which says who is trusted: so it must belong to root or to this process's
/// user, and not be writable by everybody. The file that is checked is the one that is read.
pub(in crate::engine) fn read_file(path: &Path) -> Result<Vec<u8>, LoadError> {
    read_file_of(path, MAX_FILE_BYTES).map(|(bytes, _)| bytes)
}

/// As [`read_file`], of at most `limit` bytes, with what the system says of the very file that was read.
pub(super) fn read_file_of(
    path: &Path,
    limit: u64,
) -> Result<(Vec<u8>, std::fs::Metadata), LoadError> {
    use std::io::Read;
    use std::os::unix::fs::MetadataExt;
    let unreadable = |source| LoadError::Unreadable {
        path: path.to_path_buf(),
        source,
    };
    let file = crate::config::open_file(path).map_err(unreadable)?;
    let found = file.metadata().map_err(unreadable)?;
    let ours = [0, rustix::process::geteuid().as_raw()].contains(&found.uid());
    if !ours || found.mode() & 0o002 != 0 {
        return Err(LoadError::Unusable {
            path: path.to_path_buf(),
            problem: format!(
                "says who is trusted, but others may change it (owner {}, mode {:04o}): have it owned by root or by the user who runs \
                 this, and not writable by everybody",
                found.uid(),
                found.mode() & 0o7777
            ),
        });
    }
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > limit {
        return Err(LoadError::Unusable {
            path: path.to_path_buf(),
            problem: format!("is larger than {limit} bytes"),
        });
    }
    Ok((bytes, found))
}
