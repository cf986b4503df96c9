//! Also run under Miri (`make miri`), where the memory comes from the allocator.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use super::*;
use std::collections::HashSet;

fn address(place: &Place<'_>) -> usize {
    place.start.as_ptr().addr()
}

#[test]
fn a_place_is_as_long_as_asked_and_zeros_whoever_had_it_before() {
    let pool = Pool::new();
    for len in [1, 32, 64, 65, 256, 1000, 4096, 5000, LONGEST] {
        let mut first = pool.take(len).unwrap();
        assert_eq!(first.bytes(), vec![0; len]);
        first.bytes_mut().fill(0xa5);
        let was_at = address(&first);
        drop(first);
        let second = pool.take(len).unwrap();
        assert_eq!(address(&second), was_at, "the first free place is taken");
        assert_eq!(second.bytes(), vec![0; len]);
    }
}

#[test]
fn what_is_too_long_has_no_place() {
    let pool = Pool::new();
    assert!(pool.take(LONGEST + 1).is_none());
    assert_eq!(pool.stock(), Stock::default());
}

#[test]
fn no_two_secrets_share_a_byte() {
    let pool = Pool::new();
    let mut places = Vec::new();
    for (number, len) in [64, 200, 1024, 3000, 16_000, 33]
        .repeat(9)
        .into_iter()
        .enumerate()
    {
        let mut place = pool.take(len).unwrap();
        place.bytes_mut().fill(u8::try_from(number).unwrap());
        places.push(place);
    }
    // Every other one goes, and others come in its place.
    let mut number = 0;
    places.retain(|_| {
        number += 1;
        number % 2 == 0
    });
    let more: Vec<_> = (0..9).map(|_| pool.take(64).unwrap()).collect();
    let mut ranges: Vec<_> = places
        .iter()
        .chain(&more)
        .map(|place| (address(place), address(place) + place.len))
        .collect();
    ranges.sort_unstable();
    assert!(ranges.windows(2).all(|pair| pair[0].1 <= pair[1].0));
    for (kept, place) in places.iter().enumerate() {
        let number = u8::try_from(kept * 2 + 1).unwrap();
        assert!(place.bytes().iter().all(|byte| *byte == number));
    }
    assert!(more.iter().all(|place| place.bytes() == [0; 64]));
}

#[test]
fn the_pool_is_bounded_and_what_is_given_back_is_taken_again() {
    let pool = Pool::new();
    let largest = MOST_OF_LONGEST * REGION_BYTES / LONGEST;
    let mut places: Vec<_> = std::iter::from_fn(|| pool.take(LONGEST)).collect();
    assert_eq!(places.len(), largest, "room is left for other sizes");
    let size = LONGEST / 4;
    places.extend(std::iter::from_fn(|| pool.take(size)));
    let most = largest + (MOST_REGIONS - MOST_OF_LONGEST) * REGION_BYTES / size;
    assert_eq!(places.len(), most);
    assert!(pool.take(1).is_none(), "no region is left for another size");
    let distinct: HashSet<_> = places.iter().map(address).collect();
    assert_eq!(distinct.len(), most);
    let stock = pool.stock();
    assert_eq!(
        (stock.reserved, stock.taken),
        (MOST_REGIONS * REGION_BYTES, most)
    );
    places.truncate(most - 1);
    assert_eq!(pool.stock().taken, most - 1);
    assert!(pool.take(size).is_some());
    drop(places);
    assert_eq!(pool.stock().taken, 0);
}

#[test]
fn places_are_taken_and_given_back_by_many_threads() {
    let pool = Pool::new();
    let rounds = if cfg!(miri) { 20 } else { 20_000 };
    std::thread::scope(|scope| {
        for thread in 1..=4_u8 {
            let pool = &pool;
            scope.spawn(move || {
                let mut held: Vec<Place<'_>> = Vec::new();
                for round in 0..rounds {
                    let mut place = pool.take(1 + (round * 37) % 300).unwrap();
                    assert!(place.bytes().iter().all(|byte| *byte == 0));
                    place.bytes_mut().fill(thread);
                    held.push(place);
                    if held.len() > 8 {
                        let gone = held.swap_remove(round % 8);
                        assert!(gone.bytes().iter().all(|byte| *byte == thread));
                    }
                }
            });
        }
    });
    assert_eq!(pool.stock().taken, 0);
}

#[test]
#[cfg(not(miri))]
fn a_region_is_between_pages_that_nobody_may_touch() {
    let pool = Pool::new();
    let place = pool.take(64).unwrap();
    let start = address(&place);
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let rights_at = |address: usize| {
        maps.lines().find_map(|line| {
            let (range, rest) = line.split_once(' ')?;
            let (from, to) = range.split_once('-')?;
            let from = usize::from_str_radix(from, 16).ok()?;
            let to = usize::from_str_radix(to, 16).ok()?;
            (from..to).contains(&address).then(|| rest[..4].to_owned())
        })
    };
    assert_eq!(rights_at(start).as_deref(), Some("rw-p"));
    assert_eq!(rights_at(start - 1).as_deref(), Some("---p"));
    assert_eq!(rights_at(start + REGION_BYTES).as_deref(), Some("---p"));
}
