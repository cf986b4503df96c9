//! System calls as data: name, number on this architecture, what their arguments must be.
//!
//! The lists were found by running the engine's tests under strace(1) on all kinds of tokens, and by reading what the C library and SQLite do in the
//! cases that tests do not reach; an entry that none of the tests was seen to need says why it is there. Calls that the architecture does not have are not on its list (aarch64 has
//! no `unlink`, only `unlinkat`).

mod lists;
mod only;

pub use lists::{
    ANY_IOCTL, CHILDREN, EVENT_LOOP, FILES, LOADING, NETWORK, OTHER_FILES, PROCESS, SHARED_MEMORY,
    SOCKETS, STARTING,
};
pub use only::Only;

/// A system call that may be made.
#[derive(Debug, PartialEq, Eq)]
pub struct Call {
    /// As in the manual, section 2.
    pub name: &'static str,
    /// Its number on this architecture.
    pub number: i64,
    /// What its arguments must be.
    pub only: Only,
}
