//! Whatever is asked, memory and snapshots are bounded, and what bounds them lets nobody go.

use super::*;
use crate::fold::Fold;

/// Fills this importer's share through admission, over as many callers and days as that takes; how many it got.
fn fill(ledger: &mut Ledger, importer: u64, now: &mut i64) -> usize {
    let mut uid = 0;
    for number in 0.. {
        loop {
            let one = caller(asked(importer, number), uid);
            match try_once(ledger, *now, &one, Ended::Bad) {
                Ok(()) => break,
                Err(Denied::ImporterSuspended { until_ms }) => *now = until_ms,
                Err(Denied::CallerSuspended { .. }) => uid += 1,
                Err(Denied::QuarantineShareFull | Denied::QuarantineFull) => {
                    return usize::try_from(number).unwrap();
                }
                Err(other) => panic!("{other:?}"),
            }
        }
    }
    unreachable!()
}

#[test]
fn an_importer_fills_its_own_share_of_the_quarantine_and_takes_nobody_elses() {
    let limits = Limits::default();
    let mut ledger = Ledger::default();
    let mut now = NOW;
    assert_eq!(fill(&mut ledger, 1, &mut now), QUARANTINE_SHARE);
    let full = Err(Denied::QuarantineShareFull);
    assert_eq!(may(&mut ledger, now, &asked(1, 2_000_000)), full);
    // Nothing of it was forgotten, and nobody else has less.
    assert_eq!(
        may(&mut ledger, now, &asked(1, 0)),
        Err(Denied::Quarantined)
    );
    assert_eq!(may(&mut ledger, now, &asked(2, 0)), Ok(()));
    let importer = asked(1, 0).importer;
    let due = ledger.alarms_due(now, &limits);
    let expected = Alarm::QuarantineShareFull { importer };
    assert!(due.contains(&expected), "{due:?}");
    due.iter().for_each(|alarm| ledger.alarmed(now, alarm));
    assert!(ledger.alarms_due(now, &limits).is_empty(), "told once");
    // What decrypted before does not fail.
    let proven = asked(1, 1_000_000);
    ledger.used(now, &proven, Ended::Delivered, true);
    assert_eq!(may(&mut ledger, now, &proven), Ok(()));

    // Two more: then sixteen others have room for some, and those three for nothing.
    assert_eq!(fill(&mut ledger, 2, &mut now), QUARANTINE_SHARE);
    assert_eq!(fill(&mut ledger, 3, &mut now), QUARANTINE_SHARE);
    let due = ledger.alarms_due(now, &limits);
    assert!(due.contains(&Alarm::QuarantineFull), "{due:?}");
    for importer in 4..20 {
        assert_eq!(fill(&mut ledger, importer, &mut now), QUARANTINE_KEPT_EACH);
    }
    assert_eq!(ledger.quarantined_len(), QUARANTINE_CAPACITY);
    let later = now + 400 * A_DAY;
    let new = asked(20, 0);
    assert_eq!(may(&mut ledger, later, &new), Err(Denied::QuarantineFull));
    assert_eq!(
        may(&mut ledger, later, &asked(5, 0)),
        Err(Denied::Quarantined)
    );

    // An operator lets one go: there is room for one, and a full share is told of again.
    let released = |number| Release::Ciphertext {
        ciphertext: asked(0, number).ciphertext,
    };
    ledger.released(&released(QUARANTINE_SHARE as u64 - 1));
    assert_eq!(ledger.quarantined_len(), QUARANTINE_CAPACITY - 3);
    assert_eq!(may(&mut ledger, later, &new), Ok(()));
    ledger.released(&Release::Importer {
        importer,
        quarantine: true,
    });
    assert_eq!(fill(&mut ledger, 1, &mut now), QUARANTINE_KEPT_EACH);
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
    for importer in 0..40 {
        for number in 0.. {
            let at = importer * 1000 + number;
            let one = caller(asked(importer, at), u32::try_from(at / 200).unwrap());
            match ledger.admit(NOW, &one, &limits) {
                Ok(admission) => flying.push((one, admission)),
                Err(denied) => {
                    assert_eq!(denied, Denied::InFlight);
                    break;
                }
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
fn a_snapshot_of_version_1_is_read_and_counts_no_less() {
    let limits = Limits::default();
    let mut ledger = Ledger::default();
    for number in 0..5 {
        ledger.used(NOW, &asked(1, number), Ended::Bad, true);
    }
    for number in 0..3 {
        let one = device(asked(2, 100), number);
        ledger.used(NOW, &one, Ended::Delivered, true);
    }
    ledger.latest_ms = NOW;
    let mut old = Fold::snapshot(&ledger);
    old["version"] = 1.into();
    // As version 1 wrote what is counted by: a number.
    fn numbers(value: &mut serde_json::Value) {
        match value {
            serde_json::Value::String(text) if text.len() == 32 => {
                *value = u64::from_str_radix(&text[..16], 16).unwrap().into();
            }
            serde_json::Value::Array(items) => items.iter_mut().for_each(numbers),
            serde_json::Value::Object(members) => members.values_mut().for_each(numbers),
            _ => {}
        }
    }
    numbers(&mut old);
    assert!(old.to_string().contains("\"failures\":[[1790000000000,"));
    let mut again = Ledger::default();
    Fold::restore(&mut again, &old).unwrap();
    let other = caller(asked(1, 7), 2000);
    assert!(is_suspended(may(&mut again, NOW, &other)));
    assert_eq!(may(&mut again, NOW, &asked(1, 3)), Err(Denied::Quarantined));
    let strict = Limits {
        devices_per_ciphertext: 3,
        ..limits
    };
    let known = device(asked(2, 100), 1);
    assert_eq!(
        again.admit(NOW, &known, &strict),
        Err(Denied::TooManyDevices)
    );
    assert_eq!(Fold::snapshot(&again)["version"], 4);
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
    assert!(bytes < 3 * 1024 * 1024, "{bytes}");
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

/// Uses of so many ciphertexts of an importer, each for so many devices.
fn use_many(ledger: &mut Ledger, importer: u64, ciphertexts: u64, devices: u64) {
    for ciphertext in 0..ciphertexts {
        for number in 0..devices {
            let one = device(asked(importer, importer * 1_000_000 + ciphertext), number);
            ledger.used(NOW, &one, Ended::Delivered, true);
        }
    }
    ledger.latest_ms = NOW;
}

#[test]
fn one_importer_that_uses_much_leaves_everybody_else_all_of_their_uses() {
    let mut ledger = Ledger::default();
    use_many(&mut ledger, 1, 1400, 100);
    use_many(&mut ledger, 2, 3, 50);
    let restarted = Ledger::restore(ledger.snapshot(NOW)).unwrap();
    for mut ledger in [ledger, restarted] {
        // Of what is not known any more of the first one nothing is let through ...
        let own = device(asked(1, 1_999_999), 1000);
        assert_eq!(may(&mut ledger, NOW, &own), Err(Denied::TooManyDevices));
        // ... what the second one used is known as it was, and what it did not use was not used.
        let known = device(asked(2, 2_000_000), 1000);
        assert_eq!(
            ledger.uses.of(&known.id(), known.owner(), NOW).devices(),
            50
        );
        for (importer, ciphertext) in [(2, 2_999_999), (3, 3_000_000)] {
            let new = asked(importer, ciphertext);
            let count = ledger.uses.of(&new.id(), new.owner(), NOW);
            assert_eq!((count.uses(), count.devices()), (0, 0), "{importer}");
        }
    }
}

#[test]
fn an_operator_can_have_the_uses_of_one_importer_forgotten() {
    let mut ledger = Ledger::default();
    use_many(&mut ledger, 1, 1400, 100);
    use_many(&mut ledger, 2, 1, 100);
    let own = device(asked(1, 1_999_999), 1000);
    let other = device(asked(2, 2_000_000), 1000);
    assert_eq!(may(&mut ledger, NOW, &own), Err(Denied::TooManyDevices));
    ledger.released(&Release::Uses {
        importer: own.importer,
    });
    assert_eq!(may(&mut ledger, NOW, &own), Ok(()));
    assert_eq!(
        may(&mut ledger, NOW, &other),
        Err(Denied::TooManyDevices),
        "nobody else's"
    );
}

#[test]
fn what_a_snapshot_of_version_3_takes_of_everybody_still_counts() {
    let mut ledger = Ledger::default();
    use_many(&mut ledger, 1, 2, 3);
    let mut old = Fold::snapshot(&ledger);
    old["version"] = 3.into();
    old["uses"]["floor"] = serde_json::json!({"sinceMs": NOW, "uses": 7, "devices": 100});
    let known = old["uses"]["known"].as_array_mut().unwrap();
    for one in known {
        one[1].as_object_mut().unwrap().remove("of").unwrap();
    }
    let mut again = Ledger::default();
    Fold::restore(&mut again, &old).unwrap();
    let new = device(asked(9, 9), 1);
    assert_eq!(may(&mut again, NOW, &new), Err(Denied::TooManyDevices));
    assert_eq!(may(&mut again, NOW + A_DAY, &new), Ok(()));
    // Whose a ciphertext is becomes known with its next use.
    let used = device(asked(1, 1_000_000), 1);
    again.used(NOW, &used, Ended::Delivered, true);
    let count = again.uses.of(&used.id(), used.owner(), NOW);
    assert_eq!((count.devices(), count.owner()), (3, Some(used.owner())));
}

#[test]
fn snapshots_of_a_later_release_are_refused() {
    let mut snapshot = Fold::snapshot(&Ledger::default());
    snapshot["version"] = 5.into();
    let refused = Fold::restore(&mut Ledger::default(), &snapshot);
    assert!(refused.unwrap_err().contains("version 5"));
}
