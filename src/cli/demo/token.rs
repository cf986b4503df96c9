//! A token of the demo's own: a fresh SoftHSM or Kryoptic token in the demo's folder.

use super::error::DemoError;
use super::process::run_json;
use super::stack::{KEY_LABEL, StackOptions, private_folder, quoted, write_private};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Tokens that the demo can set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum TokenKind {
    /// SoftHSM 2, from the distribution's package.
    Softhsm,
    /// Kryoptic, built by `make kryoptic`.
    Kryoptic,
}

/// Places where distributions put SoftHSM's module.
const SOFTHSM_PLACES: [&str; 5] = [
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/lib/pkcs11/libsofthsm2.so",
];
/// Where `make kryoptic` leaves the module, from the project's folder.
const KRYOPTIC_PLACE: &str = "tests/kryoptic/target/release/libkryoptic_pkcs11.so";
/// The token's label.
const TOKEN_LABEL: &str = "pfx-connector demo";

/// An initialised token.
pub struct DemoToken {
    kind: TokenKind,
    module: PathBuf,
    pin_file: PathBuf,
    environment: Vec<(String, String)>,
    /// For `key` commands: a configuration without `[fips]`, so that they are strict without exceptions.
    key_config: PathBuf,
}

impl DemoToken {
    /// Initialises a fresh token with random PINs that never leave files in the demo's folder.
    ///
    /// # Errors
    /// When the module is not there, or initialising fails.
    pub fn initialise(options: &StackOptions) -> Result<Self, DemoError> {
        let folder = options.folder.join("token");
        private_folder(&folder)?;
        let module = match &options.module {
            Some(module) => module.clone(),
            None => find_module(options.token)?,
        };
        let (variable, configuration, text) = match options.token {
            TokenKind::Softhsm => {
                let objects = folder.join("objects");
                private_folder(&objects)?;
                let text = format!(
                    "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\nslots.removable = false\n",
                    objects.display()
                );
                ("SOFTHSM2_CONF", folder.join("softhsm2.conf"), text)
            }
            TokenKind::Kryoptic => {
                let text = format!(
                    "[[slots]]\nslot = 0\ndbtype = \"sqlite\"\ndbargs = {}\n",
                    quoted(&folder.join("token.sql"))
                );
                ("KRYOPTIC_CONF", folder.join("kryoptic.toml"), text)
            }
        };
        write_private(&configuration, text.as_bytes())?;
        let token = Self {
            kind: options.token,
            module,
            pin_file: folder.join("user.pin"),
            environment: [(variable.to_owned(), configuration.display().to_string())]
                .into_iter()
                .chain(options.module_environment.iter().cloned())
                .collect(),
            key_config: options.folder.join("key.toml"),
        };
        let socket = quoted(&options.folder.join("run/engine.sock"));
        let section = token.section();
        let key_config = format!("[engine]\nsocket = {socket}\n[engine.token]\n{section}");
        write_private(&token.key_config, key_config.as_bytes())?;
        let so_pin_file = folder.join("so.pin");
        for file in [&token.pin_file, &so_pin_file] {
            let pin = fips::random::alphanumeric(16)
                .map_err(|error| DemoError::step("PIN", error.to_string()))?;
            write_private(file, pin.expose())?;
        }
        run_json(
            &options.program,
            &[
                "key",
                "init-token",
                "--module",
                &token.module.display().to_string(),
                "--token-label",
                TOKEN_LABEL,
                "--so-pin-file",
                &so_pin_file.display().to_string(),
                "--pin-file",
                &token.pin_file.display().to_string(),
                "--json",
            ],
            &token.environment(),
        )?;
        Ok(token)
    }

    /// Its name for people.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self.kind {
            TokenKind::Softhsm => "SoftHSM",
            TokenKind::Kryoptic => "Kryoptic",
        }
    }

    /// The folder or file that holds its objects: moved away, the token is gone.
    #[must_use]
    pub fn storage(&self, folder: &Path) -> PathBuf {
        match self.kind {
            TokenKind::Softhsm => folder.join("token/objects"),
            TokenKind::Kryoptic => folder.join("token/token.sql"),
        }
    }

    /// What the module needs in the environment of the process that loads it.
    #[must_use]
    pub fn environment(&self) -> Vec<(String, String)> {
        self.environment.clone()
    }

    /// Body of an `[engine.token]` or `[import.token]` section.
    #[must_use]
    pub fn section(&self) -> String {
        let mut text = String::new();
        let _ = writeln!(text, "module = {}", quoted(&self.module));
        let _ = writeln!(text, "label = \"{TOKEN_LABEL}\"");
        let _ = writeln!(text, "pin_file = {}", quoted(&self.pin_file));
        let environment: Vec<String> = self
            .environment
            .iter()
            .map(|(name, value)| format!("{name} = {}", quoted(Path::new(value))))
            .collect();
        let _ = writeln!(text, "environment = {{ {} }}", environment.join(", "));
        text
    }

    /// Runs a `key` sub-command on this token and the demo's key.
    ///
    /// # Errors
    /// What the command said.
    pub fn run_key_command(
        &self,
        program: &Path,
        arguments: &[&str],
    ) -> Result<serde_json::Value, DemoError> {
        let config = self.key_config.display().to_string();
        let mut all = arguments.to_vec();
        all.extend(["--config", &config, "--key-label", KEY_LABEL]);
        run_json(program, &all, &self.environment())
    }
}

/// Where the module of a kind of token is: where the environment names it, or at its usual place.
///
/// # Errors
/// When it is not there.
pub fn find_module(kind: TokenKind) -> Result<PathBuf, DemoError> {
    match kind {
        TokenKind::Softhsm => {
            let named = std::env::var_os("SOFTHSM_MODULE").map(PathBuf::from);
            named
                .into_iter()
                .chain(SOFTHSM_PLACES.map(PathBuf::from))
                .find(|place| place.is_file())
                .ok_or_else(|| DemoError::Missing {
                    program: "SoftHSM 2 (libsofthsm2.so)".to_owned(),
                    remedy: "`make bootstrap` installs it; SOFTHSM_MODULE names another place",
                })
        }
        TokenKind::Kryoptic => {
            let named = std::env::var_os("KRYOPTIC_MODULE").map(PathBuf::from);
            let usual = std::env::current_dir()
                .map(|folder| folder.join(KRYOPTIC_PLACE))
                .ok();
            named
                .into_iter()
                .chain(usual)
                .find(|place| place.is_file())
                .ok_or_else(|| DemoError::Missing {
                    program: "the Kryoptic module".to_owned(),
                    remedy: "`make kryoptic` builds it; KRYOPTIC_MODULE names another place",
                })
        }
    }
}
