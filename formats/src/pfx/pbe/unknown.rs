//! What can be said of encryption that is not supported.

use super::cipher::Cipher;
use super::kdf::Kdf;
use super::scheme::{Pbes2Params, Scheme, decode};
use crate::pfx::model::{EncryptionFacts, EncryptionScheme};
use crate::pfx::standing;
use const_oid::ObjectIdentifier;
use spki::AlgorithmIdentifierRef;

/// Algorithms of others' files that this program has not.
const NAMES: [(&str, &str); 11] = [
    ("1.2.643.2.2.10", "hmac-gost94"),
    ("1.2.643.2.2.21", "gost28147"),
    ("1.2.840.113533.7.66.10", "cast5-cbc"),
    ("1.3.6.1.4.1.3029.1.2", "blowfish-cbc"),
    ("1.2.392.200011.61.1.1.1.2", "camellia-128-cbc"),
    ("1.2.392.200011.61.1.1.1.3", "camellia-192-cbc"),
    ("1.2.392.200011.61.1.1.1.4", "camellia-256-cbc"),
    ("1.2.410.200004.1.4", "seed-cbc"),
    ("1.3.6.1.4.1.188.7.1.1.2", "idea-cbc"),
    ("1.2.840.113549.3.9", "rc5-cbc"),
    ("2.16.840.1.101.3.4.1.26", "aes-192-gcm"),
];

/// The name of an algorithm in facts, or its numbers.
pub(super) fn name(oid: &ObjectIdentifier) -> String {
    let numbers = oid.to_string();
    NAMES
        .iter()
        .find_map(|(known, name)| (*known == numbers).then(|| (*name).to_owned()))
        .unwrap_or(numbers)
}

/// The name of a whole PBES2.
pub(super) fn pbes2_name(kdf: &str, prf: Option<&str>, cipher: &str) -> String {
    match prf {
        Some(prf) => format!("pbes2-{kdf}-{prf}-{cipher}"),
        None => format!("pbes2-{kdf}-{cipher}"),
    }
}

/// The facts of encryption of which something is not supported, which is `what`.
pub(super) fn facts(algorithm: &AlgorithmIdentifierRef<'_>, what: String) -> EncryptionFacts {
    let scheme = Scheme::kind_of(&algorithm.oid);
    let mut facts = EncryptionFacts {
        algorithm: standing::unsupported(name(&algorithm.oid), what),
        scheme,
        kdf: None,
        prf: None,
        cipher: None,
        key_bits: None,
        iterations: None,
        salt_bytes: None,
    };
    if scheme != EncryptionScheme::Pbes2 {
        return facts;
    }
    let Ok(parameters) = decode::<Pbes2Params<'_>>(algorithm) else {
        return facts;
    };
    let mut kdf_name = name(&parameters.kdf.oid);
    if let Ok(kdf) = Kdf::parse(&parameters.kdf) {
        let (known, prf, _) = kdf.names();
        known.clone_into(&mut kdf_name);
        facts.prf = prf;
        facts.iterations = kdf.iterations();
        facts.salt_bytes = Some(kdf.salt_bytes());
    }
    let cipher = Cipher::parse(&parameters.encryption);
    let cipher_name = match &cipher {
        Ok(cipher) => cipher.name(),
        Err(_) => name(&parameters.encryption.oid),
    };
    facts.key_bits = cipher.ok().map(Cipher::key_bits);
    facts.algorithm.name = pbes2_name(&kdf_name, facts.prf.as_deref(), &cipher_name);
    facts.kdf = Some(kdf_name);
    facts.cipher = Some(cipher_name);
    facts
}
