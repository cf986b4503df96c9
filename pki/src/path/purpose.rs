//! What a certificate is for.

use super::{Certificate, Problem};
use const_oid::ObjectIdentifier;
use const_oid::db::rfc5280::{ANY_EXTENDED_KEY_USAGE, ID_KP_CLIENT_AUTH, ID_KP_EMAIL_PROTECTION};
use der::asn1::Utf8StringRef;
use formats::certificate::SmimeFitness;
use serde::Serialize;
use x509_cert::ext::pkix::name::GeneralName;

/// emailAddress (RFC 2985 section 5.2.1).
pub(super) const EMAIL_ADDRESS: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.1");

/// tcg-kp-AIKCertificate: the certificate of a TPM's attestation key (TCG EK Credential Profile, "Extended Key Usage").
const AIK_CERTIFICATE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.23.133.8.3");

/// A purpose that a certificate is held against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Purpose {
    /// Any: uses and purposes are not looked at.
    #[default]
    Any,
    /// S/MIME: signing or encryption of mail (RFC 8550 section 4.4).
    Smime,
    /// Client authentication with TLS (RFC 5280 section 4.2.1.12).
    Client,
    /// The attestation key of a TPM: its extended key usage has to say so.
    #[serde(rename = "attestationKey")]
    AttestationKey,
}

impl Purpose {
    const fn oid(self) -> Option<ObjectIdentifier> {
        match self {
            Self::Any => None,
            Self::Smime => Some(ID_KP_EMAIL_PROTECTION),
            Self::Client => Some(ID_KP_CLIENT_AUTH),
            Self::AttestationKey => Some(AIK_CERTIFICATE),
        }
    }

    /// Whether a certificate says that it is an attestation key's, and is no authority's.
    pub(crate) fn is_attestation_key(certificate: &Certificate) -> bool {
        let purposes = certificate.purposes.as_deref().unwrap_or_default();
        purposes.contains(&AIK_CERTIFICATE) && !certificate.is_authority()
    }

    /// An authority's extended key usage limits what is below it: so all readers do it, though RFC 5280 does not say it.
    pub(super) fn check_authority(self, authority: &Certificate) -> Result<(), Problem> {
        let (Some(wanted), Some(purposes)) = (self.oid(), &authority.purposes) else {
            return Ok(());
        };
        match purposes.contains(&wanted) || purposes.contains(&ANY_EXTENDED_KEY_USAGE) {
            true => Ok(()),
            false => Err(Problem::Purpose(
                "its extended key usage leaves the purpose out, so that nothing below it is for it"
                    .to_owned(),
            )),
        }
    }

    pub(super) fn check_leaf(self, leaf: &Certificate) -> Result<(), Problem> {
        match self {
            Self::Any => Ok(()),
            Self::Smime => smime(leaf),
            Self::Client => client(leaf),
            Self::AttestationKey => attestation_key(leaf),
        }
    }
}

/// Any other certificate of the same authority would otherwise be able to vouch for invented attestations.
fn attestation_key(leaf: &Certificate) -> Result<(), Problem> {
    let refused = |problem: &str| Err(Problem::Purpose(problem.to_owned()));
    if !Purpose::is_attestation_key(leaf) {
        return refused(
            "its extended key usage does not say that it is an attestation key's (2.23.133.8.3), or it is an authority's",
        );
    }
    let signs = leaf.key_usage.as_ref();
    match signs.is_none_or(|usage| usage.digital_signature()) {
        true => Ok(()),
        false => refused("its key usage does not permit signatures"),
    }
}

fn smime(leaf: &Certificate) -> Result<(), Problem> {
    let fitness = SmimeFitness::of(leaf.der(), &email_addresses(leaf))
        .ok_or(Problem::Malformed("it does not parse"))?;
    match fitness.problems.as_slice() {
        [] => Ok(()),
        problems => Err(Problem::Purpose(problems.join("; "))),
    }
}

fn client(leaf: &Certificate) -> Result<(), Problem> {
    let refused = |problem: &str| Err(Problem::Purpose(problem.to_owned()));
    let allowed = leaf.purposes.as_ref().is_none_or(|purposes| {
        purposes.contains(&ID_KP_CLIENT_AUTH) || purposes.contains(&ANY_EXTENDED_KEY_USAGE)
    });
    if !allowed {
        return refused(
            "its extended key usage does not permit client authentication (1.3.6.1.5.5.7.3.2)",
        );
    }
    let signs = leaf.key_usage.as_ref();
    if !signs.is_none_or(|usage| usage.digital_signature() || usage.key_agreement()) {
        return refused("its key usage permits neither signatures nor key agreement");
    }
    if leaf.is_authority() {
        return refused("it is the certificate of a certification authority");
    }
    Ok(())
}

/// The e-mail addresses of a certificate: rfc822Name, SmtpUTF8Mailbox, and emailAddress of the subject.
pub(crate) fn email_addresses(certificate: &Certificate) -> Vec<String> {
    let mut found: Vec<String> = certificate
        .alt_names
        .iter()
        .filter_map(|name| match name {
            GeneralName::Rfc822Name(text) => Some(text.as_str().to_owned()),
            GeneralName::OtherName(other) if other.type_id == crate::san::SMTP_UTF8_MAILBOX => {
                Utf8StringRef::try_from(&other.value)
                    .ok()
                    .map(|text| text.as_str().to_owned())
            }
            _ => None,
        })
        .collect();
    for attribute in certificate.subject().iter() {
        if attribute.oid == EMAIL_ADDRESS
            && let Some(text) = crate::name::value_text(&attribute.value)
            && !found.contains(&text)
        {
            found.push(text);
        }
    }
    found
}

/// Whether it names the address: the mailbox as it is written, its domain in upper or lower case (RFC 5321 section 2.4).
pub(super) fn names_email(certificate: &Certificate, wanted: &str) -> bool {
    let parts = |text: &str| {
        text.rsplit_once('@')
            .map(|(local, domain)| (local.to_owned(), domain.to_ascii_lowercase()))
    };
    let wanted = parts(wanted);
    wanted.is_some()
        && email_addresses(certificate)
            .iter()
            .any(|found| parts(found) == wanted)
}
