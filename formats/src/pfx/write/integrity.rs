//! The integrity check: PBMAC1 (RFC 9579), and the classic MAC (RFC 7292 section 5.1 and appendix B).

use super::protect::{HMAC_SHA256, SALT_BYTES, algorithm, octets, pbkdf2, whole};
use super::{Form, WriteError, WriteOptions};
use crate::pfx::encoding::Password;
use const_oid::ObjectIdentifier;
use der::Sequence;
use der::asn1::Any;
use fips::digest::Hash;
use fips::kdf::{Pkcs12Purpose, Pkcs12Use};
use fips::{hmac, kdf, random};
use pkcs12::DigestInfo;
use pkcs12::MacData;
use spki::AlgorithmIdentifierOwned;

const PBMAC1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.5.14");
const SHA1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.14.3.2.26");
const SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");

/// Key of HMAC-SHA-256, in bytes (RFC 9579 section 5 wants it said).
const MAC_KEY_BYTES: u16 = 32;
/// What stands in the place of the salt that PBMAC1 does not use; OpenSSL writes the same.
const NO_SALT: &[u8] = b"NOT USED";

/// ```text
/// PBMAC1-params ::= SEQUENCE { keyDerivationFunc AlgorithmIdentifier, messageAuthScheme AlgorithmIdentifier }
/// ```
#[derive(Sequence)]
struct Pbmac1Params {
    kdf: AlgorithmIdentifierOwned,
    mac: AlgorithmIdentifierOwned,
}

/// The MAC of an AuthenticatedSafe (DER).
pub(super) fn mac(
    options: &WriteOptions,
    password: &Password,
    auth_safe: &[u8],
) -> Result<MacData, WriteError> {
    match options.form() {
        Form::Approved => pbmac1(options, password, auth_safe),
        Form::Compatible => classic(options, password, auth_safe, Hash::Sha256, SHA256),
        Form::Legacy3Des => classic(options, password, auth_safe, Hash::Sha1, SHA1),
    }
}

fn pbmac1(
    options: &WriteOptions,
    password: &Password,
    auth_safe: &[u8],
) -> Result<MacData, WriteError> {
    let salt: [u8; SALT_BYTES] = random::array()?;
    let iterations = options.iterations();
    let key = kdf::pbkdf2(
        Hash::Sha256,
        password.octets(),
        &salt,
        iterations,
        usize::from(MAC_KEY_BYTES),
    )?;
    let tag = hmac::sign(Hash::Sha256, key.expose(), auth_safe)?;
    let parameters = Pbmac1Params {
        kdf: pbkdf2(&salt, iterations.get(), Some(MAC_KEY_BYTES))?,
        mac: AlgorithmIdentifierOwned {
            oid: HMAC_SHA256,
            parameters: Some(Any::null()),
        },
    };
    Ok(MacData {
        mac: DigestInfo {
            algorithm: algorithm(PBMAC1, &parameters)?,
            digest: octets(tag.as_ref())?,
        },
        mac_salt: octets(NO_SALT)?,
        iterations: 1,
    })
}

fn classic(
    options: &WriteOptions,
    password: &Password,
    auth_safe: &[u8],
    hash: Hash,
    oid: ObjectIdentifier,
) -> Result<MacData, WriteError> {
    let salt: [u8; SALT_BYTES] = random::array()?;
    let key = kdf::pkcs12(
        Pkcs12Use::Write,
        hash,
        password.bmp(),
        &salt,
        Pkcs12Purpose::Mac,
        options.iterations(),
        hash.output_len(),
    )?;
    let tag = hmac::sign(hash, key.expose(), auth_safe)?;
    Ok(MacData {
        mac: DigestInfo {
            algorithm: AlgorithmIdentifierOwned {
                oid,
                parameters: Some(Any::null()),
            },
            digest: octets(tag.as_ref())?,
        },
        mac_salt: octets(&salt)?,
        iterations: whole(options.iterations().get())?,
    })
}
