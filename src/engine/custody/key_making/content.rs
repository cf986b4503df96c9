//! What a CSR asks for, out of a request: checked before there is a key, signed once there is one.

use super::super::refusal::Refusal;
use crate::engine::api::keys::{
    CsrContent, MAX_ALT_NAME_BYTES, MAX_ALT_NAMES, MAX_CERTIFICATE_BYTES, MAX_CHALLENGE_BYTES,
    MAX_EXTENDED_KEY_USAGES, MAX_SUBJECT_BYTES, MicrosoftTemplate,
};
use fips::secret::Password;
use fips::sign::{SignatureAlgorithm, SigningKey};
use pki::KeyAndAlgorithm;
use pki::csr::{self, CsrError};
use pki::name::{Lengths, SubjectTemplate};
use pki::template::Values;

/// A template's name and version, as text: longer ones are none.
const MAX_TEXT_BYTES: usize = 256;

/// A CSR but for its key.
pub(super) struct Content(csr::Request);

impl Content {
    /// Everything that it asks for is something that can be asked for.
    ///
    /// # Errors
    /// A refusal that says what is wrong.
    pub(super) fn prepare(asked: &CsrContent) -> Result<Self, Refusal> {
        bounded(asked)?;
        // What was a template's variable is resolved: braces that are left are a mistake, and told as one.
        let subject = SubjectTemplate::parse(&asked.subject)
            .map_err(|error| wrong(&error))?
            .fill(
                &Values::new(),
                match asked.long_common_name {
                    true => Lengths::LongCommonName,
                    false => Lengths::Rfc5280,
                },
            )
            .map_err(|error| wrong(&error))?;
        let extensions = asked.extensions().map_err(|error| wrong(&error))?;
        // As it is going to be: what it refuses is refused before a key is made.
        extensions
            .to_list(subject.is_empty())
            .map_err(|error| wrong(&error))?;
        if subject.is_empty() && extensions.alt_names.is_empty() {
            return Err(wrong(&CsrError::Nobody));
        }
        Ok(Self(csr::Request {
            subject,
            extensions,
            challenge_password: asked
                .challenge_password
                .as_ref()
                .map(|password| Password::from_slice(password.0.as_bytes())),
        }))
    }

    /// The CSR (DER), signed by its key.
    ///
    /// # Errors
    /// What the module says.
    pub(super) fn sign(
        &self,
        key: &SigningKey,
        algorithm: SignatureAlgorithm,
    ) -> Result<Vec<u8>, Refusal> {
        let csr =
            csr::create(&self.0, &KeyAndAlgorithm::new(key, algorithm)).map_err(
                |error| match error {
                    CsrError::Signer(_) | CsrError::Signature(_) => {
                        Refusal::fault("csr_not_signed", error.to_string())
                    }
                    error => wrong(&error),
                },
            )?;
        if csr.len() > MAX_CERTIFICATE_BYTES {
            return Err(Refusal::bad_request(
                "the CSR would be longer than 16 KiB: ask for fewer names",
            ));
        }
        Ok(csr)
    }
}

/// Bounds that hold before anything looks into a field.
fn bounded(asked: &CsrContent) -> Result<(), Refusal> {
    let refuse = |what: &str| Err(Refusal::bad_request(what));
    if asked.subject.len() > MAX_SUBJECT_BYTES {
        return refuse("the subject is longer than 4096 bytes");
    }
    if asked.alt_names.len() > MAX_ALT_NAMES
        || asked
            .alt_names
            .iter()
            .any(|name| name.text().1.len() > MAX_ALT_NAME_BYTES)
    {
        return refuse(
            "there are more than 32 alternative names, or one is longer than 1024 bytes",
        );
    }
    if asked.extended_key_usage.len() > MAX_EXTENDED_KEY_USAGES
        || asked
            .extended_key_usage
            .iter()
            .any(|oid| oid.len() > MAX_TEXT_BYTES)
    {
        return refuse(
            "there are more than 16 extended key usages, or one is no object identifier",
        );
    }
    let texts = [
        asked.security_identifier.as_deref(),
        match &asked.microsoft_template {
            Some(MicrosoftTemplate::Name(name)) => Some(name.as_str()),
            Some(MicrosoftTemplate::Identified { oid, .. }) => Some(oid.as_str()),
            None => None,
        },
    ];
    if texts
        .iter()
        .flatten()
        .any(|text| text.len() > MAX_TEXT_BYTES)
    {
        return refuse("the template or the security identifier is longer than 256 bytes");
    }
    if asked
        .challenge_password
        .as_ref()
        .is_some_and(|password| !(1..=MAX_CHALLENGE_BYTES).contains(&password.0.len()))
    {
        return refuse("the challenge password must have 1 to 255 bytes");
    }
    Ok(())
}

fn wrong<E: std::fmt::Display>(error: &E) -> Refusal {
    Refusal::bad_request(&format!("the CSR that is asked for: {error}"))
}
