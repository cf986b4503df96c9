//! The classic integrity check: HMAC under a key from the PKCS#12 KDF (RFC 7292 section 5.1 and appendix B).

use super::PfxError;
use super::encoding::Password;
use super::limits::Budget;
use super::safe::{MacData, Outer};
use crate::words;
use const_oid::ObjectIdentifier;
use der::asn1::IntRef;
use fips::digest::Hash;
use fips::kdf::Pkcs12Purpose;
use std::num::NonZeroU32;

const HASHES: [(ObjectIdentifier, Hash); 4] = [
    (ObjectIdentifier::new_unwrap("1.3.14.3.2.26"), Hash::Sha1),
    (
        ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1"),
        Hash::Sha256,
    ),
    (
        ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.2"),
        Hash::Sha384,
    ),
    (
        ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.3"),
        Hash::Sha512,
    ),
];

/// Verifies the MAC and gives back the password that it fits: an empty one has two forms.
pub(super) fn verify(
    outer: &Outer<'_>,
    password: &Password,
    budget: &mut Budget,
) -> Result<Password, PfxError> {
    let Some(mac) = &outer.mac_data else {
        return Err(PfxError::unsupported(
            "no integrity check (a PFX without MacData)",
        ));
    };
    let algorithm = &mac.mac.algorithm;
    let hash = HASHES
        .iter()
        .find_map(|(oid, hash)| (*oid == algorithm.oid).then_some(*hash))
        .ok_or_else(|| {
            PfxError::unsupported(format!(
                "{} for its integrity check",
                words::oid(&algorithm.oid)
            ))
        })?;
    if algorithm
        .parameters
        .as_ref()
        .is_some_and(|parameters| !parameters.is_null())
    {
        return Err(PfxError::Malformed {
            what: "the hash of its MAC has parameters",
        });
    }
    let iterations = match mac.iterations {
        None => NonZeroU32::MIN,
        Some(count) => iterations(count.as_bytes(), budget)?,
    };
    if matches_mac(outer.auth_safe, mac, hash, iterations, password, budget)? {
        return Ok(Password {
            utf8: fips::secret::SecretBytes::from_slice(password.utf8.expose()),
            bmp: fips::secret::SecretBytes::from_slice(password.bmp.expose()),
        });
    }
    if password.utf8.is_empty() {
        let none = Password::none();
        if matches_mac(outer.auth_safe, mac, hash, iterations, &none, budget)? {
            return Ok(none);
        }
    }
    Err(PfxError::WrongPassword)
}

fn matches_mac(
    auth_safe: &[u8],
    mac: &MacData<'_>,
    hash: Hash,
    iterations: NonZeroU32,
    password: &Password,
    budget: &mut Budget,
) -> Result<bool, PfxError> {
    budget.spend(iterations, 1)?;
    let key = fips::kdf::pkcs12(
        fips::kdf::Pkcs12Use::Read,
        hash,
        password.bmp.expose(),
        mac.salt.as_bytes(),
        Pkcs12Purpose::Mac,
        iterations,
        hash.output_len(),
    )
    .map_err(|error| {
        PfxError::from_module(
            error,
            PfxError::Malformed {
                what: "the salt of its MAC cannot be used",
            },
        )
    })?;
    match fips::hmac::verify(hash, key.expose(), auth_safe, mac.mac.digest.as_bytes()) {
        Ok(()) => Ok(true),
        Err(error) => match PfxError::from_module(error, PfxError::WrongPassword) {
            PfxError::WrongPassword => Ok(false),
            refused => Err(refused),
        },
    }
}

/// A count of iterations from the content of its INTEGER (two's complement, big-endian).
pub(super) fn iterations(integer: &[u8], budget: &Budget) -> Result<NonZeroU32, PfxError> {
    const NOT_POSITIVE: PfxError = PfxError::Malformed {
        what: "a count of iterations is not positive",
    };
    if integer.first().is_none_or(|first| first & 0x80 != 0) {
        return Err(NOT_POSITIVE);
    }
    let mut count = 0_u32;
    for byte in integer {
        count = count
            .checked_mul(256)
            .and_then(|count| count.checked_add(u32::from(*byte)))
            .ok_or_else(|| budget.too_many_iterations())?;
    }
    NonZeroU32::new(count).ok_or(NOT_POSITIVE)
}

/// As [`iterations`], of a parsed INTEGER.
pub(super) fn iterations_of(count: IntRef<'_>, budget: &Budget) -> Result<NonZeroU32, PfxError> {
    iterations(count.as_bytes(), budget)
}
