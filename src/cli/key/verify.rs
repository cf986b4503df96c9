//! `key verify`: a key does its work, from the exported public half to a device that opens what was made for it.

use super::device::{self, Enveloped};
use crate::cli::Context;
use crate::cli::files;
use crate::cli::output::{Exit, Failure, Report};
use crate::cli::token::{KeyChoice, TokenArgs, open};
use crate::engine::api::CmsFormat;
use crate::engine::recrypt::cms::{self, KeyTransport};
use clap::Args;
use fips::policy::{Service, in_force};
use fips::secret::SecretBytes;
use hsm::pkcs11::Pkcs11Custody;
use hsm::public_key::PublicKey;
use hsm::{Custody, KeyInfo, Padding, TokenInfo};
use serde::Serialize;
use serde_json::{Value, json};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// The largest file with a public key, in bytes.
const MAX_PUBLIC_BYTES: usize = 16 * 1024;
/// Length of the random messages, in bytes: what every padding takes with every key.
const MESSAGE_BYTES: usize = 32;
/// Most rounds that are measured.
const MAX_ROUNDS: u32 = 100_000;

/// `key verify`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pfx-connector key verify --config /etc/pfx-connector/engine.toml --rounds 1000
  pfx-connector key verify --config engine.toml --fingerprint 5f0c... --public pfx-custody-1.pem

Exit code 0: everything that was tried works. 1: something does not; the report says what.")]
pub(super) struct VerifyArgs {
    #[command(flatten)]
    token: TokenArgs,
    #[command(flatten)]
    choice: KeyChoice,
    /// The exported public half (PEM or RSAPUBLICBLOB), which has to belong to the key; messages are encrypted with it
    #[arg(long, value_name = "FILE")]
    public: Option<PathBuf>,
    /// Decrypt this many times in addition, one after the other, and tell how long it took (p50, p90, p99 and the longest)
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=i64::from(MAX_ROUNDS)))]
    rounds: u32,
}

/// How one check ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "result", content = "reason")]
enum Outcome {
    Works,
    Failed(String),
    NotTried(String),
}

impl Outcome {
    fn of(result: Result<(), Failure>) -> Self {
        match result {
            Ok(()) => Self::Works,
            Err(failure) => Self::Failed(format!("{} ({})", failure.message, failure.code)),
        }
    }

    fn words(&self) -> String {
        match self {
            Self::Works => "works".to_owned(),
            Self::Failed(reason) => format!("FAILED: {reason}"),
            Self::NotTried(reason) => format!("not tried: {reason}"),
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct PaddingCheck {
    padding: Padding,
    /// `token`, or `software` where the program removes the padding.
    decrypted_by: &'static str,
    /// `module`, `token`, or null where nobody here may.
    encrypted_by: Option<&'static str>,
    #[serde(flatten)]
    outcome: Outcome,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Latency {
    rounds: u32,
    padding: Padding,
    p50_us: u64,
    p90_us: u64,
    p99_us: u64,
    max_us: u64,
}

/// Runs it.
pub(super) fn run(args: &VerifyArgs, context: &Context) -> Result<Report, Failure> {
    let public = args.public.as_deref().map(read_public).transpose()?;
    let custody = open(args.token.settings("key verify", &context.args)?)?;
    let key = args.choice.one(&custody)?;
    if !key.is_usable() {
        return Err(hsm::Error::KeyRefused {
            fingerprint: key.fingerprint,
            problems: key.problems,
        }
        .into());
    }
    if let Some(public) = &public {
        let found = public.fingerprint()?;
        if found != key.fingerprint {
            return Err(Failure::failed(
                "other_key",
                format!("the file holds the public half of {found}, not of {}", key.fingerprint),
            )
            .hint("whoever imports with this file encrypts to a key that is not on this token: export it again"));
        }
    }
    // Where no file is named, what the token shows is what `key export-public` would write.
    let spki = match &public {
        Some(public) => public.to_spki_der()?,
        None => key.spki_der.clone(),
    };
    let checked = check_with(&custody, &key, &spki)?;
    let latency = latency(&custody, &key, &spki, args.rounds)?;
    let file = args.public.as_ref().map(|file| file.display().to_string());
    Ok(report(
        &custody.token(),
        &key,
        file,
        &checked,
        latency.as_ref(),
    ))
}

/// What was tried of one key.
pub(super) struct Checked {
    paddings: Vec<PaddingCheck>,
    job_device: &'static str,
    job: Outcome,
}

impl Checked {
    /// Whether everything that was tried works, and enough was tried.
    pub(super) fn verified(&self) -> bool {
        !self.failed()
            && self.job == Outcome::Works
            && self
                .paddings
                .iter()
                .any(|check| check.outcome == Outcome::Works)
    }

    fn failed(&self) -> bool {
        let failed = |outcome: &Outcome| matches!(outcome, Outcome::Failed(_));
        failed(&self.job) || self.paddings.iter().any(|check| failed(&check.outcome))
    }

    /// For machines and transcripts.
    pub(super) fn json(&self) -> Value {
        json!({
            "verified": self.verified(),
            "paddings": self.paddings,
            "job": { "device": self.job_device, "outcome": self.job },
        })
    }
}

/// Tries a key with what its token shows as its public half.
///
/// # Errors
/// [`Failure`] when the token does not answer, or refuses the key.
pub(super) fn check(custody: &Pkcs11Custody, key: &KeyInfo) -> Result<Checked, Failure> {
    check_with(custody, key, &key.spki_der)
}

fn check_with(custody: &Pkcs11Custody, key: &KeyInfo, spki: &[u8]) -> Result<Checked, Failure> {
    // A key that was sealed a moment ago has not been used, so that nothing is known of what the token does with it.
    custody.examine(&key.fingerprint)?;
    let paddings = paddings(custody, key, spki);
    let (job_device, job) = job(custody, key, spki);
    Ok(Checked {
        paddings,
        job_device,
        job,
    })
}

fn read_public(path: &Path) -> Result<PublicKey, Failure> {
    let bytes = files::read(path, MAX_PUBLIC_BYTES, "the public key")?;
    let key = match std::str::from_utf8(&bytes) {
        Ok(text) if text.contains("-----BEGIN") => PublicKey::from_spki_pem(text),
        _ => PublicKey::from_rsa_public_blob(&bytes),
    };
    key.map_err(|error| {
        Failure::usage("public_key", format!("{}: {error}", path.display()))
            .hint("`key export-public` writes such a file")
    })
}

/// Encrypts in the module where the policy lets it, so that two implementations have to agree; else on the token, if it can.
fn encrypt(
    custody: &Pkcs11Custody,
    spki: &[u8],
    padding: Padding,
    message: &SecretBytes,
) -> Result<Option<(&'static str, Vec<u8>)>, Failure> {
    if in_force().allows(Service::RsaOaepEncrypt) {
        let public = fips::rsa::PublicKey::from_spki(spki)?;
        let hash = padding
            .hash()
            .ok_or(hsm::Error::PaddingNotSupported(padding))?;
        let ciphertext = public.encrypt_oaep(hash, message.expose())?;
        return Ok(Some(("module", ciphertext)));
    }
    if custody.capabilities().encrypt_native.contains(&padding) {
        return Ok(Some(("token", custody.encrypt(spki, padding, message)?)));
    }
    Ok(None)
}

fn random_message() -> Result<SecretBytes, Failure> {
    Ok(fips::random::secret(MESSAGE_BYTES)?)
}

fn same(found: &SecretBytes, expected: &SecretBytes) -> Result<(), Failure> {
    if found.ct_eq(expected.expose()) {
        Ok(())
    } else {
        Err(Failure::failed(
            "other_plaintext",
            "what came out is not what went in",
        ))
    }
}

fn paddings(custody: &Pkcs11Custody, key: &KeyInfo, spki: &[u8]) -> Vec<PaddingCheck> {
    let capabilities = custody.capabilities();
    let native = capabilities
        .native
        .iter()
        .map(|padding| (*padding, "token"));
    let software = capabilities
        .software_unpadding
        .iter()
        .map(|padding| (*padding, "software"));
    native
        .chain(software)
        .map(|(padding, decrypted_by)| {
            let mut encrypted_by = None;
            let tried = || -> Result<Option<()>, Failure> {
                let message = random_message()?;
                let Some((by, ciphertext)) = encrypt(custody, spki, padding, &message)? else {
                    return Ok(None);
                };
                encrypted_by = Some(by);
                let plain = custody.decrypt(&key.fingerprint, padding, &ciphertext)?;
                same(&plain, &message).map(Some)
            };
            let mut tried = tried;
            let outcome = match tried() {
                Ok(Some(())) => Outcome::Works,
                Ok(None) => Outcome::NotTried(
                    "neither the token nor, in this FIPS mode, the module encrypts with it"
                        .to_owned(),
                ),
                Err(failure) => Outcome::of(Err(failure)),
            };
            PaddingCheck {
                padding,
                decrypted_by,
                encrypted_by,
                outcome,
            }
        })
        .collect()
}

/// The engine's job: a password encrypted to the custody key is decrypted by the token, and encrypted to a device, which opens it.
fn job(custody: &Pkcs11Custody, key: &KeyInfo, spki: &[u8]) -> (&'static str, Outcome) {
    let by_module = in_force().allows(Service::RsaOaepDecrypt);
    let device = if by_module {
        "a throw-away RSA-2048 key in the module"
    } else {
        "the custody key itself, since the module may not decrypt in this FIPS mode"
    };
    let tried = || -> Result<Option<()>, Failure> {
        let capabilities = custody.capabilities();
        let mut works = capabilities.native.clone();
        works.extend(&capabilities.software_unpadding);
        let password = random_message()?;
        let mut sealed = None;
        for padding in works {
            if let Some((_, ciphertext)) = encrypt(custody, spki, padding, &password)? {
                sealed = Some((padding, ciphertext));
                break;
            }
        }
        let Some((padding, ciphertext)) = sealed else {
            return Ok(None);
        };
        let transport = KeyTransport::choose(custody, None);
        let own = if by_module {
            Some(fips::rsa::PrivateKey::generate(2048)?)
        } else {
            None
        };
        let device_spki = match &own {
            Some(own) => own.public()?.spki_der().to_vec(),
            None => key.spki_der.clone(),
        };
        let identity = device::identity(&device_spki)?;
        cms::check_policy(CmsFormat::Modern, &identity, transport)?;
        let clear = custody.decrypt(&key.fingerprint, padding, &ciphertext)?;
        let message = cms::envelop(CmsFormat::Modern, &identity, &clear, transport)?;
        let enveloped = Enveloped::read(&message)?;
        let used = match transport {
            KeyTransport::Token { padding, .. } => padding,
            KeyTransport::Module => Padding::OaepSha256,
        };
        let content_key = match &own {
            Some(own) => {
                let hash = used.hash().ok_or(hsm::Error::PaddingNotSupported(used))?;
                own.decrypt_oaep(hash, &enveloped.encrypted_key)?
            }
            None => custody.decrypt(&key.fingerprint, used, &enveloped.encrypted_key)?,
        };
        same(&enveloped.open(&content_key)?, &password).map(Some)
    };
    let outcome = match tried() {
        Ok(Some(())) => Outcome::Works,
        Ok(None) => {
            Outcome::NotTried("nothing here encrypts to the key in this FIPS mode".to_owned())
        }
        Err(failure) => Outcome::of(Err(failure)),
    };
    (device, outcome)
}

fn latency(
    custody: &Pkcs11Custody,
    key: &KeyInfo,
    spki: &[u8],
    rounds: u32,
) -> Result<Option<Latency>, Failure> {
    let capabilities = custody.capabilities();
    let candidates = capabilities
        .native
        .iter()
        .rev()
        .chain(&capabilities.software_unpadding);
    let message = random_message()?;
    for padding in candidates.copied() {
        if rounds == 0 {
            break;
        }
        let Some((_, ciphertext)) = encrypt(custody, spki, padding, &message)? else {
            continue;
        };
        let mut took_us = Vec::new();
        for _ in 0..rounds {
            let begin = Instant::now();
            let plain = custody.decrypt(&key.fingerprint, padding, &ciphertext)?;
            took_us.push(u64::try_from(begin.elapsed().as_micros()).unwrap_or(u64::MAX));
            same(&plain, &message)?;
        }
        took_us.sort_unstable();
        return Ok(Some(Latency {
            rounds,
            padding,
            p50_us: percentile(&took_us, 50),
            p90_us: percentile(&took_us, 90),
            p99_us: percentile(&took_us, 99),
            max_us: percentile(&took_us, 100),
        }));
    }
    Ok(None)
}

/// The smallest value that `percent` of all values do not exceed (nearest rank). Zero for no values.
fn percentile(sorted: &[u64], percent: usize) -> u64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or(0)
}

fn report(
    token: &TokenInfo,
    key: &KeyInfo,
    file: Option<String>,
    checked: &Checked,
    latency: Option<&Latency>,
) -> Report {
    let (verified, failed) = (checked.verified(), checked.failed());
    let mut text = format!("Key          {} ({})", key.label, key.fingerprint);
    let _ = write!(
        text,
        "\nToken        {} (serial {})",
        token.label, token.serial
    );
    if let Some(file) = &file {
        let _ = write!(text, "\nPublic half  {file}: belongs to the key");
    }
    for check in &checked.paddings {
        let _ = write!(
            text,
            "\n  {:<11} encrypted by the {}, decrypted by the token{}: {}",
            check.padding.name(),
            check.encrypted_by.unwrap_or("..."),
            if check.decrypted_by == "software" {
                ", padding removed in software"
            } else {
                ""
            },
            check.outcome.words()
        );
    }
    let _ = write!(
        text,
        "\n  CMS to a device ({}): {}",
        checked.job_device,
        checked.job.words()
    );
    if let Some(latency) = latency {
        let _ = write!(
            text,
            "\n  {} decryptions ({}), one after the other: p50 {} us, p90 {} us, p99 {} us, longest {} us",
            latency.rounds,
            latency.padding,
            latency.p50_us,
            latency.p90_us,
            latency.p99_us,
            latency.max_us
        );
    }
    text.push_str(if verified {
        "\nVerified: the key does its work."
    } else if failed {
        "\nNOT verified: see what failed above."
    } else {
        "\nNOT verified: not enough could be tried; name a configuration, or see the reasons above."
    });
    let mut json = checked.json();
    if let Value::Object(fields) = &mut json {
        fields.insert("fingerprint".to_owned(), json!(key.fingerprint));
        fields.insert("label".to_owned(), json!(key.label));
        fields.insert("token".to_owned(), json!(token));
        fields.insert("publicFile".to_owned(), json!(file));
        fields.insert("latency".to_owned(), json!(latency));
    }
    Report {
        json,
        text,
        exit: if verified { Exit::Done } else { Exit::Failed },
    }
}

#[cfg(test)]
mod tests {
    #![allow(missing_docs)]
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let values: Vec<u64> = (1..=200).collect();
        assert_eq!(percentile(&values, 50), 100);
        assert_eq!(percentile(&values, 99), 198);
        assert_eq!(percentile(&values, 100), 200);
        assert_eq!(percentile(&[7], 50), 7);
        assert_eq!(percentile(&[], 50), 0);
    }
}
