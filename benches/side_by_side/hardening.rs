//! What the engine's hardening costs: the same engine with receipts and sandbox, without the one, without the other, and with neither, on one
//! token, over its socket and on the whole way from the gateway's queue back to it, in the same rounds.
//!
//! What cannot be turned off stays on in all of them: the budgets, the grid for failing answers, the rules of the verbs, the secrets' locked
//! memory, the processes of their own.

use super::engine_path::EnginePath;
use super::ground::Ground;
use super::processes::{Watched, load_average};
use super::statistics::{Spread, micros};
use super::whole_way::WholeWay;
use super::{Amount, Args, Fallible, configuration};
use pfx_connector::cli::demo::Running;
use serde::Serialize;
use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use toml::{Table, Value};

/// No round is begun after this time.
const TIME_LIMIT: Duration = Duration::from_secs(180);
/// Requests in flight on the engine's socket, and on the whole way, where 16 is the connector's usual number.
const ENGINE: [usize; 2] = [4, 8];
const WHOLE: [usize; 2] = [4, 16];

/// An engine, by what it has.
struct Variant {
    name: &'static str,
    receipts: bool,
    sandbox: bool,
}

const VARIANTS: [Variant; 4] = [
    Variant {
        name: "hardened",
        receipts: true,
        sandbox: true,
    },
    Variant {
        name: "without-receipts",
        receipts: false,
        sandbox: true,
    },
    Variant {
        name: "without-sandbox",
        receipts: true,
        sandbox: false,
    },
    Variant {
        name: "with-neither",
        receipts: false,
        sandbox: false,
    },
];

impl Variant {
    fn socket(&self) -> String {
        format!("run/{}.sock", self.name)
    }

    /// The engine's configuration, with a log of its own.
    fn change(&self, engine: &mut Table, socket: PathBuf, audit: PathBuf) -> Fallible<()> {
        let text = |path: PathBuf| Value::from(path.display().to_string());
        engine.insert("socket".to_owned(), text(socket));
        if !self.sandbox {
            engine.insert("sandbox".to_owned(), "off".into());
        }
        if self.receipts {
            let section = engine.get_mut("audit").and_then(Value::as_table_mut);
            let section = section.ok_or("no [engine.audit]")?;
            section.insert("folder".to_owned(), text(audit));
        } else {
            let exceptions = vec![Value::from("no-receipts")];
            engine.insert("exceptions".to_owned(), exceptions.into());
            engine.remove("audit");
        }
        Ok(())
    }
}

/// An engine that runs.
struct Engine {
    socket: String,
    running: Running,
    path: EnginePath,
    watched: Watched,
}

impl Engine {
    fn start(ground: &Ground, variant: &Variant) -> Fallible<Self> {
        let stack = &ground.stack;
        let (socket, file) = (variant.socket(), format!("{}.toml", variant.name));
        let audit = stack.path(&format!("audit-{}", variant.name));
        configuration::change(stack, &file, |engine| {
            variant.change(engine, stack.path(&socket), audit)
        })?;
        let config = stack.path(&file).display().to_string();
        let running = Running::start(
            variant.name,
            stack.program(),
            &["engine", "--config", &config],
            &stack.path(&format!("logs/{}.log", variant.name)),
        )?;
        let path = EnginePath::until_answered(ground, &socket)?;
        let watched = path.processes()?;
        Ok(Self {
            socket,
            running,
            path,
            watched,
        })
    }

    /// Processor time of all of its processes.
    fn processor(&self) -> Fallible<Duration> {
        let by_process = self.watched.processor()?;
        Ok(by_process.into_iter().map(|(_, spent)| spent).sum())
    }
}

/// Requests per second of every variant, in one round.
struct Sample {
    way: &'static str,
    in_flight: usize,
    per_second: Vec<f64>,
    processor_us: Vec<f64>,
}

/// A way with so many requests in flight.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    way: &'static str,
    in_flight: usize,
    /// With everything on, as everywhere here.
    per_second: Spread,
    to_without_receipts: Spread,
    to_without_sandbox: Spread,
    to_with_neither: Spread,
    /// The engine's processor time of a request, microseconds.
    processor_us: Spread,
    /// The same in the order of the ratios.
    processor_us_without: [Spread; 3],
}

/// What one run measured.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Hardening {
    version: &'static str,
    fips_mode: String,
    token: &'static str,
    key_bits: u32,
    processors: usize,
    load_before: f64,
    rounds: usize,
    rows: Vec<Row>,
}

/// Measures it. The rounds begin with another variant each, so that none is always the one after a pause.
pub(crate) fn measure(args: &Args, folder: PathBuf) -> Fallible<Hardening> {
    eprintln!("Preparing token, keys and certificates ...");
    let ground = Ground::prepare(args, folder)?;
    let load_before = load_average()?;
    let gateway = ground.stack.start_gateway()?;
    ground.stack.enrol()?;
    let mut way = WholeWay::new(&ground)?;
    let engines = VARIANTS
        .iter()
        .map(|variant| Engine::start(&ground, variant))
        .collect::<Fallible<Vec<_>>>()?;

    let amount = Amount::of(args.bits);
    let mut samples = Vec::new();
    let until = Instant::now() + TIME_LIMIT;
    let mut rounds = 0;
    while rounds < usize::from(args.rounds) && Instant::now() < until {
        eprintln!("Round {} of {} ...", rounds + 1, args.rounds);
        for in_flight in ENGINE {
            samples.push(sample(
                "engine",
                &engines,
                rounds,
                in_flight,
                amount.operations,
                |engine| engine.path.throughput(in_flight, amount.operations),
            )?);
        }
        for in_flight in WHOLE {
            let deliveries = amount.deliveries.saturating_mul(2);
            samples.push(sample(
                "whole way",
                &engines,
                rounds,
                in_flight,
                deliveries,
                |engine| {
                    let round = way.round(
                        &ground,
                        gateway.pid(),
                        &engine.socket,
                        in_flight,
                        deliveries,
                    )?;
                    Ok(round.per_second)
                },
            )?);
        }
        rounds += 1;
    }
    for engine in engines {
        drop(engine.path);
        engine.running.stop()?;
    }
    gateway.stop()?;
    Ok(Hardening {
        version: pfx_connector::VERSION,
        fips_mode: args.fips.clone(),
        token: ground.stack.token.name(),
        key_bits: args.bits,
        processors: std::thread::available_parallelism()?.get(),
        load_before,
        rounds,
        rows: rows(&samples),
    })
}

#[expect(clippy::cast_precision_loss, reason = "some thousands of requests")]
fn sample(
    way: &'static str,
    engines: &[Engine],
    first: usize,
    in_flight: usize,
    requests: usize,
    mut rate: impl FnMut(&Engine) -> Fallible<f64>,
) -> Fallible<Sample> {
    let mut per_second = vec![0.0; engines.len()];
    let mut processor_us = per_second.clone();
    let turn = engines
        .iter()
        .enumerate()
        .cycle()
        .skip(first % engines.len().max(1));
    for (at, engine) in turn.take(engines.len()) {
        let before = engine.processor()?;
        let measured = rate(engine)?;
        let spent = engine.processor()?.saturating_sub(before);
        if let (Some(rate), Some(processor)) = (per_second.get_mut(at), processor_us.get_mut(at)) {
            *rate = measured;
            *processor = micros(spent) / requests as f64;
        }
    }
    Ok(Sample {
        way,
        in_flight,
        per_second,
        processor_us,
    })
}

fn rows(samples: &[Sample]) -> Vec<Row> {
    let kinds = ENGINE
        .map(|in_flight| ("engine", in_flight))
        .into_iter()
        .chain(WHOLE.map(|in_flight| ("whole way", in_flight)));
    kinds
        .map(|(way, in_flight)| {
            let of = |value: &dyn Fn(&Sample) -> f64| {
                let same = samples
                    .iter()
                    .filter(|one| one.way == way && one.in_flight == in_flight);
                Spread::of(same.map(value))
            };
            let at = |values: &[f64], at: usize| values.get(at).copied().unwrap_or(f64::NAN);
            let ratio =
                |other: usize| of(&|one| at(&one.per_second, 0) / at(&one.per_second, other));
            let processor = |which: usize| of(&|one| at(&one.processor_us, which));
            Row {
                way,
                in_flight,
                per_second: of(&|one| at(&one.per_second, 0)),
                to_without_receipts: ratio(1),
                to_without_sandbox: ratio(2),
                to_with_neither: ratio(3),
                processor_us: processor(0),
                processor_us_without: [processor(1), processor(2), processor(3)],
            }
        })
        .collect()
}

impl fmt::Display for Hardening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "pfx-connector {}, FIPS mode {}; {} with an RSA-{} key; {} processors, load {:.1} before; medians of {} rounds\n",
            self.version,
            self.fips_mode,
            self.token,
            self.key_bits,
            self.processors,
            self.load_before,
            self.rounds
        )?;
        writeln!(
            f,
            "The engine with everything on, of the same engine\n\
             {:>12}{:>11}{:>12}  {:<22}{:<22}with neither",
            "way", "in flight", "per second", "without receipts", "without sandbox"
        )?;
        for row in &self.rows {
            writeln!(
                f,
                "{:>12}{:>11}{:>12}  {:<22}{:<22}{}",
                row.way,
                row.in_flight,
                row.per_second,
                row.to_without_receipts.percent(),
                row.to_without_sandbox.percent(),
                row.to_with_neither.percent()
            )?;
        }
        writeln!(
            f,
            "\nProcessor time of all the engine's processes for one request, microseconds\n\
             {:>12}{:>11}{:>12}  {:<22}{:<22}with neither",
            "way", "in flight", "all on", "without receipts", "without sandbox"
        )?;
        for row in &self.rows {
            let [receipts, sandbox, neither] = row.processor_us_without;
            writeln!(
                f,
                "{:>12}{:>11}{:>12}  {receipts:<22}{sandbox:<22}{neither}",
                row.way, row.in_flight, row.processor_us
            )?;
        }
        Ok(())
    }
}
