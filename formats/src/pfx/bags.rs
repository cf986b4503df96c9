//! The bags of a SafeContents (RFC 7292 section 4.2).

use super::PfxError;
use super::encoding::{Password, refuse};
use super::limits::Budget;
use super::pbes2;
use super::safe::sequence;
use crate::words;
use const_oid::ObjectIdentifier;
use der::asn1::AnyRef;
use der::{Decode, Encode, Reader, Sequence, SliceReader};
use fips::secret::SecretBytes;
use pkcs12::{
    CertBag, PKCS_12_CERT_BAG_OID, PKCS_12_CRL_BAG_OID, PKCS_12_KEY_BAG_OID,
    PKCS_12_PKCS8_KEY_BAG_OID, PKCS_12_SAFE_CONTENTS_BAG_OID, PKCS_12_SECRET_BAG_OID,
    PKCS_12_X509_CERT_OID,
};

/// friendlyName (RFC 2985 section 5.5.1).
pub(super) const FRIENDLY_NAME: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.20");

/// ```text
/// SafeBag ::= SEQUENCE { bagId OBJECT IDENTIFIER, bagValue [0] EXPLICIT ANY DEFINED BY bagId,
///                        bagAttributes SET OF PKCS12Attribute OPTIONAL }
/// ```
///
/// The attributes stay raw: writers do not sort them, and only one is of use.
#[derive(Sequence)]
struct SafeBag<'a> {
    id: ObjectIdentifier,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    value: AnyRef<'a>,
    attributes: Option<AnyRef<'a>>,
}

/// ```text
/// PKCS12Attribute ::= SEQUENCE { attrId OBJECT IDENTIFIER, attrValues SET OF ANY }
/// ```
#[derive(Sequence)]
struct Attribute<'a> {
    id: ObjectIdentifier,
    values: AnyRef<'a>,
}

/// What was found.
#[derive(Default)]
pub(super) struct Contents {
    /// Private keys (PKCS#8), each with its friendly name.
    pub(super) keys: Vec<(SecretBytes, Option<String>)>,
    /// Certificates (DER), each with its friendly name.
    pub(super) certificates: Vec<(Vec<u8>, Option<String>)>,
}

/// Adds the bags of one SafeContents.
pub(super) fn read(
    safe: &[u8],
    password: &Password,
    budget: &mut Budget,
    depth: usize,
    contents: &mut Contents,
) -> Result<(), PfxError> {
    budget.check_depth(depth)?;
    let broken = || refuse(safe, "a SafeContents is not a sequence of bags");
    let list = AnyRef::from_der(safe).map_err(|_| broken())?;
    let mut reader = sequence(list).ok_or_else(broken)?;
    while !reader.is_finished() {
        budget.take_bag()?;
        let bag = SafeBag::decode(&mut reader).map_err(|_| broken())?;
        let name = bag.attributes.and_then(friendly_name);
        if bag.id == PKCS_12_PKCS8_KEY_BAG_OID {
            let value = der_of(bag.value)?;
            let key = pbes2::decrypt_key(value.expose(), password, budget)?;
            contents.keys.push((key, name));
        } else if bag.id == PKCS_12_KEY_BAG_OID {
            contents.keys.push((der_of(bag.value)?, name));
        } else if bag.id == PKCS_12_CERT_BAG_OID {
            budget.take_certificate()?;
            contents.certificates.push((certificate(bag.value)?, name));
        } else if bag.id == PKCS_12_SAFE_CONTENTS_BAG_OID {
            let nested = der_of(bag.value)?;
            read(
                nested.expose(),
                password,
                budget,
                depth.saturating_add(1),
                contents,
            )?;
        } else if bag.id == PKCS_12_CRL_BAG_OID || bag.id == PKCS_12_SECRET_BAG_OID {
            // Neither belongs to an identity.
        } else {
            return Err(PfxError::unsupported(format!(
                "a bag of {}",
                words::oid(&bag.id)
            )));
        }
    }
    Ok(())
}

fn certificate(value: AnyRef<'_>) -> Result<Vec<u8>, PfxError> {
    let bag: CertBag = value.decode_as().map_err(|_| PfxError::Malformed {
        what: "a certificate bag does not parse",
    })?;
    if bag.cert_id != PKCS_12_X509_CERT_OID {
        return Err(PfxError::unsupported(format!(
            "a certificate of {}",
            words::oid(&bag.cert_id)
        )));
    }
    Ok(bag.cert_value.as_bytes().to_vec())
}

/// The whole element. It may be a key in clear, so it is kept like one.
fn der_of(value: AnyRef<'_>) -> Result<SecretBytes, PfxError> {
    value
        .to_der()
        .map(SecretBytes::from_vec)
        .map_err(|_| PfxError::Malformed {
            what: "a bag does not parse",
        })
}

/// The friendlyName among a bag's attributes. A broken attribute is none: it decides nothing.
fn friendly_name(attributes: AnyRef<'_>) -> Option<String> {
    /// Longest name that is kept, in characters.
    const LONGEST: usize = 256;
    if der::Tagged::tag(&attributes) != der::Tag::Set {
        return None;
    }
    let mut reader = SliceReader::new(attributes.value()).ok()?;
    while !reader.is_finished() {
        let attribute = Attribute::decode(&mut reader).ok()?;
        if attribute.id == FRIENDLY_NAME {
            let value = AnyRef::from_der(attribute.values.value()).ok()?;
            if der::Tagged::tag(&value) != der::Tag::BmpString {
                return None;
            }
            let units = value
                .value()
                .chunks_exact(2)
                .filter_map(|pair| <[u8; 2]>::try_from(pair).ok())
                .map(u16::from_be_bytes);
            return Some(
                char::decode_utf16(units)
                    .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
                    .take(LONGEST)
                    .collect(),
            );
        }
    }
    None
}
