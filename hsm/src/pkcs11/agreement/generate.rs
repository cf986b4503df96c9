//! Generation of a key for agreements on the token.

use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, KeyType};
use fips::ec::{Curve, PrivateKey};
use fips::policy::{Service, decide};

use super::derive;
use super::keys::{self, FoundAgreementKey};
use crate::Error;
use crate::agreement::AgreementKeyInfo;
use crate::pkcs11::ec;
use crate::pkcs11::key_pair::{self, Purpose, Template};
use crate::pkcs11::session::OwnSession;
use crate::pkcs11::worker::{Shared, Worker};

/// A key for agreements to be generated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GenerateAgreementKey {
    /// CKA_LABEL of both halves. No other key may have it, of whatever kind.
    pub label: String,
    /// The curve.
    pub curve: Curve,
}

/// Generates the key, checks what came out, has it agree once, and destroys it again if anything of that is not as it should be.
pub(super) fn generate(
    worker: &mut Worker,
    request: &GenerateAgreementKey,
) -> Result<AgreementKeyInfo, Error> {
    // A key that must not be used is not made.
    decide(Service::TokenEcdh).map(drop)?;
    if worker.shared().quirks.ecdh == Some(false) {
        // Not tried: tpm2-pkcs11 would answer as if it were in trouble.
        return Err(Error::MechanismNotOffered("CKM_ECDH1_DERIVE"));
    }
    let template = template(request, &key_pair::random_id()?)?;
    let session = worker.open_session(true)?;
    let module = worker.module();
    key_pair::label_is_free(module, &session, &request.label)?;
    let pair = key_pair::generate(module, &session, worker.shared().quirks, &template)?;
    let checked = keys::read(module, &session, pair.private, Some(pair.public)).and_then(|key| {
        if !key.info.is_usable() {
            return Err(Error::GeneratedKeyRefused(key.info.problems));
        }
        agrees(worker.shared(), &session, &key)?;
        Ok(key.info)
    });
    if checked.is_err() {
        key_pair::destroy(&session, pair);
    }
    checked
}

/// Whether the token comes to the secret that the module comes to with the public half. The session is closed soon afterwards, with
/// whatever is left in it.
fn agrees(shared: &Shared, session: &OwnSession, key: &FoundAgreementKey) -> Result<(), Error> {
    let wrong = || Error::WrongSecret(key.info.fingerprint);
    let (curve, own) = fips::ec::point_from_spki(&key.info.spki_der).map_err(|_| wrong())?;
    let peer = PrivateKey::generate(curve)?;
    let expected = match peer.agree(&own) {
        Err(fips::Error::Agreement) => return Err(wrong()),
        other => other?,
    };
    let secret = derive(shared, session, key, &peer.public_point()?)?.secret?;
    if secret.ct_eq(expected.expose()) {
        Ok(())
    } else {
        Err(wrong())
    }
}

fn template(request: &GenerateAgreementKey, id: &[u8]) -> Result<Template, Error> {
    let (mut public, private) =
        key_pair::halves(KeyType::EC, &request.label, id, Purpose::Agreement);
    public.push(Attribute::EcParams(ec::parameters(request.curve)?));
    Ok(Template {
        mechanism: Mechanism::EccKeyPairGen,
        mechanism_name: "CKM_EC_KEY_PAIR_GEN",
        public,
        private,
        private_if_known: key_pair::if_known(),
    })
}
