//! Budgets, quarantine and limits, one rule at a time.

use super::*;

#[test]
fn the_sixth_distinct_failing_ciphertext_of_an_hour_is_refused_and_no_other_importer_is() {
    let mut ledger = Ledger::default();
    for number in 0..5 {
        let now = NOW + i64::try_from(number).unwrap() * MINUTE;
        try_once(&mut ledger, now, &asked(1, number), Ended::Bad).unwrap();
    }
    let now = NOW + 5 * MINUTE;
    let sixth = may(&mut ledger, now, &asked(1, 99));
    let until_ms = NOW + AN_HOUR;
    assert_eq!(sixth, Err(Denied::ImporterSuspended { until_ms }));
    assert_eq!(may(&mut ledger, now, &asked(2, 99)), Ok(()));
    // One failure has to be an hour old, not all of them.
    assert!(is_suspended(may(&mut ledger, until_ms - 1, &asked(1, 99))));
    assert_eq!(may(&mut ledger, until_ms, &asked(1, 99)), Ok(()));
    try_once(&mut ledger, until_ms, &asked(1, 99), Ended::Bad).unwrap();
    assert!(is_suspended(may(&mut ledger, until_ms, &asked(1, 100))));
}

#[test]
fn a_ciphertext_that_failed_is_not_admitted_again_and_costs_nothing() {
    let mut ledger = Ledger::default();
    try_once(&mut ledger, NOW, &asked(1, 7), Ended::Bad).unwrap();
    for _ in 0..100 {
        let again = try_once(&mut ledger, NOW + A_DAY * 400, &asked(1, 7), Ended::Bad);
        assert_eq!(again, Err(Denied::Quarantined));
    }
    let standing = ledger.importers(NOW, &Limits::default());
    assert_eq!(standing[0].failures_hour, 1);
    // For another importer, padding or key it is another question.
    assert_eq!(may(&mut ledger, NOW, &asked(2, 7)), Ok(()));
    let otherwise = Asked {
        padding: "oaepSha1".to_owned(),
        ..asked(1, 7)
    };
    assert_eq!(may(&mut ledger, NOW, &otherwise), Ok(()));
}

#[test]
fn a_day_has_a_budget_of_its_own() {
    let mut ledger = Ledger::default();
    let mut now = NOW;
    let mut failed = 0;
    while now < NOW + A_DAY - MINUTE {
        if try_once(&mut ledger, now, &asked(1, failed), Ended::Bad).is_ok() {
            failed += 1;
        }
        now += 5 * MINUTE;
    }
    assert_eq!(failed, 50);
    let before = may(&mut ledger, NOW + A_DAY - 1, &asked(1, 1000));
    assert!(is_suspended(before));
    assert_eq!(may(&mut ledger, NOW + A_DAY, &asked(1, 1000)), Ok(()));
}

#[test]
fn what_is_in_flight_counts_as_if_it_failed() {
    let mut ledger = Ledger::default();
    let limits = Limits::default();
    let mut flying: Vec<_> = (0..5)
        .map(|number| ledger.admit(NOW, &asked(1, number), &limits).unwrap())
        .collect();
    let sixth = ledger.admit(NOW, &asked(1, 5), &limits);
    assert_eq!(sixth.err(), Some(Denied::InFlight));
    assert_eq!(may(&mut ledger, NOW, &asked(2, 5)), Ok(()));
    // Who shares a ciphertext in flight needs no room of its own.
    flying.push(ledger.admit(NOW, &asked(1, 4), &limits).unwrap());
    // One of them ends well, and there is room for one more.
    ledger.used(NOW, &asked(1, 0), Ended::Delivered, true);
    ledger.ended(flying.remove(0));
    flying.push(ledger.admit(NOW, &asked(1, 5), &limits).unwrap());
    // One that failed leaves none.
    ledger.used(NOW, &asked(1, 1), Ended::Bad, true);
    ledger.ended(flying.remove(0));
    let seventh = ledger.admit(NOW, &asked(1, 6), &limits);
    assert_eq!(seventh.err(), Some(Denied::InFlight));
    for admission in flying {
        ledger.ended(admission);
    }
    assert_eq!(may(&mut ledger, NOW, &asked(1, 6)), Ok(()));
}

#[test]
fn what_is_known_before_it_is_recorded_counts_at_once() {
    let mut ledger = Ledger::default();
    let limits = Limits::default();
    let mut flying: Vec<_> = (0..5)
        .map(|number| ledger.admit(NOW, &asked(1, number), &limits).unwrap())
        .collect();
    ledger.failed(&flying[0]);
    let again = ledger.admit(NOW, &asked(1, 0), &limits);
    assert_eq!(again.err(), Some(Denied::Quarantined));
    ledger.worked(&flying[1]);
    flying.push(ledger.admit(NOW, &asked(1, 5), &limits).unwrap());
    let seventh = ledger.admit(NOW, &asked(1, 6), &limits);
    assert_eq!(seventh.err(), Some(Denied::InFlight));
    flying.into_iter().for_each(|one| ledger.ended(one));
    for number in 10..15 {
        let admission = ledger.admit(NOW, &asked(1, number), &limits).unwrap();
        ledger.ended(admission);
    }
}

#[test]
fn what_decrypted_before_needs_no_room_and_is_refused_with_its_importer_all_the_same() {
    let mut ledger = Ledger::default();
    let limits = Limits::default();
    for number in 0..20 {
        try_once(&mut ledger, NOW, &asked(1, number), Ended::Delivered).unwrap();
    }
    let flying: Vec<_> = (0..20)
        .map(|number| ledger.admit(NOW, &asked(1, number), &limits).unwrap())
        .collect();
    flying.into_iter().for_each(|one| ledger.ended(one));
    // To open a PFX it has to have opened that of the same record.
    let opening = |number, record| Asked {
        opens: Some(hash(5, record)),
        ..asked(1, number)
    };
    let first: Vec<_> = (0..5)
        .map(|number| {
            ledger
                .admit(NOW, &opening(number, number), &limits)
                .unwrap()
        })
        .collect();
    let sixth = ledger.admit(NOW, &opening(5, 5), &limits);
    assert_eq!(sixth.err(), Some(Denied::InFlight));
    first.into_iter().for_each(|one| ledger.ended(one));
    for number in 100..105 {
        try_once(&mut ledger, NOW, &asked(1, number), Ended::Bad).unwrap();
    }
    assert!(is_suspended(may(&mut ledger, NOW, &asked(1, 0))));
}

#[test]
fn a_caller_has_a_budget_over_all_importers() {
    let mut ledger = Ledger::default();
    for importer in 0..40 {
        for number in 0..5 {
            try_once(&mut ledger, NOW, &asked(importer, number), Ended::Bad).unwrap();
        }
    }
    let until_ms = NOW + AN_HOUR;
    let next = asked(41, 0);
    assert_eq!(
        may(&mut ledger, NOW, &next),
        Err(Denied::CallerSuspended { until_ms })
    );
    assert_eq!(may(&mut ledger, NOW, &caller(next.clone(), 1001)), Ok(()));
    let unknown = Asked {
        caller: None,
        ..next.clone()
    };
    assert_eq!(may(&mut ledger, NOW, &unknown), Ok(()));
    ledger.released(&Release::Caller { caller: Some(1000) });
    assert_eq!(may(&mut ledger, NOW, &next), Ok(()));
}

#[test]
fn a_ciphertext_is_decrypted_so_often_and_for_so_many_devices_in_a_day() {
    let limits = Limits {
        uses_per_ciphertext: 10,
        devices_per_ciphertext: 3,
        ..Limits::default()
    };
    let mut ledger = Ledger::default();
    let mut once = |now, asked: &Asked, by_token| {
        let admission = ledger.admit(now, asked, &limits)?;
        ledger.used(now, asked, Ended::Delivered, by_token);
        ledger.ended(admission);
        Ok(())
    };
    for number in 0..3 {
        once(NOW, &device(asked(1, 0), number), number == 0).unwrap();
    }
    let fourth = once(NOW, &device(asked(1, 0), 3), true);
    assert_eq!(fourth, Err(Denied::TooManyDevices));
    // A device that has it may have it again, until it is too often.
    for _ in 0..9 {
        once(NOW, &device(asked(1, 0), 1), true).unwrap();
    }
    let eleventh = once(NOW, &device(asked(1, 0), 1), true);
    assert_eq!(eleventh, Err(Denied::UsedTooOften));
    once(NOW, &device(asked(1, 1), 3), true).unwrap();
    once(NOW + A_DAY, &device(asked(1, 0), 3), true).unwrap();
}

#[test]
fn devices_in_flight_count_as_well() {
    let limits = Limits {
        devices_per_ciphertext: 2,
        ..Limits::default()
    };
    let mut ledger = Ledger::default();
    let admit =
        |ledger: &mut Ledger, number| ledger.admit(NOW, &device(asked(1, 0), number), &limits);
    let first = admit(&mut ledger, 1).unwrap();
    let again = admit(&mut ledger, 1).unwrap();
    let second = admit(&mut ledger, 2).unwrap();
    let third = admit(&mut ledger, 3);
    assert_eq!(third.err(), Some(Denied::TooManyDevices));
    ledger.ended(second);
    let third = admit(&mut ledger, 3).unwrap();
    [first, again, third]
        .into_iter()
        .for_each(|one| ledger.ended(one));
}

#[test]
fn an_operator_is_told_once_of_each_suspension() {
    let limits = Limits::default();
    let mut ledger = Ledger::default();
    let importer = Some(hash(1, 1));
    for number in 0..5 {
        assert!(ledger.alarms_due(NOW, &limits).is_empty());
        try_once(&mut ledger, NOW, &asked(1, number), Ended::Bad).unwrap();
    }
    let due = ledger.alarms_due(NOW, &limits);
    assert_eq!(due, [Alarm::ImporterSuspended { importer }]);
    ledger.alarmed(NOW, &due[0]);
    assert!(ledger.alarms_due(NOW, &limits).is_empty());
    assert!(ledger.alarms_due(NOW + MINUTE, &limits).is_empty());
    let later = NOW + AN_HOUR;
    for number in 10..15 {
        try_once(&mut ledger, later, &asked(1, number), Ended::Bad).unwrap();
    }
    assert_eq!(ledger.alarms_due(later, &limits), due);
}

#[test]
fn an_operator_lets_a_ciphertext_or_an_importer_go() {
    let mut ledger = Ledger::default();
    let importer = Some(hash(1, 1));
    for number in 0..5 {
        try_once(&mut ledger, NOW, &asked(1, number), Ended::Bad).unwrap();
    }
    try_once(&mut ledger, NOW, &asked(2, 0), Ended::Bad).unwrap();
    ledger.released(&Release::Importer {
        importer,
        quarantine: false,
    });
    assert_eq!(may(&mut ledger, NOW, &asked(1, 9)), Ok(()));
    assert_eq!(
        may(&mut ledger, NOW, &asked(1, 0)),
        Err(Denied::Quarantined)
    );
    ledger.released(&Release::Ciphertext {
        ciphertext: hash(3, 0),
    });
    assert_eq!(may(&mut ledger, NOW, &asked(1, 0)), Ok(()));
    assert_eq!(may(&mut ledger, NOW, &asked(2, 0)), Ok(()));
    assert_eq!(ledger.quarantined_len(), 4);
    ledger.released(&Release::Importer {
        importer,
        quarantine: true,
    });
    assert_eq!(ledger.quarantined_len(), 0);
}

#[test]
fn a_clock_that_was_set_back_frees_nobody() {
    let mut ledger = Ledger::default();
    for number in 0..5 {
        try_once(&mut ledger, NOW, &asked(1, number), Ended::Bad).unwrap();
    }
    for back in [SECOND, AN_HOUR, A_DAY, 400 * A_DAY] {
        assert!(is_suspended(may(&mut ledger, NOW - back, &asked(1, 9))));
    }
    // Also when something is written meanwhile.
    try_once(&mut ledger, NOW - A_DAY, &asked(2, 0), Ended::Bad).unwrap();
    let mut ledger = Ledger::restore(ledger.snapshot(NOW - A_DAY)).unwrap();
    assert!(is_suspended(may(&mut ledger, NOW - A_DAY, &asked(1, 9))));
    assert!(is_suspended(may(
        &mut ledger,
        NOW + AN_HOUR - 1,
        &asked(1, 9)
    )));
    assert_eq!(may(&mut ledger, NOW + AN_HOUR, &asked(1, 9)), Ok(()));
}

#[test]
fn trouble_of_the_token_is_nobodys_failure() {
    let mut ledger = Ledger::default();
    for number in 0..50 {
        try_once(&mut ledger, NOW, &asked(1, number), Ended::Nothing).unwrap();
    }
    assert!(ledger.importers(NOW, &Limits::default()).is_empty());
    assert_eq!(ledger.quarantined_len(), 0);
}
