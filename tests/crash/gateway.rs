//! The gateway's database, with its backup and its restore.

use crate::journal::leave_shared_memory;
use crate::power::Random;
use crate::record::{Place, Steps, make_private};
use crate::replay::{Known, play};
use crate::rows::{check, rows_of};
use hsm::Padding;
use pfx_connector::clock::ManualClock;
use pfx_connector::config::RetentionConfig;
use pfx_connector::encoding::Base64Bytes;
use pfx_connector::engine::api::{CmsFormat, Delivery, DeviceTarget};
use pfx_connector::gateway::api::{
    ConnectorIdentity, DeviceRequest, FailureReport, IntendedPurpose, Outcome, State, WorkItem,
};
use pfx_connector::gateway::auth::Role;
use pfx_connector::gateway::store::{
    Actor, Answer, Completed, Contact, LeaseTerms, NewDeviceRequest, NewRecord, Offered,
    RecordPatch, Store, StoreError, current_version, restore,
};
use pfx_connector::record::Record;
use rusqlite::Connection;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

const NAME: &str = "gateway.db";
const START_MS: i64 = 1_800_000_000_000;
const HOUR_MS: i64 = 3_600_000;
const TERMS: LeaseTerms = LeaseTerms {
    max: 100,
    lease_ms: 60_000,
    max_leases: 100,
    offered: Offered {
        rewrap: false,
        apple_profile: false,
    },
};
const ACTOR: Actor = Actor {
    who: String::new(),
    role: "importer",
    action: "test",
};

fn contact() -> Contact {
    Contact {
        certificate: "connector".to_owned(),
        subject: "CN=connector".to_owned(),
    }
}

fn record(user: &str, pfx_bytes: usize) -> NewRecord {
    NewRecord {
        record: Record {
            user_principal_name: user.to_owned(),
            thumbprint: format!("{:040x}", user.len() * 1_000_000 + pfx_bytes),
            provider_name: "pkcs11".to_owned(),
            key_name: "custody".to_owned(),
            custody_key: Some("ab".repeat(32)),
            padding: Padding::OaepSha512,
            encrypted_password: Base64Bytes(vec![7; 384]),
            importer_signature: None,
        },
        pfx: bytes(pfx_bytes),
        intended_purpose: IntendedPurpose::SmimeEncryption,
        starts_ms: START_MS,
        expires_ms: START_MS + 8_760 * HOUR_MS,
    }
}

fn bytes(count: usize) -> Vec<u8> {
    let mut random = Random::new(count as u64);
    (0..count).map(|_| random.below(256) as u8).collect()
}

fn device_request(user: &str) -> DeviceRequest {
    DeviceRequest {
        user_principal_name: user.to_owned(),
        device_id: "device".to_owned(),
        device: DeviceTarget {
            certificate: Base64Bytes(bytes(900)),
            intermediates: Vec::new(),
        },
        format: CmsFormat::Modern,
        delivery: Delivery::Password,
        idempotency_key: Some(format!("once for {user}")),
    }
}

fn ask(store: &Store, user: &str) -> Result<String, StoreError> {
    let message = device_request(user);
    let accepted = store.create_device_request(&NewDeviceRequest {
        message: &message,
        requested_by: "token",
        max_open: 1_000,
    })?;
    Ok(accepted.requests[0].request_id.clone())
}

fn complete(store: &Store, item: &WorkItem, cms: &[u8]) -> Result<Outcome, StoreError> {
    let answer = Answer::Completed(Completed::Password(cms));
    store.settle(&contact(), &item.request_id, item.fence, &answer, &TERMS)
}

/// A day of a gateway: records come and change, devices ask, a connector works.
fn day(steps: &mut Steps, store: &Store, clock: &ManualClock, name: &str, pfx_bytes: usize) {
    let users: Vec<String> = (0..3).map(|n| format!("{name}{n}@example.org")).collect();
    for user in &users {
        steps.whole(|| {
            store
                .create_record(&ACTOR, &record(user, pfx_bytes))
                .unwrap()
        });
        steps.whole(|| ask(store, user).unwrap());
        clock.advance_ms(5);
    }
    let work = steps.whole(|| store.lease(&contact(), "one", &TERMS).unwrap().work);
    // And what was given back on an earlier day.
    assert!(work.len() >= users.len());
    let item = &work[0];
    steps.whole(|| {
        store
            .extend(&contact(), &item.request_id, item.fence, 120_000)
            .unwrap();
    });
    steps.whole(|| complete(store, item, &bytes(700)).unwrap());
    let failure = FailureReport {
        code: "decryptionFailed".to_owned(),
        message: "it could not be decrypted".to_owned(),
    };
    for (item, retry) in [(&work[1], false), (&work[2], true)] {
        let answer = Answer::Failed {
            failure: &failure,
            retry,
        };
        steps.whole(|| {
            store
                .settle(&contact(), &item.request_id, item.fence, &answer, &TERMS)
                .unwrap();
        });
    }
    // A new PFX: what was made from the old one is deleted, and the log emptied.
    let id = rows_id(store, &users[0]);
    let patch = RecordPatch {
        pfx: Some(bytes(pfx_bytes + 1)),
        ..RecordPatch::default()
    };
    steps.whole(|| store.update_record(&ACTOR, &id, &patch).unwrap());
    let id = rows_id(store, &users[1]);
    steps.whole(|| store.delete_record(&ACTOR, &id).unwrap());
}

fn rows_id(store: &Store, user: &str) -> String {
    let query = pfx_connector::gateway::store::ListQuery {
        user_key: Some(user.to_owned()),
        limit: 1,
        ..Default::default()
    };
    store.list_records(&query).unwrap().records[0]
        .id
        .clone()
        .unwrap()
}

fn open(steps: &mut Steps, now_ms: i64) -> (Store, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(now_ms));
    let path = steps.path(NAME);
    let store = steps.whole(|| Store::open(&path, clock.clone()).unwrap());
    (store, clock)
}

#[test]
fn a_life_recorded_here() {
    let mut steps = Steps::new(NAME, |_| {});
    if steps.is_phase(0) {
        let (store, clock) = open(&mut steps, START_MS);
        let identity = ConnectorIdentity {
            protocol: 1,
            instance: "one".to_owned(),
            version: "0.1.0".to_owned(),
            features: vec!["pfxImport".to_owned()],
        };
        steps.whole(|| store.admit(&contact(), &identity, None).unwrap());
        let token = steps.whole(|| {
            store
                .create_token(&ACTOR, Role::Mdm, "mdm", HOUR_MS)
                .unwrap()
        });
        day(&mut steps, &store, &clock, "a", 2_000);
        steps.whole(|| store.revoke_token(&ACTOR, &token.id).unwrap());
        day(&mut steps, &store, &clock, "b", 30_000);
        steps.killed(0);
    }
    if steps.is_phase(1) {
        // Enough for the write-ahead log to be copied into the database by SQLite itself.
        let (store, clock) = open(&mut steps, START_MS + HOUR_MS);
        for (index, size) in [400_000, 500_000, 200_000].into_iter().enumerate() {
            for user in ["x", "y"] {
                let user = format!("large-{index}-{user}@example.org");
                steps.whole(|| store.create_record(&ACTOR, &record(&user, size)).unwrap());
            }
        }
        day(&mut steps, &store, &clock, "c", 900);
        clock.advance_ms(200 * HOUR_MS);
        steps.parts(|| store.purge(&RetentionConfig::default()).unwrap());
        day(&mut steps, &store, &clock, "d", 1_500);
        drop(store);
        let (store, clock) = open(&mut steps, START_MS + 300 * HOUR_MS);
        day(&mut steps, &store, &clock, "e", 1_000);
        steps.killed(1);
    }
}

/// A backup; then it goes on, and is set back to the backup.
#[test]
fn a_restore_recorded_here() {
    let mut steps = Steps::new(NAME, |_| {});
    let (path, backup) = (steps.path(NAME), steps.path("backup.db"));
    if steps.is_phase(0) {
        let (store, clock) = open(&mut steps, START_MS);
        day(&mut steps, &store, &clock, "a", 3_000);
        steps.whole(|| store.backup(&backup).unwrap());
        day(&mut steps, &store, &clock, "b", 5_000);
        drop(store);
        steps.whole(|| restore(&backup, &path, &ManualClock::at(START_MS + HOUR_MS)).unwrap());
        let (store, clock) = open(&mut steps, START_MS + 2 * HOUR_MS);
        day(&mut steps, &store, &clock, "c", 1_000);
        // Killed, so that there is a log, which the next restore has to do away with.
        steps.killed(0);
    }
    if steps.is_phase(1) {
        steps.whole(|| restore(&backup, &path, &ManualClock::at(START_MS + 3 * HOUR_MS)).unwrap());
        let (store, clock) = open(&mut steps, START_MS + 4 * HOUR_MS);
        day(&mut steps, &store, &clock, "d", 1_000);
        steps.killed(1);
    }
}

/// A database as the first release wrote it.
fn old_database(folder: &Path) {
    let path = folder.join(NAME);
    let connection = Connection::open(&path).unwrap();
    connection
        .execute_batch(include_str!("../../src/gateway/store/v1.sql"))
        .unwrap();
    connection
        .execute_batch(
            "INSERT INTO device_requests VALUES ('d', 'old@example.org', 'phone', '{}', 'modern', NULL, x'00', 'token', 1);
             INSERT INTO requests (id, device_request, thumbprint, state, due_ms, completions, created_ms, settled_ms)
               VALUES ('old', 'd', 'ab', 'completed', 1, 1, 1, 1);
             INSERT INTO results VALUES (1, x'0102', 1);
             PRAGMA application_id = 1346787399; PRAGMA user_version = 1;",
        )
        .unwrap();
    make_private(&path);
}

#[test]
fn a_migration_recorded_here() {
    let mut steps = Steps::new(NAME, old_database);
    let (store, clock) = open(&mut steps, START_MS);
    day(&mut steps, &store, &clock, "a", 1_000);
    steps.killed(0);
}

/// Opens what an end left, as the gateway would.
fn successor(folder: &Path, known: &Known<'_>, random: &mut Random) -> Result<Duration, String> {
    let path = folder.join(NAME);
    leave_shared_memory(&path, random);
    let started = Instant::now();
    let clock = Arc::new(ManualClock::at(START_MS + 10_000 * HOUR_MS));
    let store = Store::open(&path, clock).map_err(|error| format!("does not open: {error}"))?;
    let took = started.elapsed();
    known.compare(&rows_of(&path)?)?;
    let version = check(&path)?;
    if version != i64::from(current_version()) {
        return Err(format!("version {version}"));
    }
    goes_on(&store, &path).map_err(|error| format!("does not go on: {error}"))?;
    check(&path)?;
    Ok(took)
}

/// What was delivered stays so and can be collected; what waits is leased and delivered, once.
fn goes_on(store: &Store, path: &Path) -> Result<(), String> {
    let said = |error: StoreError| error.to_string();
    let connection = Connection::open(path).map_err(|error| error.to_string())?;
    let known: Vec<(String, String, u64, bool)> = connection
        .prepare(
            "SELECT q.id, q.state, q.fence, o.request IS NOT NULL AND q.record IS NOT NULL
             FROM requests q LEFT JOIN results o ON o.request = q.seq",
        )
        .and_then(|mut statement| {
            statement
                .query_map([], |row| {
                    let fence: i64 = row.get(2)?;
                    Ok((row.get(0)?, row.get(1)?, fence.cast_unsigned(), row.get(3)?))
                })?
                .collect()
        })
        .map_err(|error| error.to_string())?;
    let mut waiting = 0;
    for (id, state, fence, has_result) in &known {
        let seen = store.request_state(id).map_err(said)?;
        match state.as_str() {
            "completed" => {
                let answer = Answer::Completed(Completed::Password(b"another"));
                let again = store.settle(&contact(), id, *fence, &answer, &TERMS);
                if seen.completions != 1 || !matches!(again, Err(StoreError::StaleLease)) {
                    return Err(format!("{id} may be delivered twice: {seen:?}, {again:?}"));
                }
                if *has_result {
                    store.collect(id).map_err(said)?;
                }
            }
            "failed" => {}
            _ => waiting += 1,
        }
    }
    let work = store.lease(&contact(), "one", &TERMS).map_err(said)?.work;
    if work.len() != waiting {
        return Err(format!("{waiting} wait, {} are leased", work.len()));
    }
    for item in &work {
        for expected in [Outcome::Accepted, Outcome::AlreadyAccepted] {
            let outcome = complete(store, item, b"result").map_err(said)?;
            if outcome != expected {
                return Err(format!("{}: {outcome:?}", item.request_id));
            }
        }
        let state = store.request_state(&item.request_id).map_err(said)?;
        if (state.state, state.completions) != (State::Completed, 1) {
            return Err(format!("{state:?}"));
        }
    }
    let user = "after@example.org";
    store
        .create_record(&ACTOR, &record(user, 500))
        .map_err(said)?;
    ask(store, user).map_err(said)?;
    Ok(())
}

#[test]
fn the_database_survives_every_end_with_all_that_it_has_promised() {
    let recording = Place::new().record("gateway::a_life_recorded_here", 2);
    play("gateway", &recording, successor);
}

#[test]
fn a_restore_is_there_as_a_whole_or_not_at_all() {
    let recording = Place::new().record("gateway::a_restore_recorded_here", 2);
    play("restore of the gateway", &recording, successor);
}

#[test]
fn a_database_of_an_older_release_survives_every_end_of_its_migration() {
    let place = Place::new();
    old_database(&place.store());
    let recording = place.record("gateway::a_migration_recorded_here", 1);
    play("migration of the gateway", &recording, successor);
}
