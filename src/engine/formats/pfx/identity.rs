//! What an opened PFX holds, and the one identity that is imported from it.

use super::PfxError;
use super::bags::Contents;
use super::facts::{self, CertificateFacts};
use crate::engine::formats::words;
use der::{Decode, Encode};
use fips::secret::SecretBytes;
use pkcs8::PrivateKeyInfoRef;
use x509_cert::Certificate;

/// Everything that was in a PFX.
pub struct OpenedPfx {
    keys: Vec<OpenedKey>,
    certificates: Vec<Vec<u8>>,
}

/// A private key of a PFX.
pub struct OpenedKey {
    pkcs8: SecretBytes,
    certificate: Option<usize>,
    friendly_name: Option<String>,
}

/// The one private key with its certificate.
pub struct Identity<'a> {
    pfx: &'a OpenedPfx,
    key: &'a OpenedKey,
    certificate: usize,
}

impl OpenedPfx {
    /// Its private keys.
    #[must_use]
    pub fn keys(&self) -> &[OpenedKey] {
        &self.keys
    }

    /// Its certificates (DER), in the order of the file.
    #[must_use]
    pub fn certificates(&self) -> &[Vec<u8>] {
        &self.certificates
    }

    /// The one private key with the certificate that has its public half.
    ///
    /// # Errors
    /// When there is no key, more than one, or no certificate for it.
    pub fn identity(&self) -> Result<Identity<'_>, PfxError> {
        let key = match self.keys.as_slice() {
            [] => return Err(PfxError::NoPrivateKey),
            [key] => key,
            several => {
                return Err(PfxError::SeveralPrivateKeys {
                    count: several.len(),
                });
            }
        };
        Ok(Identity {
            pfx: self,
            key,
            certificate: key.certificate.ok_or(PfxError::NoCertificateForKey)?,
        })
    }
}

impl OpenedKey {
    /// The key (DER PrivateKeyInfo, RFC 5958).
    #[must_use]
    pub fn pkcs8(&self) -> &SecretBytes {
        &self.pkcs8
    }

    /// Place of the certificate with its public half in [`OpenedPfx::certificates`].
    #[must_use]
    pub fn certificate(&self) -> Option<usize> {
        self.certificate
    }

    /// The name that the file gives it.
    #[must_use]
    pub fn friendly_name(&self) -> Option<&str> {
        self.friendly_name.as_deref()
    }
}

impl<'a> Identity<'a> {
    /// The private key (DER PrivateKeyInfo, RFC 5958).
    #[must_use]
    pub fn pkcs8(&self) -> &'a SecretBytes {
        &self.key.pkcs8
    }

    /// The certificate with the key's public half (DER).
    #[must_use]
    pub fn certificate(&self) -> &'a [u8] {
        self.pfx
            .certificates
            .get(self.certificate)
            .map_or(&[], Vec::as_slice)
    }

    /// The other certificates (DER), in the order of the file.
    #[must_use]
    pub fn chain(&self) -> Vec<&'a [u8]> {
        self.pfx
            .certificates
            .iter()
            .enumerate()
            .filter(|(index, _)| *index != self.certificate)
            .map(|(_, der)| der.as_slice())
            .collect()
    }

    /// The name that the file gives the key, or its certificate.
    #[must_use]
    pub fn friendly_name(&self) -> Option<&'a str> {
        self.key.friendly_name()
    }

    /// What an import needs to know of the certificate.
    ///
    /// # Errors
    /// [`PfxError::Malformed`] when its dates have no calendar form.
    pub fn facts(&self) -> Result<CertificateFacts, PfxError> {
        facts::of(self.certificate(), &self.key.pkcs8)
    }
}

/// Joins keys and certificates by their public keys.
pub(super) fn assemble(contents: Contents) -> Result<OpenedPfx, PfxError> {
    let mut spkis = Vec::with_capacity(contents.certificates.len());
    for (der, _) in &contents.certificates {
        let certificate = Certificate::from_der(der).map_err(|_| PfxError::Malformed {
            what: "a certificate does not parse",
        })?;
        spkis.push(
            certificate
                .tbs_certificate()
                .subject_public_key_info()
                .to_der()
                .map_err(|_| PfxError::Malformed {
                    what: "a certificate's key does not parse",
                })?,
        );
    }
    let mut keys = Vec::with_capacity(contents.keys.len());
    for (pkcs8, name) in contents.keys {
        let public = public_key(&pkcs8)?;
        let certificate = spkis.iter().position(|spki| facts::same_key(spki, &public));
        let friendly_name = name.or_else(|| {
            let (_, name) = contents.certificates.get(certificate?)?;
            name.clone()
        });
        keys.push(OpenedKey {
            pkcs8,
            certificate,
            friendly_name,
        });
    }
    Ok(OpenedPfx {
        keys,
        certificates: contents
            .certificates
            .into_iter()
            .map(|(der, _)| der)
            .collect(),
    })
}

/// The public half of a private key (SubjectPublicKeyInfo), or what kind of key it is that is not supported.
pub(super) fn public_key(pkcs8: &SecretBytes) -> Result<Vec<u8>, PfxError> {
    let info = PrivateKeyInfoRef::from_der(pkcs8.expose()).map_err(|_| PfxError::Malformed {
        what: "a private key is not PKCS#8",
    })?;
    fips::pkcs8_public(pkcs8.expose()).map_err(|error| match error {
        fips::Error::MalformedKey { .. } => PfxError::Malformed {
            what: "a private key does not parse",
        },
        other => PfxError::unsupported(format!(
            "a private key of {} ({other})",
            words::oid(&info.algorithm.oid)
        )),
    })
}
