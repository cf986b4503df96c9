//! What is written.

use super::WriteError;
use crate::pfx::attributes::{LONGEST_ID, LONGEST_NAME_UNITS};
use crate::pfx::outline::Outline;
use crate::pfx::{Budget, OpenedPfx, PfxLimits, key};
use fips::digest::{Hash, digest};
use fips::secret::SecretBytes;

/// A private key for a PFX.
#[derive(Clone, Copy)]
pub struct KeyEntry<'a> {
    /// The key (DER PrivateKeyInfo, RFC 5958). RSA and EC are written in version v1 and whole, as every program reads them; a kind that is
    /// not supported elsewhere is written as it is.
    pub pkcs8: &'a SecretBytes,
    /// Place of its certificate in [`Entries::certificates`], when that is written as well.
    pub certificate: Option<usize>,
    /// friendlyName.
    pub friendly_name: Option<&'a str>,
    /// localKeyId. What is missing, longer than 1024 bytes, or stands for something else too, is replaced by the SHA-1 of the certificate.
    pub local_key_id: Option<&'a [u8]>,
}

/// A certificate for a PFX.
#[derive(Clone, Copy)]
pub struct CertificateEntry<'a> {
    /// The certificate (DER).
    pub der: &'a [u8],
    /// friendlyName. A certificate without one gets its key's.
    pub friendly_name: Option<&'a str>,
    /// localKeyId. That of a key's certificate is the key's.
    pub local_key_id: Option<&'a [u8]>,
}

/// Everything that is written into one PFX: any number of keys and certificates, in this order.
#[derive(Default, Clone)]
pub struct Entries<'a> {
    /// The private keys.
    pub keys: Vec<KeyEntry<'a>>,
    /// The certificates: those of the keys, and their chains.
    pub certificates: Vec<CertificateEntry<'a>>,
}

impl<'a> Entries<'a> {
    /// All keys and certificates of a PFX, with their names and identifiers. What else is in it ([`OpenedPfx::others`]) is left out.
    #[must_use]
    pub fn of(opened: &'a OpenedPfx) -> Self {
        Self {
            keys: opened
                .keys()
                .iter()
                .map(|key| KeyEntry {
                    pkcs8: key.pkcs8(),
                    certificate: key.certificate(),
                    friendly_name: key.stored_name(),
                    local_key_id: key.local_key_id(),
                })
                .collect(),
            certificates: opened
                .certificates()
                .iter()
                .map(|certificate| CertificateEntry {
                    der: certificate.der(),
                    friendly_name: certificate.stored_name(),
                    local_key_id: certificate.local_key_id(),
                })
                .collect(),
        }
    }

    /// One key with its certificate and the certificates above it.
    #[must_use]
    pub fn identity(
        pkcs8: &'a SecretBytes,
        certificate: &'a [u8],
        chain: &[&'a [u8]],
        friendly_name: Option<&'a str>,
    ) -> Self {
        let bare = |der| CertificateEntry {
            der,
            friendly_name: None,
            local_key_id: None,
        };
        Self {
            keys: vec![KeyEntry {
                pkcs8,
                certificate: Some(0),
                friendly_name,
                local_key_id: None,
            }],
            certificates: std::iter::once(certificate)
                .chain(chain.iter().copied())
                .map(bare)
                .collect(),
        }
    }

    /// Refuses what would make a file that no reader can use. Gives back the keys in the form that every program reads.
    pub(super) fn check(&self) -> Result<Vec<SecretBytes>, WriteError> {
        if self.keys.is_empty() && self.certificates.is_empty() {
            return Err(WriteError::NothingToWrite);
        }
        let names = self.keys.iter().map(|key| key.friendly_name);
        let names = names.chain(self.certificates.iter().map(|one| one.friendly_name));
        for name in names.flatten() {
            if name.encode_utf16().count() > LONGEST_NAME_UNITS {
                return Err(WriteError::UnusableEntry {
                    what: "a friendly name is longer than 1024 characters",
                });
            }
        }
        let keys = self.keys.iter().enumerate();
        keys.map(|(index, key)| {
            self.check_key(key).map_err(|what| WriteError::UnusableKey {
                number: index.saturating_add(1),
                what,
            })
        })
        .collect()
    }

    /// The same with these keys in the place of its own.
    pub(super) fn with_keys<'b>(&self, keys: &'b [SecretBytes]) -> Entries<'b>
    where
        'a: 'b,
    {
        let entries = self.keys.iter().zip(keys);
        Entries {
            keys: entries
                .map(|(key, pkcs8)| KeyEntry { pkcs8, ..*key })
                .collect(),
            certificates: self.certificates.clone(),
        }
    }

    fn check_key(&self, key: &KeyEntry<'_>) -> Result<SecretBytes, &'static str> {
        let mut budget = Budget::new(&PfxLimits::default());
        let examined =
            key::examine(key.pkcs8, &mut budget).map_err(|_| "it is not a PrivateKeyInfo")?;
        let Some(place) = key.certificate else {
            return Ok(examined.pkcs8);
        };
        let certificate = self
            .certificates
            .get(place)
            .ok_or("its certificate is not among those that are written")?;
        let outline = Outline::of(certificate.der).ok_or("its certificate does not parse")?;
        // Of a kind that is not supported the public half may not be known, and an elliptic point may be compressed in the certificate.
        let differs = |public: &[u8]| public != outline.public_key;
        if examined.facts.supported
            && !is_compressed(outline.public_key)
            && examined.public_key.as_deref().is_none_or(differs)
        {
            return Err("its certificate has another public key");
        }
        Ok(examined.pkcs8)
    }

    /// The localKeyId of a key: its own if no other key has the same, else one from its certificate (or public key), as OpenSSL makes it.
    pub(super) fn id_of_key(&self, index: usize) -> Result<Vec<u8>, WriteError> {
        const LOST: WriteError = WriteError::UnusableEntry {
            what: "a key that is not there",
        };
        let key = self.keys.get(index).ok_or(LOST)?;
        let shared = |id: &[u8]| {
            let others = self.keys.iter().enumerate();
            let others = others.filter(|(other, _)| *other != index);
            let elsewhere = self.certificates.iter().enumerate();
            let elsewhere = elsewhere.filter(|(place, _)| {
                Some(*place) != key.certificate
                    && !self.keys.iter().any(|key| key.certificate == Some(*place))
            });
            others.map(|(_, key)| key.local_key_id).any(|other| other == Some(id))
                // A certificate of the chain that has the key's identifier would be taken for the key's own.
                || elsewhere.map(|(_, one)| one.local_key_id).any(|other| other == Some(id))
        };
        if let Some(id) = key.local_key_id
            && (1..=LONGEST_ID).contains(&id.len())
            && !shared(id)
        {
            return Ok(id.to_vec());
        }
        let certificate = key
            .certificate
            .and_then(|place| self.certificates.get(place));
        let hash = |bytes: &[u8]| digest(Hash::Sha1, bytes).as_ref().to_vec();
        if let Some(certificate) = certificate {
            return Ok(hash(certificate.der));
        }
        // Of a kind whose public half cannot be had: its place in the file is as good as any other mark.
        Ok(match fips::pkcs8_public(key.pkcs8.expose()) {
            Ok(public) => hash(&public),
            Err(_) => hash(&index.to_be_bytes()),
        })
    }

    /// The localKeyId of a certificate: its key's, or its own when no key has that.
    pub(super) fn id_of_certificate(&self, place: usize) -> Result<Option<Vec<u8>>, WriteError> {
        let owner = self
            .keys
            .iter()
            .position(|key| key.certificate == Some(place));
        if let Some(owner) = owner {
            return self.id_of_key(owner).map(Some);
        }
        let own = self
            .certificates
            .get(place)
            .and_then(|certificate| certificate.local_key_id)
            .filter(|id| (1..=LONGEST_ID).contains(&id.len()))
            .filter(|id| !self.keys.iter().any(|key| key.local_key_id == Some(id)));
        Ok(own.map(<[u8]>::to_vec))
    }

    /// The friendlyName of a certificate: its own, or its key's, because some readers look at one of the two only.
    pub(super) fn name_of_certificate(&self, place: usize) -> Option<&'a str> {
        let own = some_name(self.certificates.get(place)?.friendly_name);
        own.or_else(|| {
            let mut keys = self.keys.iter();
            some_name(
                keys.find(|key| key.certificate == Some(place))?
                    .friendly_name,
            )
        })
    }

    /// The friendlyName of a key: its own, or its certificate's.
    pub(super) fn name_of_key(&self, key: &KeyEntry<'a>) -> Option<&'a str> {
        some_name(key.friendly_name).or_else(|| {
            let place = key.certificate?;
            some_name(self.certificates.get(place)?.friendly_name)
        })
    }
}

/// Whether this is an elliptic point with one coordinate and the sign of the other (SEC 1 section 2.3.3), and no RSA key, which is a SEQUENCE.
fn is_compressed(public: &[u8]) -> bool {
    matches!(public.first(), Some(2 | 3))
}

/// A name of no characters is none.
fn some_name(name: Option<&str>) -> Option<&str> {
    name.filter(|name| !name.is_empty())
}
