//! The password of a PFX, as it can be imported.

use crate::cli::output::Failure;
use crate::cli::prompt;
use crate::config::secret_file;
use crate::engine::formats::pfx::printable_ascii;
use fips::secret::SecretBytes;
use hsm::Padding;
use std::path::Path;

/// Reads the password from its file, or asks for it.
pub(super) fn read(file: Option<&Path>) -> Result<SecretBytes, Failure> {
    match file {
        Some(file) => Ok(secret_file::read(file)?),
        None => prompt::secret("password of the PFX", "name a file by `--password-file`"),
    }
}

/// Refuses a password that would not arrive on the device as it is here.
pub(super) fn check(
    password: &SecretBytes,
    padding: Padding,
    modulus_bits: u32,
) -> Result<(), Failure> {
    if !printable_ascii(password.expose()) {
        return Err(Failure::failed(
            "password_not_ascii",
            "the password has characters other than printable ASCII (U+0020 to U+007E): import tools and devices make one byte of each \
             UTF-16 unit, or UTF-8, so it would not be the same password on the device",
        )
        .hint("export the PFX again with a password of letters, digits and common signs"));
    }
    let most = padding.max_message_len(modulus_bits);
    if password.len() > most {
        return Err(Failure::failed(
            "password_too_long",
            format!(
                "the password has {} bytes; an RSA-{modulus_bits} key with this padding takes {most}",
                password.len()
            ),
        ));
    }
    Ok(())
}
