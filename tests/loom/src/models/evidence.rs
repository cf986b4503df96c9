//! Evidence: those who wait for one canary are all told, whatever becomes of it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread::spawn;

use super::evidence::{Budget, Evidence, Verdict};
use crate::model::{Model, panic_silently};

pub(crate) const MODELS: &[Model] = &[
    Model {
        name: "evidence: three that have failed share one canary",
        preemptions: Some(3),
        cases: &["one canary"],
        run: shared,
    },
    Model {
        name: "evidence: a canary that does not work is nobody's evidence",
        preemptions: Some(3),
        cases: &["each ran its own"],
        run: broken,
    },
    Model {
        name: "evidence: those who wait for a canary that panics are told, and share the next one",
        preemptions: Some(3),
        cases: &["one panicked, the next one was shared"],
        run: panicking,
    },
    Model {
        name: "evidence: a success of somebody else's ends the waiting for none that fails later",
        preemptions: None,
        cases: &["a canary", "the success was seen"],
        run: beside_a_success,
    },
];

const NOW: Duration = Duration::from_secs(1);

struct World {
    evidence: Evidence,
    budget: Budget,
    /// The next use's number.
    numbers: AtomicU64,
    canaries: AtomicU64,
}

impl World {
    /// `failed` uses have failed.
    fn new(failed: u64) -> Arc<Self> {
        Arc::new(Self {
            evidence: Evidence::default(),
            budget: Budget::new((100, 0)),
            numbers: AtomicU64::new(failed),
            canaries: AtomicU64::new(0),
        })
    }

    /// What the use of this number does, having failed; `canary` gets how many there were before, and tells whether it works.
    fn judge(&self, failed: u64, canary: fn(u64) -> bool) {
        match self.evidence.judge(failed, NOW, &self.budget) {
            Verdict::Well => {}
            Verdict::RunCanary(_running) => {
                let begun = self.numbers.fetch_add(1, Ordering::SeqCst);
                if canary(self.canaries.fetch_add(1, Ordering::SeqCst)) {
                    self.evidence.worked(begun, NOW);
                }
            }
        }
    }

    fn three(canary: fn(u64) -> bool) -> u64 {
        let world = Self::new(3);
        let others = [0, 1].map(|failed| {
            let world = Arc::clone(&world);
            spawn(move || {
                let judged = AssertUnwindSafe(|| world.judge(failed, canary));
                drop(catch_unwind(judged));
            })
        });
        let judged = AssertUnwindSafe(|| world.judge(2, canary));
        drop(catch_unwind(judged));
        for other in others {
            other.join().unwrap();
        }
        world.canaries.load(Ordering::SeqCst)
    }
}

fn shared() -> &'static str {
    assert_eq!(World::three(|_| true), 1);
    "one canary"
}

fn broken() -> &'static str {
    assert_eq!(World::three(|_| false), 3);
    "each ran its own"
}

fn panicking() -> &'static str {
    let canaries = World::three(|before| {
        if before == 0 {
            panic_silently();
        }
        true
    });
    assert_eq!(canaries, 2);
    "one panicked, the next one was shared"
}

fn beside_a_success() -> &'static str {
    let world = World::new(1);
    let other = {
        let world = Arc::clone(&world);
        spawn(move || {
            let begun = world.numbers.fetch_add(1, Ordering::SeqCst);
            world.evidence.worked(begun, NOW);
        })
    };
    // Begun before the other one or after it: only an earlier failure is judged by it.
    let failed = world.numbers.fetch_add(1, Ordering::SeqCst);
    world.judge(failed, |_| true);
    other.join().unwrap();
    let canaries = world.canaries.load(Ordering::SeqCst);
    if canaries == 0 {
        assert_eq!(failed, 1, "the success had begun before it failed");
        "the success was seen"
    } else {
        "a canary"
    }
}
