//! State that follows from the log alone.

use crate::entry::Entry;
use serde_json::Value;

/// Something that is computed from the entries of a log, one after the other, and whose snapshot stands in the first line of each
/// file: a start restores it and reads the newest file only. The same entries give the same state, whatever the clock says.
pub trait Fold: Send {
    /// Takes an entry in. Called once for each entry, in the order of the log, after it is durable.
    fn apply(&mut self, entry: &Entry);

    /// The state, of bounded size: at most 1 MiB as JSON.
    fn snapshot(&self) -> Value;

    /// Goes back to a snapshot.
    ///
    /// # Errors
    /// In words, when it is none of this release: the log is not opened then.
    fn restore(&mut self, snapshot: &Value) -> Result<(), String>;
}

/// One that others look at while the log feeds it.
impl<T: Fold> Fold for std::sync::Arc<std::sync::Mutex<T>> {
    fn apply(&mut self, entry: &Entry) {
        self.lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .apply(entry);
    }

    fn snapshot(&self) -> Value {
        self.lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .snapshot()
    }

    fn restore(&mut self, snapshot: &Value) -> Result<(), String> {
        self.lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .restore(snapshot)
    }
}
