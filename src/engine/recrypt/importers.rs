//! Whose records are accepted: importers' signatures, made by the import tool and verified before the custody key is used.

use super::anchors::LoadError;
use super::layout;
use super::pem;
use super::signatures::KeyKind;
use crate::calendar::Facts;
use crate::config::ImporterConfig;
use crate::encoding::{Base64Bytes, hex};
use crate::engine::api::FailureCode;
use crate::record::{ImporterSignature, Record};
use fips::digest::{Hash, digest};
use fips::sign::{SignatureAlgorithm, SigningKey};

/// Smallest RSA key of an importer, in bits.
const MIN_RSA_BITS: usize = 2048;

/// Somebody whose signature makes a record acceptable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Importer {
    name: String,
    spki: Vec<u8>,
    fingerprint: String,
    algorithm: SignatureAlgorithm,
    certificate: Option<Facts>,
}

/// A key that cannot be an importer's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ImporterKeyError {
    /// The file holds no key.
    #[error(
        "holds no public key and no certificate in PEM: export the importer's public key (-----BEGIN PUBLIC KEY-----)"
    )]
    NotAKey,
    /// The file holds several.
    #[error("holds more than one key or certificate: give each importer a file of its own")]
    Several,
    /// The key cannot sign records.
    #[error(
        "holds a key that is neither EC on P-256 or P-384 nor RSA of at least {MIN_RSA_BITS} bits"
    )]
    Unsupported,
}

impl Importer {
    /// An importer with the public key (SubjectPublicKeyInfo) or the certificate in this PEM text.
    ///
    /// Of a certificate only the key counts: its dates and issuer say nothing here, since the operator named it.
    ///
    /// # Errors
    /// [`ImporterKeyError`] when there is not exactly one key, or not one that may sign records.
    pub fn from_pem(name: &str, text: &[u8]) -> Result<Self, ImporterKeyError> {
        let mut blocks = pem::blocks(text, &["PUBLIC KEY", "CERTIFICATE"])
            .ok_or(ImporterKeyError::NotAKey)?
            .into_iter();
        let (label, der) = blocks.next().ok_or(ImporterKeyError::NotAKey)?;
        if blocks.next().is_some() {
            return Err(ImporterKeyError::Several);
        }
        let is_certificate = label == "CERTIFICATE";
        let certificate = is_certificate.then(|| Facts::of(&der)).flatten();
        let spki = if is_certificate {
            layout::read(&der)
                .and_then(|layout| layout.spans.spki.of(&der))
                .ok_or(ImporterKeyError::NotAKey)?
                .to_vec()
        } else {
            der
        };
        let algorithm = algorithm_for(&spki).ok_or(ImporterKeyError::Unsupported)?;
        Ok(Self {
            name: name.to_owned(),
            fingerprint: fingerprint(&spki),
            spki,
            algorithm,
            certificate,
        })
    }

    /// Its name in the configuration.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What its certificate says of itself, where the operator gave one instead of a key. Its dates are for people: they stop nothing.
    #[must_use]
    pub fn certificate(&self) -> Option<&Facts> {
        self.certificate.as_ref()
    }

    /// SHA-256 of its SubjectPublicKeyInfo (DER), lower-case hexadecimal, as records name it.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }
}

/// Reads the keys of the configured importers.
///
/// # Errors
/// [`LoadError`] when a file cannot be read, or holds no key that may sign records.
pub fn load(configured: &[ImporterConfig]) -> Result<Vec<Importer>, LoadError> {
    configured
        .iter()
        .map(|importer| {
            let text = pem::read_file(&importer.public_key)?;
            Importer::from_pem(&importer.name, &text).map_err(|problem| LoadError::Unusable {
                path: importer.public_key.clone(),
                problem: problem.to_string(),
            })
        })
        .collect()
}

/// Why a record is not used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordRefusal {
    /// It has no signature, or names no custody key.
    #[error(
        "the record is not signed by an importer; import it again with a signing key, or name the exception unsigned-records"
    )]
    Unsigned,
    /// Its signature names somebody who is not configured.
    #[error("the record is signed by an importer that is not configured ({fingerprint})")]
    UnknownImporter {
        /// Whom it names; shortened to what a fingerprint can be.
        fingerprint: String,
    },
    /// Its signature does not fit: user, thumbprint, PFX, key, padding or ciphertext is not what was signed.
    #[error(
        "the record is not what importer {name} signed: its user, thumbprint, PFX, key, padding or ciphertext was changed"
    )]
    NotWhatWasSigned {
        /// The importer.
        name: String,
    },
}

impl RecordRefusal {
    /// Stable code for the operator's log.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unsigned => "record_unsigned",
            Self::UnknownImporter { .. } => "record_unknown_importer",
            Self::NotWhatWasSigned { .. } => "record_not_what_was_signed",
        }
    }

    /// What the caller of the engine is told.
    #[must_use]
    pub fn failure_code(&self) -> FailureCode {
        FailureCode::RecordRefused
    }
}

/// Verifies that a record with its PFX is what a configured importer signed, and tells which.
///
/// `Ok(None)` only with `allow_unsigned`, for a record without a signature. A signature that does not verify is always refused,
/// and so is a signed record without a custody key unless `allow_unsigned` (an importer of ours always names it, and without it a
/// record could be replayed against another key).
///
/// # Errors
/// [`RecordRefusal`].
pub fn verify<'a>(
    record: &Record,
    pfx: &[u8],
    importers: &'a [Importer],
    allow_unsigned: bool,
) -> Result<Option<&'a Importer>, RecordRefusal> {
    let Some(signature) = &record.importer_signature else {
        return if allow_unsigned {
            Ok(None)
        } else {
            Err(RecordRefusal::Unsigned)
        };
    };
    if record.custody_key.is_none() && !allow_unsigned {
        return Err(RecordRefusal::Unsigned);
    }
    let importer = importers
        .iter()
        .find(|importer| importer.fingerprint == signature.importer)
        .ok_or_else(|| RecordRefusal::UnknownImporter {
            fingerprint: signature
                .importer
                .chars()
                .filter(char::is_ascii_hexdigit)
                .take(64)
                .collect(),
        })?;
    fips::sign::verify(
        importer.algorithm,
        &importer.spki,
        &record.signed_bytes(pfx),
        signature.signature.as_slice(),
    )
    .map_err(|_| RecordRefusal::NotWhatWasSigned {
        name: importer.name.clone(),
    })?;
    Ok(Some(importer))
}

/// Signs a record with its PFX as an importer; the caller puts the result into [`Record::importer_signature`], which is not itself signed.
///
/// # Errors
/// The module's, and one for a key whose algorithm no engine accepts.
pub fn sign(
    key: &SigningKey,
    record: &Record,
    pfx: &[u8],
) -> Result<ImporterSignature, fips::Error> {
    let spki = key.spki_der();
    let algorithm = algorithm_for(spki).ok_or(fips::Error::UnsupportedKey {
        expected: "EC on P-256 or P-384, or RSA of at least 2048 bits",
    })?;
    Ok(ImporterSignature {
        importer: fingerprint(spki),
        signature: Base64Bytes(key.sign_with(algorithm, &record.signed_bytes(pfx))?),
    })
}

/// The one algorithm of a kind of key.
fn algorithm_for(spki: &[u8]) -> Option<SignatureAlgorithm> {
    match KeyKind::of(spki)? {
        KeyKind::P256 => Some(SignatureAlgorithm::EcdsaP256Sha256),
        KeyKind::P384 => Some(SignatureAlgorithm::EcdsaP384Sha384),
        KeyKind::Rsa => {
            let bits = fips::rsa::PublicKey::from_spki(spki).ok()?.modulus_bits();
            (bits >= MIN_RSA_BITS).then_some(SignatureAlgorithm::RsaPssSha256)
        }
        KeyKind::P521 | KeyKind::RsaPss => None,
    }
}

fn fingerprint(spki: &[u8]) -> String {
    hex(digest(Hash::Sha256, spki).as_ref())
}
