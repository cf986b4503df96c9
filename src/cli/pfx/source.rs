//! The file that is given, its password, and the FIPS mode in which it is opened.

use super::file;
use crate::cli::output::{Exit, Failure};
use crate::cli::{process, prompt};
use crate::config;
use crate::config::secret_file::{self, SecretFileError};
use clap::{Args, ValueEnum};
use fips::policy::Policy;
use fips::secret::SecretBytes;
use formats::pfx::{OpenedPfx, Passwords, PfxError, PfxLimits, read_with};
use std::path::{Path, PathBuf};

/// Which PFX, and how it is opened.
#[derive(Debug, Args)]
pub(super) struct SourceArgs {
    /// The PFX
    #[arg(value_name = "FILE")]
    pub(super) file: PathBuf,
    /// File with its password (empty: no password); without it you are asked
    #[arg(long, value_name = "FILE")]
    pub(super) password_file: Option<PathBuf>,
    /// File with the password of the contents, where that is another than the one of the integrity check
    #[arg(long, value_name = "FILE", requires = "password_file")]
    pub(super) contents_password_file: Option<PathBuf>,
    /// Whether what is not approved is refused. Nearly every PFX needs something that is not; what was used is named
    #[arg(long, value_enum, value_name = "MODE", conflicts_with = "config")]
    pub(super) fips: Option<FipsChoice>,
    /// Take mode and exceptions from [fips] of this configuration file
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
}

/// The FIPS mode of a tool for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum FipsChoice {
    /// Refused
    Strict,
    /// Done and named
    Off,
}

impl SourceArgs {
    /// Starts the module: mode off unless something asks for more.
    pub(super) fn start_module(&self) -> Result<(), Failure> {
        match (self.fips, &self.config) {
            (Some(FipsChoice::Strict), _) => fips::start(Policy::STRICT).map(drop)?,
            (Some(FipsChoice::Off), _) => fips::start(Policy::OFF).map(drop)?,
            (None, Some(file)) => config::load(file)?.start_module().map(drop)?,
            (None, None) => process::start_module_without_configuration()?,
        }
        Ok(())
    }

    /// The bytes of the file.
    pub(super) fn bytes(&self, limits: &PfxLimits) -> Result<SecretBytes, Failure> {
        file::read(&self.file, limits.max_bytes)
    }

    /// Its password, from the file that is named or from the person at the terminal.
    pub(super) fn password(&self) -> Result<SecretBytes, Failure> {
        match &self.password_file {
            Some(file) => password_of(file),
            None => prompt::secret("password of the PFX", "name a file by `--password-file`"),
        }
    }

    /// The password of the contents, where a file is named for it.
    pub(super) fn contents_password(&self) -> Result<Option<SecretBytes>, Failure> {
        let file = self.contents_password_file.as_deref();
        file.map(password_of).transpose()
    }

    /// Everything that is in it.
    pub(super) fn open(
        &self,
        pfx: &[u8],
        passwords: Passwords<'_>,
        limits: &PfxLimits,
    ) -> Result<OpenedPfx, Failure> {
        read_with(pfx, passwords, limits).map_err(|error| {
            let failure = refusal(&error).doing(self.file.display());
            match error {
                PfxError::AnotherPassword => failure.hint(ANOTHER_PASSWORD),
                _ => failure,
            }
        })
    }
}

/// What helps where a file has two passwords.
pub(super) const ANOTHER_PASSWORD: &str = "give the other password by --contents-password-file, or have it exported again under one: hardly any \
     program reads files with two";

/// The password in a file; an empty one is a password too: the reader tries the empty one and none at all.
fn password_of(file: &Path) -> Result<SecretBytes, Failure> {
    match from_file(file) {
        Err(SecretFileError::Empty { .. }) => Ok(SecretBytes::zeroed(0)),
        other => Ok(other?),
    }
}

/// The password in a file. Who else can read it is the person's own business here, but told.
pub(super) fn from_file(file: &Path) -> Result<SecretBytes, SecretFileError> {
    let (secret, exposed) = secret_file::read_told(file)?;
    if let Some(exposed) = exposed {
        tracing::warn!("{exposed}");
    }
    Ok(secret)
}

/// What a reader's refusal is on the command line: the operation failed, with the reader's own code.
pub(super) fn refusal(error: &PfxError) -> Failure {
    Failure {
        exit: Exit::Failed,
        ..Failure::failed(error.code(), error.to_string())
    }
}
