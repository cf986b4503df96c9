//! Parsers of what strangers made. They run in the formats process, which has no token and no files; the PFX reader also runs in
//! the import tool, on the importing person's own files.
//!
//! Everything here is bounded before it is parsed, and ends in a value or a named refusal.

pub mod device;
pub mod pfx;
pub mod words;
