//! `make fuzz` runs it; the body is shared with tests/mutations.rs.
#![no_main]

#[path = "../bodies/tpm_attestation.rs"]
mod body;
#[path = "../bodies/seeds.rs"]
mod seeds;

libfuzzer_sys::fuzz_target!(init: seeds::prepare("tpm_attestation"), |data: &[u8]| body::run(data));
