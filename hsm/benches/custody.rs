//! What custody costs by itself, and how soon it is well again.
//!
//! 1. Requests per second and processor time of a request on the module that answers at once (`examples/null_pkcs11.rs`), by the number
//!    of callers. The processor time is that of the whole process: callers, queue, workers.
//! 2. The time from the moment when a SoftHSM token's files are back until a caller who keeps asking has its first answer. They are moved
//!    away for long enough that custody has given up what it knew.
//!
//! 3. Encryptions on a SoftHSM token to one device key, which stays a session object, and to more keys in turn than a session keeps.
//!
//! `make bench` starts it; `--json` prints one line.
#![allow(
    clippy::print_stdout,
    reason = "a program whose answer is its standard output"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fips::policy::Policy;
use hsm::pin::PinSource;
use hsm::pkcs11::{Pkcs11Custody, TokenConfig};
use hsm::{Custody, ErrorClass, Padding, SecretBytes, Terms};
use support::{TestToken, encrypt, example, softhsm, write_pin};

type Fallible<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

const CALLERS: [usize; 4] = [1, 2, 4, 8];
/// Worker threads of the custody on the null token.
const THREADS: usize = 4;
const REQUESTS: usize = 40_000;
/// More than a session keeps as objects.
const OTHER_KEYS: usize = 80;
const ENCRYPTIONS: usize = 2_000;
const RECOVERIES: usize = 30;
/// How long the token's files are away: longer than anything is waited for by itself.
const AWAY: Duration = Duration::from_millis(300);
/// What a caller that keeps asking gives each request.
const PATIENCE: Duration = Duration::from_millis(500);
/// No recovery is waited for longer.
const GIVE_UP: Duration = Duration::from_secs(30);

fn main() -> Fallible<()> {
    let arguments: Vec<_> = std::env::args().collect();
    if !arguments.iter().any(|argument| argument == "--bench") {
        println!("Measures only when `cargo bench` starts it (make bench).");
        return Ok(());
    }
    // First: it sets the environment by which SoftHSM finds its token.
    let recovery = recovery()?;
    let kept = kept_keys()?;
    let rates = null_token()?;
    if arguments.iter().any(|argument| argument == "--json") {
        println!(
            "{}",
            serde_json::json!({ "nullToken": rates, "recovery": recovery, "deviceKeys": kept })
        );
        return Ok(());
    }
    println!("Custody on a token that answers at once, {THREADS} workers");
    println!(
        "{:>30}{:>14}{:>26}",
        "callers", "per second", "processor time each, us"
    );
    for row in &rates {
        println!(
            "{:>30}{:>14.0}{:>26.1}",
            row.callers, row.per_second, row.processor_us
        );
    }
    println!(
        "\nSoftHSM: from the token's return to the first answer, ms, of {}: p50 {:.0}, p99 {:.0}, longest {:.0}; custody opened anew: {}",
        recovery.times, recovery.p50_ms, recovery.p99_ms, recovery.longest_ms, recovery.opened_anew
    );
    println!(
        "\nSoftHSM: encryptions a second to one device key {:.0}, to {OTHER_KEYS} in turn {:.0}: {:.1} times",
        kept.one_key,
        kept.many_keys,
        kept.one_key / kept.many_keys
    );
    Ok(())
}

#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct Rate {
    callers: usize,
    per_second: f64,
    processor_us: f64,
}

/// Processor time of a thread (Linux: the first number of schedstat, in nanoseconds).
fn time_of(thread: &Path) -> Fallible<Duration> {
    let text = fs::read_to_string(thread.join("schedstat"))?;
    let first = text.split_whitespace().next().ok_or("schedstat is empty")?;
    Ok(Duration::from_nanos(first.parse()?))
}

/// Processor time of the threads that this process has.
fn processor_time() -> Fallible<Duration> {
    fs::read_dir("/proc/self/task")?
        .map(|task| time_of(&task?.path()))
        .sum()
}

#[expect(clippy::cast_precision_loss, reason = "some thousands of requests")]
fn null_token() -> Fallible<Vec<Rate>> {
    // The module cannot make ciphertexts for a key that does not decrypt: the token is probed by its own, as in strict mode.
    fips::start(Policy::OFF)?;
    let folder = tempfile::tempdir()?;
    let pin = folder.path().join("pin");
    write_pin(&pin, "any");
    let custody = Arc::new(Pkcs11Custody::open_probed_by_token(TokenConfig {
        token_label: Some("null".into()),
        threads: THREADS,
        ..TokenConfig::new(example("null_pkcs11"), PinSource::File(pin))
    })?);
    let key = custody.keys()?.first().ok_or("no key")?.fingerprint;
    CALLERS
        .into_iter()
        .map(|callers| {
            let each = REQUESTS / callers;
            let processor = processor_time()?;
            let started = Instant::now();
            let running: Vec<_> = (0..callers)
                .map(|_| {
                    let custody = Arc::clone(&custody);
                    std::thread::spawn(move || -> Fallible<Duration> {
                        for _ in 0..each {
                            custody.decrypt(&key, Padding::OaepSha256, &[1; 256])?;
                        }
                        // A thread that has ended is not among those of the process any more.
                        time_of(Path::new("/proc/thread-self"))
                    })
                })
                .collect();
            let mut spent = Duration::ZERO;
            for thread in running {
                spent += thread.join().map_err(|_| "a caller ended by a fault")??;
            }
            let elapsed = started.elapsed();
            spent += processor_time()?.saturating_sub(processor);
            let requests = (each * callers) as f64;
            Ok(Rate {
                callers,
                per_second: requests / elapsed.as_secs_f64(),
                processor_us: spent.as_secs_f64() * 1e6 / requests,
            })
        })
        .collect()
}

#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct Recovery {
    times: usize,
    p50_ms: f64,
    p99_ms: f64,
    longest_ms: f64,
    /// How often only a new custody, as a new process would have it, brought the token back.
    opened_anew: usize,
}

#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct KeptKeys {
    one_key: f64,
    many_keys: f64,
}

/// One caller, one session.
#[expect(clippy::cast_precision_loss, reason = "some thousands of encryptions")]
fn kept_keys() -> Fallible<KeptKeys> {
    let token = TestToken::new(softhsm());
    let (custody, key) = token.open_with_key();
    drop(custody);
    let custody = Pkcs11Custody::open(TokenConfig {
        threads: 1,
        ..token.config()
    })?;
    let keys = (0..OTHER_KEYS)
        .map(|_| {
            let pair = fips::rsa::PrivateKey::generate(2048)?;
            Ok(pair.public()?.spki_der().to_vec())
        })
        .collect::<Fallible<Vec<_>>>()?;
    let message = SecretBytes::from_slice(&[7; 32]);
    let rate = |keys: &[Vec<u8>]| -> Fallible<f64> {
        let started = Instant::now();
        for spki in keys.iter().cycle().take(ENCRYPTIONS) {
            custody.encrypt(spki, Padding::OaepSha1, &message)?;
        }
        Ok(ENCRYPTIONS as f64 / started.elapsed().as_secs_f64())
    };
    custody.encrypt(&key.spki_der, Padding::OaepSha1, &message)?;
    Ok(KeptKeys {
        one_key: rate(std::slice::from_ref(&key.spki_der))?,
        many_keys: rate(&keys)?,
    })
}

fn move_entries(from: &Path, to: &Path) -> Fallible<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        fs::rename(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}

fn recovery() -> Fallible<Recovery> {
    let module = softhsm();
    let token = TestToken::new(module);
    let (mut custody, key) = token.open_with_key();
    let ciphertext = encrypt(&key.spki_der, Padding::OaepSha1, b"message");
    let away = module.folder.with_extension("away");
    fs::create_dir(&away)?;
    let mut took = Vec::new();
    let mut opened_anew = 0;
    for _ in 0..RECOVERIES {
        move_entries(&module.folder, &away)?;
        let gone = Instant::now();
        while gone.elapsed() < AWAY {
            let _ = ask(&custody, &key.fingerprint, &ciphertext);
            std::thread::sleep(Duration::from_millis(5));
        }
        move_entries(&away, &module.folder)?;
        let back = Instant::now();
        while let Err(error) = ask(&custody, &key.fingerprint, &ciphertext) {
            if error.class() != ErrorClass::Token && error.class() != ErrorClass::Busy {
                return Err(error.into());
            }
            if back.elapsed() > GIVE_UP {
                return Err("the token is back, but custody does not find it".into());
            }
            if custody.health().needs_restart {
                drop(custody);
                custody = token.open();
                opened_anew += 1;
            }
        }
        took.push(back.elapsed());
    }
    fs::remove_dir(&away)?;
    took.sort_unstable();
    let at = |hundredths: usize| {
        let index = took.len().saturating_sub(1) * hundredths / 100;
        took.get(index).map_or(0.0, |time| time.as_secs_f64() * 1e3)
    };
    Ok(Recovery {
        times: took.len(),
        p50_ms: at(50),
        p99_ms: at(99),
        longest_ms: at(100),
        opened_anew,
    })
}

fn ask(
    custody: &Pkcs11Custody,
    key: &hsm::KeyFingerprint,
    ciphertext: &[u8],
) -> Result<(), hsm::Error> {
    custody
        .decrypt_on(key, Padding::OaepSha1, ciphertext, Terms::within(PATIENCE))
        .map(drop)
}
