//! The files: versions, modes, backup, restore.

use super::*;
use std::os::unix::fs::PermissionsExt;

#[test]
fn the_database_is_its_owners_alone() {
    let bench = Bench::new();
    bench.queued("a@b");
    for suffix in ["", "-wal", ".lock"] {
        let mode = std::fs::metadata(beside(&bench.database(), suffix))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{suffix}");
    }
    let database = bench.database();
    drop(bench.store);
    std::fs::set_permissions(&database, std::fs::Permissions::from_mode(0o640)).unwrap();
    assert!(matches!(
        Store::open(&database, bench.clock.clone()),
        Err(StoreError::TooOpen { mode: 0o640, .. })
    ));
}

#[test]
fn a_newer_database_and_another_programs_are_refused() {
    let bench = Bench::new();
    let database = bench.database();
    drop(bench.store);
    let raw = Connection::open(&database).unwrap();
    raw.pragma_update(None, "user_version", current_version() + 1)
        .unwrap();
    assert!(matches!(
        Store::open(&database, bench.clock.clone()),
        Err(StoreError::NewerSchema { .. })
    ));
    raw.pragma_update(None, "user_version", current_version())
        .unwrap();
    raw.pragma_update(None, "application_id", 1).unwrap();
    assert!(matches!(
        Store::open(&database, bench.clock.clone()),
        Err(StoreError::Foreign)
    ));
}

#[test]
fn what_was_answered_is_there_when_the_database_is_opened_again() {
    let bench = Bench::new();
    let id = bench.queued("a@b");
    let a = contact("a");
    let item = bench.lease(&a).remove(0);
    bench.complete(&a, &item, b"cms").unwrap();
    let database = bench.database();
    drop(bench.store);
    let store = Store::open(&database, bench.clock.clone()).unwrap();
    assert_eq!(store.request_state(&id).unwrap().completions, 1);
    assert!(matches!(
        store.settle(
            &a,
            &id,
            item.fence,
            &Answer::Completed(Completed::Password(b"cms")),
            &TERMS
        ),
        Ok(Outcome::AlreadyAccepted)
    ));
}

#[test]
fn after_a_restore_answers_to_old_leases_count_for_nothing() {
    let bench = Bench::new();
    let a = contact("a");
    let id = bench.queued("a@b");
    bench.lease(&a);
    let copy = bench.folder.path().join("copy.db");
    let report = bench.store.backup(&copy).unwrap();
    assert_eq!(report.version, current_version());
    let mode = std::fs::metadata(&copy).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(matches!(
        bench.store.backup(&copy),
        Err(StoreError::WouldOverwrite(_))
    ));
    // After the backup the same request is leased again and again, under fences that the backup does not know.
    let mut later = Vec::new();
    for _ in 0..2 {
        bench.clock.advance_ms(60_000);
        later.extend(bench.lease(&a));
    }
    let database = bench.database();
    assert!(matches!(
        restore(&copy, &database, bench.clock.as_ref()),
        Err(StoreError::InUse)
    ));
    drop(bench.store);
    let report = restore(&copy, &database, bench.clock.as_ref()).unwrap();
    assert_eq!(report.open_requests, 1);
    let store = Store::open(&database, bench.clock.clone()).unwrap();
    let new = store.lease(&a, "instance", &TERMS).unwrap().work.remove(0);
    assert_eq!(new.request_id, id);
    for old in &later {
        assert!(new.fence > old.fence);
        assert!(matches!(
            store.settle(
                &a,
                &id,
                old.fence,
                &Answer::Completed(Completed::Password(b"old")),
                &TERMS
            ),
            Err(StoreError::StaleLease)
        ));
    }
    assert_eq!(
        store
            .settle(
                &a,
                &id,
                new.fence,
                &Answer::Completed(Completed::Password(b"new")),
                &TERMS
            )
            .unwrap(),
        Outcome::Accepted
    );
}

#[test]
fn restore_refuses_what_is_not_a_sound_backup_and_leaves_the_database() {
    let bench = Bench::new();
    let id = bench.queued("a@b");
    let copy = bench.folder.path().join("copy.db");
    bench.store.backup(&copy).unwrap();
    let database = bench.database();
    drop(bench.store);
    let newer = bench.folder.path().join("newer.db");
    std::fs::copy(&copy, &newer).unwrap();
    Connection::open(&newer)
        .unwrap()
        .pragma_update(None, "user_version", 99)
        .unwrap();
    let foreign = bench.folder.path().join("foreign.db");
    Connection::open(&foreign)
        .unwrap()
        .execute_batch("CREATE TABLE t (x)")
        .unwrap();
    let garbage = bench.folder.path().join("garbage.db");
    std::fs::write(&garbage, vec![7; 8192]).unwrap();
    let damaged = bench.folder.path().join("damaged.db");
    let mut bytes = std::fs::read(&copy).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..].fill(0xff);
    std::fs::write(&damaged, bytes).unwrap();
    let absent = bench.folder.path().join("absent.db");
    for from in [&newer, &foreign, &garbage, &damaged, &absent] {
        assert!(
            restore(from, &database, bench.clock.as_ref()).is_err(),
            "{}",
            from.display()
        );
    }
    let store = Store::open(&database, bench.clock.clone()).unwrap();
    assert_eq!(store.request_state(&id).unwrap().state, State::Queued);
    assert!(!absent.exists());
    assert!(!beside(&database, ".restoring").exists());
}

#[test]
fn a_crash_after_the_old_log_was_deleted_loses_nothing_of_the_old_database() {
    let bench = Bench::new();
    let id = bench.queued("a@b");
    // What a gateway leaves that was killed: most of it is in the log.
    let killed = bench.folder.path().join("killed.db");
    for suffix in ["", "-wal"] {
        std::fs::copy(beside(&bench.database(), suffix), beside(&killed, suffix)).unwrap();
    }
    assert!(std::fs::metadata(beside(&killed, "-wal")).unwrap().len() > 0);
    backup::fold_log(&killed).unwrap();
    let _ = std::fs::remove_file(beside(&killed, "-wal"));
    let store = Store::open(&killed, bench.clock.clone()).unwrap();
    assert_eq!(store.request_state(&id).unwrap().state, State::Queued);
}

#[test]
fn a_backup_takes_the_place_of_a_database_that_cannot_be_read() {
    let bench = Bench::new();
    let id = bench.queued("a@b");
    let copy = bench.folder.path().join("copy.db");
    bench.store.backup(&copy).unwrap();
    for name in ["garbage.db", "absent.db"] {
        let database = bench.folder.path().join(name);
        if name == "garbage.db" {
            std::fs::write(&database, vec![7; 8192]).unwrap();
            std::fs::write(beside(&database, "-wal"), vec![7; 8192]).unwrap();
        }
        restore(&copy, &database, bench.clock.as_ref()).unwrap();
        let store = Store::open(&database, bench.clock.clone()).unwrap();
        assert_eq!(store.request_state(&id).unwrap().state, State::Queued);
    }
}
