//! That secrets on the heap are overwritten before their memory is given back: an allocator of this test's own looks at the blocks of
//! their length. What is in the pool is tested beside it (src/secret/pool).
#![allow(clippy::unwrap_used, missing_docs)]

use fips::digest::Hash;
use fips::policy::Policy;
use fips::secret::SecretBytes;
use fips::{aes, kdf, random};
use std::alloc::{GlobalAlloc, Layout, System};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The length of the secrets: longer than the pool of locked memory takes, so that they are this allocator's. A little more, for paddings
/// and tags, is looked at as well.
const LENGTH: usize = 20_001;

static SEEN: AtomicUsize = AtomicUsize::new(0);
static NOT_OVERWRITTEN: AtomicUsize = AtomicUsize::new(0);

struct Watching;

fn is_watched(length: usize) -> bool {
    (LENGTH..LENGTH + 64).contains(&length)
}

// SAFETY: GlobalAlloc: every call is handed on to the system's allocator as it is; nothing here allocates or unwinds.
unsafe impl GlobalAlloc for Watching {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: GlobalAlloc::alloc: the caller's promises are handed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: GlobalAlloc::alloc_zeroed: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if is_watched(layout.size()) {
            SEEN.fetch_add(1, Ordering::Relaxed);
            for place in 0..layout.size() {
                // SAFETY: GlobalAlloc::dealloc: `block` is allocated with `layout` until it is given back below, so each of its
                // bytes may be read; every watched block of this test was written to its end.
                if unsafe { block.add(place).read() } != 0 {
                    NOT_OVERWRITTEN.fetch_add(1, Ordering::Relaxed);
                    break;
                }
            }
        }
        // SAFETY: GlobalAlloc::dealloc: the caller's promises are handed on.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Watching = Watching;

/// How many watched blocks `work` gave back, and how many of them were not overwritten.
fn given_back(work: impl FnOnce()) -> (usize, usize) {
    let seen = SEEN.load(Ordering::Relaxed);
    let not_overwritten = NOT_OVERWRITTEN.load(Ordering::Relaxed);
    work();
    (
        SEEN.load(Ordering::Relaxed) - seen,
        NOT_OVERWRITTEN.load(Ordering::Relaxed) - not_overwritten,
    )
}

/// A vector of the watched capacity with so many bytes in it, and another secret behind its length.
fn with_capacity(len: usize) -> Vec<u8> {
    let mut bytes = vec![7; LENGTH];
    bytes.truncate(len);
    bytes
}

/// One test, since the counters are the process'.
#[test]
fn a_secret_is_overwritten_before_its_memory_is_given_back() {
    fips::start(Policy::STRICT).unwrap();
    // It would be seen: an ordinary vector is not overwritten.
    assert_eq!(given_back(|| drop(vec![7_u8; LENGTH])), (1, 1));

    let made = || drop(random::secret(LENGTH).unwrap());
    assert_eq!(given_back(made), (1, 0));
    let taken_over = || drop(SecretBytes::from_vec(vec![7; LENGTH]));
    assert_eq!(given_back(taken_over), (1, 0));
    // What is short enough is moved into locked memory, and the vector overwritten.
    let mut moved = None;
    let move_in = || moved = Some(SecretBytes::from_vec(with_capacity(16_000)));
    assert_eq!(given_back(move_in), (1, 0));
    assert!(moved.is_some_and(|secret| secret.is_in_pool()));
    let cut = || SecretBytes::from_slice(&[7; LENGTH]).truncate(1);
    assert_eq!(given_back(cut), (1, 0));

    // What comes out of the module is such a secret, and no copy is left on the way.
    let (thousand, key) = (NonZeroU32::new(1000).unwrap(), random::secret(32).unwrap());
    let derived = || drop(kdf::pbkdf2(Hash::Sha256, &[7; 14], &[7; 16], thousand, LENGTH).unwrap());
    assert_eq!(given_back(derived), (1, 0));
    let sealed = aes::gcm_seal(&key, b"", &[7; LENGTH]).unwrap();
    let opened = || drop(aes::gcm_open(&key, b"", &sealed).unwrap());
    assert_eq!(given_back(opened), (1, 0));
    let (iv, ciphertext) = aes::cbc_encrypt_random_iv(&key, &[7; LENGTH]).unwrap();
    let decrypted = || drop(aes::cbc_decrypt(&key, &iv, &ciphertext).unwrap());
    assert_eq!(given_back(decrypted), (1, 0));
}
