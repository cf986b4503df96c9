//! Every parser that crosses a trust line, on changed copies of real inputs: the same for everybody, and bounded. `make fuzz` goes on
//! from here, with coverage to guide it.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    missing_docs
)]

#[path = "../fuzz/bodies/certificate.rs"]
mod certificate;
#[path = "../fuzz/bodies/certs_only.rs"]
mod certs_only;
#[path = "../fuzz/bodies/cmp_message.rs"]
mod cmp_message;
#[path = "../fuzz/bodies/cms.rs"]
mod cms;
#[path = "../fuzz/bodies/configuration.rs"]
mod configuration;
#[path = "../fuzz/bodies/device_certificate.rs"]
mod device_certificate;
#[path = "../fuzz/bodies/frame.rs"]
mod frame;
#[path = "../fuzz/bodies/gateway.rs"]
mod gateway;
#[path = "../fuzz/bodies/pfx.rs"]
mod pfx;
#[path = "../fuzz/bodies/request.rs"]
mod request;
#[path = "../fuzz/bodies/seeds.rs"]
mod seeds;
#[path = "../fuzz/bodies/soap_answer.rs"]
mod soap_answer;
#[path = "../fuzz/bodies/tpm_attestation.rs"]
mod tpm_attestation;

use seeds::{Seed, corpora};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Changed copies for each target.
const MUTATIONS: usize = 4000;

/// xorshift64*: the same numbers everywhere.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32;
        usize::try_from(number).unwrap() % end.max(1)
    }

    fn byte(&mut self) -> u8 {
        const TELLING: [u8; 10] = [0, 1, 0x7f, 0x80, 0x81, 0x84, 0xff, 0x30, 0x24, 0xa0];
        match self.below(3) {
            0 => TELLING[self.below(TELLING.len())],
            _ => u8::try_from(self.below(256)).unwrap(),
        }
    }
}

/// A copy with one to four changes.
fn mutated(seeds: &[Seed], from: usize, numbers: &mut Numbers) -> Vec<u8> {
    let mut bytes = seeds[from].bytes.clone();
    for _ in 0..=numbers.below(4) {
        let at = numbers.below(bytes.len());
        let end = (at + 1 + numbers.below(16)).min(bytes.len());
        match numbers.below(7) {
            _ if bytes.is_empty() => bytes.push(numbers.byte()),
            0 => bytes[at] ^= 1 << numbers.below(8),
            1 => bytes[at] = numbers.byte(),
            2 => bytes.insert(at, numbers.byte()),
            3 => drop(bytes.drain(at..end)),
            4 => {
                let piece = bytes[at..end].to_vec();
                let place = numbers.below(bytes.len());
                bytes.splice(place..place, piece);
            }
            5 => bytes.truncate(at),
            _ => {
                let other = &seeds[numbers.below(seeds.len())].bytes;
                let start = numbers.below(other.len());
                let stop = (start + 1 + numbers.below(64)).min(other.len());
                bytes.splice(at..end, other[start..stop].to_vec());
            }
        }
    }
    bytes
}

fn survives(target: &str, run: fn(&[u8])) {
    fips::start(fips::policy::Policy::OFF).unwrap();
    let seeds = seeds::of(target, &corpora());
    if seeds.is_empty() {
        assert!(
            std::env::var("CI").as_deref() != Ok("true"),
            "no corpora in {} (set CORPORA_DIR)",
            corpora().display()
        );
        println!("NOT RUN: no corpora in {}", corpora().display());
        return;
    }
    for seed in &seeds {
        run(&seed.bytes);
    }
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    for number in 0..MUTATIONS {
        let from = number % seeds.len();
        let input = mutated(&seeds, from, &mut numbers);
        if catch_unwind(AssertUnwindSafe(|| run(&input))).is_err() {
            panic!(
                "mutation {number} of {}: {}",
                seeds[from].name,
                pfx_connector::encoding::hex(&input)
            );
        }
    }
}

#[test]
fn changed_pfx_files_end_cleanly() {
    survives("pfx", pfx::run);
}

#[test]
fn changed_messages_of_cms_end_cleanly() {
    survives("cms", cms::run);
}

#[test]
fn changed_messages_with_certificates_alone_end_cleanly() {
    survives("certs_only", certs_only::run);
}

#[test]
fn changed_answers_of_enrolment_services_end_cleanly() {
    survives("soap_answer", soap_answer::run);
}

#[test]
fn changed_messages_of_cmp_end_cleanly() {
    survives("cmp_message", cmp_message::run);
}

#[test]
fn changed_attestations_of_a_tpm_end_cleanly() {
    survives("tpm_attestation", tpm_attestation::run);
}

#[test]
fn changed_device_certificates_end_cleanly() {
    survives("device_certificate", device_certificate::run);
}

#[test]
fn changed_certificates_and_lists_end_cleanly() {
    survives("certificate", certificate::run);
}

#[test]
fn changed_requests_and_subjects_end_cleanly() {
    survives("request", request::run);
}

#[test]
fn changed_frames_end_cleanly() {
    survives("frame", frame::run);
}

#[test]
fn changed_configurations_end_cleanly() {
    survives("configuration", configuration::run);
}

#[test]
fn changed_messages_to_and_from_the_gateway_end_cleanly() {
    survives("gateway", gateway::run);
}

/// A seed that its own parser refuses at the door would fuzz nothing.
#[test]
fn the_messages_that_fuzzing_begins_with_are_those_of_this_release() {
    let none = std::path::Path::new("no corpora");
    for seed in seeds::of("gateway", none) {
        let judged = pfx_connector::gateway::MESSAGES
            .map(|message| pfx_connector::gateway::judge(message, &seed.bytes));
        let answer =
            pfx_connector::connector::read_lease(&seed.bytes).is_some_and(|work| !work.is_empty());
        assert!(
            answer || judged.iter().any(Result::is_ok),
            "{}: {judged:?}",
            seed.name
        );
    }
    let answers: Vec<_> = seeds::of("soap_answer", none)
        .into_iter()
        .filter(|seed| ca::adcs::is_answer(&seed.bytes))
        .map(|seed| seed.name)
        .collect();
    // The others need a certificate from the corpora, or are refusals.
    assert!(answers.iter().any(|name| name == "pending"), "{answers:?}");
    assert!(!answers.iter().any(|name| name == "fault"), "{answers:?}");
    for seed in seeds::of("configuration", none) {
        let text = std::str::from_utf8(&seed.bytes).unwrap();
        let parsed = pfx_connector::config::parse(text, std::path::Path::new("/etc/config.toml"));
        // With every key there are keys that exclude each other; the example is whole.
        if seed.name == "the example" {
            assert!(
                parsed.is_ok(),
                "{:?}",
                parsed.err().map(|error| error.to_string())
            );
        }
    }
}
