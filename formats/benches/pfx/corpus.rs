//! Files that no one here made.

use super::sample::ms;
use super::statistics::Spread;
use super::{Fallible, ROUNDS, manifest};
use fips::secret::SecretBytes;
use formats::pfx::{PfxLimits, read};
use serde::Serialize;

/// Files that take longer than this many iterations in one place are few, and hide the others.
pub(super) const HEAVY: u64 = 50_000;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Speed {
    pub(super) files: usize,
    pub(super) per_second: Spread,
    /// How many take more than [`HEAVY`] iterations.
    pub(super) heavy: usize,
    /// Without those.
    pub(super) light_per_second: Spread,
}

struct File {
    pfx: Vec<u8>,
    password: SecretBytes,
    is_heavy: bool,
}

fn open(files: &[&File]) -> Fallible<f64> {
    ms(|| {
        for file in files {
            read(&file.pfx, &file.password, &PfxLimits::default())?;
        }
        Ok(())
    })
}

#[expect(clippy::cast_precision_loss, reason = "some hundreds of files")]
fn rate(files: &[&File]) -> Fallible<Spread> {
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        rounds.push(files.len() as f64 * 1000.0 / open(files)?);
    }
    Ok(Spread::of(rounds))
}

/// Over all files that open; `None` without the corpus.
pub(super) fn speed() -> Fallible<Option<Speed>> {
    eprintln!("PFX: the corpus ...");
    let files = manifest::cases();
    if files.is_empty() {
        return Ok(None);
    }
    let iterations = |file: &manifest::Case, column| {
        let count = file.column(column).parse::<u64>();
        count.unwrap_or_default()
    };
    let files: Vec<File> = files
        .into_iter()
        .map(|file| File {
            is_heavy: iterations(&file, "mac_iter").max(iterations(&file, "pbe_iter")) > HEAVY,
            password: SecretBytes::from_slice(file.column("password").as_bytes()),
            pfx: file.bytes,
        })
        .filter(|file| read(&file.pfx, &file.password, &PfxLimits::default()).is_ok())
        .collect();
    let all: Vec<&File> = files.iter().collect();
    let light: Vec<&File> = files.iter().filter(|file| !file.is_heavy).collect();
    Ok(Some(Speed {
        files: all.len(),
        per_second: rate(&all)?,
        heavy: all.len() - light.len(),
        light_per_second: rate(&light)?,
    }))
}
