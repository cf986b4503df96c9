//! The locks and conditions of what several requests share: those of the standard library. A seam, as the module of this name in crate hsm.

pub(crate) use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
