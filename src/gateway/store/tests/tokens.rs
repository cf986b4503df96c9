//! Tokens, connectors, the audit trail.

use super::*;
use crate::gateway::auth::Role;

#[test]
fn a_token_opens_until_it_expires_or_is_revoked() {
    let bench = Bench::new();
    let token = bench
        .store
        .create_token(&actor(), Role::Mdm, "mdm", DAY_MS)
        .unwrap();
    let found = bench.store.find_token(&token.secret).unwrap().unwrap();
    assert_eq!(
        (found.id.as_str(), found.role),
        (token.id.as_str(), Role::Mdm)
    );
    assert!(bench.store.find_token("pfxgw1_x_y").unwrap().is_none());
    bench.clock.advance_ms(DAY_MS - 1);
    assert!(bench.store.find_token(&token.secret).unwrap().is_some());
    bench.clock.advance_ms(1);
    assert!(bench.store.find_token(&token.secret).unwrap().is_none());
    let other = bench
        .store
        .create_token(&actor(), Role::Importer, "i", DAY_MS)
        .unwrap();
    bench.store.revoke_token(&actor(), &other.id).unwrap();
    assert!(bench.store.find_token(&other.secret).unwrap().is_none());
    assert!(matches!(
        bench.store.revoke_token(&actor(), "nobody"),
        Err(StoreError::NotFound)
    ));
    assert_eq!(bench.store.tokens().unwrap().len(), 2);
}

#[test]
fn the_database_never_holds_a_tokens_secret() {
    let bench = Bench::new();
    let token = bench
        .store
        .create_token(&actor(), Role::Mdm, "mdm", DAY_MS)
        .unwrap();
    let half = &token.secret[token.secret.len() - 32..];
    assert!(bench.on_disk(token.id.as_bytes()));
    assert!(!bench.on_disk(half.as_bytes()));
    assert!(!format!("{token:?}").contains(half));
}

#[test]
fn an_instance_name_belongs_to_the_certificate_that_used_it_first() {
    let bench = Bench::new();
    let (a, b) = (contact("a"), contact("b"));
    assert!(bench.store.admit_known(&a).is_err());
    bench.store.admit(&a, &identity("one"), None).unwrap();
    bench.store.admit_known(&a).unwrap();
    assert!(matches!(
        bench.store.admit(&b, &identity("one"), None),
        Err(StoreError::ConnectorRefused(_))
    ));
    bench.store.forget_connector(&actor(), "one").unwrap();
    bench.store.admit(&b, &identity("one"), None).unwrap();
    assert!(bench.store.admit(&a, &identity("one"), None).is_err());
}

#[test]
fn one_certificate_cannot_use_up_the_instance_names() {
    let bench = Bench::new();
    let (a, b) = (contact("a"), contact("b"));
    let admit = |who, name: &str| bench.store.admit(who, &identity(name), None);
    for number in 0..16 {
        admit(&a, &format!("a{number}")).unwrap();
    }
    assert!(matches!(
        admit(&a, "a16"),
        Err(StoreError::ConnectorRefused(_))
    ));
    // The names that it has stay good, others are not concerned, and a freed name makes room.
    admit(&a, "a3").unwrap();
    admit(&b, "b").unwrap();
    bench.store.forget_connector(&actor(), "a3").unwrap();
    admit(&a, "a16").unwrap();
}

#[test]
fn a_connector_that_is_revoked_while_it_waits_gets_no_work() {
    let bench = Bench::new();
    let one = contact("one");
    bench.store.admit(&one, &identity("one"), None).unwrap();
    bench.queued("a@b");
    bench.store.revoke_connector(&actor(), "one").unwrap();
    assert!(matches!(
        bench.store.lease(&one, "one", &TERMS),
        Err(StoreError::ConnectorRefused(_))
    ));
    assert_eq!(bench.lease(&contact("two")).len(), 1);
}

#[test]
fn a_revoked_connector_is_refused_under_every_name_and_loses_its_leases() {
    let bench = Bench::new();
    let a = contact("a");
    bench.store.admit(&a, &identity("one"), None).unwrap();
    let id = bench.queued("a@b");
    bench.lease(&a);
    bench.store.revoke_connector(&actor(), "one").unwrap();
    assert_eq!(bench.state(&id).state, State::Queued);
    assert!(bench.store.admit_known(&a).is_err());
    for name in ["one", "two"] {
        assert!(bench.store.admit(&a, &identity(name), None).is_err());
    }
    bench.store.forget_connector(&actor(), "one").unwrap();
    assert!(bench.store.admit(&a, &identity("one"), None).is_err());
    assert_eq!(bench.lease(&contact("b")).len(), 1);
}

#[test]
fn a_heartbeat_tells_version_features_and_last_contact() {
    let bench = Bench::new();
    let a = contact("a");
    bench.store.admit(&a, &identity("one"), None).unwrap();
    bench.clock.advance_ms(5_000);
    bench
        .store
        .admit(&a, &identity("one"), Some((7, true)))
        .unwrap();
    let row = bench.store.connectors().unwrap().remove(0);
    assert_eq!((row.in_flight, row.engine_healthy), (7, Some(true)));
    assert_eq!(row.features, ["pfxImport"]);
    assert_eq!(row.last_contact_ms, START_MS + 5_000);
    assert_eq!(row.first_contact_ms, START_MS);
}

#[test]
fn the_audit_trail_only_grows_until_its_retention() {
    let bench = Bench::new();
    bench
        .store
        .audit_refusal(&actor(), "x", "forbidden")
        .unwrap();
    let raw = Connection::open(bench.database()).unwrap();
    for attempt in [
        "UPDATE admin_audit SET who = 'nobody'",
        "DELETE FROM admin_audit",
    ] {
        assert!(raw.execute(attempt, []).is_err());
    }
    assert_eq!(bench.store.audit_entries(0, 10).unwrap().len(), 1);
    let retention = crate::config::RetentionConfig {
        audit_days: 1,
        ..Default::default()
    };
    bench.clock.advance_ms(DAY_MS + 1);
    assert_eq!(bench.store.purge(&retention).unwrap().audit_entries, 1);
    assert!(bench.store.audit_entries(0, 10).unwrap().is_empty());
}
