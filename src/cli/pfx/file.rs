//! A file of a stranger's, read within a bound, with what it is told apart from what it should be.

use crate::cli::output::Failure;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

/// Reads a file, or standard input for `-`. Of one that is over the limit just so much is read that the reader sees it.
///
/// # Errors
/// [`Failure`] (usage) when it cannot be read or is no file.
pub(super) fn read(path: &Path, limit: usize) -> Result<Vec<u8>, Failure> {
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

fn bounded(source: impl Read, limit: usize) -> io::Result<Vec<u8>> {
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    source.take(most).read_to_end(&mut bytes)?;
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
