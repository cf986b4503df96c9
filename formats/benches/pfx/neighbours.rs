//! The same files in what people would use instead.

use super::sample::Sample;
use super::statistics::Spread;
use super::{Fallible, ROUNDS};
use formats::pfx::write::Form;
use serde::Serialize;
use std::path::Path;
use std::process::Command;

/// Opens in one Python process, so that its start is not counted.
const PER_PROCESS: u32 = 5;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Comparison {
    pub(super) name: &'static str,
    pub(super) form: Form,
    pub(super) iterations: u32,
    pub(super) ours_ms: Spread,
    pub(super) theirs_ms: Spread,
    pub(super) theirs_to_ours: Spread,
}

const PYTHON: &str = "
import sys, time
from cryptography.hazmat.primitives.serialization import pkcs12
pfx, password, times = open(sys.argv[1], 'rb').read(), open(sys.argv[2], 'rb').read(), int(sys.argv[3])
start = time.perf_counter()
for _ in range(times):
    pkcs12.load_pkcs12(pfx, password)
print((time.perf_counter() - start) * 1000 / times)
";

fn output(command: &mut Command) -> Fallible<Vec<u8>> {
    let output = command.output()?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(String::from_utf8_lossy(&output.stderr).into())
}

/// With the start of its process, which is part of using it.
fn openssl(pfx: &str, password: &str) -> Fallible<f64> {
    let password = format!("file:{password}");
    super::sample::ms(|| {
        let arguments = [
            "pkcs12",
            "-in",
            pfx,
            "-nodes",
            "-passin",
            &password,
            "-out",
            "/dev/null",
        ];
        output(Command::new("openssl").args(arguments))
    })
}

fn python(pfx: &str, password: &str) -> Fallible<f64> {
    let tools = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("tools");
    let said = output(
        Command::new(tools.join("python/bin/python3"))
            .args(["-c", PYTHON, pfx, password])
            .arg(PER_PROCESS.to_string()),
    )?;
    Ok(String::from_utf8(said)?.trim().parse()?)
}

type Measure = fn(&str, &str) -> Fallible<f64>;

pub(super) fn compare() -> Fallible<Vec<Comparison>> {
    let openssl = ("openssl pkcs12 (with its start)", openssl as Measure);
    let python = ("Python cryptography", python as Measure);
    let mut all = Vec::new();
    // Debian's OpenSSL does not know PBMAC1.
    for (form, iterations, others) in [
        (Form::Compatible, 2_048, &[openssl, python][..]),
        (Form::Compatible, 100_000, &[openssl, python]),
        (Form::Approved, 100_000, &[python]),
        (Form::Legacy3Des, 2_048, &[openssl, python]),
    ] {
        eprintln!("PFX beside others: {form}, {iterations} iterations ...");
        let sample = Sample::new(form, iterations)?;
        let (pfx, password) = sample.files()?;
        for (name, measure) in others {
            let mut rounds = Vec::new();
            for _ in 0..ROUNDS {
                rounds.push((sample.open_by_the_clock()?, measure(&pfx, &password)?));
            }
            all.push(Comparison {
                name,
                form,
                iterations,
                ours_ms: Spread::of(rounds.iter().map(|(ours, _)| *ours)),
                theirs_ms: Spread::of(rounds.iter().map(|(_, theirs)| *theirs)),
                theirs_to_ours: Spread::of(rounds.iter().map(|(ours, theirs)| theirs / ours)),
            });
        }
    }
    Ok(all)
}
