//! Seeded fault scripts against custody in this process, on simulated time: no request is lost, none is answered wrongly, no
//! token is locked, and nobody has to restart anything.
//!
//! * `CHAOS_SCRIPTS=20000` plays more of them than the usual 2,000 (`make soak`), `CHAOS_FIRST` begins with another seed.
//! * `CHAOS_SEED=42` plays the script of one seed, `CHAOS_FILE=path` a script from a file, both in this very process.
//!
//! A script that fails is printed with its seed and the module's last calls. With one worker thread (every third seed) and one
//! caller at a time a script replays call by call; with more, as the threads meet.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing
)]

#[path = "chaos/generate.rs"]
mod generate;
#[path = "chaos/module.rs"]
mod module;
#[path = "chaos/play.rs"]
mod play;
#[path = "../examples/chaos_pkcs11/script.rs"]
mod script;
#[path = "chaos/service.rs"]
mod service;
mod support;

use std::ops::Range;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use generate::Stage;
use play::Table;
use script::Script;

const SCRIPTS: u64 = 2000;
/// In real time: no script waits for anything, so one that takes so long hangs.
const LIMIT: Duration = Duration::from_secs(60);

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is no number"))
    })
}

/// The scripts that are asked for by themselves.
fn single() -> Option<Script> {
    if let Some(path) = std::env::var_os("CHAOS_FILE") {
        let text = std::fs::read_to_string(path).expect("CHAOS_FILE can be read");
        return Some(script::parse(&text).expect("CHAOS_FILE holds a script"));
    }
    number("CHAOS_SEED").map(|seed| generate::script(seed, Stage::InProcess))
}

#[test]
fn every_request_survives_every_script() {
    if let Some(script) = single() {
        println!("{}", play_all(std::iter::once(script)));
        return;
    }
    let first = number("CHAOS_FIRST").unwrap_or(1);
    let count = number("CHAOS_SCRIPTS").unwrap_or(SCRIPTS);
    // A PKCS#11 module has one state per process, so that several processes are needed to use several cores.
    let parts = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    let children: Vec<_> = (0..parts)
        .map(|part| {
            let range = first + count * part / parts..first + count * (part + 1) / parts;
            let child = Command::new(std::env::current_exe().unwrap())
                .args([
                    "a_part_of_the_scripts",
                    "--exact",
                    "--ignored",
                    "--nocapture",
                ])
                .env("CHAOS_FIRST", range.start.to_string())
                .env("CHAOS_SCRIPTS", (range.end - range.start).to_string())
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            (range, child)
        })
        .collect();
    let mut failed = Vec::new();
    for (range, child) in children {
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        if output.status.success() {
            for line in text.lines().filter(|line| line.starts_with("played ")) {
                println!("{line}");
            }
        } else {
            println!("{text}\n{}", String::from_utf8_lossy(&output.stderr));
            failed.push((range, output.status));
        }
    }
    assert!(failed.is_empty(), "{failed:?}");
}

#[test]
#[ignore = "a part of the test above, which starts it"]
fn a_part_of_the_scripts() {
    let first = number("CHAOS_FIRST").unwrap_or(1);
    let range: Range<u64> = first..first + number("CHAOS_SCRIPTS").unwrap_or(SCRIPTS);
    println!(
        "{}",
        play_all(range.map(|seed| generate::script(seed, Stage::InProcess)))
    );
}

/// Plays scripts one after the other, and says how it went.
fn play_all(scripts: impl Iterator<Item = Script>) -> String {
    let table = Table::new();
    let stop = AtomicBool::new(false);
    let playing = AtomicU64::new(0);
    let mut played = 0;
    let mut failures = 0;
    std::thread::scope(|scope| {
        scope.spawn(|| service::watch(table.chaos, &stop));
        scope.spawn(|| end_if_stuck(&table, &playing, &stop));
        for script in scripts {
            playing.store(script.seed + 1, Ordering::Relaxed);
            if let Err(problem) = table.play(&script) {
                println!(
                    "FAILED: {problem}\n{script}{}replay: CHAOS_SEED={} cargo test -p hsm --test chaos\n",
                    table.chaos.report().text,
                    script.seed
                );
                failures += 1;
                if number("CHAOS_FAILURES").is_none_or(|limit| failures >= limit) {
                    break;
                }
            }
            played += 1;
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert_eq!(failures, 0, "scripts failed: see above");
    let mut recoveries = table.recoveries_ms.into_inner().unwrap();
    recoveries.sort_unstable();
    let percentile = |percent: usize| {
        recoveries
            .get((recoveries.len().saturating_sub(1)) * percent / 100)
            .copied()
            .unwrap_or_default()
    };
    let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let counts = &table.counts;
    format!(
        "played {played} scripts: {} requests, {} retries, {} openings, {} replacements after a call hung, {} restarts asked for; \
         recovery in simulated ms: p50 {}, p99 {}, at most {}",
        get(&counts.requests),
        get(&counts.retries),
        get(&counts.openings),
        get(&counts.replaced_after_hang),
        get(&counts.restarts_asked),
        percentile(50),
        percentile(99),
        percentile(100),
    )
}

/// Ends the process when a script does not end, and says which.
fn end_if_stuck(table: &Table, playing: &AtomicU64, stop: &AtomicBool) {
    let mut last = (0, Instant::now());
    while !stop.load(Ordering::Relaxed) {
        let now = playing.load(Ordering::Relaxed);
        if now != last.0 {
            last = (now, Instant::now());
        } else if last.1.elapsed() > LIMIT {
            let seed = now.saturating_sub(1);
            println!(
                "HANGS: seed {seed}\n{}{}",
                generate::script(seed, Stage::InProcess),
                table.chaos.report().text
            );
            std::process::exit(1);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
