//! Further tokens on which a copy of a key may be, and what is found there.

use crate::cli::output::Failure;
use crate::cli::token::{TokenSettings, absolute, open};
use clap::Args;
use hsm::pin::PinSource;
use hsm::pkcs11::{Pkcs11Custody, TokenConfig};
use hsm::{Custody, KeyFingerprint, KeyOrigin, TokenInfo};
use serde::Serialize;
use std::path::PathBuf;
use std::str::FromStr;

/// Tokens beside the one that the command works on.
#[derive(Debug, Clone, Args)]
pub(in crate::cli) struct OtherTokens {
    /// Another token on which a copy of the key may be, to be looked at as well; may be given several times.
    /// TOKEN is `module=FILE,label=LABEL,pin-file=FILE`, and for a module that is told something at C_Initialize (NSS softoken), as the last
    /// of them, `init-parameters=TEXT`
    #[arg(long, value_name = "TOKEN")]
    pub(in crate::cli) also: Vec<OtherToken>,
}

/// A token in one argument: `module=FILE,label=LABEL,pin-file=FILE`, and `init-parameters=TEXT` behind them, which goes to the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct OtherToken {
    module: PathBuf,
    label: String,
    pin_file: PathBuf,
    init_parameters: Option<String>,
}

impl FromStr for OtherToken {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (mut module, mut label, mut pin_file) = (None, None, None);
        // Parameters of modules have commas in them: they come last, and have no end but that of the argument.
        let (text, init_parameters) = match text.split_once(",init-parameters=") {
            Some((_, "")) => return Err("`init-parameters` is empty".to_owned()),
            Some((text, parameters)) => (text, Some(parameters.to_owned())),
            None => (text, None),
        };
        for part in text.split(',') {
            let Some((name, value)) = part.split_once('=') else {
                return Err(format!("`{part}` is not NAME=VALUE"));
            };
            let place = match name {
                "module" => &mut module,
                "label" => &mut label,
                "pin-file" => &mut pin_file,
                _ => {
                    return Err(format!(
                        "`{name}` is not module, label or pin-file (nor init-parameters behind them)"
                    ));
                }
            };
            if value.is_empty() || place.replace(value.to_owned()).is_some() {
                return Err(format!("`{name}` is empty or given twice"));
            }
        }
        match (module, label, pin_file) {
            (Some(module), Some(label), Some(pin_file)) => Ok(Self {
                module: module.into(),
                label,
                pin_file: pin_file.into(),
                init_parameters,
            }),
            _ => Err("a token is module=FILE,label=LABEL,pin-file=FILE".to_owned()),
        }
    }
}

impl OtherToken {
    /// A token by its three names.
    pub(in crate::cli) fn new(module: PathBuf, label: String, pin_file: PathBuf) -> Self {
        Self {
            module,
            label,
            pin_file,
            init_parameters: None,
        }
    }

    /// The same, with what its module is told at C_Initialize.
    pub(in crate::cli) fn told(self, init_parameters: Option<String>) -> Self {
        Self {
            init_parameters,
            ..self
        }
    }

    /// Opens the token, for one person's command.
    pub(in crate::cli) fn open(&self) -> Result<Pkcs11Custody, Failure> {
        if !self.module.is_absolute() {
            return Err(Failure::usage(
                "module_path",
                format!("`module={}` is not an absolute path", self.module.display()),
            ));
        }
        let pin = PinSource::File(absolute(&self.pin_file)?);
        open(TokenSettings::of_user(TokenConfig {
            init_parameters: self.init_parameters.clone(),
            token_label: Some(self.label.clone()),
            ..TokenConfig::new(self.module.clone(), pin)
        }))
        .map_err(|failure| failure.doing(format!("the token {}", self.label)))
    }
}

/// A copy of a key on one token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::cli) struct Copy {
    /// The token's label.
    pub(in crate::cli) token: String,
    /// The token's serial number.
    pub(in crate::cli) serial: String,
    /// Which key.
    pub(in crate::cli) fingerprint: KeyFingerprint,
    /// Whether custody uses it.
    pub(in crate::cli) usable: bool,
    /// Where it came from.
    pub(in crate::cli) origin: KeyOrigin,
}

/// Every private RSA key of the tokens that a command was given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::cli) struct Copies {
    all: Vec<Copy>,
    tokens: usize,
}

impl Copies {
    /// Looks at the token of the command and at all others.
    pub(in crate::cli) fn look(
        custody: &Pkcs11Custody,
        others: &[OtherToken],
    ) -> Result<Self, Failure> {
        let mut seen = vec![identity(&custody.token())];
        let mut copies = Self::default();
        copies.add(custody)?;
        for other in others {
            let custody = other.open()?;
            let identity = identity(&custody.token());
            if seen.contains(&identity) {
                return Err(Failure::usage(
                    "token_named_twice",
                    format!(
                        "the token {} is named twice: its keys would count twice",
                        other.label
                    ),
                ));
            }
            seen.push(identity);
            copies.add(&custody)?;
        }
        Ok(copies)
    }

    fn add(&mut self, custody: &Pkcs11Custody) -> Result<(), Failure> {
        let token = custody.token();
        self.tokens += 1;
        self.all.extend(custody.keys()?.into_iter().map(|key| Copy {
            token: token.label.clone(),
            serial: token.serial.clone(),
            fingerprint: key.fingerprint,
            usable: key.is_usable(),
            origin: key.attributes.origin(),
        }));
        Ok(())
    }

    /// How many tokens were looked at.
    pub(in crate::cli) fn tokens(&self) -> usize {
        self.tokens
    }

    /// The copies of one key.
    pub(in crate::cli) fn of(&self, fingerprint: &KeyFingerprint) -> Vec<&Copy> {
        self.all
            .iter()
            .filter(|copy| copy.fingerprint == *fingerprint)
            .collect()
    }

    /// Usable copies of a key on tokens other than that of `serial`.
    pub(in crate::cli) fn elsewhere(
        &self,
        fingerprint: &KeyFingerprint,
        token: &TokenInfo,
    ) -> usize {
        self.of(fingerprint)
            .into_iter()
            .filter(|copy| {
                copy.usable && (&copy.serial, &copy.token) != (&token.serial, &token.label)
            })
            .count()
    }
}

/// A token is itself whatever module leads to it.
pub(in crate::cli) fn identity(token: &TokenInfo) -> (String, String, String, String) {
    (
        token.manufacturer.clone(),
        token.model.clone(),
        token.serial.clone(),
        token.label.clone(),
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;

    #[test]
    fn a_token_in_one_argument_names_module_label_and_pin_file_once_each() {
        let token: OtherToken = "pin-file=/p,module=/m.so,label=two words".parse().unwrap();
        assert_eq!(
            token,
            OtherToken::new("/m.so".into(), "two words".into(), "/p".into())
        );
        let parameters = "configdir='sql:/db' flags=noModDB,noCertDB";
        let told: OtherToken =
            format!("module=/m.so,label=two words,pin-file=/p,init-parameters={parameters}")
                .parse()
                .unwrap();
        assert_eq!(told, token.told(Some(parameters.to_owned())));
        for bad in [
            "",
            "init-parameters=x,module=/m.so,label=a,pin-file=/p",
            "module=/m.so,label=a,pin-file=/p,init-parameters=",
            "module=/m.so",
            "module=/m.so,label=a",
            "module=/m.so,label=a,pin-file=",
            "module=/m.so,label=a,pin-file=/p,label=b",
            "module=/m.so,label=a,pin-file=/p,pin=1234",
            "module",
        ] {
            assert!(bad.parse::<OtherToken>().is_err(), "{bad}");
        }
    }
}
