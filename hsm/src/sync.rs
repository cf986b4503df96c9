//! The locks and conditions by which a request, and what is found out for it, goes from one thread to another: those of the standard library.
//!
//! A seam. The package in tests/loom compiles the files that name this module as they are, with another module of this name, and runs them in
//! every order in which threads can come to their locks (`make loom`).

pub(crate) use std::sync::mpsc::sync_channel;
pub(crate) use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
