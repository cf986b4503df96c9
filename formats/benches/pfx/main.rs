//! What reading and writing a PFX costs, next to the key derivation that nobody can save, and next to what people would use instead.
//!
//! 1. Opening and rewrapping (opening, and writing under another password) against the derivations alone, with the same parameters.
//! 2. Opening against `openssl pkcs12` and Python's `cryptography`, on the same files in the same rounds.
//! 3. Files per second over the corpus.
//! 4. The longest time for an input that is broken or hostile, 1 MiB at most, without derivation.
//!
//! `make bench` starts it; `--json` prints one line.
#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    reason = "a program whose answer is its standard output"
)]

mod corpus;
mod hostile;
#[path = "../../tests/corpus/manifest.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "shared with a test, which uses more of it"
)]
mod manifest;
mod neighbours;
mod sample;
#[path = "../../../benches/side_by_side/statistics.rs"]
#[allow(dead_code, reason = "shared with another bench, which uses more of it")]
mod statistics;

use fips::policy::Policy;
use formats::pfx::write::Form;
use sample::Sample;
use serde::Serialize;
use statistics::Spread;

type Fallible<T> = Result<T, Box<dyn std::error::Error>>;

const ROUNDS: usize = 7;
/// What OpenSSL writes by default, what this program does, and what NSS and GnuTLS do.
const ITERATIONS: [u32; 3] = [2_048, 100_000, 600_000];

/// Everything that was measured.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Figures {
    cost: Vec<Cost>,
    neighbours: Vec<neighbours::Comparison>,
    corpus: Option<corpus::Speed>,
    hostile: hostile::Longest,
}

/// What one kind of file takes, in milliseconds of processor time.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Cost {
    form: Form,
    iterations: u32,
    derivation_ms: Spread,
    open_ms: Spread,
    rewrap_ms: Spread,
    /// Derivation as a share of opening.
    open_share: Spread,
    /// Both derivations as a share of rewrapping.
    rewrap_share: Spread,
}

fn main() -> Fallible<()> {
    let arguments: Vec<_> = std::env::args().collect();
    if !arguments.iter().any(|argument| argument == "--bench") {
        println!("Measures only when `cargo bench` starts it (make bench).");
        return Ok(());
    }
    fips::start(Policy::OFF)?;
    let figures = Figures {
        cost: costs()?,
        neighbours: neighbours::compare()?,
        corpus: corpus::speed()?,
        hostile: hostile::longest()?,
    };
    if arguments.iter().any(|argument| argument == "--json") {
        println!("{}", serde_json::to_string(&figures)?);
    } else {
        print(&figures);
    }
    Ok(())
}

fn costs() -> Fallible<Vec<Cost>> {
    let mut all = Vec::new();
    for form in [Form::Approved, Form::Compatible] {
        for iterations in ITERATIONS {
            eprintln!("PFX: {form}, {iterations} iterations ...");
            let sample = Sample::new(form, iterations)?;
            let mut rounds = Vec::new();
            for _ in 0..ROUNDS {
                rounds.push([sample.derive()?, sample.open()?, sample.rewrap()?]);
            }
            let of = |value: fn(&[f64; 3]) -> f64| Spread::of(rounds.iter().map(value));
            all.push(Cost {
                form,
                iterations,
                derivation_ms: of(|[derive, _, _]| *derive),
                open_ms: of(|[_, open, _]| *open),
                rewrap_ms: of(|[_, _, rewrap]| *rewrap),
                open_share: of(|[derive, open, _]| derive / open),
                rewrap_share: of(|[derive, _, rewrap]| 2.0 * derive / rewrap),
            });
        }
    }
    Ok(all)
}

fn print(figures: &Figures) {
    println!(
        "PFX files: one key with its certificate and two more; milliseconds of processor time each"
    );
    println!(
        "{:>12}{:>12}{:>14}{:>12}{:>12}{:>24}{:>24}",
        "form", "iterations", "derivation", "open", "rewrap", "of open", "of rewrap"
    );
    for row in &figures.cost {
        println!(
            "{:>12}{:>12}{:>14.2}{:>12.2}{:>12.2}{:>24}{:>24}",
            row.form.name(),
            row.iterations,
            row.derivation_ms.median,
            row.open_ms.median,
            row.rewrap_ms.median,
            row.open_share.percent(),
            row.rewrap_share.percent()
        );
    }
    println!("\nOpening the same files, milliseconds by the clock each, and as a multiple of ours");
    for row in &figures.neighbours {
        println!(
            "{:>12}{:>12}{:>14.2}   {:<34}{:>8.2}   {:.2} times ({:.2} to {:.2})",
            row.form.name(),
            row.iterations,
            row.ours_ms.median,
            row.name,
            row.theirs_ms.median,
            row.theirs_to_ours.median,
            row.theirs_to_ours.min,
            row.theirs_to_ours.max
        );
    }
    match &figures.corpus {
        Some(speed) => println!(
            "\nCorpus: {} files that open, {:.0} per second; {:.0} per second but for those with over {} iterations ({})",
            speed.files,
            speed.per_second.median,
            speed.light_per_second.median,
            corpus::HEAVY,
            speed.heavy
        ),
        None => println!("\nCorpus: not there (set CORPORA_DIR)"),
    }
    println!(
        "\nBroken and hostile inputs, 1 MiB at most, without derivation: {} tried, longest {:.1} ms ({})",
        figures.hostile.inputs, figures.hostile.longest_ms, figures.hostile.which
    );
}
