//! What the module has not, and what we built around it, against an independent implementation: the program `openssl`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    missing_docs
)]

mod common;

use common::{Temporary, begin, hex, openssl, unhex};
use fips::digest::{FileHash, Hash};
use fips::kdf::{self, Pkcs12Purpose};
use fips::secret::SecretBytes;
use fips::sign::{self, KeyKind, SignatureAlgorithm, SigningKey};
use fips::{Error, legacy, random, rsa};
use std::num::NonZeroU32;

fn digest_option(hash: impl Into<FileHash>) -> String {
    let name = hash.into().name().replace('-', "");
    format!("digest:{}", name.replace('/', "-"))
}

/// `openssl kdf` prints the key as hexadecimal with colons.
fn openssl_kdf(name: &str, len: usize, options: &[String]) -> Vec<u8> {
    let len = len.to_string();
    let mut arguments = vec!["kdf", "-keylen", &len];
    for option in options {
        arguments.extend(["-kdfopt", option]);
    }
    arguments.push(name);
    let text = String::from_utf8(openssl(&arguments, b"")).unwrap();
    unhex(&text.trim().replace(':', ""))
}

#[test]
fn the_x963_kdf_agrees_for_every_hash_and_around_the_block_lengths() {
    begin();
    let z = random::secret(48).unwrap();
    let info = random::array::<29>().unwrap();
    // Debian's OpenSSL has no X9.63 KDF with MD5, and nobody else has.
    for hash in FileHash::ALL
        .into_iter()
        .filter(|hash| *hash != FileHash::Md5)
    {
        for len in [16, hash.output_len(), hash.output_len() + 1, 200] {
            let ours = kdf::x963(hash, &z, &info, len).unwrap();
            let theirs = openssl_kdf(
                "X963KDF",
                len,
                &[
                    digest_option(hash),
                    format!("hexkey:{}", hex(z.expose())),
                    format!("hexinfo:{}", hex(&info)),
                ],
            );
            assert!(ours.ct_eq(&theirs), "{hash:?} {len}");
        }
    }
}

#[test]
fn the_pkcs12_kdf_agrees_for_every_hash_purpose_and_around_the_block_lengths() {
    begin();
    let password = unhex("0070006100730073007700f60072006400000000");
    let salt = random::array::<20>().unwrap();
    let purposes = [
        (Pkcs12Purpose::Key, 1),
        (Pkcs12Purpose::Iv, 2),
        (Pkcs12Purpose::Mac, 3),
    ];
    for hash in FileHash::ALL {
        for (purpose, id) in purposes {
            for (len, iterations) in [(8, 1), (hash.output_len() + 1, 2), (150, 1000)] {
                let count = NonZeroU32::new(iterations).unwrap();
                let ours = kdf::pkcs12(
                    kdf::Pkcs12Use::Read,
                    hash,
                    &password,
                    &salt,
                    purpose,
                    count,
                    len,
                )
                .unwrap();
                let theirs = openssl_kdf(
                    "PKCS12KDF",
                    len,
                    &[
                        digest_option(hash),
                        format!("hexpass:{}", hex(&password)),
                        format!("hexsalt:{}", hex(&salt)),
                        format!("iter:{iterations}"),
                        format!("id:{id}"),
                    ],
                );
                assert!(ours.ct_eq(&theirs), "{hash:?} {purpose:?} {len}");
            }
        }
    }
}

#[test]
fn the_ciphers_of_the_past_agree() {
    begin();
    let iv = random::array::<8>().unwrap();
    for (name, key_len) in [("-des-ede3-cbc", 24), ("-rc2-cbc", 16), ("-rc2-40-cbc", 5)] {
        let key = random::secret(key_len).unwrap();
        for len in [0, 7, 8, 100] {
            let plaintext = vec![0x5a; len];
            let (key_hex, iv_hex) = (hex(key.expose()), hex(&iv));
            let arguments = [
                "enc",
                name,
                "-provider",
                "legacy",
                "-provider",
                "default",
                "-K",
                &key_hex,
                "-iv",
                &iv_hex,
            ];
            let ciphertext = openssl(&arguments, &plaintext);
            let back = if key_len == 24 {
                let ours = legacy::des_ede3_cbc_encrypt(&key, &iv, &plaintext).unwrap();
                assert_eq!(ours, ciphertext);
                legacy::des_ede3_cbc_decrypt(&key, &iv, &ciphertext)
            } else {
                legacy::rc2_cbc_decrypt(&key, u16::try_from(key_len * 8).unwrap(), &iv, &ciphertext)
            };
            assert!(back.unwrap().ct_eq(&plaintext), "{name} {len}");
        }
    }
}

/// `genpkey` writes DER in the format of the algorithm; we read PKCS#8 only.
fn to_pkcs8(der: &[u8]) -> Vec<u8> {
    let arguments = [
        "pkcs8", "-topk8", "-nocrypt", "-inform", "DER", "-outform", "DER",
    ];
    openssl(&arguments, der)
}

#[test]
fn openssl_decrypts_what_we_encrypt_with_rsa() {
    begin();
    let key = rsa::PrivateKey::generate(2048).unwrap();
    let file = Temporary::new(key.pkcs8_der().unwrap().expose());
    let public = key.public().unwrap();
    for hash in Hash::ALL {
        let ciphertext = public.encrypt_oaep(hash, b"a password").unwrap();
        let digest = hash.name().replace('-', "");
        let (md, mgf) = (
            format!("rsa_oaep_md:{digest}"),
            format!("rsa_mgf1_md:{digest}"),
        );
        let arguments = [
            "pkeyutl",
            "-decrypt",
            "-inkey",
            file.path(),
            "-keyform",
            "DER",
            "-pkeyopt",
            "rsa_padding_mode:oaep",
            "-pkeyopt",
            &md,
            "-pkeyopt",
            &mgf,
        ];
        assert_eq!(openssl(&arguments, &ciphertext), b"a password");
    }
    let ciphertext = public.encrypt_pkcs1v15(b"a password").unwrap();
    let arguments = [
        "pkeyutl",
        "-decrypt",
        "-inkey",
        file.path(),
        "-keyform",
        "DER",
        "-pkeyopt",
        "rsa_padding_mode:pkcs1",
    ];
    assert_eq!(openssl(&arguments, &ciphertext), b"a password");
}

#[test]
fn what_is_verified_only_is_what_openssl_signs_with_another_hash() {
    begin();
    let message = Temporary::new(b"message");
    let mut verified = 0;
    for kind in [KeyKind::EcP256, KeyKind::EcP384, KeyKind::EcP521] {
        let key = SigningKey::generate(kind).unwrap();
        let private = Temporary::new(key.pkcs8_der().unwrap().expose());
        for algorithm in SignatureAlgorithm::ALL {
            if algorithm.curve() != key.algorithm().curve() || algorithm == key.algorithm() {
                continue;
            }
            assert!(key.sign_with(algorithm, b"message").is_err());
            let digest = format!(
                "-{}",
                algorithm.hash().name().replace('-', "").to_lowercase()
            );
            let sign = [
                "dgst",
                &digest,
                "-keyform",
                "DER",
                "-sign",
                private.path(),
                message.path(),
            ];
            let theirs = openssl(&sign, b"");
            sign::verify(algorithm, key.spki_der(), b"message", &theirs).unwrap();
            assert_eq!(
                sign::verify(algorithm, key.spki_der(), b"massage", &theirs),
                Err(Error::Verification)
            );
            verified += 1;
        }
    }
    assert_eq!(verified, 6);
}

#[test]
fn openssl_verifies_what_we_sign_and_we_verify_what_openssl_signs() {
    begin();
    let message = Temporary::new(b"message");
    let cases: [(KeyKind, SignatureAlgorithm, &[&str]); 5] = [
        (KeyKind::EcP256, SignatureAlgorithm::EcdsaP256Sha256, &[]),
        (KeyKind::EcP384, SignatureAlgorithm::EcdsaP384Sha384, &[]),
        (KeyKind::EcP521, SignatureAlgorithm::EcdsaP521Sha512, &[]),
        (KeyKind::Rsa(2048), SignatureAlgorithm::RsaPkcs1Sha512, &[]),
        (
            KeyKind::Rsa(2048),
            SignatureAlgorithm::RsaPssSha256,
            &[
                "-sigopt",
                "rsa_padding_mode:pss",
                "-sigopt",
                "rsa_pss_saltlen:digest",
            ],
        ),
    ];
    for (kind, algorithm, options) in cases {
        let key = SigningKey::generate(kind).unwrap();
        let private = Temporary::new(key.pkcs8_der().unwrap().expose());
        let public = Temporary::new(key.spki_der());
        let digest = format!(
            "-{}",
            algorithm.hash().name().replace('-', "").to_lowercase()
        );

        let ours = Temporary::new(&key.sign_with(algorithm, b"message").unwrap());
        let mut verify = vec![
            "dgst",
            &digest,
            "-keyform",
            "DER",
            "-verify",
            public.path(),
            "-signature",
            ours.path(),
        ];
        verify.extend(options);
        verify.push(message.path());
        openssl(&verify, b"");

        let mut sign = vec!["dgst", &digest, "-keyform", "DER", "-sign", private.path()];
        sign.extend(options);
        sign.push(message.path());
        let theirs = openssl(&sign, b"");
        sign::verify(algorithm, key.spki_der(), b"message", &theirs).unwrap();
        assert_eq!(
            sign::verify(algorithm, key.spki_der(), b"massage", &theirs),
            Err(Error::Verification)
        );
    }
}

#[test]
fn keys_of_other_algorithms_curves_and_sizes_are_named_as_such() {
    begin();
    let generated: [(&[&str], &str); 6] = [
        (&["-algorithm", "ED25519"], "unsupported_key"),
        (&["-algorithm", "X25519"], "unsupported_key"),
        (&["-algorithm", "RSA-PSS"], "unsupported_key"),
        (
            &[
                "-algorithm",
                "EC",
                "-pkeyopt",
                "ec_paramgen_curve:secp256k1",
            ],
            "unsupported_key",
        ),
        (
            &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-224"],
            "unsupported_key",
        ),
        (
            &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"],
            "key_size",
        ),
    ];
    for (options, code) in generated {
        let mut arguments = vec!["genpkey", "-outform", "DER"];
        arguments.extend(options);
        let pkcs8 = to_pkcs8(&openssl(&arguments, b""));
        let public = ["pkey", "-inform", "DER", "-pubout", "-outform", "DER"];
        let spki = openssl(&public, &pkcs8);
        let codes = [
            rsa::PublicKey::from_spki(&spki).unwrap_err().code(),
            SigningKey::from_pkcs8(&pkcs8).err().unwrap().code(),
            rsa::PrivateKey::from_pkcs8(&pkcs8).err().unwrap().code(),
            sign::verify(SignatureAlgorithm::RsaPkcs1Sha256, &spki, b"", b"")
                .unwrap_err()
                .code(),
        ];
        assert_eq!(codes, [code; 4], "{options:?}");
    }
}

#[test]
fn the_public_key_of_a_private_key_is_the_one_openssl_finds() {
    begin();
    for options in [
        ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
        ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"],
    ] {
        let mut arguments = vec!["genpkey", "-outform", "DER"];
        arguments.extend(options);
        let pkcs8 = SecretBytes::from_vec(to_pkcs8(&openssl(&arguments, b"")));
        let public = ["pkey", "-inform", "DER", "-pubout", "-outform", "DER"];
        let spki = openssl(&public, pkcs8.expose());
        assert_eq!(fips::pkcs8_public(pkcs8.expose()).unwrap(), spki);
        let key = SigningKey::from_pkcs8(pkcs8.expose()).unwrap();
        assert_eq!(key.spki_der(), spki);
    }
}
