//! The engine: the only processes that see a clear password or use the custody key.
//!
//! ```text
//!                unix socket            socketpair (standard input of the part)
//! caller --Request/Status--> supervisor --Request--> custody   (token, clear passwords, no parsing of what strangers made)
//!        <-----Reply-------      |  ^ <---Reply----     |
//!                                |  '-----Call----------'
//!                                '-------Call-------> formats  (parses, no token, no files)
//!                                <------Return-------
//! ```
//!
//! [`supervisor`] keeps the bytes of each request until it is answered; whichever part dies or hangs is replaced alone, and what it
//! had in hand is given to the new one. The engine is synchronous: threads and blocking sockets; only [`client`] is async.

pub mod api;
pub mod client;
pub mod custody;
pub mod formats;
pub mod formats_process;
pub mod hardening;
pub mod ipc;
pub mod policy;
pub mod recrypt;
pub mod sandboxing;
pub mod supervisor;
