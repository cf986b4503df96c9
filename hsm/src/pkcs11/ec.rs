//! Elliptic-curve keys and signatures: from the forms of PKCS#11 to those of certificates.

use der::asn1::{BitStringRef, OctetStringRef, UintRef};
use der::{Decode, Encode, Sequence};
use fips::ec::Curve;
use spki::{AlgorithmIdentifier, ObjectIdentifier, SubjectPublicKeyInfo};

use crate::Error;

/// id-ecPublicKey (RFC 5480, section 2.1.1).
const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");

/// ```text
/// ECDSA-Sig-Value ::= SEQUENCE {
///     r  INTEGER,
///     s  INTEGER  }
/// ```
/// RFC 3279, section 2.2.3.
#[derive(Sequence)]
struct EcdsaSigValue<'a> {
    r: UintRef<'a>,
    s: UintRef<'a>,
}

/// The named curves of RFC 5480, section 2.1.1.1.
const fn oid(curve: Curve) -> ObjectIdentifier {
    match curve {
        Curve::P256 => ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7"),
        Curve::P384 => ObjectIdentifier::new_unwrap("1.3.132.0.34"),
        Curve::P521 => ObjectIdentifier::new_unwrap("1.3.132.0.35"),
    }
}

/// CKA_EC_PARAMS of a curve: a DER OBJECT IDENTIFIER, the choice `namedCurve`.
///
/// # Errors
/// [`Error::Internal`] if the encoder refuses, which it does not.
pub(super) fn parameters(curve: Curve) -> Result<Vec<u8>, Error> {
    oid(curve)
        .to_der()
        .map_err(|_| Error::Internal("a curve could not be encoded"))
}

/// The curve that CKA_EC_PARAMS names; `None` for others and for other forms.
pub(super) fn curve(parameters: &[u8]) -> Option<Curve> {
    let named = ObjectIdentifier::from_der(parameters).ok()?;
    Curve::ALL.into_iter().find(|curve| oid(*curve) == named)
}

/// DER SubjectPublicKeyInfo (RFC 5480, section 2) of a CKA_EC_POINT: an uncompressed point in a DER OCTET STRING, as the standard
/// has it, or without, as some modules give it. `None` if it is neither. Whether the point is on the curve is not looked at.
pub(super) fn spki_der(curve: Curve, ec_point: &[u8]) -> Option<Vec<u8>> {
    // The length tells the two apart; both begin with 0x04.
    let point = if ec_point.len() == curve.point_len() {
        ec_point
    } else {
        <&OctetStringRef>::from_der(ec_point).ok()?.as_bytes()
    };
    if point.len() != curve.point_len() || point.first() != Some(&0x04) {
        return None;
    }
    SubjectPublicKeyInfo {
        algorithm: AlgorithmIdentifier {
            oid: EC_PUBLIC_KEY,
            parameters: Some(oid(curve)),
        },
        subject_public_key: BitStringRef::from_bytes(point).ok()?,
    }
    .to_der()
    .ok()
}

/// DER ECDSA-Sig-Value of what CKM_ECDSA gives: r and s, each as long as a coordinate, one after the other. `None` for another
/// length.
pub(super) fn signature_der(curve: Curve, raw: &[u8]) -> Option<Vec<u8>> {
    let (r, s) = raw.split_at_checked(curve.field_len())?;
    if s.len() != curve.field_len() {
        return None;
    }
    EcdsaSigValue {
        r: UintRef::new(r).ok()?,
        s: UintRef::new(s).ok()?,
    }
    .to_der()
    .ok()
}

/// Whether `point` is an uncompressed point of the curve (SEC 1, section 2.3.3): full validation by SP 800-56A revision 3, section
/// 5.6.2.3.3, since the cofactor of these curves is one.
///
/// # Errors
/// [`Error::InvalidPoint`].
pub(super) fn check_point(curve: Curve, point: &[u8]) -> Result<(), Error> {
    if point.len() != curve.point_len() {
        return Err(Error::InvalidPoint);
    }
    let spki = spki_der(curve, point).ok_or(Error::InvalidPoint)?;
    match fips::ec::point_from_spki(&spki) {
        Ok(_) => Ok(()),
        Err(_) => Err(Error::InvalidPoint),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]
    use super::*;
    use fips::ec::PrivateKey;

    #[test]
    fn curves_are_known_by_their_parameters_and_no_other_is() {
        for known in Curve::ALL {
            let der = parameters(known).unwrap();
            assert_eq!(curve(&der), Some(known));
            assert_eq!(curve(&der[..der.len() - 1]), None);
        }
        // secp256k1, a printable curve name (PKCS#11 3.0 for Edwards curves), nothing.
        for other in [
            &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x0a][..],
            b"\x13\x0cedwards25519",
            b"",
        ] {
            assert_eq!(curve(other), None);
        }
    }

    #[test]
    fn a_point_gives_the_same_spki_with_and_without_its_octet_string() {
        for curve in Curve::ALL {
            let key = PrivateKey::generate(curve).unwrap();
            let point = key.public_point().unwrap();
            let wrapped = OctetStringRef::new(&point).unwrap().to_der().unwrap();
            let expected = key.spki_der().unwrap();
            assert_eq!(spki_der(curve, &point), Some(expected.clone()));
            assert_eq!(spki_der(curve, &wrapped), Some(expected));
        }
    }

    #[test]
    fn other_points_are_refused() {
        let key = PrivateKey::generate(Curve::P256).unwrap();
        let point = key.public_point().unwrap();
        let mut compressed = point[..33].to_vec();
        compressed[0] = 2;
        let wrapped = OctetStringRef::new(&compressed).unwrap().to_der().unwrap();
        for bad in [&[][..], &[4], &point[..64], &compressed, &wrapped] {
            assert_eq!(spki_der(Curve::P256, bad), None);
        }
        assert_eq!(spki_der(Curve::P384, &point), None);
    }

    #[test]
    fn numbers_of_a_signature_lose_leading_zeros_and_keep_their_sign() {
        let mut raw = vec![0; 64];
        raw[31] = 1;
        raw[32] = 0x80;
        raw[63] = 2;
        let der = signature_der(Curve::P256, &raw).unwrap();
        let mut expected = vec![0x30, 38, 0x02, 1, 1, 0x02, 33, 0, 0x80];
        expected.extend([0; 30]);
        expected.push(2);
        assert_eq!(der, expected);
    }

    #[test]
    fn a_signature_of_another_length_is_none() {
        for len in [0, 1, 63, 65, 70, 72, 96] {
            assert_eq!(signature_der(Curve::P256, &vec![1; len]), None);
        }
    }

    #[test]
    fn only_an_uncompressed_point_of_the_curve_is_one() {
        for curve in Curve::ALL {
            let point = PrivateKey::generate(curve).unwrap().public_point().unwrap();
            check_point(curve, &point).unwrap();
            let mut off_curve = point.clone();
            *off_curve.last_mut().unwrap() ^= 1;
            let mut compressed = point[..=curve.field_len()].to_vec();
            compressed[0] = 2;
            let mut beyond_the_field = vec![0xff; point.len()];
            beyond_the_field[0] = 4;
            let wrapped = OctetStringRef::new(&point).unwrap().to_der().unwrap();
            for bad in [
                &off_curve,
                &compressed,
                &beyond_the_field,
                &wrapped,
                &vec![0],
            ] {
                assert!(matches!(check_point(curve, bad), Err(Error::InvalidPoint)));
            }
        }
    }
}
