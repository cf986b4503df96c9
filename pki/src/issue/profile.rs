//! What certificates an authority issues, as data.

use der::asn1::ObjectIdentifier;
use fips::ec::Curve;
use std::time::Duration;
use x509_cert::ext::pkix::constraints::name::NameConstraints;

/// What a certificate is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Signatures of mail: digitalSignature, id-kp-emailProtection.
    SmimeSigning,
    /// Encryption of mail: keyEncipherment (RSA) or keyAgreement (EC), id-kp-emailProtection.
    SmimeEncryption,
    /// TLS clients: digitalSignature, id-kp-clientAuth.
    ClientAuthentication,
    /// An authority beneath this one: keyCertSign and cRLSign, basicConstraints with cA.
    SubordinateAuthority,
}

/// A kind of public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyRule {
    /// RSA with a modulus of exactly so many bits.
    Rsa(usize),
    /// EC on this curve.
    Ec(Curve),
}

/// A kind of subject alternative name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NameKind {
    /// rfc822Name.
    Email,
    /// otherName with a user principal name ([MS-WCCE] 3.1.1.4.3.1.1).
    Upn,
    /// dNSName.
    Dns,
    /// uniformResourceIdentifier, those with a SID aside.
    Uri,
    /// The user's or computer's SID: as a URI `tag:microsoft.com,2022-09-14:sid:...`, or in szOID_NTDS_CA_SECURITY_EXT. Whoever may ask
    /// for it may ask for anybody's, and domain controllers take it for proof.
    Sid,
}

/// An attribute that a subject may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SubjectPart {
    /// commonName.
    CommonName,
    /// emailAddress; it has to be one of the alternative names.
    EmailAddress,
    /// givenName.
    GivenName,
    /// surname.
    Surname,
    /// serialNumber.
    SerialNumber,
    /// organizationName.
    Organization,
    /// organizationalUnitName.
    OrganizationalUnit,
    /// localityName.
    Locality,
    /// stateOrProvinceName.
    State,
    /// countryName.
    Country,
    /// domainComponent.
    DomainComponent,
    /// userId.
    UserId,
}

impl SubjectPart {
    /// Every one of them.
    pub const ALL: [Self; 12] = [
        Self::CommonName,
        Self::EmailAddress,
        Self::GivenName,
        Self::Surname,
        Self::SerialNumber,
        Self::Organization,
        Self::OrganizationalUnit,
        Self::Locality,
        Self::State,
        Self::Country,
        Self::DomainComponent,
        Self::UserId,
    ];

    /// Its attribute type.
    #[must_use]
    pub const fn oid(self) -> ObjectIdentifier {
        ObjectIdentifier::new_unwrap(match self {
            Self::CommonName => "2.5.4.3",
            Self::EmailAddress => "1.2.840.113549.1.9.1",
            Self::GivenName => "2.5.4.42",
            Self::Surname => "2.5.4.4",
            Self::SerialNumber => "2.5.4.5",
            Self::Organization => "2.5.4.10",
            Self::OrganizationalUnit => "2.5.4.11",
            Self::Locality => "2.5.4.7",
            Self::State => "2.5.4.8",
            Self::Country => "2.5.4.6",
            Self::DomainComponent => "0.9.2342.19200300.100.1.25",
            Self::UserId => "0.9.2342.19200300.100.1.1",
        })
    }

    /// The longest value, in characters: the upper bounds of RFC 5280, appendix A.1.
    #[must_use]
    pub const fn upper_bound(self) -> usize {
        match self {
            Self::Country => 2,
            Self::EmailAddress => 255,
            Self::Locality | Self::State => 128,
            Self::UserId | Self::DomainComponent => 256,
            Self::Surname | Self::GivenName => 64,
            Self::CommonName
            | Self::SerialNumber
            | Self::Organization
            | Self::OrganizationalUnit => 64,
        }
    }
}

/// What is issued under one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// Its name in the configuration.
    pub name: String,
    /// What the certificates are for.
    pub purpose: Purpose,
    /// How long they are valid; never longer than the authority's own certificate.
    pub validity: Duration,
    /// The keys that are certified.
    pub keys: Vec<KeyRule>,
    /// The alternative names that may be asked for.
    pub names: Vec<NameKind>,
    /// The domains that e-mail addresses, user principal names and DNS names have to be in: `example.com` is that one alone,
    /// `.example.com` everything beneath it. Empty: any.
    pub domains: Vec<String>,
    /// What a subject may be made of.
    pub subject: Vec<SubjectPart>,
    /// The certificate policies that are stated.
    pub policies: Vec<ObjectIdentifier>,
    /// Of an authority: how many authorities may stand beneath it.
    pub path_len: u8,
    /// Of an authority: what it may issue for.
    pub constraints: Option<NameConstraints>,
}

/// Where an authority publishes what verifiers look up: `http://` URLs, as RFC 5280 (section 8) advises.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Publication {
    /// The revocation list.
    pub crl: Option<String>,
    /// The delta of the revocation list.
    pub delta_crl: Option<String>,
    /// The OCSP responder.
    pub ocsp: Option<String>,
    /// The authority's certificate (DER).
    pub issuer: Option<String>,
}
