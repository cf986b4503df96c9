//! How long a decryption takes, and how many at once the token gains from: seconds at most.

use super::probe::Teller;
use super::process::Step;
use super::words::of_error;
use crate::doctor::catalogue::{TOKEN_CONCURRENCY, TOKEN_DECRYPTION, TOKEN_ROUND_TRIP};
use crate::doctor::finding::Finding;
use fips::policy::Service;
use fips::rsa::PublicKey;
use fips::secret::SecretBytes;
use hsm::{Custody, Error, KeyInfo, Padding};
use serde_json::json;
use std::io::Write;
use std::time::{Duration, Instant};

/// What is decrypted again and again: known, so that a wrong answer is seen.
const MESSAGE: &[u8; 16] = b"doctor's canary.";
/// Decryptions that are timed one after the other, at most.
const MOST_TIMED: usize = 200;
/// How long they may take in all; one more may be running then.
const TIMED: Duration = Duration::from_millis(1_500);
/// How long each number of decryptions at once is tried before it counts: custody gives the token as many as it can use, and finds
/// out how many.
const WARM_UP: Duration = Duration::from_millis(150);
/// How long it then counts.
const TRIED: Duration = Duration::from_millis(400);
/// A decryption that usually takes longer is worth a warning.
const SLOW: Duration = Duration::from_secs(1);
/// The number that is recommended is the smallest that reaches so much of the best rate, in per cent.
const GOOD_PERCENT: f64 = 95.0;
/// A last doubling that gained at least this factor may not have been the last that gains.
const STILL_GROWING: f64 = 1.2;

/// A canary: what is decrypted, and how.
struct Canary<'a> {
    custody: &'a dyn Custody,
    key: &'a KeyInfo,
    padding: Padding,
    ciphertext: Vec<u8>,
}

/// Says that nothing is measured.
pub(super) fn skipped(key: &str) -> Finding {
    TOKEN_ROUND_TRIP
        .note(
            key,
            "not measured: an engine is running, and the token's time is for its requests",
        )
        .remedy("`--only token` while the engine is stopped measures")
}

/// Measures with a usable key.
pub(super) fn run<W: Write>(
    section: &str,
    custody: &dyn Custody,
    key: &KeyInfo,
    threads: usize,
    teller: &mut Teller<W>,
) -> std::io::Result<()> {
    let canary = match canary(custody, key) {
        Ok(Some(canary)) => canary,
        Ok(None) => {
            return teller.tell(TOKEN_ROUND_TRIP.note(
                section,
                "not measured: neither the token nor the module may make a ciphertext to measure with",
            ));
        }
        Err(error) => return teller.tell(of_error(TOKEN_ROUND_TRIP, section, &error)),
    };
    match round_trip(&canary) {
        Ok(times) => teller.tell(judge_times(section, canary.padding, &times))?,
        Err(Wrong::Error(error)) => {
            return teller.tell(of_error(TOKEN_ROUND_TRIP, section, &error));
        }
        Err(Wrong::Answer) => {
            return teller.tell(
                TOKEN_DECRYPTION
                    .error(
                        section,
                        "a known ciphertext was decrypted to something else",
                    )
                    .code("wrong_answer")
                    .remedy("do not use this token: have it looked at"),
            );
        }
    }
    let mut rates = Vec::new();
    for at_once in steps(threads) {
        // Each is a step of its own: together they may take longer than a module that works may be silent.
        teller.step(Step::Measure)?;
        match rate(&canary, at_once) {
            Ok(rate) => rates.push((at_once, rate)),
            Err(Wrong::Error(error)) => {
                return teller.tell(of_error(TOKEN_CONCURRENCY, section, &error));
            }
            Err(Wrong::Answer) => {
                return teller.tell(
                    TOKEN_CONCURRENCY
                        .error(section, format!("with {at_once} at once a known ciphertext was decrypted to something else"))
                        .code("wrong_answer")
                        .remedy("`threads = 1`, and have the module looked at"),
                );
            }
        }
    }
    teller.tell(judge_rates(section, &rates))
}

/// A ciphertext of a padding that the token decrypts, made by the token where it does that; `None` where nobody may make one.
fn canary<'a>(custody: &'a dyn Custody, key: &'a KeyInfo) -> Result<Option<Canary<'a>>, Error> {
    let seen = custody.capabilities();
    let decrypts = || seen.native.iter().chain(&seen.software_unpadding).copied();
    let made = |padding, ciphertext| Canary {
        custody,
        key,
        padding,
        ciphertext,
    };
    if let Some(padding) = decrypts().find(|padding| seen.encrypt_native.contains(padding)) {
        let message = SecretBytes::from_slice(MESSAGE);
        let ciphertext = custody.encrypt(&key.spki_der, padding, &message)?;
        return Ok(Some(made(padding, ciphertext)));
    }
    if !fips::policy::in_force().allows(Service::RsaOaepEncrypt) {
        return Ok(None);
    }
    let Some(padding) = decrypts().next() else {
        return Ok(None);
    };
    let hash = padding.hash().ok_or(Error::PaddingNotSupported(padding))?;
    let ciphertext = PublicKey::from_spki(&key.spki_der)?.encrypt_oaep(hash, MESSAGE)?;
    Ok(Some(made(padding, ciphertext)))
}

enum Wrong {
    Error(Error),
    Answer,
}

impl Canary<'_> {
    fn decrypt(&self) -> Result<(), Wrong> {
        let message = self
            .custody
            .decrypt(&self.key.fingerprint, self.padding, &self.ciphertext)
            .map_err(Wrong::Error)?;
        if message.ct_eq(MESSAGE) {
            Ok(())
        } else {
            Err(Wrong::Answer)
        }
    }
}

/// Times, in the order of their length; at least one.
fn round_trip(canary: &Canary<'_>) -> Result<Vec<Duration>, Wrong> {
    // The first one may look the key up.
    canary.decrypt()?;
    let begin = Instant::now();
    let mut times = Vec::new();
    loop {
        let start = Instant::now();
        canary.decrypt()?;
        times.push(start.elapsed());
        if times.len() >= MOST_TIMED || begin.elapsed() >= TIMED {
            times.sort_unstable();
            return Ok(times);
        }
    }
}

/// The nearest rank (at least so many per cent are not longer).
fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or_default()
}

fn judge_times(section: &str, padding: Padding, times: &[Duration]) -> Finding {
    let (median, p99) = (percentile(times, 50), percentile(times, 99));
    let text = format!(
        "median {}, 99th percentile {} (decryptions: {}, {padding})",
        milliseconds(median),
        milliseconds(p99),
        times.len()
    );
    let found = if median > SLOW {
        TOKEN_ROUND_TRIP.warning(section, text)
    } else {
        TOKEN_ROUND_TRIP.ok(section, text)
    };
    found.facts(json!({
        "decryptions": times.len(),
        "padding": padding,
        "medianMicroseconds": microseconds(median),
        "p99Microseconds": microseconds(p99),
    }))
}

fn microseconds(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}

/// 1, 2, 4, ... and the configured number itself.
fn steps(threads: usize) -> Vec<usize> {
    let mut steps: Vec<usize> = std::iter::successors(Some(1_usize), |step| step.checked_mul(2))
        .take_while(|step| *step < threads)
        .collect();
    steps.push(threads.max(1));
    steps
}

/// Decryptions a second with so many callers at once. Custody has a session for each.
fn rate(canary: &Canary<'_>, at_once: usize) -> Result<f64, Wrong> {
    let counted_from = Instant::now() + WARM_UP;
    let counts: Vec<Result<u32, Wrong>> = std::thread::scope(|scope| {
        let callers: Vec<_> = (0..at_once)
            .map(|_| {
                scope.spawn(|| {
                    let mut count = 0;
                    while count == 0 || counted_from.elapsed() < TRIED {
                        canary.decrypt()?;
                        if Instant::now() >= counted_from {
                            count += 1;
                        }
                    }
                    Ok(count)
                })
            })
            .collect();
        callers
            .into_iter()
            .map(|caller| {
                caller
                    .join()
                    .unwrap_or(Err(Wrong::Error(Error::Internal("a caller panicked"))))
            })
            .collect()
    });
    let mut all = 0_u32;
    for count in counts {
        all = all.saturating_add(count?);
    }
    // Not zero: each caller counts until TRIED is over.
    Ok(f64::from(all) / counted_from.elapsed().max(TRIED).as_secs_f64())
}

/// What is said of rates (decryptions a second) by the number at once; the last one is the configured number.
fn judge_rates(section: &str, rates: &[(usize, f64)]) -> Finding {
    let best = rates.iter().map(|(_, rate)| *rate).fold(0.0, f64::max);
    let enough = rates
        .iter()
        .find(|(_, rate)| *rate * 100.0 >= best * GOOD_PERCENT);
    let (Some((recommended, _)), Some((configured, last))) = (enough, rates.last()) else {
        return TOKEN_CONCURRENCY.note(section, "nothing was measured");
    };
    let shown: Vec<String> = rates
        .iter()
        .map(|(at_once, rate)| format!("{at_once}: {rate:.0}/s"))
        .collect();
    let shown = shown.join(", ");
    let before = rates.iter().rev().nth(1).map(|(_, rate)| *rate);
    let growing = before.is_some_and(|before| *last >= before * STILL_GROWING);
    let found = if recommended < configured {
        TOKEN_CONCURRENCY
            .note(
                section,
                format!("{shown}; more than {recommended} at once gain nothing here now"),
            )
            .remedy(format!(
                "`threads = {recommended}` is enough; {configured} do no harm"
            ))
    } else if growing {
        TOKEN_CONCURRENCY
            .note(
                section,
                format!("{shown}; it may gain from more than the configured {configured}"),
            )
            .remedy(format!(
                "try `threads = {}`",
                configured.saturating_mul(2).min(64)
            ))
    } else {
        TOKEN_CONCURRENCY.ok(
            section,
            format!("{shown}; `threads = {configured}` is right"),
        )
    };
    let rates: Vec<_> = rates
        .iter()
        .map(|(at_once, rate)| json!({"atOnce": at_once, "perSecond": rate.round()}))
        .collect();
    found.facts(json!({"configured": configured, "recommended": recommended, "rates": rates}))
}

#[cfg(test)]
mod tests {
    #![allow(missing_docs)]
    use super::*;
    use crate::doctor::finding::Severity;

    #[test]
    fn the_numbers_tried_double_up_to_the_configured_one() {
        assert_eq!(steps(1), [1]);
        assert_eq!(steps(4), [1, 2, 4]);
        assert_eq!(steps(6), [1, 2, 4, 6]);
        assert_eq!(steps(0), [1]);
    }

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let times: Vec<_> = (1..=200).map(Duration::from_millis).collect();
        assert_eq!(percentile(&times, 50), Duration::from_millis(100));
        assert_eq!(percentile(&times, 99), Duration::from_millis(198));
        let one = [Duration::from_millis(7)];
        assert_eq!(percentile(&one, 99), one[0]);
        assert_eq!(percentile(&[], 50), Duration::ZERO);
    }

    #[test]
    fn the_smallest_number_that_reaches_the_best_rate_is_recommended() {
        let judged = |rates: &[(usize, f64)]| {
            let found = judge_rates("", rates);
            (
                found.severity,
                found
                    .facts
                    .pointer("/recommended")
                    .and_then(serde_json::Value::as_u64),
            )
        };
        assert_eq!(
            judged(&[(1, 100.0), (2, 190.0), (4, 192.0)]),
            (Severity::Note, Some(2))
        );
        assert_eq!(
            judged(&[(1, 100.0), (2, 190.0), (4, 380.0)]),
            (Severity::Note, Some(4))
        );
        assert_eq!(
            judged(&[(1, 100.0), (2, 190.0), (3, 205.0)]),
            (Severity::Ok, Some(3))
        );
        assert_eq!(judged(&[(1, 100.0)]), (Severity::Ok, Some(1)));
    }

    #[test]
    fn a_slow_token_is_a_warning() {
        let judged = |ms| judge_times("", Padding::OaepSha1, &[Duration::from_millis(ms)]).severity;
        assert_eq!(judged(3), Severity::Ok);
        assert_eq!(judged(1_500), Severity::Warning);
    }
}
