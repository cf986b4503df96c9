//! Side by side, in one run on one token: a bare loop of the PKCS#11 calls, the engine over its unix socket, and the whole way from
//! the gateway's queue back to it.
//!
//! ```text
//! (a) bare loop ------------------------------------------> C_DecryptInit, C_Decrypt; in strict mode C_EncryptInit, C_Encrypt
//! (b) this program -> engine (supervisor, formats, custody) -> the same
//! (c) gateway -> connector -> engine ------------------------> the same, and back
//! ```
//!
//! Rounds alternate between the three, so that whatever else the machine does falls on all of them; what counts is the ratio within a
//! round. docs/performance.md has the figures and what they mean.
#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    reason = "a program whose answer is its standard output"
)]

mod bare;
mod built;
mod certificates;
mod configuration;
mod device_side;
mod engine_path;
mod ground;
mod hardening;
mod neighbours;
mod objects;
mod processes;
mod report;
mod start_up;
mod statistics;
mod whole_way;

use bare::{BareFigures, BareLoop};
use clap::Parser;
use ground::Ground;
use neighbours::Neighbours;
use objects::Flatness;
use pfx_connector::cli::demo::TokenKind;
use processes::Watched;
use report::{Figures, Latency, Memory, Processor, Throughput};
use serde::Serialize;
use start_up::Started;
use statistics::{Percentiles, Spread, micros};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use whole_way::WholeWay;

pub(crate) type Fallible<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Bare loop, engine and whole way on one software token
#[derive(Debug, Clone, Parser)]
pub(crate) struct Args {
    /// Print one JSON line instead of the table
    #[arg(long)]
    json: bool,
    /// Size of the custody key in bits
    #[arg(long, default_value_t = 2048, value_parser = clap::value_parser!(u32).range(2048..=4096))]
    bits: u32,
    /// Rounds at most; fewer when the time is up
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(1..=20))]
    rounds: u8,
    /// FIPS mode of the engine: in strict mode the token encrypts to the device, else the module does
    #[arg(long, default_value = "strict", value_parser = ["strict", "off"])]
    fips: String,
    /// Also measure the same job in Python (python-pkcs11) and Java (SunPKCS11): needs python3, javac and the network once
    #[arg(long)]
    neighbours: bool,
    /// Also measure with this many other objects on the token, against the token without them
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    objects: Option<u32>,
    /// The token: SoftHSM, or Kryoptic (`make kryoptic` first)
    #[arg(long, value_enum, default_value_t = TokenKind::Softhsm)]
    token: TokenKind,
    /// Put the token this far away, in microseconds for each C_Decrypt and C_Encrypt: an HSM behind a network works on processors of its own
    #[arg(long, value_name = "US", value_parser = clap::value_parser!(u32).range(1..=100_000), conflicts_with = "token")]
    distance_us: Option<u32>,
    /// How many calls the distant token works on at once
    #[arg(long, value_name = "COUNT", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=16))]
    at_once: u8,
    /// Measure something else: the engine with receipts and sandbox against the same without them, alone and on the whole way
    #[arg(long, conflicts_with_all = ["objects", "neighbours", "certificates"])]
    hardening: bool,
    /// Measure something else: so many certificates on request, by an authority on the token, for each kind of key, and where the time goes
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=2_000), conflicts_with_all = ["objects", "neighbours", "distance_us", "token"])]
    certificates: Option<u32>,
    /// What `cargo bench` says to every program that it starts
    #[arg(long, hide = true)]
    bench: bool,
}

/// No round is begun after this time.
const TIME_LIMIT: Duration = Duration::from_secs(120);
const THREADS: [usize; 6] = [1, 2, 3, 4, 8, 16];
/// Threads of the measurement of latency.
const LATENCY_THREADS: usize = 4;

/// How much is done in one measurement: a fixed number, smaller for larger keys.
struct Amount {
    operations: usize,
    deliveries: usize,
}

impl Amount {
    fn of(bits: u32) -> Self {
        let (operations, deliveries) = match bits {
            0..=2048 => (1200, 300),
            2049..=3072 => (400, 150),
            _ => (200, 100),
        };
        Self {
            operations,
            deliveries,
        }
    }
}

/// A folder that is removed at the end, however it comes.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left of it is in the system's temporary folder.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What one round measured with one number of requests in flight.
struct Sample {
    in_flight: usize,
    bare: BareFigures,
    engine: f64,
    /// The same with one ciphertext for all.
    engine_shared: f64,
    whole: f64,
    /// Processor time per request in (b), by process.
    around: Vec<(String, f64)>,
    /// Processor time per request in (c) of what (b) does not have.
    beyond: Vec<(String, f64)>,
    connector_bytes: u64,
}

fn main() -> Fallible<()> {
    let args = Args::parse();
    if !args.bench {
        println!("Measures only when `cargo bench` starts it (make bench).");
        return Ok(());
    }
    if let Some(count) = args.certificates {
        fips::start(fips::policy::Policy::STRICT)?;
        return print(&args, &certificates::measure(&args, count)?);
    }
    fips::start(fips::policy::Policy::OFF)?;
    let folder = Folder(pfx_connector::cli::demo::temporary_folder()?);
    if args.hardening {
        return print(&args, &hardening::measure(&args, folder.0.clone())?);
    }
    print(&args, &measure(&args, &folder)?)
}

fn print(args: &Args, figures: &(impl Serialize + fmt::Display)) -> Fallible<()> {
    if args.json {
        println!("{}", serde_json::to_string(figures)?);
    } else {
        println!("{figures}");
    }
    Ok(())
}

fn measure(args: &Args, folder: &Folder) -> Fallible<Figures> {
    let bare = BareLoop::build()?;
    eprintln!("Preparing token, keys and certificates ...");
    let ground = Ground::prepare(args, folder.0.clone())?;
    let load_before = processes::load_average()?;
    eprintln!("Starting each process a few times ...");
    let started = start_up::measure(&ground)?;
    let mut way = WholeWay::new(&ground)?;
    let idle = memory(&started)?;

    let amount = Amount::of(args.bits);
    let mut neighbours = args
        .neighbours
        .then(|| Neighbours::prepare(&ground, amount.operations))
        .transpose()?;
    let mut samples = Vec::new();
    let mut latencies = Vec::new();
    let until = Instant::now() + TIME_LIMIT;
    let mut rounds = 0;
    for round in 1..=args.rounds {
        if Instant::now() >= until {
            break;
        }
        eprintln!("Round {round} of {} ...", args.rounds);
        for in_flight in THREADS {
            samples.push(sample(
                &bare, &ground, &started, &mut way, in_flight, &amount,
            )?);
        }
        let rate = half_load(&samples);
        let raw = bare.run(&ground, LATENCY_THREADS, amount.operations, Some(rate))?;
        let engine = started
            .path
            .latency(LATENCY_THREADS, amount.operations, rate)?;
        latencies.push((rate, raw, engine));
        if let Some(neighbours) = &mut neighbours {
            neighbours.round(&ground, best_of_round(&samples))?;
        }
        rounds += 1;
    }

    let loaded = memory(&started)?;
    let engine_bytes = started.path.processes()?.memory()?;
    let engine_bytes = engine_bytes.into_iter().map(|(_, bytes)| bytes).sum();
    let flatness = args
        .objects
        .map(|count| Flatness::measure(count, &bare, &ground, &started.path, &amount))
        .transpose()?;
    let figures = Figures {
        version: pfx_connector::VERSION,
        fips_mode: args.fips.clone(),
        module_version: fips::start(fips::policy::Policy::OFF)?.version().to_owned(),
        token: match args.distance_us {
            Some(distance) => format!(
                "{} behind {distance} us, {} at once",
                ground.stack.token.name(),
                args.at_once
            ),
            None => ground.stack.token.name().to_owned(),
        },
        key_bits: args.bits,
        processors: std::thread::available_parallelism()?.get(),
        load_before,
        rounds,
        throughput: throughput(&samples),
        latency: latency(&latencies),
        processor: processor(&samples),
        memory: memories(&started, idle, &loaded, &samples),
        neighbours: neighbours
            .map(|all| all.figures(engine_bytes))
            .unwrap_or_default(),
        flatness,
        start_up: started.figures,
    };
    drop(started.path);
    started.engine.stop()?;
    started.gateway.stop()?;
    Ok(figures)
}

#[expect(clippy::cast_precision_loss, reason = "some thousands of requests")]
fn sample(
    bare: &BareLoop,
    ground: &Ground,
    started: &Started,
    way: &mut WholeWay,
    in_flight: usize,
    amount: &Amount,
) -> Fallible<Sample> {
    let raw = bare.run(ground, in_flight, amount.operations, None)?;

    let mut watched = started.path.processes()?;
    watched.add("client", std::process::id());
    let before = watched.processor()?;
    let engine = started.path.throughput(in_flight, amount.operations)?;
    let around = spent(&watched, &before, amount.operations)?;
    let engine_shared = started
        .path
        .throughput_of_one(in_flight, amount.operations)?;

    let whole = way.round(
        ground,
        started.gateway.pid(),
        start_up::SOCKET,
        in_flight,
        amount.deliveries,
    )?;
    let each = |spent: Duration| micros(spent) / amount.deliveries as f64;
    let beyond = vec![
        ("gateway".to_owned(), each(whole.gateway_processor)),
        ("connector".to_owned(), each(whole.connector_processor)),
    ];
    Ok(Sample {
        in_flight,
        bare: raw,
        engine,
        engine_shared,
        whole: whole.per_second,
        around,
        beyond,
        connector_bytes: whole.connector_bytes,
    })
}

#[expect(clippy::cast_precision_loss, reason = "some thousands of requests")]
fn spent(
    watched: &Watched,
    before: &[(String, Duration)],
    requests: usize,
) -> Fallible<Vec<(String, f64)>> {
    let after = watched.processor()?;
    Ok(after
        .into_iter()
        .zip(before)
        .map(|((name, after), (_, before))| {
            let each = micros(after.saturating_sub(*before)) / requests as f64;
            (name, each)
        })
        .collect())
}

/// What the engine did at best in the round that was measured last.
fn best_of_round(samples: &[Sample]) -> f64 {
    let last = samples.iter().rev().take(THREADS.len());
    last.map(|one| one.engine).fold(0.0, f64::max)
}

/// Half of what the engine did at best so far.
fn half_load(samples: &[Sample]) -> f64 {
    THREADS
        .iter()
        .map(|in_flight| {
            let same = samples.iter().filter(|one| one.in_flight == *in_flight);
            Spread::of(same.map(|one| one.engine)).median
        })
        .fold(0.0, f64::max)
        / 2.0
}

fn throughput(samples: &[Sample]) -> Vec<Throughput> {
    let row = |in_flight: usize| {
        let spread = |value: fn(&Sample) -> f64| {
            let same = samples.iter().filter(|one| one.in_flight == in_flight);
            Spread::of(same.map(value))
        };
        Throughput {
            in_flight,
            bare: spread(|one| one.bare.per_second),
            engine: spread(|one| one.engine),
            engine_to_bare: spread(|one| one.engine / one.bare.per_second),
            engine_shared_to_engine: spread(|one| one.engine_shared / one.engine),
            whole: spread(|one| one.whole),
            whole_to_bare: spread(|one| one.whole / one.bare.per_second),
        }
    };
    THREADS.into_iter().map(row).collect()
}

fn latency(rounds: &[(f64, BareFigures, Percentiles)]) -> Latency {
    let median = |value: fn(&(f64, BareFigures, Percentiles)) -> f64| {
        Spread::of(rounds.iter().map(value)).median
    };
    Latency {
        per_second: median(|(rate, _, _)| *rate),
        threads: LATENCY_THREADS,
        bare: Percentiles {
            p50_us: median(|(_, bare, _)| bare.p50_us),
            p99_us: median(|(_, bare, _)| bare.p99_us),
        },
        engine: Percentiles {
            p50_us: median(|(_, _, engine)| engine.p50_us),
            p99_us: median(|(_, _, engine)| engine.p99_us),
        },
        added_p50_us: Spread::of(
            rounds
                .iter()
                .map(|(_, bare, engine)| engine.p50_us - bare.p50_us),
        ),
        added_p99_us: Spread::of(
            rounds
                .iter()
                .map(|(_, bare, engine)| engine.p99_us - bare.p99_us),
        ),
    }
}

/// Over all samples: the processor time of a request hardly depends on how many are under way.
fn processor(samples: &[Sample]) -> Vec<Processor> {
    let mut by_process: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for sample in samples {
        by_process
            .entry("bare loop")
            .or_default()
            .push(sample.bare.processor_us);
        for (process, each) in sample.around.iter().chain(&sample.beyond) {
            by_process.entry(process).or_default().push(*each);
        }
    }
    by_process
        .into_iter()
        .map(|(process, values)| Processor {
            process: process.to_owned(),
            us_per_request: Spread::of(values),
        })
        .collect()
}

fn memory(started: &Started) -> Fallible<Vec<(String, u64)>> {
    let mut watched = started.path.processes()?;
    watched.add("gateway", started.gateway.pid());
    watched.memory()
}

fn memories(
    started: &Started,
    idle: Vec<(String, u64)>,
    loaded: &[(String, u64)],
    samples: &[Sample],
) -> Vec<Memory> {
    let mut rows: Vec<_> = idle
        .into_iter()
        .zip(loaded)
        .map(|((process, idle_bytes), (_, loaded_bytes))| Memory {
            process,
            idle_bytes,
            loaded_bytes: *loaded_bytes,
        })
        .collect();
    rows.push(Memory {
        process: "connector".to_owned(),
        idle_bytes: started.connector_idle_bytes,
        loaded_bytes: samples
            .iter()
            .map(|one| one.connector_bytes)
            .max()
            .unwrap_or_default(),
    });
    rows
}
