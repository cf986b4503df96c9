//! What a CSR is to ask for, as the extensions that it asks with: for the engine that makes it, and for whoever has to tell whether one is it.

use super::keys::{AltName, CsrContent, KeyUsage, MicrosoftTemplate};
use pki::extension::{Extensions, Template, purpose, usage};
use pki::san::{SanKind, SubjectAltName};

impl CsrContent {
    /// The extensions of a CSR with this content.
    ///
    /// # Errors
    /// In words: which part is nothing that can be asked for.
    pub fn extensions(&self) -> Result<Extensions, String> {
        let mut extensions = Extensions::default();
        for name in &self.alt_names {
            let (kind, text) = name.text();
            let name = SubjectAltName::new(kind, text).map_err(|error| error.to_string())?;
            extensions.alt_names.push(name);
        }
        for bit in &self.key_usage {
            let bit = usage(bit.name()).map_err(|error| error.to_string())?;
            *extensions.key_usage.get_or_insert_default() |= bit;
        }
        for oid in &self.extended_key_usage {
            let purpose = purpose(oid).map_err(|error| error.to_string())?;
            extensions.purposes.push(purpose);
        }
        match &self.microsoft_template {
            Some(MicrosoftTemplate::Name(name)) => extensions.template_name = Some(name.clone()),
            Some(MicrosoftTemplate::Identified { oid, major, minor }) => {
                extensions.template = Some(Template {
                    id: oid
                        .parse()
                        .map_err(|_| "the template's oid is no object identifier in dots")?,
                    major: *major,
                    minor: *minor,
                });
            }
            None => {}
        }
        if let Some(sid) = &self.security_identifier {
            extensions.sid = Some(sid.parse().map_err(|error| format!("{error}"))?);
        }
        Ok(extensions)
    }
}

impl AltName {
    /// Its kind and what it says.
    #[must_use]
    pub fn text(&self) -> (SanKind, &str) {
        match self {
            Self::Email(text) => (SanKind::Email, text),
            Self::Upn(text) => (SanKind::Upn, text),
            Self::Dns(text) => (SanKind::Dns, text),
            Self::Uri(text) => (SanKind::Uri, text),
        }
    }
}

impl KeyUsage {
    /// Its name in RFC 5280.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::DigitalSignature => "digitalSignature",
            Self::NonRepudiation => "nonRepudiation",
            Self::KeyEncipherment => "keyEncipherment",
            Self::DataEncipherment => "dataEncipherment",
            Self::KeyAgreement => "keyAgreement",
        }
    }
}
