//! `key attest`: what a token has of its vendor's statement that a key was made in it.
//!
//! PKCS#11 has no attestation. Some modules show the vendor's certificates as objects (YubiKey's does); most show none, and the vendor's
//! own tool is the way. What is found is collected as it is, together with what that tool gave. The attestation of a YubiHSM is verified
//! ([`super::yubihsm`]), and that of a TPM ([`super::tpm`]); of other vendors' nothing is. What the token says about its own keys is in
//! `key show`.

use super::tpm::{self, TpmArgs};
use super::yubihsm::{self, Attested};
use crate::cli::output::{Failure, Report};
use crate::cli::token::{KeyChoice, TokenArgs, absolute, open};
use crate::cli::{Context, files};
use crate::clock::{Clock, SystemClock};
use crate::encoding::hex;
use crate::engine::recrypt::anchors::Anchor;
use crate::engine::recrypt::layout;
use clap::Args;
use der::{Decode, Encode};
use fips::digest::{Hash, digest};
use hsm::{Custody, KeyFingerprint, TokenCertificate};
use serde_json::{Value, json};
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// `key attest`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pfx-connector key attest --config engine.toml --out attestation
  pfx-connector key attest --config engine.toml --certificates attestation.pem --root yubihsm2-attest-ca.pem
  pfx-connector key attest --config engine.toml --tpm-attestation key.attest --tpm-signature key.sig --tpm-public key.pub \\
      --tpm-ak ak.pub --tpm-ak-name 000b3f...

With --root alone the attestation of a YubiHSM 2 is verified: the chain up to that root, that it is of this very key, and what the device says
of the key. With --tpm-attestation that of a TPM (TPM2_Certify): the signature, that it is of this very key, its attributes, and that the
attestation key is the one that you named or of a certificate up to --root. That a named attestation key is in a TPM is not found out here:
tpm2_makecredential and tpm2_activatecredential are for that. SoftHSM, Kryoptic, NSS and openCryptoki have no attestation; network HSMs have
tools of their vendors: verify what they give with those.")]
pub(super) struct AttestArgs {
    #[command(flatten)]
    token: TokenArgs,
    #[command(flatten)]
    choice: KeyChoice,
    /// Write the certificates found (DER) to files of this new folder
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Certificates from the vendor's tool (PEM, or one in DER): the attestation, or the attestation key's with --tpm-attestation, and what lies
    /// between it and the root
    #[arg(long, value_name = "FILE", requires = "root")]
    certificates: Vec<PathBuf>,
    /// The root certificate (PEM), from the vendor itself: verify the attestation of a YubiHSM up to it; with --tpm-attestation, the
    /// certificate of the attestation key
    #[arg(long, value_name = "FILE")]
    root: Option<PathBuf>,
    #[command(flatten)]
    tpm: TpmArgs,
}

/// The largest file with certificates, in bytes.
pub(super) const MAX_CERTIFICATES_BYTES: usize = 256 * 1024;

/// An attestation that was verified, whatever its form.
pub(super) struct Verified {
    /// `yubihsm` or `tpm`.
    pub(super) form: &'static str,
    /// SHA-256 of the root that vouches for it, lower-case hexadecimal.
    pub(super) root: Option<String>,
    /// What the device says, for machines.
    pub(super) statement: Value,
    /// What an auditor has to know of it.
    pub(super) remarks: Vec<&'static str>,
    /// The same for people, remarks aside.
    pub(super) text: String,
}

impl From<Attested> for Verified {
    fn from(attested: Attested) -> Self {
        let statement = &attested.statement;
        Self {
            form: "yubihsm",
            text: format!("up to the root {}\n  {}", attested.root, statement.line()),
            statement: json!(statement),
            remarks: statement.remarks(),
            root: Some(attested.root),
        }
    }
}

/// A file with certificates that cannot be used.
pub(super) fn malformed_certificates(file: &Path, problem: String) -> Failure {
    Failure::usage(
        "certificate_malformed",
        format!("{}: {problem}", file.display()),
    )
}

/// The attestation of the key, verified up to what was named as trusted; `None` when nothing was.
fn verified(
    args: &AttestArgs,
    key: &KeyFingerprint,
    on_the_token: &[TokenCertificate],
) -> Result<Option<Verified>, Failure> {
    if args.tpm.given() {
        return tpm::verify(&args.tpm, key, &args.certificates, args.root.as_deref()).map(Some);
    }
    let Some(root) = &args.root else {
        return Ok(None);
    };
    let text = files::read(root, MAX_CERTIFICATES_BYTES, "the root certificate")?;
    let roots =
        Anchor::all_from_pem(&text).map_err(|problem| malformed_certificates(root, problem))?;
    let mut certificates: Vec<Vec<u8>> = Vec::new();
    for file in &args.certificates {
        let bytes = files::read(file, MAX_CERTIFICATES_BYTES, "the certificates")?;
        let found =
            files::certificates(&bytes).map_err(|problem| malformed_certificates(file, problem))?;
        certificates.extend(found);
    }
    // What is on the token besides may be anything: it counts where it is a certificate.
    let on_the_token = on_the_token.iter().map(|found| &found.der);
    certificates.extend(
        on_the_token
            .filter(|der| layout::read(der).is_some())
            .cloned(),
    );
    yubihsm::verify(key, &certificates, &roots, SystemClock.now_ms())
        .map(|attested| Some(attested.into()))
        .map_err(|error| {
            Failure::failed("attestation_not_verified", error.to_string()).hint(
                "have the device attest this key again (`yubihsm-shell -a sign-attestation-certificate`), and get the root and the \
                 intermediate certificate from the vendor",
            )
        })
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
    let certificates = custody.certificates()?;
    let attested = verified(args, &key.fingerprint, &certificates)?;
    let found: Vec<_> = certificates
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
    match &attested {
        Some(attested) => {
            let _ = write!(text, "\nVerified     {}", attested.text);
            for remark in &attested.remarks {
                let _ = write!(text, "\n  remark     {remark}");
            }
        }
        None if found.is_empty() => text.push_str(
            "\nThis module shows no attestation of the key. Ask the vendor's own tool, if the token has one (a TPM's: tpm2_certify).",
        ),
        None => text.push_str(
            "\nNothing of this was verified here: name the vendor's root (--root) for a YubiHSM's, or hold the chain against it with the \
             vendor's tool. A TPM's attestation is verified from files (--tpm-attestation).",
        ),
    }
    Ok(Report::done(
        json!({
            "fingerprint": key.fingerprint,
            "label": key.label,
            "token": token,
            "certificates": listed,
            "offered": !found.is_empty(),
            "verified": attested.is_some(),
            "form": attested.as_ref().map(|attested| attested.form),
            "root": attested.as_ref().map(|attested| &attested.root),
            "statement": attested.as_ref().map(|attested| &attested.statement),
            "remarks": attested.as_ref().map(|attested| &attested.remarks),
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
