//! What follows from the log about authorities: which certificate an order got, and which number the last revocation list had.
//!
//! Orders are remembered for as long as an answer may be lost on its way: the last [`MAX_ORDERS`] of them, over restarts. Whoever asked
//! keeps certificates for longer.

use crate::entry::Entry;
use crate::event::{CaAct, Event};
use crate::fold::Fold;
use crate::text::Hash;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Orders that are remembered.
pub const MAX_ORDERS: usize = 256;
/// Certificates that are remembered, in characters of base64: a snapshot has a MiB at most.
const MAX_CHARACTERS: usize = 640 * 1024;

/// An order that was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Done {
    /// The authority.
    pub ca: String,
    /// The order's id.
    pub order: String,
    /// The profile.
    pub profile: String,
    /// SHA-256 of the request (DER).
    pub csr: Hash,
    /// The certificate (DER) in base64.
    pub certificate: String,
}

/// A [`Fold`] over the log; its snapshots are called [`IssuedMemory::NAME`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IssuedMemory {
    orders: VecDeque<Done>,
    /// The highest number of a list, by authority.
    lists: BTreeMap<String, u64>,
    /// Being worked on by this process.
    #[serde(skip)]
    pending: BTreeSet<(String, String)>,
}

impl IssuedMemory {
    /// What its snapshots are called in a log.
    pub const NAME: &'static str = "issued";

    /// What an order got.
    #[must_use]
    pub fn done(&self, ca: &str, order: &str) -> Option<&Done> {
        self.orders
            .iter()
            .rev()
            .find(|done| done.ca == ca && done.order == order)
    }

    /// The highest number of a list of this authority.
    #[must_use]
    pub fn last_list(&self, ca: &str) -> Option<u64> {
        self.lists.get(ca).copied()
    }

    /// Takes what is begun; false: it is in hand already.
    pub fn begin(&mut self, ca: &str, order: &str) -> bool {
        self.pending.insert((ca.to_owned(), order.to_owned()))
    }

    /// It is in hand no longer.
    pub fn end(&mut self, ca: &str, order: &str) {
        self.pending.remove(&(ca.to_owned(), order.to_owned()));
    }

    fn remember(&mut self, done: Done) {
        self.orders.push_back(done);
        let mut characters: usize = self.orders.iter().map(|done| done.certificate.len()).sum();
        while self.orders.len() > MAX_ORDERS || characters > MAX_CHARACTERS {
            let Some(oldest) = self.orders.pop_front() else {
                break;
            };
            characters = characters.saturating_sub(oldest.certificate.len());
        }
    }
}

impl Fold for IssuedMemory {
    fn apply(&mut self, entry: &Entry) {
        let Event::CaUse(used) = &entry.event else {
            return;
        };
        match &used.signed {
            CaAct::Certificate {
                profile,
                csr,
                certificate,
                ..
            } => self.remember(Done {
                ca: used.ca.clone(),
                order: used.request.clone(),
                profile: profile.clone(),
                csr: *csr,
                certificate: certificate.clone(),
            }),
            CaAct::List { number, .. } => {
                let last = self.lists.entry(used.ca.clone()).or_default();
                *last = (*last).max(*number);
            }
            CaAct::Responder { .. } | CaAct::Status { .. } => {}
        }
    }

    fn snapshot(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    fn restore(&mut self, snapshot: &Value) -> Result<(), String> {
        let pending = std::mem::take(&mut self.pending);
        *self = Self::deserialize(snapshot).map_err(|error| error.to_string())?;
        self.pending = pending;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;
    use crate::event::{CaUse, Caller};
    use crate::{FORMAT_VERSION, Timestamp};

    fn entry(order: &str, signed: CaAct) -> Entry {
        Entry {
            v: FORMAT_VERSION,
            seq: 1,
            time: Timestamp::from_ms(0),
            boot: String::new(),
            prev: Hash::NONE,
            event: Event::CaUse(Box::new(CaUse {
                request: order.to_owned(),
                caller: Caller::default(),
                ca: "issuing".to_owned(),
                key: Hash::NONE,
                signed,
                policy: Hash::NONE,
            })),
        }
    }

    fn certificate(length: usize) -> CaAct {
        CaAct::Certificate {
            profile: "mail".to_owned(),
            csr: Hash::NONE,
            serial: "01".to_owned(),
            certificate: "A".repeat(length),
        }
    }

    #[test]
    fn the_newest_orders_are_remembered_over_restarts_and_the_memory_is_bounded() {
        let mut memory = IssuedMemory::default();
        for number in 0..=MAX_ORDERS {
            memory.apply(&entry(&format!("order-{number}"), certificate(10)));
        }
        assert!(memory.done("issuing", "order-0").is_none());
        assert!(memory.done("issuing", "order-1").is_some());
        assert!(memory.done("other", "order-1").is_none());
        let mut again = IssuedMemory::default();
        again.restore(&memory.snapshot()).unwrap();
        assert_eq!(again, memory);
        for number in 0..100 {
            memory.apply(&entry(&format!("large-{number}"), certificate(20_000)));
        }
        assert!(memory.snapshot().to_string().len() < 1024 * 1024);
        assert!(memory.done("issuing", "large-99").is_some());
    }

    #[test]
    fn the_number_of_lists_only_grows_and_an_order_is_in_one_hand() {
        let mut memory = IssuedMemory::default();
        for number in [7, 3] {
            memory.apply(&entry(
                "list",
                CaAct::List {
                    number,
                    base: None,
                    entries: 0,
                    list: Hash::NONE,
                },
            ));
        }
        assert_eq!(memory.last_list("issuing"), Some(7));
        assert_eq!(memory.last_list("other"), None);
        assert!(memory.begin("issuing", "a") && !memory.begin("issuing", "a"));
        memory.end("issuing", "a");
        assert!(memory.begin("issuing", "a"));
    }
}
