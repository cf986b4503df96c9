//! The removal of OAEP in software, alone: good blocks, and ones that are bad in different places.

use super::statistics::Samples;
use super::{Fallible, Measured};
use fips::secret::SecretBytes;
use hsm::{Padding, measurement};
use std::hint::black_box;
use std::time::Instant;

const MODULUS_BYTES: usize = 256;
const PADDING: Padding = Padding::OaepSha256;
/// Blocks of each class that are taken in turn.
const BLOCKS: usize = 64;
/// Calls before the first that counts.
const WARM_UP: u64 = 5000;

const CLASSES: [&str; 4] = ["good", "first byte", "label hash", "random"];

/// Nanoseconds of each call.
pub(crate) fn measure(samples: u64) -> Fallible<Measured> {
    let blocks: Vec<Vec<Vec<u8>>> = CLASSES
        .iter()
        .map(|class| (0..BLOCKS).map(|_| block(class)).collect())
        .collect::<Fallible<_>>()?;
    let mut taken: Vec<(&'static str, Samples)> = CLASSES
        .iter()
        .map(|class| (*class, Samples::default()))
        .collect();
    let mut choose = [0_u8; 4096];
    let mut left = [samples; CLASSES.len()];
    let mut number = 0_u64;
    while left.iter().any(|left| *left > 0) {
        fips::random::fill(&mut choose)?;
        for byte in choose {
            number = number.saturating_add(1);
            let class = usize::from(byte) % CLASSES.len();
            let place = usize::try_from(number)? % BLOCKS;
            let (Some(block), Some((_, samples)), Some(left)) = (
                blocks.get(class).and_then(|blocks| blocks.get(place)),
                taken.get_mut(class),
                left.get_mut(class),
            ) else {
                continue;
            };
            let encoded = SecretBytes::from_slice(block);
            let begun = Instant::now();
            let is_good = measurement::oaep_unpad(PADDING, black_box(encoded));
            let time = begun.elapsed();
            if black_box(is_good) != (class == 0) {
                return Err("a block is not what it was made as".into());
            }
            if number > WARM_UP && *left > 0 {
                *left -= 1;
                samples.add(time.as_secs_f64() * 1e9);
            }
        }
    }
    Ok(Measured {
        name: "OAEP removed in software (SHA-256, 2048 bits)",
        unit: "ns",
        samples: taken,
        late: None,
    })
}

fn block(class: &str) -> Fallible<Vec<u8>> {
    let password = fips::random::alphanumeric(24)?;
    let label: &[u8] = match class {
        "label hash" => b"another",
        _ => b"",
    };
    let mut block = match class {
        "random" => fips::random::secret(MODULUS_BYTES)?,
        _ => measurement::oaep_pad(PADDING, label, MODULUS_BYTES, password.expose())?,
    }
    .expose()
    .to_vec();
    match (class, block.first_mut()) {
        ("first byte", Some(first)) => *first = 1,
        ("random", Some(first)) => *first = 0,
        _ => {}
    }
    Ok(block)
}
