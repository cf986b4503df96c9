//! What files of others are protected with, against the answers that their own standards print.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    missing_docs
)]

mod common;

use common::{begin, hex, unhex};
use fips::digest::{self, FileHash, Hash};
use fips::kdf::{self, ScryptCost};
use fips::secret::SecretBytes;
use fips::{Error, hmac, legacy};
use std::num::NonZeroU32;

/// The vector with which a block that decrypts to `plaintext` becomes eight bytes of padding, so that the whole block is looked at and
/// nothing is left.
fn vector_for_padding(plaintext: &str) -> [u8; 8] {
    let block: [u8; 8] = unhex(plaintext).try_into().unwrap();
    block.map(|byte| byte ^ 8)
}

fn is_the_block(decrypted: fips::Result<SecretBytes>) -> bool {
    match decrypted {
        Ok(plaintext) => plaintext.is_empty(),
        Err(error) => {
            assert_eq!(error, Error::Decryption);
            false
        }
    }
}

/// RFC 2268 section 5: keys of every kind of length, with their effective bits.
#[test]
fn rc2() {
    begin();
    const LONG: &str = "88bca90e90875a7f0f79c384627bafb216f80a6f85920584c42fceb0be255daf1e";
    let (zeros, key_of_16) = ("0000000000000000", LONG.get(..32).unwrap());
    for (bits, key, plaintext, ciphertext) in [
        (63, zeros, zeros, "ebb773f993278eff"),
        (
            64,
            "ffffffffffffffff",
            "ffffffffffffffff",
            "278b27e42e2f0d49",
        ),
        (
            64,
            "3000000000000000",
            "1000000000000001",
            "30649edf9be7d2c2",
        ),
        (64, "88", zeros, "61a8a244adacccf0"),
        (64, "88bca90e90875a", zeros, "6ccf4308974c267f"),
        (64, key_of_16, zeros, "1a807d272bbe5db1"),
        (128, key_of_16, zeros, "2269552ab0f85ca6"),
        (129, LONG, zeros, "5b78d3a43dfff1f1"),
    ] {
        let secret = SecretBytes::from_vec(unhex(key));
        let iv = vector_for_padding(plaintext);
        let decrypt = |bits| legacy::rc2_cbc_decrypt(&secret, bits, &iv, &unhex(ciphertext));
        assert!(is_the_block(decrypt(bits)), "{key} with {bits} bits");
        assert!(!is_the_block(decrypt(bits / 2)), "{key} with fewer bits");
    }
}

/// FIPS 81 appendix B: the first block of "Now is the time for all ".
#[test]
fn des() {
    begin();
    let key = SecretBytes::from_vec(unhex("0123456789abcdef"));
    let iv = vector_for_padding("4e6f772069732074");
    let ciphertext = unhex("3fa40e8a984d4815");
    assert!(is_the_block(legacy::des_cbc_decrypt(
        &key,
        &iv,
        &ciphertext
    )));
}

/// RFC 6229 section 2: the beginning of the key stream for 40, 128 and 256 bits.
#[test]
fn rc4() {
    begin();
    for (len, stream) in [
        (5, "b2396305f03dc027ccc3524a0a1118a8"),
        (16, "9ac7cc9a609d1ef7b2932899cde41b97"),
        (32, "eaa6bd25880bf93d3f5d1e4ca2611d91"),
    ] {
        let key = SecretBytes::from_vec((1..=len).collect());
        let decrypted = legacy::rc4_decrypt(&key, &[0; 16]).unwrap();
        assert_eq!(hex(decrypted.expose()), stream, "{len}");
    }
    for len in [0, 33] {
        let refused = legacy::rc4_decrypt(&SecretBytes::zeroed(len), b"");
        assert_eq!(refused.err().unwrap().code(), "key_length");
    }
}

/// The vector that has gone round with PKCS#5 version 1.5; the standard prints none.
#[test]
fn pbkdf1() {
    begin();
    let salt = unhex("78578e5a5d63cb06");
    let thousand = NonZeroU32::new(1000).unwrap();
    let key = kdf::pbkdf1(Hash::Sha1, b"password", &salt, thousand, 16).unwrap();
    assert_eq!(hex(key.expose()), "dc19847e05c64d2faf10ebfb4a3d2a20");
    // "Derived key too long": there is one digest and no more.
    let refused = kdf::pbkdf1(FileHash::Md5, b"password", &salt, thousand, 17);
    assert_eq!(refused.err().unwrap().code(), "output_length");
}

/// The key of PasswordBasedMac is what PBKDF1 would give with a longer hash (RFC 9810 section 5.1.3.1); of PBMAC1, what PBKDF2 gives.
#[test]
fn keys_of_cmp() {
    begin();
    let thousand = NonZeroU32::new(1000).unwrap();
    let key = kdf::password_based_mac_key(Hash::Sha256, b"secret", b"salt", thousand).unwrap();
    let mut step = digest::digest(Hash::Sha256, b"secretsalt");
    for _ in 1..1000 {
        step = digest::digest(Hash::Sha256, step.as_ref());
    }
    assert_eq!(key.expose(), step.as_ref());
    let key = kdf::pbmac1_message_key(Hash::Sha256, b"secret", b"salt", thousand, 32).unwrap();
    let same = kdf::pbkdf2(Hash::Sha256, b"secret", b"salt", thousand, 32).unwrap();
    assert_eq!(key.expose(), same.expose());
    for (secret, len) in [(&b"secret"[..], 0), (&[0; 65_537], 32)] {
        let refused = kdf::pbmac1_message_key(Hash::Sha256, secret, b"salt", thousand, len);
        assert!(refused.is_err());
    }
}

/// RFC 7914 section 12.
#[test]
fn scrypt() {
    begin();
    for (password, salt, (n, r, p), expected) in [
        (
            "",
            "",
            (16, 1, 1),
            "77d6576238657b203b19ca42c18a0497f16b4844e3074ae8dfdffa3fede21442fcd0069ded0948f8326a753a0fc81f17e8d3e0fb2e0d3628cf35e20c38d18906",
        ),
        (
            "password",
            "NaCl",
            (1024, 8, 16),
            "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b3731622eaf30d92e22a3886ff109279d9830dac727afb94a83ee6d8360cbdfa2cc0640",
        ),
    ] {
        let cost = ScryptCost::new(n, r, p).unwrap();
        let memory = usize::try_from(cost.memory_bytes()).unwrap();
        let derive = |most| kdf::scrypt(password.as_bytes(), salt.as_bytes(), cost, most, 64);
        assert_eq!(hex(derive(memory).unwrap().expose()), expected);
        assert_eq!(derive(memory - 1).err().unwrap().code(), "message_too_long");
    }
}

/// Test case 2 of RFC 2202 (MD5) and of RFC 4231 (SHA-224).
#[test]
fn hmac_with_the_hashes_of_files() {
    begin();
    let data = b"what do ya want for nothing?";
    for (hash, expected) in [
        (FileHash::Md5, "750c783e6ab0b503eaa86e310a5db738"),
        (
            FileHash::Sha224,
            "a30e01098bc6dbbf45690f3a7e9e6d0f8bbea2a39e6148008fd05e44",
        ),
    ] {
        let tag = hmac::sign(hash, b"Jefe", data).unwrap();
        assert_eq!(hex(tag.as_ref()), expected);
        hmac::verify(hash, b"Jefe", data, tag.as_ref()).unwrap();
    }
}
