//! Requests for certificates and the authorities that connectors have.

use super::pkcs::{profile, request};
use super::*;
use crate::gateway::pkcs_api::{PkcsProfile, PkcsProfileEntry, PkcsRequest, Progress};

const HOUR_MS: i64 = 3_600_000;

impl Bench {
    /// A profile for this authority, and a request by it; the request's name.
    fn asked_of(&self, authority: &str) -> String {
        let entry = PkcsProfileEntry {
            name: format!("of-{authority}"),
            profile: PkcsProfile {
                ca: authority.to_owned(),
                ..profile()
            },
        };
        let _ = self.store.create_profile(&actor(), &entry);
        let message = PkcsRequest {
            profile: entry.name,
            ..request("anna@example.com", None)
        };
        self.ask_pkcs(&message).unwrap().request_id
    }

    fn named(&self, who: &Contact, authorities: Option<&[&str]>) -> Vec<String> {
        let work = self.lease_pkcs_of(who, authorities);
        work.into_iter().map(|item| item.request_id).collect()
    }
}

#[test]
fn a_request_goes_to_a_connector_that_has_its_authority_and_waits_for_one() {
    let bench = Bench::new();
    let (one, two) = (contact("a"), contact("b"));
    let company = bench.asked_of("company");
    let partner = bench.asked_of("partner");
    assert!(bench.named(&one, Some(&["third", "company2"])).is_empty());
    assert!(bench.named(&one, Some(&[])).is_empty());
    assert_eq!(bench.named(&one, Some(&["company", "third"])), [company]);
    assert!(bench.named(&one, Some(&["company", "third"])).is_empty());
    assert_eq!(bench.named(&two, Some(&["partner"])), [partner]);
}

#[test]
fn a_connector_that_names_no_authorities_is_offered_everything_as_before() {
    let bench = Bench::new();
    let both = [bench.asked_of("company"), bench.asked_of("partner")];
    assert_eq!(bench.named(&contact("a"), None), both);
}

#[test]
fn what_no_connector_has_the_authority_of_fails_after_its_time_and_only_while_others_are_served() {
    let bench = Bench::new();
    let who = contact("a");
    let orphan = bench.asked_of("gone");
    bench.clock.advance_ms(100 * HOUR_MS);
    // No connector was there at all: it is not the authority that is missing.
    assert_eq!(bench.store.fail_unserved_pkcs(72).unwrap(), 0);
    bench.named(&who, Some(&["company"]));
    assert_eq!(bench.store.fail_unserved_pkcs(200).unwrap(), 0, "not yet");
    assert_eq!(bench.store.fail_unserved_pkcs(72).unwrap(), 1);
    let failure = bench.state(&orphan).failure.unwrap();
    assert_eq!(failure.code, "noAuthority");
    assert!(failure.message.contains("[[connector.ca]]"), "{failure:?}");
}

#[test]
fn what_is_served_or_begun_does_not_fail_for_want_of_an_authority() {
    let bench = Bench::new();
    let who = contact("a");
    let begun = bench.asked_of("company");
    let [item] = bench
        .lease_pkcs_of(&who, Some(&["company"]))
        .try_into()
        .unwrap();
    let pending = Progress {
        fence: item.fence,
        progress: Base64Bytes(b"ordered".to_vec()),
        resume_ms: Some(1_000),
    };
    bench.store.keep_progress(&who, &begun, &pending).unwrap();
    let waiting = bench.asked_of("partner");
    bench.clock.advance_ms(100 * HOUR_MS);
    let partner = LeaseTerms { max: 0, ..TERMS };
    bench
        .store
        .lease_pkcs(&who, "instance", Some(&["partner".to_owned()]), &partner)
        .unwrap();
    assert_eq!(bench.store.fail_unserved_pkcs(72).unwrap(), 0);
    for id in [begun, waiting] {
        assert_eq!(bench.state(&id).state, State::Queued);
    }
}

#[test]
fn requests_of_an_older_database_are_known_by_their_authority_and_its_certificates_as_they_are() {
    let bench = Bench::new();
    let (raw, path) = bench.old_database(5);
    raw.execute_batch(
        "INSERT INTO device_requests (id, user_key, device_id, target, format, delivery, body_digest, requested_by, created_ms)
           VALUES ('d', 'a@b', 'phone', '{\"certificate\":\"AA==\",\"intermediates\":[]}', 'modern', 'pkcs', x'00', 't', 1),
                  ('e', '', '', '{}', 'modern', 'revocation', x'01', 't', 1);
         INSERT INTO requests (id, device_request, thumbprint, state, due_ms, settled_ms, created_ms)
           VALUES ('q', 'd', '', 'queued', 1, NULL, 1), ('h', 'e', '', 'completed', 1, 2, 1);
         INSERT INTO pkcs_certificates (id, profile_name, user_key, user_principal_name, device_id, target, variables, ca, certificate,
             thumbprint, issuer, serial, starts_ms, expires_ms, renew_ms, created_ms)
           VALUES ('c', 'p', 'a@b', 'a@b', 'phone', '{}', '[]', 'company', x'00', 'ab', x'01', x'02', 1, 9, 5, 3);
         INSERT INTO revocations (request, issuer, issuer_digest, serial, reason) VALUES (2, x'01', 'ab', x'02', 6);",
    )
    .unwrap();
    raw.execute(
        "INSERT INTO pkcs_requests (request, profile_name, profile, user_principal_name, variables) VALUES (1, 'p', ?, 'a@b', '[]')",
        rusqlite::params![serde_json::to_string(&profile()).unwrap()],
    )
    .unwrap();
    drop(raw);
    let store = Store::open(&path, bench.clock.clone()).unwrap();
    let leased = |authority: &str| {
        let named = [authority.to_owned()];
        let lease = store.lease_pkcs(&contact("a"), "instance", Some(&named), &TERMS);
        lease.unwrap().work
    };
    assert!(leased("partner").is_empty());
    assert_eq!(leased("company")[0].request_id, "q");
    let listed = store.certificates(Some("phone"), None).unwrap();
    assert_eq!(
        listed[0].on_hold_date_time,
        Some(crate::clock::rfc3339(2)),
        "of the request that is still there"
    );
    assert_eq!(
        listed[0].collected_date_time,
        Some(crate::clock::rfc3339(3))
    );
}
