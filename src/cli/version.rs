//! `version`.

use super::output::{Failure, Report};
use serde_json::json;

/// Tells the version of the program and of the cryptographic module in it.
///
/// # Errors
/// [`Failure`] when the module does not start: its self-tests are run.
pub fn run() -> Result<Report, Failure> {
    let module = fips::start(fips::policy::Policy::STRICT)?;
    let version = crate::VERSION;
    Ok(Report::done(
        json!({"version": version, "moduleVersion": module.version()}),
        format!("pfx-connector {version}\n{}", module.version()),
    ))
}
