//! The few parts of a certificate that the clients look at, and who vouches for whom.

use formats::ber::{BerError, Element, tag};
use pki::algorithm;

/// Where the parts of a certificate (RFC 5280 section 4.1) or of a request (RFC 2986) are. Nothing is verified by that.
#[derive(Clone, Copy)]
pub(crate) struct Parts<'a> {
    tbs: &'a [u8],
    issuer: &'a [u8],
    subject: &'a [u8],
    /// SubjectPublicKeyInfo.
    pub(crate) spki: &'a [u8],
    signature_algorithm: &'a [u8],
    signature: &'a [u8],
}

impl<'a> Parts<'a> {
    /// Of a certificate (DER).
    pub(crate) fn of(certificate: &'a [u8]) -> Result<Self, BerError> {
        let mut whole = Element::whole(certificate)?.within(tag::SEQUENCE)?;
        let tbs = whole.take_tag(tag::SEQUENCE)?;
        let signature_algorithm = whole.take_tag(tag::SEQUENCE)?;
        let signature = whole.take_tag(tag::BIT_STRING)?;
        whole.finish()?;
        let mut fields = tbs.elements();
        fields.take_if(tag::CONTEXT_0)?;
        fields.take_tag(tag::INTEGER)?;
        fields.take_tag(tag::SEQUENCE)?;
        let issuer = fields.take_tag(tag::SEQUENCE)?;
        fields.take_tag(tag::SEQUENCE)?;
        let subject = fields.take_tag(tag::SEQUENCE)?;
        let spki = fields.take_tag(tag::SEQUENCE)?;
        Ok(Self {
            tbs: tbs.raw,
            issuer: issuer.raw,
            subject: subject.raw,
            spki: spki.raw,
            signature_algorithm: signature_algorithm.raw,
            signature: match signature.content {
                [0, bits @ ..] => bits,
                _ => return Err(BerError::Malformed),
            },
        })
    }

    /// Whether this certificate's key signed the other one, which names it as its issuer.
    fn signed(&self, other: &Self) -> bool {
        self.subject == other.issuer
            && algorithm::verify(
                other.signature_algorithm,
                self.spki,
                other.tbs,
                other.signature,
            )
            .is_ok()
    }
}

/// The public key that a request (PKCS#10, DER) asks a certificate for.
pub(crate) fn key_of_request(request: &[u8]) -> Result<&[u8], BerError> {
    let mut whole = Element::whole(request)?.within(tag::SEQUENCE)?;
    let mut info = whole.take_tag(tag::SEQUENCE)?.elements();
    info.take_tag(tag::INTEGER)?;
    info.take_tag(tag::SEQUENCE)?;
    Ok(info.take_tag(tag::SEQUENCE)?.raw)
}

/// Which of the certificates was issued for the request with this key, and the others. A message with one certificate is clear. Of several
/// it is the one with the request's key, or, when none has it, the only one that names no other as its subject's: whoever asked finds that
/// it is for another key. `None` when that leaves no single one.
pub(crate) fn issued_among(
    mut certificates: Vec<Vec<u8>>,
    spki: &[u8],
) -> Option<(Vec<u8>, Vec<Vec<u8>>)> {
    let parts: Vec<_> = certificates.iter().map(|der| Parts::of(der).ok()).collect();
    let having_key = parts
        .iter()
        .position(|parts| parts.is_some_and(|parts| parts.spki == spki));
    let place = match having_key {
        Some(place) => place,
        None if certificates.len() == 1 => 0,
        None => {
            let mut ends = parts.iter().enumerate().filter_map(|(place, own)| {
                let own = (*own)?;
                let issues = parts.iter().enumerate().any(|(other, parts)| {
                    other != place && parts.is_some_and(|p| p.issuer == own.subject)
                });
                (!issues).then_some(place)
            });
            let only = ends.next()?;
            match ends.next() {
                None => only,
                Some(_) => return None,
            }
        }
    };
    let certificate = certificates.remove(place);
    Some((certificate, certificates))
}

/// Those of the certificates that an anchor vouches for, by signatures over any number of others among them; the furthest from the anchors
/// first. Dates, constraints and revocation are whoever relies on a path's to check.
pub(crate) fn vouched_for(certificates: Vec<Vec<u8>>, anchors: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let parts: Vec<_> = certificates.iter().map(|der| Parts::of(der).ok()).collect();
    let anchor_parts: Vec<_> = anchors
        .iter()
        .filter_map(|der| Parts::of(der).ok())
        .collect();
    let mut depth: Vec<Option<usize>> = certificates
        .iter()
        .map(|der| anchors.contains(der).then_some(0))
        .collect();
    for round in 1..=certificates.len() {
        let before = depth.clone();
        for (place, level) in depth
            .iter_mut()
            .enumerate()
            .filter(|(_, level)| level.is_none())
        {
            let Some(Some(own)) = parts.get(place) else {
                continue;
            };
            let by_anchor = round == 1 && anchor_parts.iter().any(|anchor| anchor.signed(own));
            let by_other = || {
                parts.iter().zip(&before).any(|(other, known)| {
                    *known == round.checked_sub(1) && other.is_some_and(|other| other.signed(own))
                })
            };
            if by_anchor || by_other() {
                *level = Some(round);
            }
        }
        if depth == before && round > 1 {
            break;
        }
    }
    let mut known: Vec<_> = certificates
        .into_iter()
        .zip(depth)
        .filter_map(|(der, depth)| Some((depth?, der)))
        .collect();
    known.sort_by_key(|(depth, _)| std::cmp::Reverse(*depth));
    known.into_iter().map(|(_, der)| der).collect()
}
