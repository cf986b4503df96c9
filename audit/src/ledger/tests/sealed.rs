//! Keys that an engine sealed: in whose name they count, and what a damaged copy of one does.

use super::*;
use crate::event::{Caller, KeyUse, Packing, Purpose, ResultClass};
use crate::fold::Fold;
use crate::ledger::asked::sealed_keys;

/// A sealed key of this number, as a caller asks for it; copies of one have its ciphertext and are other records.
fn pack(uid: u32, number: u64, copy: u64) -> Asked {
    Asked::from(&KeyUse {
        request: "r".to_owned(),
        caller: Caller {
            uid: Some(uid),
            connector: None,
        },
        importer: None,
        user: String::new(),
        record: hash(5, (number << 8) | copy),
        key: hash(2, 0),
        padding: "oaepSha512".to_owned(),
        ciphertext: hash(3, number),
        purpose: Purpose::Pack(Packing {
            device: hash(4, 0),
            certificate: hash(6, 0),
        }),
        delivery: "pack".to_owned(),
        pfx_check: None,
        policy: Hash::NONE,
        result: ResultClass::ThrownAway,
        reason: None,
    })
}

fn budget() -> u64 {
    u64::from(Limits::default().importer_per_hour)
}

/// Neither importers nor records that nobody signed can use up what sealed keys may fail, or the other way round.
#[test]
fn they_count_as_no_importer_s() {
    let one = pack(1000, 0, 0);
    assert_eq!(one.importer, Some(sealed_keys_of(Some(1000))));
    assert_eq!(
        (one.device, one.opens, one.sealed),
        (Some(hash(4, 0)), Some(hash(5, 0)), Some(hash(5, 0)))
    );
    let unsigned = |number| Asked {
        importer: None,
        opens: None,
        sealed: None,
        ..pack(1000, number, 0)
    };
    assert_ne!(
        one.id(),
        unsigned(0).id(),
        "nobody quarantines a sealed key by a record"
    );

    let mut ledger = Ledger::default();
    for number in 0..budget() {
        try_once(&mut ledger, NOW, &pack(1000, number, 0), Ended::Bad).unwrap();
    }
    assert!(is_suspended(may(&mut ledger, NOW, &pack(1000, 99, 0))));
    assert_eq!(may(&mut ledger, NOW, &unsigned(99)), Ok(()));
    assert_eq!(may(&mut ledger, NOW, &asked(1, 1)), Ok(()));
}

#[test]
fn bad_ones_of_one_caller_stop_no_other_caller() {
    let mut ledger = Ledger::default();
    for number in 0..budget() {
        try_once(&mut ledger, NOW, &pack(1000, number, 0), Ended::Bad).unwrap();
    }
    assert!(is_suspended(may(&mut ledger, NOW, &pack(1000, 99, 0))));
    assert_eq!(may(&mut ledger, NOW, &pack(2000, 99, 0)), Ok(()));
    let unknown = Asked {
        importer: Some(sealed_keys_of(None)),
        caller: None,
        ..pack(1000, 99, 0)
    };
    assert_eq!(may(&mut ledger, NOW, &unknown), Ok(()));
    assert_ne!(sealed_keys_of(None), sealed_keys_of(Some(0)));
}

#[test]
fn a_damaged_copy_does_not_have_the_good_one_quarantined() {
    let mut ledger = Ledger::default();
    try_once(&mut ledger, NOW, &pack(1000, 7, 1), Ended::Bad).unwrap();
    let again = may(&mut ledger, NOW, &pack(1000, 7, 1));
    assert_eq!(again, Err(Denied::Quarantined));
    assert_eq!(
        try_once(&mut ledger, NOW, &pack(1000, 7, 0), Ended::Delivered),
        Ok(())
    );
    // One that opened proves nothing for another copy.
    let flying: Vec<_> = (0..budget() - 1)
        .map(|number| {
            ledger
                .admit(NOW, &pack(1000, 8 + number, 0), &Limits::default())
                .unwrap()
        })
        .collect();
    assert_eq!(
        may(&mut ledger, NOW, &pack(1000, 7, 2)),
        Err(Denied::InFlight)
    );
    flying.into_iter().for_each(|one| ledger.ended(one));
    // An operator who releases the ciphertext means every copy.
    ledger.released(&Release::Ciphertext {
        ciphertext: hash(3, 7),
    });
    assert_eq!(ledger.quarantined_len(), 0);
}

#[test]
fn damaged_copies_of_one_key_are_no_way_round_the_budget() {
    let mut ledger = Ledger::default();
    for copy in 0..budget() {
        try_once(&mut ledger, NOW, &pack(1000, 7, copy), Ended::Bad).unwrap();
    }
    let standing = ledger.importers(NOW, &Limits::default());
    assert_eq!(u64::from(standing[0].failures_hour), budget());
    assert!(is_suspended(may(&mut ledger, NOW, &pack(1000, 7, 99))));
}

/// As a release up to version 2 has counted a sealed key.
fn before(one: Asked) -> Asked {
    Asked {
        importer: Some(sealed_keys()),
        sealed: None,
        ..one
    }
}

fn restored(ledger: &Ledger) -> Ledger {
    let mut snapshot = Fold::snapshot(ledger);
    snapshot["version"] = 2.into();
    let mut again = Ledger::default();
    Fold::restore(&mut again, &snapshot).unwrap();
    again
}

#[test]
fn what_a_snapshot_of_version_2_holds_of_them_still_holds() {
    let mut old = Ledger {
        latest_ms: NOW,
        ..Ledger::default()
    };
    for number in 0..budget() - 1 {
        old.used(NOW, &before(pack(1000, number, 0)), Ended::Bad, true);
    }
    let worked = before(pack(1000, 50, 0));
    for _ in 0..3 {
        old.used(NOW, &worked, Ended::Delivered, true);
    }
    let mut again = restored(&old);
    for number in 0..budget() - 1 {
        let held = may(&mut again, NOW, &pack(2000, number, 5));
        assert_eq!(held, Err(Denied::Quarantined));
    }
    assert_eq!(may(&mut again, NOW, &pack(1000, 99, 0)), Ok(()));
    let strict = Limits {
        uses_per_ciphertext: 3,
        ..Limits::default()
    };
    let used = again.admit(NOW, &pack(1000, 50, 0), &strict);
    assert_eq!(used, Err(Denied::UsedTooOften));

    old.used(NOW, &before(pack(1000, 98, 0)), Ended::Bad, true);
    let mut again = restored(&old);
    for uid in [1000, 2000] {
        assert!(is_suspended(may(&mut again, NOW, &pack(uid, 99, 0))));
        let later = may(&mut again, NOW + AN_HOUR, &pack(uid, 99, 0));
        assert_eq!(later, Ok(()));
    }
}
