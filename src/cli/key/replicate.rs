//! `key replicate`: a custody key on a second token, wrapped by the first and unwrapped by the second, never in the clear between them.

use super::blob;
use super::copies::{Copies, OtherToken, OtherTokens};
use super::documents::{Bundle, Request, TokenName};
use crate::cli::output::{Failure, Report};
use crate::cli::token::{TokenArgs, absolute, open};
use crate::cli::{Context, files, process};
use crate::config::secret_file;
use clap::{Args, Subcommand};
use fips::secret::SecretBytes;
use hsm::pkcs11::Pkcs11Custody;
use hsm::public_key::PublicKey;
use hsm::{Custody, KeyFingerprint, KeyInfo, Padding, Sealed, TransportKey, WrappedKey};
use serde_json::json;
use std::path::PathBuf;

/// `key replicate`.
#[derive(Debug, Args)]
#[command(after_help = "Both tokens reachable from one host:
  pfx-connector key replicate direct --config engine.toml --fingerprint KEY \\
      --to module=/usr/lib/softhsm/libsofthsm2.so,label=second,pin-file=/etc/pfx-connector/second.pin

On two hosts, step by step; the two fingerprints are brought by a person, not with the files:
  receiver$ pfx-connector key replicate request --config engine.toml --out request.json
  source$   pfx-connector key replicate wrap    --config engine.toml --request request.json \\
                --transport-fingerprint TRANSPORT --fingerprint KEY --out bundle.json
  receiver$ pfx-connector key replicate unwrap  --config engine.toml --bundle bundle.json --fingerprint KEY
  source$   pfx-connector key replicate seal    --config engine.toml --fingerprint KEY --no-more-copies

Only a key that was made with `key generate --replicable` and is not sealed yet can be copied. Custody does not use it before it is sealed.")]
pub(super) struct ReplicateArgs {
    #[command(subcommand)]
    step: Step,
}

#[derive(Debug, Subcommand)]
enum Step {
    /// On the receiving token: make a transport key that is used once, and write its public half to a file
    Request(RequestArgs),
    /// On the token that has the key: wrap it to the receiver's transport key, into a file
    Wrap(WrapArgs),
    /// Where a private key was exported by Microsoft's tools: wrap it to the receiver's transport key, into a file
    WrapBlob(WrapBlobArgs),
    /// On the receiving token: unwrap the key, compare it, try it, and destroy the transport key
    Unwrap(UnwrapArgs),
    /// On the token where the key was generated: make it not extractable, for ever; custody uses it from then on
    Seal(SealArgs),
    /// Request, wrap and unwrap in one go, where both tokens are reachable from here
    Direct(DirectArgs),
}

#[derive(Debug, Args)]
struct RequestArgs {
    #[command(flatten)]
    token: TokenArgs,
    /// Length of the transport key: not shorter than the key that is to be received
    #[arg(long, value_name = "BITS", default_value_t = 4096, value_parser = super::parse_bits)]
    bits: u32,
    /// File for the request; one that exists is not overwritten
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(Debug, Args)]
struct WrapArgs {
    #[command(flatten)]
    token: TokenArgs,
    /// The receiver's request
    #[arg(long, value_name = "FILE")]
    request: PathBuf,
    /// Fingerprint of the transport key, as `key replicate request` said it at the receiver
    #[arg(long, value_name = "HEX")]
    transport_fingerprint: KeyFingerprint,
    /// Fingerprint of the key that is to be copied
    #[arg(long, value_name = "HEX")]
    fingerprint: KeyFingerprint,
    /// File for the bundle; one that exists is not overwritten
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(Debug, Args)]
struct WrapBlobArgs {
    /// The exported private key (RSAFULLPRIVATEBLOB), in a file that only its owner can read
    #[arg(long, value_name = "FILE")]
    rsa_full_private_blob: PathBuf,
    /// The receiver's request
    #[arg(long, value_name = "FILE")]
    request: PathBuf,
    /// Fingerprint of the transport key, as `key replicate request` said it at the receiver
    #[arg(long, value_name = "HEX")]
    transport_fingerprint: KeyFingerprint,
    /// Fingerprint of the key in the blob (SHA-256 of its SubjectPublicKeyInfo)
    #[arg(long, value_name = "HEX")]
    fingerprint: KeyFingerprint,
    /// Label that the copy is to get
    #[arg(long, value_name = "LABEL")]
    key_label: String,
    /// Configuration whose [fips] is in force; without it the FIPS mode is off. Strict mode needs the exception
    /// rsa-key-transport-in-module
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// File for the bundle; one that exists is not overwritten
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(Debug, Args)]
struct UnwrapArgs {
    #[command(flatten)]
    token: TokenArgs,
    /// The bundle
    #[arg(long, value_name = "FILE")]
    bundle: PathBuf,
    /// Fingerprint of the key that has to be in it, as the source token shows it
    #[arg(long, value_name = "HEX")]
    fingerprint: KeyFingerprint,
    /// Label of the copy, in place of the one in the bundle
    #[arg(long, value_name = "LABEL")]
    key_label: Option<String>,
}

#[derive(Debug, Args)]
struct SealArgs {
    #[command(flatten)]
    token: TokenArgs,
    /// Fingerprint of the key
    #[arg(long, value_name = "HEX")]
    fingerprint: KeyFingerprint,
    #[command(flatten)]
    others: OtherTokens,
    /// Seal it although no usable copy is known on a token named by --also: it can never be copied afterwards
    #[arg(long)]
    no_more_copies: bool,
}

#[derive(Debug, Args)]
struct DirectArgs {
    #[command(flatten)]
    token: TokenArgs,
    /// Fingerprint of the key that is to be copied
    #[arg(long, value_name = "HEX")]
    fingerprint: KeyFingerprint,
    /// The receiving token: module=FILE,label=LABEL,pin-file=FILE
    #[arg(long, value_name = "TOKEN")]
    to: OtherToken,
    /// Label of the copy; without it that of the key
    #[arg(long, value_name = "LABEL")]
    key_label: Option<String>,
    /// Seal the key on its own token afterwards: this was the last copy
    #[arg(long)]
    seal: bool,
}

/// Runs one step.
pub(super) fn run(args: &ReplicateArgs, context: &Context) -> Result<Report, Failure> {
    match &args.step {
        Step::Request(args) => request(args, context),
        Step::Wrap(args) => wrap(args, context),
        Step::WrapBlob(args) => wrap_blob(args),
        Step::Unwrap(args) => unwrap(args, context),
        Step::Seal(args) => seal(args, context),
        Step::Direct(args) => direct(args, context),
    }
}

fn request(args: &RequestArgs, context: &Context) -> Result<Report, Failure> {
    let out = absolute(&args.out)?;
    files::must_be_new(&out)?;
    let custody = open(args.token.settings("key replicate", &context.args)?)?;
    let transport = custody.make_transport_key(args.bits)?;
    let written = Request::new(&custody.token(), &transport).write(&out);
    if written.is_err() {
        // Of no use without the file.
        let _ = custody.destroy(&transport.fingerprint);
    }
    written?;
    let token = custody.token();
    let text = format!(
        "Made a transport key on {} (serial {}) and wrote {}.\nTransport fingerprint  {}\nPaddings               {}\nBring the file to the token that \
         has the key, and the fingerprint by another way: `key replicate wrap` asks for it.",
        token.label,
        token.serial,
        out.display(),
        transport.fingerprint,
        list(&transport.paddings)
    );
    Ok(Report::done(
        json!({
            "file": out,
            "transportFingerprint": transport.fingerprint,
            "transportLabel": transport.label,
            "modulusBits": transport.modulus_bits,
            "paddings": transport.paddings,
            "token": token,
        }),
        text,
    ))
}

fn list(paddings: &[Padding]) -> String {
    paddings
        .iter()
        .map(|padding| padding.name())
        .collect::<Vec<_>>()
        .join(", ")
}

fn wrap(args: &WrapArgs, context: &Context) -> Result<Report, Failure> {
    let out = absolute(&args.out)?;
    files::must_be_new(&out)?;
    let (request, transport) = Request::read(&args.request, &args.transport_fingerprint)?;
    let custody = open(args.token.settings("key replicate", &context.args)?)?;
    let key = named(&custody, &args.fingerprint)?;
    let wrapped = custody.wrap_for(&key.fingerprint, &transport)?;
    let padding = wrapped.padding;
    let token = custody.token();
    let bundle = Bundle::new(
        Some(&token),
        &request,
        (key.fingerprint, &key.label, &key.spki_der),
        wrapped,
    );
    bundle.write(&out)?;
    Ok(wrapped_report(
        &out,
        &request,
        padding,
        &key.fingerprint,
        &format!("{} (serial {})", token.label, token.serial),
    ))
}

fn wrapped_report(
    out: &std::path::Path,
    request: &Request,
    padding: Padding,
    fingerprint: &KeyFingerprint,
    source: &str,
) -> Report {
    let text = format!(
        "Wrapped {fingerprint} of {source} for the token {} (serial {}), RSAES-OAEP ({padding}) and AES-KWP: {}.\nBring the file there; \
         `key replicate unwrap` asks for the fingerprint of the key.",
        request.target.label,
        request.target.serial,
        out.display()
    );
    Report::done(
        json!({"file": out, "fingerprint": fingerprint, "padding": padding, "target": request.target}),
        text,
    )
}

fn wrap_blob(args: &WrapBlobArgs) -> Result<Report, Failure> {
    process::protect_memory()?;
    match &args.config {
        Some(file) => {
            crate::config::load(file)?.start_module()?;
        }
        None => process::start_module_without_configuration()?,
    }
    super::printable_label(&args.key_label)?;
    let out = absolute(&args.out)?;
    files::must_be_new(&out)?;
    let (request, transport) = Request::read(&args.request, &args.transport_fingerprint)?;
    // What the reading of secret files cuts off, a line end, no blob ends in: its last number is odd.
    let exported = blob::read(secret_file::read(&args.rsa_full_private_blob)?.expose())?;
    let found = exported.public.fingerprint()?;
    if found != args.fingerprint {
        return Err(Failure::failed(
            "other_key",
            format!("the blob holds the key {found}, not {}", args.fingerprint),
        ));
    }
    if transport.modulus_bits < exported.public.modulus_bits() {
        return Err(hsm::Error::from(hsm::KeyLifeProblem::WeakTransport {
            transport: transport.modulus_bits,
            key: exported.public.modulus_bits(),
        })
        .into());
    }
    let wrapped = wrap_in_module(&exported.pkcs8, &transport)?;
    let padding = wrapped.padding;
    let spki = exported.public.to_spki_der()?;
    Bundle::new(None, &request, (found, &args.key_label, &spki), wrapped).write(&out)?;
    Ok(wrapped_report(&out, &request, padding, &found, "the blob"))
}

/// AES-KWP and RSAES-OAEP in the module.
fn wrap_in_module(pkcs8: &SecretBytes, transport: &TransportKey) -> Result<WrappedKey, Failure> {
    let padding = [
        Padding::OaepSha256,
        Padding::OaepSha384,
        Padding::OaepSha512,
        Padding::OaepSha1,
    ]
    .into_iter()
    .find(|padding| transport.paddings.contains(padding))
    .ok_or_else(|| Failure::usage("replication_file", "the request names no padding"))?;
    let hash = padding
        .hash()
        .ok_or(hsm::Error::PaddingNotSupported(padding))?;
    let receiver = fips::rsa::PublicKey::from_spki(&transport.spki_der)?;
    let kek = fips::random::secret(32)?;
    Ok(WrappedKey {
        padding,
        wrapped_kek: receiver.encrypt_oaep(hash, kek.expose())?,
        wrapped_key: fips::aes::key_wrap_padded(&kek, pkcs8)?,
    })
}

fn unwrap(args: &UnwrapArgs, context: &Context) -> Result<Report, Failure> {
    let (bundle, public) = Bundle::read(&args.bundle, &args.fingerprint)?;
    let label = args.key_label.as_deref().unwrap_or(&bundle.label);
    super::printable_label(label)?;
    let custody = open(args.token.settings("key replicate", &context.args)?)?;
    let token = custody.token();
    if TokenName::from(&token) != bundle.target {
        return Err(Failure::failed(
            "other_token",
            format!(
                "the bundle is for the token {} (serial {}), this is {} (serial {})",
                bundle.target.label, bundle.target.serial, token.label, token.serial
            ),
        )
        .hint("unwrap it where the request was made"));
    }
    let copy = custody.unwrap(
        &bundle.transport_fingerprint,
        &bundle.wrapped(),
        &public,
        label,
    )?;
    Ok(unwrapped_report(&custody, &copy))
}

fn unwrapped_report(custody: &Pkcs11Custody, copy: &KeyInfo) -> Report {
    let mut report =
        crate::cli::key_report::show(&custody.token(), copy, &custody.capabilities(), None);
    report.text = format!(
        "Unwrapped a copy: it is the key that was expected, it decrypts, and the transport key is destroyed.\n{}",
        report.text
    );
    report
}

fn named(custody: &Pkcs11Custody, fingerprint: &KeyFingerprint) -> Result<KeyInfo, Failure> {
    custody
        .keys()?
        .into_iter()
        .find(|key| key.fingerprint == *fingerprint)
        .ok_or_else(|| hsm::Error::UnknownKey(*fingerprint).into())
}

fn seal(args: &SealArgs, context: &Context) -> Result<Report, Failure> {
    let custody = open(args.token.settings("key replicate", &context.args)?)?;
    let copies = Copies::look(&custody, &args.others.also)?;
    let elsewhere = copies.elsewhere(&args.fingerprint, &custody.token());
    let key = named(&custody, &args.fingerprint)?;
    if key.attributes.extractable == Some(true) && elsewhere == 0 && !args.no_more_copies {
        return Err(Failure::failed(
            "no_copy",
            "no usable copy is known on another token, and a sealed key can never be copied",
        )
        .hint(
            "name a token that has a copy by `--also`, or say `--no-more-copies` if that is meant",
        ));
    }
    let sealed = custody.seal(&args.fingerprint)?;
    Ok(sealed_report(&sealed, elsewhere))
}

fn sealed_report(sealed: &Sealed, elsewhere: usize) -> Report {
    let text = format!(
        "{} {} ({}): CKA_EXTRACTABLE is false, for ever.\nUsable copies on the other tokens that were named: {elsewhere}.",
        if sealed.already {
            "Was sealed already:"
        } else {
            "Sealed"
        },
        sealed.key.label,
        sealed.key.fingerprint
    );
    Report::done(
        json!({
            "fingerprint": sealed.key.fingerprint,
            "label": sealed.key.label,
            "already": sealed.already,
            "usable": sealed.key.is_usable(),
            "attributes": sealed.key.attributes,
            "origin": sealed.key.attributes.origin(),
            "copiesElsewhere": elsewhere,
        }),
        text,
    )
}

fn direct(args: &DirectArgs, context: &Context) -> Result<Report, Failure> {
    let source = open(args.token.settings("key replicate", &context.args)?)?;
    let target = args.to.open()?;
    let key = named(&source, &args.fingerprint)?;
    let label = args.key_label.as_deref().unwrap_or(&key.label);
    let copy = copy(&source, &target, &key, label)?;
    let mut report = unwrapped_report(&target, &copy);
    if args.seal {
        let sealed = sealed_report(&source.seal(&key.fingerprint)?, 1);
        report.text = format!("{}\n{}", report.text, sealed.text);
        if let serde_json::Value::Object(fields) = &mut report.json {
            fields.insert("sealed".to_owned(), sealed.json);
        }
    }
    Ok(report)
}

/// Copies a key between two tokens that are both open. A transport key that was of no use is destroyed.
pub(super) fn copy(
    source: &Pkcs11Custody,
    target: &Pkcs11Custody,
    key: &KeyInfo,
    label: &str,
) -> Result<KeyInfo, Failure> {
    let public = PublicKey::from_spki_der(&key.spki_der)?;
    // Refused before a transport key is made for nothing.
    if key.attributes.extractable != Some(true) {
        return Err(hsm::Error::from(hsm::KeyLifeProblem::NotReplicable(key.fingerprint)).into());
    }
    let transport = target.make_transport_key(key.modulus_bits)?;
    let copied = source
        .wrap_for(&key.fingerprint, &transport)
        .and_then(|wrapped| target.unwrap(&transport.fingerprint, &wrapped, &public, label));
    if copied.is_err()
        && let Err(error) = target.destroy(&transport.fingerprint)
    {
        tracing::warn!(%error, transport = %transport.fingerprint, "the transport key could not be destroyed");
    }
    Ok(copied?)
}
