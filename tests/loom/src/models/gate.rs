//! The gate: alone inside during a renewal, each bad generation renewed once, and nobody left before it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread::spawn;

use super::gate::{After, Denied, Gate};
use crate::model::{Model, Standing, panic_silently};

pub(crate) const MODELS: &[Model] = &[
    Model {
        name: "gate: two that find the same generation bad renew it once, with nobody inside",
        preemptions: Some(3),
        cases: &["each renewed one", "one renewed for both"],
        run: two_renew,
    },
    Model {
        name: "gate: who leaves is noticed by who waits to be alone, without a look at the clock",
        preemptions: None,
        cases: &["came in after", "came in before"],
        run: leaves,
    },
    Model {
        name: "gate: a renewal that panics leaves the gate open and the library down",
        preemptions: None,
        cases: &["came in after", "came in before"],
        run: panicking,
    },
    Model {
        name: "gate: what is of the old generation is closed before the renewal or not at all",
        preemptions: None,
        cases: &["closed", "gone"],
        run: closes,
    },
];

struct World {
    gate: Gate,
    /// As those inside count themselves.
    inside: AtomicUsize,
    renewals: AtomicUsize,
}

impl World {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            gate: Gate::new(),
            inside: AtomicUsize::new(0),
            renewals: AtomicUsize::new(0),
        })
    }

    /// Goes in and out; tells in which generation.
    fn visit(&self) -> u64 {
        let generation = self.gate.enter();
        self.inside.fetch_add(1, Ordering::SeqCst);
        assert_eq!(self.gate.generation(), generation);
        self.inside.fetch_sub(1, Ordering::SeqCst);
        self.gate.leave();
        generation
    }

    fn renew(&self, seen: u64) -> Result<(), Denied> {
        self.gate.renew(seen, &Standing, || {
            assert_eq!(self.inside.load(Ordering::SeqCst), 0);
            self.renewals.fetch_add(1, Ordering::SeqCst);
            After::Up
        })
    }
}

fn two_renew() -> &'static str {
    let world = World::new();
    let visit_and_renew = |world: &World| {
        let seen = world.visit();
        (seen, world.renew(seen))
    };
    let other = {
        let world = Arc::clone(&world);
        spawn(move || visit_and_renew(&world))
    };
    let (seen, mine) = visit_and_renew(&world);
    let (seen_there, theirs) = other.join().unwrap();
    let renewals = world.renewals.load(Ordering::SeqCst);
    assert_eq!(world.gate.generation(), 1 + renewals as u64);
    assert!(world.gate.is_up());
    if seen == seen_there {
        assert_eq!(renewals, 1);
        assert!(matches!(
            (mine, theirs),
            (Ok(()), Err(Denied::Newer)) | (Err(Denied::Newer), Ok(()))
        ));
        "one renewed for both"
    } else {
        assert_eq!((renewals, mine, theirs), (2, Ok(()), Ok(())));
        "each renewed one"
    }
}

fn came_in(generation: u64) -> &'static str {
    if generation == 1 {
        "came in before"
    } else {
        "came in after"
    }
}

fn leaves() -> &'static str {
    let world = World::new();
    let other = {
        let world = Arc::clone(&world);
        spawn(move || world.visit())
    };
    assert_eq!(world.renew(1), Ok(()));
    came_in(other.join().unwrap())
}

fn panicking() -> &'static str {
    let world = World::new();
    let other = {
        let world = Arc::clone(&world);
        spawn(move || world.visit())
    };
    let renewed = AssertUnwindSafe(|| world.gate.renew(1, &Standing, || panic_silently()));
    assert!(catch_unwind(renewed).is_err());
    let case = came_in(other.join().unwrap());
    assert!(!world.gate.is_up());
    assert_eq!(world.visit(), 2);
    case
}

fn closes() -> &'static str {
    let world = World::new();
    let other = {
        let world = Arc::clone(&world);
        spawn(move || {
            let closes = world.gate.enter_to_close(1);
            if closes {
                world.inside.fetch_add(1, Ordering::SeqCst);
                world.inside.fetch_sub(1, Ordering::SeqCst);
                world.gate.leave();
            }
            closes
        })
    };
    assert_eq!(world.renew(1), Ok(()));
    if other.join().unwrap() {
        "closed"
    } else {
        "gone"
    }
}
