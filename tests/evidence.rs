//! What the program says about itself is true: what it was built from, and what is linked into it.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

#[path = "evidence/advisories.rs"]
mod advisories;
#[path = "evidence/build.rs"]
mod build;
#[path = "evidence/sbom.rs"]
mod sbom;
mod source;
#[path = "evidence/symbols.rs"]
mod symbols;
mod workspace;
