//! Files of kinds that the corpus does not have: rare key derivations, and local key ids in every combination.

use super::asn1::{bag, certificate, data, der, sequence};
use super::openssl::{KeyAlgorithm, Workshop, openssl, text};
use fips::digest::FileHash;
use fips::kdf::{Pkcs12Purpose, Pkcs12Use};
use std::num::NonZeroU32;
use std::path::Path;

pub const PASSWORD: &str = "Passw0rd!";
const SHROUDED_KEY: u8 = 2;
const CERTIFICATE: u8 = 3;

/// EncryptedPrivateKeyInfo by OpenSSL with these options.
fn shrouded(key: &Path, options: &[&str]) -> Vec<u8> {
    let password = format!("pass:{PASSWORD}");
    let fixed = [
        "pkcs8",
        "-topk8",
        "-outform",
        "DER",
        "-passout",
        &password,
        "-in",
        text(key),
    ];
    openssl(&[&fixed, options].concat())
}

/// The set of attributes with this local key id, if there is one.
fn id(id: Option<u8>) -> Vec<u8> {
    let Some(id) = id else {
        return Vec::new();
    };
    let attribute = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x15";
    der(0x31, &sequence(&[attribute, &der(0x31, &der(0x04, &[id]))]))
}

/// A file of these SafeContents, all in clear but for the keys, with the classic MAC and SHA-1, which every program knows.
fn file(parts: &[Vec<Vec<u8>>]) -> Vec<u8> {
    let parts: Vec<u8> = parts
        .iter()
        .flat_map(|bags| data(&der(0x30, &bags.concat())))
        .collect();
    let safe = der(0x30, &parts);
    let salt = [7; 8];
    let password: Vec<u8> = PASSWORD
        .encode_utf16()
        .chain([0])
        .flat_map(u16::to_be_bytes)
        .collect();
    let key = fips::kdf::pkcs12(
        Pkcs12Use::Read,
        FileHash::Sha1,
        &password,
        &salt,
        Pkcs12Purpose::Mac,
        NonZeroU32::new(2048).unwrap(),
        20,
    )
    .unwrap();
    let mac = fips::hmac::sign(FileHash::Sha1, key.expose(), &safe).unwrap();
    let sha1 = sequence(&[b"\x06\x05\x2b\x0e\x03\x02\x1a", &[5, 0]]);
    let mac = sequence(&[
        &sequence(&[&sha1, &der(0x04, mac.as_ref())]),
        &der(0x04, &salt),
        b"\x02\x02\x08\x00",
    ]);
    sequence(&[&[2, 1, 3], &data(&safe), &mac])
}

/// Each file with its name.
pub fn files() -> Vec<(String, Vec<u8>)> {
    let workshop = Workshop::new();
    let root = workshop.authority("Root", KeyAlgorithm::P256);
    let ada = root.device("ada", KeyAlgorithm::Rsa(2048));
    let bob = root.device("bob", KeyAlgorithm::P256);
    let mut files = Vec::new();
    let of = |der: &[u8], number| bag(CERTIFICATE, &certificate(der), &id(number));
    let mut protected = |name: String, options: &[&str]| {
        let key = bag(SHROUDED_KEY, &shrouded(&ada.key, options), &id(Some(1)));
        files.push((name, file(&[vec![of(&ada.der(), Some(1))], vec![key]])));
    };
    for prf in [
        "MD5",
        "SHA1",
        "SHA224",
        "SHA256",
        "SHA384",
        "SHA512",
        "SHA512-224",
        "SHA512-256",
    ] {
        let prf = format!("hmacWith{prf}");
        for cipher in ["aes-256-cbc", "des3"] {
            protected(format!("{prf} {cipher}"), &["-v2", cipher, "-v2prf", &prf]);
        }
    }
    for cipher in ["aes-128-cbc", "aes-192-cbc"] {
        protected(format!("scrypt {cipher}"), &["-v2", cipher, "-scrypt"]);
        protected(cipher.to_owned(), &["-v2", cipher]);
    }
    let old = ["-provider", "default", "-provider", "legacy"];
    for scheme in ["2DES", "3DES", "RC2-40", "RC2-128", "RC4-40", "RC4-128"] {
        let scheme = format!("PBE-SHA1-{scheme}");
        protected(scheme.clone(), &[&["-v1", &scheme], &old[..]].concat());
    }
    protected("rc2".to_owned(), &[&["-v2", "rc2"], &old[..]].concat());

    let key = shrouded(&ada.key, &["-v2", "aes-256-cbc"]);
    let key_of = |key: &[u8], number| bag(SHROUDED_KEY, key, &id(number));
    for (key_id, certificate_id) in [
        (Some(1), Some(1)),
        (Some(1), Some(2)),
        (Some(1), None),
        (None, Some(1)),
        (None, None),
    ] {
        let name = |order: &str| format!("ids {key_id:?} and {certificate_id:?}, {order}");
        let key = key_of(&key, key_id);
        let own = of(&ada.der(), certificate_id);
        let other = of(&root.der(), None);
        files.extend([
            (
                name("the certificate first"),
                file(&[vec![own.clone(), other.clone()], vec![key.clone()]]),
            ),
            (
                name("the key first"),
                file(&[vec![key.clone()], vec![own.clone(), other.clone()]]),
            ),
            (
                name("the key first, another certificate second"),
                file(&[vec![key.clone()], vec![other, own.clone()]]),
            ),
            (
                name("the key first in one part"),
                file(&[vec![key.clone(), own.clone()]]),
            ),
            (
                name("the certificate first in one part"),
                file(&[vec![own, key]]),
            ),
        ]);
    }
    let second = shrouded(&bob.key, &["-v2", "aes-256-cbc"]);
    for (name, ids) in [
        ("two keys with an id each", [Some(1), Some(2)]),
        ("two keys with the same id", [Some(1), Some(1)]),
        ("two keys without ids", [None, None]),
    ] {
        files.push((
            name.to_owned(),
            file(&[
                vec![of(&ada.der(), ids[0]), of(&bob.der(), ids[1])],
                vec![key_of(&key, ids[0]), key_of(&second, ids[1])],
            ]),
        ));
    }
    files.push((
        "no certificate".to_owned(),
        file(&[vec![key_of(&key, Some(1))]]),
    ));
    files.push((
        "no certificate and no id".to_owned(),
        file(&[vec![key_of(&key, None)]]),
    ));
    files
}
