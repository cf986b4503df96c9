//! `import`: PFX records in Intune or in a gateway, made by the person who holds the PFX files.

mod add;
mod manage;
mod password;
mod seal;
mod service;
mod signer;

use super::Context;
use super::output::{Failure, Report};
use crate::gateway::api::IntendedPurpose;
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

/// `import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    #[command(subcommand)]
    command: ImportCommand,
}

#[derive(Debug, Subcommand)]
enum ImportCommand {
    /// Import one PFX: its password is encrypted to the custody key, the record is signed, the PFX goes along untouched
    Add(AddArgs),
    /// List records; their secrets cannot be read back
    List(ListArgs),
    /// Remove records
    Remove(RemoveArgs),
    /// Make the key that signs your records (EC P-256), and the public half for the engine's configuration
    Signer(SignerArgs),
}

#[derive(Debug, Args)]
struct AddArgs {
    /// Configuration file with [import]
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The user's principal name
    #[arg(long, value_name = "UPN")]
    user: String,
    /// The PFX
    #[arg(long, value_name = "FILE")]
    pfx: PathBuf,
    /// File with its password that only its owner can read; without it you are asked for the password
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// The certificate in the PFX (PEM or DER): the PFX is passed on unopened then, and neither password nor key are tried. What strict
    /// FIPS mode needs for files that take algorithms which are not approved (nearly all do)
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// What the certificate is for
    #[arg(long, value_enum, default_value_t = Purpose::SmimeEncryption)]
    purpose: Purpose,
    /// Put it in the place of the record that there is for this user and certificate
    #[arg(long)]
    replace: bool,
}

#[derive(Debug, Args)]
struct ListArgs {
    /// Configuration file with [import]
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Only this user's
    #[arg(long, value_name = "UPN")]
    user: Option<String>,
}

#[derive(Debug, Args)]
struct RemoveArgs {
    /// Configuration file with [import]
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Id of the record, as `import list` shows it
    #[arg(long, value_name = "ID", conflicts_with_all = ["user", "thumbprint"], required_unless_present = "user")]
    id: Option<String>,
    /// Of this user
    #[arg(long, value_name = "UPN", requires = "thumbprint")]
    user: Option<String>,
    /// With this certificate (SHA-1, 40 hexadecimal digits)
    #[arg(long, value_name = "HEX", requires = "user", value_parser = parse_thumbprint)]
    thumbprint: Option<String>,
}

#[derive(Debug, Args)]
struct SignerArgs {
    /// File for the private key (PKCS#8, PEM), readable by you only; one that exists is not overwritten
    #[arg(long, value_name = "FILE")]
    out_key: PathBuf,
    /// File for the public key (SubjectPublicKeyInfo, PEM); one that exists is not overwritten
    #[arg(long, value_name = "FILE")]
    out_public: PathBuf,
}

/// Graph's names of purposes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "camelCase")]
enum Purpose {
    Unassigned,
    SmimeEncryption,
    SmimeSigning,
    Vpn,
    Wifi,
}

impl From<Purpose> for IntendedPurpose {
    fn from(purpose: Purpose) -> Self {
        match purpose {
            Purpose::Unassigned => Self::Unassigned,
            Purpose::SmimeEncryption => Self::SmimeEncryption,
            Purpose::SmimeSigning => Self::SmimeSigning,
            Purpose::Vpn => Self::Vpn,
            Purpose::Wifi => Self::Wifi,
        }
    }
}

fn parse_thumbprint(text: &str) -> Result<String, String> {
    if text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        Ok(text.to_ascii_lowercase())
    } else {
        Err("40 hexadecimal digits without separators".to_owned())
    }
}

/// Runs it.
///
/// # Errors
/// [`Failure`] when something of it did not work.
pub fn run(args: &ImportArgs, context: &Context) -> Result<Report, Failure> {
    match &args.command {
        ImportCommand::Add(args) => add::run(args, context),
        ImportCommand::List(args) => manage::list(args),
        ImportCommand::Remove(args) => manage::remove(args),
        ImportCommand::Signer(args) => signer::run(args),
    }
}
