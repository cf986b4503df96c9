//! `[import]`.

use super::{Findings, PinPolicy, engine, files};
use crate::config::ImportConfig;

/// The files of the section.
pub(super) fn files(section: &ImportConfig, findings: &mut Findings) {
    files::readable(&section.gateway_ca, "import.gateway_ca", findings);
    files::secret(&section.token_file, "import.token_file", findings);
    files::readable(
        &section.custody_public_key,
        "import.custody_public_key",
        findings,
    );
    if let Some(file) = &section.signing_key {
        files::secret(file, "import.signing_key", findings);
    }
    if let Some(token) = &section.token {
        engine::token(token, "import.token", PinPolicy::Person, findings);
    }
}
