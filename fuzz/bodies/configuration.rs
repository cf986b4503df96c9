//! The configuration file.

use pfx_connector::config;
use std::path::Path;

/// The text of a file.
pub(crate) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Err(error) = config::parse(text, Path::new("/etc/pfx-connector/config.toml")) {
        assert!(!error.to_string().is_empty());
    }
}
