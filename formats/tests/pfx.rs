//! The PFX reader: files by other programs open or are refused by name; hostile ones end cleanly.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

#[path = "support/asn1.rs"]
mod asn1;
#[path = "pfx/ber.rs"]
mod ber;
#[path = "pfx/chain.rs"]
mod chain;
#[path = "pfx/closed.rs"]
mod closed;
#[path = "pfx/hostile.rs"]
mod hostile;
#[path = "pfx/keys.rs"]
mod keys;
#[path = "pfx/names.rs"]
mod names;
#[path = "../../tests/support/openssl.rs"]
mod openssl;
#[path = "pfx/renewed.rs"]
mod renewed;
#[path = "pfx/structure.rs"]
mod structure;
#[path = "pfx/written_by_others.rs"]
mod written_by_others;

use fips::secret::SecretBytes;
use formats::pfx::{self, OpenedPfx, PfxError, PfxLimits};

/// With the FIPS mode off, as for `pfx inspect`: nearly every file needs what is not approved.
fn read(file: &[u8], password: &SecretBytes, limits: &PfxLimits) -> Result<OpenedPfx, PfxError> {
    fips::start(fips::policy::Policy::OFF).unwrap();
    pfx::read(file, password, limits)
}

fn open(pfx: &[u8], password: &str) -> Result<OpenedPfx, PfxError> {
    read(
        pfx,
        &SecretBytes::from_slice(password.as_bytes()),
        &PfxLimits::default(),
    )
}

/// The refusal of what must not open.
fn refusal(pfx: &[u8], password: &str) -> PfxError {
    match open(pfx, password) {
        Ok(_) => panic!("it opened"),
        Err(error) => error,
    }
}
