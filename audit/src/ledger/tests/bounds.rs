//! Whatever is asked, memory and snapshots are bounded, and what bounds them lets nobody go.

use super::*;
use crate::fold::Fold;

#[test]
fn a_full_quarantine_admits_only_what_decrypted_before_and_tells_it_once() {
    let limits = Limits::default();
    let mut ledger = Ledger::default();
    try_once(&mut ledger, NOW, &asked(0, 0), Ended::Delivered).unwrap();
    let mut importer = 1;
    let mut uid = 0;
    let mut number = 0;
    while ledger.quarantined_len() < QUARANTINE_CAPACITY {
        let one = caller(asked(importer, number), uid);
        match try_once(&mut ledger, NOW, &one, Ended::Bad) {
            Ok(()) => number += 1,
            Err(Denied::ImporterSuspended { .. }) => importer += 1,
            Err(Denied::CallerSuspended { .. }) => uid += 1,
            Err(other) => panic!("{other:?}"),
        }
    }
    let later = NOW + 400 * A_DAY;
    let new = asked(importer + 1, 0);
    assert_eq!(may(&mut ledger, later, &new), Err(Denied::QuarantineFull));
    assert_eq!(may(&mut ledger, NOW + SECOND, &asked(0, 0)), Ok(()));
    let first = asked(1, 0);
    assert_eq!(may(&mut ledger, later, &first), Err(Denied::Quarantined));
    let due = ledger.alarms_due(later, &limits);
    assert_eq!(due, [Alarm::QuarantineFull]);
    ledger.alarmed(later, &due[0]);
    assert!(ledger.alarms_due(later, &limits).is_empty());
    ledger.released(&Release::Ciphertext {
        ciphertext: first.ciphertext,
    });
    assert_eq!(may(&mut ledger, later, &new), Ok(()));
}

#[test]
fn the_quarantine_is_not_overrun_by_what_is_in_flight() {
    let limits = Limits {
        importer_per_hour: 1000,
        importer_per_day: 1000,
        ..Limits::default()
    };
    let mut ledger = Ledger::default();
    let mut flying = Vec::new();
    for number in 0..u64::MAX {
        let one = caller(
            asked(number / 1000, number),
            u32::try_from(number / 200).unwrap(),
        );
        match ledger.admit(NOW, &one, &limits) {
            Ok(admission) => flying.push((one, admission)),
            Err(denied) => {
                assert_eq!(denied, Denied::InFlight);
                break;
            }
        }
    }
    assert_eq!(flying.len(), QUARANTINE_CAPACITY);
    for (one, admission) in flying {
        ledger.used(NOW, &one, Ended::Bad, true);
        ledger.ended(admission);
    }
    assert_eq!(ledger.quarantined_len(), QUARANTINE_CAPACITY);
}

#[test]
fn the_largest_snapshot_fits_and_a_ledger_made_from_it_refuses_the_same() {
    let mut ledger = Ledger::default();
    for number in 0..u64::try_from(QUARANTINE_CAPACITY).unwrap() {
        ledger.used(NOW, &asked(number / 50, number), Ended::Bad, true);
    }
    for number in 0..200_000 {
        let one = device(asked(number % 7, 1_000_000 + number), number);
        ledger.used(NOW, &one, Ended::Delivered, true);
    }
    for number in 0..300 {
        ledger.used(
            NOW,
            &device(asked(1, 5_000_000), number),
            Ended::Delivered,
            true,
        );
    }
    ledger.latest_ms = NOW;
    let snapshot = Fold::snapshot(&ledger);
    let bytes = snapshot.to_string().len();
    assert!(bytes < 1024 * 1024, "{bytes}");
    let mut again = Ledger::default();
    Fold::restore(&mut again, &snapshot).unwrap();
    assert_eq!(Fold::snapshot(&again), {
        again.latest_ms = NOW;
        Fold::snapshot(&again)
    });
    for ledger in [&mut ledger, &mut again] {
        let suspended = caller(asked(0, 9_000_000), 2000);
        assert!(is_suspended(may(ledger, NOW, &suspended)));
        assert_eq!(may(ledger, NOW, &asked(3, 150)), Err(Denied::Quarantined));
        let favourite = caller(device(asked(1, 5_000_000), 7_777), 2000);
        ledger.released(&Release::Importer {
            importer: favourite.importer,
            quarantine: false,
        });
        assert_eq!(may(ledger, NOW, &favourite), Err(Denied::TooManyDevices));
    }
}

#[test]
fn a_ciphertext_cannot_be_made_forgotten_by_using_many_others() {
    let limits = Limits {
        uses_per_ciphertext: 20,
        ..Limits::default()
    };
    let mut ledger = Ledger {
        uses: Uses::of_capacity(64),
        ..Ledger::default()
    };
    let target = asked(1, 0);
    let mut uses = 0;
    let mut other = 1;
    while ledger
        .admit(NOW, &target, &limits)
        .map(|one| ledger.ended(one))
        .is_ok()
    {
        ledger.used(NOW, &target, Ended::Delivered, true);
        uses += 1;
        for _ in 0..200 {
            ledger.used(NOW, &asked(1, other), Ended::Delivered, true);
            other += 1;
        }
        assert!(uses <= 20);
    }
    // And a day later all of that is over.
    assert!(ledger.admit(NOW + A_DAY, &target, &limits).is_ok());
}

#[test]
fn snapshots_of_a_later_release_are_refused() {
    let mut snapshot = Fold::snapshot(&Ledger::default());
    snapshot["version"] = 2.into();
    let refused = Fold::restore(&mut Ledger::default(), &snapshot);
    assert!(refused.unwrap_err().contains("version 2"));
}
