#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

mod hostile;
mod policies;

use super::*;
use crate::entry::Entry;
use crate::event::{Event, Opened};
use crate::fold::Fold;
use crate::ledger::Release;
use crate::text::{Hash, Timestamp};
use fips::sign::{KeyKind, SigningKey};

/// 2026-06-01T00:00:00Z.
const NOW: Timestamp = Timestamp::from_ms(1_780_272_000_000);
const DAY_MS: i64 = 24 * 3600 * 1000;

fn after_ms(ms: i64) -> Timestamp {
    Timestamp::from_ms(NOW.as_ms() + ms)
}

/// Three approvers, two of whom it takes.
struct Scene {
    keys: Vec<SigningKey>,
    quorum: Quorum,
    memory: ApprovalMemory,
}

impl Scene {
    fn new() -> Self {
        fips::start(fips::policy::Policy::STRICT).unwrap();
        let keys: Vec<_> = (0..3)
            .map(|_| SigningKey::generate(KeyKind::EcP256).unwrap())
            .collect();
        let approvers = ["ada", "ben", "cyd"]
            .iter()
            .zip(&keys)
            .map(|(name, key)| Approver::new(name, key.spki_der()).unwrap())
            .collect();
        Self {
            keys,
            quorum: Quorum::new(2, approvers).unwrap(),
            memory: ApprovalMemory::default(),
        }
    }

    fn approve(&self, who: usize, statement: &Statement) -> Offered {
        let approval = Approval::sign(statement.clone(), &self.keys[who]).unwrap();
        Offered {
            name: format!("{who}.approval"),
            content: approval.to_file().unwrap(),
        }
    }

    fn verify(&mut self, offered: &[Offered]) -> Result<Granted, NotApproved> {
        self.verify_at(offered, NOW)
    }

    fn verify_at(&mut self, offered: &[Offered], now: Timestamp) -> Result<Granted, NotApproved> {
        verify(offered, &destroy(), &self.quorum, &mut self.memory, now)
    }

    /// The only problem, where nothing was good.
    fn problem(&mut self, offered: Offered) -> Problem {
        let refused = self.verify(&[offered]).unwrap_err();
        assert_eq!((refused.good, refused.problems.len()), (0, 1), "{refused}");
        refused.problems[0].1.clone()
    }
}

fn destroy() -> Subject {
    Subject::KeyDestroy {
        key: Hash::of(b"a key"),
        token_serial: "0123 abc".to_owned(),
        last_copy: false,
    }
}

fn importer(quarantine: bool) -> Release {
    Release::Importer {
        importer: Some(Hash::of(b"importer")),
        quarantine,
    }
}

fn statement() -> Statement {
    about(destroy())
}

fn about(subject: Subject) -> Statement {
    Statement::new(subject, NOW, DAY_MS, "the old key is of no use any more").unwrap()
}

fn entry(event: Event, time: Timestamp) -> Entry {
    Entry {
        v: 1,
        seq: 1,
        time,
        boot: "boot".to_owned(),
        prev: Hash::NONE,
        event,
    }
}

#[test]
fn two_of_three_are_enough_and_one_is_not() {
    let mut scene = Scene::new();
    let statement = statement();
    let (ada, cyd) = (scene.approve(0, &statement), scene.approve(2, &statement));
    let alone = scene.verify(std::slice::from_ref(&ada)).unwrap_err();
    assert_eq!((alone.good, alone.required), (1, 2));
    assert!(alone.to_string().contains("there are 1"), "{alone}");
    let granted = scene.verify(&[ada, cyd]).unwrap();
    let names: Vec<_> = granted
        .approvers()
        .iter()
        .map(|(_, name)| name.as_str())
        .collect();
    assert!(
        names.contains(&"ada") && names.contains(&"cyd"),
        "{names:?}"
    );
    let entry = granted.entry();
    assert_eq!(entry.verb, "keyDestroy");
    assert_eq!(entry.subject, destroy().digest());
    assert_eq!(entry.nonces, [statement.nonce.to_string()]);
}

#[test]
fn a_file_that_does_not_count_hinders_none_that_do() {
    let mut scene = Scene::new();
    let statement = statement();
    let junk = Offered {
        name: "junk".to_owned(),
        content: b"not JSON".to_vec(),
    };
    let files = [
        junk,
        scene.approve(
            0,
            &about(Subject::OracleRelease {
                release: importer(false),
            }),
        ),
        scene.approve(1, &statement),
        scene.approve(0, &statement),
    ];
    assert!(scene.verify(&files).is_ok());
}

#[test]
fn a_request_reads_back_and_is_signed_as_it_was_read() {
    let mut scene = Scene::new();
    let file = Request::new(statement()).to_file().unwrap();
    let read = Request::read(&file).unwrap().statement;
    assert_eq!(read.to_owned(), Request::read(&file).unwrap().statement);
    let files = [scene.approve(0, &read), scene.approve(1, &read)];
    assert!(scene.verify(&files).is_ok());
    let text = String::from_utf8(file).unwrap();
    for word in ["keyDestroy", "0123 abc", "2026-06-02", "of no use any more"] {
        assert!(text.contains(word), "a person can read it: {text}");
    }
}

#[test]
fn a_used_nonce_never_works_again_also_when_the_log_is_read_anew() {
    let mut scene = Scene::new();
    let statement = statement();
    let files = [scene.approve(0, &statement), scene.approve(1, &statement)];
    let granted = scene.verify(&files).unwrap();
    // Not in the log yet.
    let again = scene.verify(&files).unwrap_err();
    assert!(
        again
            .problems
            .iter()
            .all(|(_, problem)| *problem == Problem::Used)
    );

    // A new process that has read the log.
    let entry = entry(Event::Approved(Box::new(granted.entry())), NOW);
    scene.memory = ApprovalMemory::default();
    scene.memory.apply(&entry);
    let again = scene.verify(&files).unwrap_err();
    assert!(
        again
            .problems
            .iter()
            .all(|(_, problem)| *problem == Problem::Used)
    );

    // One that has read the snapshot in a newer file.
    let snapshot = scene.memory.snapshot();
    scene.memory = ApprovalMemory::default();
    scene.memory.restore(&snapshot).unwrap();
    let again = scene.verify(&files).unwrap_err();
    assert!(
        again
            .problems
            .iter()
            .all(|(_, problem)| *problem == Problem::Used)
    );
    // And the third approver's signature on the same decision is of no more use.
    let third = scene.approve(2, &statement);
    assert_eq!(scene.problem(third), Problem::Used);
}

#[test]
fn a_clock_that_goes_back_makes_nothing_good_again() {
    let mut scene = Scene::new();
    let statement = statement();
    let files = [scene.approve(0, &statement), scene.approve(1, &statement)];
    // The log has an entry of two days later; the machine's clock says today.
    let later = entry(
        Event::Opened(Box::new(Opened {
            program: "test".to_owned(),
            ..Opened::default()
        })),
        after_ms(2 * DAY_MS),
    );
    scene.memory.apply(&later);
    let refused = scene.verify(&files).unwrap_err();
    assert!(
        refused
            .problems
            .iter()
            .all(|(_, problem)| matches!(problem, Problem::Expired(_))),
        "{refused}"
    );

    // Nor a nonce that need not be remembered any more, because its time was over.
    let mut scene = Scene::new();
    let files = [scene.approve(0, &statement), scene.approve(1, &statement)];
    let granted = scene.verify(&files).unwrap();
    scene.memory = ApprovalMemory::default();
    scene
        .memory
        .apply(&entry(Event::Approved(Box::new(granted.entry())), NOW));
    scene.memory.apply(&later);
    assert!(
        !scene.memory.is_used(&statement.nonce),
        "its memory is bounded"
    );
    assert!(scene.verify(&files).is_err());
}

#[test]
fn more_decisions_than_can_be_remembered_are_refused() {
    let mut scene = Scene::new();
    for _ in 0..4096 {
        scene.memory.reserve(Nonce::random().unwrap());
    }
    let statement = statement();
    let files = [scene.approve(0, &statement), scene.approve(1, &statement)];
    let refused = scene.verify(&files).unwrap_err();
    assert!(refused.is_full, "{refused}");
}

#[test]
fn no_two_subjects_have_the_same_digest() {
    fips::start(fips::policy::Policy::STRICT).unwrap();
    let release = |release| Subject::OracleRelease { release };
    let hash = Hash::of(b"importer");
    let subjects = [
        destroy(),
        Subject::PolicyChange {
            from: hash,
            to: Hash::NONE,
        },
        Subject::PolicyChange {
            from: Hash::NONE,
            to: hash,
        },
        release(importer(false)),
        release(importer(true)),
        release(Release::Importer {
            importer: None,
            quarantine: false,
        }),
        release(Release::Ciphertext { ciphertext: hash }),
        release(Release::Caller { caller: Some(0) }),
        release(Release::Caller { caller: None }),
        release(Release::Uses { importer: None }),
        release(Release::Uses {
            importer: Some(hash),
        }),
    ];
    let digests: std::collections::BTreeSet<_> =
        subjects.iter().map(|subject| subject.digest()).collect();
    assert_eq!(digests.len(), subjects.len());
    for subject in subjects {
        let text = serde_json::to_string(&subject).unwrap();
        assert_eq!(
            serde_json::from_str::<Subject>(&text).unwrap(),
            subject,
            "{text}"
        );
    }
}
