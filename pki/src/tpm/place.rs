//! Where an object is: what is above it, up to a hierarchy, as far as its qualified name tells.

use super::{Name, Public};
use serde::Serialize;

/// Public areas of parents that are looked at.
pub const MAX_PARENTS: usize = 4;

/// A hierarchy of the TPM: a permanent handle (part 2, clause 7.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Hierarchy {
    /// TPM_RH_OWNER: storage.
    Owner,
    /// TPM_RH_NULL: what is in it is gone at the next TPM reset.
    Null,
    /// TPM_RH_ENDORSEMENT.
    Endorsement,
    /// TPM_RH_PLATFORM: the firmware's.
    Platform,
}

impl Hierarchy {
    const ALL: [Self; 4] = [Self::Owner, Self::Endorsement, Self::Platform, Self::Null];

    const fn handle(self) -> u32 {
        match self {
            Self::Owner => 0x4000_0001,
            Self::Null => 0x4000_0007,
            Self::Endorsement => 0x4000_000b,
            Self::Platform => 0x4000_000c,
        }
    }

    /// Its name: `owner`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Null => "null",
            Self::Endorsement => "endorsement",
            Self::Platform => "platform",
        }
    }
}

/// The way from an object to its hierarchy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The hierarchy.
    pub hierarchy: Hierarchy,
    /// Names of what is above the object, the nearest first; empty for a primary object.
    pub above: Vec<Name>,
}

impl Place {
    /// The place of the object with this name and qualified name, where the parents that are known tell it. A primary object needs none.
    ///
    /// Every order of the parents is tried: 260 digests for [`MAX_PARENTS`] of them, and no more are looked at.
    pub(super) fn find(name: &Name, qualified: &Name, parents: &[Public]) -> Option<Self> {
        /// A way down that is known so far.
        struct Way {
            hierarchy: Hierarchy,
            qualified: Vec<u8>,
            path: Vec<usize>,
        }
        let parents = parents.get(..MAX_PARENTS).unwrap_or(parents);
        let mut ways: Vec<Way> = Hierarchy::ALL
            .into_iter()
            .map(|hierarchy| Way {
                hierarchy,
                qualified: hierarchy.handle().to_be_bytes().to_vec(),
                path: Vec::new(),
            })
            .collect();
        for _ in 0..=parents.len() {
            let here = ways
                .iter()
                .find(|way| name.below(&way.qualified).as_ref() == Some(qualified));
            if let Some(way) = here {
                let nearest_first = way.path.iter().rev();
                return Some(Self {
                    hierarchy: way.hierarchy,
                    above: nearest_first
                        .filter_map(|number| parents.get(*number))
                        .map(|parent| parent.name().clone())
                        .collect(),
                });
            }
            let longer = ways.iter().flat_map(move |way| {
                let unused = parents
                    .iter()
                    .enumerate()
                    .filter(move |(number, _)| !way.path.contains(number));
                unused.filter_map(move |(number, parent)| {
                    Some(Way {
                        hierarchy: way.hierarchy,
                        qualified: parent.name().below(&way.qualified)?.as_bytes().to_vec(),
                        path: way.path.iter().copied().chain([number]).collect(),
                    })
                })
            });
            ways = longer.collect();
        }
        None
    }
}
