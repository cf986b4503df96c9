//! Deliberately empty. The FIPS build of `aws-lc-rs` takes everything from `aws-lc-fips-sys`; see `docs/dependencies.md`.
#![no_std]
#![forbid(unsafe_code)]
