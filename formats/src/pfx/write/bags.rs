//! Bags and their attributes (RFC 7292 section 4.2).

use super::protect::Protector;
use super::{Entries, WriteError};
use crate::pfx::attributes::{FRIENDLY_NAME, LOCAL_KEY_ID};
use der::asn1::{Any, OctetString, SetOfVec};
use der::{Encode, Tag};
use fips::secret::SecretBytes;
use pkcs12::CertBag;
use pkcs12::pbe_params::EncryptedPrivateKeyInfo;
use pkcs12::safe_bag::SafeBag;
use pkcs12::{PKCS_12_CERT_BAG_OID, PKCS_12_PKCS8_KEY_BAG_OID, PKCS_12_X509_CERT_OID};
use x509_cert::attr::{Attribute, Attributes};

/// The SafeContents with the certificates: those of the keys first, as readers that look no further want it, then the others.
pub(super) fn certificates(entries: &Entries<'_>) -> Result<Vec<u8>, WriteError> {
    let is_key_s = |place: &usize| {
        entries
            .keys
            .iter()
            .any(|key| key.certificate == Some(*place))
    };
    let places = 0..entries.certificates.len();
    let (first, rest): (Vec<usize>, Vec<usize>) = places.partition(is_key_s);
    let mut bags = Vec::with_capacity(entries.certificates.len());
    for place in first.into_iter().chain(rest) {
        let Some(certificate) = entries.certificates.get(place) else {
            continue;
        };
        let value = CertBag {
            cert_id: PKCS_12_X509_CERT_OID,
            cert_value: OctetString::new(certificate.der).map_err(WriteError::encoding)?,
        };
        bags.push(SafeBag {
            bag_id: PKCS_12_CERT_BAG_OID,
            bag_value: value.to_der().map_err(WriteError::encoding)?,
            bag_attributes: attributes(
                entries.name_of_certificate(place),
                entries.id_of_certificate(place)?,
            )?,
        });
    }
    bags.to_der().map_err(WriteError::encoding)
}

/// The SafeContents with the keys, each encrypted by itself (RFC 7292 section 4.2.2).
pub(super) fn keys(entries: &Entries<'_>, protector: &Protector) -> Result<Vec<u8>, WriteError> {
    let mut bags = Vec::with_capacity(entries.keys.len());
    for (index, key) in entries.keys.iter().enumerate() {
        let value = encrypted(protector, key.pkcs8)?;
        bags.push(SafeBag {
            bag_id: PKCS_12_PKCS8_KEY_BAG_OID,
            bag_value: value.to_der().map_err(WriteError::encoding)?,
            bag_attributes: attributes(entries.name_of_key(key), Some(entries.id_of_key(index)?))?,
        });
    }
    bags.to_der().map_err(WriteError::encoding)
}

/// One key, encrypted.
pub(super) fn encrypted(
    protector: &Protector,
    pkcs8: &SecretBytes,
) -> Result<EncryptedPrivateKeyInfo, WriteError> {
    let (encryption_algorithm, ciphertext) = protector.encrypt(pkcs8.expose())?;
    Ok(EncryptedPrivateKeyInfo {
        encryption_algorithm,
        encrypted_data: OctetString::new(ciphertext).map_err(WriteError::encoding)?,
    })
}

/// friendlyName and localKeyId, as far as they are there; DER sorts the set.
fn attributes(
    name: Option<&str>,
    local_key_id: Option<Vec<u8>>,
) -> Result<Option<Attributes>, WriteError> {
    let mut attributes = SetOfVec::new();
    let mut add = |oid, tag, value: Vec<u8>| {
        let value = Any::new(tag, value)?;
        let values = SetOfVec::try_from(vec![value])?;
        attributes.insert(Attribute { oid, values })
    };
    if let Some(name) = name {
        // BMPString, and UTF-16 with surrogates for what is beyond it, as every reader of today takes it.
        let bytes = name.encode_utf16().flat_map(u16::to_be_bytes).collect();
        add(FRIENDLY_NAME, Tag::BmpString, bytes).map_err(WriteError::encoding)?;
    }
    if let Some(id) = local_key_id {
        add(LOCAL_KEY_ID, Tag::OctetString, id).map_err(WriteError::encoding)?;
    }
    Ok((!attributes.is_empty()).then_some(attributes))
}
