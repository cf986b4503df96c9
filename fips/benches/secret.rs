//! What it costs to have a secret in locked memory, beside a vector that is overwritten and a mapping of its own for each.
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

use fips::secret::SecretBytes;
use std::hint::black_box;
use std::time::Instant;
use zeroize::Zeroizing;

const ROUNDS: u32 = 200_000;

/// Nanoseconds of one round, the best of five runs.
fn measured(mut work: impl FnMut()) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..5 {
        let began = Instant::now();
        for _ in 0..ROUNDS {
            work();
        }
        best = best.min(began.elapsed().as_secs_f64() * 1e9 / f64::from(ROUNDS));
    }
    best
}

fn locked_mapping(bytes: &[u8]) {
    use rustix::mm::{MapFlags, ProtFlags, mlock, mmap_anonymous, munmap};
    let rights = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: mmap(2), mlock(2), munmap(2): a new mapping of one page that nobody else knows; what is copied is shorter.
    unsafe {
        let page = mmap_anonymous(std::ptr::null_mut(), 4096, rights, MapFlags::PRIVATE).unwrap();
        mlock(page, 4096).unwrap();
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), page.cast(), bytes.len());
        black_box(page);
        munmap(page, 4096).unwrap();
    }
}

fn main() {
    println!("one secret made and dropped, nanoseconds ({ROUNDS} rounds, the best of five)");
    println!("bytes     in the pool   overwritten vector   locked mapping of its own");
    for len in [32_usize, 256, 1200, 4096] {
        let bytes = vec![0x5a; len];
        let pool = measured(|| drop(black_box(SecretBytes::from_slice(&bytes))));
        let vector = measured(|| drop(black_box(Zeroizing::new(bytes.clone()))));
        let mapping = measured(|| locked_mapping(&bytes));
        println!("{len:<9} {pool:>11.0} {vector:>20.0} {mapping:>27.0}");
    }
    let report = fips::secret::memory_report();
    assert!(report.on_heap_no_place == 0 && report.in_pool > 0);
    println!(
        "{} bytes reserved, {} locked",
        report.reserved_bytes, report.locked_bytes
    );
}
