//! The names of the services: one for each row of the table.

use super::bounds;
use super::rows::row;
use super::table::Entry;

macro_rules! services {
    ($($(#[$doc:meta])* $name:ident,)+) => {
        /// A cryptographic service of the program. [`Service::entry`] says everything that is decided about it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Service {
            $($(#[$doc])* $name,)+
        }

        impl Service {
            /// Every service, in the order of the table.
            pub const ALL: [Self; [$(Self::$name),+].len()] = [$(Self::$name),+];
        }
    };
}

services! {
    /// [`crate::random`].
    Random,
    /// [`crate::digest`].
    Digest,
    /// [`crate::hmac`] with a key of 112 bits or more.
    Hmac,
    /// [`crate::hmac`] with a shorter key.
    HmacShortKey,
    /// [`crate::hmac`] with MD5.
    HmacMd5,
    /// [`crate::kdf::hkdf`].
    Hkdf,
    /// [`crate::kdf::pbkdf2`] within [`bounds`].
    Pbkdf2,
    /// [`crate::kdf::pbkdf2`] below one of them.
    Pbkdf2OutOfBounds,
    /// [`crate::kdf::pbkdf2`] with MD5.
    Pbkdf2Md5,
    /// [`crate::aes`]: CBC, both directions.
    AesCbc,
    /// [`crate::aes`]: GCM, both directions.
    AesGcm,
    /// [`crate::aes`]: key wrap with and without padding, both directions.
    AesKeyWrap,
    /// RSA keys of 2048 bits or more.
    RsaKeyGeneration,
    /// Keys on the NIST curves.
    EcKeyGeneration,
    /// [`crate::sign`]: making signatures.
    SignatureGeneration,
    /// [`crate::sign`]: verifying them.
    SignatureVerification,
    /// [`crate::tls`].
    Tls,
    /// [`crate::rsa::PublicKey::encrypt_oaep`].
    RsaOaepEncrypt,
    /// [`crate::rsa::PrivateKey::decrypt_oaep`], [`crate::rsa::ReadingKey::decrypt_oaep`].
    RsaOaepDecrypt,
    /// [`crate::rsa::PublicKey::encrypt_pkcs1v15`].
    RsaPkcs1v15Encrypt,
    /// [`crate::rsa::PrivateKey::decrypt_pkcs1v15`], [`crate::rsa::ReadingKey::decrypt_pkcs1v15`].
    RsaPkcs1v15Decrypt,
    /// [`crate::rsa::ReadingKey`] with a key of less than 2048 bits.
    RsaShortKeyDecrypt,
    /// [`crate::ec`]: agreement outside of TLS.
    Ecdh,
    /// [`crate::kdf::x963`].
    X963Kdf,
    /// [`crate::kdf::pkcs12`], to read a file.
    Pkcs12KdfRead,
    /// [`crate::kdf::pkcs12`], to write one.
    Pkcs12KdfWrite,
    /// [`crate::kdf::pbkdf1`].
    Pbkdf1,
    /// [`crate::kdf::scrypt`].
    Scrypt,
    /// [`crate::kdf::pbmac1_message_key`].
    CmpPbmac1,
    /// [`crate::kdf::password_based_mac_key`].
    CmpPasswordBasedMac,
    /// [`crate::legacy::des_ede3_cbc_encrypt`].
    TripleDesEncrypt,
    /// [`crate::legacy::des_ede3_cbc_decrypt`].
    TripleDesDecrypt,
    /// [`crate::legacy::rc2_cbc_decrypt`].
    Rc2Decrypt,
    /// [`crate::legacy::des_cbc_decrypt`].
    DesDecrypt,
    /// [`crate::legacy::rc4_decrypt`].
    Rc4Decrypt,
    /// Custody decryption by the token, padding included.
    TokenOaepDecrypt,
    /// Encryption to a device or to the custody key by the token, padding included.
    TokenOaepEncrypt,
    /// Custody and report keys made on the token.
    TokenKeyGeneration,
    /// Signatures of evidence reports by the token.
    TokenSignature,
    /// Keys wrapped by the token, to be copied to another one.
    TokenKeyWrap,
    /// Keys unwrapped into the token.
    TokenKeyUnwrap,
    /// Key agreement by the token, without a key derivation.
    TokenEcdh,
    /// RSAES-OAEP by the token's raw RSA operation, with the padding handled by the program.
    TokenRawRsaOaep,
    /// RSAES-PKCS1-v1_5 by the token's raw RSA operation, with the padding handled by the program: custody keys that are named for it.
    TokenRawRsaPkcs1v15,
    /// RSAES-PKCS1-v1_5 by the token, padding included: where it gives no raw RSA.
    TokenPkcs1v15,
}

impl Service {
    /// Everything that is decided about this service.
    #[must_use]
    pub const fn entry(self) -> Entry {
        row(self)
    }

    /// Its stable name, for counters, logs and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.entry().name
    }

    /// HMAC with a key of `key_bytes` (SP 800-131A: 112 bits at least).
    #[must_use]
    pub const fn hmac(key_bytes: usize) -> Self {
        if key_bytes < bounds::HMAC_KEY_BYTES {
            Self::HmacShortKey
        } else {
            Self::Hmac
        }
    }

    /// PBKDF2 with these parameters (SP 800-132 section 5).
    #[must_use]
    pub const fn pbkdf2(password_bytes: usize, salt_bytes: usize, iterations: u32) -> Self {
        if password_bytes < bounds::PBKDF2_PASSWORD_BYTES
            || salt_bytes < bounds::PBKDF2_SALT_BYTES
            || iterations < bounds::PBKDF2_ITERATIONS
        {
            Self::Pbkdf2OutOfBounds
        } else {
            Self::Pbkdf2
        }
    }
}
