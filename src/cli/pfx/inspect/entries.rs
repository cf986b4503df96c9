//! What a PFX holds, entry by entry.

use crate::clock::{Clock, SystemClock, parse_rfc3339};
use formats::certificate::SmimeFitness;
use formats::pfx::{
    Bag, BagKind, CertificateFacts, ChainFacts, KeyFacts, MatchedBy, OpenedCertificate, OpenedKey,
    OpenedPfx, Survey,
};
use formats::text::hex;
use serde::Serialize;

/// One entry.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub(super) enum Entry {
    /// A private key.
    PrivateKey(KeyEntry),
    /// A certificate.
    Certificate(CertificateEntry),
    /// Something else.
    Other(OtherEntry),
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct KeyEntry {
    pub(super) friendly_name: Option<String>,
    pub(super) local_key_id: Option<String>,
    /// Kind and size; null while it is encrypted.
    pub(super) key: Option<Key>,
    /// Place of its certificate among the entries.
    pub(super) certificate: Option<usize>,
    /// Whether that certificate has its public half; null when there is nothing to compare, or the public half is not known.
    pub(super) matches_certificate: Option<bool>,
    /// `publicKey` or `localKeyId`.
    pub(super) matched_by: Option<MatchedBy>,
    /// Whether it is encrypted by itself.
    pub(super) encrypted: bool,
    /// What of its encryption is not supported, so that it stays closed.
    pub(super) not_supported: Option<String>,
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct Key {
    pub(super) algorithm: String,
    pub(super) text: String,
    pub(super) bits: Option<u32>,
    pub(super) supported: bool,
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct CertificateEntry {
    pub(super) friendly_name: Option<String>,
    pub(super) local_key_id: Option<String>,
    /// Whether its private key is in the file, by the public halves; null while that is not known.
    pub(super) has_private_key: Option<bool>,
    /// Null when it does not parse.
    pub(super) subject: Option<String>,
    pub(super) thumbprint: Option<String>,
    pub(super) not_before: Option<String>,
    pub(super) not_after: Option<String>,
    pub(super) validity: Option<Validity>,
    pub(super) email_addresses: Vec<String>,
    pub(super) smime: Option<SmimeFitness>,
    pub(super) chain: Option<Chain>,
}

/// Its chain within the file, by names.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Chain {
    /// Places of its issuers among the entries, the nearest first.
    pub(super) issuers: Vec<usize>,
    pub(super) complete: bool,
    /// Name of the issuer that is missing.
    pub(super) missing_issuer: Option<String>,
    pub(super) in_order: bool,
}

/// Of a certificate, now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Validity {
    Valid,
    Expired,
    NotYetValid,
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct OtherEntry {
    /// `crl`, `secret`, `otherCertificate` or `unknown`.
    pub(super) bag: BagKind,
    /// In words and as object identifier.
    pub(super) of_type: Option<String>,
    pub(super) friendly_name: Option<String>,
}

/// Every entry that is visible, in the order of the file; bags that only hold bags are none.
pub(super) fn of(survey: &Survey, opened: Option<&OpenedPfx>) -> Vec<Entry> {
    let now = SystemClock.now_ms();
    let bags: Vec<&Bag> = survey
        .bags()
        .filter(|bag| bag.kind != BagKind::SafeContents)
        .collect();
    // Places among the entries of the keys and certificates that were opened, which are in the same order.
    let places = |wanted: fn(BagKind) -> bool| -> Vec<usize> {
        let found = bags.iter().enumerate().filter(|(_, bag)| wanted(bag.kind));
        found.map(|(place, _)| place).collect()
    };
    let certificate_places = places(|kind| kind == BagKind::Certificate);
    let opened_keys = opened.map(OpenedPfx::keys).unwrap_or_default();
    let mut keys = opened_keys.iter();
    // What is in a part that stays closed may be a certificate.
    let all_seen = survey.bags_are_all_visible();
    let all_keys_known = all_seen
        && survey.bags().all(|bag| bag.not_supported.is_none())
        && opened_keys.iter().all(OpenedKey::has_public_half);
    let mut certificates = 0_usize..;
    bags.iter()
        .map(|bag| match bag.kind {
            BagKind::Key | BagKind::ShroudedKey => {
                // One that stays closed is not among the opened ones.
                let key = bag.key.as_ref().and_then(|_| keys.next());
                let joined = key.and_then(OpenedKey::certificate);
                Entry::PrivateKey(KeyEntry {
                    friendly_name: friendly_name(bag, key.and_then(OpenedKey::friendly_name)),
                    local_key_id: bag.local_key_id.clone(),
                    key: key
                        .map(|key| Key::of(key.facts()))
                        .or_else(|| bag.key.as_ref().map(Key::of)),
                    certificate: joined.and_then(|place| certificate_places.get(place).copied()),
                    matches_certificate: key.and_then(|key| match key.matched_by() {
                        Some(MatchedBy::PublicKey) => Some(true),
                        // A local key id shows nothing.
                        Some(_) => None,
                        // A key that found no certificate has none that fits; without any certificate there is nothing to say.
                        None => {
                            (key.has_public_half() && all_seen && !certificate_places.is_empty())
                                .then_some(false)
                        }
                    }),
                    matched_by: key.and_then(OpenedKey::matched_by),
                    encrypted: bag.kind == BagKind::ShroudedKey,
                    not_supported: bag.not_supported.clone(),
                })
            }
            BagKind::Certificate => {
                let place = certificates.next().unwrap_or_default();
                certificate(bag, opened, all_keys_known, place, &certificate_places, now)
            }
            kind => Entry::Other(OtherEntry {
                bag: kind,
                of_type: bag.of_type.clone(),
                friendly_name: bag.friendly_name.clone(),
            }),
        })
        .collect()
}

fn certificate(
    bag: &Bag,
    opened: Option<&OpenedPfx>,
    all_keys_known: bool,
    place: usize,
    places: &[usize],
    now: i64,
) -> Entry {
    let found = opened.and_then(|opened| opened.certificates().get(place));
    let der = bag
        .certificate_der
        .as_deref()
        .or(found.map(OpenedCertificate::der));
    let facts = der.and_then(|der| CertificateFacts::of_certificate(der).ok());
    let emails = facts
        .as_ref()
        .map(|facts| facts.email_addresses.clone())
        .unwrap_or_default();
    Entry::Certificate(CertificateEntry {
        friendly_name: friendly_name(bag, found.and_then(OpenedCertificate::friendly_name)),
        local_key_id: bag
            .local_key_id
            .clone()
            .or_else(|| found.and_then(OpenedCertificate::local_key_id).map(hex)),
        has_private_key: found.and_then(|found| {
            let key = opened.and_then(|opened| opened.keys().get(found.key()?));
            match key.map(OpenedKey::matched_by) {
                Some(Some(MatchedBy::PublicKey)) => Some(true),
                Some(_) => None,
                None => all_keys_known.then_some(false),
            }
        }),
        smime: der.and_then(|der| SmimeFitness::of(der, &emails)),
        chain: opened
            .and_then(|opened| opened.chain_of(place))
            .map(|chain| Chain::of(chain, places)),
        subject: facts.as_ref().map(|facts| facts.subject.clone()),
        thumbprint: facts.as_ref().map(|facts| facts.thumbprint.clone()),
        not_before: facts.as_ref().map(|facts| facts.not_before.clone()),
        not_after: facts.as_ref().map(|facts| facts.not_after.clone()),
        validity: facts.as_ref().and_then(|facts| Validity::of(facts, now)),
        email_addresses: emails,
    })
}

fn friendly_name(bag: &Bag, joined: Option<&str>) -> Option<String> {
    bag.friendly_name
        .clone()
        .or_else(|| joined.map(str::to_owned))
}

impl Key {
    fn of(facts: &KeyFacts) -> Self {
        Self {
            algorithm: facts.algorithm.clone(),
            text: facts.text.clone(),
            bits: facts.bits,
            supported: facts.supported,
        }
    }
}

impl Chain {
    fn of(facts: ChainFacts, places: &[usize]) -> Self {
        let place = |issuer: &usize| places.get(*issuer).copied();
        Self {
            issuers: facts.issuers.iter().filter_map(place).collect(),
            complete: facts.complete,
            missing_issuer: facts.missing_issuer,
            in_order: facts.in_order,
        }
    }
}

impl Validity {
    fn of(facts: &CertificateFacts, now: i64) -> Option<Self> {
        let (start, end) = (
            parse_rfc3339(&facts.not_before)?,
            parse_rfc3339(&facts.not_after)?,
        );
        Some(match now {
            now if now < start => Self::NotYetValid,
            now if now > end => Self::Expired,
            _ => Self::Valid,
        })
    }
}

/// Whether every private key has its certificate here; `None` when there is no key, no certificate, or it is not known of one of them, such
/// as in a file that was not opened.
pub(super) fn key_matches_certificate(entries: &[Entry]) -> Option<bool> {
    let matches = entries.iter().filter_map(|entry| match entry {
        Entry::PrivateKey(key) => Some(key.matches_certificate),
        _ => None,
    });
    let matches: Vec<Option<bool>> = matches.collect();
    if matches.contains(&Some(false)) {
        return Some(false);
    }
    (!matches.is_empty() && !matches.contains(&None)).then_some(true)
}
