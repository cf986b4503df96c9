//! The folder of a bundle, read as what a stranger made: nothing is followed, nothing is read without a bound.

use super::BundleError;
use crate::encoding::printable;
use rustix::fs::{Dir, FileType, Mode, OFlags};
use rustix::io::Errno;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// More files than any bundle has.
const MAX_FILES: usize = 64;

/// An open folder.
pub(super) struct Folder {
    path: PathBuf,
    fd: OwnedFd,
}

impl Folder {
    pub(super) fn open(path: &Path) -> Result<Self, BundleError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(path, flags, Mode::empty())
            .map_err(|errno| unreadable(path, errno))?;
        Ok(Self {
            path: path.to_owned(),
            fd,
        })
    }

    /// The names of all that is in it.
    pub(super) fn names(&self) -> Result<BTreeSet<String>, BundleError> {
        let failed = |errno| unreadable(&self.path, errno);
        let mut names = BTreeSet::new();
        for entry in Dir::read_from(&self.fd).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            if names.len() == MAX_FILES {
                return Err(BundleError::TooManyFiles {
                    path: self.path.clone(),
                });
            }
            // Names of ours are ASCII: one that is changed here is none of ours, and said to be so.
            names.insert(printable(&name.to_string_lossy()));
        }
        Ok(names)
    }

    /// The content of the regular file of that name, of at most `limit` bytes.
    pub(super) fn read(&self, name: &str, limit: u64) -> Result<Vec<u8>, BundleError> {
        // O_NONBLOCK: opening a pipe must not wait for somebody to write into it.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let failed = |errno| unreadable(&self.path.join(name), errno);
        let not_a_file = || BundleError::NotAFile {
            name: name.to_owned(),
        };
        let fd =
            rustix::fs::openat(&self.fd, name, flags, Mode::empty()).map_err(
                |errno| match errno {
                    Errno::LOOP | Errno::NXIO => not_a_file(),
                    Errno::NOENT => BundleError::Missing {
                        name: name.to_owned(),
                    },
                    other => failed(other),
                },
            )?;
        let stat = rustix::fs::fstat(&fd).map_err(failed)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(not_a_file());
        }
        let mut bytes = Vec::new();
        File::from(fd)
            .take(limit.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|source| BundleError::Unreadable {
                path: self.path.join(name),
                source,
            })?;
        if bytes.len() as u64 > limit {
            return Err(BundleError::TooLarge {
                name: name.to_owned(),
            });
        }
        Ok(bytes)
    }
}

fn unreadable(path: &Path, errno: Errno) -> BundleError {
    BundleError::Unreadable {
        path: path.to_owned(),
        source: errno.into(),
    }
}
