//! `key init-token`: an empty software token gets its label and PINs.

use super::output::{Failure, Report};
use clap::Args;
use hsm::pin::PinSource;
use serde_json::json;
use std::path::PathBuf;

/// Options of `key init-token`.
#[derive(Debug, Clone, Args)]
pub struct InitTokenArgs {
    /// PKCS#11 module (absolute path)
    #[arg(long, value_name = "FILE")]
    module: PathBuf,
    /// Label of the new token
    #[arg(long, value_name = "LABEL")]
    token_label: String,
    /// File with the security officer's PIN that only its owner can read
    #[arg(long, value_name = "FILE")]
    so_pin_file: PathBuf,
    /// File with the user PIN that only its owner can read
    #[arg(long, value_name = "FILE")]
    pin_file: PathBuf,
}

/// Initialises the first empty token of the module; one that is initialised already is never touched.
///
/// # Errors
/// [`Failure`] when there is no empty token, the label is in use, or the token refuses.
pub fn run(args: &InitTokenArgs) -> Result<Report, Failure> {
    fips::start()?;
    let so_pin = PinSource::File(args.so_pin_file.clone()).read()?;
    let user_pin = PinSource::File(args.pin_file.clone()).read()?;
    let token = hsm::pkcs11::init_token(&args.module, None, &args.token_label, &so_pin, &user_pin)?;
    let text = format!("Initialised the token {}.", token.label);
    Ok(Report::done(json!({ "token": token }), text))
}
