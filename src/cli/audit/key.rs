//! The audit key in a file.

use crate::cli::output::{Failure, Report};
use crate::cli::{files, signing_key};
use crate::encoding::public_key_pem;
use ::audit::Hash;
use clap::{Args, Subcommand};
use serde_json::json;
use std::path::PathBuf;

#[derive(Debug, Clone, Args)]
pub(super) struct KeyArgs {
    #[command(subcommand)]
    command: KeyCommand,
}

#[derive(Debug, Clone, Subcommand)]
enum KeyCommand {
    /// Make one in a file (EC P-256); on a token, `key generate-signing` does
    Generate {
        /// File for the private key (PKCS#8, PEM), readable by you only; one that exists is not overwritten
        #[arg(long, value_name = "FILE")]
        out_key: PathBuf,
        /// File for the public key, by which the log is verified; one that exists is not overwritten
        #[arg(long, value_name = "FILE")]
        out_public: PathBuf,
    },
    /// Write the public half, by which the log is verified
    ExportPublic {
        /// File with the private key
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// File for the public key (PEM); one that exists is not overwritten
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}

pub(super) fn run(args: &KeyArgs) -> Result<Report, Failure> {
    match &args.command {
        KeyCommand::Generate {
            out_key,
            out_public,
        } => {
            let fingerprint = signing_key::make(out_key, out_public)?;
            Ok(Report::done(
                json!({
                    "privateKey": out_key,
                    "publicKey": out_public,
                    "algorithm": "ecdsaP256Sha256",
                    "fingerprint": fingerprint,
                }),
                format!(
                    "Made an audit key (EC P-256).\n  private  {} (the engine's user alone: `engine.audit.signing_key_file`)\n  public   {} \
                     (for auditors: `audit verify --public-key`)\n  fingerprint {fingerprint}",
                    out_key.display(),
                    out_public.display()
                ),
            ))
        }
        KeyCommand::ExportPublic { key, out } => {
            files::must_be_new(out)?;
            super::start_module()?;
            let key = signing_key::load(key, "--key")?;
            let pem = public_key_pem(key.spki_der())
                .map_err(|error| Failure::failed("encoding", error.to_string()))?;
            files::write_new(out, pem.as_bytes(), 0o644)?;
            let fingerprint = Hash::of(key.spki_der()).to_string();
            Ok(Report::done(
                json!({ "publicKey": out, "fingerprint": fingerprint }),
                format!("Wrote {}.\n  fingerprint {fingerprint}", out.display()),
            ))
        }
    }
}
