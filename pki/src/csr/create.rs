//! Makes a request.

use super::{CHALLENGE_PASSWORD, CsrError, EXTENSION_REQUEST, MAX_CHALLENGE_CHARACTERS, Request};
use crate::algorithm::{identifier, verify};
use crate::template::is_control;
use crate::{Signer, algorithm};
use const_oid::ObjectIdentifier;
use der::asn1::{BitString, SetOfVec, Utf8StringRef};
use der::{Any, Decode, Encode};
use fips::secret::Password;
use spki::SubjectPublicKeyInfoOwned;
use x509_cert::attr::Attribute;
use x509_cert::request::{CertReq, CertReqInfo, Version};

const NOT_ENCODED: CsrError = CsrError::Malformed("it cannot be encoded");

/// The signed request (DER). The signature is verified before it is given out: a token that signs with another key than it shows is found
/// here and not by the authority.
///
/// # Errors
/// [`CsrError`].
pub fn create(request: &Request, signer: &dyn Signer) -> Result<Vec<u8>, CsrError> {
    let nobody = request.subject.is_empty();
    let extensions = request.extensions.to_list(nobody)?;
    if nobody && request.extensions.alt_names.is_empty() {
        return Err(CsrError::Nobody);
    }
    let mut attributes = SetOfVec::new();
    if let Some(password) = &request.challenge_password {
        let value = challenge(password)?;
        add(&mut attributes, CHALLENGE_PASSWORD, value)?;
    }
    if !extensions.is_empty() {
        let value = Any::encode_from(&extensions).map_err(|_| NOT_ENCODED)?;
        add(&mut attributes, EXTENSION_REQUEST, value)?;
    }
    let public_key = SubjectPublicKeyInfoOwned::from_der(signer.spki_der())
        .map_err(|_| CsrError::Malformed("the signer's public key does not parse"))?;
    let info = CertReqInfo {
        version: Version::V1,
        subject: request.subject.clone(),
        public_key,
        attributes,
    };
    let message = info.to_der().map_err(|_| NOT_ENCODED)?;
    let signature = signer.sign(&message)?;
    let name = algorithm::identifier_der(signer.algorithm());
    verify(&name, signer.spki_der(), &message, &signature)?;
    let whole = CertReq {
        info,
        algorithm: identifier(signer.algorithm()).map_err(|_| NOT_ENCODED)?,
        signature: BitString::from_bytes(&signature).map_err(|_| NOT_ENCODED)?,
    };
    whole.to_der().map_err(|_| NOT_ENCODED)
}

fn add(
    attributes: &mut SetOfVec<Attribute>,
    oid: ObjectIdentifier,
    value: Any,
) -> Result<(), CsrError> {
    let values = SetOfVec::try_from(vec![value]).map_err(|_| NOT_ENCODED)?;
    attributes
        .insert(Attribute { oid, values })
        .map_err(|_| NOT_ENCODED)
}

/// DirectoryString: PrintableString where it is possible, as RFC 2985 recommends, and UTF8String.
fn challenge(password: &Password) -> Result<Any, CsrError> {
    let text = std::str::from_utf8(password.expose()).map_err(|_| CsrError::ChallengePassword)?;
    let characters = text.chars().count();
    if !(1..=MAX_CHALLENGE_CHARACTERS).contains(&characters) || text.chars().any(is_control) {
        return Err(CsrError::ChallengePassword);
    }
    match der::asn1::PrintableStringRef::new(text) {
        Ok(printable) => Any::encode_from(&printable),
        Err(_) => Utf8StringRef::new(text).and_then(|text| Any::encode_from(&text)),
    }
    .map_err(|_| NOT_ENCODED)
}
