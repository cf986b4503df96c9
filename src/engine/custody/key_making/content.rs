//! What a CSR asks for, out of a request: checked before there is a key, signed once there is one.

use super::super::refusal::Refusal;
use crate::engine::api::keys::{
    AltName, CsrContent, KeyUsage, MAX_ALT_NAME_BYTES, MAX_ALT_NAMES, MAX_CERTIFICATE_BYTES,
    MAX_CHALLENGE_BYTES, MAX_EXTENDED_KEY_USAGES, MAX_SUBJECT_BYTES, MicrosoftTemplate,
};
use fips::secret::Password;
use fips::sign::{SignatureAlgorithm, SigningKey};
use pki::KeyAndAlgorithm;
use pki::csr::{self, CsrError};
use pki::extension::{Extensions, Template, purpose, usage};
use pki::name::{Lengths, SubjectTemplate};
use pki::san::{SanKind, SubjectAltName};
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
        let extensions = extensions(asked)?;
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
            .any(|name| text_of(name).1.len() > MAX_ALT_NAME_BYTES)
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

fn extensions(asked: &CsrContent) -> Result<Extensions, Refusal> {
    let mut extensions = Extensions::default();
    for name in &asked.alt_names {
        let (kind, text) = text_of(name);
        let name = SubjectAltName::new(kind, text).map_err(|error| wrong(&error))?;
        extensions.alt_names.push(name);
    }
    for bit in &asked.key_usage {
        let bit = usage(name_of(*bit)).map_err(|error| wrong(&error))?;
        *extensions.key_usage.get_or_insert_default() |= bit;
    }
    for oid in &asked.extended_key_usage {
        extensions
            .purposes
            .push(purpose(oid).map_err(|error| wrong(&error))?);
    }
    match &asked.microsoft_template {
        Some(MicrosoftTemplate::Name(name)) => extensions.template_name = Some(name.clone()),
        Some(MicrosoftTemplate::Identified { oid, major, minor }) => {
            extensions.template = Some(Template {
                id: oid.parse().map_err(|_| {
                    Refusal::bad_request("the template's oid is no object identifier in dots")
                })?,
                major: *major,
                minor: *minor,
            });
        }
        None => {}
    }
    if let Some(sid) = &asked.security_identifier {
        extensions.sid = Some(sid.parse().map_err(|error| wrong(&error))?);
    }
    Ok(extensions)
}

fn text_of(name: &AltName) -> (SanKind, &str) {
    match name {
        AltName::Email(text) => (SanKind::Email, text),
        AltName::Upn(text) => (SanKind::Upn, text),
        AltName::Dns(text) => (SanKind::Dns, text),
        AltName::Uri(text) => (SanKind::Uri, text),
    }
}

fn name_of(usage: KeyUsage) -> &'static str {
    match usage {
        KeyUsage::DigitalSignature => "digitalSignature",
        KeyUsage::NonRepudiation => "nonRepudiation",
        KeyUsage::KeyEncipherment => "keyEncipherment",
        KeyUsage::DataEncipherment => "dataEncipherment",
        KeyUsage::KeyAgreement => "keyAgreement",
    }
}

fn wrong<E: std::fmt::Display>(error: &E) -> Refusal {
    Refusal::bad_request(&format!("the CSR that is asked for: {error}"))
}
