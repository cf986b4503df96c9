//! What is asked for: the profile with its variables filled in.

use crate::engine::api::MakeKeyRequest;
use crate::engine::api::keys::{
    AltName, CsrContent, CsrSignature, KeyRecipient, MicrosoftTemplate, Platform,
};
use crate::gateway::pkcs_api::{AltNameKind, CertificateType, PkcsWorkItem};
use crate::issuance::{Asked, Attribute};
use pki::name::{Lengths, SubjectTemplate, rfc4514};
use pki::san::{SanKind, SanTemplate};
use pki::template::{TextTemplate, Values, Variable};
use x509_cert::name::Name;

/// A profile's question for one person and device.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    subject: String,
    attributes: Vec<Attribute>,
    alt_names: Vec<AltName>,
    security_identifier: Option<String>,
}

/// Fills a profile's variables in.
///
/// # Errors
/// In words, for the MDM's administrator: which variable has no value, or which name cannot be.
pub(crate) fn question(item: &PkcsWorkItem) -> Result<Question, String> {
    let profile = &item.profile;
    if Platform::of_name(&profile.platform).is_none() {
        return Err(format!(
            "no certificates are made for the platform {}",
            crate::encoding::printable(&profile.platform)
        ));
    }
    let values = values(item)?;
    let subject = SubjectTemplate::parse(&profile.subject)
        .map_err(|error| format!("the subject: {error}"))?
        .fill(&values, Lengths::Rfc5280)
        .map_err(|error| error.to_string())?;
    let mut alt_names = Vec::with_capacity(profile.alt_names.len());
    for template in &profile.alt_names {
        let kind = match template.kind {
            AltNameKind::Email => SanKind::Email,
            AltNameKind::Upn => SanKind::Upn,
            AltNameKind::Dns => SanKind::Dns,
            AltNameKind::Uri => SanKind::Uri,
        };
        let text = TextTemplate::parse(&template.value)
            .map_err(|error| format!("an alternative name ({}): {error}", kind.name()))?;
        let name = SanTemplate { kind, text }
            .fill(&values)
            .map_err(|error| error.to_string())?;
        alt_names.push(template.kind.with(name.text().to_owned()));
    }
    let security_identifier = match &profile.security_identifier {
        None => None,
        Some(template) => Some(
            TextTemplate::parse(template)
                .and_then(|template| template.fill(&values))
                .map_err(|error| format!("the security identifier: {error}"))?,
        ),
    };
    Ok(Question {
        attributes: attributes(&subject),
        subject: rfc4514(&subject),
        alt_names,
        security_identifier,
    })
}

/// What stands for the variables: the user's principal name is the request's own, whatever a variable of that name says; a device's
/// certificate has no user.
fn values(item: &PkcsWorkItem) -> Result<Values, String> {
    let mut values = Values::new();
    let of_user = item.profile.certificate_type == CertificateType::User;
    for given in &item.variables {
        // What this release does not know may stand for itself in a later one.
        let Ok(variable) = Variable::named(&given.name) else {
            continue;
        };
        if of_user || variable.is_of_device() {
            values
                .set(variable, &given.value)
                .map_err(|error| error.to_string())?;
        }
    }
    if of_user {
        values
            .set(Variable::UserPrincipalName, &item.user_principal_name)
            .map_err(|error| error.to_string())?;
    }
    Ok(values)
}

/// The attributes of a name, each by its short name where it has one.
pub(super) fn attributes(name: &Name) -> Vec<Attribute> {
    name.iter()
        .map(|attribute| Attribute {
            // RFC 4514: the name, an equal sign, the value.
            name: attribute
                .to_string()
                .split_once('=')
                .map_or_else(|| attribute.oid.to_string(), |(name, _)| name.to_owned()),
            value: String::from_utf8_lossy(attribute.value.value()).into_owned(),
        })
        .collect()
}

impl Question {
    /// The same for the issuance policy.
    pub(crate) fn asked<'a>(&'a self, item: &'a PkcsWorkItem) -> Asked<'a> {
        let profile = &item.profile;
        Asked {
            ca: &profile.ca,
            ca_profile: profile.ca_profile.as_deref(),
            profile: &item.profile_name,
            platform: &profile.platform,
            user: &item.user_principal_name,
            key: profile.key,
            subject: &self.attributes,
            alt_names: &self.alt_names,
            key_usage: &profile.key_usage,
            extended_key_usage: &profile.extended_key_usage,
            microsoft_template: profile.microsoft_template.as_deref(),
            security_identifier: self.security_identifier.as_deref(),
            validity_days: profile.validity_days,
        }
    }

    /// What the CSR asks for.
    pub(crate) fn content(&self, item: &PkcsWorkItem) -> CsrContent {
        let profile = &item.profile;
        CsrContent {
            subject: self.subject.clone(),
            alt_names: self.alt_names.clone(),
            key_usage: profile.key_usage.clone(),
            extended_key_usage: profile.extended_key_usage.clone(),
            microsoft_template: profile
                .microsoft_template
                .clone()
                .map(MicrosoftTemplate::Name),
            security_identifier: self.security_identifier.clone(),
            challenge_password: None,
            long_common_name: false,
        }
    }

    /// The same for the engine.
    pub(crate) fn make_key(&self, item: &PkcsWorkItem) -> MakeKeyRequest {
        let profile = &item.profile;
        MakeKeyRequest {
            request_id: item.request_id.clone(),
            user: item.user_principal_name.clone(),
            key: profile.key,
            signature: CsrSignature::Usual,
            csr: self.content(item),
            custody_key: None,
            recipient: Some(KeyRecipient {
                device: item.device.clone(),
                format: profile.format,
            }),
        }
    }

    /// The subject's attributes.
    pub(crate) fn attributes(&self) -> &[Attribute] {
        &self.attributes
    }

    /// What the device shows: the common name, or the user.
    pub(crate) fn friendly_name(&self, item: &PkcsWorkItem) -> String {
        self.attributes
            .iter()
            .find(|attribute| attribute.name.eq_ignore_ascii_case("CN"))
            .map_or_else(
                || item.user_principal_name.clone(),
                |attribute| attribute.value.clone(),
            )
    }
}
