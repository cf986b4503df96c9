//! Parsers of what strangers made. They run in the formats process, which has no token and no files; the readers of PFX files and
//! CMS messages are crate `formats`, which also runs in the tools for people, on their own files.
//!
//! Everything here is bounded before it is parsed, and ends in a value or a named refusal.

pub mod device;
pub mod opening;

pub use ::formats::{pfx, words};
