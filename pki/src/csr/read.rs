//! Reads a request that a stranger made.

use super::{
    CERT_EXTENSIONS, CHALLENGE_PASSWORD, CsrError, EXTENSION_REQUEST, MAX_CHALLENGE_CHARACTERS,
    MAX_CSR_BYTES, MAX_DEPTH,
};
use crate::algorithm;
use crate::extension::Extensions;
use crate::name::{MAX_NAME_BYTES, MAX_RDNS, value_text};
use const_oid::ObjectIdentifier;
use der::{Decode, Encode};
use fips::secret::Password;
use fips::sign::SignatureAlgorithm;
use formats::ber;
use std::fmt;
use x509_cert::ext::Extension;
use x509_cert::name::Name;
use x509_cert::request::CertReq;

/// Label of a request (RFC 7468 section 7), and the one of older tools.
const LABELS: [&str; 2] = ["CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"];
/// Most attributes of a request.
const MAX_ATTRIBUTES: usize = 16;
/// Most extensions that are asked for.
const MAX_EXTENSIONS: usize = 32;

/// A request whose form was checked and whose signature was verified with the key in it: whoever made it holds that key. Who that is, it
/// only claims.
pub struct Csr {
    der: Vec<u8>,
    subject: Name,
    spki: Vec<u8>,
    algorithm: SignatureAlgorithm,
    list: Vec<Extension>,
    extensions: Extensions,
    challenge_password: Option<Password>,
    attributes: Vec<ObjectIdentifier>,
}

impl fmt::Debug for Csr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Csr")
            .field("subject", &crate::name::rfc4514(&self.subject))
            .field("extensions", &self.extensions)
            .finish_non_exhaustive()
    }
}

impl Csr {
    /// Reads a request in DER, with nothing behind it.
    ///
    /// # Errors
    /// [`CsrError`]: too large, too deep, not DER, something twice, or a signature that does not verify with the key in the request.
    pub fn read(der: &[u8]) -> Result<Self, CsrError> {
        if der.len() > MAX_CSR_BYTES {
            return Err(CsrError::TooLarge);
        }
        // Bounds the depth before anything is parsed, and refuses what only BER has.
        let whole = ber::normalise(der, MAX_DEPTH)
            .map_err(|_| CsrError::Malformed("it is not ASN.1, or too deep"))?;
        if whole.forms.any() || whole.used != der.len() {
            return Err(CsrError::Malformed(
                "it is not DER, or something follows it",
            ));
        }
        let request =
            CertReq::from_der(der).map_err(|_| CsrError::Malformed("it is no PKCS#10 request"))?;
        // The parser sorts sets and forgets how a default was written: what it writes must be what it read.
        if !request.to_der().is_ok_and(|again| again == der) {
            return Err(CsrError::Malformed("it is not in DER"));
        }
        let spki = encoded(&request.info.public_key)?;
        let identifier = encoded(&request.algorithm)?;
        let signature = request
            .signature
            .as_bytes()
            .ok_or(CsrError::Malformed("its signature is not whole octets"))?;
        let message = encoded(&request.info)?;
        algorithm::verify(&identifier, &spki, &message, signature)?;
        let algorithm =
            algorithm::algorithm(&identifier, &spki).ok_or(algorithm::VerifyError::Algorithm)?;
        let subject = request.info.subject.clone();
        if subject.len() > MAX_RDNS || encoded(&subject)?.len() > MAX_NAME_BYTES {
            return Err(CsrError::Malformed("its subject is too large"));
        }
        let mut csr = Self {
            der: der.to_vec(),
            subject,
            spki,
            algorithm,
            list: Vec::new(),
            extensions: Extensions::default(),
            challenge_password: None,
            attributes: Vec::new(),
        };
        csr.read_attributes(&request)?;
        Ok(csr)
    }

    /// Reads a request in PEM (one block and nothing else but white space around it) or DER.
    ///
    /// # Errors
    /// As [`Self::read`], and [`CsrError::Pem`].
    pub fn read_pem_or_der(bytes: &[u8]) -> Result<Self, CsrError> {
        if bytes.first() == Some(&0x30) {
            return Self::read(bytes);
        }
        // Base64 takes a third more, and a line end for every line.
        if bytes.len() > MAX_CSR_BYTES.saturating_mul(2) {
            return Err(CsrError::TooLarge);
        }
        match der::pem::decode_vec(bytes.trim_ascii()) {
            Ok((label, der)) if LABELS.contains(&label) => Self::read(&der),
            _ => Err(CsrError::Pem),
        }
    }

    fn read_attributes(&mut self, request: &CertReq) -> Result<(), CsrError> {
        if request.info.attributes.len() > MAX_ATTRIBUTES {
            return Err(CsrError::Malformed("it has too many attributes"));
        }
        for attribute in request.info.attributes.iter() {
            let oid = attribute.oid;
            if self.attributes.contains(&oid) {
                return Err(CsrError::Attribute(oid));
            }
            self.attributes.push(oid);
            if attribute.values.is_empty() {
                return Err(CsrError::Attribute(oid));
            }
            let ours = [CHALLENGE_PASSWORD, EXTENSION_REQUEST, CERT_EXTENSIONS];
            if !ours.contains(&oid) {
                continue;
            }
            let [value] = attribute.values.as_ref() else {
                return Err(CsrError::Attribute(oid));
            };
            if oid == CHALLENGE_PASSWORD {
                let text = value_text(value)
                    .filter(|text| (1..=MAX_CHALLENGE_CHARACTERS).contains(&text.chars().count()))
                    .ok_or(CsrError::ChallengePassword)?;
                self.challenge_password = Some(Password::from_slice(text.as_bytes()));
                continue;
            }
            // Both attributes at once could ask for two different things.
            if !self.list.is_empty() {
                return Err(CsrError::Attribute(oid));
            }
            let list: Vec<Extension> = value
                .decode_as()
                .map_err(|_| CsrError::Malformed("the extensions that it asks for do not parse"))?;
            if list.is_empty() || list.len() > MAX_EXTENSIONS {
                return Err(CsrError::Malformed(
                    "it asks for no extension, or for too many",
                ));
            }
            if !encoded(&list)?.eq(&encoded(value)?) {
                return Err(CsrError::Malformed(
                    "the extensions that it asks for are not in DER",
                ));
            }
            self.extensions = Extensions::read(&list)?;
            self.list = list;
        }
        Ok(())
    }

    /// The request (DER).
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The subject that it asks for; it may be empty.
    #[must_use]
    pub const fn subject(&self) -> &Name {
        &self.subject
    }

    /// The key (DER SubjectPublicKeyInfo).
    #[must_use]
    pub fn spki_der(&self) -> &[u8] {
        &self.spki
    }

    /// How it is signed.
    #[must_use]
    pub const fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }

    /// Every extension that it asks for, as it stands there; none twice.
    #[must_use]
    pub fn extension_list(&self) -> &[Extension] {
        &self.list
    }

    /// What is understood of them.
    #[must_use]
    pub const fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    /// The challenge password, where there is one.
    #[must_use]
    pub const fn challenge_password(&self) -> Option<&Password> {
        self.challenge_password.as_ref()
    }

    /// The kinds of its attributes, in their order.
    #[must_use]
    pub fn attributes(&self) -> &[ObjectIdentifier] {
        &self.attributes
    }
}

fn encoded<T: Encode>(value: &T) -> Result<Vec<u8>, CsrError> {
    value
        .to_der()
        .map_err(|_| CsrError::Malformed("it cannot be encoded again"))
}
