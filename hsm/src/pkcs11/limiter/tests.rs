//! The limiter against models of tokens, on a simulated clock.
#![allow(missing_docs, clippy::unwrap_used, clippy::cast_precision_loss)]

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::*;

/// A token that does `places` requests at once, each in `micros`; what it is given beyond that waits inside.
struct Model {
    places: usize,
    micros: u64,
    /// Percent of its time by which each request takes longer for every further one beyond `places`.
    burden: u64,
}

impl Model {
    /// How long a request takes that begins while `running` (itself included) run; `dice` of 0 to 99 spreads it by ten percent.
    fn time(&self, running: usize, dice: u64) -> Duration {
        let (running, places) = (running as u64, self.places as u64);
        let over = running.saturating_sub(places);
        let base = self.micros * running.max(places) / places;
        let base = base + base * over * self.burden / 100;
        Duration::from_micros(base * (950 + dice) / 1000)
    }
}

/// A generator that gives the same numbers each time (Numerical Recipes' linear congruence).
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223) & 0xffff_ffff;
        (self.0 >> 8) % 100
    }
}

struct Run {
    now: Duration,
    running: BinaryHeap<Reverse<Duration>>,
    dice: Dice,
    finished: u64,
}

impl Run {
    fn new(seed: u64) -> Self {
        Self {
            now: Duration::ZERO,
            running: BinaryHeap::new(),
            dice: Dice(seed),
            finished: 0,
        }
    }

    /// So many callers, each with one request at a time, for a time.
    fn load(&mut self, limiter: &mut Limiter, model: &Model, callers: usize, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            while self.running.len() < limiter.limit().min(callers) {
                let took = model.time(self.running.len() + 1, self.dice.roll());
                self.running.push(Reverse(self.now + took));
            }
            let Some(Reverse(next)) = self.running.pop() else {
                break;
            };
            self.now = self.now.max(next);
            self.finished += 1;
            limiter.finished(callers.saturating_sub(self.running.len() + 1), self.now);
            assert!((1..=limiter.threads).contains(&limiter.limit()));
        }
    }
}

/// The mean of the limit in the second half of a minute, by seed.
fn settled(model: &Model, threads: usize, seed: u64) -> f64 {
    let mut limiter = Limiter::new(threads);
    let mut run = Run::new(seed);
    run.load(&mut limiter, model, threads * 4, Duration::from_secs(30));
    let mut sum = 0;
    for _ in 0..300 {
        run.load(&mut limiter, model, threads * 4, Duration::from_millis(100));
        sum += limiter.limit();
    }
    f64::from(u32::try_from(sum).unwrap()) / 300.0
}

fn settles_between(model: &Model, threads: usize, low: f64, high: f64) {
    for seed in 0..6 {
        let limit = settled(model, threads, seed);
        assert!(
            (low..=high).contains(&limit),
            "seed {seed}: {limit} for {} places",
            model.places
        );
    }
}

#[test]
fn a_software_token_gets_about_as_many_as_it_has_cores() {
    for places in [2, 4, 8] {
        let model = Model {
            places,
            micros: 500 * places as u64,
            burden: 0,
        };
        settles_between(&model, 64, places as f64 * 0.95, places as f64 * 1.3 + 0.5);
    }
}

#[test]
fn a_tpm_gets_one_or_two() {
    let model = Model {
        places: 1,
        micros: 8_000,
        burden: 1,
    };
    settles_between(&model, 16, 0.95, 2.0);
}

#[test]
fn a_network_hsm_with_thirty_sessions_gets_what_it_can_take() {
    let model = Model {
        places: 30,
        micros: 3_000,
        burden: 0,
    };
    settles_between(&model, 64, 26.0, 38.0);
    // With fewer threads than it could take, all of them.
    settles_between(&model, 16, 14.5, 16.0);
}

#[test]
fn a_token_that_is_harmed_by_too_many_is_given_fewer() {
    let model = Model {
        places: 4,
        micros: 2_000,
        burden: 10,
    };
    settles_between(&model, 64, 3.5, 5.5);
}

#[test]
fn the_limit_follows_a_token_that_changes() {
    let (wide, narrow) = (
        Model {
            places: 16,
            micros: 4_000,
            burden: 0,
        },
        Model {
            places: 2,
            micros: 500,
            burden: 0,
        },
    );
    let mut limiter = Limiter::new(32);
    let mut run = Run::new(7);
    run.load(&mut limiter, &wide, 128, Duration::from_secs(60));
    assert!((14..=24).contains(&limiter.limit()), "{limiter:?}");
    run.load(&mut limiter, &narrow, 128, Duration::from_secs(120));
    assert!((2..=4).contains(&limiter.limit()), "{limiter:?}");
    run.load(&mut limiter, &wide, 128, Duration::from_secs(120));
    assert!((14..=24).contains(&limiter.limit()), "{limiter:?}");
}

#[test]
fn nothing_is_tried_while_nobody_waits() {
    let model = Model {
        places: 8,
        micros: 1_000,
        burden: 0,
    };
    let mut limiter = Limiter::new(16);
    Run::new(1).load(&mut limiter, &model, 3, Duration::from_secs(60));
    assert_eq!(limiter.limit(), START);
}

#[test]
fn almost_nothing_is_lost_by_trying() {
    let model = Model {
        places: 4,
        micros: 2_000,
        burden: 0,
    };
    let mut limiter = Limiter::new(16);
    let mut run = Run::new(3);
    run.load(&mut limiter, &model, 64, Duration::from_secs(60));
    // 2000 per second at most, a request being 0.9995 of 2 ms on the average.
    assert!(run.finished > 60 * 2_000 * 97 / 100, "{}", run.finished);
}

#[test]
fn a_token_without_room_halves_the_limit() {
    let mut limiter = Limiter::new(8);
    limiter.refused(Duration::ZERO);
    assert_eq!(limiter.limit(), 2);
    limiter.refused(Duration::ZERO);
    limiter.refused(Duration::ZERO);
    assert_eq!(limiter.limit(), 1);
}
