//! Files that commands read and write: read within a bound, never overwritten.

use super::output::Failure;
use fips::secret::file;
use rustix::fs::{CWD, RenameFlags};
use rustix::io::Errno;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::io::{Read, Write};
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
    let failed = |error: std::io::Error| unwritable(path, &error);
    let mut file = file::create_new_with_mode(path, mode).map_err(failed)?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .map_err(|error| {
            // Nothing better can be done with it than to say what went wrong in the first place.
            let _ = std::fs::remove_file(path);
            failed(error)
        })
}

/// As [`write_new`], but nobody ever sees a part of it: the file has its name only when it is whole and on the disk.
///
/// # Errors
/// As [`write_new`]; nothing is left behind then.
pub fn place_new(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Failure> {
    must_be_new(path)?;
    let number: [u8; 8] = fips::random::array()?;
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{:016x}", u64::from_be_bytes(number)));
    let hidden = path.with_file_name(name);
    write_new(&hidden, bytes, mode)?;
    let placed = rustix::fs::renameat_with(CWD, &hidden, CWD, path, RenameFlags::NOREPLACE);
    match placed {
        Ok(()) => {
            // The name itself is on the disk when its folder is; where folders cannot be told to, it comes there later.
            let _ = folder_of(path).and_then(|folder| std::fs::File::open(folder)?.sync_all());
            Ok(())
        }
        Err(errno) => {
            // What it is called by is a name that nobody else knows.
            let _ = std::fs::remove_file(&hidden);
            match errno {
                // A file system that cannot do it: the other way then, which leaves no part behind either unless the machine stops.
                Errno::INVAL | Errno::NOSYS | Errno::NOTSUP => write_new(path, bytes, mode),
                _ => Err(unwritable(path, &errno.into())),
            }
        }
    }
}

fn folder_of(path: &Path) -> std::io::Result<&Path> {
    match path.parent() {
        Some(folder) if folder.as_os_str().is_empty() => Ok(Path::new(".")),
        Some(folder) => Ok(folder),
        None => Err(std::io::ErrorKind::NotFound.into()),
    }
}

fn unwritable(path: &Path, error: &std::io::Error) -> Failure {
    match error.kind() {
        std::io::ErrorKind::AlreadyExists => exists(path),
        _ => Failure::failed(
            "file_unwritable",
            format!("{} cannot be written: {error}", path.display()),
        ),
    }
}

fn exists(path: &Path) -> Failure {
    Failure::usage(
        "file_exists",
        format!("{} exists already and is not overwritten", path.display()),
    )
    .hint("name another file, or remove that one")
}

/// Refuses early, before a key is made or destroyed for a file that cannot be written.
///
/// # Errors
/// [`Failure`] when there is something of that name already, or no folder for it.
pub fn must_be_new(path: &Path) -> Result<(), Failure> {
    let folder = folder_of(path).unwrap_or(path);
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
        Ok(_) => Err(exists(path)),
        Err(_) => Ok(()),
    }
}
