//! The classic integrity check: HMAC under a key from the PKCS#12 KDF (RFC 7292 section 5.1 and appendix B).

use super::PfxError;
use super::encoding::Password;
use super::limits::{Budget, Iterations};
use super::model::{Algorithm, MacFacts, MacScheme};
use super::safe::{MacData, Outer};
use crate::words;
use const_oid::ObjectIdentifier;
use fips::digest::Hash;
use fips::kdf::Pkcs12Purpose;

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

/// What is known of a MAC without the password.
pub(super) fn describe(mac: &MacData<'_>) -> Result<MacFacts, PfxError> {
    let oid = &mac.mac.algorithm.oid;
    Ok(MacFacts {
        algorithm: Algorithm {
            name: oid.to_string(),
            text: words::oid(oid),
            supported: HASHES.iter().any(|(known, _)| known == oid),
            approved: false,
            not_approved_because: None,
        },
        scheme: MacScheme::Classic,
        hash: oid.to_string(),
        prf: None,
        key_bytes: None,
        iterations: None,
        salt_bytes: Some(mac.salt.as_bytes().len()),
    })
}

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
        None => Iterations::ONE,
        Some(count) => Iterations::parse(count.as_bytes(), budget)?,
    };
    if matches_mac(outer.auth_safe, mac, hash, iterations, password, budget)? {
        return Ok(password.copy());
    }
    for form in password.other_forms_for_mac() {
        if matches_mac(outer.auth_safe, mac, hash, iterations, &form, budget)? {
            return Ok(form);
        }
    }
    Err(PfxError::WrongPassword)
}

fn matches_mac(
    auth_safe: &[u8],
    mac: &MacData<'_>,
    hash: Hash,
    iterations: Iterations,
    password: &Password,
    budget: &mut Budget,
) -> Result<bool, PfxError> {
    budget.spend(iterations, 1)?;
    let key = fips::kdf::pkcs12(
        fips::kdf::Pkcs12Use::Read,
        hash,
        password.bmp(),
        mac.salt.as_bytes(),
        Pkcs12Purpose::Mac,
        iterations.get(),
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
