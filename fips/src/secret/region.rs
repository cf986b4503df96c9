//! Memory of its own for secrets: between two guard pages, locked, out of core dumps, and empty in a forked child.
//!
//! What is of one system is here alone. Under Miri, which knows neither `mlock` nor guard pages, the memory comes from the allocator, so
//! that the bookkeeping above it can be run there as it is.

use std::ptr::NonNull;

/// What the system granted for one region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Protection {
    /// `mlock(2)`: never written to swap space.
    pub(super) locked: bool,
    /// `MADV_DONTDUMP`: left out of core dumps, also of those that somebody else forces.
    pub(super) not_dumped: bool,
    /// `MADV_WIPEONFORK`: zeros in a child.
    pub(super) wiped_on_fork: bool,
}

/// Readable and writable bytes, zeros at first, given back to the system when dropped.
pub(super) struct Region {
    start: NonNull<u8>,
    bytes: usize,
    protection: Protection,
    #[cfg(not(miri))]
    mapping: (NonNull<std::ffi::c_void>, usize),
}

// SAFETY: a region is plain memory that belongs to no thread; who may touch which of its bytes is the pool's to say.
unsafe impl Send for Region {}

impl Region {
    /// The first byte.
    pub(super) fn start(&self) -> NonNull<u8> {
        self.start
    }

    /// What the system granted.
    pub(super) fn protection(&self) -> Protection {
        self.protection
    }
}

#[cfg(not(miri))]
mod of_the_system {
    use super::{NonNull, Protection, Region};
    use rustix::mm::{
        Advice, MapFlags, MprotectFlags, ProtFlags, madvise, mlock, mmap_anonymous, mprotect,
        munmap,
    };

    /// Bytes of a guard, and what a region's length is a multiple of: the largest page of any system that Linux runs on.
    const GUARD: usize = 64 * 1024;

    impl Region {
        /// `bytes` bytes, a multiple of 64 KiB; `None` if the system has none. Whether it also locks them is in
        /// [`protection`](Self::protection): the limit of a user (`RLIMIT_MEMLOCK`) may be too low for it.
        pub(in super::super) fn new(bytes: usize) -> Option<Self> {
            if bytes == 0 || !bytes.is_multiple_of(GUARD) {
                return None;
            }
            let whole = bytes.checked_add(2 * GUARD)?;
            // SAFETY: mmap(2): a new anonymous mapping at a place that the system chooses touches no other memory. Without any right, so
            // that what is not opened below stays a guard.
            let mapping = unsafe {
                mmap_anonymous(
                    std::ptr::null_mut(),
                    whole,
                    ProtFlags::empty(),
                    MapFlags::PRIVATE,
                )
            };
            let mapping = NonNull::new(mapping.ok()?)?;
            // SAFETY: pointer::add: one guard is within the mapping, which is two guards longer than `bytes`.
            let start = unsafe { mapping.cast::<u8>().add(GUARD) };
            let at = start.as_ptr().cast();
            // SAFETY: mprotect(2), mlock(2), madvise(2): the range is of whole pages inside the mapping that was made above and that
            // nobody else knows; none of these calls changes what its bytes are, which are zeros.
            let protection = unsafe {
                if mprotect(at, bytes, MprotectFlags::READ | MprotectFlags::WRITE).is_err() {
                    let _ = munmap(mapping.as_ptr(), whole);
                    return None;
                }
                Protection {
                    locked: mlock(at, bytes).is_ok(),
                    not_dumped: madvise(at, bytes, Advice::LinuxDontDump).is_ok(),
                    wiped_on_fork: madvise(at, bytes, Advice::LinuxWipeOnFork).is_ok(),
                }
            };
            Some(Self {
                start,
                bytes,
                protection,
                mapping: (mapping, whole),
            })
        }
    }

    impl Drop for Region {
        fn drop(&mut self) {
            debug_assert!(self.bytes < self.mapping.1);
            // SAFETY: munmap(2): exactly the mapping of `new`; the pool hands out nothing that outlives it.
            let _ = unsafe { munmap(self.mapping.0.as_ptr(), self.mapping.1) };
        }
    }
}

#[cfg(miri)]
mod of_the_allocator {
    use super::{NonNull, Protection, Region};
    use std::alloc::{Layout, alloc_zeroed, dealloc};

    const PAGE: usize = 4096;

    impl Region {
        pub(in super::super) fn new(bytes: usize) -> Option<Self> {
            let layout = Layout::from_size_align(bytes, PAGE).ok()?;
            if bytes == 0 {
                return None;
            }
            // SAFETY: alloc::alloc_zeroed: the layout has bytes.
            let start = NonNull::new(unsafe { alloc_zeroed(layout) })?;
            Some(Self {
                start,
                bytes,
                protection: Protection {
                    locked: false,
                    not_dumped: false,
                    wiped_on_fork: false,
                },
            })
        }
    }

    impl Drop for Region {
        fn drop(&mut self) {
            if let Ok(layout) = Layout::from_size_align(self.bytes, PAGE) {
                // SAFETY: alloc::dealloc: what `new` allocated with this layout.
                unsafe { dealloc(self.start.as_ptr(), layout) };
            }
        }
    }
}
