//! `[gateway]`.

use super::{Findings, files};
use crate::config::GatewayConfig;

/// The files of the section.
pub(super) fn files(section: &GatewayConfig, findings: &mut Findings) {
    files::readable(&section.certificate, "gateway.certificate", findings);
    files::secret(&section.private_key, "gateway.private_key", findings);
    files::readable(&section.connector_ca, "gateway.connector_ca", findings);
    files::folder_of(&section.database, "gateway.database", findings);
    if let Some(file) = &section.ready_file {
        files::folder_of(file, "gateway.ready_file", findings);
    }
}
