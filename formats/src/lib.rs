//! The formats in which keys, certificates and encrypted messages travel: read as strangers wrote them, and written as others read them.
//!
//! A crate of its own, below the program and beside `hsm`: nothing here can reach a token, a file or the network, and all cryptography
//! comes from crate `fips`. What it reads, it bounds before it parses; every reading ends in a value or in a refusal that says what is
//! wrong and what to do. The engine's formats process and the tools for people (`pfx`, `import`) are what uses it.
#![forbid(unsafe_code)]

pub mod ber;
pub mod certificate;
pub mod cms;
pub mod pfx;
pub mod profile;
pub mod text;
pub mod words;
