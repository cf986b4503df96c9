//! Encryption under the password: PBES2 (RFC 8018 section 6.2), and the PKCS#12 encryption of old (RFC 7292 appendix C).

use super::{Form, WriteError, WriteOptions};
use crate::pfx::encoding::Password;
use const_oid::ObjectIdentifier;
use der::asn1::{Any, OctetString};
use fips::digest::Hash;
use fips::kdf::{Pkcs12Purpose, Pkcs12Use};
use fips::{aes, kdf, legacy, random};
use pkcs12::pbe_params::{Pbes2Params, Pbkdf2Params, Pkcs12PbeParams};
use spki::AlgorithmIdentifierOwned;

const PBES2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.5.13");
const PBKDF2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.5.12");
pub(super) const HMAC_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.2.9");
const AES_256_CBC: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.42");
/// pbeWithSHAAnd3-KeyTripleDES-CBC.
const PKCS12_3DES: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.1.3");

/// Salt of PBKDF2, in bytes: what SP 800-132 asks for.
pub(super) const SALT_BYTES: usize = 16;
/// Salt of the PKCS#12 KDF for encryption, in bytes: all that the oldest readers take.
const OLD_SALT_BYTES: usize = 8;
const AES_KEY_BYTES: usize = 32;

/// Encrypts under one password in one form, each time with a fresh salt.
pub(super) struct Protector {
    options: WriteOptions,
    password: Password,
}

impl Protector {
    pub(super) fn new(options: &WriteOptions, password: Password) -> Self {
        Self {
            options: options.clone(),
            password,
        }
    }

    pub(super) fn password(&self) -> &Password {
        &self.password
    }

    /// The algorithm with its parameters, and the ciphertext.
    pub(super) fn encrypt(
        &self,
        plaintext: &[u8],
    ) -> Result<(AlgorithmIdentifierOwned, Vec<u8>), WriteError> {
        match self.options.form() {
            Form::Approved | Form::Compatible => self.pbes2(plaintext),
            Form::Legacy3Des => self.pkcs12_3des(plaintext),
        }
    }

    fn pbes2(&self, plaintext: &[u8]) -> Result<(AlgorithmIdentifierOwned, Vec<u8>), WriteError> {
        let salt: [u8; SALT_BYTES] = random::array()?;
        let iterations = self.options.iterations();
        let key = kdf::pbkdf2(
            Hash::Sha256,
            self.password.octets(),
            &salt,
            iterations,
            AES_KEY_BYTES,
        )?;
        let (iv, ciphertext) = aes::cbc_encrypt_random_iv(&key, plaintext)?;
        let parameters = Pbes2Params {
            // keyLength is left out: the cipher has but one, and not every reader of old knew the field.
            kdf: pbkdf2(&salt, iterations.get(), None)?,
            encryption: algorithm(AES_256_CBC, &octets(&iv)?)?,
        };
        Ok((algorithm(PBES2, &parameters)?, ciphertext))
    }

    fn pkcs12_3des(
        &self,
        plaintext: &[u8],
    ) -> Result<(AlgorithmIdentifierOwned, Vec<u8>), WriteError> {
        let salt: [u8; OLD_SALT_BYTES] = random::array()?;
        let iterations = self.options.iterations();
        let derive = |purpose, bytes| {
            kdf::pkcs12(
                Pkcs12Use::Write,
                Hash::Sha1,
                self.password.bmp(),
                &salt,
                purpose,
                iterations,
                bytes,
            )
        };
        let key = derive(Pkcs12Purpose::Key, 24)?;
        let iv = derive(Pkcs12Purpose::Iv, 8)?;
        let iv = iv.expose().try_into().map_err(|_| {
            WriteError::Encoding("an initialisation vector of another length".to_owned())
        })?;
        let ciphertext = legacy::des_ede3_cbc_encrypt(&key, iv, plaintext)?;
        let parameters = Pkcs12PbeParams {
            salt: octets(&salt)?,
            iterations: whole(iterations.get())?,
        };
        Ok((algorithm(PKCS12_3DES, &parameters)?, ciphertext))
    }
}

/// PBKDF2 with HMAC-SHA-256 (RFC 8018 appendix A.2).
pub(super) fn pbkdf2(
    salt: &[u8],
    iterations: u32,
    key_bytes: Option<u16>,
) -> Result<AlgorithmIdentifierOwned, WriteError> {
    let parameters = Pbkdf2Params {
        salt: octets(salt)?,
        iteration_count: iterations,
        key_length: key_bytes,
        prf: AlgorithmIdentifierOwned {
            oid: HMAC_SHA256,
            parameters: Some(Any::null()),
        },
    };
    algorithm(PBKDF2, &parameters)
}

pub(super) fn algorithm(
    oid: ObjectIdentifier,
    parameters: &(impl der::Tagged + der::EncodeValue),
) -> Result<AlgorithmIdentifierOwned, WriteError> {
    Ok(AlgorithmIdentifierOwned {
        oid,
        parameters: Some(Any::encode_from(parameters).map_err(WriteError::encoding)?),
    })
}

pub(super) fn octets(bytes: &[u8]) -> Result<OctetString, WriteError> {
    OctetString::new(bytes).map_err(WriteError::encoding)
}

/// A count as the crate's structures hold it.
pub(super) fn whole(count: u32) -> Result<i32, WriteError> {
    i32::try_from(count).map_err(|_| WriteError::Encoding("too many iterations".to_owned()))
}
