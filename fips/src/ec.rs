//! Elliptic-curve Diffie-Hellman (SP 800-56A, SEC 1) on the NIST curves.
//!
//! The module approves it for ephemeral keys inside of TLS. Outside of TLS, and with a peer's static key as CMS uses
//! it, it is **not an approved service**: the computation is the module's, the claim is not.

use crate::pkey::{Kind, Pkey};
use crate::policy::{Service, perform};
use crate::{Error, Result, secret::SecretBytes};
use aws_lc_rs::{agreement as lc, encoding, encoding::AsDer};

/// The curves of this crate (SP 800-186).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Curve {
    /// NIST P-256, `secp256r1`.
    P256,
    /// NIST P-384, `secp384r1`.
    P384,
    /// NIST P-521, `secp521r1`.
    P521,
}

impl Curve {
    /// Every curve.
    pub const ALL: [Self; 3] = [Self::P256, Self::P384, Self::P521];

    /// The length of one coordinate, and so of a shared secret, in bytes.
    #[must_use]
    pub const fn field_len(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }

    /// The length of an uncompressed point (SEC 1 section 2.3.3), in bytes.
    #[must_use]
    pub const fn point_len(self) -> usize {
        1 + 2 * self.field_len()
    }

    fn algorithm(self) -> &'static lc::Algorithm {
        match self {
            Self::P256 => &lc::ECDH_P256,
            Self::P384 => &lc::ECDH_P384,
            Self::P521 => &lc::ECDH_P521,
        }
    }
}

/// Makes a fresh key on `curve` and agrees with `peer_public_point` (uncompressed, SEC 1 section 2.3.3).
///
/// Returns our own point (uncompressed) and the shared secret z, of [`Curve::field_len`] bytes. The private key is
/// gone afterwards. **Not approved** outside of TLS.
///
/// # Errors
/// As [`PrivateKey::agree`].
pub fn agree_ephemeral(curve: Curve, peer_public_point: &[u8]) -> Result<(Vec<u8>, SecretBytes)> {
    let own = PrivateKey::generate(curve)?;
    let z = own.agree(peer_public_point)?;
    Ok((own.public_point()?, z))
}

/// A private key on a curve.
pub struct PrivateKey {
    curve: Curve,
    key: lc::PrivateKey,
}

impl PrivateKey {
    /// Generates a key. Approved service (FIPS 186-5).
    ///
    /// # Errors
    /// [`Error::Module`] if there is no memory left.
    pub fn generate(curve: Curve) -> Result<Self> {
        let key = perform(Service::EcKeyGeneration, |_| {
            lc::PrivateKey::generate(curve.algorithm()).map_err(|_| Error::Module {
                operation: "EC key generation",
            })
        })?;
        Ok(Self { curve, key })
    }

    /// Reads a DER `PrivateKeyInfo` (RFC 5208, RFC 5915) with nothing behind it; the curve comes from the file.
    ///
    /// # Errors
    /// [`Error::MalformedKey`]; [`Error::UnsupportedKey`] for other algorithms and curves.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self> {
        let Kind::Ec(curve) = Pkey::from_pkcs8(der)?.kind() else {
            return Err(Error::UnsupportedKey {
                expected: "EC on P-256, P-384 or P-521",
            });
        };
        let key = lc::PrivateKey::from_private_key_der(curve.algorithm(), der).map_err(|_| {
            Error::MalformedKey {
                what: "PKCS#8 private key",
            }
        })?;
        Ok(Self { curve, key })
    }

    /// The key as DER `PrivateKeyInfo`.
    ///
    /// # Errors
    /// [`Error::Module`] if there is no memory left.
    pub fn pkcs8_der(&self) -> Result<SecretBytes> {
        let der: encoding::Pkcs8V1Der<'_> = self.key.as_der().map_err(|_| Error::Module {
            operation: "encoding of a private key",
        })?;
        Ok(SecretBytes::from_slice(der.as_ref()))
    }

    /// The public key as DER `SubjectPublicKeyInfo` (RFC 5480).
    ///
    /// # Errors
    /// [`Error::Module`] if there is no memory left.
    pub fn spki_der(&self) -> Result<Vec<u8>> {
        crate::pkcs8_public(self.pkcs8_der()?.expose())
    }

    /// The curve of this key.
    #[must_use]
    pub const fn curve(&self) -> Curve {
        self.curve
    }

    /// The public key as an uncompressed point (SEC 1 section 2.3.3).
    ///
    /// # Errors
    /// [`Error::Module`] if there is no memory left.
    pub fn public_point(&self) -> Result<Vec<u8>> {
        let public = self.key.compute_public_key().map_err(|_| Error::Module {
            operation: "computation of a public point",
        })?;
        Ok(public.as_ref().to_vec())
    }

    /// The shared secret z with `peer_public_point` (uncompressed): the x coordinate, of [`Curve::field_len`] bytes.
    ///
    /// **Not approved**: the module does not support static keys, nor agreement outside of TLS.
    ///
    /// # Errors
    /// [`Error::Agreement`] if the peer's point is not an uncompressed point of this curve; [`Error::NotApproved`] in strict mode
    /// without `cms-ecdh-static`.
    pub fn agree(&self, peer_public_point: &[u8]) -> Result<SecretBytes> {
        // The function below would also take a SubjectPublicKeyInfo and a compressed point.
        if peer_public_point.len() != self.curve.point_len()
            || peer_public_point.first() != Some(&0x04)
        {
            return Err(Error::Agreement);
        }
        let peer = lc::UnparsedPublicKey::new(self.curve.algorithm(), peer_public_point);
        perform(Service::Ecdh, |_| {
            lc::agree(&self.key, peer, Error::Agreement, |z| {
                Ok(SecretBytes::from_slice(z))
            })
        })
    }
}

/// The uncompressed point in a DER `SubjectPublicKeyInfo` on a supported curve.
///
/// # Errors
/// [`Error::MalformedKey`]; [`Error::UnsupportedKey`] for other algorithms and curves.
pub fn point_from_spki(der: &[u8]) -> Result<(Curve, Vec<u8>)> {
    let key = Pkey::from_spki(der)?;
    let Kind::Ec(curve) = key.kind() else {
        return Err(Error::UnsupportedKey {
            expected: "EC on P-256, P-384 or P-521",
        });
    };
    // In the canonical encoding the point is the content of the BIT STRING, which comes last.
    let spki = key.spki_der()?;
    spki.len()
        .checked_sub(curve.point_len())
        .and_then(|at| spki.get(at..))
        .filter(|point| point.first() == Some(&0x04))
        .map(|point| (curve, point.to_vec()))
        .ok_or(Error::MalformedKey {
            what: "SubjectPublicKeyInfo",
        })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]

    use super::*;

    #[test]
    fn both_sides_agree_on_every_curve() {
        let _mode = crate::policy::tests::under(crate::policy::Policy::OFF);
        for curve in Curve::ALL {
            let device = PrivateKey::generate(curve).unwrap();
            let device = PrivateKey::from_pkcs8(device.pkcs8_der().unwrap().expose()).unwrap();
            assert_eq!(device.curve(), curve);
            let point = device.public_point().unwrap();
            assert_eq!(point.len(), curve.point_len());
            assert_eq!(
                point_from_spki(&device.spki_der().unwrap()).unwrap(),
                (curve, point.clone())
            );
            let (own, z) = agree_ephemeral(curve, &point).unwrap();
            assert_eq!(z.len(), curve.field_len());
            assert!(device.agree(&own).unwrap().ct_eq(z.expose()));
        }
    }

    #[test]
    fn points_that_are_none_are_refused() {
        let _mode = crate::policy::tests::under(crate::policy::Policy::OFF);
        let key = PrivateKey::generate(Curve::P256).unwrap();
        let point = PrivateKey::generate(Curve::P256)
            .unwrap()
            .public_point()
            .unwrap();
        let mut off_curve = point.clone();
        off_curve[64] ^= 1;
        let mut compressed = point[..33].to_vec();
        compressed[0] = 2 + (point[64] & 1);
        let mut hybrid = point.clone();
        hybrid[0] = 6 + (point[64] & 1);
        let other = PrivateKey::generate(Curve::P384)
            .unwrap()
            .public_point()
            .unwrap();
        let spki = key.spki_der().unwrap();
        for bad in [
            &off_curve[..],
            &compressed,
            &hybrid,
            &other,
            &spki,
            &[],
            &[0],
            &[4; 65],
        ] {
            assert!(matches!(key.agree(bad), Err(Error::Agreement)));
        }
    }
}
