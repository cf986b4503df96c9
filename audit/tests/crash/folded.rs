//! The ledger that a start comes back to, beside one that reads every entry of the log from its first.

use audit::Entry;
use audit::ledger::{Ledger, LedgerSnapshot, Limits, Standing};
use std::sync::{Arc, Mutex};

/// Ledgers after each of the lines that were read last: the next end leaves nearly the same ones.
#[derive(Default)]
pub(crate) struct Folded(Vec<(String, Ledger, i64)>);

impl Folded {
    /// Whether `restored` has the budgets, the quarantine and the counts that follow from these lines.
    pub(crate) fn agrees<'a>(
        &mut self,
        restored: &Arc<Mutex<Ledger>>,
        lines: impl Iterator<Item = (&'a u64, &'a String)>,
    ) -> Result<(), String> {
        let mut count = 0;
        for (index, (_, line)) in lines.enumerate() {
            count = index + 1;
            if self.0.get(index).is_some_and(|(known, ..)| known == line) {
                continue;
            }
            self.0.truncate(index);
            let mut ledger = self
                .0
                .last()
                .map(|(_, ledger, _)| ledger.clone())
                .unwrap_or_default();
            let entry = Entry::from_line(line).map_err(|error| error.to_string())?;
            ledger.apply(&entry);
            self.0.push((line.clone(), ledger, entry.time.as_ms()));
        }
        let nothing = (String::new(), Ledger::default(), 0);
        let (_, expected, now) = match count {
            0 => &nothing,
            count => &self.0[count - 1],
        };
        let restored = restored.lock().unwrap();
        let (expected, found) = (state(expected, *now), state(&restored, *now));
        if expected == found {
            return Ok(());
        }
        Err(format!("the ledger is {found:?}, and was {expected:?}"))
    }
}

/// All that anything is decided by, and how it is shown.
fn state(ledger: &Ledger, now: i64) -> (LedgerSnapshot, [Vec<Standing>; 2], usize) {
    let limits = Limits::default();
    let standings = [ledger.importers(now, &limits), ledger.callers(now, &limits)];
    (ledger.snapshot(now), standings, ledger.quarantined_len())
}
