//! Whether the time that an answer takes says why it failed: decryptions that fail for different reasons, and ones that work, asked for
//! over the engine's socket in random order, and the removal of the padding alone.
//!
//! ```text
//! class             ciphertext                                   PFX            without the grid it would differ by
//! valid             OAEP of the right password                   opens          nothing follows it
//! wrong password    OAEP of another password                     does not open  a MAC is computed, and another one tried
//! bad padding       OAEP with another hash, under the same key   not asked      a second decryption, to see that the token is well
//! random            random bytes below the modulus               not asked      the same
//! ```
//!
//! For each pair of classes: Welch's t, over all times and over those below the 95th percentile; the rank-sum statistic of Mann and Whitney
//! as a normal deviate. Beyond 4.5 either way is what is usually taken for a difference. docs/timing.md says what was found.
#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    reason = "a program whose answer is its standard output"
)]

mod engine;
mod statistics;
mod unpadding;

use clap::Parser;
use engine::{Class, Ground};
use statistics::{Comparison, Samples};
use std::path::PathBuf;

pub(crate) type Fallible<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Times of failing and of valid requests, compared
#[derive(Debug, Clone, Parser)]
pub(crate) struct Args {
    /// Samples of each class
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u64).range(10..=10_000_000))]
    samples: u64,
    /// The grid, in milliseconds; shorter than the engine's own, so that so many samples are there today
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=1000))]
    grid_ms: u64,
    /// Requests under way at once, each over a connection of its own
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=16))]
    lanes: u8,
    /// Only the removal of the padding
    #[arg(long)]
    unpadding: bool,
    /// Only one of the two ways of `engine.oracle.release`
    #[arg(long, value_enum)]
    release: Option<Release>,
    /// Print one JSON line instead of the tables
    #[arg(long)]
    json: bool,
    /// What `cargo bench` says to every program that it starts
    #[arg(long, hide = true)]
    bench: bool,
}

/// Which answers wait for the grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Release {
    /// Those that failed.
    Failures,
    /// All.
    All,
}

impl Release {
    fn name(self) -> &'static str {
        match self {
            Self::Failures => "failures",
            Self::All => "all",
        }
    }
}

/// A folder that is removed at the end, however it comes.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// One of the three measurements.
struct Measured {
    name: &'static str,
    unit: &'static str,
    samples: Vec<(&'static str, Samples)>,
    /// Answers that missed the first multiple of the grid.
    late: Option<u64>,
}

fn main() -> Fallible<()> {
    let args = Args::parse();
    fips::start(fips::policy::Policy::OFF)?;
    let mut measured = vec![unpadding::measure(args.samples)?];
    if !args.unpadding {
        let failing = [Class::BadPadding, Class::Random, Class::WrongPassword];
        let all = [
            Class::Valid,
            Class::BadPadding,
            Class::Random,
            Class::WrongPassword,
        ];
        for (release, classes) in [(Release::Failures, &failing[..]), (Release::All, &all[..])] {
            if args.release.is_some_and(|only| only != release) {
                continue;
            }
            let folder = Folder(pfx_connector::cli::demo::temporary_folder()?);
            let ground = Ground::prepare(&args, folder.0.clone(), release.name())?;
            let (samples, late) = ground.measure(&args, classes)?;
            measured.push(Measured {
                name: match release {
                    Release::All => "engine, every answer on the grid (release = \"all\")",
                    Release::Failures => {
                        "engine, failing answers on the grid (release = \"failures\")"
                    }
                },
                unit: "us",
                samples,
                late: Some(late),
            });
        }
    }
    if args.json {
        println!("{}", json(&args, &measured));
    } else {
        measured.iter().for_each(print);
    }
    Ok(())
}

fn pairs(samples: &[(&'static str, Samples)]) -> Vec<(&'static str, &'static str, Comparison)> {
    let mut pairs = Vec::new();
    for (place, (one, first)) in samples.iter().enumerate() {
        for (other, second) in samples.iter().skip(place.saturating_add(1)) {
            pairs.push((*one, *other, Comparison::of(first, second)));
        }
    }
    pairs
}

fn print(measured: &Measured) {
    println!("{}", measured.name);
    let unit = measured.unit;
    for (name, samples) in &measured.samples {
        println!(
            "  {name:16} {:>8} samples   mean {:>10.3} {unit}   median {:>10.3} {unit}   99 % {:>10.3} {unit}",
            samples.len(),
            samples.mean(),
            samples.percentile(50),
            samples.percentile(99),
        );
    }
    for (one, other, comparison) in pairs(&measured.samples) {
        println!(
            "  {one} / {other}: t {:+.2}, below the 95th percentile {:+.2}, rank sum {:+.2}",
            comparison.welch_t, comparison.welch_t_cropped, comparison.rank_sum_z
        );
    }
    if let Some(late) = measured.late {
        println!("  {late} answers missed the first multiple of the grid");
    }
    println!();
}

fn json(args: &Args, measured: &[Measured]) -> serde_json::Value {
    let measured: Vec<_> = measured
        .iter()
        .map(|one| {
            let classes: Vec<_> = one
                .samples
                .iter()
                .map(|(name, samples)| {
                    serde_json::json!({
                        "class": name, "samples": samples.len(), "mean": samples.mean(),
                        "median": samples.percentile(50), "p99": samples.percentile(99),
                    })
                })
                .collect();
            let pairs: Vec<_> = pairs(&one.samples)
                .into_iter()
                .map(|(first, second, comparison)| {
                    serde_json::json!({ "pair": [first, second], "comparison": comparison })
                })
                .collect();
            serde_json::json!({
                "measured": one.name, "unit": one.unit, "classes": classes, "pairs": pairs, "lateAnswers": one.late,
            })
        })
        .collect();
    serde_json::json!({ "gridMs": args.grid_ms, "lanes": args.lanes, "measurements": measured })
}
