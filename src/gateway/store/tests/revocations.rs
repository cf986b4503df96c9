//! Revocations: duplicates, the brake, leases by issuer, retirement.

use super::pkcs::{certificate, request};
use super::*;
use crate::config::RevocationBrake;
use crate::gateway::api::FailureReport;
use crate::gateway::revocation_api::{
    FEATURE, Reason, RevocationResult, RevocationState, RevocationWorkItem,
};

pub(super) const OPEN: RevocationBrake = RevocationBrake {
    per_hour: 1_000,
    per_token_per_hour: 1_000,
    unserved_hours: 24,
};
const HOUR_MS: i64 = 3_600_000;

fn issued(issuer: &[u8], serial: u8) -> NamedCertificate {
    NamedCertificate::Issued {
        issuer: issuer.to_vec(),
        serial: vec![serial],
        certificate: None,
    }
}

fn all(serials: std::ops::Range<u8>) -> Vec<NamedCertificate> {
    serials.map(|serial| issued(b"CA", serial)).collect()
}

/// A call: what it asks for and who asks.
pub(super) struct Asking<'a> {
    pub(super) certificates: &'a [NamedCertificate],
    pub(super) reason: Reason,
    pub(super) key: Option<&'a str>,
    pub(super) token: &'a str,
    pub(super) brake: RevocationBrake,
}

impl<'a> Asking<'a> {
    pub(super) fn of(certificates: &'a [NamedCertificate]) -> Self {
        Self {
            certificates,
            reason: Reason::KeyCompromise,
            key: None,
            token: "token",
            brake: OPEN,
        }
    }
}

impl Bench {
    pub(super) fn revoke(&self, asking: &Asking<'_>) -> Result<RevocationsQueued, StoreError> {
        self.store.create_revocations(&CreateRevocations {
            certificates: asking.certificates,
            reason: asking.reason,
            idempotency_key: asking.key,
            requested_by: asking.token,
            actor: &actor(),
            max_open: 1_000,
            brake: asking.brake,
        })
    }

    pub(super) fn retire(&self, device: &str) -> RevocationsQueued {
        self.store
            .retire_device(
                device,
                &CreateRevocations {
                    certificates: &[],
                    reason: Reason::CessationOfOperation,
                    idempotency_key: None,
                    requested_by: "token",
                    actor: &actor(),
                    max_open: 1_000,
                    brake: OPEN,
                },
            )
            .unwrap()
    }

    pub(super) fn lease_of(&self, who: &Contact, issuer: &[u8]) -> Vec<RevocationWorkItem> {
        self.store
            .lease_revocations(who, "instance", &[issuer_digest(issuer)], &TERMS)
            .unwrap()
            .work
    }

    pub(super) fn revoked(
        &self,
        who: &Contact,
        item: &RevocationWorkItem,
    ) -> Result<Outcome, StoreError> {
        let answer = Answer::Completed(Completed::Revoked(RevocationResult::Now));
        self.store
            .settle(who, &item.request_id, item.fence, &answer, &TERMS)
    }

    fn state_of(&self, id: &str) -> RevocationState {
        self.store.revocation(id).unwrap().state
    }
}

#[test]
fn a_duplicate_answers_the_request_that_there_is_until_that_has_failed() {
    let bench = Bench::new();
    let who = contact("a");
    let first = bench.revoke(&Asking::of(&all(1..4))).unwrap();
    assert_eq!((first.queued, first.held), (3, 0));
    let again = bench.revoke(&Asking::of(&all(3..6))).unwrap();
    assert_eq!(again.queued, 2);
    assert!(again.revocations[0].duplicate);
    assert_eq!(
        again.revocations[0].request_id,
        first.revocations[2].request_id
    );
    // Twice in one call, too.
    let twice = [issued(b"CA", 9), issued(b"CA", 9), issued(b"OTHER", 9)];
    let twice = bench.revoke(&Asking::of(&twice)).unwrap();
    assert_eq!(twice.queued, 2);
    assert_eq!(
        twice.revocations[0].request_id,
        twice.revocations[1].request_id
    );

    let work = bench.lease_of(&who, b"CA");
    assert_eq!(work.len(), 6);
    bench.revoked(&who, &work[0]).unwrap();
    assert_eq!(
        bench.revoked(&who, &work[0]).unwrap(),
        Outcome::AlreadyAccepted
    );
    let failure = FailureReport {
        code: "unknownCertificate".to_owned(),
        message: String::new(),
    };
    let failed = Answer::Failed {
        failure: &failure,
        retry: false,
    };
    bench
        .store
        .settle(&who, &work[1].request_id, work[1].fence, &failed, &TERMS)
        .unwrap();
    let again = bench.revoke(&Asking::of(&all(1..3))).unwrap();
    assert!(again.revocations[0].duplicate, "completed");
    assert_eq!(again.revocations[0].state, RevocationState::Completed);
    assert!(!again.revocations[1].duplicate, "failed");
    assert!(matches!(
        bench.store.collect(&work[0].request_id),
        Err(StoreError::NotFound)
    ));
}

#[test]
fn a_hold_is_no_revocation_for_good() {
    let bench = Bench::new();
    let who = contact("a");
    let one = all(1..2);
    let hold = Asking {
        reason: Reason::CertificateHold,
        ..Asking::of(&one)
    };
    let held = bench.revoke(&hold).unwrap().revocations.remove(0);
    assert!(bench.revoke(&hold).unwrap().revocations[0].duplicate);
    let work = bench.lease_of(&who, b"CA");
    bench.revoked(&who, &work[0]).unwrap();
    // It may have been taken back at the authority meanwhile.
    let again = bench.revoke(&hold).unwrap().revocations.remove(0);
    assert!(!again.duplicate && again.request_id != held.request_id);
    let for_good = bench
        .revoke(&Asking::of(&one))
        .unwrap()
        .revocations
        .remove(0);
    assert!(!for_good.duplicate);
    let hold = bench.revoke(&hold).unwrap().revocations.remove(0);
    assert_eq!(hold.request_id, for_good.request_id);
}

#[test]
fn a_repeated_call_answers_the_same_requests_and_another_one_under_its_key_is_refused() {
    let bench = Bench::new();
    let who = contact("a");
    let certificates = all(1..3);
    let call = Asking {
        key: Some("k"),
        ..Asking::of(&certificates)
    };
    let first = bench.revoke(&call).unwrap();
    let work = bench.lease_of(&who, b"CA");
    bench.revoked(&who, &work[0]).unwrap();
    let again = bench.revoke(&call).unwrap();
    assert_eq!(again.queued, 0);
    assert_eq!(again.revocations[0].state, RevocationState::Completed);
    assert_eq!(
        again.revocations[1].request_id,
        first.revocations[1].request_id
    );
    let other = Asking {
        reason: Reason::Superseded,
        key: Some("k"),
        ..Asking::of(&certificates)
    };
    assert!(matches!(bench.revoke(&other), Err(StoreError::KeyReused)));
}

#[test]
fn what_is_above_the_threshold_is_held_until_somebody_else_releases_or_drops_it() {
    let bench = Bench::new();
    let who = contact("a");
    let brake = RevocationBrake {
        per_hour: 5,
        per_token_per_hour: 3,
        ..OPEN
    };
    let (one, two) = (all(1..6), all(11..16));
    let call = |certificates, token| Asking {
        token,
        brake,
        ..Asking::of(certificates)
    };
    let first = bench.revoke(&call(&one, "one")).unwrap();
    assert_eq!((first.queued, first.held), (3, 2), "the token's share");
    let second = bench.revoke(&call(&two, "two")).unwrap();
    assert_eq!((second.queued, second.held), (2, 3), "everybody's share");
    let held = bench
        .store
        .revocations(None, Some(RevocationState::Held), 0, 100)
        .unwrap();
    assert_eq!(held.len(), 5);
    let leased = bench.lease_of(&who, b"CA");
    assert_eq!(leased.len(), 5, "what is held is not leased");

    let ids: Vec<String> = first.revocations[3..]
        .iter()
        .map(|one| one.request_id.clone())
        .collect();
    let own = bench.store.release_revocations(&actor(), Some("one"), &ids);
    assert!(matches!(own, Err(StoreError::OwnRevocation)));
    bench
        .store
        .release_revocations(&actor(), Some("admin"), &ids[..1])
        .unwrap();
    assert_eq!(bench.lease_of(&who, b"CA").len(), 1);
    bench.store.drop_revocations(&actor(), &ids[1..]).unwrap();
    assert_eq!(bench.state_of(&ids[1]), RevocationState::Failed);
    let twice = bench.store.drop_revocations(&actor(), &ids[1..]);
    assert!(matches!(twice, Err(StoreError::NotFound)));
    // An hour later there is room again, for others: what is held stays held.
    bench.clock.advance_ms(HOUR_MS + 1);
    let later = all(21..23);
    assert_eq!(bench.revoke(&call(&later, "one")).unwrap().queued, 2);
    let held = bench
        .store
        .revocations(None, Some(RevocationState::Held), 0, 100)
        .unwrap();
    assert_eq!(held.len(), 3);
}

#[test]
fn work_goes_to_who_has_an_authority_for_the_issuer_and_waiting_is_no_attempt() {
    let bench = Bench::new();
    let (one, two) = (contact("a"), contact("b"));
    let certificates = [issued(b"CA", 1), issued(b"OTHER", 1)];
    bench.revoke(&Asking::of(&certificates)).unwrap();
    assert!(bench.lease_of(&one, b"THIRD").is_empty());
    let failure = FailureReport {
        code: "authorityUnavailable".to_owned(),
        message: "away".to_owned(),
    };
    let mut last = None;
    for _ in 0..10 {
        let work = bench.lease_of(&one, b"CA");
        assert_eq!((work.len(), work[0].attempt), (1, 1));
        let item = &work[0];
        bench
            .store
            .give_back_revocation(&one, &item.request_id, item.fence, &failure, 5_000)
            .unwrap();
        assert!(bench.lease_of(&one, b"CA").is_empty(), "not yet");
        bench.clock.advance_ms(5_001);
        last = Some(item.clone());
    }
    let item = last.unwrap();
    let status = bench.store.revocation(&item.request_id).unwrap();
    assert_eq!(status.last_failure, Some(failure));
    let stale = bench.revoked(&one, &item);
    assert!(matches!(stale, Err(StoreError::StaleLease)));
    assert_eq!(bench.lease_of(&two, b"OTHER").len(), 1);
}

#[test]
fn what_nobody_has_an_authority_for_fails_after_its_time() {
    let bench = Bench::new();
    let who = contact("a");
    let certificates = [issued(b"CA", 1), issued(b"OTHER", 1)];
    let asked = bench.revoke(&Asking::of(&certificates)).unwrap();
    let ids: Vec<_> = asked
        .revocations
        .iter()
        .map(|one| &one.request_id)
        .collect();
    assert_eq!(bench.store.fail_unserved_revocations(24).unwrap(), 0);
    bench.clock.advance_ms(25 * HOUR_MS);
    bench.lease_of(&who, b"CA");
    assert_eq!(bench.store.fail_unserved_revocations(24).unwrap(), 1);
    assert_ne!(bench.state_of(ids[0]), RevocationState::Failed);
    let failed = bench.store.revocation(ids[1]).unwrap();
    assert_eq!(failed.failure.unwrap().code, "noAuthority");
}

#[test]
fn a_retired_device_loses_what_it_has_and_what_is_still_being_issued() {
    let bench = Bench::with_profile();
    let who = contact("a");
    let der = certificate(bench.folder.path(), 100);
    bench
        .ask_pkcs(&request("anna@example.com", Some("1")))
        .unwrap();
    let work = bench.lease_pkcs(&who);
    bench.complete_pkcs(&who, &work[0], &der).unwrap();
    // One that a connector has begun, and one that none has.
    bench
        .ask_pkcs(&request("berta@example.com", Some("2")))
        .unwrap();
    let begun = bench.lease_pkcs(&who);
    let waiting = bench
        .ask_pkcs(&request("carla@example.com", Some("3")))
        .unwrap();

    let retired = bench.retire("device");
    assert_eq!(retired.queued, 1);
    assert!(bench.retire("device").revocations[0].duplicate);
    let failure = bench.state(&waiting.request_id).failure.unwrap();
    assert_eq!(failure.code, "deviceRetired");
    let folder = tempfile::tempdir().unwrap();
    let late = certificate(folder.path(), 100);
    bench.complete_pkcs(&who, &begun[0], &late).unwrap();
    let of_device = bench
        .store
        .revocations(Some("device"), None, 0, 10)
        .unwrap();
    assert_eq!(of_device.len(), 2);

    // Nothing of it is renewed, and once it is revoked the list of certificates says so.
    bench.clock.advance_ms(85 * DAY_MS);
    assert_eq!(bench.store.renew_certificates().unwrap(), 0);
    let issuer = bench.store.read(|transaction, _| {
        Ok(
            transaction.query_row("SELECT issuer FROM revocations LIMIT 1", [], |row| {
                row.get::<_, Vec<u8>>(0)
            })?,
        )
    });
    let work = bench.lease_of(&who, &issuer.unwrap());
    assert_eq!(work.len(), 2);
    assert_eq!(work[0].ca.as_deref(), Some("company"));
    assert!(!work[0].certificate.is_empty());
    for item in &work {
        bench.revoked(&who, item).unwrap();
    }
    let listed = bench.store.certificates(Some("device"), None).unwrap();
    assert!(listed.iter().all(|one| one.revoked_date_time.is_some()));
    assert!(bench.retire("device").revocations.is_empty());
}

#[test]
fn without_a_connector_that_revokes_it_is_refused() {
    let bench = Bench::new();
    bench
        .store
        .admit(&contact("a"), &identity("one"), None)
        .unwrap();
    let refused = bench.revoke(&Asking::of(&all(1..2)));
    assert!(matches!(refused, Err(StoreError::NoRevocation)));
    let mut able = identity("two");
    able.features.push(FEATURE.to_owned());
    bench.store.admit(&contact("b"), &able, None).unwrap();
    assert_eq!(bench.revoke(&Asking::of(&all(1..2))).unwrap().queued, 1);
    let missing = [NamedCertificate::Request("nothing".to_owned())];
    let refused = bench.revoke(&Asking::of(&missing));
    assert!(matches!(refused, Err(StoreError::NoCertificate(_))));
}
