//! How long the module takes to make a key, beside OpenSSL, in one run: a key of the one, a key of the other, and so on in turn, so that
//! whatever else the machine does falls on all.
//!
//! OpenSSL is measured twice: as `openssl genpkey`, a process for each key, and in one process that makes them all (`openssl_loop.py`: the same
//! library by ctypes), which is what compares with the module. How long the process of `genpkey` takes by itself is measured with a key that
//! costs next to nothing (Ed25519) and shown apart. All make the key, test it as they do (the module signs and verifies with each: FIPS 140-3,
//! pairwise consistency) and encode it as PKCS#8.
//!
//! The search for primes takes another time for each RSA key: what is compared are means, and with each ratio stands its standard error.
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
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// A kind of key: what the module calls it, how OpenSSL does, and how many are made in a round.
struct Kind {
    kind: KeyKind,
    algorithm: &'static str,
    parameter: &'static str,
    option: &'static str,
    keys: u32,
}

const ROUNDS: u32 = 6;
/// No round is begun after this time.
const TIME_LIMIT: Duration = Duration::from_secs(150);
/// Processes of OpenSSL in each round that make a key for next to nothing.
const STARTS: usize = 10;

fn kinds() -> [Kind; 6] {
    let rsa = |bits, parameter, keys| Kind {
        kind: KeyKind::Rsa(bits),
        algorithm: "RSA",
        parameter,
        option: "rsa_keygen_bits",
        keys,
    };
    let ec = |kind, parameter| Kind {
        kind,
        algorithm: "EC",
        parameter,
        option: "ec_paramgen_curve",
        keys: 20,
    };
    [
        rsa(2048, "2048", 20),
        rsa(3072, "3072", 10),
        rsa(4096, "4096", 6),
        ec(KeyKind::EcP256, "P-256"),
        ec(KeyKind::EcP384, "P-384"),
        ec(KeyKind::EcP521, "P-521"),
    ]
}

impl Kind {
    fn name(&self) -> String {
        format!("{} {}", self.algorithm, self.parameter)
    }

    fn module(&self) -> f64 {
        let began = Instant::now();
        let key = SigningKey::generate(self.kind).unwrap();
        black_box(key.pkcs8_der().unwrap());
        began.elapsed().as_secs_f64()
    }

    fn genpkey(&self) -> f64 {
        let option = format!("{}:{}", self.option, self.parameter);
        genpkey(&["-algorithm", self.algorithm, "-pkeyopt", &option])
    }
}

fn genpkey(arguments: &[&str]) -> f64 {
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
    began.elapsed().as_secs_f64()
}

/// OpenSSL in one process.
struct Loop {
    process: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
    version: String,
}

impl Loop {
    fn start() -> Self {
        let mut process = Command::new("python3")
            .args(["-c", include_str!("openssl_loop.py")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this bench needs the program `python3`");
        let questions = process.stdin.take().unwrap();
        let answers = BufReader::new(process.stdout.take().unwrap());
        let mut started = Self {
            process,
            questions,
            answers,
            version: String::new(),
        };
        started.version = started.line();
        started
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        assert!(!line.is_empty(), "OpenSSL in Python ended: see above");
        line.trim().to_owned()
    }

    fn make(&mut self, kind: &Kind) -> f64 {
        writeln!(self.questions, "{}", kind.name()).unwrap();
        self.line().parse().unwrap()
    }

    fn stop(mut self) -> String {
        drop(self.questions);
        self.process.wait().unwrap();
        self.version
    }
}

/// Seconds of single keys.
#[derive(Default)]
struct Times(Vec<f64>);

impl Times {
    fn count(&self) -> f64 {
        f64::from(u32::try_from(self.0.len()).unwrap())
    }

    fn mean(&self) -> f64 {
        self.0.iter().sum::<f64>() / self.count()
    }

    /// Standard error of the mean.
    fn error(&self) -> f64 {
        let mean = self.mean();
        let squares = self.0.iter().map(|value| (value - mean).powi(2));
        let variance = squares.sum::<f64>() / (self.count() - 1.0).max(1.0);
        (variance / self.count()).sqrt()
    }

    fn mean_ms(&self) -> f64 {
        self.mean() * 1e3
    }

    /// This as a multiple of the other, and its standard error.
    fn ratio(&self, other: &Self) -> (f64, f64) {
        let ratio = self.mean() / other.mean();
        let relative = (self.error() / self.mean()).hypot(other.error() / other.mean());
        (ratio, ratio * relative)
    }
}

struct Measured {
    kind: Kind,
    module: Times,
    genpkey: Times,
    one_process: Times,
}

fn main() {
    let arguments: Vec<_> = std::env::args().collect();
    if !arguments.iter().any(|argument| argument == "--bench") {
        println!("Measures only when `cargo bench` starts it (make bench).");
        return;
    }
    fips::start(Policy::STRICT).unwrap();
    let mut openssl = Loop::start();
    let mut measured = kinds().map(|kind| Measured {
        kind,
        module: Times::default(),
        genpkey: Times::default(),
        one_process: Times::default(),
    });
    // What is only there once is there before the clock starts.
    for one in &measured {
        one.kind.module();
        openssl.make(&one.kind);
    }
    let mut start = Times::default();
    let until = Instant::now() + TIME_LIMIT;
    let mut rounds = 0;
    while rounds < ROUNDS && Instant::now() < until {
        eprintln!("Round {} of {ROUNDS} ...", rounds + 1);
        start
            .0
            .extend((0..STARTS).map(|_| genpkey(&["-algorithm", "ED25519"])));
        for one in &mut measured {
            for _ in 0..one.kind.keys {
                one.module.0.push(one.kind.module());
                one.one_process.0.push(openssl.make(&one.kind));
                one.genpkey.0.push(one.kind.genpkey());
            }
        }
        rounds += 1;
    }
    let version = openssl.stop();
    if arguments.iter().any(|argument| argument == "--json") {
        println!("{}", json(&measured, &start, &version));
    } else {
        print(&measured, &start, &version, rounds);
    }
}

fn json(measured: &[Measured], start: &Times, version: &str) -> serde_json::Value {
    let kinds: Vec<_> = measured
        .iter()
        .map(|one| {
            let (ratio, error) = one.module.ratio(&one.one_process);
            serde_json::json!({
                "kind": one.kind.name(), "keys": one.module.0.len(), "moduleMs": one.module.mean_ms(),
                "opensslMs": one.one_process.mean_ms(), "genpkeyMs": one.genpkey.mean_ms(),
                "moduleToOpenssl": { "ratio": ratio, "standardError": error },
            })
        })
        .collect();
    serde_json::json!({ "openssl": version, "genpkeyStartMs": start.mean_ms(), "keyGeneration": kinds })
}

fn print(measured: &[Measured], start: &Times, version: &str, rounds: u32) {
    println!(
        "One key made and encoded, on one thread: milliseconds, means of {rounds} rounds; {version}"
    );
    println!(
        "{:<10}{:>6}{:>10}{:>10}   {:<20}{:>16}{:>12}",
        "key", "keys", "module", "OpenSSL", "module / OpenSSL", "openssl genpkey", "less start"
    );
    for one in measured {
        let (ratio, error) = one.module.ratio(&one.one_process);
        println!(
            "{:<10}{:>6}{:>10.3}{:>10.3}   {:<20}{:>16.1}{:>12.1}",
            one.kind.name(),
            one.module.0.len(),
            one.module.mean_ms(),
            one.one_process.mean_ms(),
            format!("{ratio:.2} (+- {error:.2})"),
            one.genpkey.mean_ms(),
            one.genpkey.mean_ms() - start.mean_ms(),
        );
    }
    println!(
        "start of `openssl genpkey`, a process with a key that costs next to nothing: {:.1} ms (+- {:.1})",
        start.mean_ms(),
        start.error() * 1e3
    );
}
