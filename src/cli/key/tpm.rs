//! The attestation of a key by a TPM (TPM2_Certify), from the files that the TPM's own tools wrote.
//!
//! What is read and how it is verified: [`pki::tpm`]. Here is whether it is the key of the token, and what its attributes mean for whoever has
//! to know where that key can be.

use super::attest::{MAX_CERTIFICATES_BYTES, Verified, malformed_certificates};
use crate::cli::files;
use crate::cli::output::Failure;
use crate::clock::{Clock, SystemClock};
use crate::encoding::{from_hex, hex};
use clap::Args;
use hsm::KeyFingerprint;
use pki::path::Certificate;
use pki::time::digits;
use pki::tpm::{
    self, Attester, Attributes, Certified, Evidence, Hierarchy, MAX_STRUCTURE_BYTES, Name, Place,
    Vouched,
};
use serde::Serialize;
use serde_json::json;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// What the TPM's tools wrote, and who vouches for the attestation key where no certificate does.
#[derive(Debug, Args)]
pub(super) struct TpmArgs {
    /// A TPM's attestation of the key, from `tpm2_certify --attestation`: verify it
    #[arg(long, value_name = "FILE", requires_all = ["tpm_signature", "tpm_public"])]
    tpm_attestation: Option<PathBuf>,
    /// The signature over it, from `tpm2_certify --signature` (in its own format, `tss`)
    #[arg(long, value_name = "FILE", requires = "tpm_attestation")]
    tpm_signature: Option<PathBuf>,
    /// The public area of the key: TPM2B_PUBLIC, from `tpm2_ptool export --format tpm2` or `tpm2_readpublic -o`
    #[arg(long, value_name = "FILE", requires = "tpm_attestation")]
    tpm_public: Option<PathBuf>,
    /// The public area of the attestation key, from `tpm2_createak --public`, where no certificate vouches for it (--root)
    #[arg(long, value_name = "FILE", requires_all = ["tpm_attestation", "tpm_ak_name"], conflicts_with = "root")]
    tpm_ak: Option<PathBuf>,
    /// Name of the attestation key that you trust (hexadecimal): you know that it is in a TPM, from credential activation
    #[arg(long, value_name = "HEX", requires = "tpm_ak")]
    tpm_ak_name: Option<String>,
    /// The public area of what is above the key or the attestation key, for the place in the hierarchy
    #[arg(long, value_name = "FILE", requires = "tpm_attestation")]
    tpm_parent: Vec<PathBuf>,
    /// The qualifying data that the attestation has to have (hexadecimal); `tpm2_certify` 5.4 itself always gives 00ff55aa
    #[arg(long, value_name = "HEX", requires = "tpm_attestation")]
    tpm_qualification: Option<String>,
}

impl TpmArgs {
    /// Whether a TPM's attestation is to be verified.
    pub(super) fn given(&self) -> bool {
        self.tpm_attestation.is_some()
    }
}

/// What the attributes of a TPM's key amount to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
enum Verdict {
    MadeHere,
    Imported,
    Duplicable,
    ImportedDuplicable,
}

impl Verdict {
    /// By part 2, clause 8.3.3: fixedTPM says that it stays, sensitiveDataOrigin that the TPM made it. What may leave may have come as well, and
    /// then the latter is the word of where it was before.
    fn of(attributes: Attributes) -> Self {
        match (attributes.fixed_tpm(), attributes.sensitive_data_origin()) {
            (true, true) => Self::MadeHere,
            (true, false) => Self::Imported,
            (false, true) => Self::Duplicable,
            (false, false) => Self::ImportedDuplicable,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::MadeHere => "made in this TPM, and cannot leave it",
            Self::Imported => "imported: it was known outside of this TPM, and cannot leave it now",
            Self::Duplicable => {
                "can be duplicated to elsewhere; whether this TPM made it cannot be told"
            }
            Self::ImportedDuplicable => {
                "imported: it was known outside of this TPM, and can be duplicated to elsewhere"
            }
        }
    }
}

/// What an auditor has to know besides; empty for a key that decrypts, was made there and cannot leave.
fn remarks(attributes: Attributes, place: Option<&Place>) -> Vec<&'static str> {
    let mut remarks = Vec::new();
    let mut say = |when: bool, what| {
        if when {
            remarks.push(what);
        }
    };
    let (fixed_tpm, fixed_parent) = (attributes.fixed_tpm(), attributes.fixed_parent());
    say(
        !attributes.sensitive_data_origin(),
        "the TPM did not make the secret part (sensitiveDataOrigin is clear): whoever had it may have it still",
    );
    say(
        !fixed_tpm && fixed_parent,
        "what is above the key may be duplicated, and the key with it (fixedTPM is clear, fixedParent is set)",
    );
    say(
        !fixed_tpm && !fixed_parent,
        "the key may be duplicated, to another TPM or out of it, by whoever satisfies its policy (fixedTPM and fixedParent are clear)",
    );
    say(
        !attributes.decrypt(),
        "the key is not for decryption (decrypt is clear)",
    );
    say(attributes.sign(), "the key may sign as well (sign is set)");
    say(
        attributes.restricted(),
        "the key is a storage key, or signs (restricted is set): it decrypts nothing that comes from outside",
    );
    say(
        !attributes.user_with_auth(),
        "its authorization value is not enough for its use, its policy decides (userWithAuth is clear)",
    );
    say(
        attributes.no_da(),
        "wrong authorization values are not counted (noDA is set): nothing stops who guesses",
    );
    say(
        place.is_some_and(|place| place.hierarchy == Hierarchy::Null),
        "the key is in the null hierarchy, and gone at the next reset of the TPM",
    );
    remarks
}

/// Verifies the attestation of the key with this fingerprint.
pub(super) fn verify(
    args: &TpmArgs,
    key: &KeyFingerprint,
    certificates: &[PathBuf],
    root: Option<&Path>,
) -> Result<Verified, Failure> {
    let structure = |file: &Option<PathBuf>, what: &str| {
        files::read(
            file.as_deref().unwrap_or(Path::new("")),
            MAX_STRUCTURE_BYTES,
            what,
        )
    };
    let attestation = structure(&args.tpm_attestation, "the attestation")?;
    let signature = structure(&args.tpm_signature, "the signature")?;
    let public = structure(&args.tpm_public, "the public area of the key")?;
    let parents = args
        .tpm_parent
        .iter()
        .map(|file| files::read(file, MAX_STRUCTURE_BYTES, "the public area of a parent"))
        .collect::<Result<Vec<_>, _>>()?;
    let qualification = args
        .tpm_qualification
        .as_deref()
        .map(|text| hexadecimal("--tpm-qualification", text))
        .transpose()?;
    let evidence = Evidence {
        attestation: &attestation,
        signature: &signature,
        public: &public,
        parents: &parents,
        qualification: qualification.as_deref(),
    };
    let verified = match (root, &args.tpm_ak_name) {
        (Some(root), _) => {
            let roots = certificates_of(&[root.to_owned()])?;
            let roots = read_roots(root, &roots)?;
            let certificates = certificates_of(certificates)?;
            let attester = Attester::Certificate {
                certificates: &certificates,
                roots: &roots,
                at: digits(SystemClock.now_ms()),
            };
            tpm::verify(&evidence, &attester)
        }
        (None, Some(name)) => {
            let name = Name::read(&hexadecimal("--tpm-ak-name", name)?).map_err(|_| {
                Failure::usage(
                    "tpm_name",
                    "--tpm-ak-name is not the name of an object of a TPM with SHA-256, SHA-384 or SHA-512",
                )
                .hint("`tpm2_createak` and `tpm2_readpublic` tell it: 000b and 64 hexadecimal digits more, for SHA-256")
            })?;
            let public = structure(&args.tpm_ak, "the public area of the attestation key")?;
            let attester = Attester::Name {
                public: &public,
                name: &name,
            };
            tpm::verify(&evidence, &attester)
        }
        (None, None) => {
            return Err(Failure::usage(
                "tpm_attestation_key",
                "nobody vouches for the attestation key",
            )
            .hint(
                "give its certificate with the root that you trust (--certificates, --root), or its public area with the name that you trust \
                 (--tpm-ak, --tpm-ak-name)",
            ));
        }
    };
    let certified = verified
        .map_err(|error| {
            Failure::failed("attestation_not_verified", error.to_string()).hint(
                "have the TPM certify this key again (`tpm2_certify`), and give the files of that one run together",
            )
        })?;
    let of_public = KeyFingerprint::of_spki(certified.public.spki_der());
    if of_public != *key {
        return Err(Failure::failed(
            "attestation_of_another_key",
            format!("the TPM attests another key, whose fingerprint is {of_public}"),
        )
        .hint(
            "have the TPM certify the key of this token: `tpm2_ptool export` gives its public area",
        ));
    }
    Ok(report(&certified))
}

fn hexadecimal(option: &str, text: &str) -> Result<Vec<u8>, Failure> {
    from_hex(text).ok_or_else(|| {
        Failure::usage(
            "not_hexadecimal",
            format!("{option} is not hexadecimal, two digits for each byte"),
        )
    })
}

/// The certificates (DER) of files.
fn certificates_of(paths: &[PathBuf]) -> Result<Vec<Vec<u8>>, Failure> {
    let mut found = Vec::new();
    for file in paths {
        let bytes = files::read(file, MAX_CERTIFICATES_BYTES, "the certificates")?;
        found.extend(
            files::certificates(&bytes).map_err(|problem| malformed_certificates(file, problem))?,
        );
    }
    Ok(found)
}

fn read_roots(file: &Path, ders: &[Vec<u8>]) -> Result<Vec<Certificate>, Failure> {
    if ders.is_empty() {
        return Err(malformed_certificates(
            file,
            "there is no certificate in it".to_owned(),
        ));
    }
    ders.iter()
        .map(|der| {
            Certificate::read(der)
                .map_err(|problem| malformed_certificates(file, problem.to_string()))
        })
        .collect()
}

fn place_words(place: Option<&Place>) -> String {
    match place {
        None => "not told: give the public areas of what is above it (--tpm-parent)".to_owned(),
        Some(place) => {
            let hierarchy = place.hierarchy.name();
            match place.above.as_slice() {
                [] => format!("a primary object of the {hierarchy} hierarchy"),
                above => {
                    let names: Vec<String> = above.iter().map(Name::to_string).collect();
                    format!("{}, in the {hierarchy} hierarchy", names.join(", below "))
                }
            }
        }
    }
}

/// On what all of it stands, said plainly: what was not done here and has to have been.
fn stands_on(vouched: &Vouched) -> &'static str {
    match vouched {
        Vouched::Name(_) => {
            "the name that you gave. That the key with this name is in a TPM is known from credential activation: a secret, encrypted by \
             tpm2_makecredential for this name and the endorsement key of the TPM's certificate, that tpm2_activatecredential on the TPM gave \
             back. That was not done here. The endorsement key's certificate alone vouches for no key that signs"
        }
        Vouched::Certificate { .. } => {
            "the word of the certificate's issuer, who has to have known that the key is restricted and in a TPM; its revocation was not looked at"
        }
    }
}

fn report(certified: &Certified) -> Verified {
    let attributes = certified.public.attributes();
    let verdict = Verdict::of(attributes);
    let remarks = remarks(attributes, certified.place.as_ref());
    let attestation = &certified.attestation;
    let (by, root) = match &certified.vouched {
        Vouched::Name(name) => (format!("the attestation key {name}, which you named"), None),
        Vouched::Certificate {
            subject,
            root,
            between,
        } => (
            format!(
                "the attestation key of the certificate {subject}, {between} certificates below the root {root}"
            ),
            Some(root.clone()),
        ),
    };
    let mut text = format!("by a TPM (TPM2_Certify), {}, by {by}", certified.algorithm);
    if let Some(place) = &certified.signer_place {
        let _ = write!(
            text,
            "\n  {:<10} {}",
            "its parent",
            place_words(Some(place))
        );
    }
    let clock = attestation.clock;
    let safe = match clock.safe {
        true => "",
        false => ", not safe",
    };
    for (what, words) in [
        ("verdict", verdict.words().to_owned()),
        ("name", attestation.name.to_string()),
        ("attributes", attributes.names().join(", ")),
        ("parent", place_words(certified.place.as_ref())),
        (
            "tpm",
            format!(
                "firmware {:#018x}, clock {} ms{safe}, resets {}, restarts {}",
                attestation.firmware_version,
                clock.clock_ms,
                clock.reset_count,
                clock.restart_count
            ),
        ),
        (
            "data",
            format!("qualifying data {}", hex(&attestation.extra_data)),
        ),
        ("stands on", stands_on(&certified.vouched).to_owned()),
    ] {
        let _ = write!(text, "\n  {what:<10} {words}");
    }
    Verified {
        form: "tpm",
        root,
        statement: json!({
            "verdict": verdict,
            "attributes": attributes,
            "hasPolicy": certified.public.has_policy(),
            "place": certified.place,
            "attestationKeyPlace": certified.signer_place,
            "attestation": attestation,
            "algorithm": certified.algorithm,
            "vouched": match &certified.vouched {
                Vouched::Name(name) => json!({"name": name}),
                Vouched::Certificate { subject, .. } => json!({"certificate": subject}),
            },
            "standsOn": stands_on(&certified.vouched),
        }),
        remarks,
        text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAYS: u32 = 1 << 1 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 17;

    #[test]
    fn only_a_key_that_was_made_there_and_stays_is_called_so() {
        for (bits, verdict, count) in [
            (STAYS, Verdict::MadeHere, 0),
            (STAYS & !(1 << 5), Verdict::Imported, 1),
            (STAYS & !(1 << 1), Verdict::Duplicable, 1),
            (STAYS & !(1 << 1 | 1 << 4), Verdict::Duplicable, 1),
            (1 << 6 | 1 << 17, Verdict::ImportedDuplicable, 2),
            // Nothing that an auditor would want: no decryption, a signing storage key, a policy, no count of guesses.
            (1 << 10 | 1 << 16 | 1 << 18, Verdict::ImportedDuplicable, 7),
        ] {
            let attributes = Attributes::new(bits);
            assert_eq!(Verdict::of(attributes), verdict, "{bits:#x}");
            let found = remarks(attributes, None);
            assert_eq!(found.len(), count, "{bits:#x}: {found:?}");
        }
        let null = Place {
            hierarchy: Hierarchy::Null,
            above: Vec::new(),
        };
        assert_eq!(remarks(Attributes::new(STAYS), Some(&null)).len(), 1);
    }
}
