//! The store: orders, revocations, lists.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use super::store::{Draft, ListKind, OrderState, Revoking, Store};
use super::*;
use crate::engine::api::{SerialState, SignedCrl};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tempfile::tempdir;

const END: i64 = 1_000_000;

fn store(folder: &Path) -> Store {
    Store::open(folder, "issuing").unwrap()
}

fn with_certificates(folder: &Path, serials: &[&[u8]]) -> Store {
    let mut store = store(folder);
    for serial in serials {
        let order = format!("order-{}", crate::encoding::hex(serial));
        store.order(&order, "mail", b"csr", 1).unwrap();
        store.issued(&order, b"cert", serial, END, 2).unwrap();
    }
    store
}

fn serials(draft: &Draft) -> Vec<(Vec<u8>, u8)> {
    let each = draft.entries.iter();
    each.map(|one| (one.serial.as_slice().to_vec(), one.reason))
        .collect()
}

/// Drafts a list and keeps it as signed at this time.
fn make(store: &mut Store, kind: ListKind, at_ms: i64, by_schedule: bool) -> Draft {
    let draft = store.draft(kind).unwrap().unwrap();
    let signed = SignedCrl {
        crl: draft.number.to_be_bytes().to_vec().into(),
        this_update_ms: at_ms,
        next_update_ms: at_ms + 1000,
    };
    store
        .made(kind, &draft, &signed, by_schedule, |_| Ok(()))
        .unwrap();
    draft
}

#[test]
fn an_order_gets_one_certificate_whatever_happens_and_its_id_stands_for_one_request() {
    let folder = tempdir().unwrap();
    let mut open = store(folder.path());
    assert_eq!(open.known("a").unwrap(), None);
    assert_eq!(
        open.order("a", "mail", b"csr", 1).unwrap(),
        OrderState::Asked
    );
    drop(open);
    // As after a crash.
    let mut open = store(folder.path());
    assert_eq!(open.known("a").unwrap(), Some(OrderState::Asked));
    // Somebody whose own key was not issued for: until there is a certificate, another request may take its place.
    let asked = |csr: &[u8]| Some(("mail".to_owned(), csr.to_vec()));
    assert_eq!(
        open.order("a", "mail", b"its own", 1).unwrap(),
        OrderState::Asked
    );
    assert_eq!(open.asked("a").unwrap(), asked(b"its own"));
    assert_eq!(
        open.order("a", "mail", b"csr", 1).unwrap(),
        OrderState::Asked
    );
    assert_eq!(open.asked("a").unwrap(), asked(b"csr"));
    assert_eq!(open.issued("a", b"one", b"\x01", END, 2).unwrap(), b"one");
    // Another process that was asked for the same at the same time.
    assert_eq!(open.issued("a", b"two", b"\x02", END, 3).unwrap(), b"one");
    let issued = OrderState::Issued(b"one".to_vec());
    assert_eq!(open.order("a", "mail", b"csr", 4).unwrap(), issued);
    assert_eq!(open.asked("a").unwrap(), None);
    for (profile, csr) in [("mail", &b"other"[..]), ("tls", b"csr")] {
        let refused = open.order("a", profile, csr, 5).unwrap_err();
        assert_eq!(refused, StoreError::OtherOrder("a".to_owned()));
    }
}

#[test]
fn the_store_is_its_owners_alone_and_one_authoritys() {
    let above = tempdir().unwrap();
    let folder = above.path().join("issuing");
    drop(store(&folder));
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    assert_eq!(mode(&folder.join("ca.db")), 0o600);
    let refused = Store::open(&folder, "other").err().unwrap();
    assert_eq!(refused, StoreError::OtherAuthority("issuing".to_owned()));
    let connection = rusqlite::Connection::open(folder.join("ca.db")).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    let refused = Store::open(&folder, "issuing").err().unwrap();
    assert_eq!(
        refused,
        StoreError::Newer {
            found: 99,
            known: 1
        }
    );
}

#[test]
fn revocations_are_done_once_and_only_a_hold_is_taken_back() {
    let folder = tempdir().unwrap();
    let mut open = with_certificates(folder.path(), &[b"\x01", b"\x02"]);
    assert_eq!(open.revoke(b"\x09", 1, 5).unwrap(), Revoking::NotIssued);
    assert_eq!(open.revoke(b"\x01", 1, 5).unwrap(), Revoking::Now);
    assert_eq!(open.revoke(b"\x01", 1, 6).unwrap(), Revoking::Already);
    assert_eq!(open.revoke(b"\x01", 6, 6).unwrap(), Revoking::Already);
    assert_eq!(open.revoke(b"\x01", 8, 6).unwrap(), Revoking::Final);
    assert_eq!(
        open.status(b"\x01").unwrap().0,
        SerialState::Revoked {
            at_ms: 5,
            reason: 1
        }
    );
    assert_eq!(open.revoke(b"\x02", 6, 7).unwrap(), Revoking::Now);
    assert_eq!(open.revoke(b"\x02", 8, 8).unwrap(), Revoking::Now);
    assert_eq!(open.revoke(b"\x02", 8, 8).unwrap(), Revoking::Already);
    assert_eq!(open.status(b"\x02").unwrap().0, SerialState::Good);
    assert_eq!(open.revoke(b"\x02", 6, 9).unwrap(), Revoking::Now);
    assert_eq!(open.revoke(b"\x02", 4, 10).unwrap(), Revoking::Now);
    assert_eq!(open.revoke(b"\x02", 8, 11).unwrap(), Revoking::Final);
    assert_eq!(open.status(b"\x09").unwrap().0, SerialState::Unknown);
}

#[test]
fn deltas_say_what_changed_since_the_list_by_schedule_and_numbers_only_grow() {
    let folder = tempdir().unwrap();
    let (a, b, c): (&[u8], &[u8], &[u8]) = (b"\x01", b"\x02", b"\x03");
    let mut open = with_certificates(folder.path(), &[a, b, c]);
    assert_eq!(open.draft(ListKind::Delta).unwrap(), None);
    open.revoke(a, 1, 10).unwrap();
    open.revoke(b, 6, 10).unwrap();
    assert!(!open.published().unwrap().full);
    let base = make(&mut open, ListKind::Full, 20, true);
    assert_eq!(serials(&base), [(a.to_vec(), 1), (b.to_vec(), 6)]);
    assert!(open.published().unwrap().full);
    // The hold is taken back; another one comes and goes within the delta's time.
    open.revoke(b, 8, 30).unwrap();
    open.revoke(c, 6, 30).unwrap();
    open.revoke(c, 8, 31).unwrap();
    assert!(!open.published().unwrap().full);
    let full = make(&mut open, ListKind::Full, 40, false);
    assert_eq!(serials(&full), [(a.to_vec(), 1)]);
    let delta = make(&mut open, ListKind::Delta, 41, false);
    assert_eq!(delta.base, Some(base.number));
    assert_eq!(serials(&delta), [(b.to_vec(), 8)]);
    open.revoke(c, 4, 50).unwrap();
    let delta = make(&mut open, ListKind::Delta, 51, false);
    assert_eq!(serials(&delta), [(c.to_vec(), 4), (b.to_vec(), 8)]);
    assert!(base.number < full.number && full.number < delta.number);
    open.number_above(100).unwrap();
    assert_eq!(make(&mut open, ListKind::Full, 60, true).number, 101);
}

#[test]
fn a_delta_that_was_not_made_after_the_full_list_is_still_due() {
    let folder = tempdir().unwrap();
    let mut open = with_certificates(folder.path(), &[b"\x01"]);
    let published = |open: &Store| {
        let published = open.published().unwrap();
        (published.full, published.delta)
    };
    make(&mut open, ListKind::Full, 10, true);
    assert_eq!(published(&open), (true, false), "there is none");
    make(&mut open, ListKind::Delta, 11, true);
    assert_eq!(published(&open), (true, true));
    open.revoke(b"\x01", 1, 20).unwrap();
    make(&mut open, ListKind::Full, 21, false);
    assert_eq!(published(&open), (true, false));
    assert_eq!(
        serials(&make(&mut open, ListKind::Delta, 22, false)).len(),
        1
    );
    assert_eq!(published(&open), (true, true));
}

#[test]
fn a_hold_that_comes_and_goes_twice_is_taken_from_the_list_that_names_it() {
    let folder = tempdir().unwrap();
    let (named, unnamed): (&[u8], &[u8]) = (b"\x01", b"\x02");
    let mut open = with_certificates(folder.path(), &[named, unnamed]);
    open.revoke(named, 6, 10).unwrap();
    make(&mut open, ListKind::Full, 20, true);
    let both = |open: &mut Store, reason, at_ms| {
        for serial in [named, unnamed] {
            let done = open.revoke(serial, reason, at_ms).unwrap();
            // The other one is not on hold yet.
            assert!(done == Revoking::Now || at_ms == 30);
        }
        serials(&make(open, ListKind::Delta, at_ms, false))
    };
    assert_eq!(both(&mut open, 8, 30), [(named.to_vec(), 8)]);
    let held = [(named.to_vec(), 6), (unnamed.to_vec(), 6)];
    assert_eq!(both(&mut open, 6, 40), held);
    assert_eq!(open.room().unwrap().entries, 2);
    assert_eq!(both(&mut open, 8, 50), [(named.to_vec(), 8)]);
    // A list that names neither has nothing taken from it.
    make(&mut open, ListKind::Full, 60, true);
    assert_eq!(both(&mut open, 6, 70), held);
    assert_eq!(both(&mut open, 8, 80), []);
    // One that names both.
    both(&mut open, 6, 90);
    make(&mut open, ListKind::Full, 100, true);
    let released = [(named.to_vec(), 8), (unnamed.to_vec(), 8)];
    assert_eq!(both(&mut open, 8, 110), released);
}

#[test]
fn what_has_ended_leaves_the_list_after_one_that_still_named_it() {
    let folder = tempdir().unwrap();
    let mut open = with_certificates(folder.path(), &[b"\x01"]);
    open.revoke(b"\x01", 1, 10).unwrap();
    make(&mut open, ListKind::Full, END - 1, true);
    // It ended in between: this one names it, the next does not.
    let still = make(&mut open, ListKind::Full, END + 1, true);
    assert_eq!(still.entries.len(), 1);
    assert_eq!(
        make(&mut open, ListKind::Full, END + 2, true).entries.len(),
        0
    );
}

#[test]
fn an_older_list_never_takes_the_place_of_a_newer_one() {
    let folder = tempdir().unwrap();
    let mut open = with_certificates(folder.path(), &[]);
    let slow = open.draft(ListKind::Full).unwrap().unwrap();
    let quick = make(&mut open, ListKind::Full, 10, true);
    let signed = SignedCrl {
        crl: b"old".to_vec().into(),
        this_update_ms: 9,
        next_update_ms: 1000,
    };
    open.made(ListKind::Full, &slow, &signed, true, |_| {
        Err(std::io::Error::other("it is published"))
    })
    .unwrap();
    assert_eq!(
        open.list(ListKind::Full).unwrap().unwrap().number,
        quick.number
    );
}

#[test]
fn two_processes_of_one_authority_never_draft_lists_with_one_number() {
    let folder = tempdir().unwrap();
    let mut numbers: Vec<u64> = std::thread::scope(|scope| {
        let drafting: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut open = store(folder.path());
                    (0..20)
                        .map(|_| open.draft(ListKind::Full).unwrap().unwrap().number)
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        let drafted = drafting.into_iter().map(|one| one.join().unwrap());
        drafted.flatten().collect()
    });
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), 40);
}

#[test]
fn what_may_have_been_signed_is_asked_after_and_not_taken_for_not_issued() {
    use crate::engine::api::{Failure, FailureCode};
    use crate::engine::client::RecryptError;
    let class = |code| {
        let message = String::new();
        authority::failed(RecryptError::Failed(Failure { code, message })).class()
    };
    for code in [
        FailureCode::AuditUnavailable,
        FailureCode::DeadlineExceeded,
        FailureCode::EngineFault,
    ] {
        assert_eq!(class(code), ca::ErrorClass::Unknown, "{code:?}");
    }
    assert_eq!(class(FailureCode::Busy), ca::ErrorClass::Unavailable);
    assert_eq!(
        class(FailureCode::TokenUnavailable),
        ca::ErrorClass::Unavailable
    );
}

#[test]
fn a_list_that_is_full_is_told_early_and_takes_nothing_more_in() {
    let folder = tempdir().unwrap();
    let serials: Vec<Vec<u8>> = (1..=7).map(|serial| vec![serial]).collect();
    let names: Vec<&[u8]> = serials.iter().map(Vec::as_slice).collect();
    let mut open = with_certificates(folder.path(), &names).with_lists_of(5);
    let mut revoke = |place: usize, reason| open.revoke(names[place], reason, 10).unwrap();
    assert_eq!(revoke(0, 6), Revoking::Now);
    // Taken back: a delta may have to say so.
    assert_eq!(revoke(0, 8), Revoking::Now);
    for place in 1..4 {
        assert_eq!(revoke(place, 1), Revoking::Now);
    }
    let figures = open.figures().unwrap();
    assert_eq!((figures.list.entries, figures.revoked), (4, 3));
    assert!(figures.list.is_nearly_full());
    let mut revoke = |place: usize, reason| open.revoke(names[place], reason, 10).unwrap();
    assert_eq!(revoke(4, 6), Revoking::Now);
    assert_eq!(revoke(5, 1), Revoking::Full);
    // What is in it can still change, and what is known is known.
    assert_eq!(revoke(4, 1), Revoking::Now);
    assert_eq!(revoke(4, 1), Revoking::Already);
    assert_eq!(open.status(names[5]).unwrap().0, SerialState::Good);
    assert_eq!(make(&mut open, ListKind::Full, 20, true).entries.len(), 4);
    // Once they have ended and a list has named them, there is room again.
    make(&mut open, ListKind::Full, END + 1, true);
    assert!(!open.room().unwrap().is_nearly_full());
    assert_eq!(open.revoke(names[6], 1, END + 2).unwrap(), Revoking::Now);
}

#[test]
fn it_is_nearly_full_at_four_fifths() {
    let room = |entries| ListRoom {
        entries,
        at_most: 30_000,
    };
    assert!(!room(23_999).is_nearly_full());
    assert!(room(24_000).is_nearly_full());
}
