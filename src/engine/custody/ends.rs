//! Everything with an end that custody depends on, for its report: as it is in use here, whatever the files say by now. Keys on tokens, importers'
//! public keys, approvers and the audit log's anchors have no end; an approval is used once and never depended on.

use super::authority::RESPONDER_LASTS;
use crate::calendar::{Dated, Effect, Facts, Kind};
use crate::clock::parse_rfc3339;
use crate::config::{EngineConfig, Pkcs1KeyConfig};
use crate::encoding::Base64Bytes;
use crate::engine::api::AuthorityStatus;
use crate::engine::policy::EnginePolicy;
use crate::engine::recrypt::importers::Importer;
use crate::engine::recrypt::revocation::ListStatus;

/// Digits of a fingerprint that tell keys apart for people.
const FINGERPRINT_DIGITS: usize = 16;

/// What the engine depends on; `authorities` and `lists`: as the same report tells of them.
pub(super) fn of(
    config: &EngineConfig,
    policy: &EnginePolicy,
    authorities: &[AuthorityStatus],
    lists: &[ListStatus],
) -> Vec<Dated> {
    let anchors = policy.anchors_der.iter().map(Base64Bytes::as_slice);
    let mut ends = Dated::anchors(
        Kind::DeviceAnchor,
        "engine.device_anchors",
        anchors,
        Effect::Stops,
    );
    for authority in &policy.authorities {
        let name = format!("engine.ca.{}.certificate", authority.name);
        let chain = authority.chain.iter().map(Vec::as_slice);
        ends.extend(Dated::chain(Kind::LocalCa, &name, chain, Effect::Weakens));
    }
    ends.extend(authorities.iter().filter_map(responder));
    ends.extend(lists.iter().enumerate().filter_map(list));
    ends.extend(policy.importers.iter().filter_map(importer));
    ends.extend(config.pkcs1_keys.iter().map(pkcs1_key));
    ends
}

/// Made anew when it is needed and half of its life is over.
fn responder(authority: &AuthorityStatus) -> Option<Dated> {
    let ends_ms = authority.responder_not_after_ms?;
    let lasts_ms = i64::try_from(RESPONDER_LASTS.as_millis()).unwrap_or(i64::MAX);
    Some(Dated {
        kind: Kind::OcspResponder,
        name: format!("engine.ca.{}.responder", authority.name),
        subject: String::new(),
        begins_ms: Some(ends_ms.saturating_sub(lasts_ms)),
        ends_ms,
        effect: Effect::Informs,
    })
}

fn list((place, list): (usize, &ListStatus)) -> Option<Dated> {
    Some(Dated {
        kind: Kind::DeviceCrl,
        name: format!("engine.device_policy.crls[{}]", place + 1),
        subject: list.issuer.clone(),
        begins_ms: parse_rfc3339(&list.this_update),
        ends_ms: parse_rfc3339(&list.next_update)?,
        effect: Effect::Weakens,
    })
}

fn importer(importer: &Importer) -> Option<Dated> {
    let Facts {
        subject,
        not_before_ms,
        not_after_ms,
    } = importer.certificate()?.clone();
    Some(Dated {
        kind: Kind::Importer,
        name: format!("engine.importers.{}", importer.name()),
        subject,
        begins_ms: Some(not_before_ms),
        ends_ms: not_after_ms,
        effect: Effect::Informs,
    })
}

fn pkcs1_key(key: &Pkcs1KeyConfig) -> Dated {
    let fingerprint = key.fingerprint.to_string();
    let short: String = fingerprint.chars().take(FINGERPRINT_DIGITS).collect();
    Dated {
        kind: Kind::Pkcs1Key,
        name: format!("engine.pkcs1_keys.{short}"),
        subject: String::new(),
        begins_ms: None,
        ends_ms: key.until.over_ms(),
        effect: Effect::Weakens,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;
    use crate::calendar::Level;
    use crate::clock::{Clock, ManualClock};
    use crate::engine::recrypt::revocation::ListState;

    #[test]
    fn the_last_day_of_a_key_for_old_imports_counts_to_its_end() {
        let end = pkcs1_key(&Pkcs1KeyConfig {
            fingerprint: hsm::KeyFingerprint::from_bytes([0xab; 32]),
            until: "2027-03-31".parse().unwrap(),
        });
        assert_eq!(end.name, "engine.pkcs1_keys.abababababababab");
        let clock = ManualClock::at(parse_rfc3339("2027-03-31T23:59:59.999Z").unwrap());
        assert_eq!(end.at(clock.now_ms()).level, Level::Urgent);
        clock.advance_ms(1);
        assert_eq!(end.at(clock.now_ms()).level, Level::Expired);
    }

    #[test]
    fn a_responder_that_nobody_asked_for_long_calls_nobody() {
        let mut authority = AuthorityStatus {
            name: "company".to_owned(),
            subject: String::new(),
            not_after_ms: 0,
            profiles: Vec::new(),
            deltas: false,
            last_crl: None,
            responder_not_after_ms: None,
        };
        assert!(responder(&authority).is_none());
        authority.responder_not_after_ms = Some(1_800_000_000_000);
        let end = responder(&authority).unwrap();
        let over = end.at(1_800_000_000_001);
        assert_eq!((over.level, over.calls()), (Level::Expired, false));
    }

    #[test]
    fn a_list_ends_when_the_next_one_should_be_there() {
        let status = ListStatus {
            file: "list.pem".into(),
            issuer: "CN=devices".to_owned(),
            this_update: "2027-01-01T00:00:00Z".to_owned(),
            next_update: "2027-01-08T00:00:00Z".to_owned(),
            revoked: 0,
            state: ListState::Current,
            problem: None,
        };
        let end = list((0, &status)).unwrap();
        assert_eq!(end.name, "engine.device_policy.crls[1]");
        let level = |at: &str| end.at(parse_rfc3339(at).unwrap()).level;
        assert_eq!(level("2027-01-05T00:00:00Z"), Level::Fine);
        assert_eq!(level("2027-01-06T12:00:00Z"), Level::Soon);
        assert_eq!(level("2027-01-08T00:00:00Z"), Level::Expired);
    }
}
