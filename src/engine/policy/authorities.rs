//! The certification authorities of the configuration: their certificates read, their profiles as the issuing code takes them.

use crate::config::{CaConfig, CaKey, CaName, CaProfileConfig, CaPurpose, CaSubject};
use crate::engine::recrypt::anchors::LoadError;
use crate::engine::recrypt::pem;
use fips::ec::Curve;
use hsm::SigningKeyName;
use pki::issue::{self, Authority, KeyRule, NameKind, Profile, Publication, Purpose, SubjectPart};
use std::time::Duration;
use x509_cert::ext::pkix::NameConstraints;

/// A certification authority.
#[derive(Debug, Clone)]
pub struct LocalAuthority {
    /// Its name.
    pub name: String,
    /// Its certificate, read.
    pub authority: Authority,
    /// The certificates of its file (DER): its own first.
    pub chain: Vec<Vec<u8>>,
    /// Its key on the token.
    pub key: SigningKeyName,
    /// Where it publishes.
    pub published: Publication,
    /// Until the next full list.
    pub crl_lasts: Duration,
    /// Until the next delta.
    pub delta_lasts: Duration,
    /// The key of its OCSP responder.
    pub ocsp_key: Option<SigningKeyName>,
    /// How long an OCSP answer holds.
    pub ocsp_lasts: Duration,
    /// OCSP answers in a minute at most.
    pub ocsp_per_minute: u32,
    /// What it issues.
    pub profiles: Vec<Profile>,
}

impl LocalAuthority {
    /// Reads the certificates that the configuration names.
    ///
    /// # Errors
    /// [`LoadError`].
    pub fn load(config: &CaConfig) -> Result<Self, LoadError> {
        let text = pem::read_file(&config.certificate)?;
        let unusable = |problem: String| LoadError::Unusable {
            path: config.certificate.clone(),
            problem,
        };
        let chain: Vec<_> = pem::blocks(&text, &["CERTIFICATE"])
            .ok_or_else(|| unusable("is not whole PEM".to_owned()))?
            .into_iter()
            .map(|(_, der)| der)
            .collect();
        let own = chain
            .first()
            .ok_or_else(|| unusable("holds no certificate in PEM".to_owned()))?;
        let hours = |hours: u32| Duration::from_secs(u64::from(hours).saturating_mul(3600));
        Ok(Self {
            name: config.name.clone(),
            authority: Authority::read(own).map_err(|error| unusable(error.to_string()))?,
            key: SigningKeyName::Label(config.signing_key.clone()),
            published: Publication {
                crl: config.crl_url.clone(),
                delta_crl: config.delta_crl_url.clone(),
                ocsp: config.ocsp_url.clone(),
                issuer: config.issuer_url.clone(),
            },
            crl_lasts: hours(config.crl_hours),
            delta_lasts: hours(config.delta_crl_hours),
            ocsp_key: config.ocsp_key.clone().map(SigningKeyName::Label),
            ocsp_lasts: hours(config.ocsp_hours),
            ocsp_per_minute: config.ocsp_per_minute,
            profiles: config.profiles.iter().map(profile).collect(),
            chain,
        })
    }
}

fn profile(config: &CaProfileConfig) -> Profile {
    Profile {
        name: config.name.clone(),
        purpose: match config.purpose {
            CaPurpose::SmimeSigning => Purpose::SmimeSigning,
            CaPurpose::SmimeEncryption => Purpose::SmimeEncryption,
            CaPurpose::ClientAuthentication => Purpose::ClientAuthentication,
            CaPurpose::SubordinateAuthority => Purpose::SubordinateAuthority,
        },
        validity: Duration::from_secs(u64::from(config.days).saturating_mul(86_400)),
        keys: config
            .keys
            .iter()
            .map(|key| match key {
                CaKey::Rsa2048 => KeyRule::Rsa(2048),
                CaKey::Rsa3072 => KeyRule::Rsa(3072),
                CaKey::Rsa4096 => KeyRule::Rsa(4096),
                CaKey::P256 => KeyRule::Ec(Curve::P256),
                CaKey::P384 => KeyRule::Ec(Curve::P384),
                CaKey::P521 => KeyRule::Ec(Curve::P521),
            })
            .collect(),
        names: config
            .names
            .iter()
            .map(|name| match name {
                CaName::Email => NameKind::Email,
                CaName::Upn => NameKind::Upn,
                CaName::Dns => NameKind::Dns,
                CaName::Uri => NameKind::Uri,
                CaName::Sid => NameKind::Sid,
            })
            .collect(),
        domains: config.domains.clone(),
        subject: config.subject.iter().copied().map(subject).collect(),
        // Held against being one by the check of the configuration.
        policies: config
            .policies
            .iter()
            .filter_map(|policy| Profile::policy(policy))
            .collect(),
        path_len: config.path_length,
        // An authority beneath this one may issue for these domains alone.
        constraints: (config.purpose == CaPurpose::SubordinateAuthority)
            .then(|| permitted(&config.domains))
            .flatten(),
    }
}

/// `.example.com` is the form of mail's constraints alone: a DNS constraint names the domain, and means all beneath it.
fn permitted(domains: &[String]) -> Option<NameConstraints> {
    let dns: Vec<_> = domains
        .iter()
        .map(|domain| domain.trim_start_matches('.'))
        .collect();
    // Held against being domains by the check of the configuration.
    issue::permitted(domains, &dns).ok().flatten()
}

fn subject(part: CaSubject) -> SubjectPart {
    match part {
        CaSubject::CommonName => SubjectPart::CommonName,
        CaSubject::EmailAddress => SubjectPart::EmailAddress,
        CaSubject::GivenName => SubjectPart::GivenName,
        CaSubject::Surname => SubjectPart::Surname,
        CaSubject::SerialNumber => SubjectPart::SerialNumber,
        CaSubject::Organization => SubjectPart::Organization,
        CaSubject::OrganizationalUnit => SubjectPart::OrganizationalUnit,
        CaSubject::Locality => SubjectPart::Locality,
        CaSubject::State => SubjectPart::State,
        CaSubject::Country => SubjectPart::Country,
        CaSubject::DomainComponent => SubjectPart::DomainComponent,
        CaSubject::UserId => SubjectPart::UserId,
    }
}
