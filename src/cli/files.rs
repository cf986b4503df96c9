//! Files that commands read and write: read within a bound, never overwritten.

use super::output::Failure;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Reads a file of `limit` bytes at most; `what` it is stands in the message.
///
/// # Errors
/// [`Failure`] (usage) when it cannot be read or is larger.
pub fn read(path: &Path, limit: usize, what: &str) -> Result<Vec<u8>, Failure> {
    let unreadable = |error| {
        Failure::usage(
            "file_unreadable",
            format!("{what}: {} cannot be read: {error}", path.display()),
        )
    };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(limit as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() > limit {
        return Err(Failure::usage(
            "file_too_large",
            format!("{what}: {} has more than {limit} bytes", path.display()),
        ));
    }
    Ok(bytes)
}

/// The certificates (DER) in the bytes of a file: every one of a PEM text, or the whole as one in DER. None of them is parsed.
///
/// # Errors
/// Why a PEM text is broken.
pub fn certificates(bytes: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    let pem = std::str::from_utf8(bytes)
        .ok()
        .filter(|text| text.contains("-----BEGIN"));
    let Some(pem) = pem else {
        return Ok(vec![bytes.to_vec()]);
    };
    CertificateDer::pem_slice_iter(pem.as_bytes())
        .map(|block| {
            block
                .map(|der| der.to_vec())
                .map_err(|error| error.to_string())
        })
        .collect()
}

/// Writes a new file with the given permission bits and has it on the disk before it returns.
///
/// # Errors
/// [`Failure`] when there is a file of that name already, or it cannot be written; a half-written one is removed.
pub fn write_new(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Failure> {
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => Failure::usage(
            "file_exists",
            format!("{} exists already and is not overwritten", path.display()),
        )
        .hint("name another file, or remove that one"),
        _ => Failure::failed(
            "file_unwritable",
            format!("{} cannot be written: {error}", path.display()),
        ),
    };
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .map_err(failed)?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .map_err(|error| {
            // Nothing better can be done with it than to say what went wrong in the first place.
            let _ = std::fs::remove_file(path);
            failed(error)
        })
}

/// Refuses early, before a key is made or destroyed for a file that cannot be written.
///
/// # Errors
/// [`Failure`] when there is something of that name already, or no folder for it.
pub fn must_be_new(path: &Path) -> Result<(), Failure> {
    let folder = match path.parent() {
        Some(folder) if folder.as_os_str().is_empty() => Path::new("."),
        Some(folder) => folder,
        None => path,
    };
    if !folder.is_dir() {
        return Err(Failure::usage(
            "file_unwritable",
            format!(
                "{} cannot be written: there is no such folder",
                path.display()
            ),
        )
        .hint("make the folder first, or correct the path"));
    }
    match path.symlink_metadata() {
        Ok(_) => Err(Failure::usage(
            "file_exists",
            format!("{} exists already and is not overwritten", path.display()),
        )
        .hint("name another file, or remove that one")),
        Err(_) => Ok(()),
    }
}
