//! Which token a command for people works on: that of a configuration, or one named by options.

use super::output::Failure;
use super::pin_memory::PinMemory;
use super::process::{self, with_environment};
use crate::config::{self, EngineConfig, EngineException, TokenSection};
use clap::Args;
use hsm::pin::PinSource;
use hsm::pkcs11::{Pkcs11Custody, TokenConfig};
use hsm::{Custody, KeyFingerprint, KeyInfo, Padding};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Options that name a token.
#[derive(Debug, Clone, Args)]
pub struct TokenArgs {
    /// Configuration file whose token is meant: [engine.token], or one of [[engine.tokens]]
    #[arg(long, value_name = "FILE", conflicts_with_all = ["module", "init_parameters", "token_label", "pin_file"])]
    pub config: Option<PathBuf>,
    /// Name of the token, where the configuration has several
    #[arg(long, value_name = "NAME", requires = "config")]
    pub token: Option<String>,
    /// PKCS#11 module (absolute path)
    #[arg(
        long,
        value_name = "FILE",
        required_unless_present = "config",
        requires = "token_label"
    )]
    pub module: Option<PathBuf>,
    /// What the module is told at C_Initialize, where it needs that (NSS softoken)
    #[arg(long, value_name = "TEXT", requires = "module")]
    pub init_parameters: Option<String>,
    /// Label of the token
    #[arg(long, value_name = "LABEL", requires = "module")]
    pub token_label: Option<String>,
    /// File with the user PIN that only its owner can read; without it you are asked for the PIN
    #[arg(long, value_name = "FILE", requires = "module")]
    pub pin_file: Option<PathBuf>,
}

impl TokenArgs {
    /// The `[engine]` section of the configuration that the options name, if they name one; its FIPS mode is put in force. Without a
    /// configuration the mode is off, and reports say so.
    ///
    /// # Errors
    /// [`Failure`] when the configuration cannot be used.
    pub fn engine(&self, command: &'static str) -> Result<Option<EngineConfig>, Failure> {
        let Some(file) = &self.config else {
            process::start_module_without_configuration()?;
            return Ok(None);
        };
        let whole = config::load(file)?;
        let engine = whole.checked_engine_token(command)?.into_inner();
        whole.start_module()?;
        Ok(Some(engine))
    }

    /// The token of the configuration that is meant.
    ///
    /// # Errors
    /// [`Failure`] when none or several could be.
    pub fn section<'a>(&self, engine: &'a EngineConfig) -> Result<&'a TokenSection, Failure> {
        engine.token_named(self.token.as_deref()).ok_or_else(|| {
            let names: Vec<_> = engine.named_tokens().map(|(name, _)| name).collect();
            Failure::usage("token_name", "it is not clear which token is meant")
                .hint(format!("name one by `--token`: {}", names.join(", ")))
        })
    }

    /// What the options amount to. Where they name a configuration that asks for another environment, the program is executed again.
    ///
    /// # Errors
    /// [`Failure`] when the configuration cannot be used.
    pub fn settings(
        &self,
        command: &'static str,
        args: &[OsString],
    ) -> Result<TokenSettings, Failure> {
        if let Some(engine) = self.engine(command)? {
            let section = self.section(&engine)?;
            with_environment(&section.environment, args)?;
            let allow = engine
                .exceptions
                .contains(&EngineException::ExtractableKeys);
            let config = from_section(section, allow);
            let memory = PinMemory::of_engine(&config, &engine, section);
            return Ok(TokenSettings { config, memory });
        }
        let module = self.module.clone().unwrap_or_default();
        if !module.is_absolute() {
            return Err(Failure::usage(
                "module_path",
                format!("`--module {}` is not an absolute path", module.display()),
            ));
        }
        let pin = match &self.pin_file {
            Some(file) => PinSource::File(absolute(file)?),
            None => PinSource::Prompt,
        };
        Ok(TokenSettings::of_user(TokenConfig {
            init_parameters: self.init_parameters.clone(),
            token_label: self.token_label.clone(),
            ..TokenConfig::new(module, pin)
        }))
    }
}

/// A token, how it is opened for one person's command, and where it is noted that it refused its PIN.
#[derive(Debug)]
pub struct TokenSettings {
    config: TokenConfig,
    memory: PinMemory,
}

impl TokenSettings {
    /// Those of a token which no engine uses.
    #[must_use]
    pub fn of_user(config: TokenConfig) -> Self {
        Self {
            memory: PinMemory::of_user(&config),
            config,
        }
    }
}

/// The settings of a checked token section, for one person's command, but for where refused PINs are noted.
#[must_use]
pub fn from_section(section: &TokenSection, allow_extractable_keys: bool) -> TokenConfig {
    let pin = match (&section.pin_file, &section.pin_credential) {
        (Some(file), _) => PinSource::File(file.clone()),
        (None, Some(name)) => PinSource::Credential(name.clone()),
        (None, None) => PinSource::Prompt,
    };
    TokenConfig {
        init_parameters: section.init_parameters.clone(),
        token_label: Some(section.label.clone()),
        allow_extractable_keys,
        ..TokenConfig::new(section.module.clone(), pin)
    }
}

/// Opens the token.
///
/// # Errors
/// [`Failure`] when module, token or PIN are not there or not right.
pub fn open(settings: TokenSettings) -> Result<Pkcs11Custody, Failure> {
    fips::start(fips::policy::in_force())?;
    let TokenSettings { config, memory } = settings;
    let source = config.pin.clone();
    let pin_memory = memory.prepare(&source);
    Pkcs11Custody::open(TokenConfig {
        pin_memory,
        ..config
    })
    .map_err(|error| {
        let remedy = memory.refused(&error, &source);
        let failure = Failure::from(error);
        match remedy {
            Some(remedy) => failure.hint(remedy),
            None => failure,
        }
    })
}

/// Options that name a key of a token.
#[derive(Debug, Clone, Args)]
pub struct KeyChoice {
    /// Label of the key
    #[arg(long, value_name = "LABEL")]
    pub key_label: Option<String>,
    /// Fingerprint of the key (SHA-256 of its SubjectPublicKeyInfo, 64 hexadecimal digits)
    #[arg(long, value_name = "HEX", conflicts_with = "key_label")]
    pub fingerprint: Option<KeyFingerprint>,
}

impl KeyChoice {
    fn fits(&self, key: &KeyInfo) -> bool {
        self.key_label
            .as_ref()
            .is_none_or(|label| *label == key.label)
            && self
                .fingerprint
                .is_none_or(|fingerprint| fingerprint == key.fingerprint)
    }

    /// The one key that is meant; without options the only one there is.
    ///
    /// # Errors
    /// [`Failure`] when none or several fit, or the token does not answer.
    pub fn one(&self, custody: &impl Custody) -> Result<KeyInfo, Failure> {
        let all = custody.keys()?;
        let mut fitting: Vec<_> = all.iter().filter(|key| self.fits(key)).cloned().collect();
        match (fitting.pop(), fitting.is_empty()) {
            (Some(key), true) => Ok(key),
            (Some(_), false) => Err(Failure::failed(
                "key_ambiguous",
                "several keys of the token fit",
            )
            .hint(format!("name one by `--fingerprint`: {}", names(&all)))),
            (None, _) => Err(Failure::failed("key_not_found", "no such key on the token")
                .hint(format!("the token has: {}", names(&all)))),
        }
    }

    /// The keys that fit; without options all.
    ///
    /// # Errors
    /// [`Failure`] when the token does not answer.
    pub fn all(&self, custody: &impl Custody) -> Result<Vec<KeyInfo>, Failure> {
        let mut keys = custody.keys()?;
        keys.retain(|key| self.fits(key));
        Ok(keys)
    }
}

fn names(keys: &[KeyInfo]) -> String {
    if keys.is_empty() {
        return "no private RSA key".to_owned();
    }
    keys.iter()
        .map(|key| format!("{} ({})", key.label, key.fingerprint))
        .collect::<Vec<_>>()
        .join(", ")
}

/// The padding with the strongest hash among those the token removes itself.
#[must_use]
pub fn best_padding(native: &[Padding]) -> Option<Padding> {
    native
        .iter()
        .copied()
        .max_by_key(|padding| padding.hash_len())
}

/// The absolute form of a path on the command line.
///
/// # Errors
/// [`Failure`] when it is empty or the working folder is gone.
pub fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| {
        Failure::usage(
            "path",
            format!("{} cannot be used: {error}", path.display()),
        )
    })
}
