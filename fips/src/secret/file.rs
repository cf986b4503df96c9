//! Files and folders that this program makes for itself: with the rights that they are to have from their first moment, never through a
//! link that somebody put in their place, and refused when others than their owner could use or change what is there already.
//!
//! | what is made | by | mode |
//! |---|---|---|
//! | keys, tokens, databases, what is remembered of PINs | [`create_new`], [`open`], [`replace`] with [`Rights::Owner`] | 0600 |
//! | logs, which a collector may read | [`open`] with [`Rights::GroupReads`] | 0640 |
//! | what anybody may read: public keys, reports, an address | [`create_new`], [`replace`] with [`Rights::AllRead`] | 0644 |
//! | their folders | [`create_folder`] | 0700, 0750, 0755 |

use rustix::fs::{FileType, Mode, OFlags, fstat};
use rustix::io::Errno;
use std::fs::{DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Who may use what is made. Nobody but the owner may ever change it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rights {
    /// The owner alone.
    Owner,
    /// The group may read.
    GroupReads,
    /// Everybody may read.
    AllRead,
}

impl Rights {
    /// The mode of a file.
    #[must_use]
    pub const fn file_mode(self) -> u32 {
        match self {
            Self::Owner => 0o600,
            Self::GroupReads => 0o640,
            Self::AllRead => 0o644,
        }
    }

    /// The mode of a folder.
    #[must_use]
    pub const fn folder_mode(self) -> u32 {
        match self {
            Self::Owner => 0o700,
            Self::GroupReads => 0o750,
            Self::AllRead => 0o755,
        }
    }

    /// Bits that what is there already must not have: for the owner's alone every right of others, else the right to write. That more
    /// people may read a log than it was made for is an operator's own decision.
    const fn forbidden(self) -> u32 {
        match self {
            Self::Owner => 0o077,
            Self::GroupReads | Self::AllRead => 0o022,
        }
    }
}

/// A file or folder that cannot be made or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// Others could use or change it.
    #[error("its mode {mode:04o} lets others than its owner use it: chmod {wanted:o}")]
    Loose {
        /// Its permission bits.
        mode: u32,
        /// Those that it would have been made with.
        wanted: u32,
    },
    /// It belongs to somebody else, who could change it.
    #[error(
        "it belongs to user {owner}, not to the user {expected} who runs this: chown {expected}"
    )]
    ForeignOwner {
        /// Its owner's user id.
        owner: u32,
        /// The user id of this process.
        expected: u32,
    },
    /// A link is in its place.
    #[error("it is a symbolic link, which is not followed: name the file itself")]
    Link,
    /// A folder, pipe, socket or device is in its place.
    #[error("it is no ordinary file")]
    NotAFile,
    /// The system's word.
    #[error("{0}")]
    System(#[from] io::Error),
}

impl From<FileError> for io::Error {
    fn from(error: FileError) -> Self {
        match error {
            FileError::System(error) => error,
            other => Self::new(io::ErrorKind::PermissionDenied, other.to_string()),
        }
    }
}

/// What an opened file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Reading alone.
    Read,
    /// Reading anywhere, writing at the end.
    Append,
    /// Reading and writing anywhere.
    ReadWrite,
}

/// Makes a file that is not there yet (`O_EXCL`, which follows no link), to be written.
///
/// # Errors
/// The system's; [`io::ErrorKind::AlreadyExists`] when there is anything of that name.
pub fn create_new(path: &Path, rights: Rights) -> io::Result<File> {
    create_new_with_mode(path, rights.file_mode())
}

/// As [`create_new`], with the permission bits of the caller's choice.
///
/// # Errors
/// As [`create_new`].
pub fn create_new_with_mode(path: &Path, mode: u32) -> io::Result<File> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mode = Mode::from_raw_mode(mode);
    Ok(File::from(rustix::fs::open(path, flags, mode)?))
}

/// Opens a file, or makes it. What is there already has to be an ordinary file of this user's or of root's without rights for others.
///
/// # Errors
/// [`FileError`] says what is wrong with it, and the remedy.
pub fn open(path: &Path, access: Access, rights: Rights) -> Result<File, FileError> {
    open_with(path, access, rights, OFlags::CREATE)
}

/// As [`open`], and makes no file: of one that somebody took away there is no empty one in its place.
///
/// # Errors
/// As [`open`]; the system's [`io::ErrorKind::NotFound`].
pub fn open_existing(path: &Path, access: Access, rights: Rights) -> Result<File, FileError> {
    open_with(path, access, rights, OFlags::empty())
}

fn open_with(
    path: &Path,
    access: Access,
    rights: Rights,
    create: OFlags,
) -> Result<File, FileError> {
    let access = match access {
        Access::Read => OFlags::RDONLY,
        Access::Append => OFlags::RDWR | OFlags::APPEND,
        Access::ReadWrite => OFlags::RDWR,
    };
    // Without waiting, should it be a pipe.
    let flags = access | create | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let mode = Mode::from_raw_mode(rights.file_mode());
    let file = match rustix::fs::open(path, flags, mode) {
        Ok(descriptor) => File::from(descriptor),
        Err(Errno::LOOP) => return Err(FileError::Link),
        Err(Errno::NXIO | Errno::ISDIR) => return Err(FileError::NotAFile),
        Err(errno) => return Err(FileError::System(errno.into())),
    };
    // The opened file is asked, not the path, so that it cannot be exchanged in between.
    let found = fstat(&file).map_err(io::Error::from)?;
    if FileType::from_raw_mode(found.st_mode) != FileType::RegularFile {
        return Err(FileError::NotAFile);
    }
    check(found.st_mode, found.st_uid, rights, rights.file_mode())?;
    Ok(file)
}

fn check(mode: u32, owner: u32, rights: Rights, wanted: u32) -> Result<(), FileError> {
    let expected = rustix::process::geteuid().as_raw();
    if owner != expected && owner != 0 {
        return Err(FileError::ForeignOwner { owner, expected });
    }
    let mode = mode & 0o7777;
    if mode & rights.forbidden() != 0 {
        return Err(FileError::Loose { mode, wanted });
    }
    Ok(())
}

/// Puts `content` in the place of what is at `path`, durably: after a crash there is the old file or the new one, and nobody ever sees a
/// part of it. What was there is not written to, whatever it is.
///
/// # Errors
/// The system's; the old file is as it was then.
pub fn replace(path: &Path, content: &[u8], rights: Rights) -> io::Result<()> {
    // A name of this process's own: another one may be doing the same.
    let draft = beside(path, &format!(".{}.next", std::process::id()));
    remove_if_there(&draft)?;
    let mut file = create_new(&draft, rights)?;
    let written = file
        .write_all(content)
        .and_then(|()| file.sync_all())
        .and_then(|()| std::fs::rename(&draft, path));
    if written.is_err() {
        // What went wrong first is what is told.
        let _ = remove_if_there(&draft);
        return written;
    }
    sync_folder_of(path)
}

/// `path` with `suffix` after its name.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Removes a file, if there is one.
///
/// # Errors
/// The system's.
pub fn remove_if_there(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Has what was made, renamed or removed in the folder of `path` on the disk.
///
/// # Errors
/// The system's.
pub fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    File::open(folder)?.sync_all()
}

/// Whether a folder is one that only this user can use: its own or root's, no link, and without any right of others.
///
/// # Errors
/// [`FileError`].
pub fn check_own_folder(path: &Path) -> Result<(), FileError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(folder) => folder,
        // Linux says of a link in this place that it is no folder.
        Err(Errno::LOOP | Errno::NOTDIR) => {
            return Err(match std::fs::symlink_metadata(path) {
                Ok(found) if found.is_symlink() => FileError::Link,
                _ => FileError::System(io::ErrorKind::NotADirectory.into()),
            });
        }
        Err(errno) => return Err(FileError::System(errno.into())),
    };
    let found = fstat(&folder).map_err(io::Error::from)?;
    let rights = Rights::Owner;
    check(found.st_mode, found.st_uid, rights, rights.folder_mode())
}

/// Makes a folder, and those that it is in. One that is there already has to be this user's or root's, and others must not be able to
/// write to it.
///
/// # Errors
/// [`FileError`].
pub fn create_folder(path: &Path, rights: Rights) -> Result<(), FileError> {
    DirBuilder::new()
        .recursive(true)
        .mode(rights.folder_mode())
        .create(path)?;
    let found = std::fs::metadata(path)?;
    // Who may look into a folder of secrets is not who may read them: their own modes say that.
    let others = match rights {
        Rights::Owner => Rights::AllRead,
        other => other,
    };
    check(found.mode(), found.uid(), others, rights.folder_mode())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, missing_docs)]
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("fips-{}-{name}", std::process::id()));
            let _ = std::fs::remove_dir_all(&path);
            create_folder(&path, Rights::Owner).unwrap();
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().mode() & 0o7777
    }

    fn set_mode(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn what_is_made_has_its_rights_from_the_beginning() {
        let folder = Folder::new("made");
        assert_eq!(mode(&folder.0), 0o700);
        for (name, rights, expected) in [
            ("a", Rights::Owner, 0o600),
            ("b", Rights::GroupReads, 0o640),
            ("c", Rights::AllRead, 0o644),
        ] {
            let path = folder.0.join(name);
            create_new(&path, rights).unwrap();
            assert_eq!(mode(&path), expected);
            assert_eq!(
                create_new(&path, rights).unwrap_err().kind(),
                io::ErrorKind::AlreadyExists
            );
            let path = folder.0.join(format!("{name}-opened"));
            open(&path, Access::ReadWrite, rights).unwrap();
            assert_eq!(mode(&path), expected);
            replace(&path, b"new", rights).unwrap();
            assert_eq!(mode(&path), expected);
            assert_eq!(std::fs::read(&path).unwrap(), b"new");
        }
        assert_eq!(
            std::fs::read_dir(&folder.0).unwrap().count(),
            6,
            "no draft is left"
        );
    }

    #[test]
    fn what_others_may_use_is_refused_with_the_remedy() {
        let folder = Folder::new("loose");
        let path = folder.0.join("file");
        std::fs::write(&path, b"x").unwrap();
        for loose in [0o640, 0o604, 0o660, 0o666, 0o610] {
            set_mode(&path, loose);
            let refused = open(&path, Access::ReadWrite, Rights::Owner).unwrap_err();
            assert!(matches!(refused, FileError::Loose { mode, .. } if mode == loose));
            assert!(refused.to_string().ends_with("chmod 600"), "{refused}");
        }
        set_mode(&path, 0o644);
        assert!(open(&path, Access::Append, Rights::GroupReads).is_ok());
        set_mode(&path, 0o664);
        assert!(open(&path, Access::Append, Rights::GroupReads).is_err());
        set_mode(&folder.0, 0o777);
        let refused = create_folder(&folder.0, Rights::Owner).unwrap_err();
        assert!(matches!(refused, FileError::Loose { mode: 0o777, .. }));
    }

    #[test]
    fn no_link_and_nothing_but_a_file_is_opened_or_written_through() {
        let folder = Folder::new("links");
        let target = folder.0.join("target");
        std::fs::write(&target, b"precious").unwrap();
        let link = folder.0.join("link");
        symlink(&target, &link).unwrap();
        let opened = open(&link, Access::ReadWrite, Rights::Owner);
        assert!(matches!(opened, Err(FileError::Link)));
        assert!(create_new(&link, Rights::Owner).is_err());
        replace(&link, b"new", Rights::Owner).unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"precious");
        assert!(std::fs::symlink_metadata(&link).unwrap().is_file());
        let opened = open(&folder.0, Access::ReadWrite, Rights::Owner);
        assert!(matches!(opened, Err(FileError::NotAFile)));
        let again = folder.0.join("again");
        symlink(&target, &again).unwrap();
        let opened = open_existing(&again, Access::Append, Rights::Owner);
        assert!(matches!(opened, Err(FileError::Link)));
        // A link that leads nowhere makes no file elsewhere.
        let nowhere = folder.0.join("nowhere");
        symlink(folder.0.join("made-through-a-link"), &nowhere).unwrap();
        assert!(open(&nowhere, Access::Append, Rights::Owner).is_err());
        assert!(!folder.0.join("made-through-a-link").exists());
        // Nor is there one in the place of what is not there.
        let absent = folder.0.join("absent");
        assert!(open_existing(&absent, Access::Append, Rights::Owner).is_err());
        assert!(!absent.exists());
    }

    #[test]
    fn a_folder_of_ones_own_is_no_link_and_nobody_elses_to_use() {
        let folder = Folder::new("own");
        check_own_folder(&folder.0).unwrap();
        let link = folder.0.join("link");
        symlink(&folder.0, &link).unwrap();
        assert!(matches!(check_own_folder(&link), Err(FileError::Link)));
        let file = folder.0.join("file");
        std::fs::write(&file, b"x").unwrap();
        assert!(check_own_folder(&file).is_err());
        for loose in [0o750, 0o701, 0o770] {
            set_mode(&folder.0, loose);
            let refused = check_own_folder(&folder.0).unwrap_err();
            assert!(matches!(refused, FileError::Loose { mode, .. } if mode == loose));
            assert!(refused.to_string().ends_with("chmod 700"), "{refused}");
        }
        set_mode(&folder.0, 0o700);
    }
}
