#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]
use super::*;
use crate::clock::ManualClock;
use std::path::Path;
use std::sync::Arc;

const ROOM: u64 = 16 << 20;

fn open(path: &Path, clock: &Arc<ManualClock>) -> Journal {
    Journal::open(path, ROOM, Arc::clone(clock) as _).unwrap()
}

fn offer(id: &str, fence: u64) -> Offer {
    Offer {
        request_id: id.to_owned(),
        kind: Kind::Import,
        fence,
        attempt: u32::try_from(fence).unwrap(),
        content: "content".to_owned(),
        subject: Subject {
            user: "u".to_owned(),
            thumbprint: "t".to_owned(),
            device_id: "d".to_owned(),
            platform: String::new(),
        },
    }
}

async fn admit(journal: &Journal, id: &str, fence: u64) -> Admission {
    journal
        .admit(vec![offer(id, fence)])
        .await
        .unwrap()
        .remove(0)
}

#[tokio::test]
async fn a_request_is_work_until_it_has_an_outcome_and_known_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let clock = Arc::new(ManualClock::at(1_000));
    let journal = open(&path, &clock);
    assert_eq!(
        admit(&journal, "a", 1).await,
        Admission::Work { failures: 0 }
    );
    assert_eq!(journal.blame("a").await.unwrap(), 1);
    journal.set_state("a", State::Released).await.unwrap();
    drop(journal);

    // Failures are counted over restarts.
    let journal = open(&path, &clock);
    assert_eq!(
        admit(&journal, "a", 2).await,
        Admission::Work { failures: 1 }
    );
    let outcome = Outcome::completed(b"cms".to_vec());
    journal.record_outcome("a", outcome.clone()).await.unwrap();
    assert_eq!(journal.in_state(State::Outcome, 9).await.unwrap().len(), 1);
    drop(journal);

    let journal = open(&path, &clock);
    let entry = journal.load("a").await.unwrap().unwrap();
    assert_eq!(
        (entry.state, entry.fence, entry.outcome),
        (State::Outcome, 2, Some(outcome.clone()))
    );
    journal.set_state("a", State::Settled).await.unwrap();
    journal.set_state("a", State::Reported).await.unwrap();
    let Admission::Finished(entry) = admit(&journal, "a", 3).await else {
        panic!("finished requests are known");
    };
    assert_eq!((entry.fence, entry.offered_again), (3, 1));
    assert_eq!(entry.outcome, Some(outcome));
}

#[tokio::test]
async fn a_superseded_request_without_outcome_may_be_worked_on_again() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::at(0));
    let journal = open(&folder.path().join("j"), &clock);
    admit(&journal, "a", 1).await;
    journal.set_state("a", State::Superseded).await.unwrap();
    assert_eq!(
        admit(&journal, "a", 5).await,
        Admission::Work { failures: 0 }
    );
}

#[tokio::test]
async fn a_superseded_outcome_that_is_offered_again_is_the_sweepers_until_it_is_settled() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::at(0));
    let journal = open(&folder.path().join("j"), &clock);
    admit(&journal, "a", 1).await;
    let outcome = Outcome::completed(b"cms".to_vec());
    journal.record_outcome("a", outcome).await.unwrap();
    journal.set_state("a", State::Superseded).await.unwrap();
    let Admission::Finished(entry) = admit(&journal, "a", 3).await else {
        panic!("its outcome is known");
    };
    assert_eq!((entry.state, entry.fence), (State::Outcome, 3));
    let waiting = journal.in_state(State::Outcome, 9).await.unwrap();
    assert_eq!(waiting.len(), 1);
    assert_eq!(waiting[0].fence, 3);
}

#[tokio::test]
async fn what_was_made_from_a_changed_record_is_never_delivered_for_the_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::at(0));
    let journal = open(&folder.path().join("j"), &clock);
    let changed = |id: &str| Offer {
        content: "other".to_owned(),
        ..offer(id, 2)
    };
    for (id, state) in [
        ("outcome", State::Outcome),
        ("superseded", State::Superseded),
    ] {
        admit(&journal, id, 1).await;
        journal.blame(id).await.unwrap();
        let outcome = Outcome::completed(b"old".to_vec());
        journal.record_outcome(id, outcome).await.unwrap();
        journal.set_state(id, state).await.unwrap();
        let admission = journal.admit(vec![changed(id)]).await.unwrap().remove(0);
        assert_eq!(admission, Admission::Work { failures: 0 }, "{id}");
        let entry = journal.load(id).await.unwrap().unwrap();
        assert_eq!((entry.state, entry.outcome), (State::Leased, None), "{id}");
    }
    // Taken by the gateway once: its event stands, its result is not sent for the new content.
    admit(&journal, "settled", 1).await;
    let outcome = Outcome::completed(b"old".to_vec());
    journal.record_outcome("settled", outcome).await.unwrap();
    journal.set_state("settled", State::Settled).await.unwrap();
    let admission = journal.admit(vec![changed("settled")]).await.unwrap();
    let [Admission::Finished(entry)] = admission.as_slice() else {
        panic!("it is known");
    };
    assert!(matches!(
        entry.outcome,
        Some(Outcome::Completed { cms: None, .. })
    ));
}

#[tokio::test]
async fn a_journal_of_the_first_version_is_brought_up_to_date_and_keeps_its_outcomes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("j");
    let clock = Arc::new(ManualClock::at(0));
    let journal = open(&path, &clock);
    admit(&journal, "a", 1).await;
    let outcome = Outcome::completed(b"cms".to_vec());
    journal.record_outcome("a", outcome.clone()).await.unwrap();
    drop(journal);
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection
        .execute_batch("DROP TABLE revoked; DROP TABLE brake; DROP TABLE orders; ALTER TABLE requests DROP COLUMN platform; ALTER TABLE requests DROP COLUMN kind; ALTER TABLE requests DROP COLUMN content; ALTER TABLE probe DROP COLUMN filler; PRAGMA user_version = 1")
        .unwrap();
    drop(connection);
    let journal = open(&path, &clock);
    let Admission::Finished(entry) = admit(&journal, "a", 2).await else {
        panic!("its outcome is known");
    };
    assert_eq!(entry.outcome, Some(outcome));
    journal.probe().await.unwrap();
}

#[tokio::test]
async fn the_platform_of_a_certificate_is_known_after_a_restart_and_learnt_where_an_older_release_began()
 {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("j");
    let clock = Arc::new(ManualClock::at(0));
    let journal = open(&path, &clock);
    let offered = |id: &str, fence| {
        let mut offer = offer(id, fence);
        offer.kind = Kind::Pkcs;
        offer.subject.platform = "ios".to_owned();
        offer
    };
    let both = vec![offered("old", 1), offered("new", 1)];
    journal.admit(both).await.unwrap();
    drop(journal);
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection
        .execute_batch("UPDATE requests SET platform = '' WHERE request_id = 'old'")
        .unwrap();
    drop(connection);
    let journal = open(&path, &clock);
    let platform = async |id: &str| journal.load(id).await.unwrap().unwrap().subject.platform;
    assert_eq!(platform("new").await, "ios");
    assert_eq!(platform("old").await, "");
    journal.admit(vec![offered("old", 2)]).await.unwrap();
    assert_eq!(platform("old").await, "ios");
}

#[tokio::test]
async fn finished_requests_are_forgotten_after_their_time_and_unreported_ones_never() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::at(0));
    let journal = open(&folder.path().join("j"), &clock);
    for id in ["reported", "settled"] {
        admit(&journal, id, 1).await;
        let outcome = Outcome::Failed {
            code: "c".to_owned(),
            message: "m".to_owned(),
        };
        journal.record_outcome(id, outcome).await.unwrap();
        journal.set_state(id, State::Settled).await.unwrap();
    }
    journal
        .set_state("reported", State::Reported)
        .await
        .unwrap();
    clock.advance_ms(3_600_000 * 2);
    assert_eq!(journal.prune(3).await.unwrap(), 0);
    assert_eq!(journal.prune(1).await.unwrap(), 1);
    assert!(journal.load("reported").await.unwrap().is_none());
    assert!(journal.load("settled").await.unwrap().is_some());
}

#[tokio::test]
async fn a_full_journal_gives_up_old_results_first_and_then_refuses_new_requests() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::at(0));
    let limit = 192 * 1024;
    let path = folder.path().join("j");
    let journal = Journal::open(&path, limit, Arc::clone(&clock) as _).unwrap();
    let mut finished = 0;
    let error = loop {
        let id = format!("r-{finished}");
        let mut next = offer(&id, 1);
        next.subject.user = "u".repeat(1_000);
        match journal.admit(vec![next]).await {
            Ok(_) => {}
            Err(error) => break error,
        }
        // What was admitted has room for its outcome.
        let outcome = Outcome::completed(vec![7; 20_000]);
        journal.record_outcome(&id, outcome).await.unwrap();
        journal.set_state(&id, State::Settled).await.unwrap();
        journal.set_state(&id, State::Reported).await.unwrap();
        finished += 1;
    };
    assert!(matches!(error, JournalError::Full(_)), "{error:?}");
    assert!(journal.probe().await.is_err());
    // Far more than would have fitted with their results.
    assert!(finished > limit / 20_000 * 3, "{finished}");
    let figures = journal.figures().await.unwrap();
    assert!(figures.bytes <= limit);
    assert_eq!(figures.remembered, finished);
    let entry = journal.load("r-0").await.unwrap().unwrap();
    assert!(matches!(
        entry.outcome,
        Some(Outcome::Completed { cms: None, .. })
    ));
    // Forgetting makes room again.
    clock.advance_ms(1);
    assert!(journal.prune(0).await.unwrap() > 0);
    journal.probe().await.unwrap();
}

#[tokio::test]
async fn one_failing_job_does_not_undo_the_others_of_its_transaction() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(&folder.path().join("j"), &Arc::new(ManualClock::at(0)));
    admit(&journal, "a", 1).await;
    let (good, bad) = tokio::join!(
        journal.record_outcome("a", Outcome::completed(b"x".to_vec())),
        journal.blame("nobody")
    );
    good.unwrap();
    assert!(bad.is_err());
    let entry = journal.load("a").await.unwrap().unwrap();
    assert_eq!(entry.state, State::Outcome);
}

#[tokio::test]
async fn others_foreign_and_newer_files_are_refused_and_the_file_is_private() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("j");
    let clock = Arc::new(ManualClock::at(0));
    let journal = open(&path, &clock);
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(matches!(
        Journal::open(&path, ROOM, Arc::clone(&clock) as _),
        Err(JournalError::InUse(_))
    ));
    drop(journal);
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    assert!(matches!(
        Journal::open(&path, ROOM, Arc::clone(&clock) as _),
        Err(JournalError::Newer { found: 99, .. })
    ));
    let other = folder.path().join("other");
    let connection = rusqlite::Connection::open(&other).unwrap();
    connection.execute_batch("CREATE TABLE t (x)").unwrap();
    drop(connection);
    let set_mode = |mode| {
        std::fs::set_permissions(&other, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    set_mode(0o640);
    let loose = Journal::open(&other, ROOM, Arc::clone(&clock) as _).err();
    let told = loose.unwrap().to_string();
    assert!(told.contains("chmod 600"), "{told}");
    set_mode(0o600);
    assert!(matches!(
        Journal::open(&other, ROOM, clock as _),
        Err(JournalError::Foreign(_))
    ));
}

#[tokio::test]
async fn orders_are_counted_by_what_they_are_until_they_have_an_outcome() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let clock = Arc::new(ManualClock::at(1_000));
    let journal = open(&path, &clock);
    // What is kept here begins with `p` where it is pending; the rest is the authority's name.
    let pending = |order: &[u8]| {
        let name = order.strip_prefix(b"p")?;
        Some(String::from_utf8_lossy(name).into_owned())
    };
    for (id, order) in [("a", "pone"), ("b", "pone"), ("c", "ptwo"), ("d", "one")] {
        admit(&journal, id, 1).await;
        let order = order.as_bytes().to_vec();
        journal.keep_order(id, order).await.unwrap();
    }
    let counted = journal.count_orders(pending).await.unwrap();
    let counted: Vec<_> = counted.into_iter().collect();
    assert_eq!(counted, [("one".to_owned(), 2), ("two".to_owned(), 1)]);
    let outcome = Outcome::completed(b"pfx".to_vec());
    journal.record_outcome("c", outcome).await.unwrap();
    drop(journal);
    let journal = open(&path, &clock);
    let counted = journal.count_orders(pending).await.unwrap();
    assert_eq!(
        counted.into_iter().collect::<Vec<_>>(),
        [("one".to_owned(), 2)]
    );
}
