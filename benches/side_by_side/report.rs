//! The figures of one run, for programs and for people.

use super::neighbours::Neighbour;
use super::objects::Flatness;
use super::start_up::StartUp;
use super::statistics::{Percentiles, Spread};
use serde::Serialize;
use std::fmt;

/// Everything that one run measured.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Figures {
    pub(crate) version: &'static str,
    pub(crate) module_version: String,
    /// Of the engine.
    pub(crate) fips_mode: String,
    pub(crate) token: String,
    pub(crate) key_bits: u32,
    pub(crate) processors: usize,
    /// Load average before the first measurement: what else the machine was busy with.
    pub(crate) load_before: f64,
    pub(crate) rounds: usize,
    pub(crate) throughput: Vec<Throughput>,
    pub(crate) latency: Latency,
    pub(crate) processor: Vec<Processor>,
    pub(crate) memory: Vec<Memory>,
    pub(crate) neighbours: Vec<Neighbour>,
    pub(crate) flatness: Option<Flatness>,
    pub(crate) start_up: StartUp,
}

/// Requests per second with this many under way.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Throughput {
    pub(crate) in_flight: usize,
    pub(crate) bare: Spread,
    pub(crate) engine: Spread,
    pub(crate) engine_to_bare: Spread,
    /// With one password for all devices that are under way.
    pub(crate) engine_shared_to_engine: Spread,
    pub(crate) whole: Spread,
    pub(crate) whole_to_bare: Spread,
}

/// At half of the engine's capacity.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Latency {
    pub(crate) per_second: f64,
    pub(crate) threads: usize,
    pub(crate) bare: Percentiles,
    pub(crate) engine: Percentiles,
    pub(crate) added_p50_us: Spread,
    pub(crate) added_p99_us: Spread,
}

/// Processor time of one request in one process, in microseconds.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Processor {
    pub(crate) process: String,
    pub(crate) us_per_request: Spread,
}

/// Resident memory of one process.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Memory {
    pub(crate) process: String,
    pub(crate) idle_bytes: u64,
    pub(crate) loaded_bytes: u64,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "pfx-connector {}, {}, FIPS mode {}; {} with an RSA-{} key; {} processors, load {:.1} before; medians of {} rounds\n",
            self.version,
            self.module_version,
            self.fips_mode,
            self.token,
            self.key_bits,
            self.processors,
            self.load_before,
            self.rounds
        )?;
        writeln!(
            f,
            "Requests per second  in flight   bare loop    engine  of bare (range)       whole way  of bare (range)"
        )?;
        for row in &self.throughput {
            writeln!(
                f,
                "{:>30}{:>12}{:>10}  {:<20}{:>11}  {}",
                row.in_flight,
                row.bare,
                row.engine,
                row.engine_to_bare.percent(),
                row.whole,
                row.whole_to_bare.percent()
            )?;
        }
        writeln!(
            f,
            "\nThe engine with one ciphertext for all that is in flight, of the engine with one for each"
        )?;
        for row in &self.throughput {
            let ratio = row.engine_shared_to_engine.percent();
            writeln!(f, "{:>30}  {ratio}", row.in_flight)?;
        }
        let latency = &self.latency;
        writeln!(
            f,
            "\nLatency at {:.0} requests per second (half of the engine's capacity), microseconds\n\
             {:>30}{:>12}{:>10}{:>10}",
            latency.per_second, "", "raw call", "engine", "added"
        )?;
        for (name, bare, engine, added) in [
            (
                "p50",
                latency.bare.p50_us,
                latency.engine.p50_us,
                latency.added_p50_us,
            ),
            (
                "p99",
                latency.bare.p99_us,
                latency.engine.p99_us,
                latency.added_p99_us,
            ),
        ] {
            writeln!(f, "{name:>30}{bare:>12.0}{engine:>10.0}{added:>10}")?;
        }
        writeln!(f, "\nProcessor time of one request, microseconds")?;
        for row in &self.processor {
            writeln!(f, "{:>30}{:>12}", row.process, row.us_per_request)?;
        }
        writeln!(f, "\nResident memory, MiB               idle    loaded")?;
        for row in &self.memory {
            writeln!(
                f,
                "{:>30}{:>9}{:>10}",
                row.process,
                mebibytes(row.idle_bytes),
                mebibytes(row.loaded_bytes)
            )?;
        }
        if !self.neighbours.is_empty() {
            writeln!(
                f,
                "\nThe same in others' programs  workers  per second  engine at its best is   MiB  of the engine's"
            )?;
        }
        for row in &self.neighbours {
            writeln!(
                f,
                "{:>30}{:>7}{:>12}  {:<22}{:>7}  {:.1} times",
                row.name,
                row.workers,
                row.per_second,
                row.engine_to_it.percent(),
                mebibytes(row.resident_bytes),
                row.memory_to_engine
            )?;
        }
        if let Some(flatness) = &self.flatness {
            writeln!(f, "\n{flatness}")?;
        }
        let start = &self.start_up;
        writeln!(f, "\nStart-up, milliseconds")?;
        for (name, took) in [
            ("version", start.version_ms),
            ("engine to first answer", start.engine_ms),
            ("gateway until it listens", start.gateway_ms),
            ("connector until it answers", start.connector_ms),
        ] {
            writeln!(f, "{name:>30}{took:>12}")?;
        }
        Ok(())
    }
}

fn mebibytes(bytes: u64) -> String {
    let tenths = bytes.saturating_mul(10) / (1024 * 1024);
    format!("{}.{}", tenths / 10, tenths % 10)
}
