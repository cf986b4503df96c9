//! SoftHSM 2, from the distribution's package.

use std::path::{Path, PathBuf};

/// The variable that names its configuration.
pub const CONFIGURATION: &str = "SOFTHSM2_CONF";

pub struct SoftHsm {
    pub module: PathBuf,
    pub configuration: PathBuf,
    /// Where the tokens are.
    pub tokens: PathBuf,
}

/// SoftHSM with its tokens below `folder`. `mechanisms` is its configuration `slots.mechanisms`.
pub fn set_up(folder: &Path, mechanisms: &str) -> SoftHsm {
    let module = super::tools::module(
        "SOFTHSM_MODULE",
        "/usr/lib/softhsm/libsofthsm2.so",
        "install the package softhsm2",
    );
    let tokens = folder.join("tokens");
    std::fs::create_dir(&tokens).unwrap();
    let configuration = folder.join("softhsm2.conf");
    let text = format!(
        "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n\
         slots.removable = false\nslots.mechanisms = {mechanisms}\n",
        tokens.display()
    );
    std::fs::write(&configuration, text).unwrap();
    SoftHsm {
        module,
        configuration,
        tokens,
    }
}
