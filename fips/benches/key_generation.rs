//! How long the module takes to make a key, beside `openssl genpkey`, in one run: rounds alternate between the two, so that whatever else the
//! machine does falls on both.
//!
//! The search for primes takes a different time for each RSA key, so what is compared is the time of all keys of a kind together. A process
//! of OpenSSL's has to start for each of its keys: how long that takes is measured beside it, with a key that costs next to nothing
//! (Ed25519), and taken off. Both make the key, test it as they do (the module signs and verifies with each: FIPS 140-3, pairwise
//! consistency) and encode it as PKCS#8.
//!
//! `make bench` starts it; `--json` prints one line.
#![allow(
    clippy::print_stdout,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a program whose answer is its standard output"
)]

use fips::policy::Policy;
use fips::sign::{KeyKind, SigningKey};
use std::hint::black_box;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A kind of key: what the module calls it, what OpenSSL does, and how many are made in a round.
struct Kind {
    name: &'static str,
    kind: KeyKind,
    openssl: [&'static str; 4],
    keys: u32,
}

const ROUNDS: u32 = 5;

fn kinds() -> [Kind; 6] {
    let rsa = |name, bits, option, keys| Kind {
        name,
        kind: KeyKind::Rsa(bits),
        openssl: ["-algorithm", "RSA", "-pkeyopt", option],
        keys,
    };
    let ec = |name, kind, option| Kind {
        name,
        kind,
        openssl: ["-algorithm", "EC", "-pkeyopt", option],
        keys: 20,
    };
    [
        rsa("RSA 2048", 2048, "rsa_keygen_bits:2048", 20),
        rsa("RSA 3072", 3072, "rsa_keygen_bits:3072", 10),
        rsa("RSA 4096", 4096, "rsa_keygen_bits:4096", 6),
        ec("EC P-256", KeyKind::EcP256, "ec_paramgen_curve:P-256"),
        ec("EC P-384", KeyKind::EcP384, "ec_paramgen_curve:P-384"),
        ec("EC P-521", KeyKind::EcP521, "ec_paramgen_curve:P-521"),
    ]
}

fn openssl(arguments: &[&str]) -> Duration {
    let began = Instant::now();
    let status = Command::new("openssl")
        .arg("genpkey")
        .args(arguments)
        .args(["-outform", "DER", "-out", "/dev/null"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("this bench needs the program `openssl`");
    assert!(status.success(), "openssl genpkey {arguments:?}");
    began.elapsed()
}

fn module(kind: KeyKind) -> Duration {
    let began = Instant::now();
    let key = SigningKey::generate(kind).unwrap();
    black_box(key.pkcs8_der().unwrap());
    began.elapsed()
}

/// Milliseconds of one key: by the module, by OpenSSL without its start, and the ratio of each round.
struct Measured {
    name: &'static str,
    module_ms: f64,
    openssl_ms: f64,
    ratios: Vec<f64>,
}

fn measure(kind: &Kind, start: f64) -> Measured {
    let (mut module_all, mut openssl_all) = (0.0, 0.0);
    let mut ratios = Vec::new();
    for _ in 0..ROUNDS {
        let (mut ours, mut theirs) = (0.0, 0.0);
        for _ in 0..kind.keys {
            ours += module(kind.kind).as_secs_f64();
            theirs += (openssl(&kind.openssl).as_secs_f64() - start).max(0.0);
        }
        ratios.push(ours / theirs.max(f64::MIN_POSITIVE));
        module_all += ours;
        openssl_all += theirs;
    }
    ratios.sort_by(f64::total_cmp);
    let keys = f64::from(kind.keys * ROUNDS);
    Measured {
        name: kind.name,
        module_ms: module_all * 1e3 / keys,
        openssl_ms: openssl_all * 1e3 / keys,
        ratios,
    }
}

fn main() {
    let arguments: Vec<_> = std::env::args().collect();
    if !arguments.iter().any(|argument| argument == "--bench") {
        println!("Measures only when `cargo bench` starts it (make bench).");
        return;
    }
    fips::start(Policy::STRICT).unwrap();
    let mut starts: Vec<_> = (0..40)
        .map(|_| openssl(&["-algorithm", "ED25519"]).as_secs_f64())
        .collect();
    starts.sort_by(f64::total_cmp);
    let start = starts.get(starts.len() / 2).copied().unwrap_or_default();
    let measured: Vec<_> = kinds().iter().map(|kind| measure(kind, start)).collect();
    let bounds = |ratios: &[f64]| {
        let at = |index: usize| ratios.get(index).copied().unwrap_or_default();
        (
            at(ratios.len() / 2),
            at(0),
            at(ratios.len().saturating_sub(1)),
        )
    };
    if arguments.iter().any(|argument| argument == "--json") {
        let kinds: Vec<_> = measured
            .iter()
            .map(|one| {
                let (median, min, max) = bounds(&one.ratios);
                serde_json::json!({
                    "kind": one.name, "moduleMs": one.module_ms, "opensslMs": one.openssl_ms,
                    "ratio": { "median": median, "min": min, "max": max },
                })
            })
            .collect();
        let line = serde_json::json!({ "opensslStartMs": start * 1e3, "keyGeneration": kinds });
        println!("{line}");
        return;
    }
    println!("one key made and encoded, on one thread, milliseconds (mean of {ROUNDS} rounds)");
    println!(
        "kind        module   openssl genpkey   module / openssl (median of rounds, lowest to highest)"
    );
    for one in &measured {
        let (median, min, max) = bounds(&one.ratios);
        println!(
            "{:<9} {:>8.2} {:>17.2}   {median:.2} ({min:.2} to {max:.2})",
            one.name, one.module_ms, one.openssl_ms
        );
    }
    println!(
        "taken off each of openssl's: {:.1} ms, a process with a key that costs next to nothing",
        start * 1e3
    );
}
