//! The same job in what people would use instead: `benches/neighbours`, each a process of its own for each measurement.
//!
//! They do less than the engine: no importer's signature, no check of the device's chain, no separate processes, nothing durable.

use super::Fallible;
use super::ground::Ground;
use super::statistics::Spread;
use pfx_connector::cli::demo::KEY_LABEL;
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Threads of the one, processes of the other.
const WORKERS: [usize; 3] = [1, 2, 4];
const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/neighbours");

/// What a neighbour did, with the number of workers with which it did best.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Neighbour {
    pub(crate) name: &'static str,
    pub(crate) workers: usize,
    pub(crate) per_second: Spread,
    /// The engine at its best in the same round, as a multiple of it.
    pub(crate) engine_to_it: Spread,
    pub(crate) resident_bytes: u64,
    /// Its memory as a multiple of that of all the engine's processes.
    pub(crate) memory_to_engine: f64,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Measured {
    per_second: f64,
    resident_bytes: u64,
}

struct Sample {
    neighbour: usize,
    workers: usize,
    measured: Measured,
    engine_best: f64,
}

struct Program {
    name: &'static str,
    command: Vec<OsString>,
    workers_option: &'static str,
    /// Far fewer operations are as good, and an interpreter takes its time.
    operations: usize,
}

/// Those that can run on this machine.
pub(crate) struct Neighbours {
    programs: Vec<Program>,
    samples: Vec<Sample>,
    device: PathBuf,
    message: PathBuf,
}

fn run(command: &mut Command, what: &str) -> Fallible<Vec<u8>> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{what}: {error}"))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(format!("{what} failed: {said}").into())
}

impl Neighbours {
    /// Fetches and compiles what they need, and says which one cannot run here, and why.
    pub(crate) fn prepare(ground: &Ground, operations: usize) -> Fallible<Self> {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("neighbours");
        fs::create_dir_all(&folder)?;
        let mut programs = Vec::new();
        match python(&folder) {
            Ok(interpreter) => {
                let script = Path::new(SOURCES).join("custody_loop.py");
                add_certificate(ground, &interpreter, &script)?;
                programs.push(Program {
                    name: "Python (python-pkcs11)",
                    command: vec![interpreter.into(), script.into()],
                    workers_option: "--processes",
                    operations: operations / 4,
                });
                // Only then: Java sees a key beside which there is a certificate.
                match java(&folder) {
                    Ok(classes) => programs.push(Program {
                        name: "Java (SunPKCS11)",
                        command: [
                            "java".into(),
                            "-cp".into(),
                            classes.into(),
                            "CustodyLoop".into(),
                            "--slot-index".into(),
                            "0".into(),
                        ]
                        .into(),
                        workers_option: "--threads",
                        operations,
                    }),
                    Err(error) => eprintln!("Java is left out: {error}"),
                }
            }
            Err(error) => eprintln!("Python and Java are left out: {error}"),
        }
        let device = ground.stack.path("neighbours-device.der");
        fs::write(&device, &ground.device.certificate_der)?;
        Ok(Self {
            programs,
            samples: Vec::new(),
            device,
            message: ground.stack.path("neighbours-message.der"),
        })
    }

    /// One round of each. `engine_best`: requests per second of the engine in this round.
    pub(crate) fn round(&mut self, ground: &Ground, engine_best: f64) -> Fallible<()> {
        for (neighbour, program) in self.programs.iter().enumerate() {
            for workers in WORKERS {
                let (first, rest) = program.command.split_first().ok_or("no program")?;
                let mut command = Command::new(first);
                command
                    .args(rest)
                    .arg(program.workers_option)
                    .arg(workers.to_string())
                    .arg("--operations")
                    .arg(program.operations.to_string())
                    .arg("--message")
                    .arg(&self.message);
                let said = run(with_token(&mut command, ground, &self.device), program.name)?;
                self.samples.push(Sample {
                    neighbour,
                    workers,
                    measured: serde_json::from_slice(&said)?,
                    engine_best,
                });
                self.check_message(ground)?;
            }
        }
        Ok(())
    }

    /// A neighbour that did another job would be no comparison.
    fn check_message(&self, ground: &Ground) -> Fallible<()> {
        let opened = run(
            Command::new("openssl")
                .args(["cms", "-decrypt", "-binary", "-inform", "DER", "-in"])
                .arg(&self.message)
                .arg("-recip")
                .arg(&ground.device.certificate)
                .arg("-inkey")
                .arg(&ground.device.key),
            "openssl cms",
        )?;
        fs::remove_file(&self.message)?;
        let password = fs::read(&ground.person.password_file)?;
        if opened == password {
            Ok(())
        } else {
            Err("a neighbour's message does not hold the password".into())
        }
    }

    /// `engine_bytes`: memory of all the engine's processes.
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^53 bytes")]
    pub(crate) fn figures(&self, engine_bytes: u64) -> Vec<Neighbour> {
        let best = |(neighbour, program): (usize, &Program)| {
            let figure = |workers: usize| {
                let same = || {
                    self.samples
                        .iter()
                        .filter(move |one| one.neighbour == neighbour && one.workers == workers)
                };
                let resident_bytes = same()
                    .map(|one| one.measured.resident_bytes)
                    .max()
                    .unwrap_or_default();
                Neighbour {
                    name: program.name,
                    workers,
                    per_second: Spread::of(same().map(|one| one.measured.per_second)),
                    engine_to_it: Spread::of(
                        same().map(|one| one.engine_best / one.measured.per_second),
                    ),
                    resident_bytes,
                    memory_to_engine: resident_bytes as f64 / engine_bytes as f64,
                }
            };
            WORKERS.into_iter().map(figure).max_by(|one, other| {
                let (one, other) = (one.per_second.median, other.per_second.median);
                one.total_cmp(&other)
            })
        };
        self.programs.iter().enumerate().filter_map(best).collect()
    }
}

fn with_token<'a>(command: &'a mut Command, ground: &Ground, device: &Path) -> &'a mut Command {
    ground
        .token
        .tell(command)
        .args(["--key-label", KEY_LABEL])
        .arg("--ciphertext")
        .arg(&ground.ciphertext_file)
        .arg("--device-certificate")
        .arg(device)
}

/// A virtual environment with the packages, made once.
fn python(folder: &Path) -> Fallible<PathBuf> {
    let environment = folder.join("python");
    let interpreter = environment.join("bin/python");
    let requirements = Path::new(SOURCES).join("requirements.txt");
    if !interpreter.exists() {
        eprintln!("Fetching the Python packages, once ...");
        run(
            Command::new("python3")
                .args(["-m", "venv"])
                .arg(&environment),
            "python3 -m venv",
        )?;
    }
    run(
        Command::new(&interpreter)
            .args(["-m", "pip", "install", "--quiet", "--requirement"])
            .arg(&requirements),
        "pip install",
    )?;
    Ok(interpreter)
}

fn java(folder: &Path) -> Fallible<PathBuf> {
    let classes = folder.join("java");
    let source = Path::new(SOURCES).join("CustodyLoop.java");
    run(
        Command::new("javac").arg("-d").arg(&classes).arg(source),
        "javac",
    )?;
    Ok(classes)
}

/// A certificate with the custody key, of which nothing but its place on the token matters.
fn add_certificate(ground: &Ground, interpreter: &Path, script: &Path) -> Fallible<()> {
    let [key, issuer, certificate] = ["ca.key", "ca.pem", "custody.der"]
        .map(|name| ground.stack.path(&format!("neighbours-{name}")));
    let openssl = || Command::new("openssl");
    run(
        openssl()
            .args([
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-subj",
                "/CN=Neighbours",
                "-keyout",
            ])
            .arg(&key)
            .arg("-out")
            .arg(&issuer),
        "openssl req",
    )?;
    run(
        openssl()
            .args([
                "x509",
                "-new",
                "-subj",
                "/CN=Custody",
                "-outform",
                "DER",
                "-force_pubkey",
            ])
            .arg(ground.stack.path("import/custody-public.pem"))
            .arg("-CA")
            .arg(&issuer)
            .arg("-CAkey")
            .arg(&key)
            .arg("-out")
            .arg(&certificate),
        "openssl x509",
    )?;
    let mut command = Command::new(interpreter);
    command
        .arg(script)
        .args(["--processes", "1", "--operations", "1", "--add-certificate"])
        .arg(&certificate);
    run(
        with_token(&mut command, ground, &certificate),
        "storing a certificate",
    )
    .map(drop)
}
