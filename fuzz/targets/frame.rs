//! `make fuzz` runs it; the body is shared with tests/mutations.rs.
#![no_main]

#[path = "../bodies/frame.rs"]
mod body;
#[path = "../bodies/seeds.rs"]
mod seeds;

libfuzzer_sys::fuzz_target!(init: seeds::prepare("frame"), |data: &[u8]| body::run(data));
