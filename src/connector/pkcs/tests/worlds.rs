//! What holds in every world of [`world`](super::world).

use super::scripted::{KNOWS_NOTHING, KNOWS_NUMBERS, KNOWS_ORDERS};
use super::world::{Faults, live};
use crate::config::WhenUnknown;
use crate::connector::pkcs::order::End;

/// Worlds of each kind, or PKCS_WORLDS of them.
const WORLDS: u64 = 60;

fn all(mut each: impl FnMut(u64)) {
    let worlds = std::env::var("PKCS_WORLDS").map_or(WORLDS, |text| {
        text.parse().expect("PKCS_WORLDS is a number")
    });
    // Waiting for one's turn has a timer.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(async {
        for seed in 1..=worlds {
            each(seed);
        }
    });
}

#[test]
fn where_the_authority_knows_orders_each_request_gets_its_one_certificate() {
    let faults = Faults {
        losses: true,
        late: false,
    };
    all(|seed| {
        let outcome = live(seed, KNOWS_ORDERS, WhenUnknown::Fail, faults);
        let end = outcome.end;
        assert!(matches!(end, End::Done(_)), "{seed}: {end:?}");
        assert_eq!(outcome.issued, 1, "{seed}");
    });
}

#[test]
fn where_it_knows_none_nothing_is_ordered_twice_and_every_request_ends() {
    let faults = Faults {
        losses: true,
        late: false,
    };
    all(|seed| {
        for can in [KNOWS_NUMBERS, KNOWS_NOTHING] {
            let outcome = live(seed, can, WhenUnknown::Fail, faults);
            assert!(outcome.issued <= 1, "{seed} {can:?}: {}", outcome.issued);
            match &outcome.end {
                End::Done(_) => assert_eq!(outcome.issued, 1),
                End::Failed { code, .. } => assert!(
                    ["outcomeUnknown", "pendingTooLong"].contains(&code.as_str()),
                    "{seed}: {code}"
                ),
                other => panic!("{seed}: {other:?}"),
            }
            // If it is to be asked again, every request gets there.
            let outcome = live(seed, can, WhenUnknown::AskAgain, faults);
            let end = outcome.end;
            assert!(
                matches!(&end, End::Done(_))
                    || matches!(&end, End::Failed { code, .. } if code == "pendingTooLong"),
                "{seed} {can:?}: {end:?}"
            );
        }
    });
}

#[test]
fn where_no_answer_is_lost_each_request_gets_its_one_certificate_from_any_authority() {
    let faults = Faults {
        losses: false,
        late: false,
    };
    all(|seed| {
        for can in [KNOWS_ORDERS, KNOWS_NUMBERS, KNOWS_NOTHING] {
            let outcome = live(seed, can, WhenUnknown::Fail, faults);
            let end = outcome.end;
            assert!(matches!(end, End::Done(_)), "{seed} {can:?}: {end:?}");
            assert_eq!(outcome.issued, 1, "{seed} {can:?}");
        }
    });
}

#[test]
fn connectors_that_go_on_after_their_lease_order_nothing_twice_from_one_that_knows_orders() {
    let faults = Faults {
        losses: true,
        late: true,
    };
    all(|seed| {
        let outcome = live(seed, KNOWS_ORDERS, WhenUnknown::Fail, faults);
        assert!(outcome.issued <= 1, "{seed}: {}", outcome.issued);
    });
}
