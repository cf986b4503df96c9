//! `make fuzz` runs it; the body is shared with tests/mutations.rs.
#![no_main]

#[path = "../bodies/soap_answer.rs"]
mod body;
#[path = "../bodies/seeds.rs"]
mod seeds;

libfuzzer_sys::fuzz_target!(init: seeds::prepare("soap_answer"), |data: &[u8]| body::run(data));
