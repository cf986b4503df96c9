//! Key identifiers: the leftmost 160 bits of the SHA-256 of the subjectPublicKey (RFC 7093, section 2, method 1).

use der::Decode;
use fips::digest::{Hash, digest};
use spki::SubjectPublicKeyInfoRef;

/// Octets of an identifier.
const BYTES: usize = 20;

/// The identifier of a key (DER SubjectPublicKeyInfo).
///
/// # Errors
/// When it is none.
pub(crate) fn of(spki_der: &[u8]) -> Result<Vec<u8>, der::Error> {
    let mut id = digest(Hash::Sha256, bits(spki_der)?).as_ref().to_vec();
    id.truncate(BYTES);
    Ok(id)
}

/// The octets of subjectPublicKey.
///
/// # Errors
/// When it is no SubjectPublicKeyInfo (DER).
pub(crate) fn bits(spki_der: &[u8]) -> Result<&[u8], der::Error> {
    let spki = SubjectPublicKeyInfoRef::from_der(spki_der)?;
    spki.subject_public_key.as_bytes().ok_or_else(|| {
        der::ErrorKind::Value {
            tag: der::Tag::BitString,
        }
        .into()
    })
}
