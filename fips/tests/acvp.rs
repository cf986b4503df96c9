//! NIST's own vectors (ACVP, with the answers that its server expects) for what the module is certified for, through the
//! interface of this crate. They were made to test modules, so that some ask for what this crate keeps away from its callers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    missing_docs
)]

mod common;

use common::bytes;
use common::vectors::Outcome::{Executed, Refused};
use common::vectors::{Expected, acvp, all};
use fips::digest::FileHash;
use fips::secret::SecretBytes;
use fips::{Error, aes, kdf};
use serde_json::Value;
use std::num::NonZeroU32;

fn case(vector: &Value) -> String {
    format!("test case {}", vector["tcId"])
}

/// ACVP says `testPassed: false` where a decryption has to fail.
fn has_to_fail(answer: &Value) -> bool {
    answer["testPassed"] == false
}

const KEY_192: &str = "the module approves GCM with 128 and 256 bit keys";
const SHORT_TAG: &str = "tags of 128 bits alone";

/// A nonce of the caller is not offered for encryption: only one that the module makes is approved (SP 800-38D section 8.2.2).
/// So what has to come out of an encryption is decrypted here, and what this crate encrypts with the same key, too.
#[test]
fn aes_gcm() {
    let expected = Expected {
        executed: 4,
        refused: &[(KEY_192, 14), (SHORT_TAG, 24)],
    };
    acvp("ACVP-AES-GCM", &expected, |group, vector, answer| {
        let (key, aad) = (bytes(vector, "key"), bytes(vector, "aad"));
        let key = SecretBytes::from_vec(key);
        let encrypt = group["direction"] == "encrypt";
        let (question, answered) = if encrypt {
            (answer, vector)
        } else {
            (vector, answer)
        };
        let sealed = [
            bytes(vector, "iv"),
            bytes(question, "ct"),
            bytes(question, "tag"),
        ]
        .concat();
        let opened = aes::gcm_open(&key, &aad, &sealed);
        if group["keyLen"] == 192 {
            assert!(matches!(opened, Err(Error::KeyLength { bytes: 24, .. })));
            return Refused(KEY_192);
        }
        if group["tagLen"] != 128 {
            assert!(matches!(opened, Err(Error::Verification)));
            return Refused(SHORT_TAG);
        }
        if has_to_fail(answered) {
            assert!(matches!(opened, Err(Error::Verification)));
            return Executed;
        }
        let plaintext = bytes(answered, "pt");
        assert!(opened.unwrap().ct_eq(&plaintext), "{}", case(vector));
        let resealed = aes::gcm_seal(&key, &aad, &plaintext).unwrap();
        assert_eq!(resealed.len(), sealed.len());
        assert_ne!(resealed, sealed, "the nonce is the module's");
        let reopened = aes::gcm_open(&key, &aad, &resealed).unwrap();
        assert!(reopened.ct_eq(&plaintext), "{}", case(vector));
        Executed
    });
}

#[test]
fn aes_kw() {
    acvp("ACVP-AES-KW", &all(30), |group, vector, answer| {
        assert_eq!(group["kwCipher"], "cipher");
        let kek = SecretBytes::from_vec(bytes(vector, "key"));
        if group["direction"] == "encrypt" {
            let key = SecretBytes::from_vec(bytes(vector, "pt"));
            let wrapped = aes::key_wrap(&kek, &key).unwrap();
            assert_eq!(wrapped, bytes(answer, "ct"), "{}", case(vector));
            return Executed;
        }
        let unwrapped = aes::key_unwrap(&kek, &bytes(vector, "ct"));
        if has_to_fail(answer) {
            assert!(matches!(unwrapped, Err(Error::Decryption)));
        } else {
            let key = bytes(answer, "pt");
            assert!(unwrapped.unwrap().ct_eq(&key), "{}", case(vector));
        }
        Executed
    });
}

#[test]
fn pbkdf() {
    acvp("PBKDF", &all(7), |group, vector, answer| {
        let hash = match group["hmacAlg"].as_str().unwrap() {
            "SHA-1" => FileHash::Sha1,
            "SHA2-224" => FileHash::Sha224,
            "SHA2-256" => FileHash::Sha256,
            "SHA2-384" => FileHash::Sha384,
            "SHA2-512" => FileHash::Sha512,
            "SHA2-512/224" => FileHash::Sha512_224,
            "SHA2-512/256" => FileHash::Sha512_256,
            other => panic!("{other}: a hash that this test does not know"),
        };
        let number = |field: &str| u32::try_from(vector[field].as_u64().unwrap()).unwrap();
        let bits = usize::try_from(number("keyLen")).unwrap();
        assert!(bits.is_multiple_of(8));
        let password = vector["password"].as_str().unwrap().as_bytes();
        let iterations = NonZeroU32::new(number("iterationCount")).unwrap();
        let salt = bytes(vector, "salt");
        let key = kdf::pbkdf2(hash, password, &salt, iterations, bits / 8).unwrap();
        let expected = bytes(answer, "derivedKey");
        assert!(key.ct_eq(&expected), "{}", case(vector));
        Executed
    });
}
