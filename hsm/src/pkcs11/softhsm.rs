//! SoftHSM 2.6 rewrites a token's own file, `token.object`, at every C_Login, in place: a process that is killed between the
//! truncation and the write leaves an empty file, and the token with all its keys is gone for good.
//!
//! So before SoftHSM is initialised, every whole `token.object` is copied to `token.guard` beside it, and one that is not whole (empty, cut off,
//! or of bytes that never arrived) is put back from there; what was found in its place is kept as `token.damaged`. The copy holds what the original holds (labels, and the token's keys encrypted under the PINs), with
//! the same protection. It is made anew before each login with a PIN that the token did not take last, and each login of the user: a PIN that
//! another tool has changed meanwhile is not taken back by a kill, and from then on the copy does not open with the old one. Nothing of
//! this can fail an opening or a login: without it SoftHSM is as good as it was.

mod object;

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use fips::secret::file::{self, Rights};

/// Where SoftHSM looks for its configuration when SOFTHSM2_CONF does not say.
pub(super) const USUAL_CONFIGURATION: &str = "/etc/softhsm/softhsm2.conf";
/// The file that is guarded; a real one has some 300 bytes.
const OBJECT: &str = "token.object";
/// The copy. SoftHSM reads no file whose name does not end in `.object`.
const GUARD: &str = "token.guard";
/// What was found instead of a whole file.
const DAMAGED: &str = "token.damaged";
/// A file that is not whole and that is younger than this may be one that is just being written: then it is left alone, and whoever opens the
/// token has to try again, as the engine does.
const SETTLED: Duration = Duration::from_secs(1);
const MAX_FILE_BYTES: u64 = 64 * 1024;
const MAX_TOKENS: usize = 4096;

/// How often, and at what intervals, a file is read that another process may be writing.
const READINGS: usize = 5;
const BETWEEN_READINGS: Duration = Duration::from_millis(2);

/// Held while copies are made: drafts have the name of the process.
static WRITING: Mutex<()> = Mutex::new(());

/// Guards the tokens of SoftHSM's configured folder, if `module` is SoftHSM. Before C_Initialize: nobody in this process uses them.
pub(super) fn guard(module: &Path) {
    for_each_token(module, |token| {
        if guard_token(token, SETTLED)? {
            tracing::warn!(
                token = %token.display(),
                "SoftHSM had lost the token's own file (a process was killed while it logged in); it was put back from its copy"
            );
        }
        Ok(())
    });
}

/// Copies the tokens' files as they are now, if `module` is SoftHSM. Before a login: SoftHSM uses them, so nothing is put back.
pub(super) fn copy(module: &Path) {
    for_each_token(module, copy_token);
}

fn for_each_token(module: &Path, action: impl Fn(&Path) -> io::Result<()>) {
    let is_softhsm = module
        .file_name()
        .is_some_and(|name| name.to_string_lossy().contains("softhsm"));
    if !is_softhsm {
        return;
    }
    let Some(folder) = token_folder() else {
        return;
    };
    let Ok(entries) = fs::read_dir(&folder) else {
        return;
    };
    let _writing = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
    for entry in entries.flatten().take(MAX_TOKENS) {
        let token = entry.path();
        if let Err(error) = action(&token) {
            tracing::debug!(token = %token.display(), %error, "the token's own file is not guarded");
        }
    }
}

/// `directories.tokendir` of the configuration that SoftHSM will read.
fn token_folder() -> Option<PathBuf> {
    let configuration = match std::env::var_os("SOFTHSM2_CONF") {
        Some(path) => PathBuf::from(path),
        None => std::env::var_os("HOME")
            .map(|home| PathBuf::from(home).join(".config/softhsm2/softhsm2.conf"))
            .filter(|path| path.is_file())
            .unwrap_or_else(|| PathBuf::from(USUAL_CONFIGURATION)),
    };
    token_folder_of(&configuration)
}

/// `directories.tokendir` of this configuration.
pub(super) fn token_folder_of(configuration: &Path) -> Option<PathBuf> {
    read_configuration(configuration)?.lines().find_map(|line| {
        let (key, value) = line.split_once('=')?;
        (key.trim() == "directories.tokendir").then(|| PathBuf::from(value.trim()))
    })
}

/// The text of a configuration, if it is one.
pub(super) fn read_configuration(path: &Path) -> Option<String> {
    String::from_utf8(read(path).ok()?).ok()
}

/// Copies a whole file, or puts back one that is not; tells whether it did the latter. A copy is never replaced by less than a whole file.
fn guard_token(token: &Path, settled: Duration) -> io::Result<bool> {
    let object = token.join(OBJECT);
    let content = read(&object)?;
    if object::is_whole(&content) {
        return keep(token, &content).map(|()| false);
    }
    let copy = read_if_there(&token.join(GUARD))?;
    // A time in the future is a clock that was set back: then the file's age says nothing.
    let age = fs::metadata(&object)?.modified()?.elapsed().ok();
    if !object::is_whole(&copy) || age.is_some_and(|age| age < settled) {
        return Ok(false);
    }
    if !content.is_empty() {
        replace(token, &token.join(DAMAGED), &content)?;
    }
    replace(token, &object, &copy)?;
    Ok(true)
}

/// Copies a whole file, and nothing else.
fn copy_token(token: &Path) -> io::Result<()> {
    let object = token.join(OBJECT);
    for reading in 0..READINGS {
        if reading > 0 {
            std::thread::sleep(BETWEEN_READINGS);
        }
        let content = read(&object)?;
        // Twice: a file that is written meanwhile may give the beginning of one state and the end of another.
        if object::is_whole(&content) && read(&object)? == content {
            return keep(token, &content);
        }
    }
    Err(io::Error::from(io::ErrorKind::InvalidData))
}

/// Makes `content` the copy, if it is not.
fn keep(token: &Path, content: &[u8]) -> io::Result<()> {
    let guard = token.join(GUARD);
    if read_if_there(&guard)? == content {
        return Ok(());
    }
    replace(token, &guard, content)
}

/// Empty if there is none.
fn read_if_there(path: &Path) -> io::Result<Vec<u8>> {
    match read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        other => other,
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    let file = fs::File::open(path)?;
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut content)?;
    match u64::try_from(content.len()) {
        Ok(length) if length <= MAX_FILE_BYTES => Ok(content),
        _ => Err(io::Error::from(io::ErrorKind::FileTooLarge)),
    }
}

/// Puts `content` in the place of `target`, durably: after a crash there is the old file or the new one.
fn replace(token: &Path, target: &Path, content: &[u8]) -> io::Result<()> {
    // A name of this process's own: another one may be doing the same.
    let draft = token.join(format!("{GUARD}.{}", std::process::id()));
    file::remove_if_there(&draft)?;
    let mut file = file::create_new(&draft, Rights::Owner)?;
    // What root leaves behind while it looks at somebody's token has to stay that user's, or the token is lost to them.
    if rustix::process::geteuid().is_root() {
        let owner = fs::metadata(token)?;
        std::os::unix::fs::fchown(&file, Some(owner.uid()), Some(owner.gid()))?;
    }
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&draft, target)?;
    fs::File::open(token)?.sync_all()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]

    use super::object::tests::sample;
    use super::*;

    #[test]
    fn a_whole_file_is_copied_and_what_is_less_put_back() {
        let token = tempfile::tempdir().unwrap();
        let object = token.path().join(OBJECT);
        let guard = || guard_token(token.path(), Duration::ZERO).unwrap();
        for pin in [[1; 72], [2; 72]] {
            let whole = sample(&pin);
            fs::write(&object, &whole).unwrap();
            assert!(!guard());
            for end in (0..whole.len()).step_by(7).chain([whole.len() - 1]) {
                fs::write(&object, &whole[..end]).unwrap();
                assert!(guard(), "{end}");
                assert_eq!(fs::read(&object).unwrap(), whole, "{end}");
                if end > 0 {
                    assert_eq!(fs::read(token.path().join(DAMAGED)).unwrap(), whole[..end]);
                }
            }
            fs::write(&object, vec![0; whole.len()]).unwrap();
            assert!(guard());
            assert_eq!(fs::read(&object).unwrap(), whole);
        }
    }

    #[test]
    fn before_a_login_whole_files_are_copied_and_nothing_is_put_back() {
        let token = tempfile::tempdir().unwrap();
        let (object, guard) = (token.path().join(OBJECT), token.path().join(GUARD));
        let (old, new) = (sample(&[1; 72]), sample(&[2; 72]));
        for whole in [&old, &new] {
            fs::write(&object, whole).unwrap();
            copy_token(token.path()).unwrap();
            assert_eq!(fs::read(&guard).unwrap(), *whole);
        }
        for content in [&b""[..], &old[..100], &old[..old.len() - 1]] {
            fs::write(&object, content).unwrap();
            copy_token(token.path()).unwrap_err();
            assert_eq!(fs::read(&object).unwrap(), content);
            assert_eq!(fs::read(&guard).unwrap(), new);
        }
    }

    #[test]
    fn a_file_that_may_just_be_written_is_left_alone() {
        let token = tempfile::tempdir().unwrap();
        let whole = sample(&[1; 72]);
        fs::write(token.path().join(GUARD), &whole).unwrap();
        for content in [&b""[..], &whole[..100]] {
            fs::write(token.path().join(OBJECT), content).unwrap();
            assert!(!guard_token(token.path(), Duration::from_secs(3600)).unwrap());
            assert_eq!(fs::read(token.path().join(OBJECT)).unwrap(), content);
        }
    }

    #[test]
    fn what_never_was_whole_stays_as_it_is() {
        let token = tempfile::tempdir().unwrap();
        assert!(guard_token(token.path(), Duration::ZERO).is_err());
        for content in [&b""[..], b"of a release that nobody knows"] {
            fs::write(token.path().join(OBJECT), content).unwrap();
            assert!(!guard_token(token.path(), Duration::ZERO).unwrap());
            assert!(!token.path().join(GUARD).exists());
            assert_eq!(fs::read(token.path().join(OBJECT)).unwrap(), content);
        }
    }

    #[test]
    fn copies_belong_to_whom_the_token_belongs_also_where_root_makes_them() {
        let token = tempfile::tempdir().unwrap();
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(token.path(), Some(12345), Some(12346)).unwrap();
        }
        let owner = |path: &Path| {
            let found = fs::metadata(path).unwrap();
            (found.uid(), found.gid())
        };
        let object = token.path().join(OBJECT);
        fs::write(&object, sample(&[1; 72])).unwrap();
        guard_token(token.path(), Duration::ZERO).unwrap();
        assert_eq!(owner(&token.path().join(GUARD)), owner(token.path()));
        fs::write(&object, b"").unwrap();
        assert!(guard_token(token.path(), Duration::ZERO).unwrap());
        assert_eq!(owner(&object), owner(token.path()));
    }
}
