//! The chain of a certificate within a PFX: who issued whom, as their names say.

use super::OpenedPfx;
use super::outline::Outline;
use crate::words;
use der::Decode;
use serde::Serialize;
use x509_cert::name::Name;

/// What a PFX holds of the chain of one of its certificates. Names alone are compared; no signature is verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub struct ChainFacts {
    /// Places in [`OpenedPfx::certificates`] of its issuer, that one's issuer, and so on.
    pub issuers: Vec<usize>,
    /// Whether the last one, or the certificate itself, is self-issued: nothing is missing up to a root.
    pub complete: bool,
    /// Name of the issuer that is missing, when it is not complete and the name can be read.
    pub missing_issuer: Option<String>,
    /// Whether the file has them in that order behind the certificate, with others between at most.
    pub in_order: bool,
}

impl OpenedPfx {
    /// The chain of the certificate in this place; `None` when there is none, or not even its outline can be read.
    #[must_use]
    pub fn chain_of(&self, certificate: usize) -> Option<ChainFacts> {
        let outlines: Vec<Option<Outline<'_>>> = self
            .certificates
            .iter()
            .map(|certificate| Outline::of(certificate.der()))
            .collect();
        let mut last = (*outlines.get(certificate)?)?;
        let mut issuers: Vec<usize> = Vec::new();
        let mut used = vec![false; outlines.len()];
        while !last.is_self_issued() {
            // Renewed authorities have several certificates of one name: the first that is not used yet is as good as any.
            let next = outlines.iter().enumerate().find(|(place, outline)| {
                *place != certificate
                    && used.get(*place) == Some(&false)
                    && outline.is_some_and(|outline| outline.subject == last.issuer)
            });
            let Some((place, Some(outline))) = next else {
                break;
            };
            issuers.push(place);
            if let Some(used) = used.get_mut(place) {
                *used = true;
            }
            last = *outline;
        }
        let in_order = std::iter::once(&certificate).chain(&issuers).is_sorted();
        Some(ChainFacts {
            issuers,
            complete: last.is_self_issued(),
            missing_issuer: (!last.is_self_issued())
                .then(|| Name::from_der(last.issuer).ok())
                .flatten()
                .map(|name| words::name(&name)),
            in_order,
        })
    }
}
