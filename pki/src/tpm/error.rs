//! Why a TPM's statement is not believed.

use crate::path::PathError;

/// Why a TPM's statement is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TpmError {
    /// A structure is not in its form.
    #[error(
        "{structure} is malformed at {field}: give the file as the TPM's own tool wrote it, of the right kind"
    )]
    Malformed {
        /// Its name in the specification.
        structure: &'static str,
        /// The part of it.
        field: &'static str,
    },
    /// The attestation does not begin with TPM_GENERATED.
    #[error("the attestation does not begin as what a TPM made does (TPM_GENERATED)")]
    NotGenerated,
    /// It is one of another command.
    #[error(
        "the attestation is of the type {0:#06x}, and not of TPM2_Certify (TPM_ST_ATTEST_CERTIFY)"
    )]
    NotCertify(u16),
    /// An algorithm that is not accepted.
    #[error("{structure} has {what} {algorithm:#06x}, which is not accepted here ({accepted})")]
    Algorithm {
        /// Where.
        structure: &'static str,
        /// Which of its algorithms.
        what: &'static str,
        /// Its TPM_ALG_ID.
        algorithm: u16,
        /// What would be.
        accepted: &'static str,
    },
    /// The numbers of a public area are no key.
    #[error("{structure}: its key cannot be used: {source}")]
    Key {
        /// Where.
        structure: &'static str,
        /// Why.
        source: fips::Error,
    },
    /// The attestation is of another object.
    #[error("the attestation is of the object {attested}, the public area is that of {given}")]
    OtherObject {
        /// The name in the attestation.
        attested: String,
        /// The name of the public area.
        given: String,
    },
    /// The signature is wrong, or of another key.
    #[error("the signature over the attestation does not verify with the attestation key: {0}")]
    Signature(fips::Error),
    /// The signature is of a scheme that the attestation key is not for.
    #[error("the signature has a scheme or hash that does not belong to the attestation key: {0}")]
    Scheme(&'static str),
    /// The attestation key is not the one that was named.
    #[error(
        "the attestation key's public area has the name {given}, and not the one that was named"
    )]
    OtherAttestationKey {
        /// Its name.
        given: String,
    },
    /// The key that signed is not one whose attestations say anything.
    #[error(
        "what signed is no attestation key that can be believed: its attribute {attribute} is {found}, so that {consequence}"
    )]
    NotAnAttestationKey {
        /// The attribute.
        attribute: &'static str,
        /// How it is.
        found: &'static str,
        /// What follows.
        consequence: &'static str,
    },
    /// The qualifying data is not what was expected.
    #[error(
        "the qualifying data of the attestation is {found:?} (hexadecimal), and not what was expected: it was made for another question"
    )]
    Qualification {
        /// What it is.
        found: String,
    },
    /// No certificate is an attestation key's.
    #[error(
        "none of the certificates is an attestation key's: the extended key usage 2.23.133.8.3 (tcg-kp-AIKCertificate) is in none"
    )]
    NoCertificate,
    /// A certificate does not parse.
    #[error("certificate {place} is malformed: {problem}")]
    Certificate {
        /// Its place, from 0.
        place: usize,
        /// Why.
        problem: crate::path::Problem,
    },
    /// The attestation key's certificate does not chain to a root.
    #[error("the attestation key's certificate does not chain to the root that was named: {0}")]
    Path(PathError),
    /// More of them than are looked at.
    #[error("more than {limit} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// A parent that was given is above neither key.
    #[error(
        "the parent with the name {0} is above neither the key nor the attestation key, as far as the qualified names say"
    )]
    NotAbove(String),
}

impl TpmError {
    pub(super) const fn at(structure: &'static str, field: &'static str) -> Self {
        Self::Malformed { structure, field }
    }
}
