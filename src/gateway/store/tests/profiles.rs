//! Profiles of stored PFX files, and requests by them.

use super::*;
use crate::gateway::pkcs_api::PkcsProfile;
use crate::gateway::profiles_api::{ImportProfile, ImportProfileEntry, ImportRequest};

const PHONES: &str = "phones";

fn profile(format: CmsFormat, delivery: Delivery) -> ImportProfile {
    ImportProfile {
        platform: "ios".to_owned(),
        format,
        delivery,
    }
}

impl Bench {
    fn with_phones() -> Self {
        let bench = Self::new();
        bench
            .store
            .create_record(&actor(), &record("anna@example.com", b"PFX"))
            .unwrap();
        let entry = ImportProfileEntry {
            name: PHONES.to_owned(),
            profile: profile(CmsFormat::Compatible, Delivery::Password),
        };
        bench.store.create_profile(&actor(), &entry).unwrap();
        bench
    }

    fn ask_by(&self, profile: &str, key: Option<&str>) -> Result<Accepted, StoreError> {
        let message = ImportRequest {
            profile: profile.to_owned(),
            user_principal_name: "anna@example.com".to_owned(),
            device_id: "device".to_owned(),
            device: device_request("anna@example.com", None).device,
            idempotency_key: key.map(str::to_owned),
        };
        self.store.create_import_request(&NewDeviceRequest {
            message: &message,
            requested_by: "token",
            max_open: 1_000,
        })
    }
}

#[test]
fn a_device_that_asks_by_a_profile_gets_what_the_profile_says() {
    let bench = Bench::with_phones();
    bench.ask_by(PHONES, None).unwrap();
    let work = bench.lease(&contact("a"));
    let [item] = work.as_slice() else {
        panic!("{work:?}")
    };
    assert_eq!(
        (item.format, item.delivery),
        (CmsFormat::Compatible, Delivery::Password)
    );
    bench.complete(&contact("a"), item, b"CMS").unwrap();
    let collected = bench.store.collect(&item.request_id).unwrap();
    assert_eq!(collected.encrypted_password.as_slice(), b"CMS");
}

#[test]
fn a_changed_profile_is_for_new_requests_and_a_repeated_one_stays_what_it_was() {
    let bench = Bench::with_phones();
    let first = bench.ask_by(PHONES, Some("k")).unwrap();
    let other = profile(CmsFormat::Modern, Delivery::Password);
    bench
        .store
        .replace_profile(&actor(), PHONES, &other)
        .unwrap();
    let again = bench.ask_by(PHONES, Some("k")).unwrap();
    assert_eq!(
        (again.queued_now, &again.requests),
        (false, &first.requests)
    );
    bench.ask_by(PHONES, Some("l")).unwrap();
    let formats: Vec<_> = bench
        .lease(&contact("a"))
        .iter()
        .map(|item| item.format)
        .collect();
    assert_eq!(formats, [CmsFormat::Compatible, CmsFormat::Modern]);
    // Another question under the same key: the device says itself what it gets.
    assert!(matches!(
        bench.ask("anna@example.com", Some("k")),
        Err(StoreError::KeyReused)
    ));
}

#[test]
fn a_profile_that_is_none_or_of_another_kind_or_was_ended_is_refused() {
    let bench = Bench::with_phones();
    assert!(matches!(
        bench.ask_by("tablets", None),
        Err(StoreError::NoProfile)
    ));
    assert!(matches!(
        bench.store.profile::<PkcsProfile>(PHONES),
        Err(StoreError::NotFound)
    ));
    bench.ask_by(PHONES, None).unwrap();
    bench
        .store
        .delete_profile::<ImportProfile>(&actor(), PHONES)
        .unwrap();
    assert!(matches!(
        bench.ask_by(PHONES, None),
        Err(StoreError::NoProfile)
    ));
    assert_eq!(bench.lease(&contact("a")).len(), 1, "what is open goes on");
    assert!(bench.store.profiles::<ImportProfile>().unwrap().is_empty());
}

#[test]
fn a_delivery_that_no_connector_does_is_refused_also_by_a_profile() {
    let bench = Bench::with_phones();
    bench
        .store
        .admit(&contact("a"), &identity("old"), Some((0, true)))
        .unwrap();
    let rewrap = profile(CmsFormat::Modern, Delivery::Rewrap);
    bench
        .store
        .replace_profile(&actor(), PHONES, &rewrap)
        .unwrap();
    assert!(matches!(
        bench.ask_by(PHONES, None),
        Err(StoreError::NotOffered(Delivery::Rewrap))
    ));
}
