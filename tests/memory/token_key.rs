//! The custody key of a SoftHSM token, out of its files and with the user's PIN, as the library itself reads it. No interface gives it out;
//! here it has to be known, so that it can be looked for.
//!
//! The form of the files is SoftHSM's 2.6: a number of eight bytes, then attributes, each with its type, its kind and its value; the user's
//! copy of the token's key is a salt, and that key encrypted under a key made of PIN and salt; the bytes of private objects are encrypted under
//! the token's key.

use super::needles::openssl;
use fips::digest::{Hash, digest};
use pfx_connector::cli::demo::Stack;
use std::collections::BTreeMap;
use std::path::Path;

/// CKA_CLASS, and its value for private keys.
const CLASS: u64 = 0;
const PRIVATE_KEY: u64 = 3;
/// CKA_MODULUS.
const MODULUS: u64 = 0x120;
/// From CKA_PRIVATE_EXPONENT to CKA_COEFFICIENT.
const PRIVATE_NUMBERS: [u64; 6] = [0x123, 0x124, 0x125, 0x126, 0x127, 0x128];
/// The user's copy of the token's key: SoftHSM's own attribute.
const USER_PIN: u64 = 0x8000_5348 + 5;
/// Hashes before the number that the salt ends with is added.
const ITERATIONS: usize = 1500;
/// What the token's key begins with when it is decrypted.
const MAGIC: &[u8] = b"RJR";

type Object = BTreeMap<u64, Vec<u8>>;

/// Its private exponent, primes, exponents and coefficient.
pub(crate) fn of_softhsm(stack: &Stack) -> [Vec<u8>; 6] {
    let pin = std::fs::read_to_string(stack.path("token/user.pin")).unwrap();
    let mut objects = Vec::new();
    files_below(&stack.token.storage(stack.folder()), &mut objects);
    let of_user = objects.iter().find_map(|object| object.get(&USER_PIN));
    let work = tempfile::tempdir().unwrap();
    let token_key = token_key(of_user.expect("a token"), pin.trim(), work.path());
    let private: Vec<_> = objects
        .iter()
        .filter(|object| object.get(&CLASS) == Some(&PRIVATE_KEY.to_be_bytes().to_vec()))
        .collect();
    let [key] = private.as_slice() else {
        panic!("{} private keys on the token", private.len())
    };
    let value = |kind: u64| decrypted(&token_key, &key[&kind], work.path());
    let modulus = value(MODULUS);
    let public = openssl(&[
        "rsa",
        "-pubin",
        "-noout",
        "-modulus",
        "-in",
        stack.path("import/custody-public.pem").to_str().unwrap(),
    ]);
    let expected = String::from_utf8(public).unwrap();
    assert_eq!(
        expected.trim(),
        format!("Modulus={}", hex(&modulus).to_uppercase()),
        "it is the custody key"
    );
    PRIVATE_NUMBERS.map(value)
}

fn token_key(of_user: &[u8], pin: &str, work: &Path) -> Vec<u8> {
    let (salt, encrypted) = of_user.split_at(8);
    let mut key = digest(Hash::Sha256, &[salt, pin.as_bytes()].concat());
    for _ in 1..ITERATIONS + usize::from(salt[7]) {
        key = digest(Hash::Sha256, key.as_ref());
    }
    let clear = decrypted(key.as_ref(), encrypted, work);
    clear.strip_prefix(MAGIC).expect("the PIN fits").to_vec()
}

/// AES-256 in CBC mode, behind its initialisation vector.
fn decrypted(key: &[u8], encrypted: &[u8], work: &Path) -> Vec<u8> {
    let file = work.join("encrypted");
    let (iv, rest) = encrypted.split_at(16);
    std::fs::write(&file, rest).unwrap();
    let (key, iv) = (hex(key), hex(iv));
    openssl(&[
        "enc",
        "-d",
        "-aes-256-cbc",
        "-K",
        &key,
        "-iv",
        &iv,
        "-in",
        file.to_str().unwrap(),
    ])
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn files_below(folder: &Path, objects: &mut Vec<Object>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files_below(&path, objects);
        } else if path.extension().is_some_and(|suffix| suffix == "object") {
            objects.push(object(&std::fs::read(&path).unwrap()));
        }
    }
}

fn object(file: &[u8]) -> Object {
    let mut left = &file[8..];
    let mut attributes = Object::new();
    while !left.is_empty() {
        let (kind, form) = (number(&mut left), number(&mut left));
        let length = match form {
            // A truth value, a number, octets, a map of attributes, a set of mechanisms.
            1 => 1,
            2 => 8,
            3 | 4 => usize::try_from(number(&mut left)).unwrap(),
            5 => 8 * usize::try_from(number(&mut left)).unwrap(),
            other => panic!("attribute {kind:#x} has the form {other}"),
        };
        let (value, rest) = left.split_at(length);
        attributes.insert(kind, value.to_vec());
        left = rest;
    }
    attributes
}

fn number(left: &mut &[u8]) -> u64 {
    let (number, rest) = left.split_first_chunk().unwrap();
    *left = rest;
    u64::from_be_bytes(*number)
}
