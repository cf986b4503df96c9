//! Signatures by keys on the token that do nothing else.
//!
//! The message is hashed by the module, so that it need not travel to the token and every token does the same: CKM_ECDSA and
//! CKM_RSA_PKCS_PSS, which take digests. A signature is verified by the module before anybody gets it.

mod generate;
mod keys;

use std::sync::Arc;

use cryptoki::error::Error as CryptokiError;
use cryptoki::mechanism::rsa::{PkcsMgfType, PkcsPssParams};
use cryptoki::mechanism::{Mechanism, MechanismType};
use fips::policy::Service;
use fips::sign::SignatureAlgorithm;

pub use generate::GenerateSigningKey;

use super::Pkcs11Custody;
use super::counters::count;
use super::ec;
use super::session::OwnSession;
use super::worker::{Shared, Worker};
use crate::custody::Operation;
use crate::error::Refusal;
use crate::signing::{SigningKeyInfo, SigningKeyName, TokenSignature};
use crate::{Error, KeyFingerprint, Terms};
pub(super) use keys::FoundSigningKey;

impl Pkcs11Custody {
    /// Generates a signing key: sensitive, not extractable, private, for signatures only. It is no custody key, and never
    /// becomes one. It has signed once, and that signature was verified.
    ///
    /// # Errors
    /// [`Error::ModulusBits`], [`Error::LabelInUse`], [`Error::MechanismNotSupported`] or [`Error::Generation`] if the token
    /// refuses, [`Error::GeneratedKeyRefused`] or [`Error::WrongSignature`] if it generated something else (which was
    /// destroyed), [`Error::Token`].
    pub fn generate_signing_key(&self, key: &GenerateSigningKey) -> Result<SigningKeyInfo, Error> {
        let request = key.clone();
        self.submit(Operation::Generate, move |worker| {
            // Not tried again, like the generation of a custody key.
            generate::generate(worker, &request)
        })
    }

    /// Every private key on the token that may sign (CKA_SIGN): RSA, and on P-256, P-384 or P-521 with exactly one public key
    /// object of the same CKA_ID; usable or not, read afresh. RSA keys among them are in [`keys`](crate::Custody::keys) as well, with
    /// the reason why they are refused there.
    ///
    /// # Errors
    /// [`Error::Token`] if the token does not answer.
    pub fn signing_keys(&self) -> Result<Vec<SigningKeyInfo>, Error> {
        self.submit(Operation::ListKeys, |worker| {
            worker.with_recovery(None, Worker::list_signing_keys)
        })
    }

    /// The key that is meant and that [`sign`](Self::sign) would use now: for those who have to name it in what is signed.
    ///
    /// # Errors
    /// [`Error::SigningKeyNotFound`], [`Error::SigningKeyAmbiguous`], [`Error::KeyRefused`]: for the operator. [`Error::Token`] if
    /// the token does not answer.
    pub fn signing_key(&self, key: &SigningKeyName) -> Result<SigningKeyInfo, Error> {
        let key = key.clone();
        self.submit(Operation::ListKeys, move |worker| {
            worker.with_recovery(None, |worker| Ok(worker.usable_signing_key(&key)?.info))
        })
    }

    /// As [`signing_key`](Self::signing_key), on these terms: with a deadline it waits no longer, for a place or for the answer.
    ///
    /// # Errors
    /// As told there; [`Error::Deadline`] and [`Error::Overloaded`].
    pub fn signing_key_on(
        &self,
        key: &SigningKeyName,
        terms: Terms,
    ) -> Result<SigningKeyInfo, Error> {
        let key = key.clone();
        let deadline = self.deadline(terms);
        self.submit_on(terms, Operation::ListKeys, move |worker| {
            worker.with_recovery(deadline, |worker| Ok(worker.usable_signing_key(&key)?.info))
        })
    }

    /// Signs `message` on the token: ECDSA with the hash that fits the curve, RSASSA-PSS with SHA-256 for RSA keys. The
    /// message is hashed by the module, and the signature verified by it before it is given out.
    ///
    /// # Errors
    /// [`Error::SigningKeyNotFound`], [`Error::SigningKeyAmbiguous`], [`Error::KeyRefused`], [`Error::MechanismNotSupported`],
    /// [`Error::WrongSignature`]: for the operator. [`Error::Token`] if the token does not answer.
    pub fn sign(&self, key: &SigningKeyName, message: &[u8]) -> Result<TokenSignature, Error> {
        self.sign_on(key, message, Terms::default())
    }

    /// As [`sign`](Self::sign), on these terms: with a deadline it waits no longer, for a place or for the answer. A call that has begun
    /// by then goes on, and its signature is dropped.
    ///
    /// # Errors
    /// As told there; [`Error::Deadline`] and [`Error::Overloaded`].
    pub fn sign_on(
        &self,
        key: &SigningKeyName,
        message: &[u8],
        terms: Terms,
    ) -> Result<TokenSignature, Error> {
        let (key, message) = (key.clone(), message.to_vec());
        let deadline = self.deadline(terms);
        self.submit_on(terms, Operation::Sign, move |worker| {
            let signature = worker.with_recovery(deadline, |worker| worker.sign(&key, &message))?;
            count(&worker.shared().counters.signatures);
            worker.shared().well();
            Ok(signature)
        })
    }
}

impl Worker {
    /// Every key that may sign, and one that was there before and is not any more.
    fn scan_signing(&mut self) -> Result<(Vec<FoundSigningKey>, Option<KeyFingerprint>), Error> {
        let (found, shows_keys) = self.look_for(|worker| {
            worker.while_logged_in(|shared, session| keys::scan(&shared.module, session))
        })?;
        let seen: Vec<_> = found.iter().map(|key| key.info.fingerprint).collect();
        let missing = self.shared().cache.compare_signing(&seen, shows_keys);
        Ok((found, missing))
    }

    /// What is known about every key that may sign. A token that had some and shows none is in trouble, not empty.
    fn list_signing_keys(&mut self) -> Result<Vec<SigningKeyInfo>, Error> {
        match self.scan_signing()? {
            (found, Some(missing)) if found.is_empty() => Err(Error::KeyVanished(missing)),
            (found, _) => Ok(found.into_iter().map(|key| key.info).collect()),
        }
    }

    /// The key that is meant, if it may sign.
    fn usable_signing_key(&mut self, name: &SigningKeyName) -> Result<FoundSigningKey, Error> {
        let (found, missing) = self.scan_signing()?;
        let key = match (keys::choose(found, name), missing) {
            // A name that was never right is the operator's mistake, but only if the token shows everything that it had.
            (Err(Error::SigningKeyNotFound(_)), Some(missing)) => {
                return Err(Error::KeyVanished(missing));
            }
            (Err(error @ Error::SigningKeyNotFound(_)), None) => {
                // Custody keys that have vanished say the same.
                self.list()?;
                return Err(error);
            }
            (key, _) => key?,
        };
        if key.info.is_usable() {
            Ok(key)
        } else {
            Err(Error::KeyRefused {
                fingerprint: key.info.fingerprint,
                problems: key.info.problems,
            })
        }
    }

    /// Signs with the key that is meant. One that is meant by its fingerprint is looked up once, like a custody key: its handle is good until
    /// the token is in trouble. If the handle is that of something else by then, the signature is not the key's, which is seen.
    fn sign(&mut self, name: &SigningKeyName, message: &[u8]) -> Result<TokenSignature, Error> {
        let SigningKeyName::Fingerprint(fingerprint) = name else {
            let key = self.usable_signing_key(name)?;
            return self.sign_by(&key, message);
        };
        let shared = Arc::clone(self.shared());
        if let Some(key) = shared.cache.signer(fingerprint) {
            match self.sign_by(&key, message) {
                // It may be the handle of another key by now. (A token in trouble is healed, which forgets all handles.)
                Err(Error::WrongSignature(_) | Error::MechanismNotSupported { .. }) => {
                    shared.cache.forget_signer(fingerprint);
                }
                answer => return answer,
            }
        }
        // Read before the handle is: if it grows old meanwhile, it is not kept.
        let generation = shared.cache.generation();
        let key = Arc::new(self.usable_signing_key(name)?);
        let signed = self.sign_by(&key, message)?;
        shared.cache.insert_signer(generation, key);
        Ok(signed)
    }

    fn sign_by(&mut self, key: &FoundSigningKey, message: &[u8]) -> Result<TokenSignature, Error> {
        let (shared, open) = self.parts()?;
        let signature = sign(shared, &open.session, key, message);
        if let Err(Error::Pin(_) | Error::File { .. }) = &signature {
            // The operation that was begun ends with its session.
            self.replace_session();
        }
        signature
    }
}

/// The longest signature that is made here, in bytes: RSA with 4096 bits.
const LONGEST: usize = 512;

/// Signs, and verifies before anybody gets the signature.
fn sign(
    shared: &Shared,
    session: &OwnSession,
    key: &FoundSigningKey,
    message: &[u8],
) -> Result<TokenSignature, Error> {
    let algorithm = key.info.algorithm;
    let (mechanism, mechanism_name) = mechanism(algorithm);
    let digest = fips::digest::digest(algorithm.hash(), message);
    let raw = fips::policy::perform(Service::TokenSignature, |_| {
        session
            .sign_init(&mechanism, key.handle)
            .map_err(|error| match error {
                CryptokiError::Pkcs11(rv, function)
                    if Refusal::new(function, rv).means_unsupported() =>
                {
                    Error::MechanismNotSupported {
                        mechanism: mechanism_name,
                        refusal: Refusal::new(function, rv),
                    }
                }
                other => shared.module.error(other),
            })?;
        if key.info.attributes.always_authenticate == Some(true) {
            shared.log_in_for_one_use(session)?;
        }
        shared
            .module
            .functions()
            .sign(session, digest.as_ref(), LONGEST)
            .map_err(|refusal| {
                // One that says the same as in trouble.
                if algorithm.curve().is_none() && shared.quirks.rsa_pss == Some(false) {
                    return Error::MechanismNotSupported {
                        mechanism: mechanism_name,
                        refusal,
                    };
                }
                Error::Token(refusal)
            })
    })?;
    let wrong = || Error::WrongSignature(key.info.fingerprint);
    let signature = match algorithm.curve() {
        Some(curve) => ec::signature_der(curve, &raw).ok_or_else(wrong)?,
        None => raw,
    };
    match fips::sign::verify(algorithm, &key.info.spki_der, message, &signature) {
        Ok(()) => Ok(TokenSignature {
            algorithm,
            spki_der: key.info.spki_der.clone(),
            signature,
        }),
        // A key on the curve of another, or none at all, is as wrong as the signature.
        Err(
            fips::Error::Verification
            | fips::Error::MalformedKey { .. }
            | fips::Error::KeyMismatch { .. }
            | fips::Error::KeySize { .. }
            | fips::Error::UnsupportedKey { .. },
        ) => Err(wrong()),
        Err(other) => Err(other.into()),
    }
}

/// The mechanism that signs a digest, and its name in the standard.
fn mechanism(algorithm: SignatureAlgorithm) -> (Mechanism<'static>, &'static str) {
    if algorithm.curve().is_some() {
        return (Mechanism::Ecdsa, "CKM_ECDSA");
    }
    // The only one that `keys` gives to RSA keys: SHA-256, MGF1 with SHA-256, salt as long as the digest.
    let parameters = PkcsPssParams {
        hash_alg: MechanismType::SHA256,
        mgf: PkcsMgfType::MGF1_SHA256,
        s_len: 32_u64.into(),
    };
    (Mechanism::RsaPkcsPss(parameters), "CKM_RSA_PKCS_PSS")
}
