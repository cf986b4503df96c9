//! The rules for the device's own certificate: whose key it is, how strong, and for what.

use super::{DeviceRefusal, Parsed, Place};
use crate::engine::formats::words;
use crate::engine::recrypt::chain::RSA_MODULUS_BITS;
use crate::engine::recrypt::signatures::KeyKind;
use der::asn1::{ObjectIdentifier, UintRef};
use der::{Decode, Sequence};
use spki::SubjectPublicKeyInfoOwned;
use x509_cert::ext::pkix::KeyUsage;

/// RSA public key (RFC 8017 appendix A.1.1).
///
/// ```text
/// RSAPublicKey ::= SEQUENCE { modulus INTEGER, publicExponent INTEGER }
/// ```
#[derive(Sequence)]
struct RsaPublicKey<'a> {
    modulus: UintRef<'a>,
    exponent: UintRef<'a>,
}

/// id-ecPublicKey (RFC 5480 section 2.1.1).
const EC_PUBLIC_KEY: ObjectIdentifier = const_oid::db::rfc5912::ID_EC_PUBLIC_KEY;

pub(super) fn check(device: &Parsed<'_>) -> Result<(), DeviceRefusal> {
    if device.layout.authority.is_some() {
        return Err(DeviceRefusal::IsAnAuthority);
    }
    let tbs = device.certificate.tbs_certificate();
    let kind = key_kind(device, tbs.subject_public_key_info())?;
    let usage = tbs
        .get_extension::<KeyUsage>()
        .map_err(|_| DeviceRefusal::Malformed {
            place: Place::Device,
            reason: "its key usage does not parse".to_owned(),
        })?;
    let Some((_, usage)) = usage else {
        return Ok(());
    };
    let (allowed, needed) = if kind == KeyKind::Rsa {
        (usage.key_encipherment(), "keyEncipherment")
    } else {
        (usage.key_agreement(), "keyAgreement")
    };
    if allowed {
        Ok(())
    } else {
        Err(DeviceRefusal::NotForEncryption {
            needed: needed.to_owned(),
        })
    }
}

fn key_kind(
    device: &Parsed<'_>,
    spki: &SubjectPublicKeyInfoOwned,
) -> Result<KeyKind, DeviceRefusal> {
    let kind = KeyKind::of(device.part(device.layout.spans.spki));
    match kind {
        Some(KeyKind::Rsa) => {
            let bits = rsa_bits(spki).ok_or_else(|| malformed("its RSA key does not parse"))?;
            if !RSA_MODULUS_BITS.contains(&bits) {
                return Err(DeviceRefusal::KeySize { bits });
            }
            Ok(KeyKind::Rsa)
        }
        Some(kind @ (KeyKind::P256 | KeyKind::P384 | KeyKind::P521)) => {
            fips::ec::point_from_spki(device.part(device.layout.spans.spki))
                .map_err(|_| malformed("its EC key is not a point of its curve"))?;
            Ok(kind)
        }
        Some(KeyKind::RsaPss) | None => Err(DeviceRefusal::UnsupportedKey {
            algorithm: describe(spki),
        }),
    }
}

fn describe(spki: &SubjectPublicKeyInfoOwned) -> String {
    if spki.algorithm.oid != EC_PUBLIC_KEY {
        return words::oid(&spki.algorithm.oid);
    }
    let curve = spki
        .algorithm
        .parameters
        .as_ref()
        .and_then(|parameters| parameters.decode_as::<ObjectIdentifier>().ok());
    match curve {
        Some(curve) => format!("EC on {}, or with a compressed point", words::oid(&curve)),
        None => "EC with parameters of its own".to_owned(),
    }
}

fn rsa_bits(spki: &SubjectPublicKeyInfoOwned) -> Option<usize> {
    let key = RsaPublicKey::from_der(spki.subject_public_key.as_bytes()?).ok()?;
    let modulus = key.modulus.as_bytes();
    let leading = usize::try_from(modulus.first()?.leading_zeros()).ok()?;
    (!key.exponent.as_bytes().is_empty())
        .then_some(modulus.len().checked_mul(8)?.checked_sub(leading)?)
}

fn malformed(reason: &str) -> DeviceRefusal {
    DeviceRefusal::Malformed {
        place: Place::Device,
        reason: reason.to_owned(),
    }
}
