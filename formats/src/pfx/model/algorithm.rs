//! Algorithms of a PFX as facts: stable names for programs, words for people.

use serde::Serialize;

/// One algorithm with its standing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Algorithm {
    /// Stable name: lower-case words with hyphens, such as `pbes2-pbkdf2-hmac-sha256-aes-256-cbc` or `pbe-sha1-rc2-40`. What has no
    /// name is its object identifier.
    pub name: String,
    /// For people, such as `AES-256 (PBES2 with PBKDF2 and HMAC-SHA-256)`.
    pub text: String,
    /// Whether this reader can use it.
    pub supported: bool,
    /// Whether it is approved with the parameters in the file. (That an approved PBKDF2 also takes a password of 14 bytes or more
    /// cannot be seen from outside.)
    pub approved: bool,
    /// Why it is not approved, in words.
    pub not_approved_because: Option<String>,
}

/// The integrity check under the password (RFC 7292 section 4, RFC 9579).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MacFacts {
    /// The whole, such as `pkcs12-kdf-hmac-sha1` or `pbmac1-pbkdf2-hmac-sha256-hmac-sha256` (its PRF, then its MAC).
    pub algorithm: Algorithm,
    /// Classic or PBMAC1.
    pub scheme: MacScheme,
    /// Hash of the HMAC: `sha1`, `sha256` and so on, or its object identifier.
    pub hash: String,
    /// Hash of the pseudo-random function of PBMAC1's PBKDF2.
    pub prf: Option<String>,
    /// Length of the MAC's key in bytes.
    pub key_bytes: Option<u64>,
    /// Iterations of its key derivation; `None` for what is no number of 64 bits or no positive one.
    pub iterations: Option<u64>,
    /// Length of the salt in bytes.
    pub salt_bytes: Option<usize>,
}

/// The two integrity checks under a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum MacScheme {
    /// HMAC under a key from the PKCS#12 KDF (RFC 7292 appendix B).
    Classic,
    /// HMAC under a key from PBKDF2 (RFC 9579).
    Pbmac1,
}

/// Encryption under a password.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EncryptionFacts {
    /// The whole, such as `pbes2-pbkdf2-hmac-sha256-aes-256-cbc`, `pbe-sha1-3des`, `pbe-sha1-rc2-40`, `pbes1-md5-des`.
    pub algorithm: Algorithm,
    /// Which standard's scheme.
    pub scheme: EncryptionScheme,
    /// Key derivation: `pbkdf2`, `pkcs12-kdf`, `pbkdf1`, `scrypt`, or its object identifier.
    pub kdf: Option<String>,
    /// Pseudo-random function, or hash, of the key derivation: `hmac-sha256`, `sha1` and so on.
    pub prf: Option<String>,
    /// Cipher: `aes-256-cbc`, `3des-cbc`, `rc2-cbc`, `rc4` and so on, or its object identifier.
    pub cipher: Option<String>,
    /// Effective length of the cipher's key in bits.
    pub key_bits: Option<u32>,
    /// Iterations of the key derivation (the cost N of scrypt); `None` for what is no number of 64 bits or no positive one.
    pub iterations: Option<u64>,
    /// Length of the salt in bytes.
    pub salt_bytes: Option<usize>,
}

impl EncryptionFacts {
    /// Its words, where it is not supported.
    pub(in crate::pfx) fn not_supported(&self) -> Option<String> {
        (!self.algorithm.supported).then(|| self.algorithm.text.clone())
    }
}

/// The standards' schemes of encryption under a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum EncryptionScheme {
    /// PKCS#5 version 2 (RFC 8018 section 6.2).
    Pbes2,
    /// PKCS#12 (RFC 7292 appendix C).
    Pkcs12,
    /// PKCS#5 version 1.5 (RFC 8018 section 6.1).
    Pbes1,
    /// Something else.
    Unknown,
}

/// A private key, in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyFacts {
    /// Stable name: `rsa`, `rsa-pss`, `ec-p256`, `ec-p384`, `ec-p521`, `ec` (another curve), `ec-explicit`, `dsa`, `ed25519`, `ed448`,
    /// `x25519`, `x448`, `gost2001` and so on, or the object identifier.
    pub algorithm: String,
    /// For people, such as `RSA 2048`.
    pub text: String,
    /// Size in bits: modulus, or order of the field.
    pub bits: Option<u32>,
    /// Whether it can be used for what this program is for: RSA, and EC on P-256, P-384 and P-521.
    pub supported: bool,
}
