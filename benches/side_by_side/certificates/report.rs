//! The figures of certificates, for programs and for people.

use super::super::Fallible;
use super::super::statistics::{Percentiles, Spread};
use super::{KEYS, MANY, Sample, of_kind};
use pfx_connector::engine::api::keys::KeyType;
use serde::Serialize;
use std::fmt;

/// What is the same for all of a run.
pub(super) struct Run {
    pub(super) load_before: f64,
    pub(super) rounds: u8,
    pub(super) count: u32,
    pub(super) durable_us: Percentiles,
}

/// Everything that one run measured.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Figures {
    version: &'static str,
    processors: usize,
    /// Load average before the first measurement.
    load_before: f64,
    rounds: u8,
    /// With so many requests in hand at once where there are many.
    in_hand: usize,
    keys: Vec<Key>,
    /// Processor time of one certificate, by process.
    processor: Vec<Processor>,
    durable_write_us: Percentiles,
}

/// Certificates with one kind of key. Times in milliseconds.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Key {
    key: KeyType,
    /// Of them in each round.
    certificates: u64,
    per_second: Spread,
    /// One request after the other, from a queue.
    per_second_of_one: Spread,
    /// From the question to the result, with nothing else to do.
    single_p50_ms: Spread,
    single_p99_ms: Spread,
    /// One of those that come from a queue one after the other: all of it, and its parts.
    whole_ms: Spread,
    make_key_ms: Spread,
    issue_ms: Spread,
    pack_ms: Spread,
    /// What the engine does not do; not of RSA keys, whose times differ by more than that from one to the next.
    #[serde(skip_serializing_if = "Option::is_none")]
    rest_ms: Option<Spread>,
    /// Of `make_key_ms`: a key made and encoded in the module.
    module_ms: Spread,
    /// Of `issue_ms`: the authority's signature on the token.
    token_ms: Spread,
    /// Of `pack_ms`: the PFX written.
    write_ms: Spread,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Processor {
    key: KeyType,
    process: String,
    ms: Spread,
}

impl Figures {
    pub(super) fn of(samples: &[Sample], run: &Run) -> Fallible<Self> {
        Ok(Self {
            version: pfx_connector::VERSION,
            processors: std::thread::available_parallelism()?.get(),
            load_before: run.load_before,
            rounds: run.rounds,
            in_hand: MANY,
            keys: KEYS
                .into_iter()
                .map(|key| Key::of(samples, key, of_kind(key, u64::from(run.count))))
                .collect(),
            processor: KEYS
                .into_iter()
                .flat_map(|key| processor(samples, key))
                .collect(),
            durable_write_us: run.durable_us,
        })
    }
}

fn of_key(samples: &[Sample], key: KeyType) -> impl Iterator<Item = &Sample> {
    samples.iter().filter(move |one| one.key == key)
}

impl Key {
    fn of(samples: &[Sample], key: KeyType, certificates: u64) -> Self {
        let spread = |value: fn(&Sample) -> f64| Spread::of(of_key(samples, key).map(value));
        let ms = |value: fn(&Sample) -> f64| {
            Spread::of(of_key(samples, key).map(|one| value(one) / 1e3))
        };
        Self {
            key,
            certificates,
            per_second: spread(|one| one.many),
            per_second_of_one: spread(|one| one.one),
            single_p50_ms: ms(|one| one.single.p50_us),
            single_p99_ms: ms(|one| one.single.p99_us),
            whole_ms: ms(|one| 1e6 / one.one),
            make_key_ms: ms(|one| one.parts.make_us),
            issue_ms: ms(|one| one.parts.issue_us),
            pack_ms: ms(|one| one.parts.pack_us),
            rest_ms: (!key.is_rsa()).then(|| {
                ms(
                    |one| {
                        1e6 / one.one - one.parts.make_us - one.parts.issue_us - one.parts.pack_us
                    },
                )
            }),
            module_ms: ms(|one| one.parts.module_us),
            token_ms: ms(|one| one.parts.token_us),
            write_ms: ms(|one| one.parts.write_us),
        }
    }
}

fn processor(samples: &[Sample], key: KeyType) -> Vec<Processor> {
    let Some(first) = of_key(samples, key).next() else {
        return Vec::new();
    };
    let names = first.processor_us.iter().map(|(name, _)| name);
    names
        .map(|name| {
            let spent = of_key(samples, key).flat_map(|one| &one.processor_us);
            let same = spent.filter(|(process, _)| process == name);
            Processor {
                key,
                process: name.clone(),
                ms: Spread::of(same.map(|(_, us)| us / 1e3)),
            }
        })
        .collect()
}

/// Milliseconds with their spread: `36.1 (35.8 to 37.0)`.
fn with_range(spread: Spread) -> String {
    format!(
        "{:.1} ({:.1} to {:.1})",
        spread.median, spread.min, spread.max
    )
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "pfx-connector {}: certificates by an authority with a P-256 key on SoftHSM, sealed to an RSA-2048 key there, FIPS mode strict\n\
             but for what OpenSSL 3.0 needs to open the files; \
             {} processors, load {:.1} before; medians of {} rounds (range)\n",
            self.version, self.processors, self.load_before, self.rounds
        )?;
        writeln!(
            f,
            "From gateway to gateway{:>9}  {:<24}{:<24}{:<26}p99, ms",
            "of each",
            format!("per second, {} at once", self.in_hand),
            "one after the other",
            "one alone, ms: p50"
        )?;
        for row in &self.keys {
            writeln!(
                f,
                "{:>23}{:>9}  {:<24}{:<24}{:<26}{:.0}",
                row.key.name(),
                row.certificates,
                with_range(row.per_second),
                with_range(row.per_second_of_one),
                with_range(row.single_p50_ms),
                row.single_p99_ms.median
            )?;
        }
        writeln!(
            f,
            "\nOne of those that come one after the other, milliseconds\n{:>37}{}",
            "",
            self.columns(|row| row.key.name().to_owned())
        )?;
        type Value = fn(&Key) -> Option<Spread>;
        let parts: [(&str, Value); 8] = [
            ("all of it", |row| Some(row.whole_ms)),
            ("key and CSR, by the engine", |row| Some(row.make_key_ms)),
            ("of it the key, in the module", |row| Some(row.module_ms)),
            ("certificate, by the engine", |row| Some(row.issue_ms)),
            ("of it the signature, on the token", |row| {
                Some(row.token_ms)
            }),
            ("packing, by the engine", |row| Some(row.pack_ms)),
            ("of it a PFX (approved form)", |row| Some(row.write_ms)),
            ("what the engine does not do", |row| row.rest_ms),
        ];
        for (name, value) in parts {
            let columns = self.columns(|row| value(row).map_or_else(String::new, with_range));
            writeln!(f, "{name:>35}  {columns}")?;
        }
        writeln!(f, "\nProcessor time of one certificate, milliseconds")?;
        let mut processes: Vec<&str> = Vec::new();
        for row in &self.processor {
            if !processes.contains(&row.process.as_str()) {
                processes.push(&row.process);
            }
        }
        for process in processes {
            let columns = self.columns(|key| {
                let mut rows = self.processor.iter();
                let found = rows.find(|row| row.key == key.key && row.process == process);
                found.map_or_else(String::new, |row| with_range(row.ms))
            });
            writeln!(f, "{process:>35}  {columns}")?;
        }
        writeln!(
            f,
            "\nA page appended and durable on this disk, microseconds: p50 {:.0}, p99 {:.0}",
            self.durable_write_us.p50_us, self.durable_write_us.p99_us
        )
    }
}

impl Figures {
    fn columns(&self, text: impl Fn(&Key) -> String) -> String {
        let columns = self.keys.iter().map(|key| format!("{:<26}", text(key)));
        columns.collect::<String>().trim_end().to_owned()
    }
}
