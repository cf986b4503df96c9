//! What one file says of refused PINs, taken over into another: an engine and the people who look after it each have one of their own, and
//! where the one noted a refusal the other does not try it again.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, fchown};
use std::path::{Path, PathBuf};

use fips::secret::file::{self, Rights};
use rustix::fs::{Mode, OFlags};

use super::PinSource;

/// More than such a file ever holds.
const MAX_BYTES: u64 = 64 * 1024;
/// The word for a refusal ([`TokenConfig::pin_memory`](crate::pkcs11::TokenConfig::pin_memory)).
const REFUSED: &str = "refused";

/// Takes over from the file `from` into the file `to`, both as [`TokenConfig::pin_memory`](crate::pkcs11::TokenConfig::pin_memory) names
/// them, which tokens refused what is in `source` now. Says whether there was anything that `to` did not have. A file that is not there
/// says nothing.
///
/// Where root does it, `to` belongs to whoever has its folder: it is there for them to be read.
///
/// # Errors
/// The system's; `to` is as it was then.
pub fn take_over(from: &Path, to: &Path, source: &PinSource) -> io::Result<bool> {
    let Some(now) = source.stamp() else {
        return Ok(false);
    };
    let now = now.to_string();
    let mut lines = lines(to)?;
    let before = lines.clone();
    for line in self::lines(from)? {
        let Some(token) = refused(&line, &now) else {
            continue;
        };
        if !lines.contains(&line) {
            lines.retain(|known| known.split(' ').next() != Some(token));
            lines.push(line);
        }
    }
    if lines == before {
        return Ok(false);
    }
    let text: String = lines.into_iter().map(|line| line + "\n").collect();
    put(to, text.as_bytes()).map(|()| true)
}

/// Whether a token refused what is in `source` now, as this file says. One that cannot be read says nothing.
#[must_use]
pub fn says_refused(notes: &Path, source: &PinSource) -> bool {
    let Some(now) = source.stamp() else {
        return false;
    };
    let now = now.to_string();
    lines(notes).is_ok_and(|lines| lines.iter().any(|line| refused(line, &now).is_some()))
}

/// The token of a line that says that it refused the PIN of this state of its source.
fn refused<'a>(line: &'a str, now: &str) -> Option<&'a str> {
    let mut words = line.split(' ');
    let (token, outcome, stamp) = (words.next()?, words.next()?, words.next()?);
    (outcome == REFUSED && stamp == now).then_some(token)
}

fn lines(path: &Path) -> io::Result<Vec<String>> {
    // Without waiting, should somebody have put a pipe there.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(descriptor) => File::from(descriptor),
        Err(rustix::io::Errno::NOENT) => return Ok(Vec::new()),
        Err(errno) => return Err(errno.into()),
    };
    if !file.metadata()?.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut text = String::new();
    file.take(MAX_BYTES).read_to_string(&mut text)?;
    Ok(text.lines().map(str::to_owned).collect())
}

fn put(path: &Path, content: &[u8]) -> io::Result<()> {
    let folder = std::fs::metadata(path.parent().unwrap_or(Path::new("/")))?;
    if !rustix::process::geteuid().is_root() || folder.uid() == 0 {
        return file::replace(path, content, Rights::Owner);
    }
    // The owner is another one from the first moment that the file is there under its name.
    let mut draft = path.as_os_str().to_owned();
    draft.push(format!(".{}.notes", std::process::id()));
    let draft = PathBuf::from(draft);
    file::remove_if_there(&draft)?;
    let mut fresh = file::create_new(&draft, Rights::Owner)?;
    let put = fchown(&fresh, Some(folder.uid()), Some(folder.gid()))
        .and_then(|()| fresh.write_all(content))
        .and_then(|()| fresh.sync_all())
        .and_then(|()| std::fs::rename(&draft, path));
    if put.is_err() {
        let _ = file::remove_if_there(&draft);
    }
    put
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;

    #[test]
    fn a_refusal_of_what_the_source_says_now_is_taken_over_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let (from, to) = (at("engine"), at("own"));
        std::fs::write(at("pin"), "1234").unwrap();
        let source = PinSource::File(at("pin"));
        assert!(!take_over(&from, &to, &source).unwrap());
        let now = source.stamp().unwrap().to_string();
        let engine = format!("aa refused {now}\nbb begun {now}\ncc refused 1:2:3:4.5\n");
        std::fs::write(&from, engine).unwrap();
        std::fs::write(&to, "aa begun 1:2:3:4.5\ndd refused 1:2:3:4.5\n").unwrap();
        assert!(!says_refused(&to, &source));
        assert!(take_over(&from, &to, &source).unwrap());
        let text = std::fs::read_to_string(&to).unwrap();
        assert_eq!(text, format!("dd refused 1:2:3:4.5\naa refused {now}\n"));
        assert!(says_refused(&to, &source));
        assert!(!take_over(&from, &to, &source).unwrap());
        assert_eq!(std::fs::metadata(&to).unwrap().mode() & 0o777, 0o600);
        // Another PIN is another matter.
        std::fs::write(at("pin"), "12345").unwrap();
        assert!(!says_refused(&to, &source));
        std::fs::remove_file(&to).unwrap();
        assert!(!take_over(&from, &to, &source).unwrap());
        assert!(!to.exists());
    }

    #[test]
    fn what_is_noted_for_somebody_belongs_to_them() {
        let user = rustix::process::geteuid();
        // Others have nobody but themselves to note anything for.
        let (uid, gid) = match user.is_root() {
            true => (12_345, 54_321),
            false => (user.as_raw(), rustix::process::getegid().as_raw()),
        };
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("pin"), "1234").unwrap();
        let source = PinSource::File(at("pin"));
        let line = format!("aa refused {}\n", source.stamp().unwrap());
        std::fs::write(at("own"), line).unwrap();
        let theirs = at("engine");
        std::fs::create_dir(&theirs).unwrap();
        std::os::unix::fs::chown(&theirs, Some(uid), Some(gid)).unwrap();
        let notes = theirs.join("pin-refused");
        assert!(take_over(&at("own"), &notes, &source).unwrap());
        let found = std::fs::metadata(&notes).unwrap();
        assert_eq!((found.uid(), found.gid()), (uid, gid));
        assert_eq!(found.mode() & 0o777, 0o600);
        let names = std::fs::read_dir(&theirs).unwrap().count();
        assert_eq!(names, 1);
    }
}
