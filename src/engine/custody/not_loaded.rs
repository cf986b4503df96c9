//! A PKCS#11 module that could not be loaded before the sandbox was put in force. This process can load none any more: whatever is mended, only
//! another one finds it. So this one keeps what the loader said, and is replaced when something may have changed.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Not before: whoever puts the file there may still be writing it, and each process costs its start.
const SETTLING: Duration = Duration::from_secs(1);
/// Without a change of the file: it may be a library that the module needs that is not there.
const RETRY: Duration = Duration::from_secs(30);
/// The same while other tokens serve, to whom another process is a loss.
const RETRY_WHILE_SERVED: Duration = Duration::from_secs(15 * 60);

/// A module that is not loaded.
pub(super) struct NotLoaded {
    /// Why, for the operator.
    pub(super) problem: String,
    module: PathBuf,
    then: Option<Stamp>,
    since: Instant,
}

/// What changes when somebody replaces, writes or repairs a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    file: (u64, u64),
    bytes: u64,
    /// Seconds and nanoseconds of the last change of content, rights or owner.
    changed: (i64, i64),
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let found = std::fs::metadata(path).ok()?;
        Some(Self {
            file: (found.dev(), found.ino()),
            bytes: found.len(),
            changed: (found.ctime(), found.ctime_nsec()),
        })
    }
}

impl NotLoaded {
    /// Tries `load` on the module; `None`: it is loaded. The file is looked at first, so that no change of it is missed.
    pub(super) fn unless(
        module: &Path,
        now: Instant,
        load: impl FnOnce(&Path) -> Result<(), String>,
    ) -> Option<Self> {
        let then = Stamp::of(module);
        let problem = load(module).err()?;
        Some(Self {
            problem: format!(
                "the PKCS#11 module cannot be loaded: {problem} (it is tried again when {} changes, and every now and then)",
                module.display()
            ),
            module: module.to_owned(),
            then,
            since: now,
        })
    }

    /// Why another process may load it, if so.
    pub(super) fn is_worth_another(
        &self,
        now: Instant,
        others_serve: bool,
    ) -> Option<&'static str> {
        let age = now.saturating_duration_since(self.since);
        let retry = match others_serve {
            true => RETRY_WHILE_SERVED,
            false => RETRY,
        };
        if age < SETTLING {
            None
        } else if Stamp::of(&self.module) != self.then {
            Some("its file has changed")
        } else if age >= retry {
            Some("what it needs may be there by now")
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;

    fn failing(module: &Path, now: Instant) -> NotLoaded {
        NotLoaded::unless(module, now, |_| Err("invalid ELF header".to_owned())).unwrap()
    }

    #[test]
    fn what_is_loaded_is_no_reason() {
        assert!(NotLoaded::unless(Path::new("/x"), Instant::now(), |_| Ok(())).is_none());
    }

    #[test]
    fn a_file_that_appears_or_changes_is_a_reason_but_not_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let module = folder.path().join("module.so");
        let now = Instant::now();
        let not_loaded = failing(&module, now);
        assert!(not_loaded.problem.contains("invalid ELF header"));
        assert_eq!(not_loaded.is_worth_another(now + SETTLING, false), None);
        std::fs::write(&module, "half").unwrap();
        assert_eq!(not_loaded.is_worth_another(now, false), None);
        assert!(not_loaded.is_worth_another(now + SETTLING, true).is_some());

        // The same file, of which more is there.
        let not_loaded = failing(&module, now);
        assert_eq!(not_loaded.is_worth_another(now + SETTLING, false), None);
        std::fs::write(&module, "half and half").unwrap();
        assert!(not_loaded.is_worth_another(now + SETTLING, false).is_some());
    }

    #[test]
    fn without_a_change_it_is_tried_now_and_then_and_seldom_where_others_serve() {
        let now = Instant::now();
        let not_loaded = failing(Path::new("/nothing/here.so"), now);
        let reason = |after, served| not_loaded.is_worth_another(now + after, served).is_some();
        assert!(!reason(RETRY - SETTLING, false));
        assert!(reason(RETRY, false));
        assert!(!reason(RETRY, true));
        assert!(reason(RETRY_WHILE_SERVED, true));
    }
}
