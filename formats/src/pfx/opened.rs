//! What an opened PFX holds.

use super::PfxError;
use super::attributes::Name;
use super::chain::Chains;
use super::facts::{self, CertificateFacts};
use super::model::{BagKind, KeyFacts, Survey};
use super::outline::Outline;
use fips::secret::SecretBytes;

/// Everything that was in a PFX.
pub struct OpenedPfx {
    pub(super) keys: Vec<OpenedKey>,
    pub(super) certificates: Vec<OpenedCertificate>,
    pub(super) others: Vec<OpenedOther>,
    pub(super) chains: Chains,
    /// The refusal of what stays closed.
    pub(super) closed: Option<PfxError>,
    pub(super) survey: Survey,
}

/// A private key of a PFX.
pub struct OpenedKey {
    pub(super) pkcs8: SecretBytes,
    /// Whether its public half is known.
    pub(super) has_public_half: bool,
    pub(super) facts: KeyFacts,
    pub(super) friendly_name: Option<Name>,
    pub(super) local_key_id: Option<Vec<u8>>,
    pub(super) certificate: Option<usize>,
    pub(super) matched_by: Option<MatchedBy>,
}

/// How a key and its certificate were brought together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub enum MatchedBy {
    /// The certificate has the key's public half.
    PublicKey,
    /// Only their local key ids are the same: the public half of a key of this kind cannot be computed here.
    LocalKeyId,
}

/// A certificate of a PFX.
pub struct OpenedCertificate {
    pub(super) der: Vec<u8>,
    pub(super) friendly_name: Option<Name>,
    pub(super) local_key_id: Option<Vec<u8>>,
    pub(super) key: Option<usize>,
}

/// Something in a PFX that is neither a private key nor an X.509 certificate.
pub struct OpenedOther {
    pub(super) kind: BagKind,
    pub(super) of_type: String,
    pub(super) friendly_name: Option<String>,
    pub(super) value: SecretBytes,
}

/// A private key with its certificate.
pub struct Identity<'a> {
    pfx: &'a OpenedPfx,
    key: &'a OpenedKey,
    certificate: usize,
}

impl OpenedPfx {
    /// Its private keys, those of kinds that are not supported too, in the order of the file.
    #[must_use]
    pub fn keys(&self) -> &[OpenedKey] {
        &self.keys
    }

    /// Its certificates, in the order of the file.
    #[must_use]
    pub fn certificates(&self) -> &[OpenedCertificate] {
        &self.certificates
    }

    /// What else is in it: revocation lists, secrets, certificates and bags of rare kinds.
    #[must_use]
    pub fn others(&self) -> &[OpenedOther] {
        &self.others
    }

    /// The refusal that names what stays closed, because its protection is not supported, while the rest was read; `None` when everything
    /// was opened. [`Survey::not_supported`] names all of it.
    #[must_use]
    pub fn closed(&self) -> Option<&PfxError> {
        self.closed.as_ref()
    }

    /// Everything about how it is made.
    #[must_use]
    pub fn survey(&self) -> &Survey {
        &self.survey
    }

    /// The one private key of a supported kind, with the certificate that has its public half.
    ///
    /// # Errors
    /// When there is no key, more than one, or no certificate for it; [`PfxError::UnsupportedAlgorithm`] when no key is of a supported
    /// kind, and when the certificate may be in what stays closed.
    pub fn identity(&self) -> Result<Identity<'_>, PfxError> {
        let mut usable = self.keys.iter().filter(|key| key.facts.supported);
        let key = match (usable.next(), self.keys.first()) {
            (Some(key), _) => key,
            (None, Some(key)) => {
                let what = format!("a private key of {}", key.facts.text);
                return Err(PfxError::unsupported_key(what));
            }
            (None, None) => return Err(PfxError::NoPrivateKey),
        };
        let others = usable.count();
        if others > 0 {
            return Err(PfxError::SeveralPrivateKeys {
                count: others.saturating_add(1),
            });
        }
        self.with_certificate(key).ok_or_else(|| {
            let unread = |certificate: &OpenedCertificate| Outline::of(&certificate.der).is_none();
            if self.certificates.iter().any(unread) {
                // It could be the key's.
                PfxError::Malformed {
                    what: "a certificate does not parse",
                }
            } else {
                self.closed.clone().unwrap_or(PfxError::NoCertificateForKey)
            }
        })
    }

    /// Every private key of a supported kind that has its certificate here, in the order of the file.
    #[must_use]
    pub fn identities(&self) -> Vec<Identity<'_>> {
        self.keys
            .iter()
            .filter(|key| key.facts.supported)
            .filter_map(|key| self.with_certificate(key))
            .collect()
    }

    fn with_certificate<'a>(&'a self, key: &'a OpenedKey) -> Option<Identity<'a>> {
        Some(Identity {
            pfx: self,
            key,
            certificate: key.certificate?,
        })
    }
}

impl OpenedKey {
    /// The key (DER PrivateKeyInfo, RFC 5958): RSA and EC in version v1 and whole, as every program reads them, whatever the file has;
    /// other kinds as they are.
    #[must_use]
    pub fn pkcs8(&self) -> &SecretBytes {
        &self.pkcs8
    }

    /// Its kind and size.
    #[must_use]
    pub fn facts(&self) -> &KeyFacts {
        &self.facts
    }

    /// Place of its certificate in [`OpenedPfx::certificates`].
    #[must_use]
    pub fn certificate(&self) -> Option<usize> {
        self.certificate
    }

    /// How that was found.
    #[must_use]
    pub fn matched_by(&self) -> Option<MatchedBy> {
        self.matched_by
    }

    /// Whether its public half is known: computed, or in the file beside it. Without it nothing shows which certificate is the key's, nor that
    /// none is.
    #[must_use]
    pub fn has_public_half(&self) -> bool {
        self.has_public_half
    }

    /// The name that the file gives it, or its certificate.
    /// It is there to be shown: printable, and at most 256 characters.
    #[must_use]
    pub fn friendly_name(&self) -> Option<&str> {
        Some(&self.friendly_name.as_ref()?.shown)
    }

    /// The same as it is stored, to be written again: a stranger's text, of at most 1024 units of UTF-16.
    #[must_use]
    pub fn stored_name(&self) -> Option<&str> {
        Some(&self.friendly_name.as_ref()?.stored)
    }

    /// Whether [`Self::stored_name`] is all that the file has: a longer name was cut, and half a character is none.
    #[must_use]
    pub fn name_is_whole(&self) -> bool {
        self.friendly_name.as_ref().is_none_or(|name| name.whole)
    }

    /// The mark that joins it to its certificate. Files repeat it and leave it out; nothing is decided by it alone.
    #[must_use]
    pub fn local_key_id(&self) -> Option<&[u8]> {
        self.local_key_id.as_deref()
    }
}

impl OpenedCertificate {
    /// The certificate (DER, as it was in the file).
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The name that the file gives it.
    /// It is there to be shown: printable, and at most 256 characters.
    #[must_use]
    pub fn friendly_name(&self) -> Option<&str> {
        Some(&self.friendly_name.as_ref()?.shown)
    }

    /// The same as it is stored, to be written again: a stranger's text, of at most 1024 units of UTF-16.
    #[must_use]
    pub fn stored_name(&self) -> Option<&str> {
        Some(&self.friendly_name.as_ref()?.stored)
    }

    /// Whether [`Self::stored_name`] is all that the file has: a longer name was cut, and half a character is none.
    #[must_use]
    pub fn name_is_whole(&self) -> bool {
        self.friendly_name.as_ref().is_none_or(|name| name.whole)
    }

    /// The mark that joins it to its key.
    #[must_use]
    pub fn local_key_id(&self) -> Option<&[u8]> {
        self.local_key_id.as_deref()
    }

    /// Place of its private key in [`OpenedPfx::keys`]. Every certificate of a key has it, those from before a renewal too;
    /// [`OpenedKey::certificate`] is the one of them that the file joins to the key.
    #[must_use]
    pub fn key(&self) -> Option<usize> {
        self.key
    }
}

impl OpenedOther {
    /// What it is.
    #[must_use]
    pub fn kind(&self) -> BagKind {
        self.kind
    }

    /// Its type in words and as object identifier.
    #[must_use]
    pub fn of_type(&self) -> &str {
        &self.of_type
    }

    /// The name that the file gives it.
    #[must_use]
    pub fn friendly_name(&self) -> Option<&str> {
        self.friendly_name.as_deref()
    }

    /// The value of its bag (the element within bagValue), not decrypted if it is encrypted itself.
    #[must_use]
    pub fn value(&self) -> &SecretBytes {
        &self.value
    }
}

impl<'a> Identity<'a> {
    /// The private key (DER PrivateKeyInfo, RFC 5958).
    #[must_use]
    pub fn pkcs8(&self) -> &'a SecretBytes {
        &self.key.pkcs8
    }

    /// The key with all that is known of it.
    #[must_use]
    pub fn key(&self) -> &'a OpenedKey {
        self.key
    }

    /// The certificate with the key's public half (DER).
    #[must_use]
    pub fn certificate(&self) -> &'a [u8] {
        self.pfx
            .certificates
            .get(self.certificate)
            .map_or(&[], OpenedCertificate::der)
    }

    /// The other certificates (DER), in the order of the file; [`OpenedPfx::chain_of`] has those of its chain in theirs.
    #[must_use]
    pub fn chain(&self) -> Vec<&'a [u8]> {
        self.pfx
            .certificates
            .iter()
            .enumerate()
            .filter(|(index, _)| *index != self.certificate)
            .map(|(_, certificate)| certificate.der())
            .collect()
    }

    /// Other certificates (DER), `most` at most, those of its chain first ([`OpenedPfx::others_of`]).
    #[must_use]
    pub fn others(&self, most: usize) -> Vec<&'a [u8]> {
        self.pfx.others_of(self.certificate, most)
    }

    /// The name that the file gives the key, or its certificate, to be shown.
    #[must_use]
    pub fn friendly_name(&self) -> Option<&'a str> {
        self.key.friendly_name()
    }

    /// What an import needs to know of the certificate.
    ///
    /// # Errors
    /// [`PfxError::Malformed`] when the certificate does not parse or its dates have no calendar form; [`PfxError::LimitExceeded`] when it is
    /// larger than 64 KiB.
    pub fn facts(&self) -> Result<CertificateFacts, PfxError> {
        facts::of(
            self.certificate(),
            self.key.matched_by == Some(MatchedBy::PublicKey),
        )
    }
}
