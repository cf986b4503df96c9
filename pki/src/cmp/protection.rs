//! The protection of messages: made for ours, verified for theirs.

use super::asn1::{NULL, UTF8_STRING, element, encoded, sequence};
use super::body::Request;
use super::certificate::{read, same_key};
use super::header::Header;
use super::mac::{Mac, MacScheme};
use super::message::{Message, assemble};
use super::trust::Trust;
use super::{CmpError, oid};
use crate::path::Certificate;
use crate::{Signer, algorithm};
use fips::secret::SecretBytes;
use std::time::SystemTime;

/// What protects our messages.
#[derive(Clone, Copy)]
pub enum Protector<'a> {
    /// A key with its certificate.
    Signature {
        /// The key.
        signer: &'a dyn Signer,
        /// Its certificate (DER).
        certificate_der: &'a [u8],
        /// Certificates (DER) that go along.
        chain: &'a [Vec<u8>],
    },
    /// A shared secret.
    Secret {
        /// What the other side knows it by.
        reference: &'a [u8],
        /// The secret.
        secret: &'a SecretBytes,
        /// How codes are made from it.
        scheme: MacScheme,
    },
}

/// What has to have protected their messages.
#[derive(Clone, Copy)]
pub enum Verifier<'a> {
    /// A signer that is trusted.
    Signature {
        /// Whose.
        trust: &'a Trust,
        /// The time for which certificates must be valid.
        now: SystemTime,
    },
    /// A shared secret.
    Secret {
        /// The secret.
        secret: &'a SecretBytes,
    },
}

/// A message (DER) of these parts, protected: the sender, its key and the algorithm are filled in (RFC 9810, section 5.1.3).
///
/// # Errors
/// [`CmpError::Sign`]; [`CmpError::Module`], among others [`fips::Error::NotApproved`] in strict mode; [`CmpError::Malformed`] for the
/// certificate, or when the certificate is not the key's.
pub fn protect(
    mut header: Header,
    request: &Request,
    by: &Protector<'_>,
) -> Result<Vec<u8>, CmpError> {
    match *by {
        Protector::Signature {
            signer,
            certificate_der,
            chain,
        } => {
            let certificate = read(certificate_der)?;
            if !same_key(certificate.spki_der(), signer.spki_der()) {
                return Err(CmpError::malformed(
                    "our own certificate: it is another key's than the one that signs: the configuration",
                ));
            }
            header.protection_algorithm = Some(algorithm::identifier_der(signer.algorithm()));
            header.sender_der = Some(certificate.subject_der().to_vec());
            header.sender_key_id = certificate.subject_key_id().map(<[u8]>::to_vec);
            let header = header.encode()?;
            let signature = signer.sign(&sequence(&[&header, &request.der]))?;
            let extra = [&[certificate_der.to_vec()], chain].concat();
            Ok(assemble(&header, &request.der, Some(&signature), &extra))
        }
        Protector::Secret {
            reference,
            secret,
            scheme,
        } => {
            let mac = Mac::new(scheme)?;
            header.protection_algorithm = Some(mac.identifier()?);
            header.sender_der = common_name(reference)?;
            header.sender_key_id = Some(reference.to_vec());
            let header = header.encode()?;
            let code = mac.code(secret, &sequence(&[&header, &request.der]))?;
            Ok(assemble(&header, &request.der, Some(&code), &[]))
        }
    }
}

/// The name that RFC 9483 (section 3.1) wants of a sender without a certificate: its reference as commonName. `None` where that is no text.
fn common_name(reference: &[u8]) -> Result<Option<Vec<u8>>, CmpError> {
    const SET: u8 = 0x31;
    if reference.is_empty() || reference.len() > 64 || std::str::from_utf8(reference).is_err() {
        return Ok(None);
    }
    let value = element(UTF8_STRING, &[reference]);
    let attribute = sequence(&[&encoded(&oid::COMMON_NAME)?, &value]);
    Ok(Some(sequence(&[&element(SET, &[&attribute])])))
}

/// An AlgorithmIdentifier (DER) of RSASSA-PKCS1-v1_5 with the NULL that RFC 4055 (section 5) wants to be there and to be done without:
/// OpenSSL 3 leaves it out of protectionAlg.
fn with_null(identifier: &[u8]) -> Vec<u8> {
    /// SEQUENCE of a sole identifier under pkcs-1, 1.2.840.113549.1.1.
    const HEAD: &[u8] = &[
        0x30, 0x0b, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01,
    ];
    match (identifier.strip_prefix(HEAD), identifier.get(2..)) {
        (Some([_]), Some(id)) => sequence(&[id, NULL]),
        _ => identifier.to_vec(),
    }
}

impl Message {
    /// Checks that whoever is believed protected it. Before this succeeds, nothing of the message is true.
    ///
    /// # Errors
    /// [`CmpError::Unprotected`], [`CmpError::ProtectionKind`], [`CmpError::Protection`], [`CmpError::Untrusted`]; [`CmpError::Module`] where
    /// strict mode does not permit the scheme.
    pub fn verify(&self, by: &Verifier<'_>) -> Result<(), CmpError> {
        let (Some(algorithm), Some(protection)) =
            (&self.header.protection_algorithm, &self.protection)
        else {
            return Err(CmpError::Unprotected);
        };
        match *by {
            Verifier::Secret { secret } => {
                Mac::read(algorithm)?.verify(secret, &self.protected_part, protection)
            }
            Verifier::Signature { trust, now } => {
                self.verify_signature(algorithm, protection, trust, now)
            }
        }
    }

    fn verify_signature(
        &self,
        algorithm: &[u8],
        signature: &[u8],
        trust: &Trust,
        now: SystemTime,
    ) -> Result<(), CmpError> {
        let algorithm = &with_null(algorithm);
        // What does not read as a certificate cannot be the signer's, nor of its chain.
        let extra: Vec<Certificate> = self
            .extra_certs
            .iter()
            .filter_map(|der| read(der).ok())
            .collect();
        let mut last = CmpError::Protection {
            problem: "no certificate of its sender is with it or configured",
        };
        for signer in extra.iter().chain(trust.candidates()) {
            if !self.names(signer) {
                continue;
            }
            match algorithm::verify(
                algorithm,
                signer.spki_der(),
                &self.protected_part,
                signature,
            ) {
                Ok(()) => {}
                Err(algorithm::VerifyError::Algorithm) => {
                    last = CmpError::ProtectionKind {
                        problem: "no signature of an accepted algorithm by its sender's key (SHA-1, a MAC, or another kind of key)",
                    };
                    continue;
                }
                Err(_) => {
                    last = CmpError::Protection {
                        problem: "the signature is not its sender's",
                    };
                    continue;
                }
            }
            // Whoever's signature it is: no other certificate of the same key is looked for but one that is trusted.
            match trust.accept(signer, &extra, now) {
                Ok(()) => return Ok(()),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Whether the header's sender is this certificate's subject, and its key the one that is named.
    fn names(&self, signer: &Certificate) -> bool {
        let key = match (
            self.header.sender_key_id.as_deref(),
            signer.subject_key_id(),
        ) {
            (Some(named), Some(own)) => named == own,
            _ => true,
        };
        key && self.header.sender_der.as_deref() == Some(signer.subject_der())
    }
}
