//! What the tests of a key's life share: a Kryoptic token, a second SoftHSM token, and a key that can be copied.

use super::{PIN, Ran, Token, program, text, write};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// A Kryoptic token in a folder of its own.
pub struct Kryoptic {
    pub folder: tempfile::TempDir,
    module: PathBuf,
}

impl Kryoptic {
    pub fn new() -> Self {
        let built = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/kryoptic/target/release/libkryoptic_pkcs11.so");
        let module = std::env::var_os("KRYOPTIC_MODULE").map_or(built, PathBuf::from);
        assert!(
            module.is_file(),
            "{} is missing: run `make kryoptic`, or set KRYOPTIC_MODULE",
            module.display()
        );
        let token = Self {
            folder: tempfile::tempdir().unwrap(),
            module,
        };
        let database = token.path("token.sqlite");
        let conf = format!("[[slots]]\nslot = 1\ndbtype = \"sqlite\"\ndbargs = {database:?}\n");
        write(&token.path("kryoptic.toml"), conf, 0o600);
        write(&token.path("pin"), format!("{PIN}\n"), 0o600);
        write(&token.path("so-pin"), "87654321\n", 0o600);
        let so_pin = token.path("so-pin");
        token
            .run(&[
                "key",
                "init-token",
                "--so-pin-file",
                text(&so_pin),
                "--json",
            ])
            .json();
        token
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        let (pin, conf) = (self.path("pin"), self.path("kryoptic.toml"));
        let options = [
            "--module",
            text(&self.module),
            "--token-label",
            "kry",
            "--pin-file",
            text(&pin),
        ];
        program(
            &[args, &options].concat(),
            &[("KRYOPTIC_CONF", text(&conf))],
        )
    }
}

/// Runs a command on either kind of token.
pub type Run<'a> = &'a dyn Fn(&[&str]) -> Ran;

pub fn replicable(run: Run<'_>) -> Value {
    run(&[
        "key",
        "generate",
        "--key-label",
        "custody",
        "--bits",
        "2048",
        "--replicable",
        "--json",
    ])
    .json()
}

pub fn word<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name]
        .as_str()
        .unwrap_or_else(|| panic!("{name} in {value}"))
}

/// A second token in the folder of the first.
pub fn second(token: &Token) -> String {
    let (pin, so_pin) = (token.path("pin"), token.path("so-pin"));
    let conf = token.path("softhsm2.conf");
    program(
        &[
            "key",
            "init-token",
            "--module",
            text(&token.module),
            "--token-label",
            "second",
            "--so-pin-file",
            text(&so_pin),
            "--pin-file",
            text(&pin),
            "--json",
        ],
        &[("SOFTHSM2_CONF", text(&conf))],
    )
    .json();
    format!(
        "module={},label=second,pin-file={}",
        token.module.display(),
        pin.display()
    )
}
