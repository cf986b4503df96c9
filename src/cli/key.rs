//! `key`: custody keys, which are made on a token and never leave it.

mod approval;
mod attest;
mod blob;
mod ceremony;
mod ceremony_file;
pub(super) mod copies;
mod destroy;
mod device;
mod documents;
mod replicate;
mod rotate;
mod rotation;
mod tpm;
mod transcript;
mod verify;
mod yubihsm;

use super::Context;
use super::output::{Exit, Failure, Report};
use super::token::{KeyChoice, TokenArgs, absolute, best_padding, open};
use super::{files, key_report, process};
use crate::encoding::{is_printable, public_key_pem};
use clap::{Args, Subcommand, ValueEnum};
use copies::{Copies, OtherTokens};
use fips::sign::KeyKind;
use hsm::pin::PinSource;
use hsm::pkcs11::{GenerateKey, GenerateSigningKey, init_token};
use hsm::public_key::PublicKey;
use hsm::{Custody, KeyAudit, KeyInfo};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// `key`.
#[derive(Debug, Args)]
pub struct KeyArgs {
    #[command(subcommand)]
    command: KeyCommand,
}

#[derive(Debug, Subcommand)]
enum KeyCommand {
    /// Make a custody key on the token: sensitive, not extractable, for decryption only
    Generate(GenerateArgs),
    /// Make a key on the token that signs and does nothing else: evidence reports (`report_token_key` of [fips]), or what a connector is
    /// known by ([[engine.client_keys]])
    GenerateSigning(GenerateSigning),
    /// List the keys of the token: the private RSA keys with their attributes and origin, and whatever else is there
    #[command(after_help = "Examples:
  pfx-connector key list --config engine.toml
  pfx-connector key list --config engine.toml --also module=/usr/lib/softhsm/libsofthsm2.so,label=second,pin-file=/etc/pfx-connector/second.pin --json")]
    List {
        #[command(flatten)]
        token: TokenArgs,
        #[command(flatten)]
        choice: KeyChoice,
        #[command(flatten)]
        others: OtherTokens,
    },
    /// Show one key: every attribute, where it came from, what the token does with it, and which padding to import with
    Show {
        #[command(flatten)]
        token: TokenArgs,
        #[command(flatten)]
        choice: KeyChoice,
        #[command(flatten)]
        others: OtherTokens,
    },
    /// Make a custody key as one reviewed file says, with copies, exports and a signed transcript
    Ceremony(ceremony::CeremonyArgs),
    /// Try a key: encrypt with its public half, decrypt on the token, make a CMS message for a throw-away device and open it
    Verify(verify::VerifyArgs),
    /// Copy a key to another token, wrapped by the one and unwrapped by the other
    Replicate(replicate::ReplicateArgs),
    /// Have every record of one custody key re-encrypted to another one by the running engine; both keys stay
    Rotate(rotate::RotateArgs),
    /// Collect what the token has of its vendor's attestation for a key; a YubiHSM's and a TPM's are verified up to what you trust
    Attest(attest::AttestArgs),
    /// Destroy a key, in two steps, by its fingerprint only
    Destroy(destroy::DestroyArgs),
    /// Make an empty token ready: a label, a security officer's PIN and a user PIN (for software tokens; a token that is in use is never touched)
    InitToken(InitToken),
    /// Write the public half to a file for those who import
    ExportPublic {
        #[command(flatten)]
        token: TokenArgs,
        #[command(flatten)]
        choice: KeyChoice,
        /// Form of the file
        #[arg(long, value_enum, default_value_t = PublicFormat::Pem)]
        format: PublicFormat,
        /// The file; one that exists is not overwritten
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pfx-connector key generate --config engine.toml --key-label pfx-custody-1
  pfx-connector key generate --config engine.toml --key-label pfx-custody-1 --replicable
      for several connectors: copy it with `key replicate`, then seal it; custody does not use it before")]
struct GenerateArgs {
    #[command(flatten)]
    token: TokenArgs,
    /// Label of the new key
    #[arg(long, value_name = "LABEL")]
    key_label: String,
    /// Length of its modulus
    #[arg(long, value_name = "BITS", default_value_t = 3072, value_parser = parse_bits)]
    bits: u32,
    /// Make it extractable (CKA_EXTRACTABLE) until `key replicate seal`: whoever has the PIN can wrap it to a key of their own in the
    /// meantime
    #[arg(long)]
    replicable: bool,
    /// Have the token ask for the PIN at each use (CKA_ALWAYS_AUTHENTICATE): a login more for each delivery
    #[arg(long)]
    always_authenticate: bool,
}

#[derive(Debug, Args)]
struct GenerateSigning {
    #[command(flatten)]
    token: TokenArgs,
    /// Label of the new key
    #[arg(long, value_name = "LABEL")]
    key_label: String,
    /// Kind of the key
    #[arg(long, value_enum, default_value_t = SigningKind::P256)]
    kind: SigningKind,
    /// Write the public half to a file (PEM), for those who verify reports; one that exists is not overwritten
    #[arg(long, value_name = "FILE")]
    out_public: Option<PathBuf>,
}

/// Kinds of signing keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum SigningKind {
    /// ECDSA on P-256 with SHA-256
    P256,
    /// ECDSA on P-384 with SHA-384
    P384,
    /// RSASSA-PSS with SHA-256 and 3072 bits
    Rsa3072,
}

impl From<SigningKind> for KeyKind {
    fn from(kind: SigningKind) -> Self {
        match kind {
            SigningKind::P256 => Self::EcP256,
            SigningKind::P384 => Self::EcP384,
            SigningKind::Rsa3072 => Self::Rsa(3072),
        }
    }
}

#[derive(Debug, Args)]
struct InitToken {
    /// PKCS#11 module (absolute path)
    #[arg(long, value_name = "FILE")]
    module: PathBuf,
    /// What the module is told at C_Initialize, where it needs that
    #[arg(long, value_name = "TEXT")]
    init_parameters: Option<String>,
    /// Label of the token, 32 bytes at most
    #[arg(long, value_name = "LABEL", value_parser = parse_token_label)]
    token_label: String,
    /// File with the security officer's PIN that only its owner can read
    #[arg(long, value_name = "FILE")]
    so_pin_file: PathBuf,
    /// File with the user PIN that only its owner can read
    #[arg(long, value_name = "FILE")]
    pin_file: PathBuf,
}

/// The label field of CK_TOKEN_INFO has 32 bytes.
fn parse_token_label(text: &str) -> Result<String, String> {
    if (1..=32).contains(&text.len()) && !text.chars().any(char::is_control) {
        Ok(text.to_owned())
    } else {
        Err("1 to 32 bytes of printable text".to_owned())
    }
}

/// Forms of a public key file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PublicFormat {
    /// SubjectPublicKeyInfo (RFC 5280) in PEM (RFC 7468)
    Pem,
    /// CNG's BCRYPT_RSAKEY_BLOB with the magic RSA1, as Microsoft's import tool takes it
    Rsapublicblob,
}

fn parse_bits(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(bits @ (2048 | 3072 | 4096)) => Ok(bits),
        _ => Err("2048, 3072 or 4096".to_owned()),
    }
}

/// Runs it.
///
/// # Errors
/// [`Failure`] when the token cannot do what was asked.
pub fn run(args: &KeyArgs, context: &Context) -> Result<Report, Failure> {
    // All of them read a PIN.
    process::protect_memory()?;
    // Opening a token tries what it can do, which takes RSA encryption by the module where the mode is off.
    report(args, context).map(Report::with_fips)
}

fn report(args: &KeyArgs, context: &Context) -> Result<Report, Failure> {
    match &args.command {
        KeyCommand::Generate(args) => generate(args, context),
        KeyCommand::GenerateSigning(args) => generate_signing(args, context),
        KeyCommand::InitToken(args) => initialise(args),
        KeyCommand::List {
            token,
            choice,
            others,
        } => {
            let custody = open(token.settings("key list", &context.args)?)?;
            let keys = choice.all(&custody)?;
            let copies = Copies::look(&custody, &others.also)?;
            let audits = custody.audit()?;
            Ok(key_report::list(&custody.token(), &keys, &audits, &copies))
        }
        KeyCommand::Show {
            token,
            choice,
            others,
        } => {
            let custody = open(token.settings("key show", &context.args)?)?;
            let key = choice.one(&custody)?;
            let known = Known {
                audits: custody.audit()?,
                copies: Copies::look(&custody, &others.also)?,
            };
            Ok(key_report::show(
                &custody.token(),
                &key,
                &custody.capabilities(),
                Some(&known),
            ))
        }
        KeyCommand::Ceremony(args) => ceremony::run(args),
        KeyCommand::Verify(args) => verify::run(args, context),
        KeyCommand::Replicate(args) => replicate::run(args, context),
        KeyCommand::Rotate(args) => rotate::run(args, context),
        KeyCommand::Attest(args) => attest::run(args, context),
        KeyCommand::Destroy(args) => destroy::run(args, context),
        KeyCommand::ExportPublic {
            token,
            choice,
            format,
            out,
        } => {
            files::must_be_new(out)?;
            let custody = open(token.settings("key export-public", &context.args)?)?;
            let key = choice.one(&custody)?;
            export(&key.spki_der, *format, &absolute(out)?)
        }
    }
}

fn generate(args: &GenerateArgs, context: &Context) -> Result<Report, Failure> {
    printable_label(&args.key_label)?;
    let custody = open(args.token.settings("key generate", &context.args)?)?;
    let request = GenerateKey {
        label: args.key_label.clone(),
        id: None,
        modulus_bits: args.bits,
        always_authenticate: args.always_authenticate,
    };
    let key = if args.replicable {
        custody.generate_replicable(&request)?
    } else {
        custody.generate(&request)?
    };
    let mut report = key_report::show(&custody.token(), &key, &custody.capabilities(), None);
    if args.replicable {
        report.text = format!(
            "Made a custody key that can be copied. Until it is sealed (`key replicate seal`), custody does not use it, and whoever has the PIN \
             can wrap it.\n{}",
            report.text
        );
    } else if key.is_usable() {
        report.text = format!("Made a custody key.\n{}", report.text);
    } else {
        report.exit = Exit::Failed;
    }
    Ok(report)
}

pub(super) fn printable_label(label: &str) -> Result<(), Failure> {
    if label.is_empty() || !label.chars().all(is_printable) {
        return Err(Failure::usage(
            "key_label",
            "the label of a key is printable text",
        ));
    }
    Ok(())
}

fn generate_signing(args: &GenerateSigning, context: &Context) -> Result<Report, Failure> {
    printable_label(&args.key_label)?;
    let out = args.out_public.as_deref().map(absolute).transpose()?;
    if let Some(out) = &out {
        files::must_be_new(out)?;
    }
    let custody = open(args.token.settings("key generate-signing", &context.args)?)?;
    let key = custody.generate_signing_key(&GenerateSigningKey {
        label: args.key_label.clone(),
        kind: args.kind.into(),
    })?;
    if let Some(out) = &out {
        let pem = public_key_pem(&key.spki_der)
            .map_err(|error| Failure::failed("encoding", error.to_string()))?;
        files::write_new(out, pem.as_bytes(), 0o644)?;
    }
    Ok(key_report::signing(&custody.token(), &key, out.as_deref()))
}

fn initialise(args: &InitToken) -> Result<Report, Failure> {
    fips::start(fips::policy::Policy::STRICT)?;
    let so_pin = PinSource::File(absolute(&args.so_pin_file)?).read()?;
    let user_pin = PinSource::File(absolute(&args.pin_file)?).read()?;
    let token = init_token(
        &args.module,
        args.init_parameters.as_deref(),
        None,
        &args.token_label,
        &so_pin,
        &user_pin,
    )?;
    let text = format!(
        "The token {} (serial {}) is ready: `key generate` makes a custody key on it.",
        token.label, token.serial
    );
    Ok(Report::done(json!({ "token": token }), text))
}

fn export(spki: &[u8], format: PublicFormat, out: &Path) -> Result<Report, Failure> {
    let key = PublicKey::from_spki_der(spki)?;
    let bytes = public_bytes(&key, format)?;
    let name = match format {
        PublicFormat::Pem => "pem",
        PublicFormat::Rsapublicblob => "rsapublicblob",
    };
    files::write_new(out, &bytes, 0o644)?;
    let fingerprint = key.fingerprint()?.to_string();
    Ok(Report::done(
        json!({"file": out, "format": name, "fingerprint": fingerprint}),
        format!(
            "Wrote {} ({name}).\nFingerprint: {fingerprint}\nGive it to those who import by another way than the file: \
             `custody_fingerprint` in their configuration.",
            out.display()
        ),
    ))
}

/// The content of a public key file.
fn public_bytes(key: &PublicKey, format: PublicFormat) -> Result<Vec<u8>, Failure> {
    Ok(match format {
        PublicFormat::Pem => key.to_spki_pem()?.into_bytes(),
        PublicFormat::Rsapublicblob => key.to_rsa_public_blob(),
    })
}

/// What is known of keys beyond what custody needs.
pub(super) struct Known {
    audits: Vec<KeyAudit>,
    copies: Copies,
}

impl Known {
    /// The audited object of a key; the first, should there be several.
    pub(super) fn audit(&self, key: &KeyInfo) -> Option<&KeyAudit> {
        self.audits
            .iter()
            .find(|audit| audit.fingerprint == Some(key.fingerprint))
    }

    /// The copies of a key on the tokens that were looked at.
    pub(super) fn copies(&self) -> &Copies {
        &self.copies
    }
}

/// The best padding as its name in a configuration.
pub(super) fn padding_name(native: &[hsm::Padding]) -> Value {
    json!(best_padding(native))
}
