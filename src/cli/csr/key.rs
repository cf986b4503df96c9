//! The key of a request: a new one, one from a file, or one on a token.

use crate::cli::output::Failure;
use crate::cli::token::{self, TokenArgs};
use crate::cli::{Context, files};
use crate::config::secret_file;
use clap::{ArgGroup, Args};
use der::pem::LineEnding;
use fips::policy::Policy;
use fips::secret::SecretBytes;
use fips::sign::{SignatureAlgorithm, SigningKey};
use formats::pfx::write::encrypted_private_key;
use formats::pfx::{PfxError, PfxLimits, read_encrypted_private_key};
use hsm::pkcs11::Pkcs11Custody;
use hsm::{SigningKeyInfo, SigningKeyName};
use pkcs8::SecretDocument;
use pki::key::KeySpec;
use pki::{KeyAndAlgorithm, SignError, Signer};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Labels of keys (RFC 7468 sections 10 and 11).
const PRIVATE_KEY: &str = "PRIVATE KEY";
const ENCRYPTED_PRIVATE_KEY: &str = "ENCRYPTED PRIVATE KEY";

/// Which key. Exactly one of the three.
#[derive(Debug, Args)]
#[group(skip)]
#[command(group = ArgGroup::new("source").required(true).args(["new_key", "key", "key_label"]))]
pub(super) struct KeyArgs {
    /// Make a key: rsa-2048, rsa-3072, rsa-4096, ec-p256, ec-p384 or ec-p521
    #[arg(long, value_name = "KIND", requires = "key_out")]
    new_key: Option<KeySpec>,
    /// File for the new key (PKCS#8, PEM), readable by you only; one that exists is not overwritten
    #[arg(long, value_name = "FILE", requires = "new_key")]
    key_out: Option<PathBuf>,
    /// Use the key in this file (PKCS#8, PEM)
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// File with the password that the key's file is, or will be, encrypted under
    #[arg(long, value_name = "FILE", conflicts_with_all = ["plain_key", "key_label"])]
    key_password_file: Option<PathBuf>,
    /// Write the new key without encryption: whoever reads the file has the key
    #[arg(long, requires = "new_key")]
    plain_key: bool,
    /// Sign with the key of this label on the token of --config: a signing key, not a custody key
    #[arg(long, value_name = "LABEL", requires = "config")]
    key_label: Option<String>,
    /// Configuration file with the token of --key-label
    #[arg(long, value_name = "FILE", requires = "key_label")]
    config: Option<PathBuf>,
    /// Name of the token, where the configuration has several
    #[arg(long, value_name = "NAME", requires = "config")]
    token: Option<String>,
    /// How to sign: rsa-pkcs1-sha256 (and -sha384, -sha512), rsa-pss-sha256 (and so on); the usual one of the key without this
    #[arg(long, value_name = "ALGORITHM", conflicts_with = "key_label")]
    signature: Option<String>,
}

/// How the file of a key is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Protection {
    /// Encrypted under a password.
    Encrypted,
    /// Not at all, but by the file's mode.
    Plain,
    /// On the token.
    Token,
}

impl Protection {
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Encrypted => "encrypted under the password",
            Self::Plain => "not encrypted: keep the file where nobody else reads it",
            Self::Token => "on the token",
        }
    }
}

/// A key that is ready to sign.
pub(super) struct Source {
    signer: OwnSigner,
    protection: Protection,
    /// Where a new key goes, and under which password.
    new: Option<(PathBuf, Option<SecretBytes>)>,
}

enum OwnSigner {
    Key(ModuleSigner),
    Token(Box<TokenSigner>),
}

struct ModuleSigner {
    key: SigningKey,
    algorithm: SignatureAlgorithm,
}

impl Signer for ModuleSigner {
    fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }

    fn spki_der(&self) -> &[u8] {
        self.key.spki_der()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        KeyAndAlgorithm::new(&self.key, self.algorithm).sign(message)
    }
}

struct TokenSigner {
    custody: Pkcs11Custody,
    key: SigningKeyInfo,
}

impl Signer for TokenSigner {
    fn algorithm(&self) -> SignatureAlgorithm {
        self.key.algorithm
    }

    fn spki_der(&self) -> &[u8] {
        &self.key.spki_der
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        self.custody
            .sign(&SigningKeyName::Fingerprint(self.key.fingerprint), message)
            .map(|signed| signed.signature)
            .map_err(|error| SignError::Holder {
                problem: error.to_string(),
            })
    }
}

impl KeyArgs {
    /// Refuses early what could not be written at the end.
    pub(super) fn check(&self, out: &Path) -> Result<(), Failure> {
        let Some(key_out) = &self.key_out else {
            return Ok(());
        };
        files::must_be_new(key_out)?;
        if key_out == out {
            return Err(Failure::usage(
                "same_file",
                "--out and --key-out name the same file",
            ));
        }
        if self.key_password_file.is_none() && !self.plain_key {
            return Err(Failure::usage(
                "key_protection",
                "it is not said how the new key is to be protected",
            )
            .hint("name a file with a password by `--key-password-file`, or say `--plain-key`"));
        }
        Ok(())
    }

    /// Makes, reads or finds the key. Strict FIPS mode, unless the configuration of the token says otherwise: nothing here needs less.
    pub(super) fn open(&self, context: &Context) -> Result<Source, Failure> {
        if let Some(label) = &self.key_label {
            return self.on_token(label, context);
        }
        fips::start(Policy::STRICT)?;
        let password = match &self.key_password_file {
            Some(file) => Some(secret_file::read(file)?),
            None => None,
        };
        let (key, protection, new) = match (&self.new_key, &self.key) {
            (Some(kind), _) => {
                let protection = match password {
                    Some(_) => Protection::Encrypted,
                    None => Protection::Plain,
                };
                let new = self.key_out.clone().map(|file| (file, password));
                (kind.generate()?, protection, new)
            }
            (None, file) => {
                let file = file.as_deref().unwrap_or(Path::new(""));
                let (key, protection) = read(file, password.as_ref())?;
                (key, protection, None)
            }
        };
        let algorithm = self.algorithm(&key)?;
        Ok(Source {
            signer: OwnSigner::Key(ModuleSigner { key, algorithm }),
            protection,
            new,
        })
    }

    fn on_token(&self, label: &str, context: &Context) -> Result<Source, Failure> {
        let arguments = TokenArgs {
            config: self.config.clone(),
            token: self.token.clone(),
            module: None,
            init_parameters: None,
            token_label: None,
            pin_file: None,
        };
        let custody = token::open(arguments.settings("csr create", &context.args)?)?;
        let key = custody.signing_key(&SigningKeyName::Label(label.to_owned()))?;
        Ok(Source {
            signer: OwnSigner::Token(Box::new(TokenSigner { custody, key })),
            protection: Protection::Token,
            new: None,
        })
    }

    fn algorithm(&self, key: &SigningKey) -> Result<SignatureAlgorithm, Failure> {
        let Some(wanted) = &self.signature else {
            return Ok(key.algorithm());
        };
        let possible = match key.algorithm().curve() {
            None => KeySpec::Rsa2048.algorithms(),
            Some(_) => &[key.algorithm()],
        };
        possible
            .iter()
            .copied()
            .find(|algorithm| algorithm.name() == wanted)
            .ok_or_else(|| {
                let names: Vec<&str> = possible.iter().map(|algorithm| algorithm.name()).collect();
                Failure::usage(
                    "signature",
                    format!("this key does not sign with {wanted:?}"),
                )
                .hint(format!("one of {}", names.join(", ")))
            })
    }
}

/// The key in a file: PKCS#8 in PEM, plain or encrypted, which only its owner may read.
fn read(path: &Path, password: Option<&SecretBytes>) -> Result<(SigningKey, Protection), Failure> {
    let unusable = |reason: &str| {
        Failure::usage("key_file", format!("{}: {reason}", path.display()))
            .hint("`openssl pkcs8 -topk8` makes PKCS#8 in PEM of other forms")
    };
    let pem = secret_file::read(path)?;
    let text = std::str::from_utf8(pem.expose()).map_err(|_| unusable("it is not PEM"))?;
    let (label, document) =
        SecretDocument::from_pem(text).map_err(|_| unusable("it is not one key in PEM"))?;
    match (label, password) {
        (PRIVATE_KEY, None) => {
            let key = SigningKey::from_pkcs8(document.as_bytes());
            Ok((
                key.map_err(|error| unusable(&error.to_string()))?,
                Protection::Plain,
            ))
        }
        (PRIVATE_KEY, Some(_)) => Err(unusable(
            "it is not encrypted: leave --key-password-file out",
        )),
        (ENCRYPTED_PRIVATE_KEY, Some(password)) => {
            let limits = PfxLimits::default();
            let pkcs8 = read_encrypted_private_key(document.as_bytes(), password, &limits)
                .map_err(|error| refused(&error).doing(path.display()))?;
            let key = SigningKey::from_pkcs8(pkcs8.expose());
            Ok((
                key.map_err(|error| unusable(&error.to_string()))?,
                Protection::Encrypted,
            ))
        }
        (ENCRYPTED_PRIVATE_KEY, None) => Err(Failure::usage(
            "key_password",
            format!("{} is encrypted", path.display()),
        )
        .hint("name a file with its password by `--key-password-file`")),
        _ => Err(unusable(
            "it is not a PKCS#8 key (`BEGIN PRIVATE KEY` or `BEGIN ENCRYPTED PRIVATE KEY`)",
        )),
    }
}

/// The reader's own words are about PFX files, of which these keys are a part.
fn refused(error: &PfxError) -> Failure {
    match error.code() {
        "wrong_password" => {
            Failure::failed("wrong_password", "the password does not decrypt the key")
        }
        code => Failure::failed(code, error.to_string()),
    }
}

impl Source {
    pub(super) fn signer(&self) -> &dyn Signer {
        match &self.signer {
            OwnSigner::Key(key) => key,
            OwnSigner::Token(token) => token.as_ref(),
        }
    }

    pub(super) const fn protection(&self) -> Protection {
        self.protection
    }

    /// The key in words.
    pub(super) fn words(&self) -> String {
        let key = pki::key::words(self.signer().spki_der());
        match (&self.signer, &self.new) {
            (OwnSigner::Token(token), _) => {
                format!("the key {:?} on the token ({key})", token.key.label)
            }
            (_, Some(_)) => format!("a new key ({key})"),
            (_, None) => format!("an existing key ({key})"),
        }
    }

    /// Writes a new key into its file; gives the file.
    pub(super) fn store(&self) -> Result<Option<PathBuf>, Failure> {
        let (OwnSigner::Key(signer), Some((file, password))) = (&self.signer, &self.new) else {
            return Ok(None);
        };
        let pkcs8 = signer.key.pkcs8_der()?;
        let encoded = |error: der::Error| Failure::failed("encoding", error.to_string());
        let pem = match password {
            None => SecretDocument::try_from(pkcs8.expose())
                .and_then(|document| document.to_pem(PRIVATE_KEY, LineEnding::LF))
                .map_err(encoded)?,
            Some(password) => {
                let der = encrypted_private_key(&pkcs8, password)
                    .map_err(|error| Failure::failed(error.code(), error.to_string()))?;
                SecretDocument::try_from(der.as_slice())
                    .and_then(|document| document.to_pem(ENCRYPTED_PRIVATE_KEY, LineEnding::LF))
                    .map_err(encoded)?
            }
        };
        files::place_new(file, pem.as_bytes(), 0o600)?;
        Ok(Some(file.clone()))
    }
}
