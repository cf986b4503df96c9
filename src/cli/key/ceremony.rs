//! `key ceremony`: a custody key made as one reviewed file says, before witnesses, with a transcript.

use super::ceremony_file::Ceremony;
use super::transcript::Transcript;
use super::{copies, replicate, verify};
use crate::cli::files;
use crate::cli::output::{Failure, Report};
use clap::Args;
use hsm::pkcs11::{GenerateKey, Pkcs11Custody};
use hsm::public_key::PublicKey;
use hsm::{Custody, KeyInfo, SigningKeyName, TokenInfo};
use serde_json::{Value, json};
use std::fmt::Write;
use std::path::PathBuf;

/// `key ceremony`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pfx-connector key ceremony --file ceremony.toml --dry-run
      checks the file, opens every token, and prints exactly what will be done
  pfx-connector key ceremony --file ceremony.toml --sha256 5f0c...
      does it; the digest is that of the file that was reviewed, as the dry run prints it

The transcript says each step with its time, the token, the digest of the file and the fingerprints; it is written also when a step
fails. docs/keys.md has a whole file.")]
pub(super) struct CeremonyArgs {
    /// The reviewed file (TOML)
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
    /// Change nothing: check the file, open the tokens, and print what would be done
    #[arg(long, conflicts_with = "sha256")]
    dry_run: bool,
    /// SHA-256 of the file, as the dry run printed it and the witnesses compared it
    #[arg(long, value_name = "HEX", required_unless_present = "dry_run")]
    sha256: Option<String>,
    /// Configuration whose [fips] is in force; without it the FIPS mode is off
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// The tokens, open and looked at.
struct Tokens {
    source: Pkcs11Custody,
    targets: Vec<(Pkcs11Custody, String)>,
}

/// Runs it, or says what it would do.
pub(super) fn run(args: &CeremonyArgs) -> Result<Report, Failure> {
    match &args.config {
        Some(file) => {
            crate::config::load(file)?.start_module()?;
        }
        None => crate::cli::process::start_module_without_configuration()?,
    }
    let (ceremony, digest) = Ceremony::read(&args.file)?;
    if let Some(expected) = &args.sha256
        && !expected.eq_ignore_ascii_case(&digest)
    {
        return Err(Failure::failed(
            "ceremony_changed",
            format!("the file has the digest {digest}, not {expected}"),
        )
        .hint("this is not the file that was reviewed: review it, and run `--dry-run` again"));
    }
    for file in ceremony.files() {
        files::must_be_new(&file)?;
    }
    let tokens = open(&ceremony)?;
    let plan = plan(&ceremony, &digest, &tokens);
    if args.dry_run {
        return Ok(Report::done(
            json!({"dryRun": true, "sha256": digest, "plan": plan, "token": tokens.source.token()}),
            format!(
                "{}\nNothing was done. Have the digest compared, and run it with\n  --sha256 {digest}",
                plan.join("\n")
            ),
        ));
    }
    perform(&ceremony, &digest, &tokens)
}

/// Opens every token before anything is done on one, and looks whether the labels are free and the signing key is there.
fn open(ceremony: &Ceremony) -> Result<Tokens, Failure> {
    let token = &ceremony.token;
    let source = token.token().open()?;
    let found = source.token();
    has_serial(&found, token.serial.as_deref())?;
    label_is_free(&source, &ceremony.key.label)?;
    if let Some(label) = &ceremony.transcript.signing_key {
        // Tried, since a transcript that cannot be signed is found out too late otherwise.
        source.sign(&SigningKeyName::Label(label.clone()), b"key ceremony")?;
    }
    let mut seen = vec![copies::identity(&found)];
    let mut targets = Vec::new();
    for target in &ceremony.replicate {
        let custody = target.token().open()?;
        has_serial(&custody.token(), target.serial.as_deref())?;
        let identity = copies::identity(&custody.token());
        if seen.contains(&identity) {
            return Err(Failure::usage(
                "token_named_twice",
                format!("the token {} is named twice", custody.token().label),
            ));
        }
        seen.push(identity);
        let label = target
            .key_label
            .clone()
            .unwrap_or_else(|| ceremony.key.label.clone());
        label_is_free(&custody, &label)?;
        targets.push((custody, label));
    }
    Ok(Tokens { source, targets })
}

fn has_serial(found: &TokenInfo, wanted: Option<&str>) -> Result<(), Failure> {
    match wanted {
        Some(serial) if serial != found.serial => Err(Failure::failed(
            "other_token",
            format!(
                "the token {} has the serial number {}, not {serial}",
                found.label, found.serial
            ),
        )),
        _ => Ok(()),
    }
}

fn label_is_free(custody: &Pkcs11Custody, label: &str) -> Result<(), Failure> {
    if custody.audit()?.iter().any(|key| key.label == label) {
        return Err(hsm::Error::LabelInUse(label.to_owned()).into());
    }
    Ok(())
}

/// What will be done, one step a line, in its order.
fn plan(ceremony: &Ceremony, digest: &str, tokens: &Tokens) -> Vec<String> {
    let name = |custody: &Pkcs11Custody| {
        let token = custody.token();
        format!("{} (serial {}, {})", token.label, token.serial, token.model)
    };
    let key = &ceremony.key;
    let mut steps = vec![
        format!("Ceremony     {}", ceremony.title),
        format!("File         SHA-256 {digest}"),
        format!("Witnesses    {}", list(&ceremony.witnesses)),
    ];
    let mut number = 0;
    let mut step = |text: String| {
        number += 1;
        steps.push(format!("{number:>3}. {text}"));
    };
    step(format!(
        "generate an RSA-{} key with the label {:?} on {}: sensitive, {}, for decryption only",
        key.bits,
        key.label,
        name(&tokens.source),
        if key.replicable {
            "EXTRACTABLE until it is sealed"
        } else {
            "not extractable"
        }
    ));
    for (target, label) in &tokens.targets {
        step(format!(
            "wrap it and unwrap it into {} with the label {label:?}: sensitive, not extractable",
            name(target)
        ));
    }
    match (key.replicable, tokens.targets.is_empty()) {
        (true, false) => step("seal it: not extractable, for ever".to_owned()),
        (true, true) => step(
            "leave it EXTRACTABLE: to be copied by `key replicate` and sealed afterwards"
                .to_owned(),
        ),
        (false, _) => {}
    }
    if !key.replicable || !tokens.targets.is_empty() {
        let paddings: Vec<_> = key
            .paddings
            .iter()
            .map(|padding| padding.name().to_owned())
            .collect();
        step(format!(
            "verify it on every token; paddings that the tokens have to do by themselves: {}",
            list(&paddings)
        ));
    }
    for export in &ceremony.export {
        step(format!(
            "write the public half to {} ({:?})",
            export.file.display(),
            export.format
        ));
    }
    step(format!(
        "write the transcript to {}",
        ceremony.transcript.file.display()
    ));
    if let Some(signer) = &ceremony.transcript.signing_key {
        step(format!(
            "sign it with the key {signer:?} of the token: {}",
            ceremony.signature_file().display()
        ));
    }
    steps
}

fn list(words: &[String]) -> String {
    if words.is_empty() {
        "none".to_owned()
    } else {
        words.join(", ")
    }
}

fn perform(ceremony: &Ceremony, digest: &str, tokens: &Tokens) -> Result<Report, Failure> {
    let mut transcript = Transcript::begin("key ceremony", &tokens.source.token());
    transcript.head("title", json!(ceremony.title));
    transcript.head("witnesses", json!(ceremony.witnesses));
    transcript.head("ceremonySha256", json!(digest));
    let result = steps(ceremony, tokens, &mut transcript);
    if let Err(failure) = &result {
        transcript.step("FAILED", failure.json());
    }
    transcript.head("fips", crate::evidence::process::summary());
    let bytes = transcript.bytes();
    let written = files::write_new(&ceremony.transcript.file, &bytes, 0o644)
        .and_then(|()| sign(ceremony, tokens, &bytes));
    let key =
        result.map_err(|failure| after_the_failure(failure, ceremony, written.as_ref().err()))?;
    let signature = written.map_err(|failure| {
        failure.doing(format!(
            "{} is made, but the transcript is not written or not signed",
            key.fingerprint
        ))
    })?;
    let mut text = transcript.text();
    let _ = write!(
        text,
        "\nKey          {} ({})\nTranscript   {}",
        key.label,
        key.fingerprint,
        ceremony.transcript.file.display()
    );
    if signature.is_some() {
        let _ = write!(
            text,
            "\nSignature    {}",
            ceremony.signature_file().display()
        );
    }
    Ok(Report::done(
        json!({
            "fingerprint": key.fingerprint,
            "label": key.label,
            "usable": key.is_usable(),
            "transcript": transcript.json(),
            "transcriptFile": ceremony.transcript.file,
            "signature": signature,
        }),
        text,
    ))
}

/// What is to be done after a step has failed, and what became of the transcript.
fn after_the_failure(
    failure: Failure,
    ceremony: &Ceremony,
    transcript: Option<&Failure>,
) -> Failure {
    let mut hint = failure
        .hint
        .clone()
        .map_or_else(String::new, |hint| hint + "; ");
    let file = ceremony.transcript.file.display();
    let _ = match transcript {
        None => write!(hint, "the transcript {file} says how far it went"),
        Some(problem) => write!(
            hint,
            "the transcript {file} is not written or not signed: {}",
            problem.message
        ),
    };
    hint.push_str("; a key that was made is still on its token (`key list`, `key destroy`)");
    if ceremony.key.replicable {
        hint.push_str(
            ", and whoever has the PIN can wrap it until it is sealed (`key replicate seal`) or destroyed",
        );
    }
    failure.hint(hint)
}

fn steps(
    ceremony: &Ceremony,
    tokens: &Tokens,
    transcript: &mut Transcript,
) -> Result<KeyInfo, Failure> {
    let source = &tokens.source;
    let request = GenerateKey {
        label: ceremony.key.label.clone(),
        id: None,
        modulus_bits: ceremony.key.bits,
        always_authenticate: false,
    };
    let mut key = if ceremony.key.replicable {
        source.generate_replicable(&request)?
    } else {
        source.generate(&request)?
    };
    transcript.step("generated", facts(&key));
    for (target, label) in &tokens.targets {
        let copy = replicate::copy(source, target, &key, label)?;
        transcript.step(
            "copied",
            json!({"token": target.token(), "key": facts(&copy)}),
        );
    }
    if ceremony.key.replicable && !tokens.targets.is_empty() {
        key = source.seal(&key.fingerprint)?.key;
        transcript.step("sealed", facts(&key));
    }
    if key.is_usable() {
        for custody in
            std::iter::once(source).chain(tokens.targets.iter().map(|(target, _)| target))
        {
            try_key(custody, &key, ceremony, transcript)?;
        }
    } else {
        transcript.step(
            "left extractable",
            json!("to be copied by `key replicate` and sealed; custody does not use it before"),
        );
    }
    let public = PublicKey::from_spki_der(&key.spki_der)?;
    for export in &ceremony.export {
        let bytes = super::public_bytes(&public, export.format.into())?;
        files::write_new(&export.file, &bytes, 0o644)?;
        transcript.step(
            "exported",
            json!({"file": export.file, "fingerprint": key.fingerprint}),
        );
    }
    Ok(key)
}

/// Verifies the key on one token, and holds its paddings against those that were asked for.
fn try_key(
    custody: &Pkcs11Custody,
    key: &KeyInfo,
    ceremony: &Ceremony,
    transcript: &mut Transcript,
) -> Result<(), Failure> {
    let token = custody.token();
    let checked = verify::check(custody, key)?;
    transcript.step(
        "verified",
        json!({"serial": token.serial, "checks": checked.json()}),
    );
    if !checked.verified() {
        return Err(Failure::failed(
            "not_verified",
            format!("the key does not do its work on {}", token.label),
        ));
    }
    let native = custody.capabilities().native;
    let missing: Vec<_> = ceremony
        .key
        .paddings
        .iter()
        .filter(|padding| !native.contains(padding))
        .map(|padding| padding.name())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Failure::failed(
        "padding_not_native",
        format!(
            "the token {} does not do {} by itself",
            token.label,
            missing.join(", ")
        ),
    ))
}

fn facts(key: &KeyInfo) -> Value {
    json!({
        "fingerprint": key.fingerprint,
        "label": key.label,
        "modulusBits": key.modulus_bits,
        "attributes": key.attributes,
        "origin": key.attributes.origin(),
        "usable": key.is_usable(),
    })
}

/// Has the token sign the bytes of the transcript, if a key is named.
fn sign(ceremony: &Ceremony, tokens: &Tokens, transcript: &[u8]) -> Result<Option<Value>, Failure> {
    let Some(label) = &ceremony.transcript.signing_key else {
        return Ok(None);
    };
    let signed = tokens
        .source
        .sign(&SigningKeyName::Label(label.clone()), transcript)?;
    let file = ceremony.signature_file();
    files::write_new(&file, &signed.signature, 0o644)?;
    Ok(Some(json!({
        "file": file,
        "algorithm": signed.algorithm.name(),
        "fingerprint": hsm::KeyFingerprint::of_spki(&signed.spki_der),
    })))
}
