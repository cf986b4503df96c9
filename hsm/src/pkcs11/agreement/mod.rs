//! Key agreement by keys on the token that do nothing else: CKM_ECDH1_DERIVE without a key derivation (CKD_NULL; PKCS#11,
//! elliptic curve Diffie-Hellman key derivation), so that the result is the x coordinate of SEC 1, section 3.3.1. The curves have the
//! cofactor one: it is the primitive of SP 800-56A revision 3, section 5.7.1.2, as well.

mod generate;
mod keys;

use cryptoki::error::Error as CryptokiError;
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::elliptic_curve::{EcKdf, Ecdh1DeriveParams};
use cryptoki::object::{Attribute, KeyType, ObjectClass, ObjectHandle};
use fips::ec::Curve;
use fips::policy::Service;
use fips::secret::SecretBytes;

pub use generate::GenerateAgreementKey;

use super::Pkcs11Custody;
use super::classify::Class;
use super::ec;
use super::session::OwnSession;
use super::worker::{Shared, Worker};
use crate::agreement::AgreementKeyInfo;
use crate::custody::Operation;
use crate::error::Refusal;
use crate::{Error, KeyFingerprint, Terms};
use keys::FoundAgreementKey;

/// The mechanism, as the standard writes it.
const MECHANISM: &str = "CKM_ECDH1_DERIVE";

/// No point that is taken is longer.
const LONGEST_POINT: usize = Curve::P521.point_len();

impl Pkcs11Custody {
    /// Generates a key for agreements: sensitive, not extractable, private, for derivations only. It is no custody key and signs
    /// nothing, and never becomes one that does. It has agreed once with a key of the module, to the same secret.
    ///
    /// # Errors
    /// [`Error::Policy`] in strict mode without `cms-ecdh-static`; [`Error::LabelInUse`], [`Error::MechanismNotSupported`] or
    /// [`Error::Generation`] if the token refuses, [`Error::GeneratedKeyRefused`] or [`Error::WrongSecret`] if it generated something
    /// else (which was destroyed), [`Error::Token`].
    pub fn generate_agreement_key(
        &self,
        key: &GenerateAgreementKey,
    ) -> Result<AgreementKeyInfo, Error> {
        let request = key.clone();
        self.submit(Operation::Generate, move |worker| {
            // Not tried again, like the generation of a custody key.
            generate::generate(worker, &request)
        })
    }

    /// Every private key on the token that may derive (CKA_DERIVE), on P-256, P-384 or P-521 with exactly one public key object of
    /// the same CKA_ID; usable or not, read afresh.
    ///
    /// # Errors
    /// [`Error::Token`] if the token does not answer.
    pub fn agreement_keys(&self) -> Result<Vec<AgreementKeyInfo>, Error> {
        self.submit(Operation::ListKeys, |worker| {
            worker.with_recovery(None, Worker::list_agreement_keys)
        })
    }

    /// The shared secret z of `key` and `peer_point` (uncompressed, SEC 1 section 2.3.3): the x coordinate, as long as one of the
    /// curve. The point is checked to be on the curve before the token sees it. The secret is a session object that can be read,
    /// for that one reading; it is destroyed before anybody gets it, or with its session if the token does not destroy it.
    ///
    /// It is the raw secret: whoever gets it derives keys from it (SP 800-56A revision 3, section 5.8) and uses it for nothing else.
    /// **Not approved**, whatever the token: the key derivation is outside of it.
    ///
    /// # Errors
    /// [`Error::InvalidPoint`], [`Error::UnknownKey`]: for the caller. [`Error::Policy`] in strict mode without `cms-ecdh-static`,
    /// [`Error::KeyRefused`], [`Error::MechanismNotSupported`], [`Error::WrongSecret`] for a secret of another length: for the operator.
    /// [`Error::Token`], [`Error::KeyVanished`] if the token is in trouble.
    pub fn derive_ecdh(
        &self,
        key: &KeyFingerprint,
        peer_point: &[u8],
    ) -> Result<SecretBytes, Error> {
        self.derive_ecdh_on(key, peer_point, Terms::default())
    }

    /// As [`derive_ecdh`](Self::derive_ecdh), on these terms: with a deadline, in their lane.
    ///
    /// # Errors
    /// As that; [`Error::Deadline`] when the deadline is over before there is a secret.
    pub fn derive_ecdh_on(
        &self,
        key: &KeyFingerprint,
        peer_point: &[u8],
        terms: Terms,
    ) -> Result<SecretBytes, Error> {
        let deadline = self.deadline(terms);
        let key = *key;
        // What is longer is no point with or without its end.
        let peer = peer_point
            .get(..=LONGEST_POINT)
            .unwrap_or(peer_point)
            .to_vec();
        self.submit_on(terms, Operation::Agree, move |worker| {
            let secret = worker.with_recovery(deadline, |worker| worker.agree(&key, &peer))?;
            worker.shared().well();
            Ok(secret)
        })
    }
}

impl Worker {
    /// Every key that may derive, and one that was there before and is not any more.
    fn scan_agreement(
        &mut self,
    ) -> Result<(Vec<FoundAgreementKey>, Option<KeyFingerprint>), Error> {
        let (found, shows_keys) = self.look_for(|worker| {
            worker.while_logged_in(|shared, session| keys::scan(&shared.module, session))
        })?;
        let seen: Vec<_> = found.iter().map(|key| key.info.fingerprint).collect();
        let missing = self.shared().cache.compare_agreeing(&seen, shows_keys);
        Ok((found, missing))
    }

    /// What is known about every key that may derive. A token that had some and shows none is in trouble, not empty.
    fn list_agreement_keys(&mut self) -> Result<Vec<AgreementKeyInfo>, Error> {
        match self.scan_agreement()? {
            (found, Some(missing)) if found.is_empty() => Err(Error::KeyVanished(missing)),
            (found, _) => Ok(found.into_iter().map(|key| key.info).collect()),
        }
    }

    /// The key that is meant, if it may derive. If it is there twice, a usable one.
    fn usable_agreement_key(
        &mut self,
        fingerprint: &KeyFingerprint,
    ) -> Result<FoundAgreementKey, Error> {
        let (found, missing) = self.scan_agreement()?;
        let key = found
            .into_iter()
            .filter(|key| key.info.fingerprint == *fingerprint)
            .min_by_key(|key| key.info.problems.len());
        match (key, missing) {
            (Some(key), _) if key.info.is_usable() => Ok(key),
            (Some(key), _) => Err(Error::KeyRefused {
                fingerprint: *fingerprint,
                problems: key.info.problems,
            }),
            _ if self.shared().cache.is_gone(fingerprint) => Err(Error::UnknownKey(*fingerprint)),
            (None, Some(missing)) => Err(Error::KeyVanished(missing)),
            (None, None) => {
                // Custody keys that have vanished say that the token is in trouble.
                self.list()?;
                Err(Error::UnknownKey(*fingerprint))
            }
        }
    }

    /// Agrees with `peer` by the key that is meant.
    fn agree(&mut self, fingerprint: &KeyFingerprint, peer: &[u8]) -> Result<SecretBytes, Error> {
        let key = self.usable_agreement_key(fingerprint)?;
        ec::check_point(key.info.curve, peer)?;
        let (shared, open) = self.parts()?;
        let derived = derive(shared, &open.session, &key, peer)?;
        if !derived.is_destroyed {
            // A session object goes away with its session.
            self.replace_session();
        }
        derived.secret
    }
}

/// What came of a derivation.
struct Derived {
    secret: Result<SecretBytes, Error>,
    /// False: the secret is still an object of the session.
    is_destroyed: bool,
}

/// Derives, reads the secret and destroys it, with a point that was checked.
fn derive(
    shared: &Shared,
    session: &OwnSession,
    key: &FoundAgreementKey,
    peer: &[u8],
) -> Result<Derived, Error> {
    let length = key.info.curve.field_len();
    let mechanism = Mechanism::Ecdh1Derive(Ecdh1DeriveParams::new(EcKdf::null(), peer));
    // Class, type and length are the template's to say where the mechanism says nothing about them.
    let template = [
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(KeyType::GENERIC_SECRET),
        Attribute::ValueLen(cryptoki_sys::CK_ULONG::try_from(length).unwrap_or(0).into()),
        Attribute::Token(false),
        Attribute::Private(true),
        Attribute::Sensitive(false),
        Attribute::Extractable(true),
    ];
    fips::policy::perform(Service::TokenEcdh, |_| {
        let object = session
            .derive_key(&mechanism, key.handle, &template)
            .map_err(|error| refused(shared, error))?;
        let value = shared
            .module
            .functions()
            .secret_value(session, object, length);
        Ok(Derived {
            is_destroyed: destroy(session, object),
            secret: match value {
                Ok(secret) if secret.len() == length => Ok(secret),
                Ok(_) => Err(Error::WrongSecret(key.info.fingerprint)),
                // The token does not show it, and never will.
                Err(refusal) if refusal.class() == Class::Done => Err(not_supported(refusal)),
                Err(refusal) => Err(Error::Token(refusal)),
            },
        })
    })
}

const fn not_supported(refusal: Refusal) -> Error {
    Error::MechanismNotSupported {
        mechanism: MECHANISM,
        refusal,
    }
}

/// Key, point and template are ours, and right: a token that refuses them does not do this.
fn refused(shared: &Shared, error: CryptokiError) -> Error {
    match error {
        CryptokiError::Pkcs11(rv, function) if Refusal::new(function, rv).refuses() => {
            not_supported(Refusal::new(function, rv))
        }
        other => shared.module.error(other),
    }
}

fn destroy(session: &OwnSession, object: ObjectHandle) -> bool {
    match session.destroy_object(object) {
        Ok(()) => true,
        Err(CryptokiError::Pkcs11(rv, function)) => {
            Refusal::new(function, rv).class() == Class::Done
        }
        Err(_) => false,
    }
}
