//! What the program can say about itself so that somebody else can check it.
//!
//! ```text
//!   of the program                            of each process, by itself
//!   build, lock, program, sbom, symbols       process: mode, module, self-tests, counters, tls, memory, environment
//!        |                                         |
//!        |                                         v  gathered from the running service
//!        |                                    status: who said it, totals, tokens, keys, advisories
//!        |                                         |
//!        |                                         v  the lowest of all parts
//!        |------------------------------------ claim: what can be claimed, and what stands against more
//!        |                                         |
//!        v                                         v
//!   bundle: all of it in a folder to hand to an auditor, with the digest of every file and a signature
//! ```
//!
//! What is about the program is deterministic: the same program says the same on every machine and at every time.

pub mod build;
pub mod bundle;
pub mod cbom;
pub mod claim;
pub mod environment;
pub mod lock;
mod mangling;
mod markers;
pub mod memory;
pub mod process;
pub mod program;
pub mod sbom;
pub mod status;
pub mod symbols;
pub mod tls;
