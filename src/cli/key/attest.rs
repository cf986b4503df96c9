//! `key attest`: what a token has of its vendor's statement that a key was made in it.
//!
//! PKCS#11 has no attestation. Some modules show the vendor's certificates as objects (YubiKey's does); most show none, and the vendor's
//! own tool is the way. What is found is collected as it is. Nothing is verified: what the token says about its own keys is in `key show`.

use crate::cli::output::{Failure, Report};
use crate::cli::token::{KeyChoice, TokenArgs, absolute, open};
use crate::cli::{Context, files};
use crate::encoding::hex;
use clap::Args;
use der::{Decode, Encode};
use fips::digest::{Hash, digest};
use hsm::{Custody, KeyFingerprint, TokenCertificate};
use serde_json::json;
use std::fmt::Write;
use std::path::PathBuf;

/// `key attest`.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  pfx-connector key attest --config engine.toml --out attestation

SoftHSM, Kryoptic, NSS and openCryptoki have no attestation; TPMs certify keys by TPM2_Certify, which PKCS#11 does not reach; network HSMs
have tools of their vendors. Verify a chain with the vendor's tool and root.")]
pub(super) struct AttestArgs {
    #[command(flatten)]
    token: TokenArgs,
    #[command(flatten)]
    choice: KeyChoice,
    /// Write the certificates found (DER) to files of this new folder
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

/// Why a certificate of the token is collected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reason {
    /// It certifies the key.
    OfTheKey,
    /// Its label says what it is.
    ByItsLabel,
}

impl Reason {
    fn words(self) -> &'static str {
        match self {
            Self::OfTheKey => "certifies the key",
            Self::ByItsLabel => "its label speaks of attestation",
        }
    }

    fn of(certificate: &TokenCertificate, key: &KeyFingerprint) -> Option<Self> {
        let certified = x509_cert::Certificate::from_der(&certificate.der)
            .ok()
            .and_then(|parsed| {
                parsed
                    .tbs_certificate()
                    .subject_public_key_info()
                    .to_der()
                    .ok()
            })
            .map(|spki| KeyFingerprint::of_spki(&spki));
        if certified.as_ref() == Some(key) {
            Some(Self::OfTheKey)
        } else if certificate.label.to_ascii_lowercase().contains("attest") {
            Some(Self::ByItsLabel)
        } else {
            None
        }
    }
}

/// Runs it.
pub(super) fn run(args: &AttestArgs, context: &Context) -> Result<Report, Failure> {
    let folder = args.out.as_deref().map(absolute).transpose()?;
    if let Some(folder) = &folder {
        files::must_be_new(folder)?;
    }
    let custody = open(args.token.settings("key attest", &context.args)?)?;
    let key = args.choice.one(&custody)?;
    let token = custody.token();
    let found: Vec<_> = custody
        .certificates()?
        .into_iter()
        .filter_map(|certificate| {
            Reason::of(&certificate, &key.fingerprint).map(|reason| (certificate, reason))
        })
        .collect();
    let mut text = format!(
        "Key          {} ({})\nToken        {} (serial {}, {} {})",
        key.label, key.fingerprint, token.label, token.serial, token.manufacturer, token.model
    );
    let mut listed = Vec::new();
    if let (Some(folder), false) = (&folder, found.is_empty()) {
        std::fs::create_dir(folder).map_err(|error| {
            Failure::failed(
                "file_unwritable",
                format!("{} cannot be made: {error}", folder.display()),
            )
        })?;
    }
    for (number, (certificate, reason)) in found.iter().enumerate() {
        let sha256 = hex(digest(Hash::Sha256, &certificate.der).as_ref());
        let file = folder
            .as_ref()
            .map(|folder| folder.join(format!("{number}.der")));
        if let Some(file) = &file {
            files::write_new(file, &certificate.der, 0o644)?;
        }
        let _ = write!(
            text,
            "\n  certificate {sha256}  {} ({})",
            certificate.label,
            reason.words()
        );
        listed.push(json!({
            "label": certificate.label,
            "id": hex(&certificate.id),
            "sha256": sha256,
            "reason": reason.words(),
            "file": file,
        }));
    }
    text.push_str(if found.is_empty() {
        "\nThis module shows no attestation of the key. Ask the vendor's own tool, if the token has one."
    } else {
        "\nNothing of this was verified here: hold the chain against the vendor's root with the vendor's tool."
    });
    Ok(Report::done(
        json!({
            "fingerprint": key.fingerprint,
            "label": key.label,
            "token": token,
            "certificates": listed,
            "offered": !found.is_empty(),
            "verified": false,
            "origin": key.attributes.origin(),
        }),
        text,
    ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;
    use crate::cli::key::device;

    #[test]
    fn a_certificate_of_the_key_counts_whatever_its_label_and_others_by_their_label_only() {
        let public = fips::rsa::PrivateKey::generate(2048)
            .unwrap()
            .public()
            .unwrap();
        let key = KeyFingerprint::of_spki(public.spki_der());
        let certificate = |label: &str, der: &[u8]| TokenCertificate {
            label: label.to_owned(),
            id: Vec::new(),
            der: der.to_vec(),
        };
        let der = device::certificate(public.spki_der(), 1_800_000_000_000)
            .unwrap()
            .to_der()
            .unwrap();
        assert_eq!(
            Reason::of(&certificate("any", &der), &key),
            Some(Reason::OfTheKey)
        );
        let other = KeyFingerprint::from_bytes([7; 32]);
        assert_eq!(Reason::of(&certificate("any", &der), &other), None);
        assert_eq!(
            Reason::of(
                &certificate("X.509 Certificate for PIV Attestation 9a", &der),
                &other
            ),
            Some(Reason::ByItsLabel)
        );
        assert_eq!(
            Reason::of(&certificate("any", b"no certificate"), &key),
            None
        );
    }
}
