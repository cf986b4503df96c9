//! `recrypt`: one re-encryption by hand, through the same functions as the engine's, for validation and recovery.

use super::output::{Failure, Report};
use super::token::{KeyChoice, TokenArgs, open};
use super::{Context, files, process};
use crate::clock::{Clock, SystemClock};
use crate::config::EngineException;
use crate::encoding::Base64Bytes;
use crate::engine::api::{CmsFormat, DeviceTarget};
use crate::engine::formats::device::{DevicePolicy, check_device};
use crate::engine::recrypt::anchors::{self, Anchor};
use crate::engine::recrypt::chain::{self, DeviceIdentity, DeviceTrust};
use crate::engine::recrypt::cms;
use crate::engine::recrypt::rules::DeviceRules;
use clap::{Args, ValueEnum};
use hsm::{Custody, KeyInfo, Padding};
use serde_json::json;
use std::path::{Path, PathBuf};

/// The largest file with an encrypted password, in bytes: an RSA-16384 block in base64 with line ends is smaller.
const MAX_CIPHERTEXT_BYTES: usize = 8 * 1024;
/// The largest file with certificates, in bytes.
const MAX_CERTIFICATE_BYTES: usize = 256 * 1024;

/// `recrypt`.
#[derive(Debug, Args)]
pub struct RecryptArgs {
    #[command(flatten)]
    token: TokenArgs,
    #[command(flatten)]
    choice: KeyChoice,
    /// File with the encrypted password: the bytes, or base64
    #[arg(long, value_name = "FILE")]
    encrypted_password: PathBuf,
    /// How it was encrypted: oaep-sha512, oaep-sha384, oaep-sha256 or oaep-sha1
    #[arg(long, value_name = "PADDING")]
    padding: Padding,
    /// The device's certificate (PEM or DER); further certificates in a PEM file are its intermediates
    #[arg(long, value_name = "FILE")]
    device_cert: PathBuf,
    /// PEM file with the certificates that the device's must chain to, in place of those of the configuration; with neither,
    /// nothing is said of whose device it is
    #[arg(long, value_name = "FILE")]
    anchors: Vec<PathBuf>,
    /// The form that the device understands
    #[arg(long, value_enum)]
    format: Format,
    /// File for the CMS message (DER); one that exists is not overwritten
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Forms of the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// RSAES-OAEP or ECDH, and AES-256
    Modern,
    /// The same with AES-256-GCM in AuthEnvelopedData, for devices that read it
    ModernGcm,
    /// RSA PKCS#1 v1.5 and AES-256
    Compatible,
    /// RSA PKCS#1 v1.5 and Triple DES, for the oldest devices
    CompatibleDesEde3,
}

impl From<Format> for CmsFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Modern => Self::Modern,
            Format::ModernGcm => Self::ModernGcm,
            Format::Compatible => Self::Compatible,
            Format::CompatibleDesEde3 => Self::CompatibleDesEde3,
        }
    }
}

/// Runs it.
///
/// # Errors
/// [`Failure`]: everything about the device is refused before the key is used.
pub fn run(args: &RecryptArgs, context: &Context) -> Result<Report, Failure> {
    files::must_be_new(&args.out)?;
    let settings = args.token.settings("recrypt", &context.args)?;
    process::protect_memory()?;
    let ciphertext = ciphertext(&args.encrypted_password)?;
    let format = CmsFormat::from(args.format);
    let anchors = anchor_files(args, format)?;
    let device = device(&args.device_cert, &anchors, &rules(args)?)?;
    cms::check_format(format, &device)?;

    let custody = open(settings)?;
    let transport = cms::KeyTransport::choose(&custody, None);
    cms::check_policy(format, &device, transport)?;
    let key = args.choice.one(&custody)?;
    usable(&key)?;
    let password = custody.decrypt(&key.fingerprint, args.padding, &ciphertext)?;
    let message = cms::envelop(format, &device, &password, transport)?;
    drop(password);
    files::write_new(&args.out, &message, 0o644)?;

    let software = custody
        .capabilities()
        .software_unpadding
        .contains(&args.padding);
    Ok(report(args, &key, &device, software))
}

/// The anchors to hold the device's certificate against. Where a configuration is named, its rules are those of its engine.
fn anchor_files(args: &RecryptArgs, format: CmsFormat) -> Result<Vec<PathBuf>, Failure> {
    let Some(engine) = args.token.engine("recrypt")? else {
        return Ok(args.anchors.clone());
    };
    let allows = |exception| engine.exceptions.contains(&exception);
    if format == CmsFormat::CompatibleDesEde3 && !allows(EngineException::CmsDesEde3) {
        return Err(Failure::usage(
            "format_not_allowed",
            "the format compatible-des-ede3 needs the exception cms-des-ede3 in the configuration",
        ));
    }
    if !args.anchors.is_empty() {
        return Ok(args.anchors.clone());
    }
    if engine.device_anchors.is_empty() && !allows(EngineException::NoDeviceAnchors) {
        return Err(Failure::usage(
            "anchors",
            "neither the configuration nor --anchors says what the device's certificate must chain to",
        )
        .hint("name the devices' authority as `engine.device_anchors`, or the exception `no-device-anchors`"));
    }
    Ok(engine.device_anchors)
}

/// What the configuration, where one is named, asks of device certificates besides.
fn rules(args: &RecryptArgs) -> Result<DeviceRules, Failure> {
    let Some(engine) = args.token.engine("recrypt")? else {
        return Ok(DeviceRules::default());
    };
    DeviceRules::load(&engine.device_policy)
        .map_err(|error| Failure::usage("device_policy", error.to_string()))
}

/// The bytes of a file that holds either them or their base64, in one line or several.
fn ciphertext(path: &Path) -> Result<Vec<u8>, Failure> {
    let bytes = files::read(path, MAX_CIPHERTEXT_BYTES, "the encrypted password")?;
    let line: String = match std::str::from_utf8(&bytes) {
        Ok(text) => text.split_ascii_whitespace().collect(),
        Err(_) => return Ok(bytes),
    };
    Ok(Base64Bytes::decode(&line).map_or(bytes, |decoded| decoded.0))
}

fn device(
    path: &Path,
    anchor_files: &[PathBuf],
    rules: &DeviceRules,
) -> Result<DeviceIdentity, Failure> {
    let target = target(path)?;
    let now_ms = SystemClock.now_ms();
    let anchors = anchors::load(anchor_files)
        .map_err(|error| Failure::usage("anchors", error.to_string()))?;
    let policy = DevicePolicy {
        anchors: anchors
            .iter()
            .map(|anchor: &Anchor| Base64Bytes(anchor.der().to_vec()))
            .collect(),
        require_anchor: !anchors.is_empty(),
        now_ms,
    };
    let checked = check_device(&target, &policy).map_err(|refusal| {
        Failure::failed(format!("device_{}", refusal.code()), refusal.to_string())
    })?;
    let trust = if anchors.is_empty() {
        DeviceTrust::Unanchored
    } else {
        DeviceTrust::Anchors(anchors)
    };
    chain::verify_under(&target, &checked, &trust, rules, now_ms)
        .map_err(|error| Failure::failed(error.code(), error.to_string()))
}

fn target(path: &Path) -> Result<DeviceTarget, Failure> {
    let bytes = files::read(path, MAX_CERTIFICATE_BYTES, "the device's certificate")?;
    let malformed =
        |reason: &str| Failure::failed("device_malformed", format!("{}: {reason}", path.display()));
    let mut certificates = files::certificates(&bytes)
        .map_err(|reason| malformed(&reason))?
        .into_iter()
        .map(Base64Bytes);
    Ok(DeviceTarget {
        certificate: certificates
            .next()
            .ok_or_else(|| malformed("no certificate in PEM"))?,
        intermediates: certificates.collect(),
    })
}

fn usable(key: &KeyInfo) -> Result<(), Failure> {
    if key.is_usable() {
        return Ok(());
    }
    Err(hsm::Error::KeyRefused {
        fingerprint: key.fingerprint,
        problems: key.problems.clone(),
    }
    .into())
}

impl From<cms::CmsError> for Failure {
    fn from(error: cms::CmsError) -> Self {
        Self::failed(error.code(), error.to_string())
    }
}

fn report(args: &RecryptArgs, key: &KeyInfo, device: &DeviceIdentity, software: bool) -> Report {
    let mut notes: Vec<String> = Vec::new();
    if !device.anchored() {
        notes.push(
            "no anchors: the device's certificate was checked by itself, but not whose it is"
                .to_owned(),
        );
    }
    if software {
        notes.push(
            "the token lacks this padding: it was removed in software, which is no approved service"
                .to_owned(),
        );
    }
    if let Some(note) = crate::evidence::process::note() {
        notes.push(note);
    }
    let json = json!({
        "file": args.out,
        "custodyKey": key.fingerprint,
        "device": device.fingerprint(),
        "deviceAnchored": device.anchored(),
        "format": CmsFormat::from(args.format),
        "fips": crate::evidence::process::summary(),
        "notes": notes,
    });
    let mut text = format!(
        "Wrote {}: the password, encrypted to the device {}.\n  custody key  {}",
        args.out.display(),
        device.fingerprint(),
        key.fingerprint
    );
    for note in notes {
        text.push_str("\n  note         ");
        text.push_str(&note);
    }
    Report::done(json, text)
}
