//! Generation of a signing key on the token.

use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, KeyType};
use cryptoki::session::Session;
use fips::ec::Curve;
use fips::sign::KeyKind;

use super::keys::{self, FoundSigningKey};
use super::sign;
use crate::Error;
use crate::pkcs11::ec;
use crate::pkcs11::generate::check_modulus_bits;
use crate::pkcs11::key_pair::{self, Pair, Purpose, Template};
use crate::pkcs11::module::Module;
use crate::pkcs11::worker::Worker;
use crate::signing::SigningKeyInfo;

/// What a new key signs to show that its halves belong together.
const TEST_MESSAGE: &[u8] = b"pairwise consistency";

/// A signing key to be generated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GenerateSigningKey {
    /// CKA_LABEL of both halves. No other key may have it, of whatever kind.
    pub label: String,
    /// What is generated; RSA with 2048, 3072 (the project's default) or 4096 bits.
    pub kind: KeyKind,
}

/// Generates the key, checks what came out, has it sign once, and destroys it again if anything of that is not as it should be.
pub(super) fn generate(
    worker: &mut Worker,
    request: &GenerateSigningKey,
) -> Result<SigningKeyInfo, Error> {
    let template = template(request, &key_pair::random_id()?)?;
    if matches!(request.kind, KeyKind::Rsa(_)) && worker.shared().quirks.rsa_pss == Some(false) {
        // Not tried: the token would keep the key in use by a signature that failed, and not destroy it.
        return Err(Error::MechanismNotOffered("CKM_RSA_PKCS_PSS"));
    }
    let session = worker.open_session(true)?;
    let module = worker.module();
    key_pair::label_is_free(module, &session, &request.label)?;
    let pair = key_pair::generate(module, &session, worker.shared().quirks, &template)?;
    let checked = read(module, &session, request.kind, pair).and_then(|key| {
        if !key.info.is_usable() {
            return Err(Error::GeneratedKeyRefused(key.info.problems));
        }
        sign(worker.shared(), &session, &key, TEST_MESSAGE)?;
        Ok(key.info)
    });
    if checked.is_err() {
        key_pair::destroy(&session, pair);
    }
    checked
}

fn read(
    module: &Module,
    session: &Session,
    kind: KeyKind,
    pair: Pair,
) -> Result<FoundSigningKey, Error> {
    match kind {
        KeyKind::EcP256 | KeyKind::EcP384 | KeyKind::EcP521 => {
            keys::read_ec(module, session, pair.private, Some(pair.public))
        }
        KeyKind::Rsa(_) => keys::read_rsa(module, session, pair.private),
    }
}

fn template(request: &GenerateSigningKey, id: &[u8]) -> Result<Template, Error> {
    let key_type = match request.kind {
        KeyKind::EcP256 | KeyKind::EcP384 | KeyKind::EcP521 => KeyType::EC,
        KeyKind::Rsa(_) => KeyType::RSA,
    };
    let (mut public, private) = key_pair::halves(key_type, &request.label, id, Purpose::Signature);
    let (mechanism, mechanism_name) = match request.kind {
        KeyKind::EcP256 | KeyKind::EcP384 | KeyKind::EcP521 => {
            let curve = match request.kind {
                KeyKind::EcP256 => Curve::P256,
                KeyKind::EcP384 => Curve::P384,
                _ => Curve::P521,
            };
            public.push(Attribute::EcParams(ec::parameters(curve)?));
            (Mechanism::EccKeyPairGen, "CKM_EC_KEY_PAIR_GEN")
        }
        KeyKind::Rsa(bits) => {
            let bits = u32::try_from(bits).unwrap_or(u32::MAX);
            check_modulus_bits(bits)?;
            public.extend([
                Attribute::Encrypt(false),
                Attribute::Wrap(false),
                Attribute::ModulusBits(cryptoki_sys::CK_ULONG::from(bits).into()),
                Attribute::PublicExponent(vec![1, 0, 1]),
            ]);
            (Mechanism::RsaPkcsKeyPairGen, "CKM_RSA_PKCS_KEY_PAIR_GEN")
        }
    };
    Ok(Template {
        mechanism,
        mechanism_name,
        public,
        private,
        private_if_known: key_pair::if_known(),
    })
}
