//! Joins private keys and certificates by their public keys.

use super::attributes::Attributes;
use super::bags::Contents;
use super::chain::Chains;
use super::model::Survey;
use super::opened::{MatchedBy, OpenedCertificate, OpenedKey, OpenedPfx};
use super::outline::Outline;
use std::collections::HashMap;

/// Everything that was found, joined.
pub(super) fn assemble(contents: Contents, survey: Survey) -> OpenedPfx {
    let chains = Chains::of(contents.certificates.iter().map(|(der, _)| der.as_slice()));
    let mut certificates = Vec::with_capacity(contents.certificates.len());
    // Places by the public key, and by the local key id.
    let mut by_key: HashMap<Vec<u8>, Vec<usize>> = HashMap::new();
    let mut by_id: HashMap<Vec<u8>, Vec<usize>> = HashMap::new();
    for (place, (der, attributes)) in contents.certificates.into_iter().enumerate() {
        if let Some(outline) = Outline::of(&der) {
            by_key
                .entry(outline.public_key.to_vec())
                .or_default()
                .push(place);
        }
        if let Some(id) = &attributes.local_key_id {
            by_id.entry(id.clone()).or_default().push(place);
        }
        certificates.push(OpenedCertificate {
            der,
            friendly_name: attributes.friendly_name,
            local_key_id: attributes.local_key_id,
            key: None,
        });
    }
    let mut keys = Vec::with_capacity(contents.keys.len());
    for (place, (key, attributes)) in contents.keys.into_iter().enumerate() {
        let found = match &key.public_key {
            Some(public) => public_keys(&by_key, public).map(|places| {
                (
                    preferred(places, &attributes, &certificates),
                    MatchedBy::PublicKey,
                )
            }),
            None => attributes
                .local_key_id
                .as_ref()
                .and_then(|id| by_id.get(id)?.first())
                .map(|place| (*place, MatchedBy::LocalKeyId)),
        };
        let certificate = found.and_then(|(place, _)| certificates.get_mut(place));
        let name_of_certificate = match certificate {
            Some(certificate) => {
                certificate.key.get_or_insert(place);
                certificate.friendly_name.clone()
            }
            None => None,
        };
        keys.push(OpenedKey {
            has_public_half: key.public_key.is_some(),
            pkcs8: key.pkcs8,
            facts: key.facts,
            friendly_name: attributes.friendly_name.or(name_of_certificate),
            local_key_id: attributes.local_key_id,
            certificate: found.map(|(place, _)| place),
            matched_by: found.map(|(_, how)| how),
        });
    }
    // The certificates that a key had before it was renewed are its own as well.
    for places in by_key.values() {
        let key = places
            .iter()
            .find_map(|place| certificates.get(*place)?.key);
        for place in places {
            if let Some(certificate) = certificates.get_mut(*place) {
                certificate.key = certificate.key.or(key);
            }
        }
    }
    OpenedPfx {
        keys,
        certificates,
        others: contents.others,
        chains,
        closed: contents.closed.refusal(),
        survey,
    }
}

/// Of several certificates of one key (it was renewed) the one that the file joins to it; the first where it joins none.
fn preferred(
    places: &[usize],
    attributes: &Attributes,
    certificates: &[OpenedCertificate],
) -> usize {
    places
        .iter()
        .find(|place| {
            let id = certificates
                .get(**place)
                .and_then(|certificate| certificate.local_key_id.as_ref());
            id.is_some() && id == attributes.local_key_id.as_ref()
        })
        .or(places.first())
        .copied()
        .unwrap_or_default()
}

/// The certificates with this public key; a point of an elliptic curve may be compressed there (SEC 1 section 2.3.3).
fn public_keys<'a>(
    by_key: &'a HashMap<Vec<u8>, Vec<usize>>,
    public: &[u8],
) -> Option<&'a Vec<usize>> {
    const UNCOMPRESSED: u8 = 4;
    by_key.get(public).or_else(|| {
        let (UNCOMPRESSED, point) = public.split_first().map(|(first, rest)| (*first, rest))?
        else {
            return None;
        };
        let (x, y) = point.split_at_checked(point.len() / 2)?;
        let sign = 2 | (y.last()? & 1);
        let compressed: Vec<u8> = std::iter::once(sign).chain(x.iter().copied()).collect();
        by_key.get(&compressed)
    })
}
