//! A model: a few threads, run in every order; and what models are made of.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use loom::sync::atomic::{AtomicU64, Ordering};

use crate::clock::Clock;
use crate::sync::{Condvar, Mutex as WatchedMutex};

/// More steps than any order of a model has; loom wants to know, to tell a thread that goes round for ever.
const MOST_STEPS: usize = 100_000;

/// Something that must hold in every order.
pub(crate) struct Model {
    pub(crate) name: &'static str,
    /// Orders in which a thread is interrupted, where it could go on, more often than this are left out. `None`: none is.
    pub(crate) preemptions: Option<usize>,
    /// What every order ends in; each of them is the end of some.
    pub(crate) cases: &'static [&'static str],
    /// Runs one order; tells what it came to.
    pub(crate) run: fn() -> &'static str,
}

impl Model {
    /// Runs every order, prints what they came to, and tells how many there were.
    ///
    /// # Panics
    /// If it does not hold, or one of its cases never happened. `LOOM_MAX_PREEMPTIONS` is another bound than the model's.
    pub(crate) fn check(&self) -> usize {
        let began = Instant::now();
        let cases = Arc::new(Mutex::new(BTreeMap::<&str, usize>::new()));
        let mut builder = loom::model::Builder::new();
        builder.max_branches = MOST_STEPS;
        builder.preemption_bound = builder.preemption_bound.or(self.preemptions);
        let (run, seen) = (self.run, Arc::clone(&cases));
        let all = catch_unwind(AssertUnwindSafe(|| {
            builder.check(move || {
                let case = run();
                *seen.lock().unwrap().entry(case).or_default() += 1;
            });
        }));
        if let Err(panic) = all {
            eprintln!("{}: does not hold", self.name);
            std::panic::resume_unwind(panic);
        }
        let cases = cases.lock().unwrap();
        let executions = cases.values().sum();
        let bound = match builder.preemption_bound {
            Some(bound) => format!("of at most {bound} preemptions"),
            None => "of all".to_owned(),
        };
        println!(
            "{}: {executions} executions {bound}, {} ms",
            self.name,
            began.elapsed().as_millis()
        );
        for (case, times) in cases.iter() {
            println!("    {times:>9} {case}");
        }
        let came_to: Vec<_> = cases.keys().copied().collect();
        let mut expected = self.cases.to_vec();
        expected.sort_unstable();
        assert_eq!(came_to, expected, "{}: other cases than these", self.name);
        executions
    }
}

/// Counts what threads have done, and lets others wait for it.
pub(crate) struct Tally {
    count: WatchedMutex<usize>,
    changed: Condvar,
}

impl Tally {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            count: WatchedMutex::new(0),
            changed: Condvar::new(),
        })
    }

    /// Counts one more; tells how many there are.
    pub(crate) fn add(&self) -> usize {
        let mut count = self.count.lock().unwrap();
        *count += 1;
        let now = *count;
        drop(count);
        self.changed.notify_all();
        now
    }

    /// Waits until there are so many.
    pub(crate) fn wait_for(&self, wanted: usize) {
        let count = self.count.lock().unwrap();
        let count = self.changed.wait_while(count, |count| *count < wanted);
        drop(count.unwrap());
    }
}

/// A clock that always stands.
#[derive(Debug)]
pub(crate) struct Standing;

impl Clock for Standing {
    fn now(&self) -> Duration {
        Duration::ZERO
    }

    fn pause(&self, _: Duration) {}
}

/// A clock that stands until it is moved; reading and moving it are steps of their own.
#[derive(Debug)]
pub(crate) struct Moved(AtomicU64);

impl Moved {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(0)))
    }

    pub(crate) fn advance(&self, by: Duration) {
        let ms = u64::try_from(by.as_millis()).unwrap();
        self.0.fetch_add(ms, Ordering::SeqCst);
    }
}

impl Clock for Moved {
    fn now(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::SeqCst))
    }

    fn pause(&self, pause: Duration) {
        self.advance(pause);
    }
}

/// A panic that nobody prints: it is a part of the model.
pub(crate) fn panic_silently() -> ! {
    std::panic::resume_unwind(Box::new("a panic of the model's"))
}
