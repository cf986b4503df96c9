//! Entries for whoever wants to look at them: as they stand there, not verified ([`crate::verify`] does that).

use crate::entry::Entry;
use crate::event::Event;
use crate::lines::Ending;
use crate::seal::{Anchor, Statement};
use crate::storage::Storage;
use crate::walk::{Place, Step, Walk};
use std::io;
use std::ops::ControlFlow;

/// Gives every entry to `each`, in the order of the log, until it has enough. Returns how many lines were no entries.
///
/// # Errors
/// Those of the storage.
pub fn entries(
    storage: &dyn Storage,
    mut each: impl FnMut(&Place, &Entry, &str) -> ControlFlow<()>,
) -> io::Result<u64> {
    let mut walk = Walk::new(storage)?;
    let mut unreadable = 0_u64;
    while let Some(step) = walk.next()? {
        let Step::Line { place, ending, .. } = step else {
            continue;
        };
        let line = std::str::from_utf8(walk.bytes()).unwrap_or_default();
        match Entry::from_line(line) {
            Ok(entry) if ending == Ending::Whole => {
                if each(&place, &entry, line).is_break() {
                    break;
                }
            }
            _ => unreadable = unreadable.saturating_add(1),
        }
    }
    Ok(unreadable)
}

/// The anchor of the last seal.
///
/// # Errors
/// Those of the storage.
pub fn last_anchor(storage: &dyn Storage) -> io::Result<Option<Anchor>> {
    let mut log = String::new();
    let mut last = None;
    entries(storage, |_, entry, _| {
        match &entry.event {
            Event::Begin(begin) => log.clone_from(&begin.log),
            Event::Seal(seal) => last = Some(Statement::of(&log, entry, seal).anchor(seal)),
            _ => {}
        }
        ControlFlow::Continue(())
    })?;
    Ok(last)
}
