//! Records and what their change does to requests.

use super::*;

#[test]
fn reads_return_stubs_and_the_id_is_derived() {
    let bench = Bench::new();
    let new = record("Jo@Example.org", b"PFX");
    let made = bench.store.create_record(&actor(), &new).unwrap();
    let id = made.id.clone().unwrap();
    let (user, thumbprint) = id.split_once('-').unwrap();
    assert_eq!(
        (user.len(), thumbprint),
        (32, new.record.thumbprint.as_str())
    );
    assert_eq!(id, record_id("jo@EXAMPLE.org", thumbprint));
    assert_eq!(made.encrypted_pfx_blob.as_slice(), [0]);
    assert_eq!(made.encrypted_pfx_password, "");
    assert_eq!(made.user_principal_name, "Jo@Example.org");
    assert_eq!(bench.store.record(&id).unwrap(), made);
    let mut same = new.clone();
    same.record.user_principal_name = "JO@example.org".to_owned();
    assert!(matches!(
        bench.store.create_record(&actor(), &same),
        Err(StoreError::Exists)
    ));
}

#[test]
fn lists_are_filtered_and_paged() {
    let bench = Bench::new();
    for number in 0..5_u8 {
        bench
            .store
            .create_record(&actor(), &record("a@b", &[number]))
            .unwrap();
    }
    bench
        .store
        .create_record(&actor(), &record("c@d", b"x"))
        .unwrap();
    let mut query = ListQuery {
        user_key: Some("a@b".to_owned()),
        limit: 2,
        ..ListQuery::default()
    };
    let mut seen = Vec::new();
    loop {
        let page = bench.store.list_records(&query).unwrap();
        seen.extend(page.records.iter().map(|record| record.id.clone().unwrap()));
        query.after = seen.last().cloned();
        if !page.more {
            break;
        }
    }
    assert_eq!(seen.len(), 5);
    assert!(seen.windows(2).all(|pair| pair[0] < pair[1]));
    query.after = None;
    query.thumbprint = Some(record("a@b", &[3]).record.thumbprint);
    assert_eq!(bench.store.list_records(&query).unwrap().records.len(), 1);
}

#[test]
fn deleting_a_record_ends_its_requests_and_its_results() {
    let bench = Bench::new();
    let a = contact("a");
    let done = bench.queued("a@b");
    let item = bench.lease(&a).remove(0);
    bench.complete(&a, &item, b"CMS-MARKER").unwrap();
    let leased = bench.queued("a@b");
    let held = bench.lease(&a).remove(0);
    let waiting = bench.queued("a@b");
    assert!(bench.on_disk(b"CMS-MARKER") && bench.on_disk(b"CIPHERTEXT-MARKER"));
    let id = record_id("a@b", &held.record.thumbprint);
    bench.store.delete_record(&actor(), &id).unwrap();
    assert!(matches!(
        bench.store.collect(&done),
        Err(StoreError::Retired)
    ));
    assert_eq!(bench.state(&done).completions, 1);
    for request in [&leased, &waiting] {
        assert_eq!(bench.state(request).failure.unwrap().code, "recordDeleted");
    }
    assert!(matches!(
        bench.complete(&a, &held, b"late"),
        Err(StoreError::StaleLease)
    ));
    assert!(bench.lease(&a).is_empty());
    assert!(!bench.on_disk(b"CMS-MARKER") && !bench.on_disk(b"CIPHERTEXT-MARKER"));
    assert!(matches!(
        bench.store.delete_record(&actor(), &id),
        Err(StoreError::NotFound)
    ));
}

#[test]
fn a_changed_record_never_travels_with_the_password_of_the_old_one() {
    let bench = Bench::new();
    let a = contact("a");
    let done = bench.queued("a@b");
    let item = bench.lease(&a).remove(0);
    bench.complete(&a, &item, b"cms").unwrap();
    let leased = bench.queued("a@b");
    let held = bench.lease(&a).remove(0);
    let id = record_id("a@b", &held.record.thumbprint);
    let mut patch = RecordPatch {
        pfx: Some(b"NEW".to_vec()),
        ..RecordPatch::default()
    };
    assert!(matches!(
        bench.store.update_record(&actor(), &id, &patch),
        Err(StoreError::SignatureMissing)
    ));
    assert!(bench.store.collect(&done).is_ok());
    patch.importer_signature = held.record.importer_signature.clone();
    bench.store.update_record(&actor(), &id, &patch).unwrap();
    assert!(matches!(
        bench.store.collect(&done),
        Err(StoreError::Retired)
    ));
    assert!(matches!(
        bench.complete(&a, &held, b"cms of the old"),
        Err(StoreError::StaleLease)
    ));
    let again = bench.lease(&a).remove(0);
    assert_eq!(again.request_id, leased);
    assert_eq!(again.pfx.as_slice(), b"NEW");
}

#[test]
fn a_new_purpose_needs_no_signature_and_disturbs_nothing() {
    let bench = Bench::new();
    let a = contact("a");
    let done = bench.queued("a@b");
    let item = bench.lease(&a).remove(0);
    bench.complete(&a, &item, b"cms").unwrap();
    let id = record_id("a@b", &item.record.thumbprint);
    let patch = RecordPatch {
        intended_purpose: Some(IntendedPurpose::Wifi),
        ..RecordPatch::default()
    };
    let changed = bench.store.update_record(&actor(), &id, &patch).unwrap();
    assert_eq!(changed.intended_purpose, IntendedPurpose::Wifi);
    assert!(bench.store.collect(&done).is_ok());
}

#[test]
fn retention_really_removes_the_bytes() {
    let bench = Bench::new();
    let a = contact("a");
    let retention = crate::config::RetentionConfig {
        results_hours: 24,
        records_days: 30,
        audit_days: 700,
    };
    let done = bench.queued("a@b");
    let item = bench.lease(&a).remove(0);
    bench
        .complete(&a, &item, &b"CMS-MARKER".repeat(2000))
        .unwrap();
    bench.clock.advance_ms(DAY_MS - 1);
    assert!(bench.store.purge(&retention).unwrap().is_empty());
    assert!(bench.store.collect(&done).is_ok());
    bench.clock.advance_ms(1);
    assert_eq!(bench.store.purge(&retention).unwrap().requests, 1);
    assert!(matches!(
        bench.store.collect(&done),
        Err(StoreError::NotFound)
    ));
    assert!(!bench.on_disk(b"CMS-MARKER"));
    assert!(bench.on_disk(b"CIPHERTEXT-MARKER"));
    bench.clock.advance_ms(396 * DAY_MS);
    assert_eq!(bench.store.purge(&retention).unwrap().records, 1);
    assert!(!bench.on_disk(b"CIPHERTEXT-MARKER"));
    assert!(!bench.on_disk(b"DEVICE"));
}
