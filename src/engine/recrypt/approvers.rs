//! Whose approvals count, from the operator's own files.

use super::anchors::LoadError;
use super::pem;
use crate::config::ApprovalsConfig;
use audit::approval::{Approver, Quorum};
use std::path::Path;

/// The approvers of a configuration, each with the name of the file that holds the key.
///
/// # Errors
/// [`LoadError`] when a file cannot be read or may be changed by others, holds no key that approves, or the quorum could never be met.
pub fn load(config: &ApprovalsConfig) -> Result<Quorum, LoadError> {
    let approvers = config
        .approvers
        .iter()
        .map(|path| approver(path))
        .collect::<Result<_, _>>()?;
    Quorum::new(config.required, approvers).map_err(|error| LoadError::Unusable {
        path: config.approvers.first().cloned().unwrap_or_default(),
        problem: format!("engine.approvals: {error}"),
    })
}

fn approver(path: &Path) -> Result<Approver, LoadError> {
    let unusable = |problem: String| LoadError::Unusable {
        path: path.to_path_buf(),
        problem,
    };
    let text = pem::read_file(path)?;
    let mut blocks = pem::blocks(&text, &["PUBLIC KEY"])
        .unwrap_or_default()
        .into_iter();
    let (Some((_, spki)), None) = (blocks.next(), blocks.next()) else {
        return Err(unusable(
            "holds not exactly one public key in PEM (-----BEGIN PUBLIC KEY-----)".to_owned(),
        ));
    };
    let name = path
        .file_stem()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    Approver::new(name, &spki).map_err(|error| unusable(error.to_string()))
}
