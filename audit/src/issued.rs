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
/// Certificates that were signed and of which the log does not know yet: with more of them nothing is signed.
pub const MAX_SIGNED: usize = 256;

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

/// A certificate that was signed for an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// The order, and what it gets.
    pub done: Done,
    /// The serial number, hexadecimal.
    pub serial: String,
    /// SHA-256 of the authority's public key.
    pub key: Hash,
}

/// Whether an order may be worked on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// It may: nothing was signed for it. It is in hand until [`IssuedMemory::end`].
    Fresh,
    /// It may: this was signed for it, and its entry was not durable when its time was over. Nothing else is ever signed for it; once an
    /// entry is durable it is answered. It is in hand until [`IssuedMemory::end`].
    Signed(Box<Signed>),
    /// Another request has it in hand.
    InHand,
    /// Too many signed certificates wait for their entries.
    TooManySigned,
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
    /// Signed by this process; the log does not know yet.
    #[serde(skip)]
    signed: BTreeMap<(String, String), Signed>,
    /// The highest number that this process has begun to sign a list with, by authority.
    #[serde(skip)]
    begun_lists: BTreeMap<String, u64>,
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

    /// The highest number of a list of this authority, one that is being signed among them.
    #[must_use]
    pub fn last_list(&self, ca: &str) -> Option<u64> {
        let begun = self.begun_lists.get(ca).copied();
        self.lists.get(ca).copied().max(begun)
    }

    /// Takes a number for a list, if it is above every other one: no two lists are signed with one number, whatever becomes of them.
    pub fn begin_list(&mut self, ca: &str, number: u64) -> bool {
        let is_next = self.last_list(ca).is_none_or(|last| number > last);
        if is_next {
            self.begun_lists.insert(ca.to_owned(), number);
        }
        is_next
    }

    /// Takes an order in hand, if nobody has it.
    #[must_use]
    pub fn begin(&mut self, ca: &str, order: &str) -> Begun {
        let name = (ca.to_owned(), order.to_owned());
        if self.pending.contains(&name) {
            return Begun::InHand;
        }
        let begun = match self.signed.get(&name) {
            Some(signed) => Begun::Signed(Box::new(signed.clone())),
            None if self.signed.len() >= MAX_SIGNED => return Begun::TooManySigned,
            None => Begun::Fresh,
        };
        self.pending.insert(name);
        begun
    }

    /// Keeps what was signed until the log knows of it.
    pub fn signed(&mut self, signed: Signed) {
        let name = (signed.done.ca.clone(), signed.done.order.clone());
        self.signed.insert(name, signed);
    }

    /// It is in hand no longer.
    pub fn end(&mut self, ca: &str, order: &str) {
        self.pending.remove(&(ca.to_owned(), order.to_owned()));
    }

    fn remember(&mut self, done: Done) {
        self.signed.remove(&(done.ca.clone(), done.order.clone()));
        // Told twice, where the first entry was late.
        if self.done(&done.ca, &done.order) == Some(&done) {
            return;
        }
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
        let restored = Self::deserialize(snapshot).map_err(|error| error.to_string())?;
        self.orders = restored.orders;
        self.lists = restored.lists;
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
        assert_eq!(memory.begin("issuing", "a"), Begun::Fresh);
        assert_eq!(memory.begin("issuing", "a"), Begun::InHand);
        memory.end("issuing", "a");
        assert_eq!(memory.begin("issuing", "a"), Begun::Fresh);
    }

    #[test]
    fn a_number_is_for_one_list_also_while_the_log_does_not_know_of_it() {
        let mut memory = IssuedMemory::default();
        assert!(memory.begin_list("issuing", 7));
        assert!(!memory.begin_list("issuing", 7) && !memory.begin_list("issuing", 6));
        assert_eq!(memory.last_list("issuing"), Some(7));
        assert!(memory.begin_list("other", 7) && memory.begin_list("issuing", 8));
        // What the log does not have, another process may use.
        let mut again = IssuedMemory::default();
        again.restore(&memory.snapshot()).unwrap();
        assert_eq!(again.last_list("issuing"), None);
    }

    fn signed(order: &str) -> Signed {
        Signed {
            done: Done {
                ca: "issuing".to_owned(),
                order: order.to_owned(),
                profile: "mail".to_owned(),
                csr: Hash::NONE,
                certificate: "A".repeat(10),
            },
            serial: "01".to_owned(),
            key: Hash::NONE,
        }
    }

    #[test]
    fn what_was_signed_is_kept_until_the_log_knows_of_it_and_is_remembered_once() {
        let mut memory = IssuedMemory::default();
        assert_eq!(memory.begin("issuing", "late"), Begun::Fresh);
        memory.signed(signed("late"));
        memory.end("issuing", "late");
        assert_eq!(memory.done("issuing", "late"), None);
        let again = memory.begin("issuing", "late");
        assert_eq!(again, Begun::Signed(Box::new(signed("late"))));
        assert_eq!(memory.begin("issuing", "late"), Begun::InHand);
        // The late entry, and the one of the second attempt.
        memory.apply(&entry("late", certificate(10)));
        memory.apply(&entry("late", certificate(10)));
        memory.end("issuing", "late");
        assert_eq!(memory.orders.len(), 1);
        assert_eq!(memory.done("issuing", "late"), Some(&signed("late").done));
        assert_eq!(memory.begin("issuing", "late"), Begun::Fresh);
    }

    #[test]
    fn what_waits_for_the_log_is_bounded() {
        let mut memory = IssuedMemory::default();
        for number in 0..MAX_SIGNED {
            memory.signed(signed(&format!("order-{number}")));
        }
        assert_eq!(memory.begin("issuing", "one-more"), Begun::TooManySigned);
        assert!(matches!(
            memory.begin("issuing", "order-3"),
            Begun::Signed(_)
        ));
        memory.apply(&entry("order-0", certificate(10)));
        assert_eq!(memory.begin("issuing", "one-more"), Begun::Fresh);
    }
}
