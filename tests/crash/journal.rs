//! The connector's journal.

use crate::power::{Op, Random};
use crate::record::{Place, Steps, make_private};
use crate::replay::{Known, play, wrong_ends};
use crate::rows::{check, rows_of};
use pfx_connector::clock::ManualClock;
use pfx_connector::connector::journal::{Admission, Journal, Kind, Offer, Outcome, State, Subject};
use rusqlite::{Connection, params};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

const NAME: &str = "journal.db";
const ROOM: u64 = 64 * 1024 * 1024;
/// Version of its form that this release writes.
const VERSION: i64 = 5;

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future)
}

fn offer(id: &str, fence: u64) -> Offer {
    Offer {
        request_id: id.to_owned(),
        kind: Kind::Import,
        fence,
        attempt: u32::try_from(fence).unwrap(),
        content: format!("content of {id}"),
        subject: Subject {
            user: format!("{id}@example.org"),
            thumbprint: "ab".repeat(20),
            device_id: "device".to_owned(),
            ..Subject::default()
        },
    }
}

fn result(id: &str, bytes: usize) -> Outcome {
    let mut random = Random::new(id.len() as u64 + bytes as u64);
    Outcome::completed((0..bytes).map(|_| random.below(256) as u8).collect())
}

/// One connector's life with its journal: requests are taken on, finished, delivered and reported, some at once.
struct Life<'a> {
    steps: &'a mut Steps,
    clock: Arc<ManualClock>,
    journal: Journal,
}

impl<'a> Life<'a> {
    fn begin(steps: &'a mut Steps, now_ms: i64) -> Self {
        let clock = Arc::new(ManualClock::at(now_ms));
        let path = steps.path(NAME);
        let journal = steps.whole(|| Journal::open(&path, ROOM, clock.clone()).unwrap());
        Self {
            steps,
            clock,
            journal,
        }
    }

    fn batch(&mut self, ids: &[String], bytes: usize) {
        let journal = self.journal.clone();
        let offers = |fence| ids.iter().map(|id| offer(id, fence)).collect();
        self.clock.advance_ms(10);
        self.steps
            .whole(|| block_on(journal.admit(offers(1))).unwrap());
        self.steps
            .whole(|| block_on(journal.blame(&ids[0])).unwrap());
        self.steps
            .whole(|| block_on(journal.refence(&ids[0], 2)).unwrap());
        // All at once, as its workers do: in one transaction or in several.
        self.steps.parts(|| {
            block_on(async {
                let all = ids
                    .iter()
                    .map(|id| journal.record_outcome(id, result(id, bytes)));
                let mut set = Vec::new();
                for one in all {
                    set.push(Box::pin(one));
                }
                for one in join(set).await {
                    one.unwrap();
                }
            });
        });
        for id in ids {
            for state in [State::Settled, State::Reported] {
                self.steps
                    .whole(|| block_on(journal.set_state(id, state)).unwrap());
            }
        }
        // The first is offered again, and the last one given up.
        self.steps
            .whole(|| block_on(journal.admit(vec![offer(&ids[0], 3)])).unwrap());
        let last = &ids[ids.len() - 1];
        self.steps.whole(|| {
            block_on(journal.admit(vec![offer(&format!("{last}-given-up"), 1)])).unwrap()
        });
        let state = State::Released;
        self.steps
            .whole(|| block_on(journal.set_state(&format!("{last}-given-up"), state)).unwrap());
        self.steps.whole(|| block_on(journal.probe()).unwrap());
    }
}

/// Lets all of them run at once.
async fn join<T>(mut futures: Vec<std::pin::Pin<Box<impl Future<Output = T>>>>) -> Vec<T> {
    let mut done: Vec<Option<T>> = futures.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (future, done) in futures.iter_mut().zip(&mut done) {
            if done.is_none()
                && let std::task::Poll::Ready(value) = future.as_mut().poll(context)
            {
                *done = Some(value);
            }
        }
        if done.iter().all(Option::is_some) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    done.into_iter().flatten().collect()
}

fn names(prefix: &str, count: usize) -> Vec<String> {
    (0..count)
        .map(|number| format!("{prefix}-{number}"))
        .collect()
}

/// Waits until the journal's thread has closed it in order: the log goes into the database and is removed.
fn until_closed(log: &Path) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while log.exists() {
        assert!(Instant::now() < deadline, "it does not close");
        std::thread::yield_now();
    }
}

/// Where one process does all phases nothing is killed, and the journal of the phase before closes in its own time: of two that close at once
/// neither removes the log.
fn closed(steps: &Steps) {
    if !steps.is_recorded() {
        until_closed(&steps.path("journal.db-wal"));
    }
}

#[test]
fn a_life_recorded_here() {
    let mut steps = Steps::new(NAME, |_| {});
    if steps.is_phase(0) {
        let mut life = Life::begin(&mut steps, 1_000);
        life.batch(&names("first", 3), 1_000);
        life.batch(&names("second", 2), 9_000);
        drop(life);
        steps.killed(0);
    }
    if steps.is_phase(1) {
        // Enough for the write-ahead log to be copied into the database and begun again, by SQLite itself.
        closed(&steps);
        let mut life = Life::begin(&mut steps, 3_600_000);
        for (number, bytes) in [60_000, 2_000, 250_000, 3_000].into_iter().enumerate() {
            life.batch(&names(&format!("third-{number}"), 4), bytes);
        }
        life.steps
            .whole(|| block_on(life.journal.prune(1)).unwrap());
        life.batch(&names("fourth", 2), 1_500);
        drop(life);
        steps.killed(1);
    }
    if steps.is_phase(2) {
        closed(&steps);
        let life = Life::begin(&mut steps, 7_200_000);
        let path = life.steps.path("journal.db-wal");
        drop(life);
        until_closed(&path);
        let mut life = Life::begin(&mut steps, 7_300_000);
        life.batch(&names("fifth", 3), 2_000);
        drop(life);
        steps.killed(2);
    }
}

/// The form of the first release.
const OLD_FORM: &str = "
    PRAGMA journal_mode = wal;
    CREATE TABLE requests (
        request_id TEXT PRIMARY KEY, state INTEGER NOT NULL, fence INTEGER NOT NULL, attempt INTEGER NOT NULL,
        failures INTEGER NOT NULL DEFAULT 0, offered_again INTEGER NOT NULL DEFAULT 0, user TEXT NOT NULL, thumbprint TEXT NOT NULL,
        device_id TEXT NOT NULL, digest TEXT, code TEXT, message TEXT, leased_at_ms INTEGER NOT NULL, updated_at_ms INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX pending ON requests(state) WHERE state IN (2, 4);
    CREATE TABLE results (
        request_id TEXT PRIMARY KEY REFERENCES requests(request_id) ON DELETE CASCADE,
        cms        BLOB NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE probe (id INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL);
    INSERT INTO probe VALUES (1, 0);
    PRAGMA application_id = 1346787402;
    PRAGMA user_version = 1;
";

/// A journal as the first release wrote it.
fn old_journal(folder: &Path) {
    let path = folder.join(NAME);
    let connection = Connection::open(&path).unwrap();
    let Outcome::Completed {
        cms: Some(cms),
        digest,
    } = result("old", 700)
    else {
        panic!("a result");
    };
    connection.execute_batch(OLD_FORM).unwrap();
    let insert = "INSERT INTO requests (request_id, state, fence, attempt, user, thumbprint, device_id, digest, leased_at_ms, updated_at_ms)
                  VALUES (?1, ?2, 1, 1, 'user', 'ab', 'device', ?3, 5, 5)";
    connection
        .execute(insert, params!["old", State::Outcome.code(), digest])
        .unwrap();
    connection
        .execute(
            insert,
            params!["open", State::Leased.code(), None::<String>],
        )
        .unwrap();
    connection
        .execute("INSERT INTO results VALUES ('old', ?1)", [cms])
        .unwrap();
    drop(connection);
    make_private(&path);
}

#[test]
fn a_migration_recorded_here() {
    let mut steps = Steps::new(NAME, old_journal);
    let mut life = Life::begin(&mut steps, 1_000);
    life.batch(&names("new", 2), 1_000);
    drop(life);
    steps.killed(0);
}

/// Opens what an end left, as the connector would.
fn successor(folder: &Path, known: &Known<'_>, random: &mut Random) -> Result<Duration, String> {
    let path = folder.join(NAME);
    leave_shared_memory(&path, random);
    let started = Instant::now();
    let clock = Arc::new(ManualClock::at(10_000_000));
    let journal =
        Journal::open(&path, ROOM, clock).map_err(|error| format!("does not open: {error}"))?;
    let took = started.elapsed();
    known.compare(&rows_of(&path)?)?;
    let version = check(&path)?;
    if version != VERSION {
        return Err(format!("version {version}"));
    }
    block_on(goes_on(&journal, &path, random.below(8) == 0))
        .map_err(|error| format!("does not go on: {error}"))?;
    check(&path)?;
    Ok(took)
}

/// Of a process that was killed the shared memory is left, and may hold anything.
pub(crate) fn leave_shared_memory(database: &Path, random: &mut Random) {
    if random.below(2) == 0 {
        let mut name = database.as_os_str().to_owned();
        name.push("-shm");
        let rubbish: Vec<u8> = (0..32_768).map(|_| random.next() as u8).collect();
        std::fs::write(&name, rubbish).unwrap();
        make_private(Path::new(&name));
    }
}

/// What is finished is answered from the journal and not done again; what is not is work; and there is room for more.
async fn goes_on(journal: &Journal, path: &Path, probe: bool) -> Result<(), String> {
    let connection = Connection::open(path).map_err(|error| error.to_string())?;
    let known: Vec<(String, u64, Option<String>, String)> = connection
        .prepare("SELECT request_id, fence, digest, content FROM requests")
        .and_then(|mut statement| {
            statement
                .query_map([], |row| {
                    let fence: i64 = row.get(1)?;
                    Ok((row.get(0)?, fence.cast_unsigned(), row.get(2)?, row.get(3)?))
                })?
                .collect()
        })
        .map_err(|error| error.to_string())?;
    for (id, fence, digest, content) in known {
        let again = Offer {
            content,
            ..offer(&id, fence + 1)
        };
        let admitted = journal.admit(vec![again]).await;
        let admitted = admitted.map_err(|error| error.to_string())?.remove(0);
        match (digest, admitted) {
            (None, Admission::Work { .. }) => {}
            (Some(digest), Admission::Finished(entry)) => {
                let whole = match &entry.outcome {
                    Some(Outcome::Completed { cms: Some(cms), .. }) => {
                        let made = Outcome::completed(cms.clone());
                        entry.outcome == Some(made)
                            && matches!(&entry.outcome, Some(Outcome::Completed { digest: kept, .. }) if *kept == digest)
                    }
                    _ => false,
                };
                if !whole {
                    return Err(format!("{id}: its result is not whole"));
                }
            }
            (digest, other) => {
                return Err(format!("{id} with the result {digest:?} became {other:?}"));
            }
        }
    }
    let failed = |error| format!("a new request: {error}");
    journal
        .admit(vec![offer("after", 1)])
        .await
        .map_err(failed)?;
    let outcome = result("after", 300);
    journal
        .record_outcome("after", outcome.clone())
        .await
        .map_err(failed)?;
    let entry = journal.load("after").await.map_err(failed)?;
    if entry.and_then(|entry| entry.outcome) != Some(outcome) {
        return Err("a new result is not found".to_owned());
    }
    if probe {
        journal.probe().await.map_err(failed)?;
    }
    Ok(())
}

#[test]
fn the_journal_survives_every_end_with_all_that_it_has_promised() {
    let recording = Place::new().record("journal::a_life_recorded_here", 3);
    play("journal", &recording, successor);
}

#[test]
fn a_disk_that_does_not_sync_is_found_out() {
    let mut recording = Place::new().record("journal::a_life_recorded_here", 1);
    let syncs = |op: &Op| matches!(op, Op::Sync { .. } | Op::SyncFolder { .. });
    recording.ops.retain(|op| !syncs(op));
    let (wrong, _) = wrong_ends("journal without syncs", &recording, successor);
    assert!(wrong > 100, "{wrong}");
}

#[test]
fn a_journal_of_an_older_release_survives_every_end_of_its_migration() {
    let place = Place::new();
    old_journal(&place.store());
    let recording = place.record("journal::a_migration_recorded_here", 1);
    play("migration of the journal", &recording, successor);
}

/// With as much in the write-ahead log as ever waits there, and tens of thousands of requests remembered.
#[test]
fn the_time_of_the_longest_recovery_is_told() {
    let folder = crate::record::memory_folder();
    let path = folder.path().join(NAME);
    let journal = Journal::open(&path, ROOM, Arc::new(ManualClock::at(5))).unwrap();
    let mut log = folder.path().join("journal.db-wal");
    for batch in 0..100 {
        let ids = names(&format!("request-{batch}"), 256);
        block_on(journal.admit(ids.iter().map(|id| offer(id, 1)).collect())).unwrap();
    }
    // Begun again from its start by the last batches; whatever its length, its content is what counts.
    let image = folder.path().join("image");
    std::fs::create_dir(&image).unwrap();
    for from in [&path, &log] {
        let to = image.join(from.file_name().unwrap());
        std::fs::copy(from, &to).unwrap();
        make_private(&to);
    }
    log = image.join("journal.db-wal");
    let bytes = std::fs::metadata(&log).unwrap().len();
    let started = Instant::now();
    let again = Journal::open(&image.join(NAME), ROOM, Arc::new(ManualClock::at(9))).unwrap();
    let entry = block_on(again.load("request-99-255")).unwrap();
    println!(
        "journal: {} requests and {bytes} bytes of write-ahead log are opened in {:?}",
        100 * 256,
        started.elapsed()
    );
    assert!(entry.is_some());
}
