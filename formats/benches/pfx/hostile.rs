//! How long a broken or hostile input can keep the reader busy, apart from the derivations that its budget allows.

use super::sample::{PASSWORD, Sample, processor_ms};
use super::{Fallible, manifest};
use fips::secret::SecretBytes;
use formats::pfx::write::Form;
use formats::pfx::{PfxLimits, read};
use serde::Serialize;

const MIB: usize = 1024 * 1024;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Longest {
    pub(super) inputs: usize,
    pub(super) longest_ms: f64,
    pub(super) which: String,
}

/// DER with this tag around the content.
fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len())
        .unwrap_or(u32::MAX)
        .to_be_bytes();
    [&[tag, 0x84], &length[..], content].concat()
}

/// A PFX without a MAC around this AuthenticatedSafe.
fn pfx_of(auth_safe: &[u8]) -> Vec<u8> {
    const DATA: &[u8] = &[
        0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01,
    ];
    let content = tlv(0xa0, &tlv(0x04, auth_safe));
    let info = tlv(0x30, &[DATA, &content].concat());
    tlv(0x30, &[&[0x02, 0x01, 0x03], &info[..]].concat())
}

/// Inputs of 1 MiB that grow something: depth, number of elements, pieces of strings, lengths that lie.
fn generated() -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for tag in [0x30, 0x24, 0xa0, 0x31, 0x04] {
        for length in [0x80, 0x7f, 0x82, 0x84] {
            let name = format!("{tag:02x} {length:02x} repeated");
            all.push((name, [tag, length].repeat(MIB / 2)));
        }
    }
    // Each level ends where the file ends, so that all of it is well-formed.
    let mut nested = Vec::new();
    while nested.len() < 60_000 {
        nested = tlv(0x30, &nested);
    }
    all.push(("nested sequences".to_owned(), pfx_of(&nested)));
    let room = MIB - 64;
    for (name, element) in [
        ("empty parts", &[0x30, 0x00][..]),
        ("empty strings", &[0x04, 0x00]),
        ("booleans", &[0x01, 0x01, 0xff]),
    ] {
        let many = element.repeat(room / element.len());
        all.push((format!("many {name}"), pfx_of(&tlv(0x30, &many))));
        let pieces = [&[0x24, 0x80], many.get(8..).unwrap_or_default(), &[0, 0]].concat();
        all.push((format!("{name} in pieces"), pieces));
    }
    let mut zeros = pfx_of(&tlv(0x30, &[]));
    zeros.resize(MIB, 0);
    all.push(("zeros behind it".to_owned(), zeros));
    all
}

pub(super) fn longest() -> Fallible<Longest> {
    eprintln!("PFX: broken and hostile inputs ...");
    let mut inputs = generated();
    for file in manifest::cases() {
        if file.column("expected") != "valid" {
            inputs.push((file.name().to_owned(), file.bytes));
        }
    }
    let sample = Sample::new(Form::Compatible, 1_000)?;
    for at in (0..sample.pfx.len()).step_by(3) {
        let mut changed = sample.pfx.clone();
        if let Some(byte) = changed.get_mut(at) {
            *byte ^= 0x81;
        }
        inputs.push((format!("byte {at} changed"), changed));
    }
    // So few that what they cost does not count, and enough to come to the end of the file.
    let limits = PfxLimits {
        max_iterations: 5_000,
        ..PfxLimits::default()
    };
    let password = SecretBytes::from_slice(PASSWORD.as_bytes());
    let mut longest = Longest {
        inputs: inputs.len(),
        longest_ms: 0.0,
        which: String::new(),
    };
    for (name, input) in inputs {
        // The shorter of two: the first pays for memory that the process did not have yet.
        let once = || processor_ms(|| Ok(read(&input, &password, &limits).is_ok()));
        let took = once()?.min(once()?);
        if took > longest.longest_ms {
            longest.longest_ms = took;
            longest.which = name;
        }
    }
    Ok(longest)
}
