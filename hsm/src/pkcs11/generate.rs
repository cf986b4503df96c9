//! Generation of a custody key on the token.

use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, KeyType};

use super::key_pair::{self, ID_BYTES, Template};
use super::keys;
use super::worker::Worker;
use crate::{Error, KeyInfo, KeyProblem};

/// A custody key to be generated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GenerateKey {
    /// CKA_LABEL of both halves. No other key may have it.
    pub label: String,
    /// CKA_ID of both halves. `None`: the first 20 bytes of the key's fingerprint (random, where the token does not let
    /// the identifier be set after the generation).
    pub id: Option<Vec<u8>>,
    /// Length of the modulus: 2048, 3072 (the project's default) or 4096.
    pub modulus_bits: u32,
    /// CKA_ALWAYS_AUTHENTICATE: the token wants the PIN for every use of the key. Some tokens store that and do not enforce it.
    pub always_authenticate: bool,
}

/// # Errors
/// [`Error::ModulusBits`] for a length that is not generated here.
pub(super) fn check_modulus_bits(modulus_bits: u32) -> Result<(), Error> {
    match modulus_bits {
        2048 | 3072 | 4096 => Ok(()),
        other => Err(Error::ModulusBits(other)),
    }
}

/// Generates the key, checks what came out, and destroys it again if it is not what custody needs.
pub(super) fn generate(worker: &mut Worker, request: &GenerateKey) -> Result<KeyInfo, Error> {
    generate_with(worker, request, false)
}

/// The same with a key that can be wrapped until it is sealed: refused for that by custody, and for nothing else.
pub(super) fn generate_replicable(
    worker: &mut Worker,
    request: &GenerateKey,
) -> Result<KeyInfo, Error> {
    generate_with(worker, request, true)
}

fn generate_with(
    worker: &mut Worker,
    request: &GenerateKey,
    replicable: bool,
) -> Result<KeyInfo, Error> {
    let accepted: &[KeyProblem] = if replicable {
        &[KeyProblem::Extractable]
    } else {
        &[]
    };
    check_modulus_bits(request.modulus_bits)?;
    let session = worker.open_session(true)?;
    let module = worker.module();
    key_pair::label_is_free(module, &session, &request.label)?;
    let id = match &request.id {
        Some(id) => {
            key_pair::id_is_free(module, &session, id)?;
            id.clone()
        }
        None => key_pair::random_id()?,
    };
    let pair = key_pair::generate(
        module,
        &session,
        worker.shared().quirks,
        &template(request, &id, replicable),
    )?;

    // Never with the development switch: what is generated here has to be right.
    let key = keys::read(module, &session, pair.private, false)?;
    if key.info.problems != accepted {
        key_pair::destroy(&session, pair);
        return Err(Error::GeneratedKeyRefused(key.info.problems));
    }
    if request.id.is_none() {
        let fingerprint = key.info.fingerprint;
        let id: Vec<u8> = fingerprint
            .as_bytes()
            .iter()
            .take(ID_BYTES)
            .copied()
            .collect();
        for half in [pair.private, pair.public] {
            if let Err(error) = session.update_attributes(half, &[Attribute::Id(id.clone())]) {
                tracing::debug!(%error, "CKA_ID stays as it was generated");
                break;
            }
        }
    }
    Ok(keys::read(module, &session, pair.private, false)?.info)
}

fn template(request: &GenerateKey, id: &[u8], replicable: bool) -> Template {
    let mut public = key_pair::common(KeyType::RSA, &request.label, id);
    public.extend([
        Attribute::Private(false),
        Attribute::Encrypt(true),
        Attribute::Verify(false),
        Attribute::Wrap(false),
        Attribute::ModulusBits(cryptoki_sys::CK_ULONG::from(request.modulus_bits).into()),
        Attribute::PublicExponent(vec![1, 0, 1]),
    ]);
    let mut private = key_pair::common(KeyType::RSA, &request.label, id);
    private.extend([
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(replicable),
        Attribute::Decrypt(true),
        Attribute::Sign(false),
        Attribute::Unwrap(false),
        Attribute::Derive(false),
    ]);
    if request.always_authenticate {
        private.push(Attribute::AlwaysAuthenticate(true));
    }
    Template {
        mechanism: Mechanism::RsaPkcsKeyPairGen,
        mechanism_name: "CKM_RSA_PKCS_KEY_PAIR_GEN",
        public,
        private,
        // A key that is not extractable loses nothing without it. One that is to be wrapped must not have it: who may make a key
        // trusted (CKA_TRUSTED) is the security officer where there is such a way at all, and many modules have none.
        private_if_known: vec![
            Attribute::WrapWithTrusted(!replicable),
            // Signing with recovery is the raw private-key operation; some tokens allow it unless told otherwise.
            Attribute::SignRecover(false),
        ],
    }
}
