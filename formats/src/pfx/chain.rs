//! The chain of a certificate within a PFX: who issued whom, as their names say.

use super::outline::Outline;
use super::{OpenedCertificate, OpenedPfx};
use crate::words;
use der::Decode;
use serde::Serialize;
use std::collections::{HashMap, HashSet};
use x509_cert::name::Name;

/// Issuers that are followed at most; honest chains have two or three.
const MOST_ISSUERS: usize = 32;
/// The longest name that is put in words, in bytes.
const LONGEST_NAME: usize = 16 * 1024;

/// What a PFX holds of the chain of one of its certificates. Names alone are compared; no signature is verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub struct ChainFacts {
    /// Places in [`OpenedPfx::certificates`] of its issuer, that one's issuer, and so on: 32 of them at most.
    pub issuers: Vec<usize>,
    /// Whether the last one, or the certificate itself, is self-issued: nothing is missing up to a root.
    pub complete: bool,
    /// Name of the issuer that is missing, when it is not complete and the name can be read.
    pub missing_issuer: Option<String>,
    /// Whether the file has them in that order behind the certificate, with others between at most.
    pub in_order: bool,
}

/// The names of all certificates, each name with a number instead: what is compared again and again is small.
#[derive(Default)]
pub(super) struct Chains {
    /// Of each certificate; `None` where not even its outline can be read.
    names: Vec<Option<Names>>,
    /// Places of certificates by the number of their subject.
    by_subject: HashMap<usize, Vec<usize>>,
}

#[derive(Clone, Copy)]
struct Names {
    subject: usize,
    issuer: usize,
}

/// The way from a certificate upwards.
struct Walk {
    issuers: Vec<usize>,
    end: End,
    /// Certificates that were considered.
    #[cfg_attr(not(test), allow(dead_code))]
    considered: usize,
}

enum End {
    SelfIssued,
    /// The issuer of the certificate in this place is not there.
    Missing(usize),
    TooLong,
}

impl Chains {
    pub(super) fn of<'a>(certificates: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut chains = Self::default();
        let mut numbers: HashMap<&[u8], usize> = HashMap::new();
        for (place, der) in certificates.enumerate() {
            let names = Outline::of(der).map(|outline| {
                let mut number = |name| {
                    let next = numbers.len();
                    *numbers.entry(name).or_insert(next)
                };
                Names {
                    subject: number(outline.subject),
                    issuer: number(outline.issuer),
                }
            });
            if let Some(names) = names {
                let same = chains.by_subject.entry(names.subject).or_default();
                same.push(place);
            }
            chains.names.push(names);
        }
        chains
    }

    fn names(&self, place: usize) -> Option<Names> {
        *self.names.get(place)?
    }

    /// The certificates with this subject, in the order of the file.
    fn with_subject(&self, number: usize) -> &[usize] {
        self.by_subject.get(&number).map_or(&[], Vec::as_slice)
    }

    fn walk(&self, certificate: usize) -> Option<Walk> {
        let (mut last, mut names) = (certificate, self.names(certificate)?);
        let mut issuers: Vec<usize> = Vec::new();
        let mut considered = 0_usize;
        let end = loop {
            if names.subject == names.issuer {
                break End::SelfIssued;
            }
            // Renewed authorities have several certificates of one name: the first that is not used yet is as good as any.
            let next = self.with_subject(names.issuer).iter().find(|place| {
                considered = considered.saturating_add(1);
                **place != certificate && !issuers.contains(place)
            });
            let Some((place, above)) = next.and_then(|place| Some((*place, self.names(*place)?)))
            else {
                break End::Missing(last);
            };
            if issuers.len() >= MOST_ISSUERS {
                break End::TooLong;
            }
            issuers.push(place);
            (last, names) = (place, above);
        };
        Some(Walk {
            issuers,
            end,
            considered,
        })
    }

    /// The certificates that may be above this one, the nearest first: of each issuer all that have its name.
    fn above(&self, certificate: usize) -> Vec<usize> {
        let mut found = vec![certificate];
        let mut done = HashSet::new();
        let mut at = 0_usize;
        while let Some(place) = found.get(at) {
            at = at.saturating_add(1);
            if let Some(names) = self.names(*place)
                && done.insert(names.issuer)
            {
                found.extend_from_slice(self.with_subject(names.issuer));
            }
        }
        found.retain(|place| *place != certificate);
        found
    }
}

impl OpenedPfx {
    /// The chain of the certificate in this place; `None` when there is none, or not even its outline can be read.
    #[must_use]
    pub fn chain_of(&self, certificate: usize) -> Option<ChainFacts> {
        let walk = self.chains.walk(certificate)?;
        let in_order = std::iter::once(&certificate)
            .chain(&walk.issuers)
            .is_sorted();
        Some(ChainFacts {
            in_order,
            complete: matches!(walk.end, End::SelfIssued),
            missing_issuer: match walk.end {
                End::Missing(last) => self.issuer_of(last),
                End::SelfIssued | End::TooLong => None,
            },
            issuers: walk.issuers,
        })
    }

    /// The other certificates (DER), `most` at most and none twice: first those that may be above the one in this place, by their names and
    /// the nearest first, then the rest in the order of the file.
    #[must_use]
    pub fn others_of(&self, certificate: usize, most: usize) -> Vec<&[u8]> {
        let der = |place: usize| self.certificates.get(place).map(OpenedCertificate::der);
        let mut seen: HashSet<&[u8]> = der(certificate).into_iter().collect();
        let above = self.chains.above(certificate).into_iter();
        above
            .chain(0..self.certificates.len())
            .filter_map(der)
            .filter(|other| seen.insert(other))
            .take(most)
            .collect()
    }

    /// The name of its issuer in words.
    fn issuer_of(&self, certificate: usize) -> Option<String> {
        let outline = Outline::of(self.certificates.get(certificate)?.der())?;
        if outline.issuer.len() > LONGEST_NAME {
            return None;
        }
        Some(words::name(&Name::from_der(outline.issuer).ok()?))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]

    use super::*;
    use crate::ber::sequence;

    /// Of a certificate what [`Outline`] reads.
    fn certificate(subject: &str, issuer: &str) -> Vec<u8> {
        let name = |text: &str| sequence(&[text.as_bytes()]);
        let (nothing, bits) = (sequence(&[]), [3, 1, 0]);
        let key = sequence(&[&nothing, &bits]);
        let (issuer, subject) = (name(issuer), name(subject));
        let tbs = sequence(&[&[2, 1, 1], &nothing, &issuer, &nothing, &subject, &key]);
        sequence(&[&tbs, &nothing, &bits])
    }

    fn chains(certificates: &[(&str, &str)]) -> Chains {
        let ders: Vec<Vec<u8>> = certificates
            .iter()
            .map(|(subject, issuer)| certificate(subject, issuer))
            .collect();
        Chains::of(ders.iter().map(Vec::as_slice))
    }

    #[test]
    fn the_work_for_all_chains_of_a_file_grows_with_the_file_alone() {
        let (x, y) = ("x".repeat(1000), "y".repeat(1000));
        let turns: Vec<(&str, &str)> = (0..512)
            .map(|place| match place % 2 {
                0 => (x.as_str(), y.as_str()),
                _ => (y.as_str(), x.as_str()),
            })
            .collect();
        let chains = chains(&turns);
        // What is compared from here on are numbers.
        assert_eq!(chains.by_subject.len(), 2);
        let walks = (0..512).map(|place| chains.walk(place).unwrap());
        let considered: usize = walks
            .map(|walk| {
                assert_eq!(walk.issuers.len(), MOST_ISSUERS);
                assert!(matches!(walk.end, End::TooLong));
                walk.considered
            })
            .sum();
        assert!(
            considered <= 512 * MOST_ISSUERS * MOST_ISSUERS,
            "{considered}"
        );
    }

    #[test]
    fn chains_end_at_a_root_or_name_what_is_missing() {
        let chains = chains(&[
            ("leaf", "b"),
            ("a", "a"),
            ("b", "a"),
            ("c", "d"),
            ("b", "d"),
        ]);
        let walk = chains.walk(0).unwrap();
        assert_eq!(walk.issuers, [2, 1]);
        assert!(matches!(walk.end, End::SelfIssued));
        let walk = chains.walk(3).unwrap();
        assert!(walk.issuers.is_empty() && matches!(walk.end, End::Missing(3)));
        // Both of the name `b`, and what is above either.
        assert_eq!(chains.above(0), [2, 4, 1]);
        assert!(chains.walk(5).is_none());
    }
}
