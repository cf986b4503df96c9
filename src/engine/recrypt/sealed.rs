//! A private key that waits for its certificate, sealed to a custody key: what the caller keeps between `makeKey` and `pack`.
//!
//! ```text
//! SealedKey    ::= SEQUENCE { header SealedHeader, encryptedKey OCTET STRING, wrappedKey OCTET STRING }
//! SealedHeader ::= SEQUENCE { version INTEGER (1), requestId UTF8String, csr OCTET STRING, custodyKey OCTET STRING, padding UTF8String }
//!
//! csr           SHA-256 of the certification request
//! custodyKey    fingerprint of the custody key
//! encryptedKey  RSAES-OAEP to the custody key, of MARK and 32 random bytes: the wrapping key
//! wrappedKey    AES key wrap with padding (SP 800-38F section 6.3, RFC 5649) of SHA-256(CONTEXT || header) and the PrivateKeyInfo
//! ```
//!
//! The header is under the wrapping's integrity, so a sealed key opens for the request and the CSR that it was made for, and for nothing
//! else. MARK keeps it apart from the passwords that the same custody key decrypts: what begins with it is never given out as one, and
//! nothing else is taken for a wrapping key ([`is_wrapping_key`]).
//!
//! What is not claimed: anybody can encrypt to the custody key, and so seal a key of their own. That gives them nothing: whoever knows a
//! private key can also put it into a PFX and encrypt that to a device without an engine.

use der::asn1::OctetString;
use der::{Decode, Encode, Sequence};
use fips::aes::{key_unwrap_padded, key_wrap_padded};
use fips::digest::{Hash, digest};
use fips::secret::{PrivateKey, SecretBytes};
use hsm::{KeyFingerprint, Padding};

/// The version that is written and read here.
const VERSION: u8 = 1;
/// Separates the header's digest from every other one.
const CONTEXT: &[u8] = b"pfx-connector sealed key v1";
/// What a wrapping key begins with under the custody key. No password has a NUL in it (a PFX could not be opened with it).
const MARK: [u8; 16] = *b"\0pfx sealed key\x01";
/// AES-256.
const WRAPPING_KEY_BYTES: usize = 32;
const DIGEST_BYTES: usize = 32;

/// What a sealed key is bound to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// The request that it was made for.
    pub request_id: String,
    /// SHA-256 of the CSR.
    pub csr: [u8; DIGEST_BYTES],
    /// The custody key that opens it.
    pub custody_key: KeyFingerprint,
    /// How the wrapping key is encrypted to it.
    pub padding: Padding,
}

#[derive(Sequence)]
struct HeaderDer {
    version: u8,
    request_id: String,
    csr: OctetString,
    custody_key: OctetString,
    padding: String,
}

#[derive(Sequence)]
struct SealedDer {
    header: HeaderDer,
    encrypted_key: OctetString,
    wrapped_key: OctetString,
}

impl Binding {
    fn to_der(&self) -> Result<HeaderDer, der::Error> {
        Ok(HeaderDer {
            version: VERSION,
            request_id: self.request_id.clone(),
            csr: OctetString::new(self.csr)?,
            custody_key: OctetString::new(*self.custody_key.as_bytes())?,
            padding: self.padding.name().to_owned(),
        })
    }

    fn digest(&self) -> Result<fips::digest::Digest, der::Error> {
        let header = self.to_der()?.to_der()?;
        Ok(digest(Hash::Sha256, &[CONTEXT, &header].concat()))
    }
}

/// SHA-256 of a CSR, as a [`Binding`] has it.
#[must_use]
pub fn csr_digest(csr: &[u8]) -> [u8; DIGEST_BYTES] {
    let mut bytes = [0; DIGEST_BYTES];
    for (to, from) in bytes.iter_mut().zip(digest(Hash::Sha256, csr).as_ref()) {
        *to = *from;
    }
    bytes
}

/// Whether a secret that the custody key decrypted is a wrapping key, and so no password.
#[must_use]
pub fn is_wrapping_key(secret: &[u8]) -> bool {
    secret.starts_with(&MARK)
}

/// Why a private key is not sealed, or a sealed key not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// Not the structure.
    #[error("it is no sealed key")]
    Malformed,
    /// Of a release to come.
    #[error("it is of version {0}, and this release reads {VERSION}: it was made by a newer one")]
    Version(u8),
    /// The module refused or failed.
    #[error("the cryptographic module: {0}")]
    Module(#[from] fips::Error),
    /// It could not be encoded: a bug.
    #[error("it could not be encoded: {0}")]
    Encoding(#[from] der::Error),
}

/// It does not open: the wrapping key is none, or not this one's, or something was changed. Which of these is not told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the sealed key does not open")]
pub struct DoesNotOpen;

/// A fresh wrapping key, as it is encrypted to the custody key.
///
/// # Errors
/// Of the module's random generator.
pub fn wrapping_key() -> Result<SecretBytes, fips::Error> {
    let mut secret = SecretBytes::zeroed(MARK.len().saturating_add(WRAPPING_KEY_BYTES));
    if let Some((mark, key)) = secret.expose_mut().split_first_chunk_mut() {
        *mark = MARK;
        fips::random::fill(key)?;
    }
    Ok(secret)
}

/// A sealed key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedKey {
    binding: Binding,
    encrypted_key: Vec<u8>,
    wrapped_key: Vec<u8>,
}

impl SealedKey {
    /// Wraps a private key under a [`wrapping_key`]; `encrypted_key` is that key, encrypted to the custody key of the binding.
    ///
    /// # Errors
    /// [`SealError::Module`], [`SealError::Encoding`].
    pub fn wrap(
        binding: Binding,
        wrapping_key: &SecretBytes,
        encrypted_key: Vec<u8>,
        key: &PrivateKey,
    ) -> Result<Self, SealError> {
        let digest = binding.digest()?;
        let mut bound = SecretBytes::zeroed(DIGEST_BYTES.saturating_add(key.len()));
        if let Some((head, rest)) = bound.expose_mut().split_at_mut_checked(DIGEST_BYTES) {
            head.copy_from_slice(digest.as_ref());
            rest.copy_from_slice(key.expose());
        }
        let kek = kek_of(wrapping_key).ok_or(SealError::Malformed)?;
        Ok(Self {
            binding,
            encrypted_key,
            wrapped_key: key_wrap_padded(&kek, &bound)?,
        })
    }

    /// Reads one; nothing in it is believed before it is [opened](Self::open).
    ///
    /// # Errors
    /// [`SealError::Malformed`], [`SealError::Version`].
    pub fn read(bytes: &[u8]) -> Result<Self, SealError> {
        let sealed = SealedDer::from_der(bytes).map_err(|_| SealError::Malformed)?;
        let header = sealed.header;
        if header.version != VERSION {
            return Err(SealError::Version(header.version));
        }
        let fixed = |octets: &OctetString| {
            octets
                .as_bytes()
                .try_into()
                .map_err(|_| SealError::Malformed)
        };
        let padding: Padding = header.padding.parse().map_err(|_| SealError::Malformed)?;
        // A padding has two names, and only one of them is written; the padding of old imports is none that anything is sealed with.
        if padding.name() != header.padding || padding == Padding::Pkcs1 {
            return Err(SealError::Malformed);
        }
        let read = Self {
            binding: Binding {
                csr: fixed(&header.csr)?,
                custody_key: KeyFingerprint::from_bytes(fixed(&header.custody_key)?),
                request_id: header.request_id,
                padding,
            },
            encrypted_key: sealed.encrypted_key.as_bytes().to_vec(),
            wrapped_key: sealed.wrapped_key.as_bytes().to_vec(),
        };
        // What opens has one form only: its digest is what failures and uses are counted by.
        match read.to_der() {
            Ok(again) if again == bytes => Ok(read),
            _ => Err(SealError::Malformed),
        }
    }

    /// As the caller keeps it (DER).
    ///
    /// # Errors
    /// [`SealError::Encoding`].
    pub fn to_der(&self) -> Result<Vec<u8>, SealError> {
        let sealed = SealedDer {
            header: self.binding.to_der()?,
            encrypted_key: OctetString::new(self.encrypted_key.as_slice())?,
            wrapped_key: OctetString::new(self.wrapped_key.as_slice())?,
        };
        Ok(sealed.to_der()?)
    }

    /// What it says that it is bound to.
    #[must_use]
    pub fn binding(&self) -> &Binding {
        &self.binding
    }

    /// The wrapping key, encrypted to the custody key.
    #[must_use]
    pub fn encrypted_key(&self) -> &[u8] {
        &self.encrypted_key
    }

    /// The private key, by the wrapping key as the custody key decrypted it. Only now is the binding known to be what it was sealed with.
    ///
    /// What was decrypted is unwrapped with in any case, also if it is no wrapping key: that costs the same then.
    ///
    /// # Errors
    /// [`DoesNotOpen`].
    pub fn open(&self, decrypted: &SecretBytes) -> Result<PrivateKey, DoesNotOpen> {
        let kek = kek_of(decrypted);
        let is_one = kek.is_some();
        let kek = kek.unwrap_or_else(|| SecretBytes::zeroed(WRAPPING_KEY_BYTES));
        let bound = key_unwrap_padded(&kek, &self.wrapped_key).map_err(|_| DoesNotOpen)?;
        let digest = self.binding.digest().map_err(|_| DoesNotOpen)?;
        let (head, key) = bound
            .expose()
            .split_at_checked(DIGEST_BYTES)
            .ok_or(DoesNotOpen)?;
        let is_bound = fips::secret::ct_eq(head, digest.as_ref());
        if is_one && is_bound && !key.is_empty() {
            Ok(PrivateKey::from_slice(key))
        } else {
            Err(DoesNotOpen)
        }
    }
}

/// The key in what is encrypted to the custody key.
fn kek_of(secret: &SecretBytes) -> Option<SecretBytes> {
    let key = secret.expose().strip_prefix(&MARK)?;
    (key.len() == WRAPPING_KEY_BYTES).then(|| SecretBytes::from_slice(key))
}

#[cfg(test)]
mod tests;
