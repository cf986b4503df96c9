//! Decisions without branches: masks of zeros or ones, and what is moved by them. For what depends on a private key: the unpaddings.
//!
//! Masks are 32-bit words, made by arithmetic and passed through [`black_box`] so that the compiler does not turn them back into
//! branches. Rust promises nothing about time, so what the compiler made of it is checked: under valgrind, with the secrets marked as
//! undefined, no branch and no address depends on them (tests/constant_time.rs).

use std::cell::Cell;
use std::hint::black_box;

/// All ones if `value` is zero, else zero.
pub(crate) fn mask_if_zero(value: u32) -> u32 {
    // The top bit of `!v & (v - 1)` is set for zero alone.
    let top = (!value & value.wrapping_sub(1)) >> 31;
    black_box(0_u32.wrapping_sub(top))
}

/// All ones if `a` is less than `b`, else zero; both are below 2^31.
pub(crate) fn mask_if_less(a: u32, b: u32) -> u32 {
    // The difference borrows, and only then is its top bit set.
    let top = a.wrapping_sub(b) >> 31;
    black_box(0_u32.wrapping_sub(top))
}

/// `a` where the mask is all ones, `b` where it is zero.
pub(crate) fn select(mask: u32, a: u32, b: u32) -> u32 {
    b ^ (mask & (a ^ b))
}

/// Moves the content of `block` to the front by `distance` bytes and fills up with zeros; time and memory accesses depend
/// on the length of the block only.
pub(crate) fn shift_to_front(block: &mut [u8], distance: u32) {
    let cells = Cell::from_mut(block).as_slice_of_cells();
    let mut step = 1_usize;
    let mut remaining = distance;
    while step <= cells.len() {
        let [bit, ..] = (remaining & 1).to_le_bytes();
        let mask = black_box(0_u8.wrapping_sub(bit));
        // Ascending order: the byte that is read lies behind the one that is written, so it is still the old one.
        let sources = cells.iter().skip(step).map(Cell::get);
        for (cell, source) in cells.iter().zip(sources.chain(std::iter::repeat(0))) {
            cell.set(cell.get() ^ (mask & (cell.get() ^ source)));
        }
        step <<= 1;
        remaining >>= 1;
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        clippy::cast_possible_truncation,
        missing_docs
    )]
    use super::*;

    #[test]
    fn the_shift_is_right_for_every_distance() {
        for len in [1, 2, 3, 7, 8, 9, 64, 191, 255, 511] {
            for distance in 0..=len + 1 {
                let mut block: Vec<u8> = (0..len).map(|i| (i % 251) as u8 + 1).collect();
                let mut expected: Vec<u8> = block.iter().skip(distance).copied().collect();
                expected.resize(len, 0);
                shift_to_front(&mut block, u32::try_from(distance).unwrap());
                if distance <= len {
                    assert_eq!(block, expected, "length {len}, distance {distance}");
                }
            }
        }
    }

    #[test]
    fn the_masks_are_all_ones_or_nothing() {
        assert_eq!(mask_if_zero(0), u32::MAX);
        for value in [1, 2, 0x7f, 0x80, 0xff, 0x7fff_ffff, 0x8000_0000, u32::MAX] {
            assert_eq!(mask_if_zero(value), 0);
        }
        for (a, b) in [
            (0, 0),
            (0, 1),
            (1, 0),
            (9, 10),
            (10, 10),
            (11, 10),
            (0x7fff_ffff, 0),
        ] {
            assert_eq!(mask_if_less(a, b), if a < b { u32::MAX } else { 0 });
            assert_eq!(select(mask_if_less(a, b), 3, 5), if a < b { 3 } else { 5 });
        }
    }
}
