//! What a target makes of a form before a file of it is written: the same rules as for a file that is there, held against what each form
//! consists of.

use super::feature::Feature;
use super::{Opens, Reason, platform};
use crate::pfx::write::Form;
use crate::pfx::{Algorithm, EncryptionFacts, EncryptionScheme, MacFacts, MacScheme, Target};

/// Whether the target opens a PFX of this form, and what there is to say of it: of its encryption and its integrity check. The key inside,
/// its certificate and the password can matter besides.
#[must_use]
pub fn of_form(form: Form, target: Target) -> (Opens, Vec<Reason>) {
    let (mac, encryption) = parts(form);
    let platform = platform(target);
    let reasons: Vec<Reason> = [Feature::Mac(&mac), Feature::Encryption(&encryption)]
        .iter()
        .filter_map(|feature| platform.judge(feature))
        .collect();
    let opens = reasons.iter().map(|reason| reason.opens).max();
    (opens.unwrap_or(Opens::Yes), reasons)
}

/// Integrity check and encryption of a form, by what rules go by.
fn parts(form: Form) -> (MacFacts, EncryptionFacts) {
    let (scheme, hash, text) = match form {
        Form::Approved => (MacScheme::Pbmac1, "sha256", "PBMAC1 with HMAC-SHA-256"),
        Form::Compatible => (MacScheme::Classic, "sha256", "the classic MAC with SHA-256"),
        Form::Legacy3Des => (MacScheme::Classic, "sha1", "the classic MAC with SHA-1"),
    };
    let mac = MacFacts {
        algorithm: algorithm(text, form == Form::Approved),
        scheme,
        hash: hash.to_owned(),
        prf: None,
        key_bytes: None,
        iterations: None,
        salt_bytes: None,
    };
    let (scheme, kdf, prf, cipher, key_bits, text) = match form {
        Form::Approved | Form::Compatible => (
            EncryptionScheme::Pbes2,
            "pbkdf2",
            "hmac-sha256",
            "aes-256-cbc",
            256,
            "AES-256 (PBES2 with PBKDF2 and HMAC-SHA-256)",
        ),
        Form::Legacy3Des => (
            EncryptionScheme::Pkcs12,
            "pkcs12-kdf",
            "sha1",
            "3des-cbc",
            168,
            "PKCS#12 encryption with 3DES",
        ),
    };
    let encryption = EncryptionFacts {
        algorithm: algorithm(text, form != Form::Legacy3Des),
        scheme,
        kdf: Some(kdf.to_owned()),
        prf: Some(prf.to_owned()),
        cipher: Some(cipher.to_owned()),
        key_bits: Some(key_bits),
        iterations: None,
        salt_bytes: None,
    };
    (mac, encryption)
}

fn algorithm(text: &str, approved: bool) -> Algorithm {
    Algorithm {
        name: String::new(),
        text: text.to_owned(),
        supported: true,
        approved,
        not_approved_because: None,
    }
}
