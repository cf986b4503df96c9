//! The whole statement, verified.

use super::{Attestation, MAX_PARENTS, Name, Place, Public, Signature, TpmError};
use crate::path::{Certificate, Purpose, Verification};
use fips::digest::{Hash, digest};
use formats::text::hex;

/// What the TPM's tools wrote.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'a> {
    /// TPMS_ATTEST or TPM2B_ATTEST.
    pub attestation: &'a [u8],
    /// TPMT_SIGNATURE.
    pub signature: &'a [u8],
    /// TPM2B_PUBLIC or TPMT_PUBLIC of the certified key.
    pub public: &'a [u8],
    /// The same of what is above the key or the attestation key, [`MAX_PARENTS`] at most.
    pub parents: &'a [Vec<u8>],
    /// The qualifying data that the attestation has to have.
    pub qualification: Option<&'a [u8]>,
}

/// Who vouches for the attestation key.
#[derive(Debug, Clone, Copy)]
pub enum Attester<'a> {
    /// A certificate that chains to a root. What the key is, its issuer knows.
    Certificate {
        /// Certificates (DER) in any order: the attestation key's own, and what is between it and a root.
        certificates: &'a [Vec<u8>],
        /// Authorities that are trusted to certify attestation keys.
        roots: &'a [Certificate],
        /// The time, `YYYYMMDDHHMMSS` in UTC.
        at: [u8; 14],
    },
    /// The operator, who knows its name: the digest of its public area, attributes included.
    Name {
        /// TPM2B_PUBLIC or TPMT_PUBLIC of the attestation key.
        public: &'a [u8],
        /// The name that is trusted.
        name: &'a Name,
    },
}

/// Who vouched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Vouched {
    /// A certificate.
    Certificate {
        /// The attestation key's certificate: its subject (RFC 4514).
        subject: String,
        /// SHA-256 of the root, lower-case hexadecimal.
        root: String,
        /// Certificates between the two.
        between: usize,
    },
    /// The operator.
    Name(Name),
}

/// A statement that was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certified {
    /// What the TPM signed.
    pub attestation: Attestation,
    /// The key that it is about.
    pub public: Public,
    /// Where that key is, if the parents tell.
    pub place: Option<Place>,
    /// Where the attestation key is, if its name and the parents tell.
    pub signer_place: Option<Place>,
    /// The signature's algorithm, in words.
    pub algorithm: String,
    /// Who vouched for the attestation key.
    pub vouched: Vouched,
}

/// Certificates that are looked at.
const MAX_CERTIFICATES: usize = 16;

/// Verifies that an attestation is of the key with this public area, signed by an attestation key that is vouched for.
///
/// It holds then that a TPM object with exactly these numbers and attributes was loaded where the attestation key is. Which key it has to be,
/// the caller compares ([`Public::spki_der`]).
///
/// # Errors
/// [`TpmError`].
pub fn verify(evidence: &Evidence<'_>, attester: &Attester<'_>) -> Result<Certified, TpmError> {
    let attestation = Attestation::read(evidence.attestation)?;
    let signature = Signature::read(evidence.signature)?;
    let public = Public::read(evidence.public)?;
    if evidence.parents.len() > MAX_PARENTS {
        return Err(TpmError::TooMany {
            what: "public areas of parents",
            limit: MAX_PARENTS,
        });
    }
    let parents: Vec<Public> = evidence
        .parents
        .iter()
        .map(|bytes| Public::read(bytes))
        .collect::<Result<_, _>>()?;
    let (vouched, algorithm, signer) = match attester {
        Attester::Name {
            public,
            name: trusted,
        } => {
            let key = Public::read(public)?;
            if key.name() != *trusted {
                return Err(TpmError::OtherAttestationKey {
                    given: key.name().to_string(),
                });
            }
            is_attestation_key(&key)?;
            signature.verify(key.spki_der(), key.scheme(), attestation.signed())?;
            let algorithm = signature.words(key.spki_der());
            let vouched = Vouched::Name(key.name().clone());
            (vouched, algorithm, Some(key))
        }
        Attester::Certificate {
            certificates,
            roots,
            at,
        } => {
            let (vouched, algorithm) =
                by_certificate(&attestation, &signature, certificates, roots, *at)?;
            (vouched, algorithm, None)
        }
    };
    // Only what is signed is looked at.
    if attestation.name != *public.name() {
        return Err(TpmError::OtherObject {
            attested: attestation.name.to_string(),
            given: public.name().to_string(),
        });
    }
    if let Some(expected) = evidence.qualification
        && attestation.extra_data != expected
    {
        return Err(TpmError::Qualification {
            found: hex(&attestation.extra_data),
        });
    }
    let place = Place::find(&attestation.name, &attestation.qualified_name, &parents);
    let signer_place = signer
        .and_then(|signer| Place::find(signer.name(), &attestation.qualified_signer, &parents));
    let unused = parents.iter().map(Public::name).find(|name| {
        let mut places = [&place, &signer_place].into_iter().flatten();
        !places.any(|place| place.above.contains(name))
    });
    if let Some(unused) = unused {
        return Err(TpmError::NotAbove(unused.to_string()));
    }
    Ok(Certified {
        attestation,
        public,
        place,
        signer_place,
        algorithm: algorithm.unwrap_or_default(),
        vouched,
    })
}

/// A key whose attestations say something: the TPM's own, and one that signs nothing but what the TPM made (part 1, "Attestation"; part 2,
/// clause 8.3.3).
fn is_attestation_key(key: &Public) -> Result<(), TpmError> {
    let attributes = key.attributes();
    let refused = |attribute, found, consequence| {
        Err(TpmError::NotAnAttestationKey {
            attribute,
            found,
            consequence,
        })
    };
    if !attributes.restricted() {
        return refused(
            "restricted",
            "clear",
            "it signs whatever it is given, invented attestations too",
        );
    }
    if !attributes.sign() {
        return refused("sign", "clear", "it signs nothing");
    }
    if attributes.decrypt() {
        return refused("decrypt", "set", "it is a storage key");
    }
    if !attributes.fixed_tpm() {
        return refused("fixedTPM", "clear", "it may be somewhere else as well");
    }
    if !attributes.sensitive_data_origin() {
        return refused(
            "sensitiveDataOrigin",
            "clear",
            "it was known outside of the TPM",
        );
    }
    Ok(())
}

fn by_certificate(
    attestation: &Attestation,
    signature: &Signature,
    certificates: &[Vec<u8>],
    roots: &[Certificate],
    at: [u8; 14],
) -> Result<(Vouched, Option<String>), TpmError> {
    if certificates.len() > MAX_CERTIFICATES {
        return Err(TpmError::TooMany {
            what: "certificates",
            limit: MAX_CERTIFICATES,
        });
    }
    let read: Vec<Certificate> = certificates
        .iter()
        .enumerate()
        .map(|(place, der)| {
            Certificate::read(der).map_err(|problem| TpmError::Certificate { place, problem })
        })
        .collect::<Result<_, _>>()?;
    let verification = Verification {
        roots,
        intermediates: &read,
        purpose: Purpose::AttestationKey,
        at,
        ..Verification::default()
    };
    let mut last = TpmError::NoCertificate;
    for certificate in read.iter().filter(|one| Purpose::is_attestation_key(one)) {
        let outcome = signature
            .verify(certificate.spki_der(), None, attestation.signed())
            .and_then(|()| verification.verify(certificate).map_err(TpmError::Path));
        match outcome {
            Ok(path) => {
                let root = path.certificates.last().copied().unwrap_or(certificate);
                let vouched = Vouched::Certificate {
                    subject: certificate.subject_text(),
                    root: hex(digest(Hash::Sha256, root.der()).as_ref()),
                    between: path.certificates.len().saturating_sub(2),
                };
                return Ok((vouched, signature.words(certificate.spki_der())));
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}
