//! The password of a file that is written: given, or made here.

use super::source;
use crate::cli::files;
use crate::cli::output::Failure;
use clap::Args;
use fips::secret::SecretBytes;
use formats::pfx::printable_ascii;
use std::path::{Path, PathBuf};

/// Characters of a password that is made here: 190 bits, and nothing that a shell, XML or a keyboard makes something else of.
const CHARACTERS: usize = 32;
/// Shorter passwords than this are mentioned.
const SHORT: usize = 14;

/// Where the new password comes from, or goes to.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct NewPasswordArgs {
    /// File with the new password
    #[arg(long, value_name = "FILE")]
    new_password_file: Option<PathBuf>,
    /// Make a password of 32 random letters and digits, and put it into this file, readable by you only; one that exists is not
    /// overwritten
    #[arg(long, value_name = "FILE")]
    new_password_out: Option<PathBuf>,
}

/// A password, with the file that it still has to be put into.
pub(super) struct NewPassword {
    pub(super) secret: SecretBytes,
    pub(super) out: Option<PathBuf>,
}

impl NewPasswordArgs {
    /// Refuses early what could not be written at the end.
    pub(super) fn check(&self, pfx_out: &Path) -> Result<(), Failure> {
        let Some(out) = &self.new_password_out else {
            return Ok(());
        };
        files::must_be_new(out)?;
        if out == pfx_out {
            return Err(Failure::usage(
                "same_file",
                "--out and --new-password-out name the same file",
            ));
        }
        Ok(())
    }

    /// Reads or makes it.
    pub(super) fn get(&self) -> Result<NewPassword, Failure> {
        let secret = match &self.new_password_file {
            Some(file) => source::from_file(file)?,
            None => fips::random::alphanumeric(CHARACTERS)?,
        };
        Ok(NewPassword {
            secret,
            out: self.new_password_out.clone(),
        })
    }
}

/// What people should know of a password that they chose.
pub(super) fn notes(password: &SecretBytes) -> Vec<&'static str> {
    let bytes = password.expose();
    let mut notes = Vec::new();
    if bytes.len() < SHORT {
        notes.push(
            "the new password has fewer than 14 characters: whoever gets hold of the file can try them all",
        );
    }
    if !printable_ascii(bytes) {
        notes.push(
            "the new password has characters other than printable ASCII: Java does not open such files, and programs differ in how they take \
             what is typed or passed on",
        );
    }
    let beyond = std::str::from_utf8(bytes).is_ok_and(|text| text.chars().any(|c| c > '\u{ffff}'));
    if beyond {
        notes.push(
            "the new password has characters beyond the Basic Multilingual Plane (an emoji, say): older readers know none, and call the \
             password wrong",
        );
    }
    if bytes.iter().any(|byte| b"<>&\"'".contains(byte)) {
        notes.push(
            "the new password has characters with a meaning in XML: device management that puts it into a profile may change it",
        );
    }
    notes
}
