//! `make fuzz` runs it; the body is shared with tests/mutations.rs.
#![no_main]

#[path = "../bodies/certificate.rs"]
mod body;
#[path = "../bodies/seeds.rs"]
mod seeds;

libfuzzer_sys::fuzz_target!(init: seeds::prepare("certificate"), |data: &[u8]| body::run(data));
