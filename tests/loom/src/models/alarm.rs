//! Alarms: one that is due rings, however long who watches was going to sleep.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use loom::thread::{JoinHandle, spawn};

use super::alarm::Alarm;
use crate::model::{Model, Tally};

pub(crate) const MODELS: &[Model] = &[
    Model {
        name: "alarm: one that is due before all others rings at once",
        preemptions: None,
        cases: &["it rang"],
        run: earlier_one,
    },
    Model {
        name: "alarm: two that are set at once both ring",
        preemptions: Some(3),
        cases: &["both rang"],
        run: two,
    },
    Model {
        name: "alarm: one that is taken back rings once at most, and closing ends the watch",
        preemptions: None,
        cases: &["it did not ring", "it rang"],
        run: taken_back,
    },
];

const NOW: Duration = Duration::from_secs(5);
const DUE: Duration = Duration::from_secs(4);
const LATER: Duration = Duration::from_secs(9);

struct World {
    alarm: Alarm<char>,
    rang: Mutex<Vec<char>>,
    rings: Arc<Tally>,
}

impl World {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            alarm: Alarm::new(),
            rang: Mutex::default(),
            rings: Tally::new(),
        })
    }

    /// As a group watches.
    fn watch(self: &Arc<Self>) -> JoinHandle<()> {
        let world = Arc::clone(self);
        spawn(move || {
            while world.alarm.wait(|| NOW) {
                for due in world.alarm.take_due(NOW) {
                    world.rang.lock().unwrap().push(*due);
                    world.rings.add();
                }
            }
        })
    }

    /// What rang, in the order of the alphabet.
    fn end(&self, watch: JoinHandle<()>) -> Vec<char> {
        self.alarm.close();
        watch.join().unwrap();
        let mut rang = std::mem::take(&mut *self.rang.lock().unwrap());
        rang.sort_unstable();
        rang
    }
}

fn earlier_one() -> &'static str {
    let world = World::new();
    world.alarm.set(LATER, Arc::new('b'));
    let watch = world.watch();
    world.alarm.set(DUE, Arc::new('a'));
    world.rings.wait_for(1);
    assert_eq!(world.end(watch), ['a']);
    "it rang"
}

fn two() -> &'static str {
    let world = World::new();
    let watch = world.watch();
    let other = {
        let world = Arc::clone(&world);
        spawn(move || {
            world.alarm.set(DUE, Arc::new('a'));
        })
    };
    world.alarm.set(NOW, Arc::new('b'));
    other.join().unwrap();
    world.rings.wait_for(2);
    assert_eq!(world.end(watch), ['a', 'b']);
    "both rang"
}

fn taken_back() -> &'static str {
    let world = World::new();
    let watch = world.watch();
    let set = world.alarm.set(DUE, Arc::new('a'));
    world.alarm.unset(set);
    match world.end(watch).as_slice() {
        [] => "it did not ring",
        ['a'] => "it rang",
        rang => panic!("{rang:?}"),
    }
}
