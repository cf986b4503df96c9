//! A file of a stranger's, read within a bound, with what it is told apart from what it should be.

use crate::cli::output::Failure;
use fips::secret::SecretBytes;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

/// Reads a file, or standard input for `-`. Of one that is over the limit just so much is read that the reader sees it.
///
/// # Errors
/// [`Failure`] (usage) when it cannot be read or is no file.
pub(super) fn read(path: &Path, limit: usize) -> Result<SecretBytes, Failure> {
    if path == Path::new("-") {
        return bounded(io::stdin().lock(), limit).map_err(|error| unreadable(path, &error));
    }
    // A pipe or a device would keep the program waiting, so it is looked at before it is opened.
    let kind = std::fs::metadata(path).map_err(|error| unreadable(path, &error))?;
    if kind.is_dir() {
        return Err(
            Failure::usage("file_unreadable", format!("{} is a folder", path.display()))
                .hint("name the PFX file in it"),
        );
    }
    if !kind.is_file() {
        return Err(Failure::usage(
            "file_unreadable",
            format!("{} is not a file", path.display()),
        )
        .hint("name a file, or - and give the PFX on standard input"));
    }
    File::open(path)
        .and_then(|file| bounded(file, limit))
        .map_err(|error| unreadable(path, &error))
}

/// A PFX may hold its keys in clear, so it is kept like one from its first octet on.
fn bounded(mut source: impl Read, limit: usize) -> io::Result<SecretBytes> {
    let mut bytes = SecretBytes::zeroed(limit.saturating_add(1));
    let mut length = 0_usize;
    loop {
        let free = bytes.expose_mut().get_mut(length..).unwrap_or_default();
        if free.is_empty() {
            break;
        }
        match source.read(free) {
            Ok(0) => break,
            Ok(read) => length = length.saturating_add(read),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(length);
    Ok(bytes)
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    let failure = Failure::usage(
        "file_unreadable",
        format!("the PFX: {} cannot be read: {error}", path.display()),
    );
    match error.kind() {
        ErrorKind::NotFound => failure.hint("check the path"),
        ErrorKind::PermissionDenied => {
            failure.hint("run this as a user who may read the file, or have its owner permit it")
        }
        _ => failure,
    }
}
