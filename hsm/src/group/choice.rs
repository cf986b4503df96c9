//! Which token gets the next request: all of them, each as much as it does. Pure.
//!
//! Smooth weighted round robin: every candidate gains its weight, the one that has most is chosen and gives the sum back. So a token
//! with a third of the weight gets every third request, and never three in a row.

use std::time::Duration;

/// What a weight is made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fitness {
    /// Mean time of a request there, queue included. `None`: not known yet.
    pub(super) latency: Option<Duration>,
    /// Requests it works on at once.
    pub(super) limit: usize,
    /// Requests it has in hand.
    pub(super) in_hand: usize,
    /// Of 1000 recent requests, those that did not fail because of the token.
    pub(super) well_per_mille: u32,
}

/// Weight of a token that is the fastest, has nothing in hand and never fails.
pub(super) const FULL: u64 = 1_000_000;

/// What each does in comparison with the best of them: as many at once as it may, in its time, less what it has in hand, and less
/// (to the square) what fails. At least 1: who has no weight would never be seen to be well again.
pub(super) fn weights(all: &[Fitness]) -> Vec<u64> {
    let fastest = all
        .iter()
        .filter_map(|fitness| fitness.latency)
        .min()
        .unwrap_or(Duration::from_millis(1));
    let rates: Vec<u64> = all
        .iter()
        .map(|fitness| {
            let limit = u64::try_from(fitness.limit.max(1)).unwrap_or(u64::MAX);
            let latency = fitness.latency.unwrap_or(fastest).as_micros().max(1);
            let micros = u64::try_from(latency).unwrap_or(u64::MAX);
            // Requests in a thousand seconds.
            limit.saturating_mul(1_000_000_000) / micros
        })
        .collect();
    let best = rates.iter().copied().max().unwrap_or(1).max(1);
    all.iter()
        .zip(rates)
        .map(|(fitness, rate)| {
            let limit = u64::try_from(fitness.limit.max(1)).unwrap_or(u64::MAX);
            let in_hand = u64::try_from(fitness.in_hand).unwrap_or(u64::MAX);
            let well = u64::from(fitness.well_per_mille.min(1000));
            let share = u128::from(rate) * u128::from(FULL) / u128::from(best);
            let share = u64::try_from(share).unwrap_or(FULL);
            let free = share.saturating_mul(limit) / limit.saturating_add(in_hand).max(1);
            (free * well / 1000 * well / 1000).max(1)
        })
        .collect()
}

/// Where the turns stand.
#[derive(Debug, Default)]
pub(super) struct Turns(Vec<i128>);

impl Turns {
    /// The one among `candidates` (place of the token, weight) whose turn it is.
    pub(super) fn choose(&mut self, candidates: &[(usize, u64)]) -> Option<usize> {
        let longest = candidates.iter().map(|(place, _)| place + 1).max()?;
        if self.0.len() < longest {
            self.0.resize(longest, 0);
        }
        let mut total = 0;
        let mut best: Option<(usize, i128)> = None;
        for (place, weight) in candidates {
            let weight = i128::from(*weight);
            total += weight;
            if let Some(turn) = self.0.get_mut(*place) {
                *turn += weight;
                if best.is_none_or(|(_, most)| *turn > most) {
                    best = Some((*place, *turn));
                }
            }
        }
        let (place, _) = best?;
        // Bounded: weights change, and what was owed at old ones is not owed for ever.
        let bound = i128::from(FULL) * 4;
        for turn in &mut self.0 {
            *turn = (*turn).clamp(-bound, bound);
        }
        if let Some(turn) = self.0.get_mut(place) {
            *turn -= total;
        }
        Some(place)
    }
}

#[cfg(test)]
mod tests {
    #![allow(missing_docs, clippy::indexing_slicing)]
    use super::*;

    const GOOD: Fitness = Fitness {
        latency: Some(Duration::from_millis(2)),
        limit: 4,
        in_hand: 0,
        well_per_mille: 1000,
    };

    #[test]
    fn a_token_weighs_what_it_does() {
        let slow = Fitness {
            latency: Some(Duration::from_millis(8)),
            limit: 2,
            ..GOOD
        };
        let busy = Fitness { in_hand: 4, ..GOOD };
        let failing = Fitness {
            well_per_mille: 500,
            ..GOOD
        };
        let new = Fitness {
            latency: None,
            ..GOOD
        };
        assert_eq!(
            weights(&[GOOD, slow, busy, failing, new]),
            [FULL, FULL / 8, FULL / 2, FULL / 4, FULL]
        );
    }

    #[test]
    fn every_token_has_some_weight() {
        let hopeless = Fitness {
            latency: Some(Duration::MAX),
            limit: 0,
            in_hand: usize::MAX,
            well_per_mille: 0,
        };
        assert_eq!(weights(&[GOOD, hopeless])[1], 1);
    }

    #[test]
    fn turns_are_given_by_weight_and_spread() {
        let mut turns = Turns::default();
        let order: Vec<_> = (0..8)
            .filter_map(|_| turns.choose(&[(0, 300), (1, 100)]))
            .collect();
        assert_eq!(order.iter().filter(|place| **place == 1).count(), 2);
        assert!(order.windows(4).all(|four| four.contains(&1)), "{order:?}");
        assert_eq!(turns.choose(&[]), None);
    }
}
