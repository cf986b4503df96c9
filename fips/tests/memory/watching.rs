//! An allocator that looks for secrets in every block before it is given back.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::RwLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

static WATCHING: AtomicBool = AtomicBool::new(false);
static LEFT_BEHIND: AtomicUsize = AtomicUsize::new(0);
/// Size of the last block that a secret was left in, to find it by.
static LAST_BLOCK: AtomicUsize = AtomicUsize::new(0);
static SECRETS: RwLock<&[&[u8]]> = RwLock::new(&[]);

/// To be made the global allocator of a test.
pub(crate) struct Watching;

// SAFETY: GlobalAlloc: every call is handed on to the system's allocator as it is; nothing here allocates or unwinds. Growing is left to
// the default of the trait: a new block, a copy, and the old block given back here.
unsafe impl GlobalAlloc for Watching {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: GlobalAlloc::alloc: the caller's promises are handed on. Zeroed, so that all of a block may be read when it comes back.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: GlobalAlloc::alloc_zeroed: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if WATCHING.load(Ordering::Relaxed) {
            // SAFETY: GlobalAlloc::dealloc: `block` is allocated with `layout` until it is given back below, and every byte of it was
            // written, by zeros at least.
            let bytes = unsafe { std::slice::from_raw_parts(block, layout.size()) };
            look(bytes);
        }
        // SAFETY: GlobalAlloc::dealloc: the caller's promises are handed on.
        unsafe { System.dealloc(block, layout) }
    }
}

fn look(bytes: &[u8]) {
    let Ok(secrets) = SECRETS.try_read() else {
        return;
    };
    for secret in secrets.iter() {
        let Some(first) = secret.first() else {
            continue;
        };
        let begins = |window: &[u8]| window.first() == Some(first) && window == *secret;
        if bytes.windows(secret.len()).any(begins) {
            LEFT_BEHIND.fetch_add(1, Ordering::Relaxed);
            LAST_BLOCK.store(bytes.len(), Ordering::Relaxed);
            if std::env::var_os("FIPS_TEST_STOP_AT_SECRET").is_some() {
                // For a debugger: the stack shows who gave it back.
                std::process::abort();
            }
        }
    }
}

/// What `work` left behind.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct LeftBehind {
    /// Blocks that were given back with a secret in them.
    pub(crate) blocks: usize,
    /// The size of the last one.
    pub(crate) last_block_bytes: usize,
}

/// Nothing.
pub(crate) const NOTHING: LeftBehind = LeftBehind {
    blocks: 0,
    last_block_bytes: 0,
};

/// Looks for `secrets`, which are kept for good, while `work` runs.
pub(crate) fn watch(secrets: &'static [&'static [u8]], work: impl FnOnce()) -> LeftBehind {
    *SECRETS.write().unwrap() = secrets;
    LEFT_BEHIND.store(0, Ordering::Relaxed);
    LAST_BLOCK.store(0, Ordering::Relaxed);
    WATCHING.store(true, Ordering::Relaxed);
    work();
    WATCHING.store(false, Ordering::Relaxed);
    LeftBehind {
        blocks: LEFT_BEHIND.load(Ordering::Relaxed),
        last_block_bytes: LAST_BLOCK.load(Ordering::Relaxed),
    }
}
