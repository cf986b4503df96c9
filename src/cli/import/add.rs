//! `import add`: one PFX with its password becomes one record.

use super::seal::{CustodyKey, Seal, Sealer};
use super::{AddArgs, password, service};
use crate::cli::output::{Failure, Report};
use crate::cli::{Context, files, process, signing_key};
use crate::clock::{Clock, SystemClock, parse_rfc3339};
use crate::config::{self, ImportConfig};
use crate::encoding::Base64Bytes;
use crate::engine::formats::pfx::{self, CertificateFacts, PfxError, PfxLimits};
use crate::engine::recrypt::importers;
use crate::gateway::api::UserPfxCertificate;
use crate::intune::{GraphError, Selection, UserPfxClient};
use crate::record::Record;
use fips::secret::SecretBytes;
use hsm::Padding;
use serde_json::json;
use std::path::Path;

/// The largest file with a certificate, in bytes.
const MAX_CERTIFICATE_BYTES: usize = 256 * 1024;
/// Shorter passwords than this are mentioned: the PFX is stored as it is, and only its password protects it there.
const SHORT_PASSWORD: usize = 14;

pub(super) fn run(args: &AddArgs, context: &Context) -> Result<Report, Failure> {
    let whole = config::load(&args.config)?;
    let config = whole.checked_import("import add")?;
    if let Some(token) = &config.token {
        process::with_environment(&token.environment, &context.args)?;
    }
    check_user(&args.user)?;
    process::protect_memory()?;
    whole.start_module()?;
    let custody_key = CustodyKey::load(&config)?;
    let limits = PfxLimits::default();
    let pfx = files::read(&args.pfx, limits.max_bytes, "the PFX")?;
    let password = password::read(args.password_file.as_deref())?;
    let seal = Seal::open(&config, &custody_key)?;
    password::check(&password, seal.padding(), custody_key.key.modulus_bits())?;
    let facts = match &args.certificate {
        Some(certificate) => unopened(&pfx, certificate, &limits)?,
        None => examine(&pfx, &password, &limits)
            .map_err(|error| from_pfx(&error).doing(args.pfx.display()))?,
    };
    if facts.key_matches == Some(false) {
        return Err(Failure::failed(
            "key_mismatch",
            "the private key in the PFX is not that of its certificate",
        ));
    }
    let mut notes = notes(&facts, &password);
    if facts.key_matches.is_none() {
        notes.push("the PFX was not opened: whether the password opens it and holds this certificate's key was not tried".to_owned());
    }
    let sealed = (seal.padding(), seal.seal(&custody_key, &password)?);
    drop(password);
    let sealer = seal.sealer();
    let record = sign(&config, &args.user, &facts, &custody_key, sealed, &pfx)?;
    if record.importer_signature.is_none() {
        notes.push("the record is not signed (no `signing_key`): engines refuse it without the exception `unsigned-records`".to_owned());
    }
    notes.extend(crate::evidence::process::note());
    let upload = certificate(&record, &facts, pfx, args);
    let client = service::client(&config)?;
    let stored = service::block_on(store(&client, &upload, args.replace))?;
    Ok(report(args, &record, &facts, sealer, &stored, &notes))
}

fn check_user(user: &str) -> Result<(), Failure> {
    let fine = user.len() <= 1024
        && !user.chars().any(|c| c.is_control() || c.is_whitespace())
        && user
            .split_once('@')
            .is_some_and(|(name, domain)| !name.is_empty() && !domain.is_empty());
    if fine {
        return Ok(());
    }
    Err(Failure::usage(
        "user_name",
        "`--user` is a principal name such as name@example.com",
    ))
}

fn examine(
    pfx: &[u8],
    password: &SecretBytes,
    limits: &PfxLimits,
) -> Result<CertificateFacts, PfxError> {
    pfx::read(pfx, password, limits)?.identity()?.facts()
}

/// What the certificate beside the PFX says; of the PFX itself only its outside is looked at.
fn unopened(
    pfx: &[u8],
    certificate: &Path,
    limits: &PfxLimits,
) -> Result<CertificateFacts, Failure> {
    match pfx::look_at(pfx, limits) {
        // Devices may read what this reader does not.
        Ok(()) | Err(PfxError::UnsupportedAlgorithm { .. }) => {}
        Err(error) => return Err(from_pfx(&error)),
    }
    let bytes = files::read(certificate, MAX_CERTIFICATE_BYTES, "the certificate")?;
    let unusable = |reason: String| {
        Failure::failed(
            "certificate_malformed",
            format!("{}: {reason}", certificate.display()),
        )
    };
    let mut der = files::certificates(&bytes).map_err(unusable)?.into_iter();
    match (der.next(), der.next()) {
        (Some(der), None) => {
            CertificateFacts::of_certificate(&der).map_err(|error| unusable(error.to_string()))
        }
        (Some(_), Some(_)) => Err(unusable(
            "holds several certificates: give the person's alone".to_owned(),
        )),
        (None, _) => Err(unusable("holds no certificate".to_owned())),
    }
}

fn from_pfx(error: &PfxError) -> Failure {
    Failure::failed(error.code(), error.to_string())
}

fn notes(facts: &CertificateFacts, password: &SecretBytes) -> Vec<String> {
    let mut notes = Vec::new();
    let now = SystemClock.now_ms();
    if parse_rfc3339(&facts.not_after).is_some_and(|end| end < now) {
        // Old mail stays readable with it, so it is not refused.
        notes.push(format!("the certificate expired {}", facts.not_after));
    }
    if parse_rfc3339(&facts.not_before).is_some_and(|start| start > now) {
        notes.push(format!(
            "the certificate is valid from {}",
            facts.not_before
        ));
    }
    if password.len() < SHORT_PASSWORD {
        notes.push(format!(
            "the password has fewer than {SHORT_PASSWORD} characters: whoever gets hold of the stored PFX can try them all"
        ));
    }
    notes
}

fn sign(
    config: &ImportConfig,
    user: &str,
    facts: &CertificateFacts,
    key: &CustodyKey,
    (padding, ciphertext): (Padding, Vec<u8>),
    pfx: &[u8],
) -> Result<Record, Failure> {
    let mut record = Record {
        user_principal_name: user.to_owned(),
        thumbprint: facts.thumbprint.clone(),
        provider_name: config.provider_name.clone(),
        key_name: config.key_name.clone(),
        custody_key: Some(key.fingerprint.to_string()),
        padding,
        encrypted_password: Base64Bytes(ciphertext),
        importer_signature: None,
    };
    if let Some(file) = &config.signing_key {
        let signing_key = signing_key::load(file, "import.signing_key")?;
        record.importer_signature = Some(importers::sign(&signing_key, &record, pfx)?);
    }
    Ok(record)
}

fn certificate(
    record: &Record,
    facts: &CertificateFacts,
    pfx: Vec<u8>,
    args: &AddArgs,
) -> UserPfxCertificate {
    UserPfxCertificate {
        id: None,
        thumbprint: record.thumbprint.clone(),
        intended_purpose: args.purpose.into(),
        user_principal_name: record.user_principal_name.clone(),
        start_date_time: facts.not_before.clone(),
        expiration_date_time: facts.not_after.clone(),
        provider_name: record.provider_name.clone(),
        key_name: record.key_name.clone(),
        padding_scheme: record.padding,
        encrypted_pfx_blob: Base64Bytes(pfx),
        encrypted_pfx_password: record.encrypted_password.encode(),
        created_date_time: None,
        last_modified_date_time: None,
        custody_key: record.custody_key.clone(),
        importer_signature: record.importer_signature.clone(),
    }
}

/// Creates the record; with `replace` it takes the place of one that is there.
async fn store(
    client: &UserPfxClient,
    record: &UserPfxCertificate,
    replace: bool,
) -> Result<UserPfxCertificate, GraphError> {
    match client.create(record).await {
        Err(GraphError::Refused { status: 409, .. }) if replace => {}
        other => return other,
    }
    let selection = Selection {
        user_principal_name: Some(record.user_principal_name.clone()),
        thumbprint: Some(record.thumbprint.clone()),
    };
    let there = client.list(&selection).await?;
    let id = there
        .into_iter()
        .find_map(|there| there.id)
        .ok_or(GraphError::Answer(
            "it has a record of this user and certificate, but does not list it",
        ))?;
    client.update(&id, record).await
}

fn report(
    args: &AddArgs,
    record: &Record,
    facts: &CertificateFacts,
    sealer: Sealer,
    stored: &UserPfxCertificate,
    notes: &[String],
) -> Report {
    let by = match sealer {
        Sealer::Token => "token",
        Sealer::Module => "module",
    };
    let id = stored.id.as_deref().unwrap_or_default();
    let json = json!({
        "id": id,
        "user": args.user,
        "thumbprint": facts.thumbprint,
        "subject": facts.subject,
        "emailAddresses": facts.email_addresses,
        "notBefore": facts.not_before,
        "notAfter": facts.not_after,
        "custodyKey": record.custody_key,
        "padding": record.padding,
        "encryptedBy": by,
        "signed": record.importer_signature.is_some(),
        "opened": facts.key_matches.is_some(),
        "fips": crate::evidence::process::summary(),
        "notes": notes,
    });
    let mut text = format!(
        "Imported {} for {}.\n  certificate  {} (until {})\n  password     encrypted by the {by} to {} ({})\n  record       {id}",
        args.pfx.display(),
        args.user,
        facts.thumbprint,
        facts.not_after,
        record.custody_key.as_deref().unwrap_or_default(),
        json!(record.padding).as_str().unwrap_or_default(),
    );
    for note in notes {
        text.push_str("\n  note         ");
        text.push_str(note);
    }
    Report::done(json, text)
}
