//! Deliveries besides passwords: who is given them, what they are made from, and what is collected.

use super::*;

/// A connector whose engine does everything.
const ALL: LeaseTerms = LeaseTerms {
    offered: Offered {
        rewrap: true,
        apple_profile: true,
    },
    ..TERMS
};

impl Bench {
    fn ask_for(&self, user: &str, delivery: Delivery) -> Result<Accepted, StoreError> {
        let message = DeviceRequest {
            delivery,
            ..device_request(user, None)
        };
        self.store.create_device_request(&NewDeviceRequest {
            message: &message,
            requested_by: "token",
            max_open: 1000,
        })
    }

    fn import(&self, pfx: &[u8], starts_ms: i64) -> NewRecord {
        let new = NewRecord {
            starts_ms,
            ..record("a@b", pfx)
        };
        self.store.create_record(&actor(), &new).unwrap();
        new
    }

    fn lease_all(&self, who: &Contact) -> Vec<WorkItem> {
        self.store.lease(who, "instance", &ALL).unwrap().work
    }

    fn settle(&self, item: &WorkItem, completed: Completed<'_>) -> Result<Outcome, StoreError> {
        let answer = Answer::Completed(completed);
        self.store
            .settle(&contact("a"), &item.request_id, item.fence, &answer, &ALL)
    }
}

#[test]
fn a_profile_is_one_request_with_every_certificate_in_the_name_of_the_newest() {
    let bench = Bench::new();
    let old = bench.import(b"old", START_MS - 3 * DAY_MS);
    let newest = bench.import(b"newest", START_MS - DAY_MS);
    let middle = bench.import(b"middle", START_MS - 2 * DAY_MS);
    let accepted = bench.ask_for("A@B", Delivery::AppleProfile).unwrap();
    assert_eq!(accepted.requests.len(), 1);
    assert_eq!(accepted.requests[0].thumbprint, newest.record.thumbprint);
    let work = bench.lease_all(&contact("a"));
    assert_eq!(work.len(), 1);
    assert_eq!(work[0].delivery, Delivery::AppleProfile);
    assert_eq!(work[0].record, newest.record);
    let others: Vec<_> = work[0].others.iter().map(|other| &other.record).collect();
    assert_eq!(others, [&middle.record, &old.record]);
    assert_eq!(work[0].others[1].pfx.as_slice(), b"old");

    let outcome = bench.settle(&work[0], Completed::AppleProfile(b"profile"));
    assert_eq!(outcome.unwrap(), Outcome::Accepted);
    let collected = bench.store.collect(&work[0].request_id).unwrap();
    assert_eq!(collected.profile.as_slice(), b"profile");
    assert!(collected.newest && collected.pfx.is_empty());
    assert!(collected.encrypted_password.is_empty());
}

#[test]
fn a_profile_goes_when_any_of_its_records_does() {
    let bench = Bench::new();
    let old = bench.import(b"old", START_MS - 3 * DAY_MS);
    bench.import(b"newest", START_MS - DAY_MS);
    let done = bench.ask_for("a@b", Delivery::AppleProfile).unwrap();
    let work = bench.lease_all(&contact("a"));
    bench
        .settle(&work[0], Completed::AppleProfile(b"PROFILE-MARKER"))
        .unwrap();
    bench.ask_for("a@b", Delivery::AppleProfile).unwrap();
    let in_hand = bench.lease_all(&contact("a")).remove(0);
    assert_eq!(in_hand.others.len(), 1);

    let id = record_id("a@b", &old.record.thumbprint);
    bench.store.delete_record(&actor(), &id).unwrap();
    let collected = bench.store.collect(&done.requests[0].request_id);
    assert!(matches!(collected, Err(StoreError::Retired)));
    assert!(!bench.on_disk(b"PROFILE-MARKER"));
    // What a connector had in hand has a key in it that is no longer there: it is made anew.
    let again = bench.lease_all(&contact("b")).remove(0);
    assert_eq!(again.request_id, in_hand.request_id);
    assert!(again.others.is_empty());
    let late = bench.settle(&in_hand, Completed::AppleProfile(b"late"));
    assert!(matches!(late, Err(StoreError::StaleLease)));
}

#[test]
fn a_new_pfx_is_collected_with_its_password_and_the_newest_is_marked() {
    let bench = Bench::new();
    bench.import(b"old", START_MS - 3 * DAY_MS);
    bench.import(b"new", START_MS - DAY_MS);
    bench.ask_for("a@b", Delivery::Rewrap).unwrap();
    let work = bench.lease_all(&contact("a"));
    assert_eq!(work.len(), 2);
    for item in &work {
        assert!(item.others.is_empty());
        let wrong = bench.settle(item, Completed::Password(b"cms"));
        assert!(matches!(wrong, Err(StoreError::WrongResult)));
        let completed = Completed::Rewrap {
            password: b"password",
            pfx: b"new pfx",
        };
        assert_eq!(bench.settle(item, completed).unwrap(), Outcome::Accepted);
        assert_eq!(
            bench.settle(item, completed).unwrap(),
            Outcome::AlreadyAccepted
        );
        let collected = bench.store.collect(&item.request_id).unwrap();
        assert_eq!(collected.delivery, Delivery::Rewrap);
        assert_eq!(collected.encrypted_pfx.as_slice(), b"new pfx");
        assert_eq!(collected.encrypted_password.as_slice(), b"password");
        assert!(collected.pfx.is_empty(), "the stored one stays here");
        assert_eq!(collected.newest, item.pfx.as_slice() == b"new");
    }
}

#[test]
fn a_connector_is_given_what_its_engine_does_and_nothing_else_holds_it_up() {
    let bench = Bench::new();
    bench.import(b"pfx", START_MS - DAY_MS);
    bench.ask_for("a@b", Delivery::Rewrap).unwrap();
    let nothing = bench
        .store
        .lease(&contact("old"), "instance", &TERMS)
        .unwrap();
    assert!(nothing.work.is_empty());
    assert_eq!(nothing.next_due_ms, None, "it need not look again at once");
    bench.ask("a@b", None).unwrap();
    assert_eq!(bench.lease(&contact("old")).len(), 1);
    assert_eq!(bench.lease_all(&contact("new")).len(), 1);
}

#[test]
fn a_delivery_that_no_connector_does_is_refused_once_connectors_are_known() {
    let bench = Bench::new();
    bench.import(b"pfx", START_MS - DAY_MS);
    assert!(bench.ask_for("a@b", Delivery::Rewrap).is_ok());
    bench
        .store
        .admit(&contact("a"), &identity("a"), None)
        .unwrap();
    for (delivery, is_done) in [
        (Delivery::Password, true),
        (Delivery::Rewrap, false),
        (Delivery::AppleProfile, false),
    ] {
        let asked = bench.ask_for("a@b", delivery);
        assert_eq!(asked.is_ok(), is_done, "{asked:?}");
    }
    let mut able = identity("b");
    able.features.push("rewrap".to_owned());
    bench.store.admit(&contact("b"), &able, None).unwrap();
    assert!(bench.ask_for("a@b", Delivery::Rewrap).is_ok());
    assert!(bench.ask_for("a@b", Delivery::AppleProfile).is_err());
}

#[test]
fn more_certificates_than_a_profile_takes_are_refused() {
    let bench = Bench::new();
    for number in 0..=MAX_CERTIFICATES {
        bench.import(format!("pfx {number}").as_bytes(), START_MS - DAY_MS);
    }
    let asked = bench.ask_for("a@b", Delivery::AppleProfile);
    assert!(matches!(asked, Err(StoreError::TooManyRecords)));
}

#[test]
fn a_database_of_version_1_goes_on_with_its_requests() {
    let bench = Bench::new();
    let (raw, path) = bench.old_database(1);
    raw.execute_batch(
        "INSERT INTO records VALUES ('r', 'a@b', 'ab', 'a@b', 'smimeEncryption', 1, 2, 'p', 'k', 'oaepSha256', NULL, NULL, NULL, x'01', x'02', 1, 1);
         INSERT INTO device_requests VALUES ('d', 'a@b', 'phone', '{\"certificate\":\"AA==\",\"intermediates\":[]}', 'modern', NULL, x'00', 't', 1);
         INSERT INTO requests (id, device_request, record, thumbprint, state, due_ms, created_ms) VALUES ('q', 'd', 'r', 'ab', 'queued', 1, 1);",
    )
    .unwrap();
    drop(raw);
    let store = Store::open(&path, bench.clock.clone()).unwrap();
    let work = store.lease(&contact("a"), "instance", &TERMS).unwrap().work;
    assert_eq!(work.len(), 1);
    assert_eq!(work[0].delivery, Delivery::Password);
    let answer = Answer::Completed(Completed::Password(b"cms"));
    store
        .settle(&contact("a"), "q", work[0].fence, &answer, &TERMS)
        .unwrap();
    assert_eq!(
        store.collect("q").unwrap().encrypted_password.as_slice(),
        b"cms"
    );
}
