#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

mod bounds;
mod budgets;
mod model;
mod sealed;

use super::*;

const SECOND: i64 = 1000;
const MINUTE: i64 = 60 * SECOND;
const AN_HOUR: i64 = 60 * MINUTE;
const A_DAY: i64 = 24 * AN_HOUR;
/// Some time of which nothing depends.
const NOW: i64 = 1_790_000_000_000;

fn hash(kind: u8, number: u64) -> Hash {
    let mut bytes = [kind; 32];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    Hash::from_bytes(bytes)
}

/// A use of the ciphertext of this number, of this importer.
fn asked(importer: u64, ciphertext: u64) -> Asked {
    Asked {
        importer: Some(hash(1, importer)),
        caller: Some(1000),
        key: hash(2, 0),
        padding: "oaepSha512".to_owned(),
        ciphertext: hash(3, ciphertext),
        opens: None,
        sealed: None,
        device: Some(hash(4, 0)),
    }
}

fn device(asked: Asked, device: u64) -> Asked {
    Asked {
        device: Some(hash(4, device)),
        ..asked
    }
}

fn caller(asked: Asked, uid: u32) -> Asked {
    Asked {
        caller: Some(uid),
        ..asked
    }
}

/// Admits, uses and ends; what was denied, if it was.
fn try_once(ledger: &mut Ledger, now: i64, asked: &Asked, ended: Ended) -> Result<(), Denied> {
    let admission = ledger.admit(now, asked, &Limits::default())?;
    ledger.used(now, asked, ended, true);
    ledger.ended(admission);
    Ok(())
}

fn may(ledger: &mut Ledger, now: i64, asked: &Asked) -> Result<(), Denied> {
    let admission = ledger.admit(now, asked, &Limits::default())?;
    ledger.ended(admission);
    Ok(())
}

fn is_suspended(result: Result<(), Denied>) -> bool {
    matches!(result, Err(Denied::ImporterSuspended { .. }))
}
