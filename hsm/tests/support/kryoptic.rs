//! Kryoptic, built by `make kryoptic`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// The variable that names its configuration.
pub const CONFIGURATION: &str = "KRYOPTIC_CONF";

pub struct Kryoptic {
    pub module: PathBuf,
    pub configuration: PathBuf,
}

/// Kryoptic with so many empty tokens in `folder`. `root`: the project's folder.
pub fn set_up(folder: &Path, root: &Path, tokens: usize) -> Kryoptic {
    let module = super::tools::module(
        "KRYOPTIC_MODULE",
        root.join("tests/kryoptic/target/release/libkryoptic_pkcs11.so"),
        "run `make kryoptic`",
    );
    let mut text = String::new();
    for slot in 0..tokens {
        let database = folder.join(format!("{slot}.sqlite"));
        writeln!(
            text,
            "[[slots]]\nslot = {slot}\ndbtype = \"sqlite\"\ndbargs = {:?}\n",
            database.display().to_string()
        )
        .unwrap();
    }
    let configuration = folder.join("kryoptic.toml");
    std::fs::write(&configuration, text).unwrap();
    Kryoptic {
        module,
        configuration,
    }
}
