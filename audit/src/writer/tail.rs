//! The end of the file that is written: whether it is what it should be.

use crate::lines::{Ending, Lines};
use crate::opening::{Torn, rest_of};
use crate::storage::Storage;
use crate::text::Hash;
use std::io;

/// Sees that the file has `len` bytes of whole lines of which the last has the hash `head`, and says what is behind them.
///
/// # Errors
/// Those of the system; one in words if somebody else has changed the file.
pub(super) fn check(
    storage: &dyn Storage,
    name: &str,
    len: u64,
    head: Hash,
) -> io::Result<Option<Torn>> {
    let mut lines = Lines::new(storage.read(name)?);
    let changed = || {
        io::Error::other(format!(
            "{name} was changed by somebody else: it does not end as it was written"
        ))
    };
    while lines.offset() < len {
        match lines.next()? {
            Some(Ending::Whole) => {}
            _ => return Err(changed()),
        }
    }
    if lines.offset() != len || Hash::of(lines.line()) != head {
        return Err(changed());
    }
    rest_of(lines)
}
