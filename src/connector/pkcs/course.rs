//! Which order of a request is worked at: this connector's own, or one that is only known from the gateway.
//!
//! The one rule: **ordered is only the CSR that this connector's own engine made for the request, as its own journal says.** The gateway knows
//! the custody key's public half and could make up a CSR and a sealed key that fit each other, so that no comparison tells its own from
//! another connector's. What it tells of somebody else's order is therefore only ever used to ask the authority what became of that order.
//! An own order is kept beside it and never lost for it.
//!
//! Connectors that tell the truth leave this to go by: the gateway is told `Ordered` before the authority is asked. So a told `KeyMade` was
//! never ordered, and each step carries the fence of the lease under which it was reached: of two, the one with the higher fence is later.

use super::progress::{Progress, Step};
use serde::{Deserialize, Serialize};

/// Version of what the journal keeps.
const VERSION: u16 = 2;

/// Whose order is worked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    /// The engine of this connector made key and CSR: it may be ordered, and what was issued for it revoked.
    Own,
    /// The gateway told of it: the authority is asked about it and nothing else.
    Told,
}

/// The order that is worked at, and the other one that there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Course {
    /// How far the one that is worked at got.
    pub(crate) at: Progress,
    /// Whose that one is.
    pub(crate) whose: Whose,
    /// While another connector's order is followed: the own one. While the own one is worked at: the one that the gateway told of.
    pub(crate) other: Option<Progress>,
}

/// What the journal says of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Kept {
    /// The order whose key the own engine made.
    pub(crate) own: Option<Progress>,
    /// What the authority said about another connector's.
    pub(crate) told: Option<Progress>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Written<P> {
    version: u16,
    own: Option<P>,
    told: Option<P>,
}

impl Kept {
    /// What was kept; `None` for what this release does not know.
    pub(crate) fn of_bytes(bytes: &[u8]) -> Option<Self> {
        let written: Written<Progress> = serde_json::from_slice(bytes).ok()?;
        (written.version == VERSION).then_some(Self {
            own: written.own,
            told: written.told,
        })
    }
}

impl Course {
    /// The own order.
    pub(crate) fn own(at: Progress) -> Self {
        Self {
            at,
            whose: Whose::Own,
            other: None,
        }
    }

    /// As the journal keeps it.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let (own, told) = match self.whose {
            Whose::Own => (Some(&self.at), None),
            Whose::Told => (self.other.as_ref(), Some(&self.at)),
        };
        let written = Written {
            version: VERSION,
            own,
            told,
        };
        // Texts, numbers and base64 have a JSON form.
        serde_json::to_vec(&written).unwrap_or_default()
    }

    /// The other order is worked at from now on.
    pub(crate) fn switch(&mut self) {
        if let Some(other) = self.other.take() {
            self.other = Some(std::mem::replace(&mut self.at, other));
            self.whose = match self.whose {
                Whose::Own => Whose::Told,
                Whose::Told => Whose::Own,
            };
        }
    }

    /// Where to go on when the authority was asked for nothing under the request's name, or may be asked once more: with the own key, where
    /// there is one.
    pub(crate) fn anew(self, fence: u64) -> Option<Self> {
        let own = match self.whose {
            Whose::Own => Some(self.at),
            Whose::Told => self.other,
        };
        own.map(|mut own| {
            own.reach(Step::KeyMade, fence);
            Self::own(own)
        })
    }
}

/// Where to go on under the lease `fence`, from what the own journal and the gateway say; `None`: a key has to be made.
pub(crate) fn resume(kept: Kept, told: Option<Progress>, fence: u64) -> Option<Course> {
    let told = told.map(|mut told| {
        // Nothing was told under a lease that is still to come.
        told.fence = told.fence.min(fence);
        told
    });
    let follow = |at: Progress, own: Option<Progress>| {
        (at.step != Step::KeyMade).then_some(Course {
            at,
            whose: Whose::Told,
            other: own,
        })
    };
    match (kept.own, later(kept.told, told)) {
        (None, None) => None,
        (None, Some(told)) => follow(told, None),
        (Some(own), None) => Some(Course::own(own)),
        (Some(own), Some(told)) if own.csr == told.csr => Some(same_key(own, told)),
        (Some(own), Some(told)) => {
            // Another connector has a key of its own. It made that when it had nothing to follow, or was told that nothing was ordered.
            let followed = match own.step {
                _ if told.step == Step::KeyMade => false,
                Step::KeyMade => true,
                Step::Ordered | Step::Pending { .. } => told.fence > own.fence,
                // There is a certificate for the own key: there is nothing to ask.
                Step::Issued { .. } => false,
            };
            if followed {
                follow(told, Some(own))
            } else {
                Some(Course {
                    other: Some(told).filter(|told| told.step != Step::KeyMade),
                    ..Course::own(own)
                })
            }
        }
    }
}

/// The own order, of which others may have learned more: by asking, since nobody else orders it.
fn same_key(mut own: Progress, mut told: Progress) -> Course {
    if told.fence <= own.fence || told.step.rank() <= own.step.rank() {
        return Course::own(own);
    }
    if matches!(told.step, Step::Issued { .. }) {
        // The certificate is the gateway's word: if it is a wrong one, nobody is revoked for it.
        told.sealed_key = own.sealed_key.clone();
        return Course {
            at: told,
            whose: Whose::Told,
            other: Some(own),
        };
    }
    own.asked_ms = own.asked_ms.or(told.asked_ms);
    own.reach(told.step, told.fence);
    Course::own(own)
}

/// Of what the authority once said here about another connector's order, and what the gateway tells now, what is later.
fn later(kept: Option<Progress>, told: Option<Progress>) -> Option<Progress> {
    match (kept, told) {
        (Some(kept), Some(told)) => {
            let is_later = if kept.csr == told.csr {
                (told.step.rank(), told.fence) > (kept.step.rank(), kept.fence)
            } else {
                told.fence > kept.fence
            };
            Some(if is_later { told } else { kept })
        }
        (kept, told) => kept.or(told),
    }
}
