//! `[[engine.ca]]`: certification authorities whose keys are on the token, and what they may issue.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// `[[engine.ca]]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaConfig {
    /// Its name, for requests, receipts and status.
    pub name: String,
    /// Label of its key on the token.
    pub signing_key: String,
    /// PEM file with its certificate.
    pub certificate: PathBuf,
    /// URL of its revocation list.
    pub crl_url: Option<String>,
    /// URL of the delta of that list.
    pub delta_crl_url: Option<String>,
    /// URL of its OCSP responder.
    pub ocsp_url: Option<String>,
    /// URL of its certificate.
    pub issuer_url: Option<String>,
    /// Hours until the next full list at the latest.
    #[serde(default = "default_crl_hours")]
    pub crl_hours: u32,
    /// Hours until the next delta at the latest.
    #[serde(default = "default_delta_hours")]
    pub delta_crl_hours: u32,
    /// Label of the key of its OCSP responder on the token.
    pub ocsp_key: Option<String>,
    /// Hours that an OCSP answer holds.
    #[serde(default = "default_delta_hours")]
    pub ocsp_hours: u32,
    /// OCSP answers that are signed in a minute at most.
    #[serde(default = "default_ocsp_per_minute")]
    pub ocsp_per_minute: u32,
    /// What it issues.
    #[serde(default)]
    pub profiles: Vec<CaProfileConfig>,
}

fn default_crl_hours() -> u32 {
    168
}

fn default_delta_hours() -> u32 {
    24
}

fn default_ocsp_per_minute() -> u32 {
    600
}

/// `[[engine.ca.profiles]]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaProfileConfig {
    /// Its name in requests.
    pub name: String,
    /// What the certificates are for.
    pub purpose: CaPurpose,
    /// Days that they are valid.
    #[serde(default = "default_days")]
    pub days: u32,
    /// The keys that are certified.
    #[serde(default = "default_keys")]
    pub keys: Vec<CaKey>,
    /// The alternative names that may be asked for.
    #[serde(default = "default_names")]
    pub names: Vec<CaName>,
    /// The domains that they have to be in; of an authority, its name constraints.
    #[serde(default)]
    pub domains: Vec<String>,
    /// What a subject may be made of.
    #[serde(default = "default_subject")]
    pub subject: Vec<CaSubject>,
    /// The certificate policies that are stated.
    #[serde(default)]
    pub policies: Vec<String>,
    /// Of an authority: how many authorities may stand beneath it.
    #[serde(default)]
    pub path_length: u8,
}

fn default_days() -> u32 {
    365
}

fn default_keys() -> Vec<CaKey> {
    vec![
        CaKey::Rsa2048,
        CaKey::Rsa3072,
        CaKey::Rsa4096,
        CaKey::P256,
        CaKey::P384,
        CaKey::P521,
    ]
}

fn default_names() -> Vec<CaName> {
    vec![CaName::Email]
}

fn default_subject() -> Vec<CaSubject> {
    vec![CaSubject::CommonName, CaSubject::EmailAddress]
}

/// What certificates are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CaPurpose {
    /// Signatures of mail.
    SmimeSigning,
    /// Encryption of mail.
    SmimeEncryption,
    /// TLS clients.
    ClientAuthentication,
    /// Authorities beneath this one.
    SubordinateAuthority,
}

/// Kinds of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum CaKey {
    /// RSA with 2048 bits.
    #[serde(rename = "rsa-2048")]
    Rsa2048,
    /// RSA with 3072 bits.
    #[serde(rename = "rsa-3072")]
    Rsa3072,
    /// RSA with 4096 bits.
    #[serde(rename = "rsa-4096")]
    Rsa4096,
    /// EC on P-256.
    #[serde(rename = "p-256")]
    P256,
    /// EC on P-384.
    #[serde(rename = "p-384")]
    P384,
    /// EC on P-521.
    #[serde(rename = "p-521")]
    P521,
}

/// Kinds of alternative names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CaName {
    /// E-mail addresses.
    Email,
    /// User principal names.
    Upn,
    /// DNS names.
    Dns,
    /// URIs, those with a SID aside.
    Uri,
    /// SIDs.
    Sid,
}

/// Parts of subjects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names of RFC 4519")]
pub enum CaSubject {
    CommonName,
    EmailAddress,
    GivenName,
    Surname,
    SerialNumber,
    Organization,
    OrganizationalUnit,
    Locality,
    State,
    Country,
    DomainComponent,
    UserId,
}
