//! The private elliptic-curve keys on a token, whatever they are for.

use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use fips::ec::Curve;

use super::ec;
use super::keys::{self, Values};
use super::module::Module;
use crate::Error;

/// What a private key on P-256, P-384 or P-521 says of itself, and its public half.
pub(super) struct EcKey {
    pub(super) curve: Curve,
    pub(super) spki_der: Vec<u8>,
    pub(super) values: Values,
}

/// Reads a private elliptic-curve key. `public`: its public half; `None` looks for it.
///
/// # Errors
/// [`Error::InvalidPublicKey`] for another curve, or where the public half cannot be told; [`Error::Token`] if the token does not
/// answer.
pub(super) fn read(
    module: &Module,
    session: &Session,
    handle: ObjectHandle,
    public: Option<ObjectHandle>,
) -> Result<EcKey, Error> {
    let values = keys::values(module, session, handle, &[AttributeType::EcParams])?;
    let curve = values
        .others
        .iter()
        .find_map(|value| match value {
            Attribute::EcParams(parameters) => ec::curve(parameters),
            _ => None,
        })
        .ok_or(Error::InvalidPublicKey(
            "the curve is not P-256, P-384 or P-521",
        ))?;
    let public = match public {
        Some(public) => public,
        None => public_half(module, session, &values.id)?,
    };
    let spki_der = session
        .get_attributes(public, &[AttributeType::EcPoint])
        .map_err(|error| module.error(error))?
        .into_iter()
        .find_map(|value| match value {
            Attribute::EcPoint(point) => ec::spki_der(curve, &point),
            _ => None,
        })
        .ok_or(Error::InvalidPublicKey(
            "the token does not show an uncompressed point",
        ))?;
    Ok(EcKey {
        curve,
        spki_der,
        values,
    })
}

/// A private elliptic-curve key has no public point (PKCS#11, elliptic curve private key objects): the public key object with the
/// same CKA_ID does. If that one belongs to another key after all, no signature verifies.
fn public_half(module: &Module, session: &Session, id: &[u8]) -> Result<ObjectHandle, Error> {
    let template = [
        Attribute::Class(ObjectClass::PUBLIC_KEY),
        Attribute::KeyType(KeyType::EC),
        Attribute::Token(true),
        Attribute::Id(id.to_vec()),
    ];
    match *keys::find(module, session, &template)? {
        [public] => Ok(public),
        [] => Err(Error::InvalidPublicKey("there is no public half")),
        _ => Err(Error::InvalidPublicKey("there are several public halves")),
    }
}
